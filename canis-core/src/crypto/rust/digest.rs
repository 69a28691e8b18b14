//! SHA-1 and SHA-2, by the `sha1` and `sha2` crates.

use crate::crypto::{Digest, Hash, Hasher, MAX_DIGEST};
use sha2::Digest as _;

/// The hash functions.
pub(super) struct Sha;

impl Digest for Sha {
    fn start(&self, hash: Hash) -> Box<dyn Hasher> {
        match hash {
            Hash::Sha1 => Box::new(Running(sha1::Sha1::new())),
            Hash::Sha256 => Box::new(Running(sha2::Sha256::new())),
            Hash::Sha384 => Box::new(Running(sha2::Sha384::new())),
            Hash::Sha512 => Box::new(Running(sha2::Sha512::new())),
        }
    }
}

struct Running<D>(D);

impl<D> Hasher for Running<D>
where
    D: sha2::Digest + sha2::digest::Reset + sha2::digest::FixedOutputReset + Clone + Send + 'static,
{
    fn update(&mut self, input: &[u8]) {
        sha2::Digest::update(&mut self.0, input);
    }

    fn finish(&mut self, out: &mut [u8; MAX_DIGEST]) -> usize {
        let digest = self.0.finalize_reset();
        out[..digest.len()].copy_from_slice(&digest);
        digest.len()
    }

    fn fork(&self) -> Box<dyn Hasher> {
        Box::new(Running(self.0.clone()))
    }
}
