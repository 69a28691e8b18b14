//! The table of mechanisms: what each works with and does. Everything that is said about them is read from here.

use super::{Ciphers, Derives, Extent, Form, Signature, Wraps};
use crate::version_3_2::{CKF_DECAPSULATE, CKF_ENCAPSULATE};
use canis_core::crypto::Hash;
use canis_core::object::{MAX_SECRET, MacWith};
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
    /// Smallest and largest key, in the unit the standard gives for the family: bits, for AES, DES and HMAC bytes.
    pub(crate) sizes: (CK_ULONG, CK_ULONG),
    /// The structure of its parameter.
    pub(crate) form: Form,
    /// Whether it is there under the module's policy `legacy` only.
    pub(crate) legacy: bool,
    /// What it does.
    pub(crate) works: &'static [Work],
    /// What it says about curves.
    curves: CK_FLAGS,
}

/// Something that a mechanism does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// Generate a key or pair.
    Generate,
    /// Hash.
    Digest(Hash),
    /// Sign what the host gives, or its digest by a hash.
    Sign(Option<Hash>, Signature),
    /// Sign by a secret key.
    Mac(MacWith, Extent),
    /// Encrypt and decrypt.
    Cipher(Ciphers),
    /// Wrap and unwrap keys.
    Wrap(Wraps),
    /// The same, if the module's policy is `legacy`.
    LegacyWrap(Wraps),
    /// Share secrets by encapsulation.
    Encapsulate,
    /// Derive keys.
    Derive(Derives),
    /// Make keys of passwords.
    Password,
}

impl Row {
    /// What it is for, as CK_MECHANISM_INFO says it, under the module's policy; 0 if it is not there.
    pub(crate) fn flags(&self, legacy: bool) -> CK_FLAGS {
        if self.legacy && !legacy {
            return 0;
        }
        self.works.iter().fold(self.curves, |flags, work| flags | work.flags(self.family, legacy))
    }
}

const CIPHERS: CK_FLAGS = CKF_ENCRYPT | CKF_DECRYPT;
const SIGNS: CK_FLAGS = CKF_SIGN | CKF_VERIFY | CKF_MESSAGE_SIGN | CKF_MESSAGE_VERIFY | CKF_MULTI_MESSAGE;

impl Work {
    fn flags(self, family: Option<Family>, legacy: bool) -> CK_FLAGS {
        match (self, family) {
            (Work::Wrap(_), _) => CKF_WRAP | CKF_UNWRAP,
            (Work::LegacyWrap(_), _) => {
                if legacy {
                    CKF_WRAP | CKF_UNWRAP
                } else {
                    0
                }
            }
            (Work::Encapsulate, _) => CKF_ENCAPSULATE | CKF_DECAPSULATE,
            (Work::Derive(_), _) => CKF_DERIVE,
            (Work::Password, _) => CKF_GENERATE,
            (Work::Generate, Some(family)) if family.is_pair() => CKF_GENERATE_KEY_PAIR,
            (Work::Generate, _) => CKF_GENERATE,
            (Work::Digest(_), _) => CKF_DIGEST,
            (Work::Sign(None, Signature::Pkcs1 | Signature::Raw), _) => {
                SIGNS | CKF_SIGN_RECOVER | CKF_VERIFY_RECOVER
            }
            (Work::Sign(..) | Work::Mac(..), _) => SIGNS,
            (Work::Cipher(Ciphers::Gcm | Ciphers::Ccm), _) => {
                CIPHERS | CKF_MESSAGE_ENCRYPT | CKF_MESSAGE_DECRYPT | CKF_MULTI_MESSAGE
            }
            (Work::Cipher(_), _) => CIPHERS,
        }
    }
}

macro_rules! mechanisms {
    ($($kind:ident: $group:ident, $form:ident, $($work:expr),+;)+) => {
        /// The rows, each by its mechanism's name.
        #[allow(non_upper_case_globals)] // The standard's names.
        mod rows {
            use super::*;

            $(pub(super) static $kind: Row = Row {
                kind: numbers::$kind,
                name: stringify!($kind),
                family: $group.family,
                sizes: $group.sizes,
                form: Form::$form,
                legacy: $group.legacy,
                works: &[$($work),+],
                curves: $group.curves,
            };)+
        }

        /// The table, in the order in which C_GetMechanismList gives it.
        pub(crate) static TABLE: &[&Row] = &[$(&rows::$kind),+];

        /// The row of a mechanism. A match, because the table is long and this is asked at every C_…Init.
        pub(super) fn find(kind: CK_MECHANISM_TYPE) -> Option<&'static Row> {
            match kind {
                $(numbers::$kind => Some(&rows::$kind),)+
                _ => None,
            }
        }
    };
}

