//! Message authentication codes: the part of the seam for HMAC, and the keys of every MAC.

use super::{Hash, MAX_DIGEST};
use canis_proto::{Error, Result};
use subtle::ConstantTimeEq;

/// HMAC.
pub trait Mac: Send + Sync {
    /// HMAC-SHA-256 (RFC 2104) of the concatenated `parts`.
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32];

    /// A ready HMAC key (FIPS 198-1) of any length, also empty; tags are `hash.len()` bytes.
    ///
    /// # Errors
    /// `internal` when memory runs out.
    fn hmac(&self, hash: Hash, key: &[u8]) -> Result<Box<dyn MacKey>>;
}

/// A ready MAC key: HMAC's two pads hashed, CMAC's two subkeys computed.
pub trait MacKey: Send + Sync {
    /// The length of a whole tag, in bytes.
    fn tag_len(&self) -> usize;

    /// A MAC to be computed in parts.
    ///
    /// # Errors
    /// `internal` when memory runs out.
    fn start(&self) -> Result<Box<dyn MacRun>>;

    /// Writes the tag of the concatenated `parts` into the start of `out` and returns its length.
    ///
    /// # Errors
    /// As [`MacKey::start`].
    fn tag(&self, parts: &[&[u8]], out: &mut [u8; MAX_DIGEST]) -> Result<usize> {
        let mut run = self.start()?;
        for part in parts {
            run.update(part)?;
        }
        run.finish(out)
    }
}

/// A MAC being computed.
pub trait MacRun: Send {
    /// Takes more input.
    ///
    /// # Errors
    /// `internal`; a run that has failed or finished must not be used again.
    fn update(&mut self, input: &[u8]) -> Result<()>;

    /// Writes the tag into the start of `out` and returns its length.
    ///
    /// # Errors
    /// As [`MacRun::update`].
    fn finish(&mut self, out: &mut [u8; MAX_DIGEST]) -> Result<usize>;
}

impl dyn MacRun {
    /// Whether the leftmost `len` bytes of the tag are `tag`, compared in constant time. How much of a tag is enough
    /// is not for whoever made the tag to say, so that `len` comes from elsewhere.
    ///
    /// # Errors
    /// `invalid_argument` if no tag has `len` bytes; as [`MacRun::update`].
    pub fn verify(&mut self, len: usize, tag: &[u8]) -> Result<bool> {
        let mut made = [0; MAX_DIGEST];
        let whole = self.finish(&mut made)?;
        if len == 0 || len > whole {
            return Err(Error::invalid(format!("a tag of this key has 1 to {whole} bytes, not {len}")));
        }
        Ok(bool::from(made[..len].ct_eq(tag)))
    }
}
