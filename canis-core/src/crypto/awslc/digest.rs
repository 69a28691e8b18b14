//! SHA-1, SHA-2 and SHA-3. SHA3-224 and MD5 are RustCrypto's: `aws-lc-rs` leaves them out.

use crate::crypto::{Digest, Hash, Hasher, MAX_DIGEST, RUST};
use aws_lc_rs::digest::{
    self, Algorithm, Context, SHA1_FOR_LEGACY_USE_ONLY, SHA3_256, SHA3_384, SHA3_512, SHA224, SHA256, SHA384,
    SHA512,
};

/// The hash functions.
pub(super) struct Sha;

/// The library's algorithm, if it has it.
fn algorithm(hash: Hash) -> Option<&'static Algorithm> {
    match hash {
        Hash::Sha1 => Some(&SHA1_FOR_LEGACY_USE_ONLY),
        Hash::Sha224 => Some(&SHA224),
        Hash::Sha256 => Some(&SHA256),
        Hash::Sha384 => Some(&SHA384),
        Hash::Sha512 => Some(&SHA512),
        Hash::Sha3_224 | Hash::Md5 => None,
        Hash::Sha3_256 => Some(&SHA3_256),
        Hash::Sha3_384 => Some(&SHA3_384),
        Hash::Sha3_512 => Some(&SHA3_512),
    }
}

impl Digest for Sha {
    fn start(&self, hash: Hash) -> Box<dyn Hasher> {
        match algorithm(hash) {
            Some(algorithm) => Box::new(Running(Context::new(algorithm))),
            None => RUST.digest.start(hash),
        }
    }

    fn hash(&self, hash: Hash, input: &[u8], out: &mut [u8; MAX_DIGEST]) -> usize {
        match algorithm(hash) {
            Some(algorithm) => write(&digest::digest(algorithm, input), out),
            None => RUST.digest.hash(hash, input, out),
        }
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
