//! Backups: whole or refused, made while others write, and no way back for what was destroyed.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod store;

use canis_core::backup::{self, Merged, RestoreBackup};
use canis_core::crypto::RUST;
use canis_core::datadir::DataDir;
use canis_core::moving::Place;
use canis_core::root::{Credential, NewRoot};
use canis_core::secret::SecretBytes;
use canis_core::token::ListTokens;
use canis_core::{Caller, Core, VerifyStore, setup};
use canis_proto::backup::{CreateBackup, ReadBackup};
use canis_proto::message::{CreateKey, Decrypt, DestroyKey, DisableKey, Encrypt, RotateKey};
use canis_proto::{ErrorCode, Interval, KeyType};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use store::{KEYFILE, Opened, fresh, open};

fn keyfile() -> Credential {
    Credential::Keyfile(SecretBytes::copied_from(&KEYFILE))
}

/// A backup, read to its end by pieces.
fn made(core: &Core, caller: &Caller) -> Vec<u8> {
    let slot = CreateBackup { slot: "keyfile".into(), public_key: (&b""[..]).into() };
    let made = core.call(caller, slot).unwrap();
    let mut bytes = Vec::new();
    loop {
        let offset = bytes.len() as u64;
        let piece = core.call(caller, ReadBackup { backup: made.backup.as_str().into(), offset }).unwrap();
        bytes.extend(piece.data);
        if piece.last {
            assert_eq!(bytes.len() as u64, made.bytes);
            return bytes;
        }
    }
}

fn place(dir: &tempfile::TempDir) -> Place {
    Place::of(&DataDir::new(dir.path())).unwrap()
}

fn restored(bytes: &[u8]) -> (tempfile::TempDir, Core) {
    let dir = tempfile::tempdir().unwrap();
    backup::restore(&RUST, &place(&dir), bytes, &keyfile()).unwrap();
    let core = open(dir.path(), &RUST);
    (dir, core)
}

fn assert_whole(core: &Core) {
    let token = core.call(&Caller::anonymous(), ListTokens).unwrap()[0].id;
    assert_eq!(core.call(&core.owner(token).unwrap(), VerifyStore).unwrap().refused, []);
}

fn encrypt(core: &Core, caller: &Caller, name: &str) -> canis_proto::Result<String> {
    let request =
        Encrypt { name: name.into(), plaintext: b"x"[..].into(), context: (&b""[..]).into(), version: 0 };
    core.call(caller, request).map(|answer| answer.ciphertext)
}

fn decrypts(core: &Core, caller: &Caller, name: &str, ciphertext: &str) -> bool {
    let request = Decrypt { name: name.into(), ciphertext: ciphertext.into(), context: (&b""[..]).into() };
    core.call(caller, request).is_ok_and(|answer| answer.plaintext == b"x")
}

fn destroy(core: &Core, caller: &Caller, name: &str) {
    core.call(caller, DisableKey { name: name.into() }).unwrap();
    core.call(caller, DestroyKey { name: name.into(), delay: Interval::NEVER }).unwrap();
}

/// A backup made while four others write holds every key that was acknowledged before it, and is whole.
#[test]
fn made_while_others_write() {
    let Opened { dir: _dir, core, caller, token } = fresh(&RUST);
    let (stop, acknowledged) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    let (before, bytes) = std::thread::scope(|scope| {
        for writer in 0..4 {
            let (core, caller, stop, acknowledged) = (&core, &caller, &stop, &acknowledged);
            scope.spawn(move || {
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    let name = format!("w{writer}-{n}");
                    core.call(caller, CreateKey::new(name.clone(), KeyType::Aes256)).unwrap();
                    let ciphertext = encrypt(core, caller, &name).unwrap();
                    acknowledged.lock().unwrap().push((name.clone(), ciphertext));
                    core.call(caller, RotateKey { name: name.into(), preview: false }).unwrap();
                }
            });
        }
        while acknowledged.lock().unwrap().len() < 12 {
            std::thread::yield_now();
        }
        let before = acknowledged.lock().unwrap().clone();
        let bytes = made(&core, &caller);
        stop.store(true, Ordering::Relaxed);
        (before, bytes)
    });
    let facts = backup::verify(&RUST, &bytes[..], &keyfile()).unwrap();
    let (_copied, copy) = restored(&bytes);
    assert_whole(&copy);
    assert_eq!(
        facts.store.to_string(),
        copy.call(&Caller::anonymous(), canis_proto::message::Status).unwrap().store
    );
    let caller = copy.authenticate(&token).unwrap();
    for (name, ciphertext) in before {
        assert!(decrypts(&copy, &caller, &name, &ciphertext), "{name}");
    }
    // The copy is a store as any other.
    copy.call(&caller, CreateKey::new("new", KeyType::Ed25519)).unwrap();
    assert_whole(&copy);
}

