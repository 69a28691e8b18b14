//! ML-DSA keys as objects: brought, read, copied, wrapped, and what is refused.

use crate::harness::{PIN, pin, refused, user_session};
use crate::keys::{self, Pair};
use crate::material::OPEN;
use crate::ml_dsa::{SETS, pure, value};
use crate::raw::{attribute, call, mechanism};
use cryptoki::error::RvError;
use cryptoki::mechanism::dsa::HedgeType;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{
    Attribute, AttributeInfo, AttributeType, KeyType, MlDsaParameterSetType, ObjectClass, ObjectHandle,
};
use cryptoki::session::{Session, UserType};
use pkcs11_sys::CK_ULONG;
use std::ptr::null_mut;

const MESSAGE: &[u8] = b"message";
const SET_44: MlDsaParameterSetType = MlDsaParameterSetType::ML_DSA_44;
const SET_65: MlDsaParameterSetType = MlDsaParameterSetType::ML_DSA_65;

/// What a host brings of a half.
fn half(class: ObjectClass, set: MlDsaParameterSetType, parts: &[Attribute]) -> Vec<Attribute> {
    let what =
        [Attribute::Class(class), Attribute::KeyType(KeyType::ML_DSA), Attribute::ParameterSet(set.into())];
    [&what[..], parts].concat()
}

fn private(set: MlDsaParameterSetType, parts: &[Attribute]) -> Vec<Attribute> {
    half(ObjectClass::PRIVATE_KEY, set, parts)
}

/// A pair whose private half may be read.
fn open_pair(session: &Session, set: MlDsaParameterSetType) -> Pair {
    keys::pair(session, &Mechanism::MlDsaKeyPairGen, &[Attribute::ParameterSet(set.into())], &OPEN)
}

#[track_caller]
fn signs_for(session: &Session, private: ObjectHandle, public: ObjectHandle) {
    let how = pure(HedgeType::Preferred, None);
    let signed = session.sign(&how, private, MESSAGE).unwrap();
    session.verify(&how, public, MESSAGE, &signed).unwrap();
}

/// R51, R93: each form of a private key comes in, signs for the public half that it belongs to, and is read back.
#[test]
fn keys_come_as_seed_as_value_and_as_both() {
    let session = user_session("ml-dsa brought");
    for (set, _, _, _) in SETS {
        let pair = open_pair(&session, set);
        let seed = Attribute::Seed(value(&session, pair.private, AttributeType::Seed));
        let expanded = Attribute::Value(value(&session, pair.private, AttributeType::Value));
        let public = Attribute::Value(value(&session, pair.public, AttributeType::Value));
        let public = session.create_object(&half(ObjectClass::PUBLIC_KEY, set, &[public])).unwrap();
        for (parts, has_seed) in [
            (vec![seed.clone()], true),
            (vec![expanded.clone()], false),
            (vec![seed.clone(), expanded.clone()], true),
        ] {
            let brought = session.create_object(&[private(set, &parts), OPEN.to_vec()].concat()).unwrap();
            signs_for(&session, brought, pair.public);
            signs_for(&session, brought, public);
            assert_eq!(Attribute::Value(value(&session, brought, AttributeType::Value)), expanded);
            let told = session.get_attribute_info(brought, &[AttributeType::Seed]).unwrap().remove(0);
            match has_seed {
                true => assert_eq!(Attribute::Seed(value(&session, brought, AttributeType::Seed)), seed),
                false => assert!(matches!(told, AttributeInfo::TypeInvalid), "{told:?}"),
            }
            let stays = session.create_object(&private(set, &parts)).unwrap();
            signs_for(&session, stays, pair.public);
        }
    }
}

