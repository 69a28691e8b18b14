//! SHA-1 and SHA-2.

use crate::crypto::{Digest, Hash, Hasher, MAX_DIGEST};
use aws_lc_rs::digest::{self, Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};

/// The hash functions.
pub(super) struct Sha;

fn algorithm(hash: Hash) -> &'static Algorithm {
    match hash {
        Hash::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
        Hash::Sha256 => &SHA256,
        Hash::Sha384 => &SHA384,
        Hash::Sha512 => &SHA512,
    }
}

impl Digest for Sha {
    fn start(&self, hash: Hash) -> Box<dyn Hasher> {
        Box::new(Running(Context::new(algorithm(hash))))
    }

    fn hash(&self, hash: Hash, input: &[u8], out: &mut [u8; MAX_DIGEST]) -> usize {
        write(&digest::digest(algorithm(hash), input), out)
    }
}

struct Running(Context);

impl Hasher for Running {
    fn update(&mut self, input: &[u8]) {
        self.0.update(input);
    }

    fn finish(&mut self, out: &mut [u8; MAX_DIGEST]) -> usize {
        let fresh = Context::new(self.0.algorithm());
        write(&std::mem::replace(&mut self.0, fresh).finish(), out)
    }

    fn fork(&self) -> Box<dyn Hasher> {
        Box::new(Running(self.0.clone()))
    }
}

fn write(digest: &digest::Digest, out: &mut [u8; MAX_DIGEST]) -> usize {
    let digest = digest.as_ref();
    out[..digest.len()].copy_from_slice(digest);
    digest.len()
}
