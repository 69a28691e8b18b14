//! What PKCS#11 promises of a key holds at the other door, and for its next version.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod token;

use canis_core::crypto::SignScheme;
use canis_core::crypto::private_parts::PrivateParts;
use canis_core::object::{
    Class, Content, FindObjects, GenerateObjects, ImportObject, Inside, SignWith, UnwrapKey, UseToSign,
    Wanted, WrapKey, Wrapping,
};
use canis_core::secret::SecretBytes;
use canis_core::token::{Logout, Role};
use canis_proto::message::{CreateKey, ExportKey, ImportKey, RotateKey};
use canis_proto::{ErrorCode, Family, Id, KeyFormat, KeyType, Result, Usage};
use token::{SO, Token, USER, code, content};

const CHECK_VALUE: u64 = 0x90;

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

fn generate(token: &Token, secret: Content) -> Id {
    let request = GenerateObjects { kind: KeyType::Aes256, len: 0, session: None, secret, public: None };
    token.core.call(&token.caller(), request).unwrap().0
}

fn export(token: &Token, name: &str, wrapping_key: &str) -> Result<Vec<u8>> {
    let request = ExportKey {
        name: name.into(),
        version: 0,
        format: KeyFormat::Raw,
        wrapping_key: wrapping_key.into(),
        wrapping_public_key: b""[..].into(),
    };
    token.core.call(&token.caller(), request).map(|exported| exported.material.clone())
}

