//! Ways round four eyes that do not lead round: what leaves or is destroyed by another operation than the one that is guarded.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod guarded;
mod life;
mod store;
mod token;

use canis_core::object::{
    Class, Content, Derivation, DeriveKey, Derived, GenerateObjects, KeyFacts, OpenKey,
};
use canis_core::token::Role;
use canis_proto::approval::ShowApproval;
use canis_proto::message::{
    CreateKey, Decrypt, Encrypt, ExportKey, GetEntry, PutEntry, RotateKey, UpdateKey,
};
use canis_proto::{ErrorCode, Family, Id, KeyType, Usage};
use guarded::{Guarded, asked};
use life::code;
use std::thread::scope;
use token::{Token, USER};

const GUARDED: &str = "path \"kms/keys/prod/*\" {\n  capabilities = [\"export\", \"delete\"]\n  approvals = 2\n}\n\
                       path \"kms/kv/*\" {\n  capabilities = [\"export\", \"delete\", \"update\"]\n  approvals = 2\n}\n";

/// A value that stands in what is derived of it has left its key: joined, covered, cut out, or beside another key.
#[test]
fn deriving_is_no_way_out() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let secret = |label: &str| {
        let mut facts = KeyFacts::new(Class::SecretKey, KeyType::Generic, Vec::new());
        (facts.usage, facts.sensitive, facts.extractable) = (Usage::DERIVE, false, true);
        Content { label: label.into(), ..Content::new(Class::SecretKey, Some(facts)) }
    };
    let generate = |label: &str| {
        let secret = secret(label);
        let request =
            GenerateObjects { kind: KeyType::Generic, len: 32, session: None, secret, public: None };
        token.core.call(&token.caller(), request).unwrap().0
    };
    let (kept, free) = (generate("kept"), generate("free"));
    let derive = |base, how: &Derivation<'static>| {
        let derived = Derived::Secret { family: Family::Generic, len: Some(16) };
        let request = DeriveKey { base, how: how.clone(), derived, session: Some(1), content: secret("") };
        token.core.call(&token.caller(), request)
    };
    let moves = |other: Id| {
        [
            Derivation::JoinKey(other),
            Derivation::JoinData(b""),
            Derivation::JoinAfter(b"x"),
            Derivation::Xor(&[0; 32]),
            Derivation::Extract(0),
        ]
    };
    for how in moves(free) {
        derive(kept, &how).unwrap();
    }
    let guard = UpdateKey { approvals: Some(1), ..UpdateKey::new("kept") };
    token.core.call(&token.caller(), guard).unwrap();
    let mut requests: Vec<_> = moves(free).iter().map(|how| asked(derive(kept, how))).collect();
    requests.push(asked(derive(free, &Derivation::JoinKey(kept))));
    requests.push(asked(derive(kept, &Derivation::Xor(&[1; 32]))));
    assert_eq!(asked(derive(kept, &Derivation::Xor(&[1; 32]))), *requests.last().unwrap());
    requests.sort();
    requests.dedup();
    assert_eq!(requests.len(), 7, "each is a request of its own");
    derive(free, &Derivation::JoinData(b"x")).unwrap();
    assert!(
        token
            .core
            .call(&token.caller(), OpenKey { object: kept, usage: Usage::DERIVE, mechanism: 0 })
            .is_ok()
    );
}

/// Rotation destroys no version of a key whose destruction others have to approve, by the key's own word or a policy's.
#[test]
fn rotation_destroys_nothing_unasked() {
    let house = Guarded::new(GUARDED);
    for (name, own, keeps) in [("prod/kept", None, true), ("own", Some(2), true), ("loose", None, false)] {
        house.call(&house.maker, CreateKey::new(name, KeyType::Aes256)).unwrap();
        let old = house.call(&house.asker, Encrypt::new(name, &b"plain"[..])).unwrap().ciphertext;
        let retain = UpdateKey { retain_versions: Some(1), approvals: own, ..UpdateKey::new(name) };
        house.call(&house.asker, retain).unwrap();
        let rotate =
            |preview| house.call(&house.asker, RotateKey { name: name.into(), preview }).unwrap().retires;
        let told = if keeps { vec![] } else { vec![1] };
        assert_eq!(rotate(true), told, "{name}");
        assert_eq!(rotate(false), told, "{name}");
        let read = house.call(&house.asker, Decrypt::new(name, &*old));
        assert_eq!(read.is_ok(), keeps, "{name}");
    }
}

