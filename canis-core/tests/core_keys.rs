//! Keys through the one door, on every provider.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod store;

use canis_core::Caller;
use canis_proto::message::{CreateKey, Decrypt, Encrypt, ListKeys, PublicKey, ShowKey, Sign, Status, Verify};
use canis_proto::{ErrorCode, Family, KeyState, KeyType, SignatureScheme};
use store::{Opened, on_every_provider};

fn encrypt(opened: &Opened, name: &str, plaintext: &[u8], context: &[u8]) -> canis_proto::Result<String> {
    let request =
        Encrypt { name: name.into(), plaintext: plaintext.into(), context: context.into(), version: 0 };
    opened.core.call(&opened.caller, request).map(|answer| answer.ciphertext)
}

fn decrypt(opened: &Opened, name: &str, ciphertext: &str, context: &[u8]) -> canis_proto::Result<Vec<u8>> {
    let request = Decrypt { name: name.into(), ciphertext: ciphertext.into(), context: context.into() };
    opened.core.call(&opened.caller, request).map(|answer| answer.plaintext)
}

fn sign(opened: &Opened, name: &str, scheme: Option<SignatureScheme>) -> canis_proto::Result<String> {
    let request = Sign { scheme, ..Sign::new(name, &b"message"[..]) };
    opened.core.call(&opened.caller, request).map(|answer| answer.signature)
}

fn verify(
    opened: &Opened,
    name: &str,
    signature: &str,
    scheme: Option<SignatureScheme>,
) -> canis_proto::Result<bool> {
    let request = Verify { scheme, ..Verify::new(name, &b"message"[..], signature) };
    opened.core.call(&opened.caller, request).map(|answer| answer.valid)
}

const SIX: [KeyType; 6] = [
    KeyType::Aes256,
    KeyType::Rsa2048,
    KeyType::Rsa4096,
    KeyType::EcdsaP256,
    KeyType::EcdsaP384,
    KeyType::Ed25519,
];

/// R1–R6, R8: the matrix of six types and four operations.
#[test]
fn every_type_does_what_it_can_and_no_more() {
    on_every_provider(|opened| {
        for kind in SIX {
            let name = kind.name();
            opened.create(name, kind);
            let encrypts = matches!(kind.family(), Family::Aes | Family::Rsa);
            match encrypt(opened, name, b"plain", b"") {
                Ok(ciphertext) if encrypts => {
                    assert_eq!(decrypt(opened, name, &ciphertext, b"").unwrap(), b"plain");
                }
                Err(e) if !encrypts => assert_eq!(e.code, ErrorCode::OperationNotSupported, "{name}: {e}"),
                other => panic!("{name} encrypt: {other:?}"),
            }
            match sign(opened, name, None) {
                Ok(signature) if kind.is_asymmetric() => {
                    assert!(verify(opened, name, &signature, None).unwrap());
                }
                Err(e) if !kind.is_asymmetric() => assert_eq!(e.code, ErrorCode::OperationNotSupported),
                other => panic!("{name} sign: {other:?}"),
            }
        }
    });
}

/// The further types do what they are for.
#[test]
fn further_types() {
    on_every_provider(|opened| {
        for kind in [
            KeyType::EcdsaP521,
            KeyType::EcdsaSecp256k1,
            KeyType::Aes128,
            KeyType::Aes192,
            KeyType::MlDsa44,
            KeyType::MlDsa65,
            KeyType::MlDsa87,
            KeyType::SlhDsaSha2128f,
            KeyType::SlhDsaSha2192f,
            KeyType::SlhDsaSha2256f,
        ] {
            opened.create(kind.name(), kind);
            if kind.is_asymmetric() {
                let signature = sign(opened, kind.name(), None).unwrap();
                assert!(verify(opened, kind.name(), &signature, None).unwrap());
            } else {
                let ciphertext = encrypt(opened, kind.name(), b"plain", b"").unwrap();
                assert_eq!(decrypt(opened, kind.name(), &ciphertext, b"").unwrap(), b"plain");
            }
        }
    });
}

/// R38, R39, R41, R1: the header is authenticated, the context too, and a flipped bit yields nothing.
#[test]
fn ciphertexts_are_bound_to_key_version_and_context() {
    on_every_provider(|opened| {
        opened.create("a", KeyType::Aes256);
        opened.create("b", KeyType::Aes256);
        let ciphertext = encrypt(opened, "a", b"plain", b"context").unwrap();
        assert!(ciphertext.starts_with("canis:v1:a:1:"));
        assert_eq!(decrypt(opened, "a", &ciphertext, b"context").unwrap(), b"plain");
        let code =
            |name: &str, text: &str, context: &[u8]| decrypt(opened, name, text, context).unwrap_err().code;
        assert_eq!(code("a", &ciphertext, b"other"), ErrorCode::DecryptionFailed);
        assert_eq!(code("a", &ciphertext, b""), ErrorCode::DecryptionFailed);
        assert_eq!(code("b", &ciphertext, b"context"), ErrorCode::InvalidArgument);
        let renamed = ciphertext.replacen(":a:", ":b:", 1);
        assert_eq!(code("b", &renamed, b"context"), ErrorCode::DecryptionFailed);
        let other_version = ciphertext.replacen(":1:", ":2:", 1);
        assert_eq!(code("a", &other_version, b"context"), ErrorCode::VersionNotFound);
        let mut sealed = canis_proto::text::Sealed::parse(&ciphertext).unwrap();
        for at in 0..sealed.bytes.len() {
            sealed.bytes[at] ^= 1;
            assert_eq!(code("a", &sealed.to_text(), b"context"), ErrorCode::DecryptionFailed, "byte {at}");
            sealed.bytes[at] ^= 1;
        }
        for len in 0..sealed.bytes.len() {
            let short = canis_proto::text::Sealed { bytes: sealed.bytes[..len].to_vec(), ..sealed.clone() };
            assert_eq!(code("a", &short.to_text(), b"context"), ErrorCode::DecryptionFailed, "{len} bytes");
        }
    });
}

