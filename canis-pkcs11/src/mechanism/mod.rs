//! Mechanisms: the table, and mechanisms as the host gives them, parsed.

use crate::rv::{Result, fail};
use canis_core::crypto::Hash;
use canis_proto::Family;
use pkcs11_sys::*;

mod cipher;
mod derivation;
mod parameter;
mod signature;
mod table;
pub(crate) mod wrapping;

pub(crate) use cipher::{Cipher, Ciphers};
pub(crate) use derivation::{Derives, Deriving, Password, Salt};
pub(crate) use parameter::{Form, Parameter};
pub(crate) use signature::{Extent, Scheme, Signature, Signer};
pub(crate) use table::{Row, TABLE, Work};
pub(crate) use wrapping::Wraps;

/// The row of a mechanism.
///
/// # Errors
/// CKR_MECHANISM_INVALID.
pub(crate) fn row(kind: CK_MECHANISM_TYPE) -> Result<&'static Row> {
    table::find(kind).ok_or_else(|| CKR_MECHANISM_INVALID.into())
}

/// The row of a mechanism that a parameter names. None of the policy `legacy`: those are asked for by themselves only.
fn named(kind: CK_MECHANISM_TYPE) -> Option<&'static Row> {
    table::find(kind).filter(|row| !row.legacy)
}

/// A mechanism with its parameter, as the host gave it.
pub(crate) struct Mechanism<'a> {
    /// Which one.
    pub(crate) row: &'static Row,
    /// Its parameter, of the row's form.
    pub(crate) parameter: Parameter<'a>,
}

impl Mechanism<'_> {
    /// The family of keys that this mechanism generates.
    pub(crate) fn generates(&self) -> Result<Family> {
        match (self.row.works, self.row.family) {
            ([Work::Generate], Some(family)) => Ok(family),
            _ => fail(CKR_MECHANISM_INVALID),
        }
    }

    /// Whether this mechanism shares secrets by encapsulation.
    ///
    /// # Errors
    /// CKR_MECHANISM_INVALID if it does not.
    pub(crate) fn encapsulates(&self) -> Result {
        match self.row.works {
            [Work::Encapsulate] => Ok(()),
            _ => fail(CKR_MECHANISM_INVALID),
        }
    }

    /// The hash function this mechanism is.
    pub(crate) fn digests(&self) -> Result<Hash> {
        match self.row.works {
            [Work::Digest(hash)] => Ok(*hash),
            _ => fail(CKR_MECHANISM_INVALID),
        }
    }
}

/// The hash function that a mechanism parameter names by its digest mechanism.
fn hash_named(kind: CK_MECHANISM_TYPE) -> Result<Hash> {
    match named(kind).map(|row| row.works) {
        Some([Work::Digest(hash)]) => Ok(*hash),
        _ => fail(CKR_MECHANISM_PARAM_INVALID),
    }
}

/// The hash function of a mask generation function.
fn mgf_hash(mgf: CK_RSA_PKCS_MGF_TYPE) -> Result<Hash> {
    Ok(match mgf {
        CKG_MGF1_SHA1 => Hash::Sha1,
        CKG_MGF1_SHA224 => Hash::Sha224,
        CKG_MGF1_SHA256 => Hash::Sha256,
        CKG_MGF1_SHA384 => Hash::Sha384,
        CKG_MGF1_SHA512 => Hash::Sha512,
        CKG_MGF1_SHA3_224 => Hash::Sha3_224,
        CKG_MGF1_SHA3_256 => Hash::Sha3_256,
        CKG_MGF1_SHA3_384 => Hash::Sha3_384,
        CKG_MGF1_SHA3_512 => Hash::Sha3_512,
        _ => return fail(CKR_MECHANISM_PARAM_INVALID),
    })
}

/// A length in a parameter.
fn length(given: CK_ULONG) -> Result<usize> {
    usize::try_from(given).map_err(|_| CKR_MECHANISM_PARAM_INVALID.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_unique_and_say_what_they_do() {
        for (at, row) in TABLE.iter().enumerate() {
            assert!(TABLE[at + 1..].iter().all(|other| other.kind != row.kind), "{}", row.name);
            assert!(row.sizes.0 <= row.sizes.1 && !row.works.is_empty(), "{}", row.name);
        }
        assert!(TABLE.iter().all(|known| std::ptr::eq(row(known.kind).unwrap(), *known)));
        assert_eq!(row(CKM_MD2).unwrap_err().rv, CKR_MECHANISM_INVALID);
    }

    #[test]
    fn a_mechanism_is_refused_for_another_work() {
        let sha = Mechanism { row: row(CKM_SHA256).unwrap(), parameter: Parameter::None };
        assert_eq!(sha.signs().unwrap_err().rv, CKR_MECHANISM_INVALID);
        assert_eq!(sha.generates().unwrap_err().rv, CKR_MECHANISM_INVALID);
        assert!(sha.ciphers().is_err() && sha.digests().is_ok());
    }

    #[test]
    fn every_digest_has_its_mgf() {
        let mgfs = [
            (CKM_SHA_1, CKG_MGF1_SHA1),
            (CKM_SHA224, CKG_MGF1_SHA224),
            (CKM_SHA256, CKG_MGF1_SHA256),
            (CKM_SHA384, CKG_MGF1_SHA384),
            (CKM_SHA512, CKG_MGF1_SHA512),
            (CKM_SHA3_224, CKG_MGF1_SHA3_224),
            (CKM_SHA3_256, CKG_MGF1_SHA3_256),
            (CKM_SHA3_384, CKG_MGF1_SHA3_384),
            (CKM_SHA3_512, CKG_MGF1_SHA3_512),
        ];
        for (digest, mgf) in mgfs {
            assert_eq!(hash_named(digest).unwrap(), mgf_hash(mgf).unwrap());
        }
        assert!(hash_named(CKM_MD5).is_err());
        assert_eq!(mgfs.len() + 1, Hash::ALL.len());
        assert!(hash_named(CKM_AES_GCM).is_err() && mgf_hash(0).is_err());
    }
}