/// R64: whatever is done to the file, nothing is restored.
#[test]
fn a_spoilt_backup_restores_nothing() {
    let Opened { dir: _dir, core, caller, .. } = fresh(&RUST);
    for n in 0..60 {
        core.call(&caller, CreateKey::new(format!("{n}/{}", "long".repeat(50)), KeyType::Aes256)).unwrap();
    }
    let bytes = made(&core, &caller);
    let other = made(&core, &caller);
    assert!(bytes.len() > 100_000, "more than one chunk: {}", bytes.len());
    let refused = |spoilt: &[u8], what: &str| {
        let dir = tempfile::tempdir().unwrap();
        let error = backup::restore(&RUST, &place(&dir), spoilt, &keyfile()).unwrap_err();
        let codes = [
            ErrorCode::StoreTampered,
            ErrorCode::StoreFormat,
            ErrorCode::RootCredentialWrong,
            ErrorCode::InvalidArgument,
        ];
        assert!(codes.contains(&error.code), "{what}: {error}");
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|f| f.unwrap().file_name()).collect();
        assert!(left.iter().all(|name| name == "canis.dat.lock"), "{what}: {left:?}");
    };
    for at in (0..bytes.len()).step_by(997).chain(0..64) {
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 1;
        refused(&spoilt, &format!("byte {at}"));
    }
    for cut in (0..bytes.len()).step_by(4999).chain([bytes.len() - 1]) {
        refused(&bytes[..cut], &format!("cut at {cut}"));
    }
    refused(&[&bytes[..], &[0]].concat(), "a byte more");
    // The header and first chunk of one, the rest of another; a chunk doubled; the last one in place of the first.
    let header = 12 + u32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
    let chunk = header + 5 + u32::from_be_bytes(bytes[header + 1..header + 5].try_into().unwrap()) as usize;
    refused(&[&bytes[..chunk], &other[chunk..]].concat(), "spliced");
    refused(&[&bytes[..chunk], &bytes[header..]].concat(), "doubled");
    refused(&[&bytes[..header], &bytes[chunk..]].concat(), "left out");
    let mut marked = bytes[..chunk].to_vec();
    marked[header] = 1;
    refused(&marked, "called the last");
    let wrong = Credential::Keyfile(SecretBytes::copied_from(&[1; 32]));
    assert_eq!(backup::verify(&RUST, &bytes[..], &wrong).unwrap_err().code, ErrorCode::RootCredentialWrong);
}

/// What is destroyed stays so, unless it is said otherwise; what was lost comes back; what is there stays as it is.
#[test]
fn into_a_store_that_is_there() {
    let Opened { dir, core, caller, .. } = fresh(&RUST);
    for name in ["destroyed", "kept", "lost"] {
        core.call(&caller, CreateKey::new(name, KeyType::Aes256)).unwrap();
    }
    let texts: Vec<_> = ["destroyed", "lost"].map(|name| encrypt(&core, &caller, name).unwrap()).into();
    let bytes = made(&core, &caller);
    destroy(&core, &caller, "destroyed");
    core.call(&caller, RotateKey { name: "kept".into(), preview: false }).unwrap();
    core.call(&caller, CreateKey::new("later", KeyType::Aes256)).unwrap();
    let kept = encrypt(&core, &caller, "kept").unwrap();
    drop(core);
    let damage = rusqlite::Connection::open(dir.path().join("canis.dat")).unwrap();
    damage
        .execute_batch(
            "PRAGMA foreign_keys = OFF;
             DELETE FROM kms_key_versions WHERE key_id = (SELECT id FROM kms_keys WHERE name = 'lost');
             DELETE FROM objects WHERE key_id = (SELECT id FROM kms_keys WHERE name = 'lost');
             DELETE FROM kms_keys WHERE name = 'lost';",
        )
        .unwrap();
    drop(damage);
    let core = open(dir.path(), &RUST);
    let bring = |resurrect| -> canis_proto::Result<Merged> {
        core.call(&core.operator(), RestoreBackup { file: &mut &bytes[..], resurrect })
    };
    assert_eq!(
        core.call(&caller, RestoreBackup { file: &mut &bytes[..], resurrect: false }).unwrap_err().code,
        ErrorCode::OperationNotAllowed,
        "a token is not enough"
    );
    let merged = bring(false).unwrap();
    assert_eq!(merged.left_out, 1);
    let caller = core.administrator().unwrap();
    assert!(decrypts(&core, &caller, "lost", &texts[1]));
    assert!(!decrypts(&core, &caller, "destroyed", &texts[0]));
    assert!(decrypts(&core, &caller, "kept", &kept) && encrypt(&core, &caller, "later").is_ok());
    assert_whole(&core);
    bring(true).unwrap();
    assert!(decrypts(&core, &caller, "destroyed", &texts[0]));
    assert!(decrypts(&core, &caller, "kept", &kept));
    assert_whole(&core);
    // Cut off, it changes nothing; of another store, neither.
    let cut = &bytes[..bytes.len() - 1];
    let refused = core.call(&core.operator(), RestoreBackup { file: &mut &cut[..], resurrect: true });
    assert_eq!(refused.unwrap_err().code, ErrorCode::StoreTampered);
    let other = fresh(&RUST);
    let foreign =
        other.core.call(&other.core.operator(), RestoreBackup { file: &mut &bytes[..], resurrect: true });
    assert!(foreign.is_err());
}

