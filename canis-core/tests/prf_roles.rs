//! One key at two doors: what one of them derives and keeps the other one does not show.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod token;

use canis_core::crypto::Hash;
use canis_core::object::{
    Class, Content, Derivation, DeriveKey, Derived, GenerateObjects, Inside, Salt, UnwrapKey, WrapKey,
    Wrapping,
};
use canis_core::token::Role;
use canis_proto::message::{CreateKey, Derive, ExportKey, ImportKey, Mac};
use canis_proto::{AgreementKdf, ErrorCode, Family, HashName, Id, KeyFormat, KeyType, Result, Usage};
use token::{Token, USER, code, content};

fn token() -> Token {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    token
}

/// A secret key's attributes: sensitive, extractable.
fn secret(label: &str, usage: Usage) -> Content {
    let mut content = content(Class::SecretKey, label, usage);
    content.private = true;
    content.key.as_mut().unwrap().sensitive = true;
    content
}

fn generate(token: &Token, kind: KeyType, label: &str, usage: Usage) -> Id {
    let secret = secret(label, usage);
    let request = GenerateObjects { kind, len: 32, session: None, secret, public: None };
    token.core.call(&token.caller(), request).unwrap().0
}

/// A base of this name, for the uses of both doors.
fn base(token: &Token, name: &str) -> Id {
    generate(token, KeyType::Generic, name, Usage::SIGN.with(Usage::VERIFY).with(Usage::DERIVE))
}

const EXPAND: Derivation<'static> =
    Derivation::Hkdf { hash: Hash::Sha256, extract: None, expand: Some(b"info") };
const WHOLE: Derivation<'static> =
    Derivation::Hkdf { hash: Hash::Sha256, extract: Some(Salt::Bytes(b"salt")), expand: Some(b"info") };
const EXTRACT: Derivation<'static> =
    Derivation::Hkdf { hash: Hash::Sha256, extract: Some(Salt::Bytes(b"salt")), expand: None };

/// At the one door: a sensitive key.
fn keep(token: &Token, base: Id, how: Derivation<'_>, label: &str) -> Result<Id> {
    let derived = Derived::Secret { family: Family::Generic, len: Some(32) };
    let content = secret(label, Usage::SIGN.with(Usage::DERIVE));
    token.core.call(&token.caller(), DeriveKey { base, how, derived, session: None, content })
}

/// At the other one: bytes.
fn show(token: &Token, name: &str, info: &[u8]) -> Result<Vec<u8>> {
    let request = Derive {
        name: name.into(),
        version: 0,
        peer: b""[..].into(),
        kdf: AgreementKdf::Hkdf,
        hash: HashName::Sha256,
        salt: b"salt"[..].into(),
        info: info.into(),
        length: 32,
    };
    token.core.call(&token.caller(), request).map(|derived| derived.key)
}

fn mac(token: &Token, name: &str) -> Result<String> {
    let message = b"info\x01"[..].into();
    let request = Mac { name: name.into(), message, hash: HashName::Sha256 };
    token.core.call(&token.caller(), request).map(|made| made.mac)
}

/// `derive` shows what C_DeriveKey keeps, and `mac` what it keeps by HKDF-Expand; each is refused after the other, whatever
/// came first. What has nothing to do with each other goes on.
#[test]
fn what_one_door_keeps_the_other_does_not_show() {
    let token = token();
    let kept = base(&token, "kept");
    keep(&token, kept, WHOLE, "").unwrap();
    assert_eq!(code(show(&token, "kept", b"info")), ErrorCode::OperationNotAllowed);
    mac(&token, "kept").unwrap();
    let shown = base(&token, "shown");
    show(&token, "shown", b"info").unwrap();
    mac(&token, "shown").unwrap();
    for how in [WHOLE, EXTRACT, EXPAND] {
        assert_eq!(code(keep(&token, shown, how, "")), ErrorCode::OperationNotAllowed);
    }
    let expanded = base(&token, "expanded");
    keep(&token, expanded, EXPAND, "").unwrap();
    assert_eq!(code(mac(&token, "expanded")), ErrorCode::OperationNotAllowed);
    show(&token, "expanded", b"info").unwrap();
    let between = base(&token, "start");
    keep(&token, between, EXTRACT, "between").unwrap();
    assert_eq!(code(mac(&token, "between")), ErrorCode::OperationNotAllowed);
}

