//! Key material coming in, going out and being copied, as the PKCS#11 module asks for it.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod token;

use canis_core::crypto::SignScheme;
use canis_core::crypto::private_parts::PrivateParts;
use canis_core::object::{
    Class, Content, CopyObject, DestroyObject, ExportObject, ImportObject, UseToSign, UseToVerify,
};
use canis_core::secret::SecretBytes;
use canis_core::token::{Logout, Role};
use canis_proto::{ErrorCode, Id, KeyType, Result, Usage};
use token::{SO, Token, USER, code, content};
use zeroize::Zeroizing;

/// A token with the user logged in.
fn token() -> Token {
    let token = Token::new();
    token.login(Role::User, USER).unwrap();
    token
}

fn p256(scalar: u8) -> PrivateParts {
    PrivateParts::Ec { curve: KeyType::EcdsaP256, scalar: Zeroizing::new(vec![scalar]) }
}

/// An EC key's attributes as somebody who wants it back later gives them.
fn open_content(label: &str) -> Content {
    let mut content = content(Class::PrivateKey, label, Usage::SIGN);
    let facts = content.key.as_mut().unwrap();
    facts.sensitive = false;
    facts.extractable = true;
    content
}

fn import(token: &Token, session: Option<u64>, content: Content) -> Result<Id> {
    token.core.call(&token.caller(), ImportObject { parts: p256(7), session, content })
}

fn export(token: &Token, object: Id) -> Result<Vec<u8>> {
    match token.core.call(&token.caller(), ExportObject { object, measure: false })? {
        PrivateParts::Ec { scalar, .. } => Ok(scalar.to_vec()),
        _ => panic!("not an EC key"),
    }
}

fn copy(token: &Token, object: Id, session: Option<u64>, edit: impl FnOnce(&mut Content)) -> Result<Id> {
    let mut content = token.read(object)?.content.clone();
    edit(&mut content);
    token.core.call(&token.caller(), CopyObject { object, session, content })
}

fn sign(token: &Token, object: Id) -> Result<[u8; 64]> {
    let key = token.open(object, Usage::SIGN)?;
    let mut out = [0; 64];
    let request = UseToSign {
        key: &key,
        scheme: canis_core::object::SignWith::Pair(SignScheme::Ecdsa),
        input: &[9; 32],
        out: &mut out,
    };
    token.core.call(&token.caller(), request)?;
    Ok(out)
}

fn scalar() -> Vec<u8> {
    [vec![0; 31], vec![7]].concat()
}

/// A key from outside has no past here, whatever its template says; its public half is computed.
#[test]
fn an_imported_key_has_no_history() {
    let token = token();
    for session in [None, Some(1)] {
        let mut claims = content(Class::PrivateKey, "k", Usage::SIGN);
        let facts = claims.key.as_mut().unwrap();
        (facts.local, facts.always_sensitive, facts.never_extractable) = (true, true, true);
        let object = import(&token, session, claims.clone()).unwrap();
        let facts = token.read(object).unwrap().content.key.clone().unwrap();
        assert!(!facts.local && !facts.always_sensitive && !facts.never_extractable);
        assert!(facts.sensitive && !facts.extractable && facts.mechanism == u64::MAX && !facts.trusted);
        assert!(facts.spki.len() > 64);
        sign(&token, object).unwrap();
        let mut strange = claims.clone();
        strange.key.as_mut().unwrap().spki = vec![1];
        assert_eq!(code(import(&token, session, strange)), ErrorCode::InvalidArgument);
    }
    let mut derives = content(Class::PrivateKey, "k", Usage::ENCRYPT);
    assert_eq!(code(import(&token, None, derives.clone())), ErrorCode::OperationNotSupported);
    derives.class = Class::SecretKey;
    assert_eq!(code(import(&token, None, derives)), ErrorCode::InvalidArgument);
    let short = PrivateParts::Secret { kind: KeyType::Aes256, value: SecretBytes::zeroed(31) };
    let content = content(Class::SecretKey, "a", Usage::NONE);
    let request = ImportObject { parts: short, session: None, content };
    assert_eq!(code(token.core.call(&token.caller(), request)), ErrorCode::InvalidArgument);
}

/// Nobody but the user brings keys in, takes them out or copies them.
#[test]
fn material_needs_the_users_login() {
    let token = token();
    let mut visible = open_content("k");
    visible.private = false;
    let object = import(&token, None, visible.clone()).unwrap();
    token.core.call(&token.caller(), Logout).unwrap();
    for role in [None, Some(Role::So)] {
        if let Some(role) = role {
            token.login(role, SO).unwrap();
        }
        assert_eq!(code(import(&token, None, visible.clone())), ErrorCode::LoginRequired);
        assert_eq!(code(import(&token, Some(1), visible.clone())), ErrorCode::LoginRequired);
        assert_eq!(code(export(&token, object)), ErrorCode::LoginRequired);
        assert_eq!(code(copy(&token, object, None, |_| {})), ErrorCode::LoginRequired);
    }
}