/// A revoked token, and a wiped tenant's keys, do not come back by themselves.
#[test]
fn credentials_stay_revoked() {
    let Opened { dir: _dir, core, caller, token } = fresh(&RUST);
    let bytes = made(&core, &caller);
    let id = canis_proto::credential::ListCredentials { tenant: "".into() };
    let credentials = core.call(&caller, id).unwrap().credentials;
    let revoke = canis_proto::credential::RevokeCredential { id: credentials[0].id.as_str().into() };
    core.call(&caller, revoke).unwrap();
    let merged =
        core.call(&core.operator(), RestoreBackup { file: &mut &bytes[..], resurrect: false }).unwrap();
    assert_eq!((merged.restored, merged.left_out), (0, 1));
    assert_eq!(core.authenticate(&token).map(|_| ()).unwrap_err().code, ErrorCode::Unauthenticated);
    core.call(&core.operator(), RestoreBackup { file: &mut &bytes[..], resurrect: true }).unwrap();
    core.authenticate(&token).unwrap();
}

/// A recipient's backup opens by the private half alone, and so does the store that comes of it.
#[test]
fn for_a_recipient() {
    let private = canis_tests::run(
        std::process::Command::new("openssl").args(["genpkey", "-algorithm", "X25519", "-outform", "DER"]),
        b"",
    )
    .ok()
    .stdout;
    let public = canis_tests::run(
        std::process::Command::new("openssl").args(["pkey", "-inform", "DER", "-pubout", "-outform", "DER"]),
        &private,
    )
    .ok()
    .stdout;
    let Opened { dir: _dir, core, caller, token } = fresh(&RUST);
    core.call(&caller, CreateKey::new("k", KeyType::Aes256)).unwrap();
    let text = encrypt(&core, &caller, "k").unwrap();
    let request = CreateBackup { slot: "".into(), public_key: public.into() };
    let made = core.call(&caller, request).unwrap();
    let piece = core.call(&caller, ReadBackup { backup: made.backup.into(), offset: 0 }).unwrap();
    assert!(piece.last);
    let credential = Credential::Recipient(SecretBytes::copied_from(&private));
    assert_eq!(
        backup::verify(&RUST, &piece.data[..], &keyfile()).unwrap_err().code,
        ErrorCode::InvalidArgument
    );
    let dir = tempfile::tempdir().unwrap();
    backup::restore(&RUST, &place(&dir), &piece.data[..], &credential).unwrap();
    let store = Arc::new(DataDir::new(dir.path()).open_store().unwrap());
    let copy = Core::open(store, &RUST, Arc::new(canis_core::clock::SystemClock)).unwrap();
    copy.unseal(&credential).unwrap();
    assert!(decrypts(&copy, &copy.authenticate(&token).unwrap(), "k", &text));
    assert_whole(&copy);
}

/// Only who made a backup reads it, and only for a while.
#[test]
fn a_backup_is_read_by_who_made_it() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(store::TestClock::at(1_800_000_000));
    let root = NewRoot::Keyfile { key: SecretBytes::copied_from(&KEYFILE) };
    let created = setup::create(&DataDir::new(dir.path()), root, &[], &RUST, clock.clone()).unwrap();
    let core = store::open_at(dir.path(), &RUST, clock.clone());
    let caller = core.authenticate(std::str::from_utf8(created.token.expose()).unwrap()).unwrap();
    let slot = || CreateBackup { slot: "keyfile".into(), public_key: (&b""[..]).into() };
    let made = core.call(&caller, slot()).unwrap();
    let read = || ReadBackup { backup: made.backup.clone().into(), offset: 0 };
    assert!(core.call(&core.administrator().unwrap(), read()).is_err());
    clock.advance(601);
    assert!(core.call(&caller, read()).is_err());
    for wrong in [
        CreateBackup { slot: "".into(), public_key: (&b""[..]).into() },
        CreateBackup { slot: "keyfile".into(), public_key: (&b"x"[..]).into() },
        CreateBackup { slot: "".into(), public_key: (&b"x"[..]).into() },
        CreateBackup { slot: "hsm".into(), public_key: (&b""[..]).into() },
    ] {
        assert_eq!(core.call(&caller, wrong).map(|_| ()).unwrap_err().code, ErrorCode::InvalidArgument);
    }
}
