//! ML-DSA signatures: pure and of digests, hedged and not, with contexts; checked by another library.

use crate::harness::{refused, user_session};
use crate::keys::{self, Pair};
use crate::raw::call;
use canis_core::crypto::ml_dsa::{Mu, key_hash};
use canis_core::crypto::{Hash, RUST, SignScheme};
use cryptoki::error::RvError;
use cryptoki::mechanism::dsa::{HashSignAdditionalContext, HedgeType, SignAdditionalContext};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, MlDsaParameterSetType, ObjectHandle};
use cryptoki::session::Session;
use pkcs11_sys::*;
use std::ptr::null_mut;

/// Each parameter set with the lengths of public key and signature (FIPS 204, table 2).
pub(crate) const SETS: [(MlDsaParameterSetType, &str, usize, usize); 3] = [
    (MlDsaParameterSetType::ML_DSA_44, "ml-dsa-44", 1312, 2420),
    (MlDsaParameterSetType::ML_DSA_65, "ml-dsa-65", 1952, 3309),
    (MlDsaParameterSetType::ML_DSA_87, "ml-dsa-87", 2592, 4627),
];

const MESSAGE: &[u8] = b"the quick brown fox jumps over the lazy dog";

pub(crate) fn pure(hedge: HedgeType, context: Option<&[u8]>) -> Mechanism<'_> {
    Mechanism::MlDsa(SignAdditionalContext::new(hedge, context))
}

pub(crate) fn value(session: &Session, object: ObjectHandle, kind: AttributeType) -> Vec<u8> {
    match session.get_attributes(object, &[kind]).unwrap().remove(0) {
        Attribute::Value(value) | Attribute::Seed(value) | Attribute::PublicKeyInfo(value) => value,
        other => panic!("{other:?}"),
    }
}

/// Whether RustCrypto finds that the signature is right; `hash` if a digest by it was signed.
fn is_right(
    session: &Session,
    kind: &str,
    pair: Pair,
    hash: Option<Hash>,
    context: &[u8],
    signature: &[u8],
) -> bool {
    let of = key_hash(&value(session, pair.public, AttributeType::Value));
    let mu = match hash {
        None => {
            let mut mu = Mu::pure(&of, context).unwrap();
            mu.update(MESSAGE);
            mu.finish()
        }
        Some(hash) => {
            let mut digest = [0; 64];
            let len = RUST.digest.hash(hash, MESSAGE, &mut digest);
            Mu::prehashed(&of, context, hash, &digest[..len]).unwrap()
        }
    };
    let spki = value(session, pair.public, AttributeType::PublicKeyInfo);
    let public = RUST.keys.public(kind.parse().unwrap(), &spki).unwrap();
    public.verify(SignScheme::MlDsa, &mu, signature).unwrap()
}

/// R93: pure signatures of every parameter set, hedged and not, with contexts and without, whole and in parts.
#[test]
fn messages_are_signed_by_every_parameter_set() {
    let session = user_session("ml-dsa pure");
    for (set, kind, public, signature) in SETS {
        let pair = keys::ml_dsa(&session, set);
        assert_eq!(value(&session, pair.public, AttributeType::Value).len(), public);
        for half in [pair.public, pair.private] {
            let told = session.get_attributes(half, &[AttributeType::ParameterSet]).unwrap().remove(0);
            assert_eq!(told, Attribute::ParameterSet(set.into()));
        }
        for (hedge, context) in [
            (HedgeType::Preferred, None),
            (HedgeType::Preferred, Some(&b"a context"[..])),
            (HedgeType::Required, None),
            (HedgeType::DeterministicRequired, Some(&[7; 255][..])),
        ] {
            let how = pure(hedge, context);
            let signed = session.sign(&how, pair.private, MESSAGE).unwrap();
            assert_eq!(signed.len(), signature);
            assert!(is_right(&session, kind, pair, None, context.unwrap_or_default(), &signed));
            session.verify(&how, pair.public, MESSAGE, &signed).unwrap();
            session.verify_signature_init(&how, pair.public, &signed).unwrap();
            session.verify_signature(MESSAGE).unwrap();
            let again = session.sign(&how, pair.private, MESSAGE).unwrap();
            assert_eq!(again == signed, hedge == HedgeType::DeterministicRequired, "{kind} {hedge:?}");

            let other = pure(hedge, Some(b"another context"));
            refused(session.verify(&other, pair.public, MESSAGE, &signed), RvError::SignatureInvalid);
            refused(session.verify(&how, pair.public, b"another", &signed), RvError::SignatureInvalid);
            let short = session.verify(&how, pair.public, MESSAGE, &signed[1..]);
            refused(short, RvError::SignatureLenRange);
        }
        let how = pure(HedgeType::Required, None);
        session.sign_init(&how, pair.private).unwrap();
        for part in MESSAGE.chunks(10) {
            session.sign_update(part).unwrap();
        }
        let signed = session.sign_final().unwrap();
        assert!(is_right(&session, kind, pair, None, b"", &signed));
        session.verify_init(&how, pair.public).unwrap();
        for part in MESSAGE.chunks(7) {
            session.verify_update(part).unwrap();
        }
        session.verify_final(&signed).unwrap();
    }
}

