//! ML-DSA (FIPS 204) over mu, which `aws-lc-rs` does not offer: it signs messages without a context string only.

use super::{Pkey, Result, done, lc, refused};
use crate::crypto::ml_dsa::MU;
use crate::secret::SecretBytes;
use canis_proto::KeyType;
use std::ffi::c_int;

/// An ML-DSA key, whole or public only. Immutable; usable from all threads at once.
pub(in crate::crypto::awslc) struct MlDsaKey(Pkey);

// SAFETY: the library documents EVP_PKEY as safe for concurrent use while nobody changes it, and nothing here does.
unsafe impl Send for MlDsaKey {}
// SAFETY: as above.
unsafe impl Sync for MlDsaKey {}

fn nid(kind: KeyType) -> c_int {
    match kind {
        KeyType::MlDsa44 => lc::NID_MLDSA44,
        KeyType::MlDsa65 => lc::NID_MLDSA65,
        _ => lc::NID_MLDSA87,
    }
}

impl MlDsaKey {
    /// From a seed or an expanded key, which the library tells apart by their lengths.
    pub(in crate::crypto::awslc) fn private(kind: KeyType, key: &[u8]) -> Result<Self> {
        // SAFETY: reads exactly the slice; null for a length that no key of this type has.
        Pkey::new(unsafe { lc::EVP_PKEY_pqdsa_new_raw_private_key(nid(kind), key.as_ptr(), key.len()) })
            .map(MlDsaKey)
    }

    pub(in crate::crypto::awslc) fn public(kind: KeyType, key: &[u8]) -> Result<Self> {
        // SAFETY: as above.
        Pkey::new(unsafe { lc::EVP_PKEY_pqdsa_new_raw_public_key(nid(kind), key.as_ptr(), key.len()) })
            .map(MlDsaKey)
    }

    pub(in crate::crypto::awslc) fn public_bytes(&self) -> Result<Vec<u8>> {
        self.0.raw_public()
    }

    /// The expanded private key.
    pub(in crate::crypto::awslc) fn expanded(&self) -> Result<SecretBytes> {
        self.0.raw_private()
    }

    /// Signs mu, hedged; `out` has exactly the length of a signature.
    pub(in crate::crypto::awslc) fn sign(&self, mu: &[u8; MU], out: &mut [u8]) -> Result<()> {
        let context = self.0.context()?;
        let mut len = out.len();
        // SAFETY: the context holds a reference to the key; writes at most `len` bytes, which `out` has, and reads
        // exactly mu.
        unsafe {
            done(lc::EVP_PKEY_sign_init(context.as_ptr()))?;
            done(lc::EVP_PKEY_sign(context.as_ptr(), out.as_mut_ptr(), &mut len, mu.as_ptr(), mu.len()))?;
        }
        if len == out.len() { Ok(()) } else { refused() }
    }

    /// Whether `signature` signs mu.
    pub(in crate::crypto::awslc) fn verify(&self, mu: &[u8; MU], signature: &[u8]) -> bool {
        self.try_verify(mu, signature).is_ok()
    }

    fn try_verify(&self, mu: &[u8; MU], signature: &[u8]) -> Result<()> {
        let context = self.0.context()?;
        // SAFETY: the context holds a reference to the key; reads exactly the signature and mu.
        unsafe {
            done(lc::EVP_PKEY_verify_init(context.as_ptr()))?;
            let (data, len) = (signature.as_ptr(), signature.len());
            done(lc::EVP_PKEY_verify(context.as_ptr(), data, len, mu.as_ptr(), mu.len()))
        }
    }
}
