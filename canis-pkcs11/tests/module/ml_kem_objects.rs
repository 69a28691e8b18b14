//! ML-KEM keys as objects: made, brought, read, copied, wrapped; what they say of their usage; and what is refused.

use crate::harness::{PIN, pin, refused, user_session};
use crate::keys;
use crate::material::OPEN;
use crate::ml_dsa::value;
use crate::ml_kem::{SET_512, SETS, decapsulate, encapsulate, open, pair};
use crate::raw::{attribute, call, mechanism};
use canis_core::crypto::private_parts::PrivateParts;
use cryptoki::error::RvError;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{
    Attribute, AttributeInfo, AttributeType, KeyType, MlKemParameterSetType, ObjectClass, ObjectHandle,
};
use cryptoki::session::{Session, UserType};
use pkcs11_sys::CK_ULONG;
use std::ptr::null_mut;

const SET_768: MlKemParameterSetType = MlKemParameterSetType::ML_KEM_768;

/// What a host brings of a half.
fn half(class: ObjectClass, set: MlKemParameterSetType, parts: &[Attribute]) -> Vec<Attribute> {
    let what =
        [Attribute::Class(class), Attribute::KeyType(KeyType::ML_KEM), Attribute::ParameterSet(set.into())];
    [&what[..], parts].concat()
}

fn private(set: MlKemParameterSetType, parts: &[Attribute]) -> Vec<Attribute> {
    half(ObjectClass::PRIVATE_KEY, set, parts)
}

#[track_caller]
fn shares(session: &Session, public: ObjectHandle, private: ObjectHandle) {
    let (ciphertext, secret) = encapsulate(session, public);
    assert_eq!(decapsulate(session, private, &ciphertext), secret);
}

fn flag(session: &Session, key: ObjectHandle, kind: CK_ULONG) -> bool {
    let (mut value, mut wanted) = (7u8, attribute(kind, &mut 0u8));
    wanted.pValue = (&raw mut value).cast();
    assert_eq!(call!(C_GetAttributeValue(session.handle(), key.handle(), &mut wanted, 1)), 0);
    value == 1
}

/// R93: what a generated pair says of itself. The usages are those of the standard's 3.2, and no others are claimed.
#[test]
fn pairs_say_what_they_are_for() {
    let session = user_session("ml-kem pairs");
    for (set, _, public_len, _) in SETS {
        // Asking for more than the type can do is common, and takes nothing away.
        let more = [Attribute::Wrap(true), Attribute::Encrypt(true), Attribute::Verify(true)];
        let public = [&[Attribute::ParameterSet(set.into())][..], &more].concat();
        let made = keys::pair(&session, &Mechanism::MlKemKeyPairGen, &public, &[Attribute::Unwrap(true)]);
        assert_eq!(value(&session, made.public, AttributeType::Value).len(), public_len);
        for half in [made.public, made.private] {
            let wanted =
                [AttributeType::ParameterSet, AttributeType::KeyType, AttributeType::KeyGenMechanism];
            let told = session.get_attributes(half, &wanted).unwrap();
            assert_eq!(told[0], Attribute::ParameterSet(set.into()));
            assert_eq!(told[1], Attribute::KeyType(KeyType::ML_KEM));
            assert_eq!(told[2], Attribute::KeyGenMechanism(MechanismType::ML_KEM_KEY_PAIR_GEN));
        }
        for (half, can, cannot) in [
            (made.public, cryptoki_sys::CKA_ENCAPSULATE, [pkcs11_sys::CKA_ENCRYPT, pkcs11_sys::CKA_WRAP]),
            (made.private, cryptoki_sys::CKA_DECAPSULATE, [pkcs11_sys::CKA_DECRYPT, pkcs11_sys::CKA_UNWRAP]),
        ] {
            assert!(flag(&session, half, can) && !cannot.into_iter().any(|kind| flag(&session, half, kind)));
            assert!(!flag(&session, half, pkcs11_sys::CKA_DERIVE));
        }
        shares(&session, made.public, made.private);
        // A search by usage finds these and no encryption keys.
        let able = [Attribute::Encapsulate(true), Attribute::ParameterSet(set.into())];
        assert_eq!(session.find_objects(&able).unwrap(), [made.public]);
    }
    let rsa = keys::rsa(&session, 2048);
    assert!(flag(&session, rsa.public, pkcs11_sys::CKA_ENCRYPT));
    assert!(!flag(&session, rsa.public, cryptoki_sys::CKA_ENCAPSULATE));
    session.update_attributes(rsa.public, &[Attribute::Encapsulate(true)]).unwrap();
    assert!(!flag(&session, rsa.public, cryptoki_sys::CKA_ENCAPSULATE), "it grants nothing");
}

