//! OpenSSL through its PKCS#11 engine.

use crate::harness::{Home, PIN, library, succeed};
use std::process::Command;

/// A token whose two keys are named in PKCS#11 URIs, and an OpenSSL that loads the module.
fn home() -> Home {
    let home = Home::with_token("openssl");
    for (kind, label, id) in [("rsa:2048", "rsa", "01"), ("EC:prime256v1", "ec", "02")] {
        home.tool_as_user(&["--keypairgen", "--key-type", kind, "--label", label, "--id", id]);
    }
    let configuration = format!(
        "openssl_conf = init\n[init]\nengines = engines\n[engines]\npkcs11 = pkcs11\n[pkcs11]\nengine_id = pkcs11\n\
         MODULE_PATH = {}\ninit = 0\n[req]\ndistinguished_name = dn\n[dn]\n",
        library().display()
    );
    std::fs::write(home.path("openssl.cnf"), configuration).unwrap();
    home
}

fn openssl(home: &Home, arguments: &[&str]) -> Command {
    let mut command = home.command("openssl");
    command.env("OPENSSL_CONF", home.path("openssl.cnf")).args(arguments);
    command
}

fn uri(label: &str) -> String {
    format!("pkcs11:token=openssl;object={label};type=private;pin-value={PIN}")
}

/// R93: a certificate request signed in the module is certified by a CA, and the chain is accepted.
#[test]
fn a_certificate_for_a_key_in_the_module() {
    let home = home();
    let ca = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ca", "-days", "2"];
    succeed(home.command("openssl").args(ca).args(["-keyout", "ca.key", "-out", "ca.pem"]));
    for label in ["rsa", "ec"] {
        let subject = format!("/CN={label}");
        let request = [
            "req",
            "-new",
            "-engine",
            "pkcs11",
            "-keyform",
            "engine",
            "-key",
            &uri(label),
            "-subj",
            &subject,
        ];
        succeed(openssl(&home, &request).args(["-out", "request"]));
        let sign = ["x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        succeed(home.command("openssl").args(sign).args(["-out", "cert.pem", "-days", "1"]));
        let verified = succeed(home.command("openssl").args(["verify", "-CAfile", "ca.pem", "cert.pem"]));
        assert!(verified.contains("cert.pem: OK"), "{verified}");

        // The certificate is for the key in the module: what the key signs, the certificate verifies.
        std::fs::write(home.path("message"), b"message").unwrap();
        let dgst = ["dgst", "-engine", "pkcs11", "-keyform", "engine", "-sha256", "-sign", &uri(label)];
        succeed(openssl(&home, &dgst).args(["-out", "signature", "message"]));
        let public = succeed(home.command("openssl").args(["x509", "-in", "cert.pem", "-noout", "-pubkey"]));
        std::fs::write(home.path("public"), public).unwrap();
        let verify = ["dgst", "-sha256", "-verify", "public", "-signature", "signature", "message"];
        assert!(succeed(home.command("openssl").args(verify)).contains("Verified OK"));
    }
}

/// A look-up that fails must not crash at exit, where other modules do.
#[test]
fn a_key_that_is_not_there_is_an_error_and_no_crash() {
    let home = home();
    std::fs::write(home.path("message"), b"message").unwrap();
    let dgst =
        ["dgst", "-engine", "pkcs11", "-keyform", "engine", "-sha256", "-sign", &uri("nobody"), "message"];
    let status = openssl(&home, &dgst).output().unwrap().status;
    assert_eq!(status.code(), Some(1), "{status}");
}
