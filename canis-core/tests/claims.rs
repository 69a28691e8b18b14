//! What requests claim of objects is not believed: they may come from a program that is not our module.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod token;

use canis_core::crypto::{Hash, Oaep};
use canis_core::object::{
    Class, Content, CreateObject, Derivation, DeriveKey, Derived, GcmIv, GenerateObjects, ImportObject,
    KeyFacts, WrapKey, Wrapping,
};
use canis_core::token::Role;
use canis_proto::{ErrorCode, Family, Id, KeyType, Result, Usage};
use token::{Token, USER, code, content};

/// CKA_VALUE_LEN.
const VALUE_LEN: u64 = 0x161;
/// CKA_EXTRACTABLE.
const EXTRACTABLE: u64 = 0x162;
/// CKA_DERIVE_TEMPLATE.
const DERIVE_TEMPLATE: u64 = 0x4000_0213;

fn user() -> Token {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    token
}

/// A secret key that can be read and taken out.
fn open_secret(usage: Usage) -> Content {
    let mut facts = KeyFacts::new(Class::SecretKey, KeyType::Generic, Vec::new());
    (facts.usage, facts.sensitive, facts.extractable) = (usage, false, true);
    Content::new(Class::SecretKey, Some(facts))
}

fn generate(token: &Token, kind: KeyType, secret: Content, public: Option<Content>) -> Result<Id> {
    let request = GenerateObjects { kind, len: 32, session: Some(1), secret, public };
    token.core.call(&token.caller(), request).map(|(secret, _)| secret)
}

/// An object's class is that of what it shows, and what shows a key says so.
#[test]
fn classes_fit() {
    let token = user();
    let pair = |private, public| {
        let half = |class| content(class, "pair", Usage::NONE);
        generate(&token, KeyType::EcdsaP256, half(private), Some(half(public))).map_err(|e| e.code)
    };
    assert!(pair(Class::PrivateKey, Class::PublicKey).is_ok());
    for class in [Class::Data, Class::Certificate, Class::PublicKey, Class::SecretKey, Class::Profile] {
        assert_eq!(pair(class, Class::PublicKey), Err(ErrorCode::InvalidArgument), "{class:?}");
    }
    assert_eq!(pair(Class::PrivateKey, Class::PrivateKey), Err(ErrorCode::InvalidArgument));
    let bare = Content { key: None, ..open_secret(Usage::NONE) };
    assert_eq!(code(generate(&token, KeyType::Generic, bare, None)), ErrorCode::InvalidArgument);
    let parts =
        || canis_core::crypto::private_parts::PrivateParts::of_material(KeyType::Generic, &[7; 32]).unwrap();
    for content in [content(Class::PrivateKey, "x", Usage::NONE), Content::new(Class::SecretKey, None)] {
        let import = ImportObject { parts: parts(), session: Some(1), content };
        assert_eq!(code(token.core.call(&token.caller(), import)), ErrorCode::InvalidArgument);
    }
    let public = content(Class::PublicKey, "x", Usage::NONE).key;
    for lie in [Content::new(Class::Data, public), Content::new(Class::PublicKey, None)] {
        let create = CreateObject { session: Some(1), content: lie };
        assert_eq!(code(token.core.call(&token.caller(), create)), ErrorCode::InvalidArgument);
    }
}

