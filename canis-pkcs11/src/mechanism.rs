//! The table of mechanisms, and mechanisms as the host gives them, parsed.

use crate::rv::{Result, fail};
use canis_core::crypto::{GCM_NONCE, GCM_TAG, Hash, SignScheme};
use canis_proto::Family;
use pkcs11_sys::*;

/// A row of the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// The mechanism's number.
    pub(crate) kind: CK_MECHANISM_TYPE,
    /// Its name in the standard.
    pub(crate) name: &'static str,
    /// The keys it works with; `None` for digests.
    pub(crate) family: Option<Family>,
    /// What it is for, as CK_MECHANISM_INFO says it.
    pub(crate) flags: CK_FLAGS,
    /// Smallest and largest key, in the unit the standard gives for the family: bits, for AES bytes.
    pub(crate) sizes: (CK_ULONG, CK_ULONG),
    /// The structure of its parameter.
    pub(crate) form: Form,
    work: Work,
}

/// The structure of a mechanism's parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// None.
    None,
    /// CK_GCM_PARAMS.
    Gcm,
    /// CK_RSA_PKCS_PSS_PARAMS.
    Pss,
    /// CK_RSA_PKCS_OAEP_PARAMS.
    Oaep,
    /// CK_EDDSA_PARAMS, or none.
    Eddsa,
}

#[derive(Clone, Copy, Debug)]
enum Work {
    Generate,
    Digest(Hash),
    /// Sign what the host gives, or its digest by a hash.
    Sign(Option<Hash>, Signature),
    Cipher,
}

#[derive(Clone, Copy, Debug)]
enum Signature {
    Pkcs1,
    Pss,
    Ecdsa,
    Eddsa,
}

use Hash::{Sha1, Sha256, Sha384, Sha512};
use Signature::{Ecdsa, Eddsa, Pkcs1, Pss};
use Work::{Cipher as Enciphers, Digest, Generate, Sign};

const SIGNS: CK_FLAGS = CKF_SIGN | CKF_VERIFY;
const CIPHERS: CK_FLAGS = CKF_ENCRYPT | CKF_DECRYPT;
const NAMED_CURVE: CK_FLAGS = CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS;

macro_rules! mechanisms {
    ($($kind:ident: $group:ident, $flags:expr, $form:ident, $work:expr;)+) => {
        /// The table, in the order in which C_GetMechanismList gives it.
        pub(crate) const TABLE: &[Row] = &[$(Row {
            kind: $kind,
            name: stringify!($kind),
            family: mechanisms!(@family $group),
            flags: $flags | mechanisms!(@flags $group),
            sizes: mechanisms!(@sizes $group),
            form: Form::$form,
            work: $work,
        },)+];
    };
    (@family Rsa) => { Some(Family::Rsa) };
    (@family Ec) => { Some(Family::Ec) };
    (@family Edwards) => { Some(Family::Edwards) };
    (@family Aes) => { Some(Family::Aes) };
    (@family Hash) => { None };
    (@flags Ec) => { NAMED_CURVE };
    (@flags Edwards) => { CKF_EC_NAMEDCURVE | CKF_EC_COMPRESS };
    (@flags $group:ident) => { 0 };
    (@sizes Rsa) => { (2048, 4096) };
    (@sizes Ec) => { (256, 384) };
    (@sizes Edwards) => { (255, 255) };
    (@sizes Aes) => { (16, 32) };
    (@sizes Hash) => { (0, 0) };
}

mechanisms! {
    CKM_RSA_PKCS_KEY_PAIR_GEN: Rsa, CKF_GENERATE_KEY_PAIR, None, Generate;
    CKM_RSA_PKCS: Rsa, SIGNS, None, Sign(Option::None, Pkcs1);
    CKM_SHA256_RSA_PKCS: Rsa, SIGNS, None, Sign(Some(Sha256), Pkcs1);
    CKM_SHA384_RSA_PKCS: Rsa, SIGNS, None, Sign(Some(Sha384), Pkcs1);
    CKM_SHA512_RSA_PKCS: Rsa, SIGNS, None, Sign(Some(Sha512), Pkcs1);
    CKM_RSA_PKCS_PSS: Rsa, SIGNS, Pss, Sign(Option::None, Pss);
    CKM_SHA256_RSA_PKCS_PSS: Rsa, SIGNS, Pss, Sign(Some(Sha256), Pss);
    CKM_SHA384_RSA_PKCS_PSS: Rsa, SIGNS, Pss, Sign(Some(Sha384), Pss);
    CKM_SHA512_RSA_PKCS_PSS: Rsa, SIGNS, Pss, Sign(Some(Sha512), Pss);
    CKM_RSA_PKCS_OAEP: Rsa, CIPHERS, Oaep, Enciphers;
    CKM_EC_KEY_PAIR_GEN: Ec, CKF_GENERATE_KEY_PAIR, None, Generate;
    CKM_ECDSA: Ec, SIGNS, None, Sign(Option::None, Ecdsa);
    CKM_ECDSA_SHA1: Ec, SIGNS, None, Sign(Some(Sha1), Ecdsa);
    CKM_ECDSA_SHA256: Ec, SIGNS, None, Sign(Some(Sha256), Ecdsa);
    CKM_ECDSA_SHA384: Ec, SIGNS, None, Sign(Some(Sha384), Ecdsa);
    CKM_ECDSA_SHA512: Ec, SIGNS, None, Sign(Some(Sha512), Ecdsa);
    CKM_EC_EDWARDS_KEY_PAIR_GEN: Edwards, CKF_GENERATE_KEY_PAIR, None, Generate;
    CKM_EDDSA: Edwards, SIGNS, Eddsa, Sign(Option::None, Eddsa);
    CKM_AES_KEY_GEN: Aes, CKF_GENERATE, None, Generate;
    CKM_AES_GCM: Aes, CIPHERS, Gcm, Enciphers;
    CKM_SHA_1: Hash, CKF_DIGEST, None, Digest(Sha1);
    CKM_SHA256: Hash, CKF_DIGEST, None, Digest(Sha256);
    CKM_SHA384: Hash, CKF_DIGEST, None, Digest(Sha384);
    CKM_SHA512: Hash, CKF_DIGEST, None, Digest(Sha512);
}

