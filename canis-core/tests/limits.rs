//! What a key is limited to when it is made holds at every door: CKA_ALLOWED_MECHANISMS and the templates for wrapping,
//! unwrapping and deriving. Whoever goes round the module gains nothing.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod token;

use canis_core::object::{
    Class, Content, CopyObject, Derivation, DeriveKey, Derived, GenerateObjects, Inside, KeyHandle, OpenKey,
    UnwrapKey, WrapKey, Wrapping,
};
use canis_core::token::Role;
use canis_proto::message::{
    Derive, Encrypt, EncryptAesGcm, ExportKey, ImportKey, Mac, RotateKey, Sign, Verify,
};
use canis_proto::{AgreementKdf, ErrorCode, Family, HashName, Id, KeyFormat, KeyType, Result, Usage};
use std::sync::Arc;
use token::{Token, USER, code, content};

const ALLOWED: u64 = 0x4000_0600;
const WRAP_TEMPLATE: u64 = 0x4000_0211;
const UNWRAP_TEMPLATE: u64 = 0x4000_0212;
const DERIVE_TEMPLATE: u64 = 0x4000_0213;
const ECDSA: u64 = 0x1041;
const ECDSA_SHA256: u64 = 0x1044;
const AES_GCM: u64 = 0x1087;
const KEY_WRAP: u64 = 0x2109;
const KEY_WRAP_PAD: u64 = 0x210a;
const SHA256_HMAC: u64 = 0x0251;
const XOR: u64 = 0x0364;

fn logged_in() -> Token {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    token
}

/// A limit, as a record keeps it.
type Limit = (u64, Vec<u8>);

fn only(mechanism: u64) -> Limit {
    (ALLOWED, mechanism.to_le_bytes().to_vec())
}

/// A template of one boolean attribute.
fn template(kind: u64, attribute: u64, value: bool) -> Limit {
    (kind, [&attribute.to_le_bytes()[..], &1u64.to_le_bytes(), &[u8::from(value)]].concat())
}

const SENSITIVE: u64 = 0x0103;
const SIGN: u64 = 0x0108;

/// A secret key's attributes: sensitive, extractable.
fn secret(label: &str, usage: Usage, limits: &[Limit]) -> Content {
    let mut content = content(Class::SecretKey, label, usage);
    content.private = true;
    content.key.as_mut().unwrap().sensitive = true;
    content.attributes = limits.to_vec();
    content
}

fn generate(token: &Token, kind: KeyType, secret: Content) -> Id {
    let request = GenerateObjects { kind, len: 32, session: None, secret, public: None };
    token.core.call(&token.caller(), request).unwrap().0
}

fn open(token: &Token, object: Id, usage: Usage, mechanism: u64) -> Result<Arc<KeyHandle>> {
    token.core.call(&token.caller(), OpenKey { object, usage, mechanism })
}

const NO: ErrorCode = ErrorCode::MechanismNotAllowed;

/// A pair for one way to sign, at both doors and for its next version.
#[test]
fn signatures_keep_to_the_list() {
    let token = logged_in();
    let half =
        |class, usage| Content { attributes: vec![only(ECDSA_SHA256)], ..content(class, "narrow", usage) };
    let secret = half(Class::PrivateKey, Usage::SIGN);
    let public = Some(half(Class::PublicKey, Usage::VERIFY));
    let request = GenerateObjects { kind: KeyType::EcdsaP256, len: 0, session: None, secret, public };
    let (private, public) = token.core.call(&token.caller(), request).unwrap();
    for (object, usage) in [(private, Usage::SIGN), (public.unwrap(), Usage::VERIFY)] {
        open(&token, object, usage, ECDSA_SHA256).unwrap();
        assert_eq!(code(open(&token, object, usage, ECDSA)), NO, "opened before for another one");
    }
    let both = || {
        let signed = token.core.call(&token.caller(), Sign::new("narrow", &b"m"[..])).unwrap().signature;
        assert!(token.core.call(&token.caller(), Verify::new("narrow", &b"m"[..], &signed)).unwrap().valid);
        let digest = &[7; 32][..];
        let prehashed = Sign { prehashed: true, ..Sign::new("narrow", digest) };
        assert_eq!(code(token.core.call(&token.caller(), prehashed)), NO);
        let prehashed = Verify { prehashed: true, ..Verify::new("narrow", digest, &signed) };
        assert_eq!(code(token.core.call(&token.caller(), prehashed)), NO);
    };
    both();
    token.core.call(&token.caller(), RotateKey { name: "narrow".into(), preview: false }).unwrap();
    both();
}