/// What does not belong together, has other lengths or is missing, is refused; nothing of it stays.
#[test]
fn keys_that_are_none_are_refused() {
    let session = user_session("ml-dsa refused");
    let (pair, other) = (open_pair(&session, SET_44), open_pair(&session, SET_44));
    let seed = value(&session, pair.private, AttributeType::Seed);
    let expanded = value(&session, pair.private, AttributeType::Value);
    let others = value(&session, other.private, AttributeType::Value);
    let public = value(&session, pair.public, AttributeType::Value);
    let info = value(&session, other.public, AttributeType::PublicKeyInfo);
    let create = |template: Vec<Attribute>| session.create_object(&template);
    let mut bent = expanded.clone();
    bent[70] ^= 1; // tr, the hash of the public key.
    for parts in [
        vec![Attribute::Seed(seed[1..].to_vec())],
        vec![Attribute::Seed([&seed[..], &[0]].concat())],
        vec![Attribute::Value(expanded[1..].to_vec())],
        vec![Attribute::Value(bent)],
        vec![Attribute::Value(vec![0xff; expanded.len()])],
        vec![Attribute::Seed(seed.clone()), Attribute::Value(others)],
        vec![Attribute::Seed(seed.clone()), Attribute::PublicKeyInfo(info)],
    ] {
        refused(create(private(SET_44, &parts)), RvError::AttributeValueInvalid);
    }
    for parts in [vec![], vec![Attribute::Seed(vec![])], vec![Attribute::Value(vec![])]] {
        refused(create(private(SET_44, &parts)), RvError::TemplateIncomplete);
    }
    refused(create(private(SET_65, &[Attribute::Value(expanded)])), RvError::AttributeValueInvalid);
    let public_half = |set, parts: &[Attribute]| create(half(ObjectClass::PUBLIC_KEY, set, parts));
    refused(public_half(SET_44, &[]), RvError::TemplateIncomplete);
    refused(public_half(SET_65, &[Attribute::Value(public.clone())]), RvError::AttributeValueInvalid);
    refused(public_half(SET_44, &[Attribute::Value(vec![])]), RvError::AttributeValueInvalid);
    // Private material is no attribute of a public key.
    let with_seed = [Attribute::Value(public.clone()), Attribute::Seed(seed.clone())];
    refused(public_half(SET_44, &with_seed), RvError::AttributeTypeInvalid);
    let mut no_set = private(SET_44, &[Attribute::Seed(seed)]);
    no_set.remove(2);
    refused(create(no_set), RvError::TemplateIncomplete);
    assert_eq!(session.find_objects(&[Attribute::KeyType(KeyType::ML_DSA)]).unwrap().len(), 4);
}

/// The parameter set is said once, rightly, and by the public half.
#[test]
fn pairs_are_made_of_a_known_set_only() {
    let session = user_session("ml-dsa sets");
    let make = |public: &[Attribute], private: &[Attribute]| {
        session.generate_key_pair(&Mechanism::MlDsaKeyPairGen, public, private)
    };
    let set = Attribute::ParameterSet(SET_44.into());
    refused(make(&[], &[]), RvError::TemplateIncomplete);
    for mut wrong in [0, 4, CK_ULONG::MAX] {
        let template = &mut attribute(cryptoki_sys::CKA_PARAMETER_SET, &mut wrong);
        let (mut how, mut halves) = (mechanism(cryptoki_sys::CKM_ML_DSA_KEY_PAIR_GEN), [0; 2]);
        let [open, secret] = &mut halves;
        let rv =
            call!(C_GenerateKeyPair(session.handle(), &mut how, template, 1, null_mut(), 0, open, secret));
        assert_eq!((rv, halves), (cryptoki_sys::CKR_PARAMETER_SET_NOT_SUPPORTED, [0; 2]));
    }
    let seed = Attribute::Seed(vec![7; 32]);
    refused(make(std::slice::from_ref(&set), std::slice::from_ref(&seed)), RvError::AttributeReadOnly);
    refused(make(&[set.clone(), seed], &[]), RvError::AttributeTypeInvalid);
    refused(make(&[set, Attribute::Value(vec![7; 1312])], &[]), RvError::AttributeReadOnly);
}

/// R52: nothing of a key that is sensitive, or not extractable, is read; and no search looks at it.
#[test]
fn material_stays_inside() {
    let session = user_session("ml-dsa inside");
    let public = [Attribute::ParameterSet(SET_44.into())];
    for (sensitive, extractable, reads) in [(true, true, false), (false, false, false), (false, true, true)] {
        let template = [Attribute::Sensitive(sensitive), Attribute::Extractable(extractable)];
        let pair = keys::pair(&session, &Mechanism::MlDsaKeyPairGen, &public, &template);
        for kind in [AttributeType::Seed, AttributeType::Value] {
            let told = session.get_attribute_info(pair.private, &[kind]).unwrap().remove(0);
            assert_eq!(matches!(told, AttributeInfo::Sensitive), !reads, "{kind:?} {told:?}");
            // The public half has a value, and never a seed.
            let told = session.get_attribute_info(pair.public, &[kind]).unwrap().remove(0);
            assert_eq!(matches!(told, AttributeInfo::TypeInvalid), kind == AttributeType::Seed);
        }
        refused(
            session.update_attributes(pair.private, &[Attribute::Seed(vec![7; 32])]),
            RvError::AttributeReadOnly,
        );
    }
    let open = open_pair(&session, SET_44);
    let seed = Attribute::Seed(value(&session, open.private, AttributeType::Seed));
    assert!(session.find_objects(&[seed]).unwrap().is_empty());
}

