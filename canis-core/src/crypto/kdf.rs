//! The part of the seam that derives keys. What is built on a provider's HMAC and hashes alone is in [`super::derive`].

use super::Hash;
use canis_proto::{Error, Result};

/// Key derivation.
pub trait Kdf: Send + Sync {
    /// HKDF-SHA-256 (RFC 5869): extract with `salt`, expand with `info` into all of `out` (at most 8160 bytes).
    fn hkdf_sha256(&self, secret: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) -> Result<()>;

    /// PBKDF2 (RFC 8018, section 5.2) with HMAC of `hash` into all of `out`.
    ///
    /// # Errors
    /// `invalid_argument` for no iterations, or an `out` that is empty or longer than 2³² − 1 digests.
    fn pbkdf2(&self, hash: Hash, password: &[u8], salt: &[u8], iterations: u32, out: &mut [u8])
    -> Result<()>;

    /// Argon2id v1.3 (RFC 9106) with `memory` KiB, `passes` and one lane into all of `out`.
    fn argon2id(&self, password: &[u8], salt: &[u8], memory: u32, passes: u32, out: &mut [u8]) -> Result<()>;
}

/// The parameters of PBKDF2 that both providers take.
pub(super) fn check_pbkdf2(hash: Hash, iterations: u32, len: usize) -> Result<()> {
    let blocks = u32::try_from(len.div_ceil(hash.len())).unwrap_or(0);
    if iterations > 0 && blocks > 0 {
        return Ok(());
    }
    Err(Error::invalid("PBKDF2 takes one iteration or more and gives 1 to 2^32 - 1 digests"))
}
