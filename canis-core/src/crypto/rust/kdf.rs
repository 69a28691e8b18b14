//! HKDF and Argon2id, by the `hkdf` and `argon2` crates.

use crate::crypto::Kdf;
use argon2::{Algorithm, Argon2, Params, Version};
use canis_proto::{Error, Result};
use hkdf::Hkdf;
use sha2::Sha256;

/// Key derivation.
pub(in crate::crypto) struct Derivation;

impl Kdf for Derivation {
    fn hkdf_sha256(&self, secret: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) -> Result<()> {
        Hkdf::<Sha256>::new(Some(salt), secret)
            .expand(info, out)
            .map_err(|_| Error::invalid("HKDF-SHA-256 gives at most 8160 bytes"))
    }

    fn argon2id(&self, password: &[u8], salt: &[u8], memory: u32, passes: u32, out: &mut [u8]) -> Result<()> {
        let refused = |e| Error::invalid(format!("these Argon2id parameters are refused: {e}"));
        let params = Params::new(memory, passes, 1, Some(out.len())).map_err(refused)?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password, salt, out)
            .map_err(refused)
    }
}
