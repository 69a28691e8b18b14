//! What a value of keys is used for sticks to the value: over objects, changes, processes.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod token;

use canis_core::VerifyStore;
use canis_core::clock::SystemClock;
use canis_core::crypto::private_parts::PrivateParts;
use canis_core::crypto::{Hash, Oaep, SignScheme};
use canis_core::datadir::DataDir;
use canis_core::object::{
    Class, Content, CopyObject, Derivation, DeriveKey, Derived, GenerateObjects, ImportObject, Inside,
    SignWith, UnwrapKey, UseToSign, WrapKey, Wrapping,
};
use canis_core::secret::SecretBytes;
use canis_core::token::{Login, Role};
use canis_core::{Caller, Core, default_provider};
use canis_proto::message::Decrypt;
use canis_proto::text::Sealed;
use canis_proto::{ErrorCode, Family, Id, KeyType, Result, Usage};
use std::sync::Arc;
use token::{Token, USER, code, content, pin};

const DATA: Usage = Usage::ENCRYPT.with(Usage::DECRYPT);
const KEYS: Usage = Usage::WRAP.with(Usage::UNWRAP);

/// A secret key's attributes: sensitive, extractable.
fn secret(usage: Usage) -> Content {
    let mut content = content(Class::SecretKey, "", usage);
    content.private = true;
    content.key.as_mut().unwrap().sensitive = true;
    content
}

fn generate(token: &Token, usage: Usage, session: Option<u64>) -> Id {
    let request =
        GenerateObjects { kind: KeyType::Aes256, len: 0, session, secret: secret(usage), public: None };
    token.core.call(&token.caller(), request).unwrap().0
}

fn import(token: &Token, usage: Usage, value: &[u8], session: Option<u64>) -> Id {
    let parts = PrivateParts::Secret { kind: KeyType::Aes256, value: SecretBytes::copied_from(value) };
    token.core.call(&token.caller(), ImportObject { session, content: secret(usage), parts }).unwrap()
}

fn wrap(core: &Core, caller: &Caller, wrapper: Id, key: Id) -> Result<Vec<u8>> {
    let request = WrapKey { wrapper, key, how: Wrapping::AesKwp, room: usize::MAX, weak_rsa: false };
    core.call(caller, request).map(|wrapped| wrapped.bytes.unwrap())
}

fn unwrap(token: &Token, unwrapper: Id, wrapped: &[u8], content: Content) -> Result<Id> {
    let inside = Inside::Secret { family: Family::Aes, len: None };
    let how = Wrapping::AesKwp;
    token.core.call(&token.caller(), UnwrapKey { unwrapper, how, wrapped, inside, session: None, content })
}

fn logged_in() -> Token {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    token
}

/// Two objects with one value, whichever of them did what first; in the token and in a session.
#[test]
fn one_value_in_two_objects_has_one_role() {
    let token = logged_in();
    let target = generate(&token, DATA, None);
    for (number, session) in [(1, None), (2, Some(7))] {
        let wrapper = import(&token, KEYS, &[number; 32], session);
        let wrapped = wrap(&token.core, &token.caller(), wrapper, target).unwrap();
        let twin = import(&token, DATA, &[number; 32], session);
        assert_eq!(code(token.open(twin, Usage::DECRYPT)), ErrorCode::OperationNotAllowed);
        assert_eq!(code(token.open(twin, Usage::ENCRYPT)), ErrorCode::OperationNotAllowed);
        // Being granted data it is for data too: what it wrapped it does not even unwrap any more.
        assert_eq!(code(unwrap(&token, wrapper, &wrapped, secret(DATA))), ErrorCode::OperationNotAllowed);

        let data = import(&token, DATA, &[number + 8; 32], session);
        let twin = import(&token, KEYS, &[number + 8; 32], session);
        assert_eq!(code(wrap(&token.core, &token.caller(), twin, target)), ErrorCode::KeyNotWrappable);
        token.open(data, Usage::DECRYPT).unwrap();
    }
}

