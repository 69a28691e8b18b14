//! C_EncapsulateKey and C_DecapsulateKey: shared secrets as keys, checked by another library, and what is refused.

use crate::client::{Client, Given, bytes, no, number, open_secret, secret, with, yes};
use crate::harness::{refused, user_session};
use crate::keys::{self, Pair};
use crate::material::OPEN;
use crate::ml_dsa::value;
use crate::raw::{call, call_3_2};
use canis_core::crypto::private_parts::PrivateParts;
use canis_core::crypto::{PrivateKey, RUST};
use canis_proto::KeyType as CanisType;
use cryptoki::context::Function;
use cryptoki::error::RvError;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, MlKemParameterSetType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use pkcs11_sys::*;
use std::ptr::null_mut;

/// Each parameter set with the lengths of public key and ciphertext (FIPS 203, table 3).
pub(crate) const SETS: [(MlKemParameterSetType, CanisType, usize, usize); 3] = [
    (MlKemParameterSetType::ML_KEM_512, CanisType::MlKem512, 800, 768),
    (MlKemParameterSetType::ML_KEM_768, CanisType::MlKem768, 1184, 1088),
    (MlKemParameterSetType::ML_KEM_1024, CanisType::MlKem1024, 1568, 1568),
];

pub(crate) const SET_512: MlKemParameterSetType = MlKemParameterSetType::ML_KEM_512;

pub(crate) fn pair(session: &Session, set: MlKemParameterSetType, private: &[Attribute]) -> Pair {
    keys::pair(session, &Mechanism::MlKemKeyPairGen, &[Attribute::ParameterSet(set.into())], private)
}

/// A shared secret that may be read.
pub(crate) fn open() -> Vec<Attribute> {
    [&[Attribute::Class(ObjectClass::SECRET_KEY), Attribute::KeyType(KeyType::GENERIC_SECRET)][..], &OPEN]
        .concat()
}

pub(crate) fn encapsulate(session: &Session, public: ObjectHandle) -> (Vec<u8>, Vec<u8>) {
    let (ciphertext, secret) = session.encapsulate_key(&Mechanism::MlKem, public, &open()).unwrap();
    (ciphertext, value(session, secret, AttributeType::Value))
}

pub(crate) fn decapsulate(session: &Session, private: ObjectHandle, ciphertext: &[u8]) -> Vec<u8> {
    let secret = session.decapsulate_key(&Mechanism::MlKem, private, &open(), ciphertext).unwrap();
    value(session, secret, AttributeType::Value)
}

/// The private key of a seed, at RustCrypto's.
fn by_another_library(kind: CanisType, seed: Vec<u8>) -> Box<dyn PrivateKey> {
    let parts = PrivateParts::PostQuantum { kind, seed: Some(seed.into()), expanded: None };
    let (_, pkcs8) = parts.into_material().unwrap();
    RUST.keys.private(kind, pkcs8.expose()).unwrap()
}

/// R93: both sides have one secret for every parameter set, and so has another library on either side.
#[test]
fn secrets_are_shared_by_every_parameter_set() {
    let session = user_session("ml-kem shared");
    for (set, kind, public_len, ciphertext_len) in SETS {
        let ours = pair(&session, set, &OPEN);
        let public = value(&session, ours.public, AttributeType::Value);
        let (ciphertext, secret) = encapsulate(&session, ours.public);
        assert_eq!((public.len(), ciphertext.len(), secret.len()), (public_len, ciphertext_len, 32));
        assert_eq!(decapsulate(&session, ours.private, &ciphertext), secret);
        let (another, other_secret) = encapsulate(&session, ours.public);
        assert!(another != ciphertext && other_secret != secret, "each is drawn anew");

        let theirs = by_another_library(kind, value(&session, ours.private, AttributeType::Seed));
        assert_eq!(theirs.decapsulate(&ciphertext).unwrap().expose(), &secret[..]);
        let spki = value(&session, ours.public, AttributeType::PublicKeyInfo);
        let made = RUST.keys.public(kind, &spki).unwrap().encapsulate().unwrap();
        assert_eq!(decapsulate(&session, ours.private, &made.ciphertext), made.secret.expose());
    }
}

/// The attack on the ciphertext: any that has the right length gives a secret, another one, the same each time; no code tells.
#[test]
fn an_altered_ciphertext_gives_another_secret() {
    let session = user_session("ml-kem altered");
    for (set, _, _, len) in SETS {
        let (ours, other) = (pair(&session, set, &[]), pair(&session, set, &[]));
        let (ciphertext, secret) = encapsulate(&session, ours.public);
        let mut altered = ciphertext.clone();
        altered[len / 2] ^= 1;
        let rejected = decapsulate(&session, ours.private, &altered);
        assert_ne!(rejected, secret);
        assert_eq!(decapsulate(&session, ours.private, &altered), rejected);
        assert_ne!(decapsulate(&session, other.private, &ciphertext), secret);
        assert_ne!(decapsulate(&session, ours.private, &vec![0; len]), secret);
        let lengths = [&ciphertext[1..], &[&ciphertext[..], &[0]].concat(), &[]];
        for wrong in lengths {
            let outcome = session.decapsulate_key(&Mechanism::MlKem, ours.private, &open(), wrong);
            refused(outcome, RvError::WrappedKeyLenRange);
        }
    }
}