/// R4, R93: each form of a private key comes in, opens what its public half closed, and is read back.
#[test]
fn keys_come_as_seed_as_value_and_as_both() {
    let session = user_session("ml-kem brought");
    for (set, _, _, _) in SETS {
        let made = pair(&session, set, &OPEN);
        let seed = Attribute::Seed(value(&session, made.private, AttributeType::Seed));
        let expanded = Attribute::Value(value(&session, made.private, AttributeType::Value));
        let public = Attribute::Value(value(&session, made.public, AttributeType::Value));
        let public = session.create_object(&half(ObjectClass::PUBLIC_KEY, set, &[public])).unwrap();
        for (parts, has_seed) in [
            (vec![seed.clone()], true),
            (vec![expanded.clone()], false),
            (vec![seed.clone(), expanded.clone()], true),
        ] {
            let brought = session.create_object(&[private(set, &parts), OPEN.to_vec()].concat()).unwrap();
            shares(&session, made.public, brought);
            shares(&session, public, brought);
            assert_eq!(Attribute::Value(value(&session, brought, AttributeType::Value)), expanded);
            let told = session.get_attribute_info(brought, &[AttributeType::Seed]).unwrap().remove(0);
            match has_seed {
                true => assert_eq!(Attribute::Seed(value(&session, brought, AttributeType::Seed)), seed),
                false => assert!(matches!(told, AttributeInfo::TypeInvalid), "{told:?}"),
            }
            let stays = session.create_object(&private(set, &parts)).unwrap();
            shares(&session, public, stays);
            let told = session.get_attribute_info(stays, &[AttributeType::Value]).unwrap().remove(0);
            assert!(matches!(told, AttributeInfo::Sensitive), "{told:?}");
        }
    }
}

/// The checks of FIPS 203, sections 7.2 and 7.3, on what is brought: lengths, coefficients that are not reduced, the hash inside.
#[test]
fn keys_that_are_none_are_refused() {
    let session = user_session("ml-kem refused");
    let (made, other) = (pair(&session, SET_512, &OPEN), pair(&session, SET_512, &OPEN));
    let seed = value(&session, made.private, AttributeType::Seed);
    let expanded = value(&session, made.private, AttributeType::Value);
    let others = value(&session, other.private, AttributeType::Value);
    let public = value(&session, made.public, AttributeType::Value);
    let info = value(&session, other.public, AttributeType::PublicKeyInfo);
    let create = |template: Vec<Attribute>| session.create_object(&template);
    let mut bent = expanded.clone();
    bent[800 + 768 + 5] ^= 1; // H(ek), the hash of the public key.
    for parts in [
        vec![Attribute::Seed(seed[1..].to_vec())],
        vec![Attribute::Seed([&seed[..], &[0]].concat())],
        vec![Attribute::Value(expanded[1..].to_vec())],
        vec![Attribute::Value(bent)],
        vec![Attribute::Value(vec![0xff; expanded.len()])],
        vec![Attribute::Seed(seed.clone()), Attribute::Value(others)],
        vec![Attribute::Seed(seed.clone()), Attribute::PublicKeyInfo(info)],
    ] {
        refused(create(private(SET_512, &parts)), RvError::AttributeValueInvalid);
    }
    for parts in [vec![], vec![Attribute::Seed(vec![])], vec![Attribute::Value(vec![])]] {
        refused(create(private(SET_512, &parts)), RvError::TemplateIncomplete);
    }
    refused(create(private(SET_768, &[Attribute::Value(expanded)])), RvError::AttributeValueInvalid);
    let public_half = |set, parts: &[Attribute]| create(half(ObjectClass::PUBLIC_KEY, set, parts));
    refused(public_half(SET_512, &[]), RvError::TemplateIncomplete);
    let mut unreduced = public.clone();
    // A coefficient of 12 bits that is q itself, 3329: zero, written in another way.
    (unreduced[0], unreduced[1]) = (0x01, unreduced[1] & 0xf0 | 0x0d);
    for wrong in [unreduced, public[1..].to_vec(), [&public[..], &[0]].concat(), vec![], vec![0xff; 800]] {
        refused(public_half(SET_512, &[Attribute::Value(wrong)]), RvError::AttributeValueInvalid);
    }
    refused(public_half(SET_768, &[Attribute::Value(public.clone())]), RvError::AttributeValueInvalid);
    let with_seed = [Attribute::Value(public), Attribute::Seed(seed)];
    refused(public_half(SET_512, &with_seed), RvError::AttributeTypeInvalid);
    assert_eq!(session.find_objects(&[Attribute::KeyType(KeyType::ML_KEM)]).unwrap().len(), 4);
}

