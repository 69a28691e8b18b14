//! Which key may wrap which: one rule for every door. ADR 0007 says why it is this one.

use canis_proto::{Error, ErrorCode, Family, KeyType, Result};

/// What a key pair that wraps has to give, whatever it wraps: that of RSA with 3072 bits (NIST SP 800-57 part 1, table 2). A
/// hybrid key gives 192.
const ENOUGH_OF_PAIRS: usize = 128;

/// Lets a key, of a type and a length in bytes, be wrapped by one that is at least as strong. Of a key pair, by which keys
/// are brought from place to place, 128 bits of security are enough for all. `None` is a key that may be read in plain.
///
/// # Errors
/// `wrapping_key_too_weak` with what is missing; `invalid_key_type` for a wrapper that wraps nothing.
pub(super) fn check(wrapper: KeyType, leaving: Option<(KeyType, usize)>) -> Result<()> {
    let needed = leaving.map_or(0, |(kind, len)| kind.strength(len));
    let enough = match wrapper.family() {
        Family::Aes => needed,
        Family::Rsa | Family::Hybrid => needed.min(ENOUGH_OF_PAIRS),
        _ => {
            let message = format!("a key of type {wrapper} wraps nothing; take an AES, RSA or hybrid key");
            return Err(Error::new(ErrorCode::InvalidKeyType, message));
        }
    };
    compare(wrapper.strength(wrapper.bytes()), enough)
}

/// The same for the AES key of so many bits that stands between an RSA key and what is wrapped; it costs nothing to have
/// it strong.
///
/// # Errors
/// `wrapping_key_too_weak`.
pub(super) fn check_inner(bits: usize, leaving: Option<(KeyType, usize)>) -> Result<()> {
    compare(bits, leaving.map_or(0, |(kind, len)| kind.strength(len)))
}

fn compare(given: usize, needed: usize) -> Result<()> {
    if given >= needed {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::WrappingKeyTooWeak,
        format!(
            "the wrapping key gives {given} bits of security, this one needs {needed}; take an AES key as strong, RSA \
             of 3072 bits or more, or a hybrid key"
        ),
    ))
}
