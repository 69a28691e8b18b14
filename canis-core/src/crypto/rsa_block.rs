//! Blocks of raw RSA (CKM_RSA_X_509): numbers below the modulus, written as long as it. Alike for both providers.

use canis_proto::{Error, Result};
use zeroize::Zeroizing;

/// `input` with as many zeros before it as the modulus of `len` bytes has room for.
///
/// # Errors
/// `invalid_argument` if it is longer.
pub(super) fn extended(input: &[u8], len: usize) -> Result<Zeroizing<Vec<u8>>> {
    let zeros = len.checked_sub(input.len()).ok_or_else(not_below)?;
    let mut block = Zeroizing::new(vec![0; len]);
    block[zeros..].copy_from_slice(input);
    Ok(block)
}

/// Whether the private operation takes `block`: as long as the modulus, and neither 0, 1 nor modulus − 1, whose powers
/// everybody knows, nor above (NIST SP 800-56B, section 7.1.2.1). AWS-LC checks the same by itself.
pub(super) fn in_range(block: &[u8], modulus: &[u8]) -> bool {
    let (Some((low, front)), Some((_, modulus_front))) = (block.split_last(), modulus.split_last()) else {
        return false;
    };
    // The modulus is odd, so that one less ends in another bit.
    let highest = modulus.last().map(|odd| odd & 0xfe);
    block.len() == modulus.len()
        && (*low > 1 || front.iter().any(|&byte| byte != 0))
        && (front < modulus_front || front == modulus_front && Some(*low) < highest)
}

/// Whether `block` is `input` with zeros before it.
pub(super) fn is(block: &[u8], input: &[u8]) -> bool {
    block.len().checked_sub(input.len()).is_some_and(|zeros| {
        let (front, back) = block.split_at(zeros);
        front.iter().all(|&byte| byte == 0) && back == input
    })
}

/// The refusal of a number that is too large.
pub(super) fn not_below() -> Error {
    Error::invalid("the input is not a number below the modulus")
}
