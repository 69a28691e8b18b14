//! SLH-DSA signatures: pure and of digests, hedged and not, with contexts; checked by the library itself.

use crate::harness::{refused, user_session};
use crate::keys::{self, Pair};
use crate::ml_dsa::value;
use canis_core::crypto::{Hash, RUST, SignScheme, slh_dsa};
use cryptoki::error::RvError;
use cryptoki::mechanism::vendor_defined::VendorDefinedMechanism;
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, SlhDsaParameterSetType};
use cryptoki::session::Session;
use cryptoki_sys::{
    CK_HASH_SIGN_ADDITIONAL_CONTEXT, CK_SIGN_ADDITIONAL_CONTEXT, CKH_DETERMINISTIC_REQUIRED,
    CKH_HEDGE_PREFERRED, CKH_HEDGE_REQUIRED, CKM_HASH_SLH_DSA, CKM_HASH_SLH_DSA_SHA3_224,
    CKM_HASH_SLH_DSA_SHA3_256, CKM_HASH_SLH_DSA_SHA3_384, CKM_HASH_SLH_DSA_SHA3_512, CKM_HASH_SLH_DSA_SHA224,
    CKM_HASH_SLH_DSA_SHA256, CKM_HASH_SLH_DSA_SHA384, CKM_HASH_SLH_DSA_SHA512, CKM_SLH_DSA,
    CKM_SLH_DSA_KEY_PAIR_GEN,
};
use pkcs11_sys::*;

type Set = SlhDsaParameterSetType;

/// Each parameter set with the lengths of public key and signature (FIPS 205, table 2); those that sign fast come first.
pub(crate) const SETS: [(Set, &str, usize, usize); 6] = [
    (Set::SHA2_128F, "slh-dsa-sha2-128f", 32, 17088),
    (Set::SHA2_192F, "slh-dsa-sha2-192f", 48, 35664),
    (Set::SHA2_256F, "slh-dsa-sha2-256f", 64, 49856),
    (Set::SHA2_128S, "slh-dsa-sha2-128s", 32, 7856),
    (Set::SHA2_192S, "slh-dsa-sha2-192s", 48, 16224),
    (Set::SHA2_256S, "slh-dsa-sha2-256s", 64, 29792),
];

const MESSAGE: &[u8] = b"the quick brown fox jumps over the lazy dog";

/// The number of a mechanism in the client's terms, which has no name for it yet.
pub(crate) fn numbered(kind: CK_MECHANISM_TYPE) -> MechanismType {
    // SAFETY: the type is `repr(transparent)` over the number, and every number is one.
    unsafe { std::mem::transmute::<CK_MECHANISM_TYPE, MechanismType>(kind) }
}

/// A mechanism with its parameter.
pub(crate) fn how<T>(kind: CK_MECHANISM_TYPE, parameter: Option<&T>) -> Mechanism<'_> {
    Mechanism::VendorDefined(VendorDefinedMechanism::new(numbered(kind), parameter))
}

/// Without a parameter.
pub(crate) fn pure() -> Mechanism<'static> {
    how::<u8>(CKM_SLH_DSA, None)
}

pub(crate) fn context(hedge: CK_ULONG, context: &[u8]) -> CK_SIGN_ADDITIONAL_CONTEXT {
    CK_SIGN_ADDITIONAL_CONTEXT {
        hedgeVariant: hedge,
        pContext: context.as_ptr().cast_mut(),
        ulContextLen: context.len() as CK_ULONG,
    }
}

pub(crate) fn of_hash(hash: CK_MECHANISM_TYPE) -> CK_HASH_SIGN_ADDITIONAL_CONTEXT {
    let CK_SIGN_ADDITIONAL_CONTEXT { hedgeVariant, pContext, ulContextLen } =
        context(CKH_HEDGE_PREFERRED, b"a context");
    CK_HASH_SIGN_ADDITIONAL_CONTEXT { hedgeVariant, pContext, ulContextLen, hash }
}