type Hashed = fn(SignAdditionalContext<'static>) -> Mechanism<'static>;

/// The mechanisms that hash, and the digest that each makes, by the client's name for it if it has one.
const HASHES: [(Hashed, Hash, Option<MechanismType>); 8] = [
    (Mechanism::HashMlDsaSha224, Hash::Sha224, Some(MechanismType::SHA224)),
    (Mechanism::HashMlDsaSha256, Hash::Sha256, Some(MechanismType::SHA256)),
    (Mechanism::HashMlDsaSha384, Hash::Sha384, Some(MechanismType::SHA384)),
    (Mechanism::HashMlDsaSha512, Hash::Sha512, Some(MechanismType::SHA512)),
    (Mechanism::HashMlDsaSha3_224, Hash::Sha3_224, None),
    (Mechanism::HashMlDsaSha3_256, Hash::Sha3_256, None),
    (Mechanism::HashMlDsaSha3_384, Hash::Sha3_384, None),
    (Mechanism::HashMlDsaSha3_512, Hash::Sha3_512, None),
];

/// R93: a digest that the module makes and one that the host brings give signatures of one kind, and pure ones of another.
#[test]
fn digests_are_signed_whoever_made_them() {
    let session = user_session("ml-dsa digests");
    let pair = keys::ml_dsa(&session, MlDsaParameterSetType::ML_DSA_65);
    let context = Some(&b"a context"[..]);
    for (hashed, hash, digest) in HASHES {
        let here = hashed(SignAdditionalContext::new(HedgeType::Preferred, context));
        let signed = session.sign(&here, pair.private, MESSAGE).unwrap();
        assert!(is_right(&session, "ml-dsa-65", pair, Some(hash), b"a context", &signed), "{hash:?}");
        let Some(digest) = digest else { continue };

        let theirs = HashSignAdditionalContext::new(HedgeType::Preferred, context, digest);
        let theirs = Mechanism::HashMlDsa(theirs);
        let mut made = [0; 64];
        let len = RUST.digest.hash(hash, MESSAGE, &mut made);
        let made = &made[..len];
        session.verify(&theirs, pair.public, made, &signed).unwrap();
        let signed = session.sign(&theirs, pair.private, made).unwrap();
        session.verify(&here, pair.public, MESSAGE, &signed).unwrap();
        session.verify_signature_init(&here, pair.public, &signed).unwrap();
        session.verify_signature_update(MESSAGE).unwrap();
        session.verify_signature_final().unwrap();

        let how = pure(HedgeType::Preferred, context);
        refused(session.verify(&how, pair.public, made, &signed), RvError::SignatureInvalid);
        refused(session.sign(&theirs, pair.private, &made[1..]), RvError::DataLenRange);
        refused(session.sign(&theirs, pair.private, b""), RvError::DataLenRange);
    }
}

/// A digest comes whole: the standard has no parts for it.
#[test]
fn a_digest_of_the_hosts_has_no_parts() {
    let session = user_session("ml-dsa parts");
    let pair = keys::ml_dsa(&session, MlDsaParameterSetType::ML_DSA_44);
    let how = HashSignAdditionalContext::new(HedgeType::Preferred, None, MechanismType::SHA384);
    let (how, digest) = (Mechanism::HashMlDsa(how), [7; 48]);
    let signed = session.sign(&how, pair.private, &digest).unwrap();
    session.sign_init(&how, pair.private).unwrap();
    refused(session.sign_update(&digest[..10]), RvError::OperationNotInitialized);
    session.verify_init(&how, pair.public).unwrap();
    refused(session.verify_update(&digest[..10]), RvError::OperationNotInitialized);
    session.verify_signature_init(&how, pair.public, &signed).unwrap();
    refused(session.verify_signature_update(&digest[..10]), RvError::OperationNotInitialized);
    session.verify(&how, pair.public, &digest, &signed).unwrap();

    // Nor as one of many messages.
    let mut inner = cryptoki_sys::CK_HASH_SIGN_ADDITIONAL_CONTEXT {
        hedgeVariant: cryptoki_sys::CKH_HEDGE_PREFERRED,
        pContext: null_mut(),
        ulContextLen: 0,
        hash: CKM_SHA384,
    };
    let mut raw = CK_MECHANISM {
        mechanism: cryptoki_sys::CKM_HASH_ML_DSA,
        pParameter: std::ptr::from_mut(&mut inner).cast(),
        ulParameterLen: size_of_val(&inner) as CK_ULONG,
    };
    assert_eq!(call!(C_MessageSignInit(session.handle(), &mut raw, pair.private.handle())), CKR_OK);
    assert_eq!(call!(C_SignMessageBegin(session.handle(), null_mut(), 0)), CKR_OPERATION_NOT_INITIALIZED);
    assert_eq!(call!(C_MessageSignFinal(session.handle())), CKR_OK);

    // Nor beside a cipher, which has not begun by then.
    let key = keys::aes(&session, 32);
    let cbc = Mechanism::AesCbcPad([3; 16]);
    session.sign_init(&how, pair.private).unwrap();
    session.encrypt_init(&cbc, key).unwrap();
    let (mut out, mut len) = ([0; 64], 64);
    let (part, part_len) = (digest.as_ptr().cast_mut(), digest.len() as CK_ULONG);
    let rv = call!(C_SignEncryptUpdate(session.handle(), part, part_len, out.as_mut_ptr(), &mut len));
    assert_eq!((rv, out), (CKR_OPERATION_NOT_INITIALIZED, [0; 64]));
    assert_eq!(session.encrypt_final().unwrap().len(), 16, "nothing was encrypted");
}

/// Parameters that no signature has, in lengths and pointers.
#[test]
fn wrong_parameters_are_refused() {
    let session = user_session("ml-dsa parameters");
    let pair = keys::ml_dsa(&session, MlDsaParameterSetType::ML_DSA_44);
    let long = [7; 256];
    let begin = |how: &Mechanism<'_>| session.sign_init(how, pair.private);
    refused(begin(&pure(HedgeType::Preferred, Some(&long))), RvError::MechanismParamInvalid);
    let sha1 = HashSignAdditionalContext::new(HedgeType::Preferred, None, MechanismType::SHA1);
    refused(begin(&Mechanism::HashMlDsa(sha1)), RvError::MechanismParamInvalid);
    let no_hash = HashSignAdditionalContext::new(HedgeType::Preferred, None, MechanismType::ML_DSA);
    refused(begin(&Mechanism::HashMlDsa(no_hash)), RvError::MechanismParamInvalid);
    refused(begin(&Mechanism::EcdsaSha256), RvError::KeyTypeInconsistent);
    let p256 = keys::p256(&session);
    let of_curve = session.sign_init(&pure(HedgeType::Preferred, None), p256.private);
    refused(of_curve, RvError::KeyTypeInconsistent);

    let given = |hedge, at: *mut u8, len, cut| {
        let mut inner =
            cryptoki_sys::CK_SIGN_ADDITIONAL_CONTEXT { hedgeVariant: hedge, pContext: at, ulContextLen: len };
        let mut how = CK_MECHANISM {
            mechanism: cryptoki_sys::CKM_ML_DSA,
            pParameter: std::ptr::from_mut(&mut inner).cast(),
            ulParameterLen: size_of_val(&inner) as CK_ULONG - cut,
        };
        call!(C_SignInit(session.handle(), &mut how, pair.private.handle()))
    };
    let here = long.as_ptr().cast_mut();
    for (hedge, at, len, cut) in [
        (0, null_mut(), 1, 0),
        (0, here, CK_ULONG::MAX, 0),
        (3, here, 1, 0),
        (CK_ULONG::MAX, here, 1, 0),
        (0, here, 1, 1),
        (0, here, 1, 8),
    ] {
        assert_eq!(given(hedge, at, len, cut), CKR_MECHANISM_PARAM_INVALID);
    }
    assert_eq!(given(2, here, 255, 0), CKR_OK);
}