/// R40: no two encryptions of one plaintext are alike.
#[test]
fn nonces_are_fresh() {
    on_every_provider(|opened| {
        opened.create("a", KeyType::Aes256);
        let mut seen = std::collections::HashSet::new();
        for _ in 0..10_000 {
            assert!(seen.insert(encrypt(opened, "a", b"", b"").unwrap()));
        }
    });
}

/// R34, R42: a wrong signature is an answer; another key's signature is refused.
#[test]
fn signatures() {
    on_every_provider(|opened| {
        opened.create("p", KeyType::EcdsaP256);
        opened.create("r", KeyType::Rsa2048);
        let signature = sign(opened, "p", None).unwrap();
        let mut sealed = canis_proto::text::Sealed::parse(&signature).unwrap();
        assert_eq!(verify(opened, "r", &signature, None).unwrap_err().code, ErrorCode::InvalidArgument);
        sealed.bytes[10] ^= 1;
        assert!(!verify(opened, "p", &sealed.to_text(), None).unwrap());
        sealed.bytes.clear();
        assert!(!verify(opened, "p", &sealed.to_text(), None).unwrap());
        for scheme in SignatureScheme::ALL {
            let made = sign(opened, "r", Some(*scheme));
            match scheme.family() {
                Family::Rsa => {
                    let signature = made.unwrap();
                    assert!(verify(opened, "r", &signature, Some(*scheme)).unwrap());
                    let other =
                        SignatureScheme::ALL.iter().find(|s| s.family() == Family::Rsa && *s != scheme);
                    assert!(!verify(opened, "r", &signature, other.copied()).unwrap());
                }
                _ => assert_eq!(made.unwrap_err().code, ErrorCode::OperationNotSupported),
            }
        }
    });
}

/// R9, R13, R15: a fresh key's metadata and defaults.
#[test]
fn metadata_of_a_fresh_key() {
    on_every_provider(|opened| {
        opened.create("production/x", KeyType::Ed25519);
        let info = opened
            .core
            .call(&opened.caller, ShowKey { name: "production/x".into(), before_version: 0 })
            .unwrap();
        assert_eq!(
            (info.current_version, info.min_decryption_version, info.min_encryption_version),
            (1, 1, 0)
        );
        assert_eq!(
            (info.deletion_allowed, info.exportable, info.allow_plaintext_backup),
            (true, false, false)
        );
        assert_eq!((info.state, info.kind, info.versions.len()), (KeyState::Active, KeyType::Ed25519, 1));
        assert!(info.created_at > 1_600_000_000_000_000 && info.updated_at == info.created_at);
    });
}

/// R11, R12: names are unique, hierarchical, and refused when malformed.
#[test]
fn names() {
    on_every_provider(|opened| {
        opened.create("a/b", KeyType::Aes256);
        let create = |name: &'static str| {
            let kind = KeyType::Aes256;
            let request = CreateKey::new(name, kind);
            opened.core.call(&opened.caller, request).map(|_| ()).unwrap_err().code
        };
        assert_eq!(create("a/b"), ErrorCode::KeyExists);
        assert_eq!(create("a:b"), ErrorCode::InvalidName);
        assert_eq!(create("a/../b"), ErrorCode::InvalidName);
        let list = ListKeys { prefix: "a/".into(), after: "".into(), limit: 0, include_deleted: false };
        assert_eq!(opened.core.call(&opened.caller, list).unwrap().keys.len(), 1);
        let missing = opened
            .core
            .call(&opened.caller, ShowKey { name: "nope".into(), before_version: 0 })
            .map(|_| ())
            .unwrap_err();
        assert_eq!(missing.code, ErrorCode::KeyNotFound);
        assert!(missing.message.contains("`nope`"));
    });
}

/// R56: a reader gets the public key; a secret key has none.
#[test]
fn public_keys() {
    on_every_provider(|opened| {
        opened.create("a", KeyType::Aes256);
        opened.create("p", KeyType::EcdsaP384);
        let public = |name: &'static str| {
            opened.core.call(&opened.caller, PublicKey { name: name.into(), version: 0 })
        };
        assert_eq!(public("p").map(|k| k.kind).unwrap_or(KeyType::Aes256), KeyType::EcdsaP384);
        assert_eq!(public("a").map(|_| ()).unwrap_err().code, ErrorCode::OperationNotSupported);
    });
}

/// R61: nobody may ask for anything but the status.
#[test]
fn nobody_sees_only_the_status() {
    on_every_provider(|opened| {
        let nobody = Caller::anonymous();
        assert!(!opened.core.call(&nobody, Status).map(|s| s.sealed).unwrap());
        let refused = opened
            .core
            .call(&nobody, ShowKey { name: "x".into(), before_version: 0 })
            .map(|_| ())
            .unwrap_err();
        assert_eq!(refused.code, ErrorCode::Unauthenticated);
        let mut wrong = opened.token.clone();
        wrong.replace_range(30..31, if &wrong[30..31] == "A" { "B" } else { "A" });
        for token in ["", "canis_", "canis_AAAA", &wrong, &opened.token[..60]] {
            let error = opened.core.authenticate(token).map(|_| ()).unwrap_err();
            assert_eq!(error.code, ErrorCode::Unauthenticated, "{token}");
        }
    });
}
