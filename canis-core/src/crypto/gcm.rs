//! What AES-GCM takes (NIST SP 800-38D, section 5.2.1), checked alike before both providers.

use canis_proto::{Error, Result};

/// The longest message in bytes: 2³⁹ − 256 bits.
const MAX_MESSAGE: u64 = (1 << 36) - 32;

/// Refuses what the standard does not allow; tags of 4 and 8 bytes are its appendix C.
///
/// # Errors
/// `invalid_argument` for an empty IV, a tag that has not 4, 8 or 12 to 16 bytes, or a wrong length.
pub(super) fn check(iv: &[u8], tag: usize, plaintext: usize, ciphertext: usize) -> Result<()> {
    if plaintext != ciphertext {
        return Err(Error::invalid("plaintext and ciphertext differ in length"));
    }
    if iv.is_empty() {
        return Err(Error::invalid("a GCM IV has at least one byte"));
    }
    if !matches!(tag, 4 | 8 | 12..=16) {
        return Err(Error::invalid(format!("a GCM tag has 4, 8 or 12 to 16 bytes, not {tag}")));
    }
    if plaintext as u64 > MAX_MESSAGE {
        return Err(Error::invalid("the plaintext is longer than AES-GCM allows"));
    }
    Ok(())
}
