//! PBKDF2 (RFC 8018, section 5.2) with HMAC of every hash.

use super::{Result, done, lc, md};
use crate::crypto::Hash;

/// Derives all of `out`, which is not empty, in at least one iteration.
pub(in crate::crypto::awslc) fn pbkdf2(
    hash: Hash,
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    out: &mut [u8],
) -> Result<()> {
    // SAFETY: reads exactly password and salt and writes exactly `out`.
    done(unsafe {
        lc::PKCS5_PBKDF2_HMAC(
            password.as_ptr().cast(),
            password.len(),
            salt.as_ptr(),
            salt.len(),
            iterations,
            md(hash),
            out.len(),
            out.as_mut_ptr(),
        )
    })
}
