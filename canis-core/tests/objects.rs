//! Objects, as the PKCS#11 module asks for them, on a store without a root.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod token;

use canis_core::clock::SystemClock;
use canis_core::crypto::SignScheme;
use canis_core::datadir::DataDir;
use canis_core::object::{
    Class, Content, CreateObject, DestroyObject, FindObjects, KeyFacts, OpenKey, SignWith, UpdateObject,
    UseToSign, UseToVerify, Wanted,
};
use canis_core::token::{Login, Logout, Role};
use canis_core::{Caller, Core, default_provider};
use canis_proto::{ErrorCode, Usage};
use std::sync::Arc;
use token::{SO, Token, USER, code, content, pin};

/// A pair signs and verifies; its public half is seen and used without a login, its private half is not.
#[test]
fn a_pair_signs_for_the_user_only() {
    let token = Token::new();
    assert_eq!(code(token.generate("k", None)), ErrorCode::LoginRequired);
    token.login(Role::User, USER).unwrap();
    assert_eq!(code(token.login(Role::User, USER)), ErrorCode::OperationNotAllowed);
    let (secret, public) = token.generate("k", None).unwrap();
    let key = token.open(secret, Usage::SIGN).unwrap();
    let mut signature = [0; 64];
    let input = &[7; 32];
    let request =
        UseToSign { key: &key, scheme: SignWith::Pair(SignScheme::Ecdsa), input, out: &mut signature };
    assert_eq!(token.core.call(&token.caller(), request).unwrap(), 64);
    assert!(token.core.is_current(&token.caller(), &key));
    assert_eq!(code(token.open(secret, Usage::DECRYPT)), ErrorCode::OperationNotAllowed);
    let facts = token.read(secret).unwrap().content.key.clone().unwrap();
    assert!(facts.local && facts.always_sensitive && facts.never_extractable);

    token.core.call(&token.caller(), Logout).unwrap();
    assert!(!token.core.is_current(&token.caller(), &key), "a key opened before the logout is not current");
    assert_eq!(code(token.open(secret, Usage::SIGN)), ErrorCode::ObjectNotFound);
    assert_eq!(token.find(b"k"), 1);
    let key = token.open(public, Usage::VERIFY).unwrap();
    let verify = |signature: &[u8]| {
        let request = UseToVerify { key: &key, scheme: SignWith::Pair(SignScheme::Ecdsa), input, signature };
        token.core.call(&token.caller(), request).unwrap()
    };
    assert!(verify(&signature) && !verify(&[1; 64]));
}

/// One application's login is not another's, though both work on one core.
#[test]
fn applications_do_not_share_logins() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (secret, _) = token.generate("k", None).unwrap();
    let (in_session, _) = token.generate("s", Some(1)).unwrap();
    token.open(secret, Usage::SIGN).unwrap();
    token.open(in_session, Usage::SIGN).unwrap();
    let other = Caller::pkcs11(&token.core.application(), token.id);
    for object in [secret, in_session] {
        let opened = token.core.call(&other, OpenKey { object, usage: Usage::SIGN, mechanism: 0 });
        assert_eq!(code(opened), ErrorCode::ObjectNotFound);
    }
    // The security officer uses no keys either.
    let so = token.core.application();
    let so = Caller::pkcs11(&so, token.id);
    token.core.call(&so, Login { role: Role::So, pin: pin(SO).into() }).unwrap();
    assert_eq!(
        code(token.core.call(&so, OpenKey { object: secret, usage: Usage::SIGN, mechanism: 0 })),
        ErrorCode::ObjectNotFound
    );
    // The token stays open for the first one when the other leaves.
    token.core.call(&so, Logout).unwrap();
    token.open(secret, Usage::SIGN).unwrap();
}

/// Session objects end with their session, private ones at logout, and leave no row.
#[test]
fn session_objects_end() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (secret, public) = token.generate("s", Some(7)).unwrap();
    assert_eq!(token.find(b"s"), 2);
    token.core.call(&token.caller(), Logout).unwrap();
    assert_eq!((token.find(b"s"), code(token.read(secret))), (1, ErrorCode::ObjectNotFound));
    token.application.end_session(7);
    assert_eq!((token.find(b"s"), code(token.read(public))), (0, ErrorCode::ObjectNotFound));
}

