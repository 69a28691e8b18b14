//! Keys as bare bytes, in and out, as the library has those of the post-quantum algorithms.

use super::{Pkey, PkeyContext, Result, done, lc, refused};
use crate::secret::SecretBytes;
use std::ptr;

impl Pkey {
    /// The public key.
    pub(super) fn raw_public(&self) -> Result<Vec<u8>> {
        let mut len = 0;
        // SAFETY: without a buffer only the length is written.
        done(unsafe { lc::EVP_PKEY_get_raw_public_key(self.as_ptr(), ptr::null_mut(), &mut len) })?;
        let mut out = vec![0; len];
        // SAFETY: writes at most `len` bytes, which `out` has.
        done(unsafe { lc::EVP_PKEY_get_raw_public_key(self.as_ptr(), out.as_mut_ptr(), &mut len) })?;
        if len == out.len() { Ok(out) } else { refused() }
    }

    /// The private key, expanded.
    pub(super) fn raw_private(&self) -> Result<SecretBytes> {
        let mut len = 0;
        // SAFETY: without a buffer only the length is written.
        done(unsafe { lc::EVP_PKEY_get_raw_private_key(self.as_ptr(), ptr::null_mut(), &mut len) })?;
        SecretBytes::filled(len, |out| {
            // SAFETY: writes at most `len` bytes, which `out` has.
            done(unsafe { lc::EVP_PKEY_get_raw_private_key(self.as_ptr(), out.as_mut_ptr(), &mut len) })
        })
    }

    /// For one operation with the key.
    pub(super) fn context(&self) -> Result<PkeyContext> {
        // SAFETY: the key is valid; the context takes a reference of its own.
        PkeyContext::new(unsafe { lc::EVP_PKEY_CTX_new(self.as_ptr(), ptr::null_mut()) })
    }
}
