//! Curves and points as the standard and its clients write them (sections 6.3.3, 6.3.11 and 6.3.12).

use crate::rv::{Result, fail};
use canis_proto::{Family, KeyType};
use pkcs11_sys::*;

/// The DER tags of CKA_EC_POINT and of curves' names.
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const PRINTABLE_STRING: u8 = 0x13;
/// The DER length of a point of 128 to 255 bytes, P-521's, takes this byte and one more.
const LONG_LENGTH: u8 = 0x81;

/// How CKA_EC_POINT of Ed25519 and X25519 keys is given out. On the other curves it is always a DER OCTET STRING
/// (section 6.3.3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum PointEncoding {
    /// A DER OCTET STRING, as version 3.0 said and OpenSC and libp11 expect.
    #[default]
    Der,
    /// The bare bytes, as version 3.1 says.
    Raw,
}

struct Curve {
    kind: KeyType,
    /// The content of the OBJECT IDENTIFIER that CKA_EC_PARAMS shows.
    oid: &'static [u8],
    /// Another one in use, from before the curve had its own.
    older: &'static [u8],
    /// Names for the PrintableString; the first is the standard's.
    names: &'static [&'static str],
}

const CURVES: &[Curve] = &[
    Curve {
        kind: KeyType::EcdsaP256,
        oid: &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07],
        older: &[],
        names: &["secp256r1", "prime256v1", "P-256"],
    },
    Curve {
        kind: KeyType::EcdsaP384,
        oid: &[0x2b, 0x81, 0x04, 0x00, 0x22],
        older: &[],
        names: &["secp384r1", "P-384"],
    },
    Curve {
        kind: KeyType::EcdsaP521,
        oid: &[0x2b, 0x81, 0x04, 0x00, 0x23],
        older: &[],
        names: &["secp521r1", "P-521"],
    },
    Curve {
        kind: KeyType::EcdsaSecp256k1,
        oid: &[0x2b, 0x81, 0x04, 0x00, 0x0a],
        older: &[],
        names: &["secp256k1"],
    },
    Curve {
        kind: KeyType::Ed25519,
        oid: &[0x2b, 0x65, 0x70],
        // GnuPG's arc, 1.3.6.1.4.1.11591.15.1.
        older: &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xda, 0x47, 0x0f, 0x01],
        names: &["edwards25519", "Ed25519"],
    },
    Curve {
        kind: KeyType::X25519,
        oid: &[0x2b, 0x65, 0x6e],
        // Cryptlib's arc, 1.3.6.1.4.1.3029.1.5.1.
        older: &[0x2b, 0x06, 0x01, 0x04, 0x01, 0x97, 0x55, 0x01, 0x05, 0x01],
        names: &["curve25519", "X25519"],
    },
];

/// The curve that CKA_EC_PARAMS names, by an OBJECT IDENTIFIER or a PrintableString.
///
/// # Errors
/// CKR_CURVE_NOT_SUPPORTED for another curve, CKR_DOMAIN_PARAMS_INVALID for bytes that name none.
pub(crate) fn named(params: &[u8]) -> Result<KeyType> {
    let (tag, name) = match params {
        [tag @ (OBJECT_IDENTIFIER | PRINTABLE_STRING), len, name @ ..]
            if usize::from(*len) == name.len() && !name.is_empty() =>
        {
            (*tag, name)
        }
        _ => return fail(CKR_DOMAIN_PARAMS_INVALID),
    };
    let is = |curve: &&Curve| match tag {
        OBJECT_IDENTIFIER => name == curve.oid || name == curve.older,
        _ => curve.names.iter().any(|known| known.as_bytes() == name),
    };
    CURVES.iter().find(is).map(|curve| curve.kind).ok_or_else(|| CKR_CURVE_NOT_SUPPORTED.into())
}

