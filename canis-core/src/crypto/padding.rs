//! PKCS#7 padding of one block (RFC 5652, section 6.3), taken off without saying by time or error what was wrong with
//! it: the padding oracle of Vaudenay (2002) lives on either.

use super::BLOCK;
use subtle::{ConditionallySelectable, ConstantTimeEq, ConstantTimeLess};

/// Fills a block up whose first `filled` bytes, at most 15, are message.
pub(super) fn pad(block: &mut [u8; BLOCK], filled: usize) {
    let fill = BLOCK - filled;
    block[filled..].fill(fill as u8); // 1 to 16
}

/// How many bytes of the block are message; `None` if it is not padded. Which of the two it is shows in the answer
/// alone: every byte is looked at in every case.
pub(super) fn unpad(block: &[u8; BLOCK]) -> Option<usize> {
    let fill = block[BLOCK - 1];
    let mut good = fill.ct_ne(&0) & fill.ct_lt(&(BLOCK as u8 + 1));
    for (from_end, byte) in (0u8..).zip(block.iter().rev()) {
        let is_padding = from_end.ct_lt(&fill);
        good &= !is_padding | byte.ct_eq(&fill);
    }
    let len = u8::conditional_select(&0, &(BLOCK as u8).wrapping_sub(fill), good);
    bool::from(good).then_some(usize::from(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length() {
        for filled in 0..BLOCK {
            let mut block = [0xee; BLOCK];
            pad(&mut block, filled);
            assert_eq!(unpad(&block), Some(filled));
            for at in filled..BLOCK {
                let mut bad = block;
                bad[at] ^= 0x40;
                assert_eq!(unpad(&bad), None, "{filled} bytes, flipped in {at}");
            }
        }
        assert_eq!(unpad(&[0; BLOCK]), None);
        assert_eq!(unpad(&[17; BLOCK]), None);
        assert_eq!(unpad(&[255; BLOCK]), None);
    }
}
