//! The part of the seam that derives keys.

use canis_proto::Result;

/// Key derivation.
pub trait Kdf: Send + Sync {
    /// HKDF-SHA-256 (RFC 5869): extract with `salt`, expand with `info` into all of `out` (at most 8160 bytes).
    fn hkdf_sha256(&self, secret: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) -> Result<()>;

    /// Argon2id v1.3 (RFC 9106) with `memory` KiB, `passes` and one lane into all of `out`.
    fn argon2id(&self, password: &[u8], salt: &[u8], memory: u32, passes: u32, out: &mut [u8]) -> Result<()>;
}