/// What the object says of itself is the caller's within what can be true; what PKCS#11 computes is not (sections 5.18.8 and 5.18.9).
#[test]
fn the_secret_is_the_key_that_was_asked_for() {
    let client = Client::new("ml-kem objects");
    let ours = pair(&client.session, SET_512, &[]);
    let asked = [
        (secret(CKK_AES), [yes(CKA_TOKEN), bytes(CKA_LABEL, b"shared"), number(CKA_VALUE_LEN, 32)]),
        (secret(CKK_GENERIC_SECRET), [no(CKA_TOKEN), bytes(CKA_LABEL, b"shared"), yes(CKA_EXTRACTABLE)]),
        (open_secret(CKK_SHA256_HMAC), [no(CKA_TOKEN), bytes(CKA_LABEL, b"shared"), no(CKA_DERIVE)]),
    ];
    for (template, more) in asked {
        let template = with(template, more);
        let (ciphertext, made) = client.encapsulate(ours.public, &template).unwrap();
        let opened = client.decapsulate(ours.private, &ciphertext, &template).unwrap();
        for key in [made, opened] {
            for (kind, wanted) in &template {
                assert_eq!(client.read(key, *kind).as_ref(), Ok(wanted), "{kind:x}");
            }
            for computed in [CKA_LOCAL, CKA_ALWAYS_SENSITIVE, CKA_NEVER_EXTRACTABLE, CKA_TRUSTED] {
                assert!(!client.is(key, computed), "{computed:x}");
            }
            let unknown = CK_UNAVAILABLE_INFORMATION.to_ne_bytes().to_vec();
            assert_eq!(client.read(key, CKA_KEY_GEN_MECHANISM), Ok(unknown));
        }
        assert_eq!(client.read(made, CKA_CHECK_VALUE), client.read(opened, CKA_CHECK_VALUE));
        assert_ne!(client.read(made, CKA_UNIQUE_ID), client.read(opened, CKA_UNIQUE_ID));
    }
    let kept = [yes(CKA_TOKEN), bytes(CKA_LABEL, b"shared")];
    assert_eq!(client.find(&kept).len(), 2);
    assert_eq!(client.find(&[bytes(CKA_LABEL, b"shared")]).len(), 6);
    // Without a word it stays inside, as everything that a template says nothing of.
    let (_, quiet) = client.encapsulate(ours.public, &secret(CKK_AES)).unwrap();
    assert!(client.is(quiet, CKA_SENSITIVE) && !client.is(quiet, CKA_EXTRACTABLE));
    assert_eq!(client.read(quiet, CKA_VALUE), Err(CKR_ATTRIBUTE_SENSITIVE));
}

/// Attacks on the template: a part of the secret, a key of another class or an older cipher, one that claims what it is not.
#[test]
fn a_template_gets_nothing_weaker() {
    let client = Client::new("ml-kem templates");
    let ours = pair(&client.session, SET_512, &[]);
    let (ciphertext, _) = client.encapsulate(ours.public, &open_secret(CKK_AES)).unwrap();
    let refusals: [(Vec<Given>, CK_RV); 10] = [
        (with(open_secret(CKK_AES), [number(CKA_VALUE_LEN, 31)]), CKR_KEY_SIZE_RANGE),
        (with(open_secret(CKK_GENERIC_SECRET), [number(CKA_VALUE_LEN, 31)]), CKR_KEY_SIZE_RANGE),
        (with(open_secret(CKK_GENERIC_SECRET), [number(CKA_VALUE_LEN, 16)]), CKR_KEY_SIZE_RANGE),
        (with(open_secret(CKK_GENERIC_SECRET), [number(CKA_VALUE_LEN, 64)]), CKR_KEY_SIZE_RANGE),
        (secret(CKK_DES3), CKR_TEMPLATE_INCONSISTENT),
        (secret(CKK_RSA), CKR_TEMPLATE_INCONSISTENT),
        (vec![number(CKA_CLASS, CKO_PRIVATE_KEY)], CKR_TEMPLATE_INCONSISTENT),
        (with(secret(CKK_AES), [bytes(CKA_VALUE, &[7; 32])]), CKR_ATTRIBUTE_READ_ONLY),
        (with(secret(CKK_AES), [yes(CKA_TRUSTED)]), CKR_ATTRIBUTE_READ_ONLY),
        (with(secret(CKK_AES), [yes(CKA_LOCAL)]), CKR_ATTRIBUTE_READ_ONLY),
    ];
    for (template, rv) in refusals {
        assert_eq!(client.encapsulate(ours.public, &template).map(drop), Err(rv), "{template:x?}");
        assert_eq!(client.decapsulate(ours.private, &ciphertext, &template), Err(rv), "{template:x?}");
    }
}