/// A template that keys must fit is compared with what is known of them, not with attributes that claim it.
#[test]
fn attributes_do_not_speak_for_the_key() {
    let token = user();
    let flat = [&EXTRACTABLE.to_le_bytes()[..], &1u64.to_le_bytes()[..], &[0]].concat();
    let base = Content { attributes: vec![(DERIVE_TEMPLATE, flat)], ..open_secret(Usage::DERIVE) };
    let base = generate(&token, KeyType::Generic, base, None).unwrap();
    let derive = |content| {
        let how = Derivation::Hkdf { hash: Hash::Sha256, extract: None, expand: Some(b"x") };
        let derived = Derived::Secret { family: Family::Generic, len: Some(32) };
        token.core.call(&token.caller(), DeriveKey { base, how, derived, session: Some(1), content })
    };
    let mut kept = open_secret(Usage::NONE);
    kept.key.as_mut().unwrap().extractable = false;
    derive(kept).unwrap();
    let lie = Content { attributes: vec![(EXTRACTABLE, vec![0])], ..open_secret(Usage::NONE) };
    assert_eq!(code(derive(lie)), ErrorCode::KeySensitive);
    // Nor does a data object have a class or a value besides those that it is given.
    let data = |content| {
        let how = Derivation::Hkdf { hash: Hash::Sha256, extract: None, expand: Some(b"x") };
        let request = DeriveKey { base, how, derived: Derived::Data { len: 16 }, session: Some(1), content };
        code(token.core.call(&token.caller(), request))
    };
    let valued = Content { attributes: vec![(0x11, vec![1])], ..Content::new(Class::Data, None) };
    for lie in [valued, Content::new(Class::Certificate, None)] {
        assert_eq!(data(lie), ErrorCode::InvalidArgument);
    }
}

/// What only goes one way does so for whoever asks: CKA_COPYABLE, and what is computed of a key.
#[test]
fn changes_go_one_way() {
    let token = user();
    let key = generate(&token, KeyType::Generic, open_secret(Usage::NONE), None).unwrap();
    token.change(key, |content| content.copyable = false).unwrap();
    type Lie = fn(&mut Content);
    let lies: [(&str, Lie); 6] = [
        ("CKA_COPYABLE", |content| content.copyable = true),
        ("CKA_VALUE_LEN", |content| content.attributes.retain(|(kind, _)| *kind != VALUE_LEN)),
        ("CKA_LOCAL", |content| content.key.as_mut().unwrap().local = false),
        ("of the API", |content| content.key.as_mut().unwrap().by_api = true),
        ("from a KDF", |content| content.key.as_mut().unwrap().from_kdf = true),
        ("CKA_KEY_TYPE", |content| content.key.as_mut().unwrap().kind = KeyType::Aes256),
    ];
    for (what, lie) in lies {
        assert_eq!(code(token.change(key, lie)), ErrorCode::AttributeReadOnly, "{what}");
    }
}

/// Lengths that nothing has are refused before memory is taken for them.
#[test]
fn lengths_are_checked_first() {
    let token = user();
    let target = generate(&token, KeyType::Generic, open_secret(Usage::NONE), None).unwrap();
    let mut wrapper = open_secret(Usage::WRAP);
    wrapper.key.as_mut().unwrap().kind = KeyType::Aes256;
    let aes = generate(&token, KeyType::Aes256, wrapper, None).unwrap();
    let mut private = content(Class::PrivateKey, "rsa", Usage::NONE);
    private.key.as_mut().unwrap().kind = KeyType::Rsa2048;
    let public = content(Class::PublicKey, "rsa", Usage::WRAP);
    let pair = GenerateObjects {
        kind: KeyType::Rsa2048,
        len: 0,
        session: Some(1),
        secret: private,
        public: Some(public),
    };
    let rsa = token.core.call(&token.caller(), pair).unwrap().1.unwrap();
    let huge = u32::MAX as usize;
    let oaep = Oaep { hash: Hash::Sha256, mgf: Hash::Sha256, label: b"" };
    for (wrapper, how) in [
        (aes, Wrapping::AesGcm { iv: GcmIv::Drawn, aad: b"", tag: huge }),
        (rsa, Wrapping::RsaAes { bits: huge, oaep }),
    ] {
        let wrap = WrapKey { wrapper, key: target, how, room: huge, weak_rsa: false };
        assert_eq!(code(token.core.call(&token.caller(), wrap)), ErrorCode::InvalidArgument);
    }
    let base = generate(&token, KeyType::Generic, open_secret(Usage::DERIVE), None).unwrap();
    let data = vec![7; 1 << 20];
    let derive = DeriveKey {
        base,
        how: Derivation::JoinData(&data),
        derived: Derived::Secret { family: Family::Generic, len: Some(32) },
        session: Some(1),
        content: open_secret(Usage::NONE),
    };
    assert_eq!(code(token.core.call(&token.caller(), derive)), ErrorCode::InvalidKeyType);
}
