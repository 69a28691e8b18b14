//! C_CopyObject: from anywhere to anywhere, and never to more rights.

use crate::harness::{PIN, SO_PIN, module, pin, refused, token, user_session};
use crate::keys::{self, P256};
use crate::material::OPEN;
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{Attribute, AttributeInfo, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};

fn read(session: &Session, object: ObjectHandle, kind: AttributeType) -> Attribute {
    session.get_attributes(object, &[kind]).unwrap().remove(0)
}

fn data() -> Vec<Attribute> {
    vec![
        Attribute::Class(ObjectClass::DATA),
        Attribute::Label(b"data".to_vec()),
        Attribute::Application(b"test".to_vec()),
        Attribute::Value(b"value".to_vec()),
    ]
}

/// What Java's keytool does: a pair is generated in the session, the private key is copied to the token under a new
/// CKA_ID, and signs there when the session is gone.
#[test]
fn a_session_key_moves_to_the_token() {
    let slot = token("moves");
    let maker = module().open_rw_session(slot).unwrap();
    maker.login(UserType::User, Some(&pin(PIN))).unwrap();
    let user = module().open_rw_session(slot).unwrap();
    let pair = keys::p256(&maker);
    let place = [Attribute::Token(true), Attribute::Id(vec![4, 2]), Attribute::Label(b"kept".to_vec())];
    let kept = maker.copy_object(pair.private, &place).unwrap();
    let public = maker.copy_object(pair.public, &place).unwrap();
    for wanted in place.iter().chain(&[
        Attribute::Local(true),
        Attribute::Sensitive(true),
        Attribute::AlwaysSensitive(true),
        Attribute::NeverExtractable(true),
        Attribute::Sign(true),
    ]) {
        assert_eq!(read(&maker, kept, wanted.attribute_type()), *wanted);
    }
    assert_ne!(
        read(&maker, kept, AttributeType::UniqueId),
        read(&maker, pair.private, AttributeType::UniqueId)
    );
    maker.close().unwrap();
    assert_eq!(user.find_objects(&[Attribute::Id(vec![4, 2])]).unwrap().len(), 2);
    let signature = user.sign(&Mechanism::EcdsaSha256, kept, b"m").unwrap();
    user.verify(&Mechanism::EcdsaSha256, public, b"m", &signature).unwrap();
    refused(user.sign(&Mechanism::EcdsaSha256, pair.private, b"m"), RvError::KeyHandleInvalid);
}

/// Every class is copied in every direction, with its attributes.
#[test]
fn objects_of_every_class_are_copied() {
    let session = user_session("classes");
    let pair = |on_token: bool| {
        let token = Attribute::Token(on_token);
        keys::pair(&session, &Mechanism::EccKeyPairGen, &[Attribute::from(P256), token.clone()], &[token])
    };
    for from in [true, false] {
        let made = |template: &[Attribute]| {
            session.create_object(&[template, &[Attribute::Token(from)]].concat()).unwrap()
        };
        let secret = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::AES),
            Attribute::Value(vec![7; 32]),
        ];
        let generic = [
            Attribute::Class(ObjectClass::SECRET_KEY),
            Attribute::KeyType(KeyType::SHA256_HMAC),
            Attribute::Value(vec![7; 5]),
        ];
        let pair = pair(from);
        for source in
            [made(&data()), made(&[&secret[..], &OPEN].concat()), made(&generic), pair.public, pair.private]
        {
            for to in [true, false] {
                let changes = [Attribute::Token(to), Attribute::Label(b"copy".to_vec())];
                let copy = session.copy_object(source, &changes).unwrap();
                let again = session.copy_object(copy, &[Attribute::Label(b"again".to_vec())]).unwrap();
                for object in [copy, again] {
                    assert_eq!(read(&session, object, AttributeType::Token), changes[0]);
                    for kind in [AttributeType::Class, AttributeType::Private, AttributeType::Copyable] {
                        assert_eq!(read(&session, object, kind), read(&session, source, kind));
                    }
                }
                for kind in [AttributeType::Value, AttributeType::CheckValue, AttributeType::ValueLen] {
                    let value = |object| session.get_attributes(object, &[kind]).unwrap();
                    assert_eq!(value(again), value(source), "{kind:?}");
                }
            }
        }
    }
}

/// Attacks: no copy is looser than its original.
#[test]
fn copies_do_not_loosen() {
    let session = user_session("loosen");
    let strict = [Attribute::WrapWithTrusted(true), Attribute::Derive(false)];
    for on_token in [true, false] {
        let token = Attribute::Token(on_token);
        let public = [Attribute::from(P256), token.clone()];
        let private = [&strict[..], &[token]].concat();
        let key = keys::pair(&session, &Mechanism::EccKeyPairGen, &public, &private).private;
        for to in [true, false] {
            for loose in [
                Attribute::Sensitive(false),
                Attribute::Extractable(true),
                Attribute::WrapWithTrusted(false),
                Attribute::Derive(true),
                Attribute::AlwaysSensitive(false),
                Attribute::NeverExtractable(false),
                Attribute::Local(false),
                Attribute::Class(ObjectClass::SECRET_KEY),
                Attribute::EcParams(vec![1]),
                Attribute::Value(vec![1; 32]),
            ] {
                refused(session.copy_object(key, &[loose, Attribute::Token(to)]), RvError::AttributeReadOnly);
            }
            let open = [Attribute::Private(false), Attribute::Token(to)];
            refused(session.copy_object(key, &open), RvError::TemplateInconsistent);
            refused(session.copy_object(key, &[Attribute::Modulus(vec![1])]), RvError::AttributeTypeInvalid);
            // What is so already may be said again.
            let same = [
                Attribute::Class(ObjectClass::PRIVATE_KEY),
                Attribute::Sensitive(true),
                Attribute::Token(to),
            ];
            session.copy_object(key, &same).unwrap();
        }
    }
}

