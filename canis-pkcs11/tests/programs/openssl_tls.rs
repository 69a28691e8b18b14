//! TLS 1.3 by OpenSSL's own server and client, each with its key in the module.

use crate::home::{Home, said};
use crate::openssl::{BY_ENGINE, home, openssl, self_signed, uri};
use crate::service::Service;

/// A server with a key of the module that answers requests for pages, and the port where it does.
fn server(home: &Home, label: &str, more: &[&str]) -> (Service, String) {
    let mut server = openssl(home, &["s_server", "-accept", "127.0.0.1:0", "-tls1_3", "-www"]);
    server.args(["-key", &uri(label), "-cert", &format!("{label}.pem")]).args(BY_ENGINE).args(more);
    let mut service = Service::start(home, "s_server", server);
    assert!(service.waits_until(|server| accepts(server).is_some()), "{}", service.said());
    let port = accepts(&service).unwrap();
    (service, port)
}

/// The port that it says it listens on.
fn accepts(server: &Service) -> Option<String> {
    let said = server.said();
    let line = said.lines().find(|line| line.starts_with("ACCEPT "))?;
    Some(line.rsplit(':').next()?.to_owned())
}

/// What a client is told that trusts the certificate of `label`.
fn client(home: &Home, port: &str, label: &str, more: &[&str]) -> String {
    let address = format!("127.0.0.1:{port}");
    std::fs::write(home.path("request"), "GET / HTTP/1.0\r\n\r\n").unwrap();
    let mut client = openssl(home, &["s_client", "-connect", &address, "-tls1_3", "-ign_eof"]);
    client.args(["-CAfile", &format!("{label}.pem"), "-verify_return_error"]).args(more);
    said(&client.stdin(std::fs::File::open(home.path("request")).unwrap()).output().unwrap())
}

/// R93: the server proves its key in every handshake.
#[test]
fn a_server_with_its_key_in_the_module() {
    let home = home();
    for (label, kind) in [("rsa", "RSA-PSS"), ("ec", "ECDSA")] {
        self_signed(&home, label);
        let (service, port) = server(&home, label, &[]);
        for _ in 0..3 {
            let text = client(&home, &port, label, &[]);
            let wanted = ["Verification: OK", &format!("Peer signature type: {kind}"), "HTTP/1.0 200 ok"];
            assert!(wanted.iter().all(|w| text.contains(w)), "{text}\n--- server\n{}", service.said());
        }
    }
}

/// R93: the client proves a key of the module, too; one without is sent away.
#[test]
fn a_client_with_its_key_in_the_module() {
    let home = home();
    for label in ["rsa", "ec"] {
        self_signed(&home, label);
    }
    let (service, port) =
        server(&home, "rsa", &["-Verify", "1", "-verify_return_error", "-CAfile", "ec.pem"]);
    let key = uri("ec");
    let with_key = [&["-cert", "ec.pem", "-key", &key][..], &BY_ENGINE].concat();
    let text = client(&home, &port, "rsa", &with_key);
    assert!(text.contains("HTTP/1.0 200 ok"), "{text}\n--- server\n{}", service.said());
    let text = client(&home, &port, "rsa", &[]);
    assert!(!text.contains("HTTP/1.0 200 ok"), "{text}");
}
