//! ML-KEM (FIPS 203). `aws-lc-rs` makes no key of a seed and checks no expanded one.

use super::{Pkey, PkeyContext, Result, done, lc, refused};
use crate::crypto::ml_kem::SECRET;
use crate::secret::SecretBytes;
use canis_proto::KeyType;
use std::ffi::c_int;
use std::ptr;

/// An ML-KEM key, whole or public only. Immutable; usable from all threads at once.
pub(in crate::crypto::awslc) struct MlKemKey(Pkey);

// SAFETY: the library documents EVP_PKEY as safe for concurrent use while nobody changes it, and nothing here does.
unsafe impl Send for MlKemKey {}
// SAFETY: as above.
unsafe impl Sync for MlKemKey {}

fn nid(kind: KeyType) -> c_int {
    match kind {
        KeyType::MlKem512 => lc::NID_MLKEM512,
        KeyType::MlKem768 => lc::NID_MLKEM768,
        _ => lc::NID_MLKEM1024,
    }
}

impl MlKemKey {
    /// From d ‖ z (section 7.1).
    pub(in crate::crypto::awslc) fn from_seed(kind: KeyType, seed: &[u8]) -> Result<Self> {
        // SAFETY: a constant; the engine may be null.
        let context =
            PkeyContext::new(unsafe { lc::EVP_PKEY_CTX_new_id(lc::EVP_PKEY_KEM, ptr::null_mut()) })?;
        let (mut key, mut len) = (ptr::null_mut(), seed.len());
        // SAFETY: the context is valid; reads exactly the seed, and leaves a new key or null.
        unsafe {
            done(lc::EVP_PKEY_CTX_kem_set_params(context.as_ptr(), nid(kind)))?;
            done(lc::EVP_PKEY_keygen_init(context.as_ptr()))?;
            done(lc::EVP_PKEY_keygen_deterministic(context.as_ptr(), &mut key, seed.as_ptr(), &mut len))?;
        }
        Pkey::new(key).map(MlKemKey)
    }

    /// From an expanded key and the public half that stands in it, after the checks of sections 7.2 and 7.3 and one
    /// encapsulation.
    pub(in crate::crypto::awslc) fn expanded(kind: KeyType, public: &[u8], key: &[u8]) -> Result<Self> {
        let (public_len, len) = (public.len(), key.len());
        // SAFETY: reads exactly the two slices; null for lengths that no key of this type has.
        let key = Pkey::new(unsafe {
            lc::EVP_PKEY_kem_new_raw_key(nid(kind), public.as_ptr(), public_len, key.as_ptr(), len)
        })?;
        // SAFETY: the key is valid and of this type.
        done(unsafe { lc::EVP_PKEY_kem_check_key(key.as_ptr()) })?;
        Ok(MlKemKey(key))
    }

    /// From a public key, after the checks of section 7.2.
    pub(in crate::crypto::awslc) fn public(kind: KeyType, key: &[u8]) -> Result<Self> {
        // SAFETY: reads exactly the slice; null for a length that no key of this type has.
        let key =
            Pkey::new(unsafe { lc::EVP_PKEY_kem_new_raw_public_key(nid(kind), key.as_ptr(), key.len()) })?;
        let context = key.context()?;
        // SAFETY: the context holds a reference to the key.
        done(unsafe { lc::EVP_PKEY_public_check(context.as_ptr()) })?;
        Ok(MlKemKey(key))
    }

    pub(in crate::crypto::awslc) fn public_bytes(&self) -> Result<Vec<u8>> {
        self.0.raw_public()
    }

    /// The expanded private key.
    pub(in crate::crypto::awslc) fn expanded_bytes(&self) -> Result<SecretBytes> {
        self.0.raw_private()
    }

    /// A fresh secret, and its ciphertext, which is as long as `ciphertext`.
    pub(in crate::crypto::awslc) fn encapsulate(&self, ciphertext: &mut [u8]) -> Result<SecretBytes> {
        let context = self.0.context()?;
        let mut len = ciphertext.len();
        SecretBytes::filled(SECRET, |secret| {
            let mut secret_len = secret.len();
            // SAFETY: the context holds a reference to the key; writes at most the two lengths, which the slices have.
            done(unsafe {
                let (out, shared) = (ciphertext.as_mut_ptr(), secret.as_mut_ptr());
                lc::EVP_PKEY_encapsulate(context.as_ptr(), out, &mut len, shared, &mut secret_len)
            })?;
            if (len, secret_len) == (ciphertext.len(), SECRET) { Ok(()) } else { refused() }
        })
    }

    /// The secret of a ciphertext; of a wrong one another secret (section 6.3). Refused if its length is wrong.
    pub(in crate::crypto::awslc) fn decapsulate(&self, ciphertext: &[u8]) -> Result<SecretBytes> {
        let context = self.0.context()?;
        SecretBytes::filled(SECRET, |secret| {
            let mut len = secret.len();
            // SAFETY: the context holds a reference to the key; writes at most `len` bytes, which `secret` has, and reads
            // exactly the ciphertext.
            done(unsafe {
                let (data, data_len) = (ciphertext.as_ptr(), ciphertext.len());
                lc::EVP_PKEY_decapsulate(context.as_ptr(), secret.as_mut_ptr(), &mut len, data, data_len)
            })?;
            if len == SECRET { Ok(()) } else { refused() }
        })
    }
}