/// PKCS#11 v3.1, section 4.9: what can only go one way goes one way, whoever asks.
#[test]
fn one_way_attributes() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (secret, _) = token.generate("k", None).unwrap();
    let change = |edit: fn(&mut KeyFacts)| {
        token.change(secret, |content| content.key.as_mut().into_iter().for_each(edit))
    };
    for refused in [
        change(|f| f.sensitive = false),
        change(|f| f.extractable = true),
        change(|f| f.local = false),
        change(|f| f.always_sensitive = false),
        change(|f| f.never_extractable = false),
        change(|f| f.trusted = true),
        change(|f| f.spki = vec![1]),
        change(|f| f.usage = Usage::ENCRYPT),
        token.change(secret, |content| content.private = false),
        token.change(secret, |content| content.class = Class::PublicKey),
    ] {
        assert_eq!(code(refused), ErrorCode::AttributeReadOnly);
    }
    // Usage can be taken away; the key's own row follows.
    change(|f| f.usage = Usage::NONE).unwrap();
    assert_eq!(code(token.open(secret, Usage::SIGN)), ErrorCode::OperationNotAllowed);
    let stale = token.read(secret).unwrap();
    token.change(secret, |content| content.label = b"new".to_vec()).unwrap();
    let request = UpdateObject { object: secret, revision: stale.revision, content: stale.content.clone() };
    assert_eq!(code(token.core.call(&token.caller(), request)), ErrorCode::Conflict);
    token.change(secret, |content| content.modifiable = false).unwrap();
    assert_eq!(
        code(token.change(secret, |content| content.label = b"x".to_vec())),
        ErrorCode::AttributeReadOnly
    );
}

/// A public key from outside is checked, is not local, and is trusted by nobody but the security officer.
#[test]
fn public_keys_from_outside() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (_, public) = token.generate("k", None).unwrap();
    let good = token.read(public).unwrap().content.clone();
    let create = |edit: fn(&mut KeyFacts)| {
        let mut content = good.clone();
        content.key.as_mut().into_iter().for_each(edit);
        token.core.call(&token.caller(), CreateObject { session: None, content })
    };
    let made = create(|_| ()).unwrap();
    assert!(!token.read(made).unwrap().content.key.as_ref().unwrap().local);
    assert_eq!(code(create(|f| f.spki[40] ^= 1)), ErrorCode::InvalidArgument);
    assert_eq!(code(create(|f| f.trusted = true)), ErrorCode::AttributeReadOnly);
    let mut secret = good.clone();
    secret.class = Class::PrivateKey;
    let refused = token.core.call(&token.caller(), CreateObject { session: None, content: secret });
    assert_eq!(code(refused), ErrorCode::OperationNotSupported);
}

/// A destroyed private half is gone; the public half stays and verifies.
#[test]
fn destroying() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (secret, public) = token.generate("k", None).unwrap();
    token.change(secret, |content| content.destroyable = false).unwrap();
    let destroy = |object| token.core.call(&token.caller(), DestroyObject { object });
    assert_eq!(code(destroy(secret)), ErrorCode::OperationNotAllowed);
    token.change(secret, |content| content.destroyable = true).unwrap();
    destroy(secret).unwrap();
    assert_eq!(code(destroy(secret)), ErrorCode::ObjectNotFound);
    assert_eq!(code(token.open(secret, Usage::SIGN)), ErrorCode::ObjectNotFound);
    token.open(public, Usage::VERIFY).unwrap();
    // Its name is free.
    token.generate("k", None).unwrap();
}

/// The public half is seen by everybody and changed by the user only: its usage counts for the key's own.
#[test]
fn the_public_half_is_changed_by_the_user_only() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (_, public) = token.generate("k", None).unwrap();
    let change = |usage| {
        token.change(public, |content| content.key.as_mut().into_iter().for_each(|f| f.usage = usage))
    };
    assert_eq!(code(change(Usage::SIGN)), ErrorCode::AttributeReadOnly);
    change(Usage::NONE).unwrap();
    token.core.call(&token.caller(), Logout).unwrap();
    assert_eq!(code(change(Usage::VERIFY)), ErrorCode::LoginRequired);
}

/// Only the security officer makes a certificate trusted, and trust that no login has authenticated is not shown.
#[test]
fn trusted_certificates() {
    const CKA_TRUSTED: u64 = 0x86;
    let token = Token::new();
    let certificate = |trusted: u8| Content {
        class: Class::Certificate,
        key: None,
        attributes: vec![(0x11, vec![1, 2, 3]), (CKA_TRUSTED, vec![trusted])],
        ..content(Class::PublicKey, "cert", Usage::NONE)
    };
    let create = |trusted| {
        token.core.call(&token.caller(), CreateObject { session: None, content: certificate(trusted) })
    };
    assert_eq!(code(create(1)), ErrorCode::AttributeReadOnly);
    token.login(Role::User, USER).unwrap();
    assert_eq!(code(create(1)), ErrorCode::AttributeReadOnly);
    let plain = create(0).unwrap();
    let trust = |content: &mut Content| content.attributes[1].1 = vec![1];
    assert_eq!(code(token.change(plain, trust)), ErrorCode::AttributeReadOnly);
    token.core.call(&token.caller(), Logout).unwrap();
    token.login(Role::So, SO).unwrap();
    let trusted = create(1).unwrap();
    assert!(token.read(trusted).unwrap().content.is_trusted());
    token.core.call(&token.caller(), Logout).unwrap();
    assert!(!token.read(trusted).unwrap().content.is_trusted(), "nobody is logged in to authenticate it");
}