/// A usage that was taken away still counts, and one that is given later does not come true.
#[test]
fn changing_the_usage_changes_no_role() {
    let token = logged_in();
    let target = generate(&token, DATA, None);
    for session in [None, Some(7)] {
        let usage = |key, usage| token.change(key, |content| content.key.as_mut().unwrap().usage = usage);
        let was_data = generate(&token, DATA, session);
        usage(was_data, KEYS).unwrap();
        assert_eq!(code(wrap(&token.core, &token.caller(), was_data, target)), ErrorCode::KeyNotWrappable);
        let was_keys = generate(&token, KEYS, session);
        wrap(&token.core, &token.caller(), was_keys, target).unwrap();
        usage(was_keys, KEYS.with(DATA)).unwrap();
        assert_eq!(code(token.open(was_keys, Usage::DECRYPT)), ErrorCode::OperationNotAllowed);
        usage(was_keys, DATA).unwrap();
        assert_eq!(code(token.open(was_keys, Usage::DECRYPT)), ErrorCode::OperationNotAllowed);
    }
}

/// Another process, after a restart, knows what this one did.
#[test]
fn roles_survive_a_restart() {
    let token = logged_in();
    let (target, wrapper) = (generate(&token, DATA, None), generate(&token, KEYS.with(DATA), None));
    // It may decrypt, so it may not wrap what is sensitive.
    assert_eq!(code(wrap(&token.core, &token.caller(), wrapper, target)), ErrorCode::KeyNotWrappable);
    token.change(wrapper, |content| content.key.as_mut().unwrap().usage = KEYS).unwrap();
    let wrapped = wrap(&token.core, &token.caller(), wrapper, target).unwrap();

    let store = DataDir::new(token.dir.path()).open_or_create_store().unwrap();
    let core = Core::open(Arc::new(store), default_provider(), Arc::new(SystemClock)).unwrap();
    let application = core.application();
    let caller = Caller::pkcs11(&application, token.id);
    core.call(&caller, Login { role: Role::User, pin: pin(USER).into() }).unwrap();
    let mut plain = secret(DATA);
    plain.key.as_mut().unwrap().sensitive = false;
    let ask = |content| UnwrapKey {
        unwrapper: wrapper,
        how: Wrapping::AesKwp,
        wrapped: &wrapped,
        inside: Inside::Secret { family: Family::Generic, len: None },
        session: None,
        content,
    };
    plain.key.as_mut().unwrap().usage = Usage::SIGN;
    assert_eq!(code(core.call(&caller, ask(plain))), ErrorCode::KeySensitive);
    core.call(&caller, ask(secret(Usage::SIGN))).unwrap();
    let report = core.call(&caller, VerifyStore).unwrap();
    assert_eq!(report.refused, []);
}

/// A session's key for data stays one in its copy when it is gone itself.
#[test]
fn copies_keep_the_role_of_a_session_key() {
    let token = logged_in();
    let target = generate(&token, DATA, None);
    let wrapper = generate(&token, KEYS, None);
    let wrapped = wrap(&token.core, &token.caller(), wrapper, target).unwrap();
    for session in [None, Some(8)] {
        let key = generate(&token, KEYS.with(DATA), Some(7));
        token.open(key, Usage::ENCRYPT).unwrap();
        let content = token.read(key).unwrap().content.clone();
        let copy = token.core.call(&token.caller(), CopyObject { object: key, session, content }).unwrap();
        token.application.end_session(7);
        assert_eq!(code(unwrap(&token, copy, &wrapped, secret(DATA))), ErrorCode::DecryptionFailed);
        let mine = wrap(&token.core, &token.caller(), copy, generate_open(&token)).unwrap();
        assert_eq!(code(unwrap(&token, copy, &mine, secret(DATA))), ErrorCode::OperationNotAllowed);
    }
}

/// A key that may be read.
fn generate_open(token: &Token) -> Id {
    let mut content = secret(DATA);
    content.key.as_mut().unwrap().sensitive = false;
    let request =
        GenerateObjects { kind: KeyType::Aes256, len: 0, session: None, secret: content, public: None };
    token.core.call(&token.caller(), request).unwrap().0
}

/// A key that wraps itself, and two processes that give one value a role at once, do no harm.
#[test]
fn a_key_may_wrap_itself() {
    let token = logged_in();
    let key = generate(&token, KEYS, None);
    wrap(&token.core, &token.caller(), key, key).unwrap();
    wrap(&token.core, &token.caller(), key, key).unwrap();
}

