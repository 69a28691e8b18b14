//! The hash functions (FIPS 180-4, FIPS 202; RFC 1321 for old clients of PKCS#11), and the part of the seam that computes them.

/// The hash functions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hash {
    /// SHA-1 (FIPS 180-4); legacy digests, MACs and OAEP/MGF1 only, never chosen by CANIS.
    Sha1,
    /// SHA-224.
    Sha224,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
    /// SHA3-224 (FIPS 202).
    Sha3_224,
    /// SHA3-256.
    Sha3_256,
    /// SHA3-384.
    Sha3_384,
    /// SHA3-512.
    Sha3_512,
    /// MD5 (RFC 1321); for old clients of PKCS#11 by the policy `legacy`, for nothing else.
    Md5,
}

impl Hash {
    /// Every hash function.
    pub const ALL: [Hash; 10] = [
        Hash::Sha1,
        Hash::Sha224,
        Hash::Sha256,
        Hash::Sha384,
        Hash::Sha512,
        Hash::Sha3_224,
        Hash::Sha3_256,
        Hash::Sha3_384,
        Hash::Sha3_512,
        Hash::Md5,
    ];

    /// The digest's length in bytes.
    #[must_use]
    #[allow(clippy::len_without_is_empty)] // no digest is empty
    pub const fn len(self) -> usize {
        match self {
            Hash::Md5 => 16,
            Hash::Sha1 => 20,
            Hash::Sha224 | Hash::Sha3_224 => 28,
            Hash::Sha256 | Hash::Sha3_256 => 32,
            Hash::Sha384 | Hash::Sha3_384 => 48,
            Hash::Sha512 | Hash::Sha3_512 => 64,
        }
    }
}

/// The longest digest, in bytes.
pub const MAX_DIGEST: usize = 64;

/// Hash functions, in one go or in parts.
pub trait Digest: Send + Sync {
    /// A fresh context.
    fn start(&self, hash: Hash) -> Box<dyn Hasher>;

    /// Hashes `input` into the first `hash.len()` bytes of `out` and returns that length.
    fn hash(&self, hash: Hash, input: &[u8], out: &mut [u8; MAX_DIGEST]) -> usize {
        let mut hasher = self.start(hash);
        hasher.update(input);
        hasher.finish(out)
    }
}

/// A hash being computed.
pub trait Hasher: Send {
    /// Takes more input.
    fn update(&mut self, input: &[u8]);
    /// Writes the digest into the start of `out` and returns its length. The hasher must not be used afterwards.
    fn finish(&mut self, out: &mut [u8; MAX_DIGEST]) -> usize;
    /// A copy with the same input so far.
    fn fork(&self) -> Box<dyn Hasher>;
}