/// The parameter set is said once, rightly, and by the public half.
#[test]
fn pairs_are_made_of_a_known_set_only() {
    let session = user_session("ml-kem sets");
    let make = |public: &[Attribute], private: &[Attribute]| {
        session.generate_key_pair(&Mechanism::MlKemKeyPairGen, public, private)
    };
    refused(make(&[], &[]), RvError::TemplateIncomplete);
    for mut wrong in [0, 4, CK_ULONG::MAX] {
        let template = &mut attribute(cryptoki_sys::CKA_PARAMETER_SET, &mut wrong);
        let (mut how, mut halves) = (mechanism(cryptoki_sys::CKM_ML_KEM_KEY_PAIR_GEN), [0; 2]);
        let [open, secret] = &mut halves;
        let rv =
            call!(C_GenerateKeyPair(session.handle(), &mut how, template, 1, null_mut(), 0, open, secret));
        assert_eq!((rv, halves), (cryptoki_sys::CKR_PARAMETER_SET_NOT_SUPPORTED, [0; 2]));
    }
    let set = Attribute::ParameterSet(SET_512.into());
    let seed = Attribute::Seed(vec![7; 64]);
    refused(make(std::slice::from_ref(&set), std::slice::from_ref(&seed)), RvError::AttributeReadOnly);
    refused(make(&[set.clone(), seed], &[]), RvError::AttributeTypeInvalid);
    let as_dsa = [set, Attribute::KeyType(KeyType::ML_DSA)];
    refused(make(&as_dsa, &[]), RvError::TemplateInconsistent);
}

/// Copies open what the original does and are no looser; token objects outlive their session and are found by what they are.
#[test]
fn keys_are_copied_and_kept() {
    let session = user_session("ml-kem copied");
    let made = pair(&session, SET_768, &[]);
    let kept = [Attribute::Token(true), Attribute::Label(b"kept".to_vec())];
    let copy = session.copy_object(made.private, &kept).unwrap();
    shares(&session, made.public, copy);
    refused(session.copy_object(copy, &[Attribute::Extractable(true)]), RvError::AttributeReadOnly);
    session.copy_object(made.public, &kept).unwrap();
    session.logout().unwrap();
    // The public half was not private, and whoever is not logged in makes no secrets.
    let public = session.find_objects(&[Attribute::KeyType(KeyType::ML_KEM)]).unwrap();
    assert_eq!(public.len(), 2);
    refused(session.encapsulate_key(&Mechanism::MlKem, public[0], &open()), RvError::UserNotLoggedIn);
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
    let wanted = [Attribute::Token(true), Attribute::KeyType(KeyType::ML_KEM)];
    assert_eq!(session.find_objects(&wanted).unwrap().len(), 2);
}

/// R52: a key leaves and comes back wrapped, and one that is not extractable does not leave.
#[test]
fn keys_are_wrapped_and_unwrapped() {
    let session = user_session("ml-kem wrapped");
    let wrapping = [Attribute::ValueLen(32.into()), Attribute::Wrap(true), Attribute::Unwrap(true)];
    let wrapping = session.generate_key(&Mechanism::AesKeyGen, &wrapping).unwrap();
    let how = Mechanism::AesKeyWrapPad;
    for (set, kind, _, _) in SETS {
        let made = pair(&session, set, &OPEN);
        let wrapped = session.wrap_key(&how, wrapping, made.private).unwrap();
        let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::KeyType(KeyType::ML_KEM)];
        let back = session.unwrap_key(&how, wrapping, &wrapped, &template).unwrap();
        shares(&session, made.public, back);
        let told = session.get_attributes(back, &[AttributeType::ParameterSet]).unwrap().remove(0);
        assert_eq!(told, Attribute::ParameterSet(set.into()));
        for other in [KeyType::RSA, KeyType::ML_DSA] {
            let as_other = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::KeyType(other)];
            let as_other = session.unwrap_key(&how, wrapping, &wrapped, &as_other);
            refused(as_other, RvError::WrappedKeyInvalid);
        }
        let stays = pair(&session, set, &[]);
        refused(session.wrap_key(&how, wrapping, stays.private), RvError::KeyUnextractable);
        // What is inside is the PKCS#8 of RFC 9935, of the seed alone.
        let seed = value(&session, made.private, AttributeType::Seed);
        let parts = PrivateParts::PostQuantum { kind, seed: Some(seed.into()), expanded: None };
        let (_, pkcs8) = parts.into_material().unwrap();
        let secret = [open(), vec![Attribute::ValueLen((pkcs8.expose().len() as u64).into())]].concat();
        let inside = session.unwrap_key(&how, wrapping, &wrapped, &secret).unwrap();
        assert_eq!(value(&session, inside, AttributeType::Value), pkcs8.expose());
    }
}

/// There is no C_DecapsulateInit after which a PIN could be given, so a key that wants one each time opens nothing.
#[test]
fn a_key_that_wants_its_pin_each_time_opens_nothing() {
    let session = user_session("ml-kem strict");
    let strict = pair(&session, SET_512, &[Attribute::AlwaysAuthenticate(true)]);
    let (ciphertext, _) = encapsulate(&session, strict.public);
    let outcome = session.decapsulate_key(&Mechanism::MlKem, strict.private, &open(), &ciphertext);
    refused(outcome, RvError::UserNotLoggedIn);
    refused(session.login(UserType::ContextSpecific, Some(&pin(PIN))), RvError::OperationNotInitialized);
}