/// Keys of other types, halves that are the wrong ones, keys without the usage, keys that are limited to something else.
#[test]
fn other_keys_are_refused() {
    let session = user_session("ml-kem others");
    let ours = pair(&session, SET_512, &[]);
    let (ciphertext, _) = encapsulate(&session, ours.public);
    let put = |key| session.encapsulate_key(&Mechanism::MlKem, key, &open());
    let take = |key| session.decapsulate_key(&Mechanism::MlKem, key, &open(), &ciphertext);
    let (p256, ml_dsa) = (keys::p256(&session), crate::keys::ml_dsa(&session, cryptoki_set()));
    for key in [ours.private, p256.public, ml_dsa.public, keys::aes(&session, 32)] {
        refused(put(key), RvError::KeyTypeInconsistent);
    }
    for key in [ours.public, p256.private, ml_dsa.private, keys::aes(&session, 32)] {
        refused(take(key), RvError::UnwrappingKeyTypeInconsistent);
    }
    let gone = pair(&session, SET_512, &[]);
    session.destroy_object(gone.private).unwrap();
    session.destroy_object(gone.public).unwrap();
    refused(put(gone.public), RvError::KeyHandleInvalid);
    refused(take(gone.private), RvError::UnwrappingKeyHandleInvalid);
    for mechanism in [Mechanism::RsaPkcs, Mechanism::Sha256, Mechanism::MlKemKeyPairGen] {
        let outcome = session.encapsulate_key(&mechanism, ours.public, &open());
        refused(outcome, RvError::MechanismInvalid);
        let outcome = session.decapsulate_key(&mechanism, ours.private, &open(), &ciphertext);
        refused(outcome, RvError::MechanismInvalid);
    }
    let set = Attribute::ParameterSet(SET_512.into());
    let unable =
        keys::pair(&session, &Mechanism::MlKemKeyPairGen, &[set.clone(), Attribute::Encapsulate(false)], &[]);
    refused(put(unable.public), RvError::KeyFunctionNotPermitted);
    session.update_attributes(unable.public, &[Attribute::Encapsulate(true)]).unwrap();
    put(unable.public).unwrap();
    let other = Attribute::AllowedMechanisms(vec![MechanismType::RSA_PKCS]);
    let limited = keys::pair(&session, &Mechanism::MlKemKeyPairGen, &[set, other.clone()], &[other]);
    refused(put(limited.public), RvError::MechanismInvalid);
    refused(take(limited.private), RvError::MechanismInvalid);
    // Nor do these keys do anything else.
    let client = Client { session };
    let (public, private) = (ours.public.handle(), ours.private.handle());
    let rsa = crate::client::plain(CKM_RSA_PKCS);
    assert_eq!(client.encrypt(&rsa, public, b"x"), Err(CKR_KEY_TYPE_INCONSISTENT));
    assert_eq!(client.decrypt(&rsa, private, &ciphertext), Err(CKR_KEY_TYPE_INCONSISTENT));
    assert_eq!(client.sign(&rsa, private, b"x"), Err(CKR_KEY_TYPE_INCONSISTENT));
    let kem = crate::client::plain(cryptoki_sys::CKM_ML_KEM);
    assert_eq!(client.encrypt(&kem, public, b"x"), Err(CKR_MECHANISM_INVALID));
    assert_eq!(
        client.wrap(&kem, public, client.aes(32, &[yes(CKA_EXTRACTABLE)])),
        Err(CKR_MECHANISM_INVALID)
    );
    assert_eq!(client.derive(&kem, private, &open_secret(CKK_AES)), Err(CKR_MECHANISM_INVALID));
}

fn cryptoki_set() -> cryptoki::object::MlDsaParameterSetType {
    cryptoki::object::MlDsaParameterSetType::ML_DSA_44
}