/// The mechanisms' numbers, of every version of the standard.
mod numbers {
    pub(super) use crate::version_3_2::*;
    pub(super) use pkcs11_sys::*;
}

/// What the mechanisms of one kind of keys have in common.
struct Group {
    family: Option<Family>,
    sizes: (CK_ULONG, CK_ULONG),
    curves: CK_FLAGS,
    legacy: bool,
}

const fn group(family: Family, least: CK_ULONG, most: CK_ULONG, curves: CK_FLAGS) -> Group {
    Group { family: Some(family), sizes: (least, most), curves, legacy: false }
}

/// The same, under the policy `legacy` only.
const fn old(group: Group) -> Group {
    Group { legacy: true, ..group }
}

const RSA: Group = group(Family::Rsa, 2048, 8192, 0);
const EC: Group = group(Family::Ec, 256, 521, CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS);
/// EC and X25519.
const AGREES: Group = group(Family::Ec, 255, 521, CKF_EC_F_P | CKF_EC_NAMEDCURVE | CKF_EC_UNCOMPRESS);
const EDWARDS: Group = group(Family::Edwards, 255, 255, CKF_EC_NAMEDCURVE | CKF_EC_COMPRESS);
const MONTGOMERY: Group = group(Family::Montgomery, 255, 255, CKF_EC_NAMEDCURVE | CKF_EC_COMPRESS);
/// The sizes are those of public keys, in bytes (section 6.67).
const ML_DSA: Group = group(Family::MlDsa, 1312, 2592, 0);
/// As those of ML-DSA.
const ML_KEM: Group = group(Family::MlKem, 800, 1568, 0);
/// The same.
const SLH_DSA: Group = group(Family::SlhDsa, 32, 64, 0);
const AES: Group = group(Family::Aes, 16, 32, 0);
const SECRET: Group = group(Family::Generic, 8, 8 * MAX_SECRET as CK_ULONG, 0);
const HMAC: Group = group(Family::Generic, 1, MAX_SECRET as CK_ULONG, 0);
const NO_KEY: Group = Group { family: None, sizes: (0, 0), curves: 0, legacy: false };
const DES: Group = old(group(Family::Des, 8, 8, 0));
const DES2: Group = old(group(Family::TripleDes, 16, 16, 0));
const DES3: Group = old(group(Family::TripleDes, 24, 24, 0));
const TRIPLE: Group = old(group(Family::TripleDes, 16, 24, 0));
const OLD_RSA: Group = old(RSA);
const OLD_HMAC: Group = old(HMAC);
const OLD_HASH: Group = old(NO_KEY);

use Ciphers::*;
use Extent::{General, Whole};
use Hash::*;
use MacWith::{Cmac, Hmac};
use Signature::{
    Ecdsa, Eddsa, HashPostQuantum, Pkcs1 as Pkcs1Signature, PostQuantum, Pss, Raw as RawSignature,
};
use Work::{Cipher, Derive, Digest, Encapsulate, Generate, LegacyWrap, Mac, Password, Sign, Wrap};

