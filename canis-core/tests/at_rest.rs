//! What somebody who holds the file can read: nothing.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod filled;
mod store;

use canis_core::Caller;
use canis_core::crypto::{Keys, PrivateKey, Provider, PublicKey, RUST, Random};
use canis_core::object::{Class, DestroyObject, FindObjects, Wanted};
use canis_core::secret::SecretBytes;
use canis_core::token::{ListTokens, Login, Role};
use canis_proto::{KeyType, Result};
use filled::{PIN, filled};
use rusqlite::Connection;
use std::sync::Mutex;
use store::KEYFILE;

/// Every key that was drawn in this process; one test alone draws here.
static DRAWN: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

struct Recording;

impl Random for Recording {
    fn fill(&self, out: &mut [u8]) -> Result<()> {
        RUST.random.fill(out)?;
        // Nonces (24 bytes), salts and ids (16) are public; 32 bytes are a key or a token's secret.
        if out.len() == 32 {
            DRAWN.lock().unwrap().push(out.to_vec());
        }
        Ok(())
    }
}

impl Keys for Recording {
    fn generate(&self, kind: KeyType) -> Result<SecretBytes> {
        let made = RUST.keys.generate(kind)?;
        DRAWN.lock().unwrap().push(made.expose().to_vec());
        Ok(made)
    }

    fn private(&self, kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
        RUST.keys.private(kind, pkcs8)
    }

    fn public(&self, kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
        RUST.keys.public(kind, spki)
    }
}

/// The RustCrypto provider, with every drawn key written down.
static RECORDING: Provider = Provider { random: &Recording, keys: &Recording, ..RUST };

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// R10, R64, R92: no key, PIN or token stands in any file of the store, nor a useful part of one.
#[test]
fn no_secret_is_readable_in_the_files() {
    let opened = filled(&RECORDING);
    let mut secrets = DRAWN.lock().unwrap().clone();
    assert_eq!(
        secrets.len(),
        9,
        "root key, the audit log's secret, tenant key, token, four API keys and one of PKCS#11 were drawn"
    );
    secrets.extend([
        PIN.to_vec(),
        KEYFILE.to_vec(),
        opened.token.clone().into_bytes(),
        b"the CA's private key".to_vec(),
    ]);
    let files: Vec<_> = std::fs::read_dir(opened.dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(files.iter().any(|f| f.ends_with("canis.dat-wal")), "the log is among the files: {files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        for secret in &secrets {
            // A PKCS#8 P-256 key ends in the public key; its private scalar starts at byte 36 (RFC 5915).
            let part = if secret.len() > 100 { &secret[36..52] } else { &secret[secret.len() - 16..] };
            let found = contains(&bytes, secret) || contains(&bytes, part);
            assert!(!found, "{} holds a secret of {} bytes", file.display(), secret.len());
        }
    }
    // The search itself works: a name that stands in clear is found.
    let found = |file: &str| contains(&std::fs::read(opened.dir.path().join(file)).unwrap(), b"ecdsa-p256");
    assert!(found("canis.dat") || found("canis.dat-wal"));
}

/// R19: a destroyed key's material is gone from every file, its tombstone stays, and its name is free.
#[test]
fn destroyed_material_is_gone() {
    let opened = filled(&RUST);
    let core = &opened.core;
    let token = core.call(&Caller::anonymous(), ListTokens).unwrap()[0].id;
    let application = core.application();
    let user = Caller::pkcs11(&application, token);
    core.call(&user, Login { role: Role::User, pin: SecretBytes::copied_from(PIN).into() }).unwrap();
    let find = |class| FindObjects {
        wanted: Wanted { class: Some(class), label: Some(b"signer"), ..Wanted::default() },
    };
    let object = core.call(&user, find(Class::PrivateKey)).unwrap().objects[0].id;
    let material: Vec<u8> = {
        let sql = "SELECT v.encrypted_material FROM kms_key_versions v JOIN kms_keys k ON k.id = v.key_id
                   WHERE k.name = 'signer'";
        Connection::open(opened.dir.path().join("canis.dat"))
            .unwrap()
            .query_row(sql, [], |r| r.get(0))
            .unwrap()
    };
    let stands = || {
        let files =
            std::fs::read_dir(opened.dir.path()).unwrap().map(|e| std::fs::read(e.unwrap().path()).unwrap());
        files
            .filter(|bytes| {
                contains(bytes, &material[..32]) || contains(bytes, &material[material.len() - 32..])
            })
            .count()
    };
    assert!(stands() > 0);
    core.call(&user, DestroyObject { object }).unwrap();
    assert_eq!(stands(), 0, "the sealed material is still in a file");
    let state: (String, Option<i64>) = Connection::open(opened.dir.path().join("canis.dat"))
        .unwrap()
        .query_row("SELECT state, deleted_at FROM kms_keys WHERE name LIKE '~%'", [], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })
        .unwrap();
    assert!(state.0 == "destroyed" && state.1.is_some());
    assert!(core.call(&user, find(Class::PrivateKey)).unwrap().objects.is_empty());
    opened.create("signer", KeyType::Aes256);
}
