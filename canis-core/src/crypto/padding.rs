//! PKCS#7 padding of one block (RFC 5652, section 6.3), taken off without saying by time or error what was wrong with
//! it: the padding oracle of Vaudenay (2002) lives on either.

use subtle::{ConditionallySelectable, ConstantTimeEq, ConstantTimeLess};

/// Fills a block up whose first `filled` bytes, all but one at most, are message.
pub(super) fn pad(block: &mut [u8], filled: usize) {
    let fill = block.len() - filled;
    block[filled..].fill(fill as u8); // 1 to 16
}

/// How many bytes of the block are message; `None` if it is not padded. Which of the two it is shows in the answer
/// alone: every byte is looked at in every case.
pub(crate) fn unpad(block: &[u8]) -> Option<usize> {
    let (fill, size) = (*block.last()?, block.len() as u8);
    let mut good = fill.ct_ne(&0) & fill.ct_lt(&(size + 1));
    for (from_end, byte) in (0u8..).zip(block.iter().rev()) {
        let is_padding = from_end.ct_lt(&fill);
        good &= !is_padding | byte.ct_eq(&fill);
    }
    let len = u8::conditional_select(&0, &size.wrapping_sub(fill), good);
    bool::from(good).then_some(usize::from(len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length() {
        for size in [8, 16] {
            for filled in 0..size {
                let mut block = vec![0xee; size];
                pad(&mut block, filled);
                assert_eq!(unpad(&block), Some(filled));
                for at in filled..size {
                    let mut bad = block.clone();
                    bad[at] ^= 0x40;
                    assert_eq!(unpad(&bad), None, "{filled} of {size} bytes, flipped in {at}");
                }
            }
            for byte in [0, size as u8 + 1, 255] {
                assert_eq!(unpad(&vec![byte; size]), None, "{byte}");
            }
        }
        assert_eq!(unpad(&[]), None);
    }
}
