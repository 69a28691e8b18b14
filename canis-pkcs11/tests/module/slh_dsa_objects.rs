//! SLH-DSA keys as objects: brought, read, copied, wrapped, and what is refused.

use crate::harness::{PIN, pin, refused, user_session};
use crate::material::OPEN;
use crate::ml_dsa::value;
use crate::raw::{attribute, call, mechanism};
use crate::slh_dsa::{context, how, numbered, of_hash, pair, pair_with, pure};
use cryptoki::error::RvError;
use cryptoki::mechanism::Mechanism;
use cryptoki::object::{
    Attribute, AttributeInfo, AttributeType, KeyType, ObjectClass, ObjectHandle, SlhDsaParameterSetType,
};
use cryptoki::session::{Session, UserType};
use cryptoki_sys::{
    CKH_HEDGE_PREFERRED, CKM_HASH_SLH_DSA, CKM_HASH_SLH_DSA_SHA256, CKM_HASH_SLH_DSA_SHA512,
    CKM_SLH_DSA_KEY_PAIR_GEN, CKR_PARAMETER_SET_NOT_SUPPORTED,
};
use pkcs11_sys::{CK_ULONG, CKM_SHA512};
use std::ptr::null_mut;

type Set = SlhDsaParameterSetType;

const MESSAGE: &[u8] = b"message";
/// Those that sign fast.
const FAST: [Set; 3] = [Set::SHA2_128F, Set::SHA2_192F, Set::SHA2_256F];

/// What a host brings of a half.
fn half(class: ObjectClass, set: Set, parts: &[Attribute]) -> Vec<Attribute> {
    let what =
        [Attribute::Class(class), Attribute::KeyType(KeyType::SLH_DSA), Attribute::ParameterSet(set.into())];
    [&what[..], parts].concat()
}

fn private(set: Set, parts: &[Attribute]) -> Vec<Attribute> {
    half(ObjectClass::PRIVATE_KEY, set, parts)
}

#[track_caller]
fn signs_for(session: &Session, private: ObjectHandle, public: ObjectHandle) {
    let signed = session.sign(&pure(), private, MESSAGE).unwrap();
    session.verify(&pure(), public, MESSAGE, &signed).unwrap();
}

/// R4, R93: a private key comes in as its four parts, signs for its public half, and is read back; there is no seed.
#[test]
fn keys_come_whole() {
    let session = user_session("slh-dsa brought");
    for set in FAST {
        let pair = pair_with(&session, set, &OPEN);
        let whole = value(&session, pair.private, AttributeType::Value);
        let public = value(&session, pair.public, AttributeType::Value);
        assert!(whole.ends_with(&public) && whole.len() == 2 * public.len());
        let public = half(ObjectClass::PUBLIC_KEY, set, &[Attribute::Value(public)]);
        let public = session.create_object(&public).unwrap();
        let whole = Attribute::Value(whole);
        let brought = [private(set, std::slice::from_ref(&whole)), OPEN.to_vec()].concat();
        let brought = session.create_object(&brought).unwrap();
        signs_for(&session, brought, pair.public);
        signs_for(&session, pair.private, public);
        assert_eq!(Attribute::Value(value(&session, brought, AttributeType::Value)), whole);
        let told = session.get_attribute_info(brought, &[AttributeType::Seed]).unwrap().remove(0);
        assert!(matches!(told, AttributeInfo::TypeInvalid), "{told:?}");
    }
}

/// What does not belong together, has other lengths or is missing, is refused; nothing of it stays.
#[test]
fn keys_that_are_none_are_refused() {
    let session = user_session("slh-dsa refused");
    let (set, other_set) = (Set::SHA2_128F, Set::SHA2_192F);
    let (own, other) = (pair_with(&session, set, &OPEN), pair(&session, set));
    let whole = value(&session, own.private, AttributeType::Value);
    let public = value(&session, own.public, AttributeType::Value);
    let info = value(&session, other.public, AttributeType::PublicKeyInfo);
    let create = |template: Vec<Attribute>| session.create_object(&template);
    // SK.seed, PK.seed and PK.root; SK.prf is bound to nothing.
    let bent = [0, 32, 63].map(|at| {
        let mut bent = whole.clone();
        bent[at] ^= 1;
        vec![Attribute::Value(bent)]
    });
    let wrong = [
        vec![Attribute::Value(whole[1..].to_vec())],
        vec![Attribute::Value([&whole[..], &[0]].concat())],
        vec![Attribute::Value(whole.clone()), Attribute::PublicKeyInfo(info)],
    ];
    for parts in bent.into_iter().chain(wrong) {
        refused(create(private(set, &parts)), RvError::AttributeValueInvalid);
    }
    refused(create(private(set, &[])), RvError::TemplateIncomplete);
    let seeded = [Attribute::Value(whole.clone()), Attribute::Seed(whole[..48].to_vec())];
    refused(create(private(set, &seeded)), RvError::AttributeTypeInvalid);
    refused(create(private(other_set, &[Attribute::Value(whole.clone())])), RvError::AttributeValueInvalid);
    let public_half = |set, parts: &[Attribute]| create(half(ObjectClass::PUBLIC_KEY, set, parts));
    refused(public_half(set, &[]), RvError::TemplateIncomplete);
    refused(public_half(other_set, &[Attribute::Value(public)]), RvError::AttributeValueInvalid);
    let mut no_set = private(set, &[Attribute::Value(whole)]);
    no_set.remove(2);
    refused(create(no_set), RvError::TemplateIncomplete);
    assert_eq!(session.find_objects(&[Attribute::KeyType(KeyType::SLH_DSA)]).unwrap().len(), 4);
}

