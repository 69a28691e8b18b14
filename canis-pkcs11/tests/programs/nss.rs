//! NSS, the library of Firefox: its tools add the module, make keys and certificates in it, and serve with them.

use crate::home::{Home, PIN, library, said, succeed};
use crate::service::{Service, bounded};
use std::process::Command;

/// A token `nss`, and a database of NSS that knows the module.
fn home() -> Home {
    let home = Home::with_token("nss");
    std::fs::create_dir(home.path("db")).unwrap();
    std::fs::write(home.path("pin"), format!("{PIN}\n")).unwrap();
    succeed(home.command("certutil").args(["-N", "-d", "sql:db", "--empty-password"]));
    let mut modutil = home.command("modutil");
    modutil.args(["-dbdir", "sql:db", "-add", "canis", "-force", "-libfile"]).arg(library());
    assert!(succeed(&mut modutil).contains("Module \"canis\" added"));
    home
}

fn certutil(home: &Home, arguments: &[&str]) -> Command {
    let mut certutil = bounded(home, "certutil");
    certutil.args(["-d", "sql:db", "-h", "nss", "-f", "pin"]).args(arguments);
    certutil
}

/// Makes a key and its certificate for localhost on the token; the certificate is also in `<name>.pem`.
fn certificate(home: &Home, name: &str, kind: &[&str]) {
    std::fs::write(home.path("noise"), [7; 64]).unwrap();
    let make = ["-S", "-n", name, "-s", "CN=localhost", "-x", "-t", "CTu,CTu,CTu", "-z", "noise", "-v", "3"];
    succeed(certutil(home, &make).args(kind));
    let shown = certutil(home, &["-L", "-n", &format!("nss:{name}"), "-a"]).output().unwrap();
    std::fs::write(home.path(&format!("{name}.pem")), shown.stdout).unwrap();
}

const RSA: [&str; 6] = ["-k", "rsa", "-g", "2048", "-m", "1"];
const EC: [&str; 6] = ["-k", "ec", "-q", "nistp256", "-m", "2"];

/// R93: modutil adds the module; certutil makes keys and certificates there, lists and deletes them.
#[test]
fn certutil_makes_keys_and_certificates() {
    let home = home();
    let listed = succeed(home.command("modutil").args(["-dbdir", "sql:db", "-list", "canis"]));
    assert!(listed.contains("Token Name: nss") && listed.contains("Status: Enabled"), "{listed}");
    certificate(&home, "rsa", &RSA);
    certificate(&home, "ec", &EC);
    let certificates = succeed(&mut certutil(&home, &["-L"]));
    // The `u` says that NSS has found the private key.
    for name in ["rsa", "ec"] {
        let line = certificates.lines().find(|line| line.starts_with(&format!("nss:{name} ")));
        assert!(line.is_some_and(|line| line.contains("u,")), "{certificates}");
    }
    let keys = succeed(&mut certutil(&home, &["-K"]));
    assert!(keys.contains("nss:rsa") && keys.contains("nss:ec"), "{keys}");
    assert_eq!(home.tool_as_user(&["-O"]).matches("Private Key Object").count(), 2);
    succeed(&mut certutil(&home, &["-F", "-n", "nss:ec"]));
    assert_eq!(home.tool_as_user(&["-O"]).matches("Private Key Object").count(), 1);
}

/// R93: NSS's own TLS server proves a key of the module to OpenSSL.
#[test]
fn selfserv_has_its_key_in_the_module() {
    let home = home();
    for (name, kind, signature) in [("rsa", &RSA, "RSA-PSS"), ("ec", &EC, "ECDSA")] {
        certificate(&home, name, kind);
        let server = Service::listening(&home, "selfserv", |port| {
            let mut selfserv = home.command("selfserv");
            selfserv.args(["-d", "sql:db", "-n", &format!("nss:{name}"), "-p", &port.to_string()]);
            selfserv.args(["-w", PIN, "-V", "tls1.3:tls1.3"]);
            selfserv
        });
        std::fs::write(home.path("request"), "GET / HTTP/1.0\r\n\r\n").unwrap();
        let mut client = bounded(&home, "openssl");
        client.args(["s_client", "-connect", &format!("127.0.0.1:{}", server.port), "-ign_eof"]);
        client.args(["-CAfile", &format!("{name}.pem"), "-verify_return_error"]);
        let request = std::fs::File::open(home.path("request")).unwrap();
        let text = said(&client.stdin(request).output().unwrap());
        for wanted in ["Verification: OK", &format!("Peer signature type: {signature}"), "HTTP/1.0 200"] {
            assert!(
                text.contains(wanted),
                "{text}\n--- server\n{}\n--- module\n{}",
                server.said(),
                home.log()
            );
        }
    }
}

/// R93: cmsutil signs a message that OpenSSL verifies.
#[test]
fn cmsutil_signs() {
    let home = home();
    certificate(&home, "rsa", &RSA);
    std::fs::write(home.path("message"), "a message\n").unwrap();
    let mut cmsutil = bounded(&home, "cmsutil");
    cmsutil.args(["-S", "-d", "sql:db", "-f", "pin", "-N", "nss:rsa", "-G", "-P", "-i", "message"]);
    succeed(cmsutil.args(["-o", "signed"]));
    let verify = ["cms", "-verify", "-inform", "DER", "-in", "signed", "-CAfile", "rsa.pem"];
    succeed(home.command("openssl").args(verify).args(["-purpose", "any", "-out", "read"]));
    assert_eq!(std::fs::read(home.path("read")).unwrap(), b"a message\n");
}

/// R93: pk12util brings a key and its certificate from a file.
#[test]
fn pk12util_brings_a_key() {
    let home = home();
    let new = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=brought", "-keyout", "key"];
    succeed(home.command("openssl").args(new).args(["-out", "cert"]));
    let pack = ["pkcs12", "-export", "-in", "cert", "-inkey", "key", "-name", "brought", "-out", "file.p12"];
    succeed(home.command("openssl").args(pack).args(["-passout", "pass:word"]));
    let mut pk12util = bounded(&home, "pk12util");
    pk12util.args(["-d", "sql:db", "-h", "nss", "-k", "pin", "-i", "file.p12", "-W", "word"]);
    let text = said(&pk12util.output().unwrap());
    assert!(text.contains("IMPORT SUCCESSFUL"), "{text}\n--- module\n{}", home.log());
    let keys = succeed(&mut certutil(&home, &["-K"]));
    assert!(keys.contains("brought"), "{keys}");
}