/// A length is told before anything is made; NULL and short places make nothing.
#[test]
fn the_length_is_asked_for_first() {
    let client = Client::new("ml-kem lengths");
    let ours = pair(&client.session, SET_512, &[]);
    let (handle, public) = (client.session.handle(), ours.public.handle());
    let mut how = cryptoki_sys::CK_MECHANISM {
        mechanism: cryptoki_sys::CKM_ML_KEM,
        pParameter: null_mut(),
        ulParameterLen: 0,
    };
    let mut ask = |at: *mut u8, len: *mut CK_ULONG, key: *mut CK_OBJECT_HANDLE| {
        call_3_2!(C_EncapsulateKey(handle, &mut how, public, null_mut(), 0, at, len, key))
    };
    let before = client.find(&[number(CKA_CLASS, CKO_SECRET_KEY)]).len();
    let (mut len, mut key, mut place) = (0, 7, vec![0; 768]);
    assert_eq!((ask(null_mut(), &mut len, &mut key), len, key), (CKR_OK, 768, 7));
    len = 0;
    assert_eq!((ask(null_mut(), &mut len, null_mut()), len), (CKR_OK, 768));
    len = 767;
    assert_eq!((ask(place.as_mut_ptr(), &mut len, &mut key), len, key), (CKR_BUFFER_TOO_SMALL, 768, 7));
    assert_eq!(ask(place.as_mut_ptr(), &mut len, null_mut()), CKR_ARGUMENTS_BAD);
    assert_eq!(ask(place.as_mut_ptr(), null_mut(), &mut key), CKR_ARGUMENTS_BAD);
    let both: *mut CK_ULONG = &mut len;
    assert_eq!(ask(place.as_mut_ptr(), both, both), CKR_ARGUMENTS_BAD, "one place for two answers");
    assert_eq!(client.find(&[number(CKA_CLASS, CKO_SECRET_KEY)]).len(), before);
    let mut longer = vec![9; 800];
    len = 800;
    assert_eq!((ask(longer.as_mut_ptr(), &mut len, &mut key), len), (CKR_OK, 768));
    assert!(longer.ends_with(&[9; 32]) && key != 7);
    let mut wrong = 1u8;
    how.pParameter = (&raw mut wrong).cast();
    how.ulParameterLen = 1;
    let with_parameter =
        call_3_2!(C_EncapsulateKey(handle, &mut how, public, null_mut(), 0, null_mut(), &mut len, &mut key));
    assert_eq!(with_parameter, CKR_MECHANISM_PARAM_INVALID);
    let private = ours.private.handle();
    let mut nowhere = |at: *mut u8, len, key: *mut CK_OBJECT_HANDLE| {
        how.ulParameterLen = 0;
        call_3_2!(C_DecapsulateKey(handle, &mut how, private, null_mut(), 0, at, len, key))
    };
    assert_eq!(nowhere(null_mut(), 768, &mut key), CKR_ARGUMENTS_BAD);
    assert_eq!(nowhere(longer.as_mut_ptr(), 768, null_mut()), CKR_ARGUMENTS_BAD);
    assert_eq!(nowhere(longer.as_mut_ptr(), 768, &mut key), CKR_OK);
}

/// What C_GetMechanismInfo says of it, and C_GetInterface's list.
#[test]
fn the_mechanism_says_what_it_does() {
    let session = user_session("ml-kem told");
    let slot = session.get_session_info().unwrap().slot_id();
    let module = crate::harness::module();
    let info = module.get_mechanism_info(slot, MechanismType::ML_KEM).unwrap();
    assert!(info.encapsulate() && !info.encrypt() && !info.wrap() && !info.derive());
    assert_eq!((info.min_key_size(), info.max_key_size()), (800, 1568));
    let mut raw = CK_MECHANISM_INFO { ulMinKeySize: 0, ulMaxKeySize: 0, flags: 0 };
    assert_eq!(call!(C_GetMechanismInfo(slot.id(), cryptoki_sys::CKM_ML_KEM, &mut raw)), CKR_OK);
    assert_eq!(raw.flags, cryptoki_sys::CKF_ENCAPSULATE | cryptoki_sys::CKF_DECAPSULATE);
    assert!(module.get_mechanism_info(slot, MechanismType::ML_KEM_KEY_PAIR_GEN).unwrap().generate_key_pair());
    // Of the other mechanisms that the standard lets share secrets none is there for it.
    for kind in [CKM_RSA_PKCS, CKM_RSA_PKCS_OAEP, CKM_RSA_X_509, CKM_ECDH1_DERIVE, CKM_ECDH1_COFACTOR_DERIVE]
    {
        assert_eq!(call!(C_GetMechanismInfo(slot.id(), kind, &mut raw)), CKR_OK);
        assert_eq!(
            raw.flags & (cryptoki_sys::CKF_ENCAPSULATE | cryptoki_sys::CKF_DECAPSULATE),
            0,
            "{kind:x}"
        );
    }
    for function in [
        Function::EncapsulateKey,
        Function::DecapsulateKey,
        Function::WrapKeyAuthenticated,
        Function::UnwrapKeyAuthenticated,
    ] {
        assert!(module.is_fn_supported(function));
    }
}
