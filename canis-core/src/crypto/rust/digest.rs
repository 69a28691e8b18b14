//! SHA-1, SHA-2, SHA-3 and MD5, by the `sha1`, `sha2`, `sha3` and `md-5` crates.

use crate::crypto::{Digest, Hash, Hasher, MAX_DIGEST};
use sha2::Digest as _;

/// The body with the crate's type for a hash in the place of `$type`.
macro_rules! by_hash {
    (@with $type:ident, $concrete:ty, $body:expr) => {{
        type $type = $concrete;
        $body
    }};
    ($hash:expr, $type:ident => $body:expr) => {
        match $hash {
            Hash::Md5 => by_hash!(@with $type, md5::Md5, $body),
            Hash::Sha1 => by_hash!(@with $type, sha1::Sha1, $body),
            Hash::Sha224 => by_hash!(@with $type, sha2::Sha224, $body),
            Hash::Sha256 => by_hash!(@with $type, sha2::Sha256, $body),
            Hash::Sha384 => by_hash!(@with $type, sha2::Sha384, $body),
            Hash::Sha512 => by_hash!(@with $type, sha2::Sha512, $body),
            Hash::Sha3_224 => by_hash!(@with $type, sha3::Sha3_224, $body),
            Hash::Sha3_256 => by_hash!(@with $type, sha3::Sha3_256, $body),
            Hash::Sha3_384 => by_hash!(@with $type, sha3::Sha3_384, $body),
            Hash::Sha3_512 => by_hash!(@with $type, sha3::Sha3_512, $body),
        }
    };
}
pub(super) use by_hash;

/// The hash functions.
pub(super) struct Sha;

impl Digest for Sha {
    fn start(&self, hash: Hash) -> Box<dyn Hasher> {
        by_hash!(hash, D => Box::new(Running(D::new())))
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