/// A key of the API alone has what it had: both of its uses show what comes out.
#[test]
fn the_api_alone_goes_on() {
    let token = token();
    let usage = Some(Usage::SIGN.with(Usage::DERIVE));
    token.core.call(&token.caller(), CreateKey { usage, ..CreateKey::new("api", KeyType::Generic) }).unwrap();
    let first = (mac(&token, "api").unwrap(), show(&token, "api", b"info").unwrap());
    assert_eq!((mac(&token, "api").unwrap(), show(&token, "api", b"info").unwrap()), first);
}

/// Attack: an AES key leaves wrapped, comes back as a generic secret, and `derive` is asked for the key of its ciphertexts.
#[test]
fn derive_does_not_show_the_keys_of_ciphertexts() {
    let token = token();
    let import = |name: &str, material: &[u8], kind, usage, wrapping_key: &str| {
        let request = ImportKey {
            name: name.into(),
            kind,
            format: KeyFormat::Raw,
            material: material.into(),
            wrapped: false,
            wrapping_key: wrapping_key.to_owned().into(),
            next_version: false,
            usage: Some(usage),
            exportable: true,
            allow_plaintext_backup: false,
        };
        token.core.call(&token.caller(), request).unwrap();
    };
    let keys = Usage::WRAP.with(Usage::UNWRAP);
    import("kek", &[7; 32], KeyType::Aes256, keys, "");
    import("data", &[8; 32], KeyType::Aes256, Usage::ENCRYPT.with(Usage::DECRYPT), "");
    let export = ExportKey {
        name: "data".into(),
        version: 0,
        format: KeyFormat::Raw,
        wrapping_key: "kek".into(),
        wrapping_public_key: b""[..].into(),
    };
    let wrapped = token.core.call(&token.caller(), export).unwrap().material.clone();
    import("same", &wrapped, KeyType::Generic, Usage::DERIVE, "kek");
    let answer = show(&token, "same", b"canis/v1/api-aead and so on");
    assert_eq!(code(answer), ErrorCode::InvalidArgument);
    show(&token, "same", b"something else").unwrap();
}

/// What a KDF cut comes back by the door that remembers it.
#[test]
fn what_a_kdf_made_comes_back_as_such() {
    let token = token();
    let base = base(&token, "base");
    let wrapper = generate(&token, KeyType::Aes256, "kek", Usage::WRAP.with(Usage::UNWRAP));
    let made = keep(&token, base, WHOLE, "made").unwrap();
    let how = Wrapping::AesKwp;
    let request = WrapKey { wrapper, key: made, how, room: usize::MAX, weak_rsa: false };
    let by_module = token.core.call(&token.caller(), request).unwrap().bytes.unwrap();
    let export = ExportKey {
        name: "made".into(),
        version: 0,
        format: KeyFormat::Raw,
        wrapping_key: "kek".into(),
        wrapping_public_key: b""[..].into(),
    };
    let by_api = token.core.call(&token.caller(), export).unwrap().material.clone();
    for (name, wrapped) in [("one", by_module), ("two", by_api)] {
        let import = ImportKey {
            name: name.into(),
            kind: KeyType::Generic,
            format: KeyFormat::Raw,
            material: wrapped.clone().into(),
            wrapped: false,
            wrapping_key: "kek".into(),
            next_version: false,
            usage: None,
            exportable: false,
            allow_plaintext_backup: false,
        };
        assert_eq!(code(token.core.call(&token.caller(), import)), ErrorCode::KeySensitive);
        let inside = Inside::Secret { family: Family::Generic, len: None };
        let content = secret("", Usage::DERIVE);
        let unwrap = UnwrapKey { unwrapper: wrapper, how, wrapped: &wrapped, inside, session: None, content };
        let back = token.core.call(&token.caller(), unwrap).unwrap();
        assert!(token.read(back).unwrap().content.key.as_ref().unwrap().from_kdf);
    }
}