/// An operation that began before a logout, a destruction or a loss of usage does not finish after it.
#[test]
fn begun_operations_end_with_the_right_to_them() {
    let token = Token::new();
    let sign = |key: &canis_core::object::KeyHandle| {
        let mut out = [0; 64];
        let request =
            UseToSign { key, scheme: SignWith::Pair(SignScheme::Ecdsa), input: &[7; 32], out: &mut out };
        token.core.call(&token.caller(), request)
    };
    token.login(Role::User, USER).unwrap();
    let (secret, _) = token.generate("k", None).unwrap();
    let key = token.open(secret, Usage::SIGN).unwrap();
    token.generate("other", None).unwrap();
    sign(&key).unwrap(); // somebody else's change is none of ours
    token
        .change(secret, |content| content.key.as_mut().into_iter().for_each(|f| f.usage = Usage::NONE))
        .unwrap();
    assert_eq!(code(sign(&key)), ErrorCode::OperationNotAllowed);
    let (secret, _) = token.generate("second", None).unwrap();
    let key = token.open(secret, Usage::SIGN).unwrap();
    token.core.call(&token.caller(), DestroyObject { object: secret }).unwrap();
    assert_eq!(code(sign(&key)), ErrorCode::ObjectNotFound);
    let (secret, _) = token.generate("third", Some(1)).unwrap();
    let key = token.open(secret, Usage::SIGN).unwrap();
    sign(&key).unwrap();
    token.core.call(&token.caller(), Logout).unwrap();
    assert_eq!(code(sign(&key)), ErrorCode::ObjectNotFound);
}

/// Everybody sees the public half of a key; nobody who is not logged in changes or destroys it.
#[test]
fn the_public_half_is_not_for_strangers() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (_, public) = token.generate("k", None).unwrap();
    token.core.call(&token.caller(), Logout).unwrap();
    let destroyed = token.core.call(&token.caller(), DestroyObject { object: public });
    assert_eq!(code(destroyed), ErrorCode::LoginRequired);
    token.login(Role::User, USER).unwrap();
    token.core.call(&token.caller(), DestroyObject { object: public }).unwrap();
}

/// A row that shows a key but was not written by a logged-in user was planted: it is refused while the token is open.
#[test]
fn a_planted_twin_is_refused() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (_, public) = token.generate("k", None).unwrap();
    let store = rusqlite::Connection::open(token.dir.path().join("canis.dat")).unwrap();
    // What somebody who holds the file can do: take the tenant's tag away and leave the checksum.
    let planted = store.execute(
        "UPDATE objects SET seal = CAST(zeroblob(32) || substr(seal, 33) AS BLOB) WHERE private = 0",
        [],
    );
    assert_eq!(planted.unwrap(), 1);
    drop(store);
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!(code(token.read(public)), ErrorCode::StoreTampered);
}

#[test]
fn objects_have_a_largest_size() {
    let token = Token::new();
    let data = |len| {
        let content = Content {
            class: Class::Data,
            key: None,
            attributes: vec![(0x11, vec![1; len])],
            ..content(Class::PublicKey, "d", Usage::NONE)
        };
        token.core.call(&token.caller(), CreateObject { session: None, content })
    };
    data((1 << 20) - 2).unwrap();
    assert_eq!(code(data(1 << 20)), ErrorCode::TooLarge);
}

/// Answers to searches are remembered, and must not outlast a login, a change, or what another process does.
#[test]
fn what_was_found_once_is_looked_for_again_when_anything_changes() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let (secret, _) = token.generate("again", None).unwrap();
    let store = DataDir::new(token.dir.path()).open_or_create_store().unwrap();
    let other = Core::open(Arc::new(store), default_provider(), Arc::new(SystemClock)).unwrap();
    let stranger = Caller::pkcs11(&other.application(), token.id);
    let theirs = |label| {
        let request = FindObjects { wanted: Wanted { label: Some(label), ..Wanted::default() } };
        other.call(&stranger, request).unwrap().objects.len()
    };
    for _ in 0..2 {
        assert_eq!((token.find(b"again"), theirs(b"again")), (2, 1), "the private half is for the user");
        assert_eq!((token.find(b"new"), theirs(b"new")), (0, 0));
    }
    token.generate("new", None).unwrap();
    assert_eq!((token.find(b"new"), theirs(b"new")), (2, 1));
    token.core.call(&token.caller(), Logout).unwrap();
    assert_eq!((token.find(b"again"), token.find(b"new")), (1, 1));
    other.call(&stranger, Login { role: Role::User, pin: pin(USER).into() }).unwrap();
    assert_eq!((theirs(b"again"), token.find(b"again")), (2, 1));
    other.call(&stranger, DestroyObject { object: secret }).unwrap();
    token.login(Role::User, USER).unwrap();
    assert_eq!((theirs(b"again"), token.find(b"again"), token.find(b"new")), (1, 1, 2));
}
