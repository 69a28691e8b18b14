//! Keys that want the PIN for each use, at the core's own door: a host that goes round the module gains nothing.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod token;

use canis_core::crypto::SignScheme;
use canis_core::object::{
    Class, ConfirmUse, Content, CopyObject, ExportObject, GenerateObjects, KeyHandle, SignWith, UseToSign,
};
use canis_core::token::{ListTokens, Logout, MAX_TRIES, Role};
use canis_proto::message::{ExportKey, Sign};
use canis_proto::{ErrorCode, Id, KeyFormat, KeyType, Result, Usage};
use token::{Token, USER, code, content, pin};

fn strict(edit: impl FnOnce(&mut Content)) -> Content {
    let mut secret = content(Class::PrivateKey, "strict", Usage::SIGN.with(Usage::DERIVE));
    secret.key.as_mut().unwrap().always_authenticate = true;
    edit(&mut secret);
    secret
}

fn generate(token: &Token, secret: Content, session: Option<u64>) -> Result<Id> {
    let public = Some(content(Class::PublicKey, "strict", Usage::VERIFY));
    let request = GenerateObjects { kind: KeyType::EcdsaP256, len: 0, session, secret, public };
    token.core.call(&token.caller(), request).map(|(secret, _)| secret)
}

fn sign(token: &Token, key: &KeyHandle) -> Result<usize> {
    let (scheme, mut out) = (SignWith::Pair(SignScheme::Ecdsa), [0; 64]);
    token.core.call(&token.caller(), UseToSign { key, scheme, input: &[7; 32], out: &mut out })
}

fn confirm(token: &Token, key: &KeyHandle, with: &[u8]) -> Result<()> {
    token.core.call(&token.caller(), ConfirmUse { key, pin: &pin(with) })
}

/// One PIN, one use, of the handle it was given for.
#[test]
fn each_use_needs_the_pin() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    for session in [None, Some(1)] {
        let secret = generate(&token, strict(|_| ()), session).unwrap();
        let key = token.open(secret, Usage::SIGN).unwrap();
        assert_eq!(code(sign(&token, &key)), ErrorCode::LoginRequired);
        assert_eq!(code(confirm(&token, &key, b"wrong")), ErrorCode::PinIncorrect);
        assert_eq!(code(sign(&token, &key)), ErrorCode::LoginRequired);

        confirm(&token, &key, USER).unwrap();
        assert_eq!(code(confirm(&token, &key, USER)), ErrorCode::OperationNotAllowed, "it wants none now");
        let other = token.open(secret, Usage::SIGN).unwrap();
        assert_eq!(code(sign(&token, &other)), ErrorCode::LoginRequired, "the PIN was for another handle");
        // Something changes meanwhile, and the key is opened anew; the PIN still counts.
        token.generate("other", Some(2)).unwrap();
        token.application.end_session(2);
        assert_eq!(sign(&token, &key).unwrap(), 64);
        assert_eq!(code(sign(&token, &key)), ErrorCode::LoginRequired, "one PIN is one use");

        confirm(&token, &key, USER).unwrap();
        token.core.call(&token.caller(), Logout).unwrap();
        assert!(sign(&token, &key).is_err(), "a PIN does not outlive the login");
        assert_eq!(code(confirm(&token, &key, USER)), ErrorCode::LoginRequired);
        token.login(Role::User, USER).unwrap();
    }
}

/// C_DeriveKey and C_UnwrapKey leave no moment for the PIN.
#[test]
fn what_takes_no_pin_is_refused() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let secret = generate(&token, strict(|_| ()), None).unwrap();
    assert_eq!(code(token.open(secret, Usage::DERIVE)), ErrorCode::LoginRequired);
}

/// Doors where no PIN can be given do not use such keys.
#[test]
fn no_other_door_signs() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let secret = generate(&token, strict(|_| ()), None).unwrap();
    let by_name = || Sign::new("strict", &b"m"[..]);
    assert_eq!(code(token.core.call(&token.caller(), by_name())), ErrorCode::OperationNotAllowed);
    // Nor does a change of other attributes make the key's own row forget it.
    token.change(secret, |content| content.key.as_mut().unwrap().extractable = false).unwrap();
    token.change(secret, |content| content.label = b"new".to_vec()).unwrap();
    assert_eq!(code(token.core.call(&token.caller(), by_name())), ErrorCode::OperationNotAllowed);
}

/// Nor does any door give it away, wrapped or not: elsewhere it would be used without a PIN.
#[test]
fn it_leaves_by_no_door() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let open = |content: &mut Content| {
        let facts = content.key.as_mut().unwrap();
        (facts.sensitive, facts.extractable) = (false, true);
    };
    let object = generate(&token, strict(open), None).unwrap();
    assert_eq!(
        code(token.core.call(&token.caller(), ExportObject { object, measure: false })),
        ErrorCode::LoginRequired
    );
    let export = ExportKey {
        name: "strict".into(),
        version: 0,
        format: KeyFormat::Pkcs8,
        wrapping_key: "".into(),
        wrapping_public_key: b""[..].into(),
    };
    assert_eq!(code(token.core.call(&token.caller(), export)), ErrorCode::LoginRequired);
}

/// The attribute stays, on the key and on its copies.
#[test]
fn it_cannot_be_taken_away() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let secret = generate(&token, strict(|_| ()), None).unwrap();
    let relaxed = token.change(secret, |content| content.key.as_mut().unwrap().always_authenticate = false);
    assert_eq!(code(relaxed), ErrorCode::AttributeReadOnly);
    for session in [None, Some(1)] {
        let mut content = token.read(secret).unwrap().content.clone();
        let copy =
            |content| token.core.call(&token.caller(), CopyObject { object: secret, session, content });
        let key = token.open(copy(content.clone()).unwrap(), Usage::SIGN).unwrap();
        assert_eq!(code(sign(&token, &key)), ErrorCode::LoginRequired);
        content.key.as_mut().unwrap().always_authenticate = false;
        assert_eq!(code(copy(content)), ErrorCode::AttributeReadOnly);
    }
    let seen = generate(&token, strict(|content| content.private = false), None);
    assert_eq!(code(seen), ErrorCode::InvalidArgument, "only what is private wants a PIN");
}

/// Wrong PINs count as those of logins, and whoever locks the PIN is logged out.
#[test]
fn wrong_pins_are_counted() {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    let secret = generate(&token, strict(|_| ()), None).unwrap();
    let key = token.open(secret, Usage::SIGN).unwrap();
    let left = || token.core.call(&token.caller(), ListTokens).unwrap()[0].user_pin.tries_left;
    for wrong in 1..=MAX_TRIES {
        assert_eq!(code(confirm(&token, &key, b"wrong")), ErrorCode::PinIncorrect);
        assert_eq!(left(), MAX_TRIES - wrong);
        token.clock.advance(2000);
    }
    assert_eq!(code(confirm(&token, &key, USER)), ErrorCode::PinLocked);
    assert_eq!(token.application.role(token.id), None);
    assert_eq!(code(token.open(secret, Usage::SIGN)), ErrorCode::ObjectNotFound);
}
