//! Bech32 (BIP 173) without its limit of length, as age writes its keys.
//!
//! The characters of a private key are compared and counted, never used to index memory.

use std::iter;
use zeroize::Zeroizing;

/// The alphabet: the place of a character is the value of its five bits.
const ALPHABET: &[u8; 32] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/// Characters of the checksum.
const CHECKSUM: usize = 6;

/// Writes `data` behind `prefix`, which is lower case; so is the text.
#[must_use]
pub fn encode(prefix: &str, data: &[u8]) -> Zeroizing<String> {
    let mut values = Zeroizing::new(Vec::with_capacity(data.len() * 8 / 5 + 1));
    let (mut bits, mut count) = (Zeroizing::new(0u32), 0);
    for byte in data {
        *bits = (*bits << 8 | u32::from(*byte)) & 0xfff;
        count += 8;
        while count >= 5 {
            count -= 5;
            values.push((*bits >> count & 31) as u8);
        }
    }
    if count > 0 {
        values.push((*bits << (5 - count) & 31) as u8);
    }
    let zeros = iter::repeat_n(0, CHECKSUM);
    let sum = polymod(expanded(prefix).chain(values.iter().copied()).chain(zeros)) ^ 1;
    let checksum = (0..CHECKSUM).rev().map(|place| (sum >> (5 * place) & 31) as u8);
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + 1 + values.len() + CHECKSUM));
    text.push_str(prefix);
    text.push('1');
    text.extend(values.iter().copied().chain(checksum).map(character));
    text
}

/// Reads a text: its prefix in lower case, and the data. Nothing but what [`encode`] writes, in lower or in upper case.
#[must_use]
pub fn decode(text: &str) -> Option<(String, Zeroizing<Vec<u8>>)> {
    let (has_lower, has_upper) =
        (text.bytes().any(|c| c.is_ascii_lowercase()), text.bytes().any(|c| c.is_ascii_uppercase()));
    if has_lower && has_upper || !text.bytes().all(|c| c.is_ascii_graphic()) {
        return None;
    }
    let (prefix, characters) = text.rsplit_once('1')?;
    let prefix = prefix.to_ascii_lowercase();
    let data = characters.len().checked_sub(CHECKSUM)?;
    if prefix.is_empty() {
        return None;
    }
    let mut values = Zeroizing::new(Vec::with_capacity(characters.len()));
    for character in characters.bytes() {
        let at = ALPHABET.iter().position(|known| *known == character.to_ascii_lowercase())?;
        values.push(u8::try_from(at).ok()?);
    }
    if polymod(expanded(&prefix).chain(values.iter().copied())) != 1 {
        return None;
    }
    bytes(&values[..data]).map(|bytes| (prefix, bytes))
}

/// Whole bytes of five-bit values. What is left over is padding: fewer than five bits, all zero.
fn bytes(values: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(values.len() * 5 / 8));
    let (mut bits, mut count) = (Zeroizing::new(0u32), 0);
    for value in values {
        *bits = (*bits << 5 | u32::from(*value)) & 0xfff;
        count += 5;
        if count >= 8 {
            count -= 8;
            bytes.push((*bits >> count & 0xff) as u8);
        }
    }
    (count < 5 && *bits & ((1 << count) - 1) == 0).then_some(bytes)
}

fn character(value: u8) -> char {
    ALPHABET.iter().zip(0u8..).find(|(_, place)| *place == value).map_or('q', |(known, _)| char::from(*known))
}

fn expanded(prefix: &str) -> impl Iterator<Item = u8> + '_ {
    let prefix = prefix.bytes();
    prefix.clone().map(|c| c >> 5).chain([0]).chain(prefix.map(|c| c & 31))
}

/// The checksum of BIP 173: a BCH code over the five-bit values.
fn polymod(values: impl Iterator<Item = u8>) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    values.fold(1, |checksum, value| {
        let top = checksum >> 25;
        let shifted = (checksum & 0x01ff_ffff) << 5 ^ u32::from(value);
        (0..5).filter(|bit| top >> bit & 1 == 1).fold(shifted, |sum, bit| sum ^ GENERATOR[bit])
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The valid strings of BIP 173 that hold whole bytes, and age's own examples.
    #[test]
    fn known_texts() {
        for text in [
            "A12UEL5L",
            "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
            "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj",
            "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX",
        ] {
            let (prefix, data) = decode(text).unwrap();
            assert_eq!(*encode(&prefix, &data), text.to_lowercase());
        }
    }

    /// Every wrong character is noticed, and so is a text that was cut, grown or written in both cases.
    #[test]
    fn damaged_texts() {
        let text = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
        for at in 4..text.len() {
            let other = if text.as_bytes()[at] == b'q' { "p" } else { "q" };
            assert!(decode(&format!("{}{other}{}", &text[..at], &text[at + 1..])).is_none());
            assert!(decode(&text[..at]).is_none());
        }
        let mixed = text.replace('z', "Z");
        for broken in [&format!("{text}q"), &mixed, "1qqqqqq", "", "1", "a1é"] {
            assert!(decode(broken).is_none(), "{broken}");
        }
    }

    proptest! {
        #[test]
        fn there_and_back(prefix in "[a-z-]{1,20}", data: Vec<u8>) {
            let text = encode(&prefix, &data);
            let read = |text: &str| decode(text).map(|(prefix, data)| (prefix, data.to_vec()));
            prop_assert_eq!(read(&text), Some((prefix.clone(), data.clone())));
            prop_assert_eq!(read(&text.to_uppercase()), Some((prefix, data)));
        }

        #[test]
        fn total(text in "\\PC{0,80}", data in "age1[qpzry9x8gf2tvdw0s3jn54khce6mua7l]{0,80}") {
            let _ = decode(&text);
            let _ = decode(&data);
        }
    }
}
