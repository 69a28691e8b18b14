//! The two written forms of an ECDSA signature: r ‖ s as PKCS#11 and JOSE have it, and DER's ECDSA-Sig-Value
//! (RFC 3279, section 2.2.3) as X.509, TLS and OpenSSL have it.

use canis_proto::{Error, Result};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
/// A length of one byte follows that is 128 or more (X.690, section 8.1.3.5).
const LONG_FORM: u8 = 0x81;

/// The longest fields taken: P-521's.
const MAX_FIELD: usize = 66;

/// DER from r ‖ s, two fields of 32 (P-256, secp256k1), 48 (P-384) or 66 (P-521) bytes.
///
/// # Errors
/// `invalid_argument` for any other length.
pub fn to_der(raw: &[u8]) -> Result<Vec<u8>> {
    let field = match raw.len() {
        64 | 96 | 132 => raw.len() / 2,
        _ => return Err(Error::invalid("an ECDSA signature r || s has 64, 96 or 132 bytes")),
    };
    let (r, s) = raw.split_at(field);
    let mut body = Vec::with_capacity(2 * (MAX_FIELD + 3));
    push_integer(&mut body, r);
    push_integer(&mut body, s);
    let mut der = Vec::with_capacity(body.len() + 3);
    // At most 2·(66+1+2) = 138 bytes: one byte holds the length, which from 128 on DER announces by another.
    der.push(SEQUENCE);
    if body.len() >= 0x80 {
        der.push(LONG_FORM);
    }
    der.push(body.len() as u8);
    der.extend_from_slice(&body);
    Ok(der)
}

/// Appends a field as the shortest non-negative INTEGER.
fn push_integer(out: &mut Vec<u8>, field: &[u8]) {
    let start = field.iter().position(|&b| b != 0).unwrap_or(field.len().saturating_sub(1));
    let digits = &field[start..];
    let sign = digits.first().is_some_and(|b| b & 0x80 != 0);
    out.extend_from_slice(&[INTEGER, digits.len() as u8 + u8::from(sign)]);
    if sign {
        out.push(0);
    }
    out.extend_from_slice(digits);
}

/// r ‖ s, each of `field` bytes, from strict DER; `None` for anything that is not the one DER form of two positive
/// integers that fit.
#[must_use]
pub fn from_der(der: &[u8], field: usize) -> Option<Vec<u8>> {
    let (len, body) = match der {
        [SEQUENCE, LONG_FORM, len @ 0x80..=0xff, body @ ..] | [SEQUENCE, len @ 0..=0x7f, body @ ..] => {
            (len, body)
        }
        _ => return None,
    };
    if usize::from(*len) != body.len() {
        return None;
    }
    let mut raw = vec![0; 2 * field];
    let (r, s) = raw.split_at_mut(field);
    let rest = take_integer(body, r)?;
    let rest = take_integer(rest, s)?;
    rest.is_empty().then_some(raw)
}

/// Reads one minimal, positive INTEGER right-aligned into `field` and returns what follows it.
fn take_integer<'a>(bytes: &'a [u8], field: &mut [u8]) -> Option<&'a [u8]> {
    let [INTEGER, len, rest @ ..] = bytes else { return None };
    if *len >= 0x80 {
        return None;
    }
    let (digits, rest) = rest.split_at_checked(usize::from(*len))?;
    let digits = match digits {
        [0, more @ ..] if more.first().is_some_and(|b| b & 0x80 != 0) => more,
        [0, ..] | [] => return None, // zero, or a zero byte that need not be there
        [high, ..] if high & 0x80 != 0 => return None, // negative
        _ => digits,
    };
    let at = field.len().checked_sub(digits.len())?;
    field[at..].copy_from_slice(digits);
    Some(rest)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // a failing unwrap is a failing test
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn known_forms() {
        let mut raw = [0; 64];
        raw[31] = 0x80;
        raw[63] = 0x01;
        let der = [0x30, 0x07, 0x02, 0x02, 0x00, 0x80, 0x02, 0x01, 0x01];
        assert_eq!(to_der(&raw).unwrap(), der);
        assert_eq!(from_der(&der, 32).unwrap(), raw);
        assert!(to_der(&[1; 63]).is_err() && to_der(&[]).is_err() && to_der(&[1; 128]).is_err());
    }

    #[test]
    fn strict() {
        for bad in [
            &[0x30, 0x06, 0x02, 0x01, 0x00, 0x02, 0x01, 0x01][..], // r = 0
            &[0x30, 0x07, 0x02, 0x02, 0x00, 0x01, 0x02, 0x01, 0x01], // r not minimal
            &[0x30, 0x06, 0x02, 0x01, 0x80, 0x02, 0x01, 0x01],     // r negative
            &[0x30, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01, 0x00], // trailing byte outside
            &[0x30, 0x07, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01, 0x00], // trailing byte inside
            &[0x30, 0x81, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01], // long form of a short length
            &[0x30, 0x80, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01, 0x00, 0x00], // indefinite
            &[0x31, 0x06, 0x02, 0x01, 0x01, 0x02, 0x01, 0x01],     // not a SEQUENCE
            &[0x30, 0x05, 0x02, 0x00, 0x02, 0x01, 0x01],           // empty integer
            &[0x30, 0x03, 0x02, 0x01, 0x01],                       // one integer
            &[],
        ] {
            assert_eq!(from_der(bad, 32), None, "{bad:02x?}");
        }
        let too_long = to_der(&[0x11; 96]).unwrap();
        assert_eq!(from_der(&too_long, 32), None);
        assert!(from_der(&too_long, 48).is_some());
    }

    proptest! {
        #[test]
        fn round_trip(raw in proptest::collection::vec(1u8.., 96), zeros in 0usize..47) {
            let mut raw = raw;
            raw[..zeros].fill(0);
            raw[48..48 + zeros / 2].fill(0);
            prop_assert_eq!(from_der(&to_der(&raw).unwrap(), 48).unwrap(), raw);
        }

        #[test]
        fn long_round_trip(raw in proptest::collection::vec(any::<u8>(), 132), zeros in 0usize..65) {
            let mut raw = raw;
            raw[..zeros].fill(0);
            raw[65] |= 1;
            raw[131] |= 1;
            prop_assert_eq!(from_der(&to_der(&raw).unwrap(), 66).unwrap(), raw);
        }

        #[test]
        fn any_bytes_end_well(bytes in proptest::collection::vec(any::<u8>(), 0..150)) {
            if let Some(raw) = from_der(&bytes, 48) {
                prop_assert_eq!(to_der(&raw).unwrap(), bytes);
            }
        }
    }
}
