//! MLKEM768-X25519 (draft-irtf-cfrg-concrete-hybrid-kems; X-Wing, draft-connolly-cfrg-xwing-kem): a secret shared by
//! ML-KEM-768 and X25519 together. What both providers say of it alike.
//!
//! Why this is safe here: the secret is a hash of both secrets, of the X25519 halves and of a label, so that whoever breaks one of
//! the two still lacks the other. What was encapsulated by ML-KEM needs no place in the hash: nobody finds a second ciphertext
//! with the same secret.

use super::montgomery;
use super::post_quantum::{self, sizes_of};
use super::refusal::bad_public_key;
use crate::secret::SecretBytes;
use canis_proto::{Error, KeyType, Result};

/// The length of a private key and of a shared secret in bytes.
pub(super) const LEN: usize = 32;

/// The length of X25519's half at the end of a public key and of a ciphertext.
pub(super) const POINT: usize = 32;

/// The bytes of a public key: ML-KEM's half, then X25519's, which is not of small order. No seed leads to such a half, and with it
/// ML-KEM would stand alone. The drafts leave this check to whoever reads the key.
pub(super) fn public_bytes(kind: KeyType, spki: &[u8]) -> Result<Vec<u8>> {
    let bytes = post_quantum::public_bytes(kind, spki)?;
    match bytes.split_last_chunk::<POINT>() {
        Some((_, point)) if !montgomery::is_of_small_order(*point) => Ok(bytes),
        _ => Err(bad_public_key("the X25519 half of it is of small order")),
    }
}

/// The private key: the seed, as it came.
pub(super) fn seed(kind: KeyType, inner: &[u8]) -> Result<SecretBytes> {
    let given = post_quantum::decode(kind, inner)?;
    let seed = given.seed.ok_or_else(|| Error::internal("a hybrid key without its seed"))?;
    Ok(SecretBytes::copied_from(&seed))
}

/// The two halves of a ciphertext: ML-KEM's and X25519's.
///
/// # Errors
/// `invalid_argument` for another length: every other one leads to a secret.
pub(super) fn halves(kind: KeyType, ciphertext: &[u8]) -> Result<(&[u8], &[u8; POINT])> {
    let expected = sizes_of(kind)?.ciphertext;
    match ciphertext.split_last_chunk::<POINT>() {
        Some(halves) if ciphertext.len() == expected => Ok(halves),
        _ => Err(Error::invalid(format!(
            "a ciphertext for a key of type {kind} has {expected} bytes, not {}",
            ciphertext.len()
        ))),
    }
}
