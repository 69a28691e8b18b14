//! ML-KEM (FIPS 203): what both providers say of it alike.

use super::post_quantum::sizes_of;
use super::refusal::bad_private_key;
use canis_proto::{Error, KeyType, Result};

/// The length of a shared secret in bytes, for each type of keys (table 3).
pub const SECRET: usize = 32;

/// H(ek) ‖ z: what stands behind the public half in an expanded key (section 7.1, algorithm 16).
const TAIL: usize = 32 + 32;

/// The public half inside an expanded key.
pub(super) fn public_in(kind: KeyType, expanded: &[u8]) -> Result<&[u8]> {
    let sizes = sizes_of(kind)?;
    let tail = sizes.expanded - TAIL;
    let public = expanded.get(tail - sizes.public..tail).filter(|_| expanded.len() == sizes.expanded);
    public.ok_or_else(|| bad_private_key("its expanded key has another length"))
}

/// Refuses a ciphertext of another length than the type's (section 7.3): all others lead to a secret.
pub(super) fn check_length(kind: KeyType, ciphertext: &[u8]) -> Result<()> {
    let (expected, found) = (sizes_of(kind)?.ciphertext, ciphertext.len());
    if expected == found {
        return Ok(());
    }
    Err(Error::invalid(format!("a ciphertext for a key of type {kind} has {expected} bytes, not {found}")))
}

/// An expanded key that is none, as both providers word it.
pub(super) fn torn() -> Error {
    bad_private_key("its expanded key does not belong together")
}
