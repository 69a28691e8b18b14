//! DigestInfo (RFC 8017, section 9.2, note 1): what RSASSA-PKCS1-v1_5 signs instead of a bare digest.
//!
//! There is exactly one DER form for each hash, so reading is comparing with constants: no parser that could be
//! lax, which is what Bleichenbacher's signature forgery of 2006 lived on.

use super::{Hash, MAX_DIGEST};
use canis_proto::{Error, Result};

const MD5: [u8; 18] = [
    0x30, 0x20, 0x30, 0x0c, 0x06, 0x08, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x02, 0x05, 0x05, 0x00, 0x04,
    0x10,
];
const SHA1: [u8; 15] =
    [0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a, 0x05, 0x00, 0x04, 0x14];
const SHA224: [u8; 19] = nist(0x2d, 0x04, 0x1c);
const SHA256: [u8; 19] = nist(0x31, 0x01, 0x20);
const SHA384: [u8; 19] = nist(0x41, 0x02, 0x30);
const SHA512: [u8; 19] = nist(0x51, 0x03, 0x40);
const SHA3_224: [u8; 19] = nist(0x2d, 0x07, 0x1c);
const SHA3_256: [u8; 19] = nist(0x31, 0x08, 0x20);
const SHA3_384: [u8; 19] = nist(0x41, 0x09, 0x30);
const SHA3_512: [u8; 19] = nist(0x51, 0x0a, 0x40);

/// The prefixes of SHA-2 and SHA-3 (RFC 9688 for the latter) differ in the outer length, the last arc of the OID and
/// the digest's length.
const fn nist(outer: u8, arc: u8, digest: u8) -> [u8; 19] {
    [
        0x30, outer, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, arc, 0x05, 0x00,
        0x04, digest,
    ]
}

const fn prefix(hash: Hash) -> &'static [u8] {
    match hash {
        Hash::Md5 => &MD5,
        Hash::Sha1 => &SHA1,
        Hash::Sha224 => &SHA224,
        Hash::Sha256 => &SHA256,
        Hash::Sha384 => &SHA384,
        Hash::Sha512 => &SHA512,
        Hash::Sha3_224 => &SHA3_224,
        Hash::Sha3_256 => &SHA3_256,
        Hash::Sha3_384 => &SHA3_384,
        Hash::Sha3_512 => &SHA3_512,
    }
}

/// The OBJECT IDENTIFIER of a hash in DER, which stands in its DigestInfo.
#[must_use]
pub const fn object_identifier(hash: Hash) -> &'static [u8] {
    // SEQUENCE, SEQUENCE, the identifier, NULL, OCTET STRING.
    let (_, rest) = prefix(hash).split_at(4);
    rest.split_at(rest.len() - 4).0
}

/// A DigestInfo, without the heap.
#[derive(Clone, Copy, Debug)]
pub struct DigestInfo {
    bytes: [u8; SHA512.len() + MAX_DIGEST],
    len: usize,
}

impl DigestInfo {
    /// The DER bytes.
    #[must_use]
    pub fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

/// The DigestInfo of a digest made by `hash`.
///
/// # Errors
/// `invalid_argument` if `digest` is not `hash.len()` bytes long.
pub fn encode(hash: Hash, digest: &[u8]) -> Result<DigestInfo> {
    if digest.len() != hash.len() {
        return Err(Error::invalid("the digest is not as long as its hash makes it"));
    }
    let prefix = prefix(hash);
    let len = prefix.len() + digest.len();
    let mut bytes = [0; SHA512.len() + MAX_DIGEST];
    bytes[..prefix.len()].copy_from_slice(prefix);
    bytes[prefix.len()..len].copy_from_slice(digest);
    Ok(DigestInfo { bytes, len })
}

/// The hash and digest of a DigestInfo in its one DER form; `None` for anything else.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<(Hash, &[u8])> {
    Hash::ALL.into_iter().find_map(|hash| {
        let digest = bytes.strip_prefix(prefix(hash))?;
        (digest.len() == hash.len()).then_some((hash, digest))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for hash in Hash::ALL {
            let digest = vec![0xa5; hash.len()];
            let info = encode(hash, &digest).unwrap();
            assert_eq!(parse(info.as_slice()), Some((hash, digest.as_slice())));
            assert_eq!(
                usize::from(info.as_slice()[1]) + 2,
                info.as_slice().len(),
                "the outer length is right"
            );
        }
    }

    #[test]
    fn refuses_everything_else() {
        assert!(encode(Hash::Sha256, &[0; 20]).is_err());
        let info = encode(Hash::Sha256, &[7; 32]).unwrap();
        let good = info.as_slice();
        for cut in 0..good.len() {
            assert_eq!(parse(&good[..cut]), None, "cut at {cut}");
        }
        for flip in 0..SHA256.len() {
            let mut bad = good.to_vec();
            bad[flip] ^= 1;
            assert_eq!(parse(&bad), None, "flipped in byte {flip}");
        }
        let mut long = good.to_vec();
        long.push(0);
        assert_eq!(parse(&long), None, "trailing byte");
        // Without the NULL parameters: some signers made it, no strict verifier takes it.
        let without_null = [&[0x30, 0x2f, 0x30, 0x0b], &good[4..15], &good[17..]].concat();
        assert_eq!(parse(&without_null), None);
    }
}
