//! HKDF and PBKDF2. Argon2id is RustCrypto's: AWS-LC has none.

use super::binding::pbkdf2;
use crate::crypto::kdf::check_pbkdf2;
use crate::crypto::{Hash, Kdf, RUST};
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use canis_proto::{Error, Result};

/// Key derivation.
pub(super) struct Derivation;

/// The output's length, which the library wants as a type of the caller's.
struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

impl Kdf for Derivation {
    fn hkdf_sha256(&self, secret: &[u8], salt: &[u8], info: &[u8], out: &mut [u8]) -> Result<()> {
        Salt::new(HKDF_SHA256, salt)
            .extract(secret)
            .expand(&[info], Length(out.len()))
            .and_then(|okm| okm.fill(out))
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
        pbkdf2(hash, password, salt, iterations, out).map_err(|_| Error::internal("PBKDF2 gave no key"))
    }

    fn argon2id(&self, password: &[u8], salt: &[u8], memory: u32, passes: u32, out: &mut [u8]) -> Result<()> {
        RUST.kdf.argon2id(password, salt, memory, passes, out)
    }
}
