//! What AES Key Wrap takes (RFC 3394, RFC 5649), checked alike before both providers.

use super::KeyWrap;
use super::refusal::decryption_failed;
use canis_proto::{Error, Result};

/// The longest key wrapped: above any key there is, and below what a C int counts.
const MAX_KEY: usize = 1 << 20;

pub(super) fn check_key(how: KeyWrap, key: &[u8]) -> Result<()> {
    let fits = match how {
        KeyWrap::Kw => key.len() >= 16 && key.len().is_multiple_of(8),
        KeyWrap::Kwp => !key.is_empty(),
    };
    if fits && key.len() <= MAX_KEY {
        return Ok(());
    }
    Err(Error::invalid(match how {
        KeyWrap::Kw => "AES Key Wrap takes 16 bytes or more, a whole number of 8",
        KeyWrap::Kwp => "AES Key Wrap with padding takes one byte or more",
    }))
}

pub(super) fn check_wrapped(how: KeyWrap, wrapped: &[u8]) -> Result<()> {
    let least = match how {
        KeyWrap::Kw => 24,
        KeyWrap::Kwp => 16,
    };
    let fits = (least..=MAX_KEY + 16).contains(&wrapped.len()) && wrapped.len().is_multiple_of(8);
    if fits { Ok(()) } else { Err(decryption_failed()) }
}
