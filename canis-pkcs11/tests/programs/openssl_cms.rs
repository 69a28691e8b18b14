//! Signed and encrypted messages (CMS, RFC 5652) by OpenSSL with keys of the module.

use crate::home::{Home, succeed};
use crate::openssl::{BY_ENGINE, home, openssl, self_signed, uri};

/// R93: a message signed in the module is verified without it, and one that was changed is not.
#[test]
fn a_message_is_signed() {
    let home = home();
    std::fs::write(home.path("message"), "pay 10 crowns\n").unwrap();
    for label in ["rsa", "ec"] {
        self_signed(&home, label);
        let (certificate, key) = (format!("{label}.pem"), uri(label));
        let sign = ["cms", "-sign", "-binary", "-signer", &certificate, "-inkey", &key, "-in", "message"];
        succeed(openssl(&home, &sign).args(BY_ENGINE).args(["-outform", "PEM", "-out", "signature"]));
        let verify = |content: &str| {
            let verify =
                ["cms", "-verify", "-binary", "-inform", "PEM", "-in", "signature", "-content", content];
            let trust = ["-CAfile", &certificate, "-purpose", "any", "-out", "read"];
            home.command("openssl").args(verify).args(trust).output().unwrap().status.success()
        };
        assert!(verify("message"));
        std::fs::write(home.path("changed"), "pay 90 crowns\n").unwrap();
        assert!(!verify("changed"));
    }
}

/// R93: a message encrypted outside is opened with the key in the module, in both ways RSA encrypts.
#[test]
fn a_message_is_decrypted() {
    let home = home();
    self_signed(&home, "rsa");
    std::fs::write(home.path("message"), "for your eyes only\n").unwrap();
    opens(&home, "pkcs1");
    opens(&home, "oaep");
}

/// Asserts that a message whose key is sealed in this way comes out.
fn opens(home: &Home, padding: &str) {
    let seal =
        ["cms", "-encrypt", "-binary", "-aes256", "-in", "message", "-outform", "PEM", "-out", "sealed"];
    let padding = format!("rsa_padding_mode:{padding}");
    succeed(home.command("openssl").args(seal).args(["-recip", "rsa.pem", "-keyopt", &padding]));
    let open = ["cms", "-decrypt", "-binary", "-inform", "PEM", "-in", "sealed", "-recip", "rsa.pem"];
    succeed(openssl(home, &open).args(["-inkey", &uri("rsa"), "-out", "opened"]).args(BY_ENGINE));
    assert_eq!(std::fs::read(home.path("opened")).unwrap(), b"for your eyes only\n", "{padding}");
}