mechanisms! {
    CKM_RSA_PKCS_KEY_PAIR_GEN: RSA, None, Generate;
    CKM_RSA_PKCS: RSA, None, Sign(Option::None, Pkcs1Signature), Cipher(Pkcs1), LegacyWrap(Wraps::Pkcs1);
    CKM_RSA_X_509: RSA, None, Sign(Option::None, RawSignature), Cipher(Raw);
    CKM_SHA1_RSA_PKCS: RSA, None, Sign(Some(Sha1), Pkcs1Signature);
    CKM_SHA224_RSA_PKCS: RSA, None, Sign(Some(Sha224), Pkcs1Signature);
    CKM_SHA256_RSA_PKCS: RSA, None, Sign(Some(Sha256), Pkcs1Signature);
    CKM_SHA384_RSA_PKCS: RSA, None, Sign(Some(Sha384), Pkcs1Signature);
    CKM_SHA512_RSA_PKCS: RSA, None, Sign(Some(Sha512), Pkcs1Signature);
    CKM_SHA3_224_RSA_PKCS: RSA, None, Sign(Some(Sha3_224), Pkcs1Signature);
    CKM_SHA3_256_RSA_PKCS: RSA, None, Sign(Some(Sha3_256), Pkcs1Signature);
    CKM_SHA3_384_RSA_PKCS: RSA, None, Sign(Some(Sha3_384), Pkcs1Signature);
    CKM_SHA3_512_RSA_PKCS: RSA, None, Sign(Some(Sha3_512), Pkcs1Signature);
    CKM_RSA_PKCS_PSS: RSA, Pss, Sign(Option::None, Pss);
    CKM_SHA1_RSA_PKCS_PSS: RSA, Pss, Sign(Some(Sha1), Pss);
    CKM_SHA224_RSA_PKCS_PSS: RSA, Pss, Sign(Some(Sha224), Pss);
    CKM_SHA256_RSA_PKCS_PSS: RSA, Pss, Sign(Some(Sha256), Pss);
    CKM_SHA384_RSA_PKCS_PSS: RSA, Pss, Sign(Some(Sha384), Pss);
    CKM_SHA512_RSA_PKCS_PSS: RSA, Pss, Sign(Some(Sha512), Pss);
    CKM_SHA3_224_RSA_PKCS_PSS: RSA, Pss, Sign(Some(Sha3_224), Pss);
    CKM_SHA3_256_RSA_PKCS_PSS: RSA, Pss, Sign(Some(Sha3_256), Pss);
    CKM_SHA3_384_RSA_PKCS_PSS: RSA, Pss, Sign(Some(Sha3_384), Pss);
    CKM_SHA3_512_RSA_PKCS_PSS: RSA, Pss, Sign(Some(Sha3_512), Pss);
    CKM_RSA_PKCS_OAEP: RSA, Oaep, Cipher(Oaep), Wrap(Wraps::Oaep);
    CKM_RSA_AES_KEY_WRAP: RSA, RsaAes, Wrap(Wraps::RsaAes);

    CKM_EC_KEY_PAIR_GEN: EC, None, Generate;
    CKM_ECDSA: EC, None, Sign(Option::None, Ecdsa);
    CKM_ECDSA_SHA1: EC, None, Sign(Some(Sha1), Ecdsa);
    CKM_ECDSA_SHA224: EC, None, Sign(Some(Sha224), Ecdsa);
    CKM_ECDSA_SHA256: EC, None, Sign(Some(Sha256), Ecdsa);
    CKM_ECDSA_SHA384: EC, None, Sign(Some(Sha384), Ecdsa);
    CKM_ECDSA_SHA512: EC, None, Sign(Some(Sha512), Ecdsa);
    CKM_ECDSA_SHA3_224: EC, None, Sign(Some(Sha3_224), Ecdsa);
    CKM_ECDSA_SHA3_256: EC, None, Sign(Some(Sha3_256), Ecdsa);
    CKM_ECDSA_SHA3_384: EC, None, Sign(Some(Sha3_384), Ecdsa);
    CKM_ECDSA_SHA3_512: EC, None, Sign(Some(Sha3_512), Ecdsa);
    CKM_ECDH1_DERIVE: AGREES, Ecdh, Derive(Derives::Ecdh);
    CKM_ECDH1_COFACTOR_DERIVE: AGREES, Ecdh, Derive(Derives::Ecdh);
    CKM_EC_EDWARDS_KEY_PAIR_GEN: EDWARDS, None, Generate;
    CKM_EDDSA: EDWARDS, Eddsa, Sign(Option::None, Eddsa);
    CKM_EC_MONTGOMERY_KEY_PAIR_GEN: MONTGOMERY, None, Generate;

    CKM_ML_DSA_KEY_PAIR_GEN: ML_DSA, None, Generate;
    CKM_ML_DSA: ML_DSA, Context, Sign(Option::None, PostQuantum(Family::MlDsa));
    CKM_HASH_ML_DSA: ML_DSA, HashContext, Sign(Option::None, HashPostQuantum(Family::MlDsa));
    CKM_HASH_ML_DSA_SHA224: ML_DSA, Context, Sign(Some(Sha224), PostQuantum(Family::MlDsa));
    CKM_HASH_ML_DSA_SHA256: ML_DSA, Context, Sign(Some(Sha256), PostQuantum(Family::MlDsa));
    CKM_HASH_ML_DSA_SHA384: ML_DSA, Context, Sign(Some(Sha384), PostQuantum(Family::MlDsa));
    CKM_HASH_ML_DSA_SHA512: ML_DSA, Context, Sign(Some(Sha512), PostQuantum(Family::MlDsa));
    CKM_HASH_ML_DSA_SHA3_224: ML_DSA, Context, Sign(Some(Sha3_224), PostQuantum(Family::MlDsa));
    CKM_HASH_ML_DSA_SHA3_256: ML_DSA, Context, Sign(Some(Sha3_256), PostQuantum(Family::MlDsa));
    CKM_HASH_ML_DSA_SHA3_384: ML_DSA, Context, Sign(Some(Sha3_384), PostQuantum(Family::MlDsa));
    CKM_HASH_ML_DSA_SHA3_512: ML_DSA, Context, Sign(Some(Sha3_512), PostQuantum(Family::MlDsa));

    CKM_SLH_DSA_KEY_PAIR_GEN: SLH_DSA, None, Generate;
    CKM_SLH_DSA: SLH_DSA, Context, Sign(Option::None, PostQuantum(Family::SlhDsa));
    CKM_HASH_SLH_DSA: SLH_DSA, HashContext, Sign(Option::None, HashPostQuantum(Family::SlhDsa));
    CKM_HASH_SLH_DSA_SHA224: SLH_DSA, Context, Sign(Some(Sha224), PostQuantum(Family::SlhDsa));
    CKM_HASH_SLH_DSA_SHA256: SLH_DSA, Context, Sign(Some(Sha256), PostQuantum(Family::SlhDsa));
    CKM_HASH_SLH_DSA_SHA384: SLH_DSA, Context, Sign(Some(Sha384), PostQuantum(Family::SlhDsa));
    CKM_HASH_SLH_DSA_SHA512: SLH_DSA, Context, Sign(Some(Sha512), PostQuantum(Family::SlhDsa));
    CKM_HASH_SLH_DSA_SHA3_224: SLH_DSA, Context, Sign(Some(Sha3_224), PostQuantum(Family::SlhDsa));
    CKM_HASH_SLH_DSA_SHA3_256: SLH_DSA, Context, Sign(Some(Sha3_256), PostQuantum(Family::SlhDsa));
    CKM_HASH_SLH_DSA_SHA3_384: SLH_DSA, Context, Sign(Some(Sha3_384), PostQuantum(Family::SlhDsa));
    CKM_HASH_SLH_DSA_SHA3_512: SLH_DSA, Context, Sign(Some(Sha3_512), PostQuantum(Family::SlhDsa));

    CKM_ML_KEM_KEY_PAIR_GEN: ML_KEM, None, Generate;
    CKM_ML_KEM: ML_KEM, None, Encapsulate;

    CKM_AES_KEY_GEN: AES, None, Generate;
    CKM_AES_ECB: AES, None, Cipher(Ecb);
    CKM_AES_CBC: AES, Iv, Cipher(Cbc);
    CKM_AES_CBC_PAD: AES, Iv, Cipher(CbcPad), LegacyWrap(Wraps::CbcPad);
    CKM_AES_CTR: AES, Ctr, Cipher(Ctr);
    CKM_AES_GCM: AES, Gcm, Cipher(Gcm), Wrap(Wraps::Gcm);
    CKM_AES_CCM: AES, Ccm, Cipher(Ccm), Wrap(Wraps::Ccm);
    CKM_AES_CMAC: AES, None, Mac(Cmac(Family::Aes), Whole);
    CKM_AES_CMAC_GENERAL: AES, Length, Mac(Cmac(Family::Aes), General);
    CKM_AES_KEY_WRAP: AES, WrapIv, Wrap(Wraps::Kw);
    CKM_AES_KEY_WRAP_PAD: AES, WrapIv, Wrap(Wraps::Kwp);
    CKM_AES_KEY_WRAP_KWP: AES, WrapIv, Wrap(Wraps::Kwp);

    CKM_GENERIC_SECRET_KEY_GEN: SECRET, None, Generate;
    CKM_SHA_1_HMAC: HMAC, None, Mac(Hmac(Sha1), Whole);
    CKM_SHA_1_HMAC_GENERAL: HMAC, Length, Mac(Hmac(Sha1), General);
    CKM_SHA224_HMAC: HMAC, None, Mac(Hmac(Sha224), Whole);
    CKM_SHA224_HMAC_GENERAL: HMAC, Length, Mac(Hmac(Sha224), General);
    CKM_SHA256_HMAC: HMAC, None, Mac(Hmac(Sha256), Whole);
    CKM_SHA256_HMAC_GENERAL: HMAC, Length, Mac(Hmac(Sha256), General);
    CKM_SHA384_HMAC: HMAC, None, Mac(Hmac(Sha384), Whole);
    CKM_SHA384_HMAC_GENERAL: HMAC, Length, Mac(Hmac(Sha384), General);
    CKM_SHA512_HMAC: HMAC, None, Mac(Hmac(Sha512), Whole);
    CKM_SHA512_HMAC_GENERAL: HMAC, Length, Mac(Hmac(Sha512), General);
    CKM_SHA3_224_HMAC: HMAC, None, Mac(Hmac(Sha3_224), Whole);
    CKM_SHA3_224_HMAC_GENERAL: HMAC, Length, Mac(Hmac(Sha3_224), General);
    CKM_SHA3_256_HMAC: HMAC, None, Mac(Hmac(Sha3_256), Whole);
    CKM_SHA3_256_HMAC_GENERAL: HMAC, Length, Mac(Hmac(Sha3_256), General);
    CKM_SHA3_384_HMAC: HMAC, None, Mac(Hmac(Sha3_384), Whole);
    CKM_SHA3_384_HMAC_GENERAL: HMAC, Length, Mac(Hmac(Sha3_384), General);
    CKM_SHA3_512_HMAC: HMAC, None, Mac(Hmac(Sha3_512), Whole);
    CKM_SHA3_512_HMAC_GENERAL: HMAC, Length, Mac(Hmac(Sha3_512), General);

    CKM_HKDF_KEY_GEN: HMAC, None, Generate;
    CKM_HKDF_DERIVE: HMAC, Hkdf, Derive(Derives::Hkdf);
    CKM_HKDF_DATA: HMAC, Hkdf, Derive(Derives::HkdfData);
    CKM_SP800_108_COUNTER_KDF: HMAC, Counter, Derive(Derives::Counter);
    CKM_CONCATENATE_BASE_AND_KEY: HMAC, Handle, Derive(Derives::JoinKey);
    CKM_CONCATENATE_BASE_AND_DATA: HMAC, Data, Derive(Derives::JoinData);
    CKM_CONCATENATE_DATA_AND_BASE: HMAC, Data, Derive(Derives::JoinAfter);
    CKM_XOR_BASE_AND_DATA: HMAC, Data, Derive(Derives::Xor);
    CKM_EXTRACT_KEY_FROM_KEY: HMAC, Length, Derive(Derives::Extract);
    CKM_PKCS5_PBKD2: HMAC, Pbkdf2, Password;

    CKM_SHA_1: NO_KEY, None, Digest(Sha1);
    CKM_SHA224: NO_KEY, None, Digest(Sha224);
    CKM_SHA256: NO_KEY, None, Digest(Sha256);
    CKM_SHA384: NO_KEY, None, Digest(Sha384);
    CKM_SHA512: NO_KEY, None, Digest(Sha512);
    CKM_SHA3_224: NO_KEY, None, Digest(Sha3_224);
    CKM_SHA3_256: NO_KEY, None, Digest(Sha3_256);
    CKM_SHA3_384: NO_KEY, None, Digest(Sha3_384);
    CKM_SHA3_512: NO_KEY, None, Digest(Sha3_512);

    CKM_DES_KEY_GEN: DES, None, Generate;
    CKM_DES_ECB: DES, None, Cipher(Ecb);
    CKM_DES_CBC: DES, Iv, Cipher(Cbc);
    CKM_DES_CBC_PAD: DES, Iv, Cipher(CbcPad);
    CKM_DES2_KEY_GEN: DES2, None, Generate;
    CKM_DES3_KEY_GEN: DES3, None, Generate;
    CKM_DES3_ECB: TRIPLE, None, Cipher(Ecb);
    CKM_DES3_CBC: TRIPLE, Iv, Cipher(Cbc);
    CKM_DES3_CBC_PAD: TRIPLE, Iv, Cipher(CbcPad);
    CKM_DES3_CMAC: TRIPLE, None, Mac(Cmac(Family::TripleDes), Whole);
    CKM_DES3_CMAC_GENERAL: TRIPLE, Length, Mac(Cmac(Family::TripleDes), General);
    CKM_MD5: OLD_HASH, None, Digest(Md5);
    CKM_MD5_HMAC: OLD_HMAC, None, Mac(Hmac(Md5), Whole);
    CKM_MD5_HMAC_GENERAL: OLD_HMAC, Length, Mac(Hmac(Md5), General);
    CKM_MD5_RSA_PKCS: OLD_RSA, None, Sign(Some(Md5), Pkcs1Signature);
}