/// A pair of session keys whose private half is made by this template.
pub(crate) fn pair_with(session: &Session, set: Set, private: &[Attribute]) -> Pair {
    let generate = how::<u8>(CKM_SLH_DSA_KEY_PAIR_GEN, None);
    keys::pair(session, &generate, &[Attribute::ParameterSet(set.into())], private)
}

pub(crate) fn pair(session: &Session, set: Set) -> Pair {
    pair_with(session, set, &[])
}

/// Whether the library finds that the signature over M' is right.
fn is_right(session: &Session, kind: &str, pair: Pair, message: &[u8], signature: &[u8]) -> bool {
    let spki = value(session, pair.public, AttributeType::PublicKeyInfo);
    let public = RUST.keys.public(kind.parse().unwrap(), &spki).unwrap();
    public.verify(SignScheme::SlhDsa, message, signature).unwrap()
}

/// R93: pure signatures of every parameter set, whole and told before the message.
#[test]
fn messages_are_signed_by_every_parameter_set() {
    let session = user_session("slh-dsa pure");
    for (set, kind, public, signature) in SETS {
        let pair = pair(&session, set);
        assert_eq!(value(&session, pair.public, AttributeType::Value).len(), public);
        for half in [pair.public, pair.private] {
            let told = session.get_attributes(half, &[AttributeType::ParameterSet]).unwrap().remove(0);
            assert_eq!(told, Attribute::ParameterSet(set.into()));
        }
        let signed = session.sign(&pure(), pair.private, MESSAGE).unwrap();
        assert_eq!(signed.len(), signature);
        assert!(is_right(&session, kind, pair, &slh_dsa::pure(b"", MESSAGE).unwrap(), &signed), "{kind}");
        session.verify(&pure(), pair.public, MESSAGE, &signed).unwrap();
        session.verify_signature_init(&pure(), pair.public, &signed).unwrap();
        session.verify_signature(MESSAGE).unwrap();
        refused(session.verify(&pure(), pair.public, b"another", &signed), RvError::SignatureInvalid);
        refused(session.verify(&pure(), pair.public, MESSAGE, &signed[1..]), RvError::SignatureLenRange);
    }
}

/// Contexts bind, hedges do what they say, and a message comes in parts.
#[test]
fn contexts_hedges_and_parts() {
    let session = user_session("slh-dsa contexts");
    let pair = pair(&session, Set::SHA2_128F);
    for (hedge, bound) in [
        (CKH_HEDGE_PREFERRED, &b"a context"[..]),
        (CKH_HEDGE_REQUIRED, b""),
        (CKH_DETERMINISTIC_REQUIRED, &[7; 255]),
    ] {
        let parameter = context(hedge, bound);
        let by = how(CKM_SLH_DSA, Some(&parameter));
        let signed = session.sign(&by, pair.private, MESSAGE).unwrap();
        let message = slh_dsa::pure(bound, MESSAGE).unwrap();
        assert!(is_right(&session, "slh-dsa-sha2-128f", pair, &message, &signed));
        let again = session.sign(&by, pair.private, MESSAGE).unwrap();
        assert_eq!(again == signed, hedge == CKH_DETERMINISTIC_REQUIRED, "{hedge}");
        let other = context(hedge, b"another context");
        let other = how(CKM_SLH_DSA, Some(&other));
        refused(session.verify(&other, pair.public, MESSAGE, &signed), RvError::SignatureInvalid);

        session.sign_init(&by, pair.private).unwrap();
        MESSAGE.chunks(10).for_each(|part| session.sign_update(part).unwrap());
        let signed = session.sign_final().unwrap();
        session.verify_init(&by, pair.public).unwrap();
        MESSAGE.chunks(7).for_each(|part| session.verify_update(part).unwrap());
        session.verify_final(&signed).unwrap();
    }
}

