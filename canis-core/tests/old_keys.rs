//! Keys for old clients of PKCS#11: at every other door they can be seen and destroyed, and nothing else.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod token;

use canis_core::Run;
use canis_core::crypto::{Hash, SignScheme, digest_info};
use canis_core::object::{Class, FindObjects, GenerateObjects, SignWith, UseToSign, Wanted};
use canis_core::token::Role;
use canis_proto::message::{
    CreateKey, DestroyKey, DisableKey, Encrypt, ExportKey, ImportKey, RotateKey, ShowKey,
};
use canis_proto::{ErrorCode, Interval, KeyFormat, KeyState, KeyType, Result, Usage};
use token::{Token, USER, content};

fn call<R: Run>(token: &Token, request: R) -> Result<R::Answer> {
    token.core.call(&token.caller(), request)
}

fn logged_in() -> Token {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    token
}

/// The code of a refusal.
fn refused<T>(outcome: Result<T>) -> Option<ErrorCode> {
    outcome.err().map(|error| error.code)
}

#[test]
fn the_api_makes_no_keys_of_des() {
    let token = logged_in();
    for kind in [KeyType::Des, KeyType::Des2, KeyType::Des3] {
        assert_eq!(refused(call(&token, CreateKey::new("old", kind))), Some(ErrorCode::InvalidKeyType));
        let import = ImportKey {
            name: "old".into(),
            kind,
            format: KeyFormat::Raw,
            material: vec![0x13; kind.bytes()].into(),
            wrapped: false,
            wrapping_key: "".into(),
            next_version: false,
            usage: None,
            exportable: false,
            allow_plaintext_backup: false,
        };
        assert_eq!(refused(call(&token, import)), Some(ErrorCode::InvalidKeyType));
    }
    assert!(!"foo".parse::<KeyType>().unwrap_err().message.contains("des"));
}

/// One that PKCS#11 made is shown and destroyed, and no API operation uses its value.
#[test]
fn the_api_uses_no_keys_of_des() {
    let token = logged_in();
    let data = Usage::ENCRYPT.with(Usage::DECRYPT);
    let mut secret = content(Class::SecretKey, "old", data);
    secret.key.as_mut().unwrap().extractable = true;
    let request = GenerateObjects { kind: KeyType::Des3, len: 24, session: None, secret, public: None };
    call(&token, request).unwrap();
    assert_eq!(call(&token, ShowKey { name: "old".into(), before_version: 0 }).unwrap().kind, KeyType::Des3);
    let encrypt =
        Encrypt { name: "old".into(), plaintext: b"plain"[..].into(), context: b""[..].into(), version: 0 };
    let export = ExportKey {
        name: "old".into(),
        version: 0,
        format: KeyFormat::Raw,
        wrapping_key: "".into(),
        wrapping_public_key: b""[..].into(),
    };
    let refusals = [
        refused(call(&token, encrypt)),
        refused(call(&token, RotateKey { name: "old".into(), preview: false })),
        refused(call(&token, export)),
    ];
    assert_eq!(refusals, [Some(ErrorCode::InvalidKeyType); 3]);
    call(&token, DisableKey { name: "old".into() }).unwrap();
    let destroyed = call(&token, DestroyKey { name: "old".into(), delay: Interval::NEVER }).unwrap();
    assert_eq!(destroyed.state, KeyState::Destroyed);
}

/// A key made through the API signs no digest of MD5 when PKCS#11 asks for it.
#[test]
fn keys_of_the_api_sign_no_md5() {
    let token = logged_in();
    call(&token, CreateKey::new("signs", KeyType::Rsa2048)).unwrap();
    let wanted = Wanted { class: Some(Class::PrivateKey), label: Some(b"signs"), ..Wanted::default() };
    let private = call(&token, FindObjects { wanted }).unwrap().objects[0].id;
    let key = token.open(private, Usage::SIGN).unwrap();
    let sign = |hash: Hash| {
        let info = digest_info::encode(hash, &vec![7; hash.len()]).unwrap();
        let (scheme, mut out) = (SignWith::Pair(SignScheme::RsaPkcs1), [0; 256]);
        refused(call(&token, UseToSign { key: &key, scheme, input: info.as_slice(), out: &mut out }))
    };
    assert_eq!(sign(Hash::Md5), Some(ErrorCode::OperationNotAllowed));
    assert_eq!((sign(Hash::Sha1), sign(Hash::Sha256)), (None, None));
}