/// Secret keys: what has no mechanism is not on the list.
#[test]
fn secret_keys_keep_to_the_list() {
    let token = logged_in();
    let data = Usage::ENCRYPT.with(Usage::DECRYPT);
    generate(&token, KeyType::Aes256, secret("gcm", data, &[only(AES_GCM)]));
    let encrypt =
        Encrypt { name: "gcm".into(), plaintext: b""[..].into(), context: b""[..].into(), version: 0 };
    assert_eq!(code(token.core.call(&token.caller(), encrypt)), NO);
    let bare =
        EncryptAesGcm { name: "gcm".into(), plaintext: b""[..].into(), aad: b""[..].into(), version: 0 };
    assert_eq!(code(token.core.call(&token.caller(), bare)), ErrorCode::OperationNotAllowed, "not imported");

    let macs = Usage::SIGN.with(Usage::VERIFY).with(Usage::DERIVE);
    let object = generate(&token, KeyType::Generic, secret("mac", macs, &[only(SHA256_HMAC)]));
    let mac = |hash| {
        let request = Mac { name: "mac".into(), message: b"m"[..].into(), hash };
        token.core.call(&token.caller(), request)
    };
    mac(HashName::Sha256).unwrap();
    assert_eq!(code(mac(HashName::Sha512)), NO);
    let derive = Derive {
        name: "mac".into(),
        version: 0,
        peer: b""[..].into(),
        kdf: AgreementKdf::Hkdf,
        hash: HashName::Sha256,
        salt: b""[..].into(),
        info: b""[..].into(),
        length: 32,
    };
    assert_eq!(code(token.core.call(&token.caller(), derive)), NO);
    let content = secret("", Usage::SIGN, &[]);
    let derived = Derived::Secret { family: Family::Generic, len: None };
    let how = Derivation::Xor(&[7; 32]);
    let request = DeriveKey { base: object, how, derived, session: None, content };
    assert_eq!(code(token.core.call(&token.caller(), request)), NO);
    open(&token, object, Usage::SIGN, SHA256_HMAC).unwrap();
    assert_eq!(code(open(&token, object, Usage::SIGN, 0x0271)), NO);
}

/// Limits are chosen once: no change and no copy sheds them.
#[test]
fn limits_stay() {
    let token = logged_in();
    for limit in [only(XOR), template(UNWRAP_TEMPLATE, SENSITIVE, true)] {
        let object = generate(&token, KeyType::Aes256, secret("", Usage::UNWRAP, &[limit]));
        let shed = token.change(object, |content| content.attributes.retain(|(kind, _)| *kind < ALLOWED / 2));
        assert_eq!(code(shed), ErrorCode::AttributeReadOnly);
        for session in [None, Some(1)] {
            let mut content = token.read(object).unwrap().content.clone();
            content.attributes.clear();
            let request = CopyObject { object, session, content };
            assert_eq!(code(token.core.call(&token.caller(), request)), ErrorCode::AttributeReadOnly);
        }
    }
}

fn wrap(token: &Token, wrapper: Id, key: Id, how: Wrapping<'_>) -> Result<Vec<u8>> {
    let request = WrapKey { wrapper, key, how, room: usize::MAX, weak_rsa: false };
    token.core.call(&token.caller(), request).map(|wrapped| wrapped.bytes.unwrap())
}

