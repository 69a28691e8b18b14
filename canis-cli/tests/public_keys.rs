//! Public keys in every form, judged by the programs that read them.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use harness::{Shared, failure, shared, stdout};
use std::fs;
use std::process::Command;

/// Types, the name OpenSSH has for them, and the curve's name in a JWK.
const TYPES: [(&str, Option<&str>, Option<&str>); 6] = [
    ("rsa-2048", Some("ssh-rsa"), None),
    ("ecdsa-p256", Some("ecdsa-sha2-nistp256"), Some("P-256")),
    ("ecdsa-p384", Some("ecdsa-sha2-nistp384"), Some("P-384")),
    ("ecdsa-p521", Some("ecdsa-sha2-nistp521"), Some("P-521")),
    ("ecdsa-secp256k1", None, Some("secp256k1")),
    ("ed25519", Some("ssh-ed25519"), Some("Ed25519")),
];

fn public(shared: &Shared, name: &str, format: &str) -> Vec<u8> {
    let output = shared.canis(&["key", "public", name, "--format", format]);
    assert!(output.status.success(), "{name} {format}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// R56: DER is what stands in the PEM, and openssl reads both alike.
#[test]
fn pem_and_der() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    for (kind, ..) in TYPES {
        let name = format!("pem/{kind}");
        stdout(&shared.canis(&["key", "create", &name, "--type", kind]));
        let (pem, der) = (folder.path().join("key.pem"), folder.path().join("key.der"));
        fs::write(&pem, public(&shared, &name, "pem")).unwrap();
        let out = der.to_str().unwrap();
        stdout(&shared.canis(&["key", "public", &name, "--format", "der", "--out", out]));
        let read = |form: &str, path: &std::path::Path| {
            let mut openssl = Command::new("openssl");
            openssl.args(["pkey", "-pubin", "-outform", "DER", "-inform", form, "-in"]).arg(path);
            openssl.output().unwrap().stdout
        };
        assert_eq!(read("PEM", &pem), fs::read(&der).unwrap(), "{kind}");
        assert_eq!(read("DER", &der), fs::read(&der).unwrap(), "{kind}");
    }
}

/// A line for authorized_keys is the one that ssh-keygen makes of the PEM, with the key's name as its comment.
#[test]
fn openssh() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    for (kind, ssh, _) in TYPES {
        let name = format!("ssh/{kind}");
        stdout(&shared.canis(&["key", "create", &name, "--type", kind]));
        let Some(ssh) = ssh else {
            let output = shared.canis(&["key", "public", &name, "--format", "openssh"]);
            assert!(failure(&output, 3).contains("operation_not_supported"));
            assert!(output.stdout.is_empty());
            continue;
        };
        let line = String::from_utf8(public(&shared, &name, "openssh")).unwrap();
        let (line_file, pem) = (folder.path().join("line.pub"), folder.path().join("key.pem"));
        fs::write(&line_file, &line).unwrap();
        let listed = Command::new("ssh-keygen").args(["-l", "-f"]).arg(&line_file).output().unwrap();
        assert!(stdout(&listed).contains(&format!(" {name} (")), "{}", stdout(&listed));
        if kind != "ed25519" {
            // ssh-keygen imports no Ed25519 key in PEM.
            fs::write(&pem, public(&shared, &name, "pem")).unwrap();
            let made =
                Command::new("ssh-keygen").args(["-i", "-m", "PKCS8", "-f"]).arg(&pem).output().unwrap();
            assert_eq!(line.trim_end(), format!("{} {name}", stdout(&made).trim_end()));
        }
        assert!(line.starts_with(ssh), "{line}");
    }
}

/// R56: a JWK holds the numbers of the SubjectPublicKeyInfo, and the version it is of.
#[test]
fn jwk() {
    let shared = shared();
    for (kind, _, curve) in TYPES {
        let name = format!("jwk/{kind}");
        stdout(&shared.canis(&["key", "create", &name, "--type", kind]));
        let jwk: serde_json::Value = serde_json::from_slice(&public(&shared, &name, "jwk")).unwrap();
        let der = public(&shared, &name, "der");
        let member = |name: &str| Base64UrlUnpadded::decode_vec(jwk[name].as_str().unwrap()).unwrap();
        assert_eq!(jwk["kid"], format!("{name}:1"));
        let numbers = match (kind, curve) {
            ("rsa-2048", _) => {
                assert_eq!(jwk["kty"], "RSA");
                assert_eq!(member("e"), [1, 0, 1]);
                [&member("n")[..], &[2, 3, 1, 0, 1]].concat()
            }
            ("ed25519", curve) => {
                assert_eq!((&jwk["kty"], jwk["crv"].as_str()), (&"OKP".into(), curve));
                member("x")
            }
            (_, curve) => {
                assert_eq!((&jwk["kty"], jwk["crv"].as_str()), (&"EC".into(), curve));
                assert_eq!(member("x").len(), member("y").len());
                [&[4][..], &member("x"), &member("y")].concat()
            }
        };
        assert!(der.ends_with(&numbers), "{kind}");
        let members = jwk.as_object().unwrap();
        assert!(!["d", "p", "q", "k"].iter().any(|secret| members.contains_key(*secret)));
    }
}

/// `--json` carries every form as text.
#[test]
fn json() {
    let shared = shared();
    stdout(&shared.canis(&["key", "create", "json/key", "--type", "ed25519"]));
    let shown = |format: &str| -> String {
        let args = ["key", "public", "json/key", "--format", format, "--json"];
        let answer: serde_json::Value = serde_json::from_str(&stdout(&shared.canis(&args))).unwrap();
        answer["public_key"].as_str().unwrap().to_owned()
    };
    assert_eq!(shown("pem").into_bytes(), public(&shared, "json/key", "pem"));
    assert_eq!(Base64::decode_vec(&shown("der")).unwrap(), public(&shared, "json/key", "der"));
    assert_eq!(shown("openssh").into_bytes(), public(&shared, "json/key", "openssh"));
    // R56: what has no public half says so, whatever the form.
    stdout(&shared.canis(&["key", "create", "json/secret", "--type", "aes256-gcm"]));
    let output = shared.canis(&["key", "public", "json/secret", "--format", "jwk"]);
    assert!(failure(&output, 3).contains("operation_not_supported"));
}
