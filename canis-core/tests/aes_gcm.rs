//! Raw AES-GCM with imported keys: where random IVs end, and short and long keys, on every provider.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod store;

use canis_core::datadir::DataDir;
use canis_core::store::{Store, UseRow};
use canis_proto::answer::AesGcmSealed;
use canis_proto::message::{DecryptAesGcm, EncryptAesGcm, ImportKey};
use canis_proto::{ErrorCode, Id, KeyFormat, KeyType, Result};
use store::{Opened, on_every_provider};

/// Imports a key of this type; gives its id.
fn import(opened: &Opened, kind: KeyType) -> Id {
    let material = vec![kind as u8; kind.bytes()];
    let request = ImportKey {
        name: kind.name().into(),
        kind,
        format: KeyFormat::Raw,
        material: material.into(),
        wrapped: false,
        wrapping_key: "".into(),
        next_version: false,
        usage: None,
        exportable: false,
        allow_plaintext_backup: false,
    };
    opened.core.call(&opened.caller, request).map(|key| Id::parse(&key.id).unwrap()).unwrap()
}

fn encrypt(opened: &Opened, kind: KeyType) -> Result<AesGcmSealed> {
    let request = EncryptAesGcm {
        name: kind.name().into(),
        plaintext: b"plain"[..].into(),
        aad: b"aad"[..].into(),
        version: 0,
    };
    opened.core.call(&opened.caller, request)
}

/// NIST SP 800-38D, section 8.3: no more than 2^32 random IVs a key. What was encrypted stays readable.
#[test]
fn random_ivs_end() {
    on_every_provider(|opened| {
        for kind in [KeyType::Aes128, KeyType::Aes192, KeyType::Aes256] {
            let key_id = import(opened, kind);
            let made = encrypt(opened, kind).unwrap();
            let store = DataDir::new(opened.dir.path()).open_store().unwrap();
            let count =
                |uses| store.count_uses(&[UseRow { key_id, version: 1, uses, last_used_at: 1 }]).unwrap();
            count((1 << 32) - 2);
            encrypt(opened, kind).unwrap();
            let refused = encrypt(opened, kind).map(|_| ()).unwrap_err();
            assert_eq!(refused.code, ErrorCode::OperationNotAllowed);
            assert!(refused.message.contains("4294967296 times"), "{refused}");
            let request = DecryptAesGcm {
                name: kind.name().into(),
                iv: made.iv.into(),
                ciphertext: made.ciphertext.into(),
                tag: made.tag.into(),
                aad: b"aad"[..].into(),
                version: made.version,
            };
            let opened = opened.core.call(&opened.caller, request).map(|answer| answer.plaintext);
            assert_eq!(opened.unwrap(), b"plain");
        }
    });
}
