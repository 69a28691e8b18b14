//! The mechanisms of PKCS#11 by which operations use a key, as CKA_ALLOWED_MECHANISMS names them (section 4.8). One that
//! has several names is allowed by each.

use super::{Derivation, Derived, Wrapping};
use crate::crypto::Hash;
use canis_proto::{Family, KeyType, SignatureScheme};

/// CKM_RSA_PKCS.
const RSA_PKCS: u64 = 0x0001;
/// CKM_RSA_X_509.
pub(crate) const RSA_X_509: u64 = 0x0003;
/// CKM_RSA_PKCS_OAEP.
pub(crate) const RSA_PKCS_OAEP: u64 = 0x0009;
/// CKM_RSA_PKCS_PSS.
const RSA_PKCS_PSS: u64 = 0x000d;
/// CKM_ECDSA.
const ECDSA: u64 = 0x1041;
/// CKM_EDDSA.
const EDDSA: u64 = 0x1057;
/// CKM_ML_DSA (PKCS#11 3.2).
const ML_DSA: u64 = 0x001d;
/// CKM_HASH_ML_DSA.
const HASH_ML_DSA: u64 = 0x001f;
/// CKM_SLH_DSA (PKCS#11 3.2).
const SLH_DSA: u64 = 0x002e;
/// CKM_HASH_SLH_DSA.
const HASH_SLH_DSA: u64 = 0x0034;
/// CKM_ML_KEM.
const ML_KEM: u64 = 0x0017;
/// CKM_AES_GCM.
pub(crate) const AES_GCM: u64 = 0x1087;

impl Wrapping<'_> {
    /// The mechanisms that wrap and unwrap so.
    #[must_use]
    pub const fn mechanisms(&self) -> &'static [u64] {
        match self {
            Wrapping::AesKw => &[0x2109],
            Wrapping::AesKwp => &[0x210b, 0x210a],
            Wrapping::AesGcm { .. } => &[AES_GCM],
            Wrapping::AesCbcPad { .. } => &[0x1085],
            Wrapping::RsaOaep(_) => &[RSA_PKCS_OAEP],
            Wrapping::RsaAes { .. } => &[0x1054],
            Wrapping::RsaPkcs1 => &[RSA_PKCS],
            Wrapping::AesCcm { .. } => &[0x1088],
        }
    }
}

impl Derivation<'_> {
    /// The mechanisms that derive so.
    #[must_use]
    pub const fn mechanisms(&self, derived: Derived) -> &'static [u64] {
        match (self, derived) {
            (Derivation::Agree { .. }, _) => &[0x1050, 0x1051],
            (Derivation::Hkdf { .. }, Derived::Secret { .. }) => &[0x402a],
            (Derivation::Hkdf { .. }, Derived::Data { .. }) => &[0x402b],
            (Derivation::Counter { .. }, _) => &[0x03ac],
            (Derivation::JoinKey(_), _) => &[0x0360],
            (Derivation::JoinData(_), _) => &[0x0362],
            (Derivation::JoinAfter(_), _) => &[0x0363],
            (Derivation::Xor(_), _) => &[0x0364],
            (Derivation::Extract(_), _) => &[0x0365],
        }
    }
}

/// The mechanisms that sign by a scheme of the API: with the hash in them, where the message is hashed here, or without.
pub(crate) const fn of_signature(scheme: SignatureScheme, prehashed: bool) -> &'static [u64] {
    use SignatureScheme as S;
    match (scheme, prehashed) {
        (S::RsaPkcs1Sha256 | S::RsaPkcs1Sha384 | S::RsaPkcs1Sha512, true) => &[RSA_PKCS],
        (S::RsaPkcs1Sha256, false) => &[0x0040, RSA_PKCS],
        (S::RsaPkcs1Sha384, false) => &[0x0041, RSA_PKCS],
        (S::RsaPkcs1Sha512, false) => &[0x0042, RSA_PKCS],
        (S::RsaPssSha256 | S::RsaPssSha384 | S::RsaPssSha512, true) => &[RSA_PKCS_PSS],
        (S::RsaPssSha256, false) => &[0x0043, RSA_PKCS_PSS],
        (S::RsaPssSha384, false) => &[0x0044, RSA_PKCS_PSS],
        (S::RsaPssSha512, false) => &[0x0045, RSA_PKCS_PSS],
        (S::EcdsaSha256 | S::EcdsaSha384 | S::EcdsaSha512, true) => &[ECDSA],
        (S::EcdsaSha256, false) => &[0x1044, ECDSA],
        (S::EcdsaSha384, false) => &[0x1045, ECDSA],
        (S::EcdsaSha512, false) => &[0x1046, ECDSA],
        (S::Ed25519, _) => &[EDDSA],
        (S::MlDsa, _) => &[ML_DSA],
        (S::HashMlDsaSha256, true) | (S::HashMlDsaSha384, true) | (S::HashMlDsaSha512, true) => {
            &[HASH_ML_DSA]
        }
        (S::HashMlDsaSha256, false) => &[0x0024, HASH_ML_DSA],
        (S::HashMlDsaSha384, false) => &[0x0025, HASH_ML_DSA],
        (S::HashMlDsaSha512, false) => &[0x0026, HASH_ML_DSA],
        (S::SlhDsa, _) => &[SLH_DSA],
        (S::HashSlhDsaSha256 | S::HashSlhDsaSha384 | S::HashSlhDsaSha512, true) => &[HASH_SLH_DSA],
        (S::HashSlhDsaSha256, false) => &[0x0037, HASH_SLH_DSA],
        (S::HashSlhDsaSha384, false) => &[0x0038, HASH_SLH_DSA],
        (S::HashSlhDsaSha512, false) => &[0x0039, HASH_SLH_DSA],
    }
}

/// The mechanisms of the API's ciphertexts. AES keys encrypt by keys derived from them, which no mechanism does.
pub(crate) const fn of_encryption(kind: KeyType) -> &'static [u64] {
    match kind.family() {
        Family::Rsa => &[RSA_PKCS_OAEP],
        _ => &[],
    }
}

/// The mechanisms that encapsulate and decapsulate.
pub(crate) const ENCAPSULATION: &[u64] = &[ML_KEM];

/// The mechanisms of the API's HMACs.
pub(crate) const fn of_hmac(hash: Hash) -> &'static [u64] {
    match hash {
        Hash::Sha256 => &[0x0251],
        Hash::Sha384 => &[0x0261],
        Hash::Sha512 => &[0x0271],
        _ => &[],
    }
}
