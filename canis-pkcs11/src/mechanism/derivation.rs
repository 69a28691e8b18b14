//! Mechanisms that derive keys: what they do, and their parameters checked.

use super::{Mechanism, Parameter, Row, Work, hash_named, length};
use crate::rv::{Result, fail};
use canis_core::crypto::Hash;
use canis_core::crypto::derive::Field;
use canis_core::object::{MacWith, Prf};
use canis_proto::Family;
use pkcs11_sys::*;

/// A kind of derivation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Derives {
    Ecdh,
    Hkdf,
    HkdfData,
    Counter,
    JoinKey,
    JoinData,
    JoinAfter,
    Xor,
    Extract,
}

/// How to derive; handles of other keys are still the host's.
pub(crate) enum Deriving<'a> {
    Ecdh { peer: &'a [u8], kdf: Option<Hash>, shared: &'a [u8] },
    Hkdf { hash: Hash, extract: Option<Salt<'a>>, expand: Option<&'a [u8]>, data: bool },
    Counter { prf: Prf, fields: &'a [Field<'a>] },
    JoinKey(CK_OBJECT_HANDLE),
    JoinData(&'a [u8]),
    JoinAfter(&'a [u8]),
    Xor(&'a [u8]),
    Extract(usize),
}

/// The salt of HKDF.
pub(crate) enum Salt<'a> {
    Bytes(&'a [u8]),
    Key(CK_OBJECT_HANDLE),
}

/// How to make a key of a password.
pub(crate) struct Password<'a> {
    pub(crate) hash: Hash,
    pub(crate) password: &'a [u8],
    pub(crate) salt: &'a [u8],
    pub(crate) iterations: u32,
}

impl Derives {
    /// Whether it works with base keys of a family.
    pub(crate) fn takes(self, family: Family) -> bool {
        match self {
            Derives::Ecdh => matches!(family, Family::Ec | Family::Montgomery),
            _ => matches!(family, Family::Aes | Family::Generic),
        }
    }
}

impl Row {
    /// How this mechanism derives, if it does.
    pub(crate) fn derives(&self) -> Option<Derives> {
        self.works
            .iter()
            .find_map(|work| if let Work::Derive(derives) = work { Some(*derives) } else { None })
    }
}

impl Mechanism<'_> {
    /// How this mechanism derives.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID if it does not, CKR_MECHANISM_PARAM_INVALID for a parameter that CANIS cannot fulfil.
    pub(crate) fn derives(&self) -> Result<Deriving<'_>> {
        let Some(derives) = self.row.derives() else { return fail(CKR_MECHANISM_INVALID) };
        Ok(match (derives, &self.parameter) {
            (Derives::Ecdh, Parameter::Ecdh { kdf, shared, peer }) => {
                let kdf = kdf_hash(*kdf)?;
                if kdf.is_none() && !shared.is_empty() {
                    return fail(CKR_MECHANISM_PARAM_INVALID);
                }
                Deriving::Ecdh { peer, kdf, shared }
            }
            (Derives::Hkdf | Derives::HkdfData, Parameter::Hkdf { extract, expand, hash, salt, info }) => {
                if !extract && !expand {
                    return fail(CKR_MECHANISM_PARAM_INVALID);
                }
                let salt = || match *salt {
                    (CKF_HKDF_SALT_NULL, _, _) => Ok(Salt::Bytes(&[])),
                    (CKF_HKDF_SALT_DATA, bytes, _) => Ok(Salt::Bytes(bytes)),
                    (CKF_HKDF_SALT_KEY, _, key) => Ok(Salt::Key(key)),
                    _ => fail(CKR_MECHANISM_PARAM_INVALID),
                };
                Deriving::Hkdf {
                    hash: hash_named(*hash)?,
                    extract: extract.then(salt).transpose()?,
                    expand: expand.then_some(*info),
                    data: derives == Derives::HkdfData,
                }
            }
            (Derives::Counter, Parameter::Counter { prf, fields }) => {
                Deriving::Counter { prf: prf_named(*prf)?, fields }
            }
            (Derives::JoinKey, Parameter::Handle(key)) => Deriving::JoinKey(*key),
            (Derives::JoinData, Parameter::Bytes(data)) => Deriving::JoinData(data),
            (Derives::JoinAfter, Parameter::Bytes(data)) => Deriving::JoinAfter(data),
            (Derives::Xor, Parameter::Bytes(data)) => Deriving::Xor(data),
            (Derives::Extract, Parameter::Length(bit)) => Deriving::Extract(length(*bit)?),
            _ => return fail(CKR_MECHANISM_PARAM_INVALID),
        })
    }

    /// How this mechanism makes a key of a password; `None` if it makes none.
    ///
    /// # Errors
    /// CKR_MECHANISM_PARAM_INVALID.
    pub(crate) fn password(&self) -> Result<Option<Password<'_>>> {
        if !self.row.works.iter().any(|work| matches!(work, Work::Password)) {
            return Ok(None);
        }
        let Parameter::Pbkdf2 { prf, password, salt, iterations } = &self.parameter else {
            return fail(CKR_MECHANISM_PARAM_INVALID);
        };
        let hash = match *prf {
            CKP_PKCS5_PBKD2_HMAC_SHA1 => Hash::Sha1,
            CKP_PKCS5_PBKD2_HMAC_SHA224 => Hash::Sha224,
            CKP_PKCS5_PBKD2_HMAC_SHA256 => Hash::Sha256,
            CKP_PKCS5_PBKD2_HMAC_SHA384 => Hash::Sha384,
            CKP_PKCS5_PBKD2_HMAC_SHA512 => Hash::Sha512,
            _ => return fail(CKR_MECHANISM_PARAM_INVALID),
        };
        let iterations = u32::try_from(*iterations).map_err(|_| CKR_MECHANISM_PARAM_INVALID)?;
        Ok(Some(Password { hash, password, salt, iterations }))
    }
}

