//! A new root key: everything stands under it afterwards, nothing opens by the old one, nobody at work notices.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod filled;
mod store;

use canis_core::crypto::RUST;
use canis_core::datadir::DataDir;
use canis_core::root::{Credential, Share, Split};
use canis_core::secret::SecretBytes;
use canis_core::token::{ListTokens, Login, Role};
use canis_core::{Caller, Core, VerifyStore};
use canis_proto::credential::CreateCredential;
use canis_proto::message::{CreateKey, ShowKey, WireRequest};
use canis_proto::policy::PutPolicy;
use canis_proto::root::{AddRoot, ListRoots, RotateRoot, RotateRootKey};
use canis_proto::slot::InitSlot;
use canis_proto::value::Map;
use canis_proto::{Capabilities, ErrorCode, Id, KeyType, Result};
use filled::{PIN, filled};
use rusqlite::Connection;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use store::{KEYFILE, Opened, kept, open};

fn add(core: &Core, root: &RotateRoot<'_>) {
    let mut fields = root.to_map();
    fields.take("slot");
    let mut fields = canis_proto::fields::Fields::new("root.add", fields);
    core.call(&core.operator(), AddRoot::from_fields(&mut fields).unwrap()).map(|_| ()).unwrap();
}

fn rotate(core: &Core, keep: &[RotateRoot<'_>], drop: &[&str]) -> Result<u32> {
    let keep: Vec<Map<'_>> = keep.iter().map(WireRequest::to_map).collect();
    let drop = drop.iter().map(|slot| (*slot).into()).collect();
    core.call(&core.operator(), RotateRootKey { keep, drop }).map(|answer| answer.root_key)
}

fn assert_whole(core: &Core) {
    let tokens = core.call(&Caller::anonymous(), ListTokens).unwrap();
    let report = core.call(&core.owner(tokens[0].id).unwrap(), VerifyStore).unwrap();
    assert!(report.refused.is_empty() && report.rows > 10, "{report:?}");
}

fn sealed(dir: &Path) -> Core {
    let store = std::sync::Arc::new(DataDir::new(dir).open_store().unwrap());
    Core::open(store, &RUST, std::sync::Arc::new(canis_core::clock::SystemClock)).unwrap()
}

/// A token that may read the one of two keys, by a policy.
fn bearer_of_a_policy(core: &Core, caller: &Caller) -> String {
    for name in ["policy/one", "policy/two"] {
        core.call(caller, CreateKey::new(name, KeyType::Aes256)).unwrap();
    }
    let text = "path \"kms/keys/policy/one\" { capabilities = [\"read\"] }";
    let policy = PutPolicy { name: "one".into(), text: text.into(), revision: None, force: false };
    core.call(caller, policy).unwrap();
    let bearing =
        CreateCredential { policies: vec!["one".into()], ..CreateCredential::new(Capabilities::NONE) };
    core.call(caller, bearing).unwrap().token.clone().unwrap()
}

fn init_slot(core: &Core, label: &str) {
    let so_pin = b"so-pin-8765"[..].into();
    let made = InitSlot { token: label.to_owned().into(), so_pin, pin: Some(PIN.into()) };
    core.call(&core.operator(), made).map(|_| ()).unwrap();
}

/// R92: rows of every kind stand under the new key: tenants, PINs with and without the root around them, tokens, the
/// CA's key, public objects. Who is logged in stays so, and PINs open what they opened.
#[test]
fn everything_moves() {
    let opened = filled(&RUST);
    let core = &opened.core;
    init_slot(core, "guarded");
    let guarded = core.call(&Caller::anonymous(), ListTokens).unwrap()[1].id;
    let application = core.application();
    let user = Caller::pkcs11(&application, guarded);
    let pin = SecretBytes::copied_from(PIN);
    let log_in = |core: &Core, user: &Caller| {
        core.call(user, Login { role: Role::User, pin: canis_core::token::Pin::Lent(&pin) })
    };
    log_in(core, &user).unwrap();
    let token = bearer_of_a_policy(core, &opened.caller);
    for number in 2..4 {
        assert_eq!(rotate(core, &[kept("keyfile", "keyfile", &KEYFILE)], &[]).unwrap(), number);
        assert_whole(core);
        assert_eq!(core.role(&user).unwrap(), Some(Role::User), "who is logged in stays so");
        core.authenticate(&opened.token).map(|_| ()).unwrap();
        let bearer = core.authenticate(&token).unwrap();
        let read =
            |name: &str| core.call(&bearer, ShowKey { name: name.into(), before_version: 0 }).map(drop);
        assert_eq!(read("policy/one"), Ok(()));
        assert_eq!(read("policy/two").unwrap_err().code, ErrorCode::PermissionDenied);
    }
    let Opened { dir, core, token, .. } = opened;
    drop(core);
    let core = open(dir.path(), &RUST);
    assert_whole(&core);
    core.authenticate(&token).map(|_| ()).unwrap();
    log_in(&core, &Caller::pkcs11(&core.application(), guarded)).unwrap();
    assert_eq!(core.call(&core.operator(), ListRoots).map(|list| list.root_key).unwrap(), 3);
}

/// R92: slots that were dropped are gone, and one from an older copy of the file opens nothing, though its credential is
/// right.
#[test]
fn old_slots_are_refused() {
    let opened = filled(&RUST);
    add(&opened.core, &kept("", "passphrase", b"a passphrase"));
    let path = opened.dir.path().join("canis.dat");
    let slots = |path: &Path| -> Vec<(Vec<u8>, Vec<u8>)> {
        let store = Connection::open(path).unwrap();
        let mut found = store.prepare("SELECT id, body FROM root_slots ORDER BY rowid").unwrap();
        found.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap().map(Result::unwrap).collect()
    };
    let old = slots(&path);
    let forgotten = rotate(&opened.core, &[kept("keyfile", "keyfile", &KEYFILE)], &[]).unwrap_err();
    assert!(forgotten.message.contains("(passphrase)"), "{forgotten}");
    rotate(&opened.core, &[kept("keyfile", "keyfile", &KEYFILE)], &["passphrase"]).unwrap();
    assert_eq!(slots(&path).len(), 1);
    let Opened { dir, core, .. } = opened;
    drop(core);
    let core = sealed(dir.path());
    let passphrase = Credential::Passphrase(SecretBytes::copied_from(b"a passphrase"));
    assert_eq!(core.unseal(&passphrase).unwrap_err().code, ErrorCode::InvalidArgument);
    let store = Connection::open(&path).unwrap();
    store.execute("INSERT INTO root_slots VALUES (?1, 'passphrase', 1, ?2)", (&old[1].0, &old[1].1)).unwrap();
    let planted = core.unseal(&passphrase).unwrap_err();
    assert!(planted.message.contains("was replaced"), "{planted}");
    store.execute("UPDATE root_slots SET body = ?2 WHERE id = ?1", (&old[0].0, &old[0].1)).unwrap();
    let keyfile = || Credential::Keyfile(SecretBytes::copied_from(&KEYFILE));
    assert!(sealed(dir.path()).unseal(&keyfile()).unwrap_err().message.contains("was replaced"));
    assert!(core.is_sealed());
}

/// R91, R92: a slot is kept by the credential that opens it, a recipient without anybody, shares dealt anew; no choice
/// leaves a store that nobody opens.
#[test]
fn slots_are_kept_by_what_opens_them() {
    let opened = filled(&RUST);
    let core = &opened.core;
    let store = Id::parse(&core.call(&core.operator(), ListRoots).map(|list| list.store).unwrap()).unwrap();
    let deal = || Split::deal(&RUST, store, 2, 3).unwrap();
    let (first, second) = (deal(), deal());
    let shares = |split: &Split, slot| RotateRoot {
        split: split.split.0.to_vec().into(),
        threshold: 2,
        hashes: split.hashes.concat().into(),
        secret: split.secret.expose().to_vec().into(),
        ..kept(slot, "shares", b"")
    };
    add(core, &shares(&first, ""));
    let private = RUST.keys.generate(KeyType::X25519).unwrap();
    let spki = RUST.keys.private(KeyType::X25519, private.expose()).unwrap().public_spki().to_vec();
    add(core, &RotateRoot { public_key: spki.into(), ..kept("", "recipient", b"") });

    let wrong = rotate(core, &[kept("keyfile", "keyfile", &[1; 32])], &["shares"]).unwrap_err();
    assert_eq!(wrong.code, ErrorCode::RootCredentialWrong);
    let nobody = rotate(core, &[], &["shares", "keyfile"]).unwrap_err();
    assert!(nobody.message.contains("opens the store here"), "{nobody}");
    let twice = rotate(core, &[shares(&second, "shares")], &["shares", "keyfile"]).unwrap_err();
    assert!(twice.message.contains("named twice"), "{twice}");
    assert_eq!(core.call(&core.operator(), ListRoots).map(|list| list.root_key).unwrap(), 1);

    assert_eq!(rotate(core, &[shares(&second, "shares")], &["keyfile"]).unwrap(), 2);
    let given = |split: &Split| {
        let copy = |share: &Share| Share::parse(&RUST, share.to_text(&RUST).expose()).unwrap();
        Credential::Shares(split.shares[1..].iter().map(copy).collect())
    };
    let core = sealed(opened.dir.path());
    assert!(core.unseal(&given(&first)).unwrap_err().message.contains("is of split"));
    core.unseal(&given(&second)).unwrap();
    assert_whole(&core);
    let core = sealed(opened.dir.path());
    core.unseal(&Credential::Recipient(private)).unwrap();
    assert_whole(&core);
}

/// R92: while root keys come and go, others make tokens, log in, show their tokens and use keys, and none of them
/// meets an error; what they wrote stands under the last root key.
#[test]
fn nobody_at_work_notices() {
    let opened = filled(&RUST);
    let (core, over) = (&opened.core, AtomicBool::new(false));
    let until_over = |work: &mut dyn FnMut()| {
        while !over.load(Ordering::Acquire) {
            work();
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| until_over(&mut || drop(core.authenticate(&opened.token).unwrap())));
        scope.spawn(|| {
            let mut number = 0;
            until_over(&mut || {
                number += 1;
                init_slot(core, &format!("made meanwhile {number}"));
            });
        });
        scope.spawn(|| {
            let mut number = 0;
            until_over(&mut || {
                number += 1;
                opened.create(&format!("meanwhile/{number}"), KeyType::Aes256);
            });
        });
        for _ in 0..20 {
            rotate(core, &[kept("keyfile", "keyfile", &KEYFILE)], &[]).unwrap();
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        over.store(true, Ordering::Release);
    });
    let Opened { dir, core, .. } = opened;
    drop(core);
    let core = open(dir.path(), &RUST);
    assert_whole(&core);
    assert_eq!(core.call(&core.operator(), ListRoots).map(|list| list.root_key).unwrap(), 21);
}