/// Keys that wrap and unwrap: the mechanism by any of its names, the templates, and `key.export` and `key.import` by such a
/// key.
#[test]
fn wrapping_keys_keep_to_their_limits() {
    let token = logged_in();
    let keys = Usage::WRAP.with(Usage::UNWRAP);
    let target = generate(&token, KeyType::Aes256, secret("target", Usage::ENCRYPT, &[]));
    let picky = generate(&token, KeyType::Aes256, secret("picky", keys, &[only(KEY_WRAP)]));
    wrap(&token, picky, target, Wrapping::AesKw).unwrap();
    assert_eq!(code(wrap(&token, picky, target, Wrapping::AesKwp)), NO);
    let padded = generate(&token, KeyType::Aes256, secret("padded", keys, &[only(KEY_WRAP_PAD)]));
    let wrapped = wrap(&token, padded, target, Wrapping::AesKwp).unwrap();

    let open_only = template(WRAP_TEMPLATE, SENSITIVE, false);
    let open_only = generate(&token, KeyType::Aes256, secret("open-only", keys, &[open_only]));
    assert_eq!(code(wrap(&token, open_only, target, Wrapping::AesKwp)), ErrorCode::InvalidKeyType);
    for by in ["picky", "padded", "open-only"] {
        let export = ExportKey {
            name: "target".into(),
            version: 0,
            format: KeyFormat::Raw,
            wrapping_key: by.into(),
            wrapping_public_key: b""[..].into(),
        };
        assert_eq!(code(token.core.call(&token.caller(), export)), NO, "{by}");
        let import = ImportKey {
            name: "back".into(),
            kind: KeyType::Aes256,
            format: KeyFormat::Raw,
            material: wrapped.clone().into(),
            wrapped: false,
            wrapping_key: by.into(),
            next_version: false,
            usage: None,
            exportable: false,
            allow_plaintext_backup: false,
        };
        assert_eq!(code(token.core.call(&token.caller(), import)), NO, "{by}");
    }

    let silent = template(UNWRAP_TEMPLATE, SIGN, false);
    let silent = generate(&token, KeyType::Aes256, secret("silent", keys, &[silent]));
    let how = Wrapping::AesKwp;
    let wrapped = wrap(&token, silent, target, how).unwrap();
    let unwrap = |usage| {
        let inside = Inside::Secret { family: Family::Generic, len: None };
        let content = secret("", usage, &[]);
        let request = UnwrapKey { unwrapper: silent, how, wrapped: &wrapped, inside, session: None, content };
        token.core.call(&token.caller(), request)
    };
    assert_eq!(code(unwrap(Usage::SIGN)), ErrorCode::KeySensitive);
    unwrap(Usage::DERIVE).unwrap();
}

/// Bases, and the second key of a derivation.
#[test]
fn derived_keys_are_as_their_bases_want_them() {
    let token = logged_in();
    let silent = template(DERIVE_TEMPLATE, SIGN, false);
    let limited = generate(&token, KeyType::Generic, secret("", Usage::DERIVE, &[silent]));
    let free = generate(&token, KeyType::Generic, secret("", Usage::DERIVE, &[]));
    let derive = |base, how, usage| {
        let derived = Derived::Secret { family: Family::Generic, len: None };
        let content = secret("", usage, &[]);
        token.core.call(&token.caller(), DeriveKey { base, how, derived, session: None, content })
    };
    for (base, how) in [
        (limited, Derivation::Xor(&[7; 32])),
        (limited, Derivation::JoinKey(free)),
        (free, Derivation::JoinKey(limited)),
    ] {
        assert_eq!(code(derive(base, how.clone(), Usage::SIGN)), ErrorCode::KeySensitive);
        derive(base, how, Usage::DERIVE).unwrap();
    }
}