/// Copies sign for the same public half and are no looser; token objects outlive their session.
#[test]
fn keys_are_copied_and_kept() {
    let session = user_session("ml-dsa copied");
    let pair = keys::ml_dsa(&session, SET_65);
    let kept = [Attribute::Token(true), Attribute::Label(b"kept".to_vec())];
    let copy = session.copy_object(pair.private, &kept).unwrap();
    signs_for(&session, copy, pair.public);
    refused(session.copy_object(copy, &[Attribute::Extractable(true)]), RvError::AttributeReadOnly);
    refused(session.copy_object(copy, &[Attribute::ParameterSet(SET_44.into())]), RvError::AttributeReadOnly);
    session.copy_object(pair.public, &kept).unwrap();
    session.logout().unwrap();
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
    let set = Attribute::ParameterSet(SET_65.into());
    let wanted = [Attribute::Token(true), Attribute::KeyType(KeyType::ML_DSA), set];
    let found = session.find_objects(&wanted).unwrap();
    assert_eq!(found.len(), 2);
    assert!(session.find_objects(&[Attribute::ParameterSet(SET_44.into())]).unwrap().is_empty());
}

/// R52, R53: a key leaves and comes back wrapped, and one that is not extractable does not leave.
#[test]
fn keys_are_wrapped_and_unwrapped() {
    let session = user_session("ml-dsa wrapped");
    let wrapping = [Attribute::ValueLen(32.into()), Attribute::Wrap(true), Attribute::Unwrap(true)];
    let wrapping = session.generate_key(&Mechanism::AesKeyGen, &wrapping).unwrap();
    for (set, _, _, _) in SETS {
        let public = [Attribute::ParameterSet(set.into())];
        let leaves = [Attribute::Extractable(true)];
        let pair = keys::pair(&session, &Mechanism::MlDsaKeyPairGen, &public, &leaves);
        let wrapped = session.wrap_key(&Mechanism::AesKeyWrapPad, wrapping, pair.private).unwrap();
        let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::KeyType(KeyType::ML_DSA)];
        let back = session.unwrap_key(&Mechanism::AesKeyWrapPad, wrapping, &wrapped, &template).unwrap();
        signs_for(&session, back, pair.public);
        let told = session.get_attributes(back, &[AttributeType::ParameterSet]).unwrap().remove(0);
        assert_eq!(told, Attribute::ParameterSet(set.into()));
        let as_rsa = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::KeyType(KeyType::RSA)];
        let as_rsa = session.unwrap_key(&Mechanism::AesKeyWrapPad, wrapping, &wrapped, &as_rsa);
        refused(as_rsa, RvError::WrappedKeyInvalid);
        let stays = keys::ml_dsa(&session, set);
        let stays = session.wrap_key(&Mechanism::AesKeyWrapPad, wrapping, stays.private);
        refused(stays, RvError::KeyUnextractable);
    }
}

/// CKA_ALLOWED_MECHANISMS tells pure signatures, digests made here and digests of the host's apart.
#[test]
fn a_limited_key_signs_by_its_mechanisms_only() {
    use cryptoki::mechanism::dsa::{HashSignAdditionalContext, SignAdditionalContext};
    let session = user_session("ml-dsa limited");
    let public = [Attribute::ParameterSet(SET_44.into())];
    let allowed = [Attribute::AllowedMechanisms(vec![MechanismType::HASH_ML_DSA_SHA512])];
    let pair = keys::pair(&session, &Mechanism::MlDsaKeyPairGen, &public, &allowed);
    let context = || SignAdditionalContext::new(HedgeType::Preferred, None);
    let sha512 = HashSignAdditionalContext::new(HedgeType::Preferred, None, MechanismType::SHA512);
    let signed = session.sign(&Mechanism::HashMlDsaSha512(context()), pair.private, MESSAGE).unwrap();
    session.verify(&Mechanism::HashMlDsaSha512(context()), pair.public, MESSAGE, &signed).unwrap();
    for how in
        [Mechanism::MlDsa(context()), Mechanism::HashMlDsaSha256(context()), Mechanism::HashMlDsa(sha512)]
    {
        refused(session.sign(&how, pair.private, &[7; 64]), RvError::MechanismInvalid);
    }
}