/// The mechanisms that hash, the digest that each makes, and the number of that.
const HASHES: [(CK_MECHANISM_TYPE, Hash, CK_MECHANISM_TYPE); 8] = [
    (CKM_HASH_SLH_DSA_SHA224, Hash::Sha224, CKM_SHA224),
    (CKM_HASH_SLH_DSA_SHA256, Hash::Sha256, CKM_SHA256),
    (CKM_HASH_SLH_DSA_SHA384, Hash::Sha384, CKM_SHA384),
    (CKM_HASH_SLH_DSA_SHA512, Hash::Sha512, CKM_SHA512),
    (CKM_HASH_SLH_DSA_SHA3_224, Hash::Sha3_224, CKM_SHA3_224),
    (CKM_HASH_SLH_DSA_SHA3_256, Hash::Sha3_256, CKM_SHA3_256),
    (CKM_HASH_SLH_DSA_SHA3_384, Hash::Sha3_384, CKM_SHA3_384),
    (CKM_HASH_SLH_DSA_SHA3_512, Hash::Sha3_512, CKM_SHA3_512),
];

/// R93: a digest that the module makes and one that the host brings give signatures of one kind, and pure ones of another.
#[test]
fn digests_are_signed_whoever_made_them() {
    let session = user_session("slh-dsa digests");
    let pair = pair(&session, Set::SHA2_128F);
    for (hashed, hash, digest) in HASHES {
        let (parameter, theirs) = (context(CKH_HEDGE_PREFERRED, b"a context"), of_hash(digest));
        let (here, theirs) = (how(hashed, Some(&parameter)), how(CKM_HASH_SLH_DSA, Some(&theirs)));
        let mut made = [0; 64];
        let len = RUST.digest.hash(hash, MESSAGE, &mut made);
        let made = &made[..len];
        let signed = session.sign(&here, pair.private, MESSAGE).unwrap();
        let message = slh_dsa::prehashed(b"a context", hash, made).unwrap();
        assert!(is_right(&session, "slh-dsa-sha2-128f", pair, &message, &signed), "{hash:?}");
        session.verify(&theirs, pair.public, made, &signed).unwrap();
        let signed = session.sign(&theirs, pair.private, made).unwrap();
        session.verify_signature_init(&here, pair.public, &signed).unwrap();
        session.verify_signature_update(MESSAGE).unwrap();
        session.verify_signature_final().unwrap();

        let whole = how(CKM_SLH_DSA, Some(&parameter));
        refused(session.verify(&whole, pair.public, made, &signed), RvError::SignatureInvalid);
        refused(session.sign(&theirs, pair.private, &made[1..]), RvError::DataLenRange);
        session.sign_init(&theirs, pair.private).unwrap();
        refused(session.sign_update(&made[..10]), RvError::OperationNotInitialized);
    }
}

/// Parameters that no signature has; and keys and mechanisms that are not for one another.
#[test]
fn wrong_parameters_are_refused() {
    let session = user_session("slh-dsa parameters");
    let (own, p256) = (pair(&session, Set::SHA2_128F), keys::p256(&session));
    for parameter in [context(CKH_HEDGE_PREFERRED, &[7; 256]), context(3, b"")] {
        let begun = session.sign_init(&how(CKM_SLH_DSA, Some(&parameter)), own.private);
        refused(begun, RvError::MechanismParamInvalid);
    }
    for hash in [CKM_SHA_1, CKM_MD5, CKM_SLH_DSA] {
        let parameter = of_hash(hash);
        let begun = session.sign_init(&how(CKM_HASH_SLH_DSA, Some(&parameter)), own.private);
        refused(begun, RvError::MechanismParamInvalid);
    }
    refused(session.sign_init(&pure(), p256.private), RvError::KeyTypeInconsistent);
    refused(session.sign_init(&Mechanism::EcdsaSha256, own.private), RvError::KeyTypeInconsistent);
    let ml_dsa = how::<u8>(cryptoki_sys::CKM_ML_DSA, None);
    refused(session.sign_init(&ml_dsa, own.private), RvError::KeyTypeInconsistent);
}
