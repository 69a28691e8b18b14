//! Shared secrets as objects and as bytes: one key at both doors, its states, and the templates that keep secrets inside.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod token;

use canis_core::crypto::private_parts::PrivateParts;
use canis_core::object::{
    Class, Content, DecapsulateKey, EncapsulateKey, EncapsulatedKey, ExportObject, GenerateObjects,
};
use canis_core::token::Role;
use canis_proto::message::{Decapsulate, DisableKey, Encapsulate, RotateKey};
use canis_proto::text::{Sealed, sealed_text};
use canis_proto::{ErrorCode, Family, Id, KeyType, Result, Usage};
use token::{Token, USER, code, content};

const ENCAPSULATE_TEMPLATE: u64 = 0x062a;
const DECAPSULATE_TEMPLATE: u64 = 0x062b;
const SENSITIVE: u64 = 0x0103;
const NAME: &str = "kem";

fn logged_in() -> Token {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    token
}

/// A template that wants CKA_SENSITIVE, as a record keeps it.
fn sensitive(kind: u64) -> Vec<(u64, Vec<u8>)> {
    vec![(kind, [&SENSITIVE.to_le_bytes()[..], &1u64.to_le_bytes(), &[1]].concat())]
}

/// A pair of the token's: its public and its private object.
fn pair(token: &Token, public: Vec<(u64, Vec<u8>)>, private: Vec<(u64, Vec<u8>)>) -> (Id, Id) {
    let half = |class, usage, attributes| Content { attributes, ..content(class, NAME, usage) };
    let request = GenerateObjects {
        kind: KeyType::MlKem768,
        len: 0,
        session: None,
        secret: half(Class::PrivateKey, Usage::DECRYPT, private),
        public: Some(half(Class::PublicKey, Usage::ENCRYPT, public)),
    };
    let (private, public) = token.core.call(&token.caller(), request).unwrap();
    (public.unwrap(), private)
}

/// What the secret is to be: a session's, that may be read or not.
fn wanted(open: bool) -> Content {
    let mut content = content(Class::SecretKey, "secret", Usage::SIGN);
    let facts = content.key.as_mut().unwrap();
    (facts.sensitive, facts.extractable) = (!open, open);
    content
}

fn encapsulate(token: &Token, key: Id, open: bool) -> Result<EncapsulatedKey> {
    let request =
        EncapsulateKey { key, family: Family::Generic, len: None, session: Some(1), content: wanted(open) };
    token.core.call(&token.caller(), request)
}

fn decapsulate(token: &Token, key: Id, ciphertext: &[u8], open: bool) -> Result<Id> {
    let family = Family::Generic;
    let request =
        DecapsulateKey { key, ciphertext, family, len: None, session: Some(1), content: wanted(open) };
    token.core.call(&token.caller(), request)
}

fn value(token: &Token, object: Id) -> Vec<u8> {
    match token.core.call(&token.caller(), ExportObject { object, measure: false }).unwrap() {
        PrivateParts::Secret { value, .. } => value.expose().to_vec(),
        _ => panic!("no secret key"),
    }
}

fn in_plain(token: &Token, ciphertext: &str) -> Result<Vec<u8>> {
    let request = Decapsulate { name: NAME.into(), ciphertext: ciphertext.into() };
    token.core.call(&token.caller(), request).map(|answer| answer.secret.clone())
}

fn asked_in_plain(token: &Token) -> Result<(String, Vec<u8>)> {
    let answer = token.core.call(&token.caller(), Encapsulate { name: NAME.into(), version: 0 })?;
    Ok((answer.ciphertext.clone(), answer.secret.clone()))
}

/// What one door closes the other opens, for each version by its own objects.
#[test]
fn both_doors_share_one_secret() {
    let token = logged_in();
    let (public, private) = pair(&token, Vec::new(), Vec::new());
    let made = encapsulate(&token, public, true).unwrap();
    assert_eq!(in_plain(&token, &sealed_text(NAME, 1, &made.ciphertext)).unwrap(), value(&token, made.id));
    let (text, secret) = asked_in_plain(&token).unwrap();
    let bare = Sealed::parse(&text).unwrap().bytes;
    assert_eq!(value(&token, decapsulate(&token, private, &bare, true).unwrap()), secret);
    token.core.call(&token.caller(), RotateKey { name: NAME.into(), preview: false }).unwrap();
    assert_eq!(in_plain(&token, &text).unwrap(), secret);
    assert_eq!(value(&token, decapsulate(&token, private, &bare, true).unwrap()), secret);
    // The older version's public half encapsulates no more, as at the other door.
    assert_eq!(code(encapsulate(&token, public, true).map(|made| made.id)), ErrorCode::VersionNotAllowed);
}

/// A disabled key opens and closes nothing, through its objects as by its name.
#[test]
fn a_disabled_key_opens_only() {
    let token = logged_in();
    let (public, private) = pair(&token, Vec::new(), Vec::new());
    let made = encapsulate(&token, public, true).unwrap();
    token.core.call(&token.caller(), DisableKey { name: NAME.into() }).unwrap();
    assert_eq!(code(encapsulate(&token, public, true).map(|made| made.id)), ErrorCode::OperationNotAllowed);
    assert_eq!(code(asked_in_plain(&token)), ErrorCode::OperationNotAllowed);
    let opened = decapsulate(&token, private, &made.ciphertext, true).unwrap();
    assert_eq!(value(&token, opened), value(&token, made.id));
}

/// The attack by way of the other door: where a template wants secrets sensitive, no operation gives one in plain.
#[test]
fn a_template_keeps_secrets_inside_at_every_door() {
    let token = logged_in();
    let (public, private) = pair(&token, Vec::new(), sensitive(DECAPSULATE_TEMPLATE));
    let (text, _) = asked_in_plain(&token).unwrap();
    assert_eq!(code(in_plain(&token, &text)), ErrorCode::OperationNotAllowed);
    let made = encapsulate(&token, public, true).unwrap();
    assert_eq!(code(decapsulate(&token, private, &made.ciphertext, true)), ErrorCode::KeySensitive);
    decapsulate(&token, private, &made.ciphertext, false).unwrap();
    token.core.call(&token.caller(), RotateKey { name: NAME.into(), preview: false }).unwrap();
    assert_eq!(code(in_plain(&token, &text)), ErrorCode::OperationNotAllowed);
    let (newer, _) = asked_in_plain(&token).unwrap();
    assert_eq!(code(in_plain(&token, &newer)), ErrorCode::OperationNotAllowed);

    let token = logged_in();
    let (public, private) = pair(&token, sensitive(ENCAPSULATE_TEMPLATE), Vec::new());
    assert_eq!(code(asked_in_plain(&token)), ErrorCode::OperationNotAllowed);
    assert_eq!(code(encapsulate(&token, public, true).map(|made| made.id)), ErrorCode::KeySensitive);
    let made = encapsulate(&token, public, false).unwrap();
    assert_eq!(in_plain(&token, &sealed_text(NAME, 1, &made.ciphertext)).unwrap().len(), 32);
    decapsulate(&token, private, &made.ciphertext, true).unwrap();
}
