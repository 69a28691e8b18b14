//! From BER to DER (X.690, sections 8 and 10): definite lengths, octets in one piece. NSS and Java libraries write
//! PKCS#12 files in lengths that nobody knows beforehand; our readers take DER only, where all has one form.
//!
//! Octet strings in pieces are joined where their tag says that they are octets. Behind an implicit tag it does not say so:
//! whoever knows the type joins them ([`joined`]).

use der::{Decode, Reader, SliceReader, Tag};
use zeroize::Zeroizing;

/// How deep elements may stand inside one another; PKCS#12 needs eight.
const MAX_DEPTH: usize = 16;
/// OCTET STRING in pieces: constructed (X.690, section 8.7.3).
const OCTETS_IN_PIECES: u8 = 0x24;
const OCTETS: u8 = 0x04;
const CONSTRUCTED: u8 = 0x20;

/// The one element in `bytes`, as DER; `None` for what is none, for more than one, and for tags above 30.
pub(super) fn to_der(bytes: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut rest = bytes;
    let mut out = room(bytes);
    element(&mut rest, &mut out, MAX_DEPTH)?;
    rest.is_empty().then_some(out)
}

/// The octets of an OCTET STRING behind an implicit tag: as they are, or the pieces in a row. `value` is what stands
/// behind the header of an element that [`to_der`] wrote.
pub(super) fn joined(constructed: bool, value: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    if !constructed {
        return Some(Zeroizing::new(value.to_vec()));
    }
    let mut out = room(value);
    let mut pieces = SliceReader::new(value).ok()?;
    while !pieces.is_finished() {
        let header = der::Header::decode(&mut pieces).ok()?;
        header.tag().assert_eq(Tag::OctetString).ok()?;
        out.extend_from_slice(pieces.read_slice(header.length()).ok()?);
    }
    Some(out)
}

/// Room at once, so that growing leaves no unwiped copies behind; a definite length may be longer than an end mark.
fn room(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(Vec::with_capacity(2 * bytes.len() + 16))
}

fn element(rest: &mut &[u8], out: &mut Vec<u8>, depth: usize) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let (&tag, after) = rest.split_first()?;
    // Tags of several bytes stand nowhere in PKCS#12; 0 is the end mark, no element.
    if tag & 0x1f == 0x1f || tag == 0 {
        return None;
    }
    *rest = after;
    let inside = match length(rest)? {
        Some(len) => {
            let (inside, after) = rest.split_at_checked(len)?;
            *rest = after;
            if tag & CONSTRUCTED == 0 {
                Zeroizing::new(inside.to_vec())
            } else {
                let mut inner = inside;
                let mut written = room(inside);
                while !inner.is_empty() {
                    element(&mut inner, &mut written, depth)?;
                }
                written
            }
        }
        None if tag & CONSTRUCTED == 0 => return None,
        None => {
            let mut written = room(&[]);
            while !rest.starts_with(&[0, 0]) {
                element(rest, &mut written, depth)?;
            }
            *rest = &rest[2..];
            written
        }
    };
    if tag == OCTETS_IN_PIECES {
        write(OCTETS, &joined(true, &inside)?, out)
    } else {
        write(tag, &inside, out)
    }
}

/// A length (section 8.1.3): `Some(None)` if an end mark says where it is.
fn length(rest: &mut &[u8]) -> Option<Option<usize>> {
    let (&first, after) = rest.split_first()?;
    *rest = after;
    let count = usize::from(first & 0x7f);
    match (first & 0x80, count) {
        (0, short) => Some(Some(short)),
        (_, 0) => Some(None),
        (_, 1..=4) => {
            let (bytes, after) = rest.split_at_checked(count)?;
            *rest = after;
            Some(Some(bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte))))
        }
        _ => None,
    }
}

fn write(tag: u8, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    out.push(tag);
    let bytes = u32::try_from(value.len()).ok()?.to_be_bytes();
    let shown = &bytes[bytes.iter().take_while(|byte| **byte == 0).count().min(3)..];
    if value.len() >= 0x80 {
        out.push(0x80 | u8::try_from(shown.len()).ok()?);
    }
    out.extend_from_slice(shown);
    out.extend_from_slice(value);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Indefinite lengths around octets in pieces: what NSS writes, in small.
    #[test]
    fn one_form_for_all() {
        let ber = [0x30, 0x80, 2, 1, 3, 0xa0, 0x80, 0x24, 0x80, 4, 1, 7, 4, 0x81, 2, 8, 9, 0, 0, 0, 0, 0, 0];
        assert_eq!(to_der(&ber).unwrap()[..], [0x30, 10, 2, 1, 3, 0xa0, 5, 4, 3, 7, 8, 9]);
        for len in 0..ber.len() {
            assert!(to_der(&ber[..len]).is_none(), "{len} bytes");
        }
        assert!(to_der(&[&ber[..], &[0]].concat()).is_none(), "a byte too many");
        for wrong in
            [&[4, 0x80, 0, 0][..], &[0, 0], &[0x3f, 1, 0], &[0x24, 3, 2, 1, 7], &[4, 0x85, 0, 0, 0, 0, 1, 7]]
        {
            assert!(to_der(wrong).is_none(), "{wrong:?}");
        }
        let deep = [[0x30, 0x80].repeat(17), vec![0; 34]].concat();
        assert!(to_der(&deep).is_none());
        assert!(to_der(&deep[2..66]).is_some());
    }

    #[test]
    fn long_lengths() {
        for (len, header) in [(127, &[4, 127][..]), (128, &[4, 0x81, 128]), (65536, &[4, 0x83, 1, 0, 0])] {
            let ber = [&[4, 0x84], &u32::try_from(len).unwrap().to_be_bytes()[..], &vec![5; len]].concat();
            let der = to_der(&ber).unwrap();
            assert!(der.starts_with(header) && der.len() == header.len() + len);
            assert_eq!(to_der(&der).unwrap(), der, "DER stays as it is");
        }
    }

    proptest! {
        #[test]
        fn total(bytes: Vec<u8>, tags in proptest::collection::vec(0u8..0x40, 0..40)) {
            let _ = to_der(&bytes);
            let nested: Vec<u8> = tags.into_iter().flat_map(|tag| [tag, 0x80]).chain(bytes).collect();
            if let Some(der) = to_der(&nested) {
                prop_assert_eq!(to_der(&der), Some(der.clone()));
            }
        }
    }
}