fn import(token: &Token, name: &str, material: &[u8], edit: impl FnOnce(&mut ImportKey<'_>)) -> Result<()> {
    let mut request = ImportKey {
        name: name.into(),
        kind: KeyType::Aes256,
        format: KeyFormat::Raw,
        material: material.into(),
        wrapped: false,
        wrapping_key: "".into(),
        next_version: false,
        usage: None,
        exportable: false,
        allow_plaintext_backup: false,
    };
    edit(&mut request);
    token.core.call(&token.caller(), request).map(drop)
}

fn objects(token: &Token, label: &str) -> Vec<Id> {
    let wanted = Wanted { label: Some(label.as_bytes()), ..Wanted::default() };
    let found = token.core.call(&token.caller(), FindObjects { wanted }).unwrap();
    found.objects.iter().map(|object| object.id).collect()
}

fn trust(token: &Token, object: Id) {
    token.core.call(&token.caller(), Logout).unwrap();
    token.login(Role::So, SO).unwrap();
    token.change(object, |content| content.key.as_mut().unwrap().trusted = true).unwrap();
    token.core.call(&token.caller(), Logout).unwrap();
    token.login(Role::User, USER).unwrap();
}

/// R52: CKA_WRAP_WITH_TRUSTED is not shed by `key.export` under any key, nor by `key.import` of what a trusted key wrapped.
#[test]
fn keys_for_trusted_wrapping_leave_through_pkcs11_only() {
    let token = token();
    let mut guarded = secret("guarded", Usage::ENCRYPT.with(Usage::DECRYPT));
    guarded.key.as_mut().unwrap().wrap_with_trusted = true;
    let guarded = generate(&token, guarded);
    import(&token, "known", &[7; 32], |key| key.usage = Some(Usage::WRAP.with(Usage::UNWRAP))).unwrap();
    assert_eq!(code(export(&token, "guarded", "known")), ErrorCode::KeyNotExportable);

    let mut wrapper = secret("trusted", Usage::WRAP.with(Usage::UNWRAP));
    wrapper.private = false;
    let wrapper = generate(&token, wrapper);
    trust(&token, wrapper);
    let how = Wrapping::AesKwp;
    let request = WrapKey { wrapper, key: guarded, how, room: usize::MAX, weak_rsa: false };
    let wrapped = token.core.call(&token.caller(), request).unwrap().bytes.unwrap();
    let back = import(&token, "back", &wrapped, |key| {
        key.wrapping_key = "trusted".into();
        key.exportable = true;
    });
    assert_eq!(code(back), ErrorCode::KeySensitive);
}

/// The security officer trusts a value. Who brings the next version of that key is not trusted with it.
#[test]
fn a_version_from_outside_is_not_trusted() {
    let token = token();
    let parts = PrivateParts::Secret { kind: KeyType::Aes256, value: SecretBytes::copied_from(&[1; 32]) };
    let mut content = secret("wrapper", Usage::WRAP);
    content.private = false;
    let request = ImportObject { session: None, content, parts };
    let first = token.core.call(&token.caller(), request).unwrap();
    trust(&token, first);
    import(&token, "wrapper", &[2; 32], |key| key.next_version = true).unwrap();
    let [next] = objects(&token, "wrapper")[..] else { panic!("not one object") };
    assert_ne!(next, first);
    assert!(!token.read(next).unwrap().content.key.as_ref().unwrap().trusted);
    assert!(token.read(first).unwrap().content.key.as_ref().unwrap().trusted);
}

/// RSA keys of the API neither unwrap by PKCS#1 v1.5, nor do they lose what they are when they leave and come back.
#[test]
fn rsa_keys_of_the_api_stay_what_they_are() {
    let token = token();
    let usage = Usage::SIGN.with(Usage::DECRYPT).with(Usage::WRAP).with(Usage::UNWRAP);
    let request =
        CreateKey { usage: Some(usage), exportable: true, ..CreateKey::new("api", KeyType::Rsa2048) };
    token.core.call(&token.caller(), request).unwrap();
    let halves = objects(&token, "api").into_iter();
    let (private, public): (Vec<_>, Vec<_>) =
        halves.partition(|id| token.read(*id).unwrap().content.class == Class::PrivateKey);
    let known = generate(&token, secret("known", Usage::ENCRYPT));
    let wrap = |wrapper, key, how| {
        let request = WrapKey { wrapper, key, how, room: usize::MAX, weak_rsa: true };
        token.core.call(&token.caller(), request).unwrap().bytes.unwrap()
    };
    let unwrap = |unwrapper, how, wrapped: &[u8], inside, content| {
        let request = UnwrapKey { unwrapper, how, wrapped, inside, session: None, content };
        token.core.call(&token.caller(), request)
    };
    let how = Wrapping::RsaPkcs1;
    let wrapped = wrap(public[0], known, how);
    let inside = Inside::Secret { family: Family::Aes, len: Some(32) };
    let mut stays = secret("", Usage::ENCRYPT);
    stays.key.as_mut().unwrap().extractable = false;
    assert_eq!(code(unwrap(private[0], how, &wrapped, inside, stays)), ErrorCode::OperationNotAllowed);

    let wrapper = generate(&token, secret("wrapper", Usage::WRAP.with(Usage::UNWRAP)));
    let how = Wrapping::AesKwp;
    let wrapped = wrap(wrapper, private[0], how);
    let inside = Inside::Private(Family::Rsa);
    let back = content(Class::PrivateKey, "back", Usage::SIGN.with(Usage::DECRYPT));
    let back = unwrap(wrapper, how, &wrapped, inside, back).unwrap();
    let key = token.open(back, Usage::SIGN).unwrap();
    let (scheme, mut out) = (SignWith::Pair(SignScheme::RsaRaw), [0; 256]);
    let sign = UseToSign { key: &key, scheme, input: &[7; 200], out: &mut out };
    assert_eq!(code(token.core.call(&token.caller(), sign)), ErrorCode::OperationNotAllowed);
}

/// CKA_CHECK_VALUE is of the version that shows it.
#[test]
fn check_values_follow_rotation() {
    let token = token();
    let first = generate(&token, secret("rotated", Usage::ENCRYPT));
    let check = |object| {
        let content = token.read(object).unwrap().content.clone();
        content.attributes.into_iter().find(|(kind, _)| *kind == CHECK_VALUE).unwrap().1
    };
    let before = check(first);
    let rotate = RotateKey { name: "rotated".into(), preview: false };
    token.core.call(&token.caller(), rotate).unwrap();
    let [next] = objects(&token, "rotated")[..] else { panic!("not one object") };
    assert_ne!(next, first);
    assert_eq!(check(first), before);
    assert_ne!(check(next), before);
}
