//! HKDF and Argon2id, by the `hkdf` and `argon2` crates, and PBKDF2 over `hmac`.

use super::digest::by_hash;
use crate::crypto::kdf::check_pbkdf2;
use crate::crypto::{Hash, Kdf};
use argon2::{Algorithm, Argon2, Params, Version};
use canis_proto::{Error, Result};
use hkdf::Hkdf;
use hmac::{KeyInit, Mac, SimpleHmac};
use sha2::Sha256;

/// Key derivation.
pub(in crate::crypto) struct Derivation;

impl Kdf for Derivation {
    fn hkdf_sha256(&self, secret: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) -> Result<()> {
        Hkdf::<Sha256>::new(Some(salt), secret)
            .expand(info, out)
            .map_err(|_| Error::invalid("HKDF-SHA-256 gives at most 8160 bytes"))
    }

    fn pbkdf2(
        &self,
        hash: Hash,
        password: &[u8],
        salt: &[u8],
        iterations: u32,
        out: &mut [u8],
    ) -> Result<()> {
        check_pbkdf2(hash, iterations, out.len())?;
        by_hash!(hash, D => pbkdf2::<SimpleHmac<D>>(password, salt, iterations, out))
    }

    fn argon2id(&self, password: &[u8], salt: &[u8], memory: u32, passes: u32, out: &mut [u8]) -> Result<()> {
        let refused = |e| Error::invalid(format!("these Argon2id parameters are refused: {e}"));
        let params = Params::new(memory, passes, 1, Some(out.len())).map_err(refused)?;
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
            .hash_password_into(password, salt, out)
            .map_err(refused)
    }
}

/// RFC 8018, section 5.2, steps 3 and 4. The keyed state is computed once and copied for each iteration.
fn pbkdf2<M: KeyInit + Mac + Clone>(
    password: &[u8],
    salt: &[u8],
    iterations: u32,
    out: &mut [u8],
) -> Result<()> {
    let keyed =
        <M as KeyInit>::new_from_slice(password).map_err(|_| Error::internal("HMAC refused its key"))?;
    for (number, chunk) in (1u32..).zip(out.chunks_mut(M::output_size())) {
        let first = keyed.clone().chain_update(salt).chain_update(number.to_be_bytes());
        let mut last = first.finalize().into_bytes();
        let mut sum = last.clone();
        for _ in 1..iterations {
            last = keyed.clone().chain_update(&last).finalize().into_bytes();
            sum.iter_mut().zip(&last).for_each(|(sum, byte)| *sum ^= byte);
        }
        chunk.copy_from_slice(&sum[..chunk.len()]);
    }
    Ok(())
}