/// An export is approved for the key that wraps, not for its name: another version, or another key of that name, is another
/// request. Who approves sees its public key.
#[test]
fn a_wrapping_key_is_not_exchanged() {
    for kind in [KeyType::Rsa2048, KeyType::MlKem768X25519] {
        a_wrapping_key_of_this_type_is_not_exchanged(kind);
    }
}

fn a_wrapping_key_of_this_type_is_not_exchanged(kind: KeyType) {
    let house = Guarded::new(GUARDED);
    let escrow =
        || CreateKey { usage: Some(Usage::WRAP.with(Usage::UNWRAP)), ..CreateKey::new("escrow", kind) };
    let export = || {
        let request = ExportKey { wrapping_key: "escrow".into(), ..house.export("prod/a") };
        house.call(&house.asker, request)
    };
    assert_eq!(code(export()), ErrorCode::KeyNotFound, "nobody approves what is not there yet");
    house.call(&house.maker, escrow()).unwrap();
    let id = asked(export());
    let shown = house.call(&house.first, ShowApproval { id: id.as_str().into() }).unwrap();
    let of = |name: &str| shown.arguments.iter().find(|told| told.name == name).unwrap().value.clone();
    assert_eq!(of("wrapping_key_version"), "1");
    assert!(of("wrapping_key_public").contains("SHA-256"), "{}", of("wrapping_key_public"));
    house.approve_by_two(&id);
    house.call(&house.asker, RotateKey { name: "escrow".into(), preview: false }).unwrap();
    let second = asked(export());
    assert_ne!(second, id);
    house.approve_by_two(&second);
    house.destroy(&house.maker, "escrow").unwrap();
    house.call(&house.maker, escrow()).unwrap();
    house.call(&house.maker, RotateKey { name: "escrow".into(), preview: false }).unwrap();
    assert!(![&id, &second].contains(&&asked(export())));
}

/// An entry is written over only when those agree who guard its change and its end.
#[test]
fn an_entry_is_not_written_over_unasked() {
    let house = Guarded::new(GUARDED);
    let put = |id: &'static str, private: &'static [u8]| {
        let request = PutEntry {
            id: id.into(),
            name: "".into(),
            public_key: (&b""[..]).into(),
            private_key: private.into(),
            generate: None,
            revision: None,
        };
        house.call(&house.asker, request)
    };
    put("a", b"first").unwrap();
    let id = asked(put("a", b"second"));
    assert_ne!(asked(put("a", b"third")), id, "it is bound to what is written");
    let shown = house.call(&house.maker, ShowApproval { id: id.as_str().into() }).unwrap();
    assert!(shown.arguments.iter().all(|told| told.name != "private_key" && !told.value.contains("second")));
    for who in [&house.maker, &house.rival] {
        assert_eq!(code(house.approve(who, &id)), ErrorCode::PermissionDenied);
    }
    put("b", b"nobody's yet").unwrap();
}

/// Somebody who rotates the key meanwhile does not have the approved request give out the newer version.
#[test]
fn what_is_given_is_what_was_approved() {
    let house = Guarded::new(GUARDED);
    for _ in 0..8 {
        let id = asked(house.call(&house.asker, house.export("prod/a")));
        let shown = house.call(&house.first, ShowApproval { id: id.as_str().into() }).unwrap();
        let version = shown.arguments.iter().find(|told| told.name == "version").unwrap().value.clone();
        house.approve_by_two(&id);
        scope(|scope| {
            scope.spawn(|| {
                house.call(&house.rival, RotateKey { name: "prod/a".into(), preview: false }).unwrap()
            });
            match house.call(&house.asker, house.export("prod/a")) {
                Ok(given) => assert_eq!(given.version.to_string(), version),
                Err(refused) => assert_eq!(refused.code, ErrorCode::ApprovalRequired, "{refused}"),
            }
        });
    }
    assert_eq!(
        code(house.call(&house.asker, GetEntry { id: "none".into(), private: true })),
        ErrorCode::EntryNotFound
    );
}
