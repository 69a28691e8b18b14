//! SLH-DSA (FIPS 205), what no library is needed for: the octets M' that are signed for a message or its digest.
//!
//! Why they are put together here: the library takes messages as they are, but no digests; so one place binds the context
//! for both. They are there as a whole, because signing reads them twice (section 9.2, algorithm 19, steps 3 and 5): a message
//! that comes in pieces is signed by its digest only.

use super::{Hash, digest_info};
use canis_proto::{Error, Result};

/// The longest context string, in bytes (section 10.2).
pub const MAX_CONTEXT: usize = 255;

/// M' of a message that is signed as it is (section 10.2.1).
///
/// # Errors
/// `invalid_argument` for a context string of more than [`MAX_CONTEXT`] bytes.
pub fn pure(context: &[u8], message: &[u8]) -> Result<Vec<u8>> {
    bound(0, context, &[message])
}

/// M' of a message that `hash` has made `digest` of (section 10.2.2).
///
/// # Errors
/// As above, and for a digest of another length.
pub fn prehashed(context: &[u8], hash: Hash, digest: &[u8]) -> Result<Vec<u8>> {
    if digest.len() != hash.len() {
        return Err(Error::invalid("the digest is not as long as its hash makes it"));
    }
    bound(1, context, &[digest_info::object_identifier(hash), digest])
}

fn bound(domain: u8, context: &[u8], parts: &[&[u8]]) -> Result<Vec<u8>> {
    let len = u8::try_from(context.len()).map_err(|_| {
        Error::invalid(format!("a context string has at most {MAX_CONTEXT} bytes, not {}", context.len()))
    })?;
    let mut bound =
        Vec::with_capacity(2 + context.len() + parts.iter().map(|part| part.len()).sum::<usize>());
    bound.extend_from_slice(&[domain, len]);
    bound.extend_from_slice(context);
    parts.iter().for_each(|part| bound.extend_from_slice(part));
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_proto::ErrorCode;

    /// A message, a context and a digest cannot be taken for one another.
    #[test]
    fn what_is_signed_is_bound() {
        let digest = prehashed(b"", Hash::Sha256, &[7; 32]).unwrap();
        let all = [
            pure(b"", b"message").unwrap(),
            pure(b"m", b"essage").unwrap(),
            pure(b"message", b"").unwrap(),
            pure(b"", &digest[2..]).unwrap(),
            pure(b"", &digest).unwrap(),
            digest,
            prehashed(b"c", Hash::Sha256, &[7; 32]).unwrap(),
            prehashed(b"", Hash::Sha3_256, &[7; 32]).unwrap(),
        ];
        for (at, one) in all.iter().enumerate() {
            assert!(all[at + 1..].iter().all(|other| one != other), "{at}");
        }
        let code = |made: Result<Vec<u8>>| made.map_err(|error| error.code);
        assert!(pure(&[0; MAX_CONTEXT], b"").is_ok());
        assert_eq!(code(pure(&[0; MAX_CONTEXT + 1], b"")), Err(ErrorCode::InvalidArgument));
        assert_eq!(code(prehashed(b"", Hash::Sha512, &[7; 63])), Err(ErrorCode::InvalidArgument));
    }
}
