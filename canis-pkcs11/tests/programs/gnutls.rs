//! GnuTLS: keys made, tested and certified by its tools, and TLS with them.

use crate::home::{Home, PIN, library, said, succeed};
use crate::service::{Service, bounded};
use std::process::Command;

/// A program of GnuTLS that loads the module.
fn gnutls(home: &Home, program: &str, arguments: &[&str]) -> Command {
    let mut command = bounded(home, program);
    command.env("GNUTLS_PIN", PIN).arg("--provider").arg(library()).args(arguments);
    command
}

fn uri(label: &str) -> String {
    format!("pkcs11:token=gnutls;object={label};type=private;pin-value={PIN}")
}

/// A token `gnutls` with the keys `rsa` and `ec`, made by p11tool, and their certificates as `<label>.pem`.
fn home() -> Home {
    let home = Home::with_token("gnutls");
    let template = "cn = localhost\ndns_name = localhost\nca\ncert_signing_key\nsigning_key\ntls_www_server\n\
                    tls_www_client\nexpiration_days = 2\n";
    std::fs::write(home.path("template"), template).unwrap();
    for (label, kind) in [("rsa", ["rsa", "--bits=2048"]), ("ec", ["ecdsa", "--curve=secp256r1"])] {
        let (generate, name) = (format!("--generate-privkey={}", kind[0]), format!("--label={label}"));
        let (public, out) = (format!("{label}.pub"), format!("{label}.pem"));
        let make =
            ["--batch", "--login", &generate, kind[1], &name, "--outfile", &public, "pkcs11:token=gnutls"];
        succeed(&mut gnutls(&home, "p11tool", &make));
        let certify = ["--generate-self-signed", "--template=template", "--load-privkey", &uri(label)];
        let to = ["--load-pubkey", &public, "--outfile", &out];
        succeed(gnutls(&home, "certtool", &certify).args(to));
    }
    home
}

/// R93: p11tool tests the keys that it has made, and brings certificates and a key.
#[test]
fn p11tool_generates_signs_and_imports() {
    let home = home();
    for label in ["rsa", "ec"] {
        let tested =
            succeed(&mut gnutls(&home, "p11tool", &["--batch", "--login", "--test-sign", &uri(label)]));
        assert_eq!(tested.matches("... ok").count(), 3, "{tested}");
        let (name, file) = (format!("--label={label}"), format!("--load-certificate={label}.pem"));
        let write = ["--batch", "--login", "--write", &file, &name, "pkcs11:token=gnutls"];
        succeed(&mut gnutls(&home, "p11tool", &write));
    }
    succeed(home.command("openssl").args(["genrsa", "-out", "key", "2048"]));
    let write =
        ["--batch", "--login", "--write", "--load-privkey=key", "--label=brought", "pkcs11:token=gnutls"];
    succeed(&mut gnutls(&home, "p11tool", &write));
    let tested = ["--batch", "--login", "--test-sign", &uri("brought")];
    let tested = said(&gnutls(&home, "p11tool", &tested).output().unwrap());
    assert!(tested.contains("Verifying against private key parameters... ok"), "{tested}");
    let listed = succeed(&mut gnutls(&home, "p11tool", &["--batch", "--login", "--list-all"]));
    assert_eq!(listed.matches("X.509 Certificate").count(), 2, "{listed}");
}

/// R93: GnuTLS's server has an RSA and an EC key in the module; its client, with a key of its own there, checks them.
#[test]
fn gnutls_serv_and_cli_have_their_keys_in_the_module() {
    let home = home();
    let certificate = |label| std::fs::read_to_string(home.path(&format!("{label}.pem"))).unwrap();
    std::fs::write(home.path("trust"), certificate("rsa") + &certificate("ec")).unwrap();
    let server = Service::listening(&home, "gnutls-serv", |port| {
        let port = port.to_string();
        let mut server = gnutls(&home, "gnutls-serv", &["--http", "--port", &port, "--x509cafile=trust"]);
        server.args(["--require-client-cert", "--verify-client-cert"]);
        for label in ["rsa", "ec"] {
            server.args(["--x509keyfile", &uri(label), "--x509certfile", &format!("{label}.pem")]);
        }
        server
    });
    std::fs::write(home.path("request"), "GET / HTTP/1.0\r\n\r\n").unwrap();
    for signature in ["RSA-PSS-RSAE-SHA256", "ECDSA-SECP256R1-SHA256"] {
        let priority = format!("--priority=NORMAL:-VERS-ALL:+VERS-TLS1.3:-SIGN-ALL:+SIGN-{signature}");
        let label = if signature.starts_with("RSA") { "rsa" } else { "ec" };
        let (key, port) = (format!("--x509keyfile={}", uri(label)), server.port.to_string());
        let own = format!("--x509certfile={label}.pem");
        let ask = [&priority, "--x509cafile=trust", "-p", &port, &key, &own, "localhost"];
        let request = std::fs::File::open(home.path("request")).unwrap();
        let text = said(&gnutls(&home, "gnutls-cli", &ask).stdin(request).output().unwrap());
        let signed = format!("({signature})");
        for wanted in ["The certificate is trusted", &signed, "HTTP/1.0 200 OK"] {
            assert!(text.contains(wanted), "{text}\n--- server\n{}", server.said());
        }
    }
}