/// Pairs are made of the sets with SHA-2; those with SHAKE, and numbers that are none, are refused.
#[test]
fn pairs_are_made_of_a_known_set_only() {
    let session = user_session("slh-dsa sets");
    for mut wrong in [0, 2, 4, 6, 8, 10, 12, 13, CK_ULONG::MAX] {
        let template = &mut attribute(cryptoki_sys::CKA_PARAMETER_SET, &mut wrong);
        let (mut how, mut halves) = (mechanism(CKM_SLH_DSA_KEY_PAIR_GEN), [0; 2]);
        let [open, secret] = &mut halves;
        let rv =
            call!(C_GenerateKeyPair(session.handle(), &mut how, template, 1, null_mut(), 0, open, secret));
        assert_eq!((rv, halves), (CKR_PARAMETER_SET_NOT_SUPPORTED, [0; 2]), "{wrong}");
    }
    let generate = how::<u8>(CKM_SLH_DSA_KEY_PAIR_GEN, None);
    refused(session.generate_key_pair(&generate, &[], &[]), RvError::TemplateIncomplete);
}

/// R4: nothing of a key that is sensitive, or not extractable, is read.
#[test]
fn material_stays_inside() {
    let session = user_session("slh-dsa inside");
    for (sensitive, extractable, reads) in [(true, true, false), (false, false, false), (false, true, true)] {
        let template = [Attribute::Sensitive(sensitive), Attribute::Extractable(extractable)];
        let pair = pair_with(&session, Set::SHA2_128F, &template);
        let told = session.get_attribute_info(pair.private, &[AttributeType::Value]).unwrap().remove(0);
        assert_eq!(matches!(told, AttributeInfo::Sensitive), !reads, "{told:?}");
        assert_eq!(value(&session, pair.public, AttributeType::Value).len(), 32);
    }
}

/// Copies sign for the same public half and are no looser; token objects outlive their session.
#[test]
fn keys_are_copied_and_kept() {
    let session = user_session("slh-dsa copied");
    let pair = pair(&session, Set::SHA2_192F);
    let kept = [Attribute::Token(true), Attribute::Label(b"kept".to_vec())];
    let copy = session.copy_object(pair.private, &kept).unwrap();
    signs_for(&session, copy, pair.public);
    refused(session.copy_object(copy, &[Attribute::Extractable(true)]), RvError::AttributeReadOnly);
    session.copy_object(pair.public, &kept).unwrap();
    session.logout().unwrap();
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
    let set = Attribute::ParameterSet(Set::SHA2_192F.into());
    let wanted = [Attribute::Token(true), Attribute::KeyType(KeyType::SLH_DSA), set];
    assert_eq!(session.find_objects(&wanted).unwrap().len(), 2);
    // ML-DSA has sets of the same numbers.
    let of_ml_dsa = [Attribute::KeyType(KeyType::ML_DSA)];
    assert!(session.find_objects(&of_ml_dsa).unwrap().is_empty());
}

/// R52: a key leaves and comes back wrapped, and one that is not extractable does not leave.
#[test]
fn keys_are_wrapped_and_unwrapped() {
    let session = user_session("slh-dsa wrapped");
    let wrapping = [Attribute::ValueLen(32.into()), Attribute::Wrap(true), Attribute::Unwrap(true)];
    let wrapping = session.generate_key(&Mechanism::AesKeyGen, &wrapping).unwrap();
    for set in FAST {
        let leaves = pair_with(&session, set, &[Attribute::Extractable(true)]);
        let wrapped = session.wrap_key(&Mechanism::AesKeyWrapPad, wrapping, leaves.private).unwrap();
        let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::KeyType(KeyType::SLH_DSA)];
        let back = session.unwrap_key(&Mechanism::AesKeyWrapPad, wrapping, &wrapped, &template).unwrap();
        signs_for(&session, back, leaves.public);
        let told = session.get_attributes(back, &[AttributeType::ParameterSet]).unwrap().remove(0);
        assert_eq!(told, Attribute::ParameterSet(set.into()));
        let as_ml_dsa = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::KeyType(KeyType::ML_DSA)];
        let as_ml_dsa = session.unwrap_key(&Mechanism::AesKeyWrapPad, wrapping, &wrapped, &as_ml_dsa);
        refused(as_ml_dsa, RvError::WrappedKeyInvalid);
        let stays = pair(&session, set);
        let stays = session.wrap_key(&Mechanism::AesKeyWrapPad, wrapping, stays.private);
        refused(stays, RvError::KeyUnextractable);
    }
}

/// CKA_ALLOWED_MECHANISMS tells pure signatures, digests made here and digests of the host's apart.
#[test]
fn a_limited_key_signs_by_its_mechanisms_only() {
    let session = user_session("slh-dsa limited");
    let allowed = [Attribute::AllowedMechanisms(vec![numbered(CKM_HASH_SLH_DSA_SHA512)])];
    let pair = pair_with(&session, Set::SHA2_128F, &allowed);
    let (bound, sha512) = (context(CKH_HEDGE_PREFERRED, b""), of_hash(CKM_SHA512));
    let right = how(CKM_HASH_SLH_DSA_SHA512, Some(&bound));
    let signed = session.sign(&right, pair.private, MESSAGE).unwrap();
    session.verify(&right, pair.public, MESSAGE, &signed).unwrap();
    let sha256 = how(CKM_HASH_SLH_DSA_SHA256, Some(&bound));
    for wrong in [pure(), sha256, how(CKM_HASH_SLH_DSA, Some(&sha512))] {
        refused(session.sign(&wrong, pair.private, &[7; 64]), RvError::MechanismInvalid);
    }
}
