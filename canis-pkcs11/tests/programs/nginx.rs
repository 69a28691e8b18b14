//! nginx with its keys in the module, and curl with the client's.

use crate::home::{Home, said, succeed};
use crate::openssl::{home, self_signed, uri};
use crate::service::{Service, bounded};
use std::process::Command;

/// nginx with four workers, an RSA and an EC key; it says which worker answered and what it thinks of the client.
fn nginx(home: &Home) -> Service {
    let user = succeed(Command::new("id").args(["-un"]));
    Service::listening(home, "nginx", |port| {
        let path = |name: &str| home.path(name).display().to_string();
        let keys = ["rsa", "ec"].map(|label| {
            let certificate = path(&format!("{label}.pem"));
            format!("ssl_certificate {certificate}; ssl_certificate_key \"engine:pkcs11:{}\";\n", uri(label))
        });
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("{name}_temp_path {};\n", path(name)));
        // The workers open the store themselves, so they must be its owner.
        let configuration = format!(
            "user {};\nworker_processes 4;\ndaemon off;\npid {};\nerror_log stderr;\nssl_engine pkcs11;\n\
             env CANIS_DATA;\nenv CANIS_PKCS11_LOG;\nenv OPENSSL_CONF;\nevents {{}}\nhttp {{\naccess_log off;\n{}\
             server {{\nlisten 127.0.0.1:{port} ssl;\n{}ssl_session_cache off;\nssl_session_tickets off;\n\
             ssl_client_certificate {};\nssl_verify_client optional;\n\
             location / {{ return 200 \"worker $pid client $ssl_client_verify\\n\"; }}\n}}\n}}\n",
            user.trim(),
            path("nginx.pid"),
            temporary.concat(),
            keys.concat(),
            path("ec.pem"),
        );
        std::fs::write(home.path("nginx.conf"), configuration).unwrap();
        let mut nginx = home.command("nginx");
        nginx.env("OPENSSL_CONF", home.path("openssl.cnf")).args(["-e", "stderr", "-p", &path(""), "-c"]);
        nginx.arg(home.path("nginx.conf"));
        nginx
    })
}

/// Asks for the page, trusting the certificate of `label`.
fn curl(home: &Home, port: u16, label: &str) -> Command {
    let mut curl = bounded(home, "curl");
    curl.env("OPENSSL_CONF", home.path("openssl.cnf"));
    curl.args([
        "-sS",
        "--resolve",
        &format!("localhost:{port}:127.0.0.1"),
        "--cacert",
        &format!("{label}.pem"),
    ]);
    let algorithms =
        if label == "ec" { "ECDHE-ECDSA-AES128-GCM-SHA256" } else { "ECDHE-RSA-AES128-GCM-SHA256" };
    curl.args(["--tls-max", "1.2", "--ciphers", algorithms, &format!("https://localhost:{port}/")]);
    curl
}

/// R93: four workers sign for many clients at once, while another process lists the keys, and go on after a reload.
#[test]
fn nginx_serves_with_keys_of_the_module_under_load() {
    let home = home();
    for label in ["rsa", "ec"] {
        self_signed(&home, label);
    }
    let server = nginx(&home);
    let load = || {
        std::thread::scope(|scope| {
            let clients: Vec<_> = ["rsa", "ec", "ec"]
                .map(|label| {
                    let ask = || succeed(&mut curl(&home, server.port, label));
                    scope.spawn(move || (0..12).map(|_| ask()).collect::<Vec<_>>())
                })
                .into();
            let listing = scope.spawn(|| (0..3).map(|_| home.tool_as_user(&["-O"])).collect::<String>());
            let answers: Vec<_> = clients.into_iter().flat_map(|client| client.join().unwrap()).collect();
            assert_eq!(listing.join().unwrap().matches("Private Key Object").count(), 6);
            answers
        })
    };
    let before = load();
    assert!(before.iter().all(|answer| answer.starts_with("worker ")), "{before:?}");
    // Other workers take over, and the old ones end.
    succeed(Command::new("kill").args(["-HUP", &server.pid().to_string()]));
    let mut reloaded = false;
    for _ in 0..200 {
        let answer = succeed(&mut curl(&home, server.port, "ec"));
        reloaded = !before.contains(&answer);
        if reloaded {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert!(reloaded, "{}", server.said());
    load();
    assert!(!server.said().contains("[alert]"), "{}", server.said());
}

/// R93: curl proves a client's key that is in the module.
#[test]
fn curl_has_its_client_key_in_the_module() {
    let home = home();
    for label in ["rsa", "ec"] {
        self_signed(&home, label);
    }
    let server = nginx(&home);
    let mut with_key = curl(&home, server.port, "rsa");
    with_key.args(["--engine", "pkcs11", "--key-type", "ENG", "--key", &uri("ec"), "--cert", "ec.pem"]);
    let answer = succeed(&mut with_key);
    assert!(answer.contains("client SUCCESS"), "{answer}\n{}", server.said());
    let answer = said(&curl(&home, server.port, "rsa").output().unwrap());
    assert!(answer.contains("client NONE"), "{answer}");
}