/// No key is made of a part of a sensitive base, wherever it stands.
#[test]
fn derivation_gives_no_part_that_could_be_tried() {
    let token = logged_in();
    let base = generate(&token, Usage::DERIVE, None);
    let other = generate(&token, Usage::DERIVE, None);
    let derive = |how, len| {
        let derived = Derived::Secret { family: Family::Generic, len: Some(len) };
        let request = DeriveKey { base, how, derived, session: None, content: secret(Usage::SIGN) };
        token.core.call(&token.caller(), request)
    };
    let data = [7; 64];
    for (how, refused, taken) in [
        (Derivation::Xor(&data), 31, 32),
        (Derivation::Extract(3), 31, 32),
        (Derivation::JoinData(&data), 31, 32),
        (Derivation::JoinAfter(&data), 65, 96),
        (Derivation::JoinAfter(&data), 95, 96),
        (Derivation::JoinKey(other), 33, 64),
        (Derivation::JoinKey(other), 63, 64),
    ] {
        assert_eq!(code(derive(how.clone(), refused)), ErrorCode::InvalidKeyType);
        derive(how, taken).unwrap();
    }
    assert_eq!(code(derive(Derivation::Xor(&data[..13]), 13)), ErrorCode::InvalidKeyType);
    assert_eq!(code(derive(Derivation::Xor(&data[..14]), 15)), ErrorCode::InvalidKeyType);
}

/// The bare RSA operation signs and decrypts alike, so a pair that wraps sensitive keys signs nothing by it, and one
/// that signed so wraps none.
#[test]
fn unpadded_signatures_decrypt_no_wrapped_keys() {
    let token = logged_in();
    let target = generate(&token, DATA, None);
    let pair = || {
        let secret = content(Class::PrivateKey, "", Usage::SIGN.with(Usage::DECRYPT).with(Usage::UNWRAP));
        let public = Some(content(Class::PublicKey, "", Usage::WRAP));
        let request = GenerateObjects { kind: KeyType::Rsa2048, len: 0, session: Some(1), secret, public };
        let (private, public) = token.core.call(&token.caller(), request).unwrap();
        (private, public.unwrap())
    };
    let wrap = |wrapper| {
        let how = Wrapping::RsaOaep(Oaep { hash: Hash::Sha256, mgf: Hash::Sha256, label: b"" });
        let request = WrapKey { wrapper, key: target, how, room: usize::MAX, weak_rsa: true };
        token.core.call(&token.caller(), request).map(|wrapped| wrapped.bytes.unwrap())
    };
    let sign = |private, input: &[u8]| {
        let key = token.open(private, Usage::SIGN)?;
        let (scheme, mut out) = (SignWith::Pair(SignScheme::RsaRaw), [0; 256]);
        token.core.call(&token.caller(), UseToSign { key: &key, scheme, input, out: &mut out })
    };
    let (private, public) = pair();
    let wrapped = wrap(public).unwrap();
    assert_eq!(code(sign(private, &wrapped)), ErrorCode::OperationNotAllowed);
    let (private, public) = pair();
    sign(private, &[7; 200]).unwrap();
    assert!(wrap(public).is_err());
}

/// The same pair at two doors: what it wrapped through PKCS#11 it does not decrypt for the API.
#[test]
fn a_pair_that_wrapped_decrypts_at_no_door() {
    let token = logged_in();
    let half = |class, usage| content(class, "both", usage);
    let pair = GenerateObjects {
        kind: KeyType::Rsa3072,
        len: 0,
        session: None,
        secret: half(Class::PrivateKey, Usage::DECRYPT.with(Usage::UNWRAP)),
        public: Some(half(Class::PublicKey, Usage::ENCRYPT.with(Usage::WRAP))),
    };
    let (_, public) = token.core.call(&token.caller(), pair).unwrap();
    let sealed = |bytes: &[u8]| Sealed { name: "both".into(), version: 1, bytes: bytes.to_vec() }.to_text();
    let decrypt = |ciphertext: String| {
        let request =
            Decrypt { name: "both".into(), ciphertext: ciphertext.into(), context: (&[][..]).into() };
        token.core.call(&token.caller(), request).map(|answer| answer.plaintext)
    };
    assert_eq!(code(decrypt(sealed(&[1; 384]))), ErrorCode::DecryptionFailed);
    let oaep = Oaep { hash: Hash::Sha256, mgf: Hash::Sha256, label: &[] };
    let request = WrapKey {
        wrapper: public.unwrap(),
        key: generate(&token, DATA, None),
        how: Wrapping::RsaAes { bits: 256, oaep },
        room: usize::MAX,
        weak_rsa: true,
    };
    let wrapped = token.core.call(&token.caller(), request).unwrap().bytes.unwrap();
    assert_eq!(code(decrypt(sealed(&wrapped[..384]))), ErrorCode::OperationNotAllowed);
}
