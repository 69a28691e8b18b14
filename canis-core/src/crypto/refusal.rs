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

/// OAEP with a key that is not RSA.
pub(super) fn encrypts_with_rsa_only() -> Error {
    unsupported("only RSA keys encrypt and decrypt with OAEP")
}

/// One answer for every wrong ciphertext, tag, label or key.
pub(super) fn decryption_failed() -> Error {
    Error::new(ErrorCode::DecryptionFailed, "the ciphertext, its context or the key does not fit")
}

/// A private key that is not what it says it is.
pub(super) fn bad_private_key(why: &str) -> Error {
    Error::invalid(format!("the private key is refused: {why}"))
}

/// A public key that is not what it says it is.
pub(super) fn bad_public_key(why: &str) -> Error {
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
