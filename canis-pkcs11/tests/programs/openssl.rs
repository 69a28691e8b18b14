//! OpenSSL through its PKCS#11 engine: keys, requests, certificates.

use crate::home::{Home, PIN, library, succeed};
use crate::service::bounded;
use std::process::Command;

/// The arguments that make a key of the module the one to use.
pub(crate) const BY_ENGINE: [&str; 4] = ["-engine", "pkcs11", "-keyform", "engine"];

/// A token `openssl` with the keys `rsa` and `ec`, and a configuration with which OpenSSL loads the module.
pub(crate) fn home() -> Home {
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

/// An OpenSSL that knows the module.
pub(crate) fn openssl(home: &Home, arguments: &[&str]) -> Command {
    let mut command = bounded(home, "openssl");
    command.env("OPENSSL_CONF", home.path("openssl.cnf")).args(arguments);
    command
}

/// The URI of a key.
pub(crate) fn uri(label: &str) -> String {
    format!("pkcs11:token=openssl;object={label};type=private;pin-value={PIN}")
}

/// Makes `<label>.pem`, a certificate for localhost that the key signs itself.
pub(crate) fn self_signed(home: &Home, label: &str) {
    let request = ["req", "-x509", "-new", "-key", &uri(label), "-subj", "/CN=localhost", "-days", "2"];
    let extensions = ["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=CA:TRUE"];
    let out = ["-out", &format!("{label}.pem")];
    succeed(openssl(home, &request).args(BY_ENGINE).args(extensions).args(out));
}

/// R93: a certificate request signed in the module is certified by a CA, and the chain is accepted.
#[test]
fn a_certificate_for_a_key_in_the_module() {
    let home = home();
    let ca = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=ca", "-days", "2"];
    succeed(home.command("openssl").args(ca).args(["-keyout", "ca.key", "-out", "ca.pem"]));
    for label in ["rsa", "ec"] {
        let subject = format!("/CN={label}");
        let request = ["req", "-new", "-key", &uri(label), "-subj", &subject, "-out", "request"];
        succeed(openssl(&home, &request).args(BY_ENGINE));
        let sign = ["x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial"];
        succeed(home.command("openssl").args(sign).args(["-out", "cert.pem", "-days", "1"]));
        let verified = succeed(home.command("openssl").args(["verify", "-CAfile", "ca.pem", "cert.pem"]));
        assert!(verified.contains("cert.pem: OK"), "{verified}");

        // The certificate is for the key in the module: what the key signs, the certificate verifies.
        std::fs::write(home.path("message"), b"message").unwrap();
        let dgst = ["dgst", "-sha256", "-sign", &uri(label), "-out", "signature"];
        succeed(openssl(&home, &dgst).args(BY_ENGINE).arg("message"));
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
    let mut dgst = openssl(&home, &["dgst", "-sha256", "-sign", &uri("nobody")]);
    let status = dgst.args(BY_ENGINE).arg("message").output().unwrap().status;
    assert_eq!(status.code(), Some(1), "{status}");
}

/// R93: a certificate authority whose keys are in the module certifies a key outside, and the chain is accepted.
#[test]
fn a_certificate_authority_with_its_key_in_the_module() {
    let home = home();
    let new = ["req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
    succeed(openssl(&home, &new).args(["-keyout", "leaf.key", "-subj", "/CN=leaf", "-out", "request"]));
    for label in ["rsa", "ec"] {
        self_signed(&home, label);
        let (authority, key) = (format!("{label}.pem"), uri(label));
        let sign =
            ["x509", "-req", "-in", "request", "-CA", &authority, "-CAkey", &key, "-CAkeyform", "engine"];
        succeed(openssl(&home, &sign).args(["-engine", "pkcs11", "-CAcreateserial", "-out", "leaf.pem"]));
        let verified = succeed(home.command("openssl").args(["verify", "-CAfile", &authority, "leaf.pem"]));
        assert!(verified.contains("leaf.pem: OK"), "{verified}");
    }
}