/// The row of a mechanism.
///
/// # Errors
/// CKR_MECHANISM_INVALID.
pub(crate) fn row(kind: CK_MECHANISM_TYPE) -> Result<&'static Row> {
    TABLE.iter().find(|row| row.kind == kind).ok_or_else(|| CKR_MECHANISM_INVALID.into())
}

/// A mechanism with its parameter, as the host gave it.
pub(crate) struct Mechanism<'a> {
    /// Which one.
    pub(crate) row: &'static Row,
    /// Its parameter, of the row's form.
    pub(crate) parameter: Parameter<'a>,
}

/// A parameter, its bytes still unchecked.
pub(crate) enum Parameter<'a> {
    None,
    Gcm { iv: &'a [u8], aad: &'a [u8], tag_bits: CK_ULONG },
    Pss { hash: CK_MECHANISM_TYPE, mgf: CK_RSA_PKCS_MGF_TYPE, salt: CK_ULONG },
    Oaep { hash: CK_MECHANISM_TYPE, mgf: CK_RSA_PKCS_MGF_TYPE, label: &'a [u8] },
    Eddsa { prehash: bool, context: &'a [u8] },
}

/// How to make or check a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Signer {
    /// The hash applied to the host's message first.
    pub(crate) hash: Option<Hash>,
    /// What is done then.
    pub(crate) scheme: SignScheme,
}

/// How to encrypt or decrypt; keeps its own copy of what the host's pointers held.
pub(crate) enum Cipher {
    /// AES-GCM.
    Gcm { iv: [u8; GCM_NONCE], aad: Vec<u8> },
    /// RSAES-OAEP.
    Oaep { hash: Hash, mgf: Hash, label: Vec<u8> },
}

impl Mechanism<'_> {
    /// The family of keys that this mechanism generates.
    pub(crate) fn generates(&self) -> Result<Family> {
        match (self.row.work, self.row.family) {
            (Work::Generate, Some(family)) => Ok(family),
            _ => fail(CKR_MECHANISM_INVALID),
        }
    }

    /// The hash function this mechanism is.
    pub(crate) fn digests(&self) -> Result<Hash> {
        match self.row.work {
            Work::Digest(hash) => Ok(hash),
            _ => fail(CKR_MECHANISM_INVALID),
        }
    }

    /// How this mechanism signs.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID if it does not, CKR_MECHANISM_PARAM_INVALID for a parameter that CANIS cannot fulfil.
    pub(crate) fn signs(&self) -> Result<Signer> {
        let Work::Sign(hash, signature) = self.row.work else { return fail(CKR_MECHANISM_INVALID) };
        let scheme = match (signature, &self.parameter) {
            (Signature::Pkcs1, _) => SignScheme::RsaPkcs1,
            (Signature::Ecdsa, _) => SignScheme::Ecdsa,
            (Signature::Eddsa, Parameter::None | Parameter::Eddsa { prehash: false, context: [] }) => {
                SignScheme::Ed25519
            }
            (Signature::Pss, Parameter::Pss { hash: named, mgf, salt }) => {
                let named = hash_named(*named)?;
                let salt = usize::try_from(*salt).map_err(|_| CKR_MECHANISM_PARAM_INVALID)?;
                // The largest salt that fits a 4096-bit modulus is its 512 bytes less digest and two (RFC 8017, 9.1.1).
                if hash.is_some_and(|own| own != named) || salt > 512 - 2 - named.len() {
                    return fail(CKR_MECHANISM_PARAM_INVALID);
                }
                SignScheme::RsaPss { hash: named, mgf: mgf_hash(*mgf)?, salt }
            }
            _ => return fail(CKR_MECHANISM_PARAM_INVALID),
        };
        Ok(Signer { hash, scheme })
    }

    /// How this mechanism encrypts and decrypts.
    ///
    /// # Errors
    /// As [`Mechanism::signs`]. For AES-GCM only the IV of 96 bits and the tag of 128 bits are taken, the ones that
    /// NIST SP 800-38D recommends (section 5.2.1).
    pub(crate) fn ciphers(&self) -> Result<Cipher> {
        if !matches!(self.row.work, Work::Cipher) {
            return fail(CKR_MECHANISM_INVALID);
        }
        match &self.parameter {
            Parameter::Gcm { iv, aad, tag_bits } if *tag_bits == 8 * GCM_TAG as CK_ULONG => {
                let iv = (*iv).try_into().map_err(|_| CKR_MECHANISM_PARAM_INVALID)?;
                Ok(Cipher::Gcm { iv, aad: aad.to_vec() })
            }
            Parameter::Oaep { hash, mgf, label } => {
                Ok(Cipher::Oaep { hash: hash_named(*hash)?, mgf: mgf_hash(*mgf)?, label: label.to_vec() })
            }
            _ => fail(CKR_MECHANISM_PARAM_INVALID),
        }
    }
}

