//! nginx on another machine, with its keys at a server that is restarted under it.

use crate::host::{Beside, PIN, again, command, configure, make_key, shown, site};
use crate::namespace::Namespace;
use canis_tests::{Site, module, run};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// In a namespace of its own nobody else has it.
const PORT: u16 = 8443;

const URI: &str = "pkcs11:token=default;object=web;type=private;pin-value=";

/// A program with OpenSSL's engine.
fn with_engine(site: &Site, configuration: &Path, program: &str) -> Command {
    let mut command = command(site, configuration, program);
    command.env("OPENSSL_CONF", site.file("openssl.cnf"));
    command
}

fn configure_engine(site: &Site) {
    let text = format!(
        "openssl_conf = init\n[init]\nengines = engines\n[engines]\npkcs11 = pkcs11\n[pkcs11]\nengine_id = pkcs11\n\
         MODULE_PATH = {}\ninit = 0\n[req]\ndistinguished_name = dn\n[dn]\n",
        module().display()
    );
    std::fs::write(site.file("openssl.cnf"), text).unwrap();
}

fn configure_nginx(site: &Site) {
    let path = |name: &str| shown(&site.file(name));
    let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {};\n", path(name)));
    let text = format!(
        "user root;\nworker_processes 4;\ndaemon off;\npid {};\nerror_log stderr;\nssl_engine pkcs11;\n\
         env CANIS_PKCS11_CONF;\nenv OPENSSL_CONF;\nevents {{}}\nhttp {{\naccess_log off;\n{}server {{\n\
         listen 0.0.0.0:{PORT} ssl;\nssl_certificate {};\nssl_certificate_key \"engine:pkcs11:{URI}{PIN}\";\n\
         ssl_session_cache off;\nssl_session_tickets off;\n\
         location / {{ return 200 \"worker $pid\\n\"; }}\n}}\n}}\n",
        path("nginx.pid"),
        temporary.concat(),
        path("web.pem"),
    );
    std::fs::write(site.file("nginx.conf"), text).unwrap();
}

/// R93: nginx with four workers in a network namespace of its own has its key at a server over TLS. The server is stopped and
/// started anew while clients come: every handshake succeeds, those that came meanwhile as well, and nginx is not touched.
#[test]
fn a_server_is_restarted_under_nginx() {
    let Some(space) = Namespace::new() else { return };
    let site = site();
    let server = site.start_at(&format!("{}:0", space.here)).unsealed();
    let addr = server.addr().to_owned();
    let configuration = configure(&site, &[&addr], "keep_pin = true\nretry_for = 20");
    make_key(&site, &configuration, "web");
    configure_engine(&site);
    let mut request = with_engine(&site, &configuration, "openssl");
    request.args(["req", "-x509", "-new", "-engine", "pkcs11", "-keyform", "engine", "-days", "2"]);
    request.args(["-key", &format!("{URI}{PIN}"), "-subj", "/CN=localhost", "-out", "web.pem"]);
    request.args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:TRUE"]);
    run(&mut space.inside(&request), b"").ok();
    configure_nginx(&site);
    let mut nginx = with_engine(&site, &configuration, "nginx");
    nginx.args(["-e", "stderr", "-p", &shown(&site.file("")), "-c", &shown(&site.file("nginx.conf"))]);
    let up = || TcpStream::connect((space.there.as_str(), PORT)).is_ok();
    let nginx = Beside::start(space.inside(&nginx), site.file("nginx.log"), up);

    let ask = || {
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--max-time", "60", "--resolve", &format!("localhost:{PORT}:{}", space.there)]);
        curl.arg("--cacert").arg(site.file("web.pem")).arg(format!("https://localhost:{PORT}/"));
        let answer = run(&mut curl, b"");
        let said =
            || format!("{answer:?}\n--- nginx\n{}\n--- module\n{}", nginx.said(), crate::host::log(&site));
        assert!(answer.text().starts_with("worker "), "{}", said());
        answer.text()
    };
    let before: Vec<_> = (0..12).map(|_| ask()).collect();
    let mut running = Some(server);
    for _ in 0..2 {
        let over = AtomicBool::new(false);
        std::thread::scope(|threads| {
            let client = || {
                let mut served = 0;
                while !over.load(Ordering::SeqCst) {
                    ask();
                    served += 1;
                }
                served
            };
            let clients = [0, 1].map(|_| threads.spawn(client));
            std::thread::sleep(Duration::from_millis(200));
            running.take().unwrap().stop();
            running = Some(again(&site, &addr));
            std::thread::sleep(Duration::from_millis(200));
            over.store(true, Ordering::SeqCst);
            for client in clients {
                assert!(client.join().unwrap() > 0, "nobody was served");
            }
        });
        let after: Vec<_> = (0..24).map(|_| ask()).collect();
        assert!(after.iter().any(|worker| before.contains(worker)), "nginx was started anew");
    }
    assert!(!nginx.said().contains("[alert]"), "{}", nginx.said());
}