/// CKA_EC_PARAMS of a key on a curve: its OBJECT IDENTIFIER; `None` for other keys.
pub(crate) fn params(kind: KeyType) -> Option<Vec<u8>> {
    let curve = CURVES.iter().find(|curve| curve.kind == kind)?;
    Some([&[OBJECT_IDENTIFIER, curve.oid.len() as u8], curve.oid].concat())
}

/// The length of a point on a curve, in bytes; uncompressed where there is a choice.
pub(crate) const fn point_len(kind: KeyType) -> usize {
    match kind.family() {
        Family::Edwards | Family::Montgomery => 32,
        _ => 1 + 2 * kind.bytes(),
    }
}

/// The point in CKA_EC_POINT, which comes as a DER OCTET STRING, as a BIT STRING of whole bytes, or bare; `len` tells
/// them apart.
pub(crate) fn point(value: &[u8], len: usize) -> Result<&[u8]> {
    let point = match value {
        _ if value.len() == len => Some(value),
        [OCTET_STRING, rest @ ..] => content(rest, len),
        [BIT_STRING, rest @ ..] => content(rest, len + 1).and_then(|bits| bits.strip_prefix(&[0])),
        _ => None,
    };
    point.ok_or_else(|| CKR_ATTRIBUTE_VALUE_INVALID.into())
}

/// What stands behind a DER length that must be `len`.
fn content(rest: &[u8], len: usize) -> Option<&[u8]> {
    let at = rest.len().checked_sub(len)?;
    match rest.split_at(at) {
        ([short], content) if usize::from(*short) == len && len < 128 => Some(content),
        ([LONG_LENGTH, long], content) if usize::from(*long) == len && len >= 128 => Some(content),
        _ => None,
    }
}

/// A point of at most 255 bytes as a DER OCTET STRING.
pub(crate) fn octet_string(point: &[u8]) -> Vec<u8> {
    let mut value = vec![OCTET_STRING];
    if point.len() >= 128 {
        value.push(LONG_LENGTH);
    }
    value.push(point.len() as u8);
    value.extend_from_slice(point);
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_have_their_names_and_others_are_told_from_nonsense() {
        for curve in CURVES {
            assert_eq!(named(&params(curve.kind).unwrap()).unwrap(), curve.kind);
            for name in curve.names {
                let printable = [&[PRINTABLE_STRING, name.len() as u8], name.as_bytes()].concat();
                assert_eq!(named(&printable).unwrap(), curve.kind, "{name}");
            }
            let older = [&[OBJECT_IDENTIFIER, curve.older.len() as u8], curve.older].concat();
            assert_eq!(named(&older).is_ok(), !curve.older.is_empty());
        }
        let secp224r1 = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x21];
        assert_eq!(named(&secp224r1).unwrap_err().rv, CKR_CURVE_NOT_SUPPORTED);
        for nonsense in [&secp224r1[..6], b"", b"\x06\x00", b"\x13\x00", b"\x05\x00", b"\x06"] {
            assert_eq!(named(nonsense).unwrap_err().rv, CKR_DOMAIN_PARAMS_INVALID);
        }
        assert!(params(KeyType::Aes128).is_none());
    }

    #[test]
    fn points_come_bare_or_wrapped() {
        let bare = [7; 32];
        assert_eq!(point(&bare, 32).unwrap(), bare);
        assert_eq!(point(&octet_string(&bare), 32).unwrap(), bare);
        assert_eq!(point(&[&[3, 33, 0][..], &bare].concat(), 32).unwrap(), bare);
        let long = [7; 133];
        assert_eq!(octet_string(&long)[..3], [0x04, 0x81, 133]);
        assert_eq!(point(&octet_string(&long), 133).unwrap(), long);
        for wrong in [
            bare[1..].to_vec(),
            octet_string(&bare[1..]),
            [&[3, 33, 1][..], &bare].concat(),
            [&[4, 33][..], &bare].concat(),
            [&[5, 32][..], &bare].concat(),
            [&octet_string(&bare)[..], &[0]].concat(),
            Vec::new(),
        ] {
            assert!(point(&wrong, 32).is_err(), "{wrong:?}");
        }
    }
}
