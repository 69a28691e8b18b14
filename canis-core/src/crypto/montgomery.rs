//! X25519 (RFC 7748), what is the same for both providers: the forms of keys, and what is refused.

use super::public_parts::{self, PublicParts};
use super::refusal::{bad_public_key, wrong_scheme};
use super::{PublicKey, SignScheme};
use canis_proto::{Error, KeyType, Result};
use curve25519_dalek::montgomery::MontgomeryPoint;

/// The length of a private key, a public key and a shared secret, in bytes.
pub(super) const LEN: usize = 32;

/// The public key in SubjectPublicKeyInfo of `kind`, without small order: with such a point everybody agrees on zero.
pub(super) fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    let PublicParts::Montgomery { point } = public_parts::of_kind(kind, spki)? else {
        return Err(bad_public_key("it is not X25519"));
    };
    if is_of_small_order(point) {
        return Err(bad_public_key("its point is of small order"));
    }
    Ok(Box::new(Public))
}

/// Whether a point leads everybody to zero.
pub(super) fn is_of_small_order(point: [u8; LEN]) -> bool {
    // Any clamped scalar is a multiple of the cofactor, which takes every point of small order to zero.
    MontgomeryPoint(point).mul_clamped([0x5a; LEN]).0 == [0; LEN]
}

/// The other side's public key, as it came.
///
/// # Errors
/// `invalid_argument` unless it has 32 bytes.
pub(super) fn peer(bytes: &[u8]) -> Result<[u8; LEN]> {
    bytes
        .try_into()
        .map_err(|_| Error::invalid(format!("an X25519 public key has 32 bytes, not {}", bytes.len())))
}

/// Nothing but agreement can be done with these keys, and that needs a private one.
struct Public;

impl PublicKey for Public {
    fn verify(&self, _: SignScheme, _: &[u8], _: &[u8]) -> Result<bool> {
        Err(wrong_scheme("X25519"))
    }
}