/// Material leaves in plain only while the object and the key's own row both allow it.
#[test]
fn material_leaves_only_if_it_may() {
    let token = token();
    for session in [None, Some(1)] {
        let object = import(&token, session, open_content("k")).unwrap();
        assert_eq!(export(&token, object).unwrap(), scalar());
        token.change(object, |content| content.key.as_mut().unwrap().sensitive = true).unwrap();
        assert_eq!(code(export(&token, object)), ErrorCode::OperationNotAllowed);
        let object = import(&token, session, open_content("k")).unwrap();
        token.change(object, |content| content.key.as_mut().unwrap().extractable = false).unwrap();
        assert_eq!(code(export(&token, object)), ErrorCode::OperationNotAllowed);
    }
    let (_, public) = token.generate("pair", None).unwrap();
    assert_eq!(code(export(&token, public)), ErrorCode::ObjectNotFound);
}

/// A session's copy of a token key is the same key still: it lives, changes and ends with it.
#[test]
fn a_sessions_copy_follows_its_origin() {
    let token = token();
    let object = import(&token, None, open_content("k")).unwrap();
    let held = copy(&token, object, Some(1), |content| content.label = b"copy".to_vec()).unwrap();
    let again = copy(&token, held, Some(1), |_| {}).unwrap();
    assert_eq!(token.find(b"copy"), 2);
    for copy in [held, again] {
        sign(&token, copy).unwrap();
        assert_eq!(export(&token, copy).unwrap(), scalar());
    }
    token.change(object, |content| content.key.as_mut().unwrap().sensitive = true).unwrap();
    assert_eq!(code(export(&token, held)), ErrorCode::OperationNotAllowed);
    token.change(object, |content| content.key.as_mut().unwrap().usage = Usage::NONE).unwrap();
    assert_eq!(code(sign(&token, held)), ErrorCode::OperationNotAllowed);
    token.change(object, |content| content.key.as_mut().unwrap().usage = Usage::SIGN).unwrap();
    sign(&token, again).unwrap();
    token.change(object, |content| content.key.as_mut().unwrap().wrap_with_trusted = true).unwrap();
    let facts = token.read(held).unwrap().content.key.clone().unwrap();
    assert!(facts.wrap_with_trusted && facts.sensitive && facts.usage == Usage::SIGN);
    token.core.call(&token.caller(), DestroyObject { object }).unwrap();
    assert!(sign(&token, held).is_err() && sign(&token, again).is_err());
}

/// A copy in the token is a key of its own; so is one of a session's key.
#[test]
fn a_tokens_copy_stands_alone() {
    let token = token();
    for session in [None, Some(1)] {
        let (object, public) = token.generate("pair", session).unwrap();
        let kept = copy(&token, object, None, |content| content.id = vec![2]).unwrap();
        let seen = copy(&token, public, None, |_| {}).unwrap();
        token.core.call(&token.caller(), DestroyObject { object }).unwrap();
        token.core.call(&token.caller(), DestroyObject { object: public }).unwrap();
        let signature = sign(&token, kept).unwrap();
        let key = token.open(seen, Usage::VERIFY).unwrap();
        let request = UseToVerify {
            key: &key,
            scheme: canis_core::object::SignWith::Pair(SignScheme::Ecdsa),
            input: &[9; 32],
            signature: &signature,
        };
        assert!(token.core.call(&token.caller(), request).unwrap());
        let facts = token.read(kept).unwrap().content.key.clone().unwrap();
        assert!(facts.local && facts.always_sensitive && facts.never_extractable);
        assert_eq!(facts.mechanism, 0x1040);
    }
}

/// A copy may be stricter than its original, never looser.
#[test]
fn no_copy_gains_rights() {
    let token = token();
    for session in [None, Some(1)] {
        let (object, public) = token.generate("pair", session).unwrap();
        let edits: [fn(&mut Content); 7] = [
            |content| content.key.as_mut().unwrap().sensitive = false,
            |content| content.key.as_mut().unwrap().extractable = true,
            |content| content.key.as_mut().unwrap().usage = Usage::SIGN.with(Usage::DERIVE),
            |content| content.key.as_mut().unwrap().kind = KeyType::EcdsaP384,
            |content| content.key.as_mut().unwrap().trusted = true,
            |content| content.private = false,
            |content| content.class = Class::PublicKey,
        ];
        for (at, edit) in edits.into_iter().enumerate() {
            for place in [None, Some(1)] {
                let refused = copy(&token, object, place, edit);
                assert_eq!(code(refused), ErrorCode::AttributeReadOnly, "edit {at}");
            }
        }
        let widened = copy(&token, public, Some(1), |c| c.key.as_mut().unwrap().usage = Usage::ALL);
        assert_eq!(code(widened), ErrorCode::AttributeReadOnly);
        let claims = copy(&token, object, None, |content| {
            let facts = content.key.as_mut().unwrap();
            facts.usage = Usage::NONE;
            facts.wrap_with_trusted = true;
        });
        let claims = claims.unwrap();
        assert_eq!(code(sign(&token, claims)), ErrorCode::OperationNotAllowed);
        assert_eq!(
            code(copy(&token, claims, None, |c| c.key.as_mut().unwrap().wrap_with_trusted = false)),
            ErrorCode::AttributeReadOnly
        );
        let fixed = copy(&token, object, None, |content| content.copyable = false).unwrap();
        assert_eq!(code(copy(&token, fixed, None, |_| {})), ErrorCode::OperationNotAllowed);
    }
}