/// The hash of a KDF of X9.63; `None` for CKD_NULL.
fn kdf_hash(kdf: CK_EC_KDF_TYPE) -> Result<Option<Hash>> {
    Ok(Some(match kdf {
        CKD_NULL => return Ok(None),
        CKD_SHA1_KDF => Hash::Sha1,
        CKD_SHA224_KDF => Hash::Sha224,
        CKD_SHA256_KDF => Hash::Sha256,
        CKD_SHA384_KDF => Hash::Sha384,
        CKD_SHA512_KDF => Hash::Sha512,
        CKD_SHA3_224_KDF => Hash::Sha3_224,
        CKD_SHA3_256_KDF => Hash::Sha3_256,
        CKD_SHA3_384_KDF => Hash::Sha3_384,
        CKD_SHA3_512_KDF => Hash::Sha3_512,
        _ => return fail(CKR_MECHANISM_PARAM_INVALID),
    }))
}

/// The PRF that a MAC mechanism names.
fn prf_named(kind: CK_MECHANISM_TYPE) -> Result<Prf> {
    match super::named(kind).map(|row| row.works) {
        Some([Work::Mac(MacWith::Hmac(hash), super::Extent::Whole)]) => Ok(Prf::Hmac(*hash)),
        Some([Work::Mac(MacWith::Cmac(Family::Aes), super::Extent::Whole)]) => Ok(Prf::Cmac),
        _ => fail(CKR_MECHANISM_PARAM_INVALID),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prfs_and_kdfs_have_their_names() {
        assert_eq!(prf_named(CKM_SHA256_HMAC).unwrap(), Prf::Hmac(Hash::Sha256));
        assert_eq!(prf_named(CKM_AES_CMAC).unwrap(), Prf::Cmac);
        assert!(prf_named(CKM_MD5_HMAC).is_err() && prf_named(CKM_DES3_CMAC).is_err());
        assert!(prf_named(CKM_SHA256).is_err() && prf_named(CKM_SHA256_HMAC_GENERAL).is_err());
        assert_eq!(kdf_hash(CKD_NULL).unwrap(), None);
        assert_eq!(kdf_hash(CKD_SHA512_KDF).unwrap(), Some(Hash::Sha512));
        assert!(kdf_hash(0).is_err() && kdf_hash(CKD_SHA1_KDF_ASN1).is_err());
    }
}
