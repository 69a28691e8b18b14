//! The refusals that both providers word alike, so that a caller cannot tell which one answered.

use canis_proto::{Error, ErrorCode, Result};

/// A key of this family cannot do this.
pub(super) fn unsupported(what: &str) -> Error {
    Error::new(ErrorCode::OperationNotSupported, what)
}

/// A signature scheme of another family than the key's.
pub(super) fn wrong_scheme(family: &str) -> Error {
    unsupported(&format!("this signature scheme is not for {family} keys"))
}

/// Encryption with a key pair that is not RSA.
pub(super) fn encrypts_with_rsa_only() -> Error {
    unsupported("of all key pairs only RSA ones encrypt and decrypt")
}

/// Encapsulation with a key of another family.
pub(super) fn shares_no_secrets() -> Error {
    unsupported("only ML-KEM keys and hybrid ones encapsulate and decapsulate")
}

/// One answer for every wrong ciphertext, tag, label or key.
pub(super) fn decryption_failed() -> Error {
    Error::new(ErrorCode::DecryptionFailed, "the ciphertext, its context or the key does not fit")
}

/// A public key of the other side that leads to nothing secret.
pub(super) fn no_agreement() -> Error {
    Error::invalid("the other side's public key is no point of this curve, or of small order")
}

/// Points come in SEC 1's uncompressed form only: one form, and nothing to compute before it is checked.
pub(super) fn uncompressed(field: usize, point: &[u8]) -> Result<()> {
    if point.len() == 1 + 2 * field && point.first() == Some(&4) { Ok(()) } else { Err(no_agreement()) }
}

/// A private key that is not what it says it is.
pub(crate) fn bad_private_key(why: &str) -> Error {
    Error::invalid(format!("the private key is refused: {why}"))
}

/// A public key that is not what it says it is.
pub(crate) fn bad_public_key(why: &str) -> Error {
    Error::invalid(format!("the public key is refused: {why}"))
}

/// The first `len` bytes of the caller's buffer.
pub(super) fn room(out: &mut [u8], len: usize) -> Result<&mut [u8]> {
    out.get_mut(..len).ok_or_else(|| Error::invalid(format!("the output needs room for {len} bytes")))
}

/// ECDSA signs a digest; an empty one would be the integer zero, under which a signature proves nothing.
pub(super) fn no_empty_digest(input: &[u8]) -> Result<()> {
    if input.is_empty() { Err(Error::invalid("ECDSA needs a digest of at least one byte")) } else { Ok(()) }
}

/// PSS signs a digest made by the hash it names.
pub(super) fn digest_fits(hash: super::Hash, input: &[u8]) -> Result<()> {
    if input.len() == hash.len() {
        return Ok(());
    }
    Err(Error::invalid(format!("the digest has {} bytes, the named hash makes {}", input.len(), hash.len())))
}