/// A copy that was closed is closed, and the open original does not say otherwise; its history is its own.
#[test]
fn copies_may_tighten() {
    let session = user_session("tighten");
    let template = [&[Attribute::ValueLen(16.into())], &OPEN[..]].concat();
    let key = session.generate_key(&Mechanism::AesKeyGen, &template).unwrap();
    let closed = [Attribute::Sensitive(true), Attribute::Extractable(false), Attribute::Copyable(false)];
    let copy = session.copy_object(key, &closed).unwrap();
    let info = session.get_attribute_info(copy, &[AttributeType::Value]).unwrap();
    assert!(matches!(info[..], [AttributeInfo::Sensitive]), "{info:?}");
    assert_eq!(read(&session, copy, AttributeType::AlwaysSensitive), Attribute::AlwaysSensitive(false));
    assert_eq!(read(&session, copy, AttributeType::NeverExtractable), Attribute::NeverExtractable(false));
    refused(session.copy_object(copy, &[]), RvError::ActionProhibited);
    let fixed = session.create_object(&[data(), vec![Attribute::Copyable(false)]].concat()).unwrap();
    refused(session.copy_object(fixed, &[]), RvError::ActionProhibited);
    // CKA_MODIFIABLE and CKA_DESTROYABLE may be set anew (section 5.7.2).
    let unmodifiable = session.create_object(&[data(), vec![Attribute::Modifiable(false)]].concat()).unwrap();
    let free = session.copy_object(unmodifiable, &[Attribute::Modifiable(true)]).unwrap();
    session.update_attributes(free, &[Attribute::Label(vec![])]).unwrap();
}

/// A session's copy of a token key ends with the key, and loses with it.
#[test]
fn a_sessions_copy_of_a_token_key_follows_it() {
    let session = user_session("follows");
    let on_token = [Attribute::Token(true)];
    let public = [Attribute::from(P256), Attribute::Token(true)];
    let pair = keys::pair(&session, &Mechanism::EccKeyPairGen, &public, &on_token);
    let copy = session.copy_object(pair.private, &[Attribute::Token(false)]).unwrap();
    session.sign(&Mechanism::EcdsaSha256, copy, b"m").unwrap();
    session.update_attributes(pair.private, &[Attribute::Sign(false)]).unwrap();
    refused(session.sign(&Mechanism::EcdsaSha256, copy, b"m"), RvError::KeyFunctionNotPermitted);
    session.update_attributes(pair.private, &[Attribute::Sign(true)]).unwrap();
    session.sign(&Mechanism::EcdsaSha256, copy, b"m").unwrap();
    session.destroy_object(pair.private).unwrap();
    assert!(session.sign(&Mechanism::EcdsaSha256, copy, b"m").is_err());
}

/// Trust does not come along: only the security officer gives it, also to copies.
#[test]
fn trust_is_not_copied() {
    let slot = token("copied trust");
    let session = module().open_rw_session(slot).unwrap();
    let trusted = [Attribute::Trusted(true)];
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
    let public = [Attribute::from(P256), Attribute::Token(true)];
    let pair = keys::pair(&session, &Mechanism::EccKeyPairGen, &public, &[Attribute::Token(true)]);
    session.logout().unwrap();
    session.login(UserType::So, Some(&pin(SO_PIN))).unwrap();
    session.update_attributes(pair.public, &trusted).unwrap();
    session.logout().unwrap();
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
    assert_eq!(read(&session, pair.public, AttributeType::Trusted), trusted[0]);
    for to in [true, false] {
        let copy = session.copy_object(pair.public, &[Attribute::Token(to)]).unwrap();
        assert_eq!(read(&session, copy, AttributeType::Trusted), Attribute::Trusted(false));
        refused(session.update_attributes(copy, &trusted), RvError::AttributeReadOnly);
    }
}

/// A R/O session copies to itself, not to the token; nobody copies what he does not see.
#[test]
fn copies_know_their_place() {
    let slot = token("place");
    let writer = module().open_rw_session(slot).unwrap();
    writer.login(UserType::User, Some(&pin(PIN))).unwrap();
    let reader = module().open_ro_session(slot).unwrap();
    let private = [data(), vec![Attribute::Token(true), Attribute::Private(true)]].concat();
    let object = writer.create_object(&private).unwrap();
    refused(reader.copy_object(object, &[]), RvError::SessionReadOnly);
    let copy = reader.copy_object(object, &[Attribute::Token(false)]).unwrap();
    refused(reader.copy_object(copy, &[Attribute::Token(true)]), RvError::SessionReadOnly);
    reader.close().unwrap();
    refused(writer.copy_object(copy, &[]), RvError::ObjectHandleInvalid);
    writer.logout().unwrap();
    refused(writer.copy_object(object, &[]), RvError::ObjectHandleInvalid);
}