fn hash_named(kind: CK_MECHANISM_TYPE) -> Result<Hash> {
    match row(kind).map(|row| row.work) {
        Ok(Work::Digest(hash)) => Ok(hash),
        _ => fail(CKR_MECHANISM_PARAM_INVALID),
    }
}

fn mgf_hash(mgf: CK_RSA_PKCS_MGF_TYPE) -> Result<Hash> {
    match mgf {
        CKG_MGF1_SHA1 => Ok(Hash::Sha1),
        CKG_MGF1_SHA256 => Ok(Hash::Sha256),
        CKG_MGF1_SHA384 => Ok(Hash::Sha384),
        CKG_MGF1_SHA512 => Ok(Hash::Sha512),
        _ => fail(CKR_MECHANISM_PARAM_INVALID),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pss(kind: CK_MECHANISM_TYPE, hash: CK_MECHANISM_TYPE, salt: CK_ULONG) -> Result<Signer> {
        Mechanism { row: row(kind)?, parameter: Parameter::Pss { hash, mgf: CKG_MGF1_SHA256, salt } }.signs()
    }

    #[test]
    fn rows_are_unique() {
        for (at, row) in TABLE.iter().enumerate() {
            assert!(TABLE[at + 1..].iter().all(|other| other.kind != row.kind), "{}", row.name);
        }
        assert_eq!(row(CKM_MD5).unwrap_err().rv, CKR_MECHANISM_INVALID);
    }

    #[test]
    fn pss_must_agree_with_itself() {
        assert_eq!(pss(CKM_SHA256_RSA_PKCS_PSS, CKM_SHA256, 32).unwrap().hash, Some(Hash::Sha256));
        assert_eq!(pss(CKM_RSA_PKCS_PSS, CKM_SHA384, 48).unwrap().hash, None);
        for wrong in [
            pss(CKM_SHA256_RSA_PKCS_PSS, CKM_SHA384, 48),
            pss(CKM_RSA_PKCS_PSS, CKM_AES_GCM, 32),
            pss(CKM_RSA_PKCS_PSS, CKM_SHA256, 479),
            pss(CKM_RSA_PKCS_PSS, CKM_SHA256, CK_ULONG::MAX),
        ] {
            assert_eq!(wrong.unwrap_err().rv, CKR_MECHANISM_PARAM_INVALID);
        }
    }

    #[test]
    fn gcm_takes_the_recommended_sizes_only() {
        let gcm = |iv: &[u8], tag_bits| {
            Mechanism { row: row(CKM_AES_GCM).unwrap(), parameter: Parameter::Gcm { iv, aad: b"", tag_bits } }
                .ciphers()
                .map(|_| ())
                .map_err(|f| f.rv)
        };
        assert_eq!(gcm(&[0; 12], 128), Ok(()));
        assert_eq!(gcm(&[0; 16], 128), Err(CKR_MECHANISM_PARAM_INVALID));
        assert_eq!(gcm(&[0; 12], 96), Err(CKR_MECHANISM_PARAM_INVALID));
    }

    #[test]
    fn a_mechanism_is_refused_for_another_work() {
        let sha = Mechanism { row: row(CKM_SHA256).unwrap(), parameter: Parameter::None };
        assert_eq!(sha.signs().unwrap_err().rv, CKR_MECHANISM_INVALID);
        assert_eq!(sha.generates().unwrap_err().rv, CKR_MECHANISM_INVALID);
        assert!(sha.ciphers().is_err() && sha.digests().is_ok());
    }
}
