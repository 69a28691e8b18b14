//! The written forms of keys that the providers take and refuse, alike: RFC 5958, 5915, 8410 and 5280.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{Provider, providers};
use canis_proto::{ErrorCode, KeyType};
use crypto_material::{KEYS, hex, key};
use proptest::prelude::*;

fn refusal_of_private(provider: &Provider, kind: KeyType, pkcs8: &[u8]) -> Option<ErrorCode> {
    provider.keys.private(kind, pkcs8).err().map(|error| error.code)
}

fn refusal_of_public(provider: &Provider, kind: KeyType, spki: &[u8]) -> Option<ErrorCode> {
    provider.keys.public(kind, spki).err().map(|error| error.code)
}

fn tlv(tag: u8, body: &[u8]) -> Vec<u8> {
    let len = match body.len() {
        short @ 0..0x80 => vec![short as u8],
        middle @ 0x80..0x100 => vec![0x81, middle as u8],
        long => vec![0x82, (long >> 8) as u8, long as u8],
    };
    [&[tag][..], &len, body].concat()
}

fn spki(algorithm: &str, parameters: &[u8], key: &[u8]) -> Vec<u8> {
    let algorithm = tlv(0x30, &[tlv(0x06, &hex(algorithm)), parameters.to_vec()].concat());
    tlv(0x30, &[algorithm, tlv(0x03, &[&[0], key].concat())].concat())
}

const RSA: &str = "2a864886f70d010101";
const EC: &str = "2a8648ce3d0201";
const P256: &str = "06082a8648ce3d030107";

fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Vec<u8> {
    let numbers = [tlv(0x02, modulus), tlv(0x02, exponent)].concat();
    spki(RSA, &[0x05, 0], &tlv(0x30, &numbers))
}

/// Ed25519 private keys: version 1 and 2 are read, version 1 is written, halves must fit.
#[test]
fn ed25519_forms() {
    let (v1, spki) = key(KeyType::Ed25519);
    let (seed, point) = (&v1[16..], &spki[12..]);
    assert_eq!(v1, [hex("302e020100300506032b657004220420"), seed.to_vec()].concat());
    let head = hex("300506032b657004220420");
    let v2 = |public: &[u8], attributes: &[u8]| {
        let body = [&hex("020101"), &head, seed, attributes, &tlv(0x81, &[&[0], public].concat())].concat();
        tlv(0x30, &body)
    };
    for provider in providers() {
        let made = provider.keys.generate(KeyType::Ed25519).unwrap();
        assert_eq!(made.expose()[..16], v1[..16], "{}: one form for both", provider.name);
        let spki_of = |pkcs8: &[u8]| {
            provider
                .keys
                .private(KeyType::Ed25519, pkcs8)
                .map(|k| k.public_spki().to_vec())
                .map_err(|e| e.code)
        };
        assert_eq!(spki_of(v1), Ok(spki.to_vec()));
        assert_eq!(spki_of(&v2(point, &[])), Ok(spki.to_vec()));
        assert_eq!(spki_of(&v2(point, &[0xa0, 0])), Ok(spki.to_vec()), "attributes are passed over");
        let mut other = point.to_vec();
        other[3] ^= 1;
        let mut longer = v1.to_vec();
        longer.push(0);
        for bad in [
            v2(&other, &[]),
            v2(&point[1..], &[]),
            longer,
            v1[..47].to_vec(),
            tlv(0x30, &[&v1[2..14], &[0x04, 0x21, 0x04, 0x1f], &seed[1..]].concat()),
            tlv(0x30, &[&v1[2..5], &hex("300706032b65700500"), &v1[12..]].concat()), // NULL parameters
            vec![],
        ] {
            assert_eq!(spki_of(&bad), Err(ErrorCode::InvalidArgument), "{bad:02x?}");
        }
    }
}

/// EC private keys: with and without the public half; a wrong half, curve or scalar is refused.
#[test]
fn ec_forms() {
    let (pkcs8, spki) = key(KeyType::EcdsaP256);
    let at = pkcs8.windows(5).position(|w| w == [2, 1, 1, 4, 32]).unwrap() + 5;
    let (scalar, point) = (&pkcs8[at..at + 32], &spki[26..]);
    let order = hex("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551");
    let form = |scalar: &[u8], parameters: Option<&str>, point: Option<&[u8]>, outer: &str| {
        let parameters = parameters.map(|curve| tlv(0xa0, &hex(curve))).unwrap_or_default();
        let point = point.map(|point| tlv(0xa1, &tlv(0x03, &[&[0], point].concat()))).unwrap_or_default();
        let inner = tlv(0x30, &[vec![2, 1, 1], tlv(4, scalar), parameters, point].concat());
        let algorithm = tlv(0x30, &[tlv(6, &hex(EC)), hex(outer)].concat());
        tlv(0x30, &[vec![2, 1, 0], algorithm, tlv(4, &inner)].concat())
    };
    let mut other = point.to_vec();
    other[40] ^= 1;
    let (_, stranger) = key(KeyType::EcdsaP384);
    for provider in providers() {
        for good in [
            form(scalar, None, None, P256),
            form(scalar, None, Some(point), P256),
            form(scalar, Some(P256), None, P256),
            form(scalar, Some(P256), Some(point), P256),
        ] {
            let private = provider.keys.private(KeyType::EcdsaP256, &good).unwrap();
            assert_eq!(private.public_spki(), spki, "{}", provider.name);
        }
        for (what, bad) in [
            (
                "a hybrid point",
                form(scalar, None, Some(&[&[6 | (point[64] & 1)], &point[1..]].concat()), P256),
            ),
            ("an empty point", form(scalar, None, Some(&[]), P256)),
            ("another point", form(scalar, None, Some(&other), P256)),
            ("a point of another curve", form(scalar, None, Some(&stranger[23..]), P256)),
            ("another inner curve", form(scalar, Some("06052b81040022"), None, P256)),
            ("another outer curve", form(scalar, None, None, "06052b81040022")),
            ("the scalar 0", form(&[0; 32], None, None, P256)),
            ("the scalar n", form(&order, None, None, P256)),
            ("a long scalar", form(&[&[1], scalar].concat(), None, None, P256)),
            ("no scalar", form(&[], None, None, P256)),
            ("no curve", form(scalar, None, None, "")),
        ] {
            let refused = refusal_of_private(provider, KeyType::EcdsaP256, &bad);
            assert_eq!(refused, Some(ErrorCode::InvalidArgument), "{what}, {}", provider.name);
        }
    }
}

/// R50: an RSA key with any number of its nine changed does not come in.
#[test]
fn rsa_numbers_must_fit() {
    let (pkcs8, _) = key(KeyType::Rsa2048);
    for provider in providers() {
        for at in (40..pkcs8.len()).step_by(61) {
            let mut bad = pkcs8.to_vec();
            bad[at] ^= 0x04;
            let refused = refusal_of_private(provider, KeyType::Rsa2048, &bad);
            assert_eq!(refused, Some(ErrorCode::InvalidArgument), "byte {at}, {}", provider.name);
        }
    }
}

/// Public keys that are valid DER and no valid keys.
#[test]
fn public_keys_must_be_valid() {
    let (_, rsa) = key(KeyType::Rsa2048);
    let (_, ec) = key(KeyType::EcdsaP256);
    let (_, edwards) = key(KeyType::Ed25519);
    let PublicParts::Rsa { modulus, .. } = PublicParts::from_spki(rsa).unwrap().1 else { unreachable!() };
    let n = [vec![0], modulus].concat();
    let mut even = n.clone();
    even[256] &= 0xfe;
    let point = &ec[26..];
    let mut off_curve = point.to_vec();
    off_curve[64] ^= 1;
    let compressed = [&[2 + (point[64] & 1)], &point[1..33]].concat();
    let ed = "2b6570";
    let argument = Some(ErrorCode::InvalidArgument);
    let unknown = Some(ErrorCode::InvalidKeyType);
    let cases = [
        ("e = 3", KeyType::Rsa2048, rsa_spki(&n, &[3]), argument),
        ("e = 1", KeyType::Rsa2048, rsa_spki(&n, &[1]), argument),
        ("e = 65536", KeyType::Rsa2048, rsa_spki(&n, &[1, 0, 0]), argument),
        ("e = 2^33 + 1", KeyType::Rsa2048, rsa_spki(&n, &[2, 0, 0, 0, 1]), argument),
        ("e of 20 bytes", KeyType::Rsa2048, rsa_spki(&n, &[1; 20]), argument),
        ("e negative", KeyType::Rsa2048, rsa_spki(&n, &[0x81, 0, 1]), argument),
        ("e not minimal", KeyType::Rsa2048, rsa_spki(&n, &[0, 1, 0, 1]), argument),
        ("n even", KeyType::Rsa2048, rsa_spki(&even, &[1, 0, 1]), argument),
        ("n negative", KeyType::Rsa2048, rsa_spki(&n[1..], &[1, 0, 1]), argument),
        (
            "n of 1024 bits",
            KeyType::Rsa2048,
            rsa_spki(&[&[0, 0x80 | n[129]], &n[130..]].concat(), &[1, 0, 1]),
            unknown,
        ),
        ("n of 2047 bits", KeyType::Rsa2048, rsa_spki(&[&[0x7f], &n[2..]].concat(), &[1, 0, 1]), unknown),
        (
            "no NULL",
            KeyType::Rsa2048,
            spki(RSA, &[], &tlv(0x30, &[tlv(2, &n), tlv(2, &[1, 0, 1])].concat())),
            argument,
        ),
        ("off the curve", KeyType::EcdsaP256, spki(EC, &hex(P256), &off_curve), argument),
        ("compressed", KeyType::EcdsaP256, spki(EC, &hex(P256), &compressed), argument),
        ("infinity", KeyType::EcdsaP256, spki(EC, &hex(P256), &[0]), argument),
        ("x = y = 0", KeyType::EcdsaP256, spki(EC, &hex(P256), &[&[4][..], &[0; 64]].concat()), argument),
        ("P-224", KeyType::EcdsaP256, spki(EC, &hex("06052b81040021"), &[4; 57]), unknown),
        ("P-521", KeyType::EcdsaP384, spki(EC, &hex("06052b81040023"), &[4; 133]), argument),
        ("secp256k1", KeyType::EcdsaP256, spki(EC, &hex("06052b8104000a"), point), argument),
        ("no curve", KeyType::EcdsaP256, spki(EC, &[], point), argument),
        ("31 bytes", KeyType::Ed25519, spki(ed, &[], &edwards[13..]), argument),
        ("NULL parameters", KeyType::Ed25519, spki(ed, &[5, 0], &edwards[12..]), argument),
        ("small order 1", KeyType::Ed25519, spki(ed, &[], &[&[1][..], &[0; 31]].concat()), argument),
        ("small order 4", KeyType::Ed25519, spki(ed, &[], &[0; 32]), argument),
        ("not on the curve", KeyType::Ed25519, spki(ed, &[], &[&[2][..], &[0; 31]].concat()), argument),
        ("X25519", KeyType::Ed25519, spki("2b656e", &[], &edwards[12..]), argument),
        ("X448", KeyType::Ed25519, spki("2b656f", &[], &edwards[12..]), unknown),
        ("RSASSA-PSS", KeyType::Rsa2048, spki("2a864886f70d01010a", &[], &rsa[24..]), unknown),
        ("a trailing byte", KeyType::Ed25519, [edwards, &[0]].concat(), argument),
    ];
    for provider in providers() {
        for (what, kind, spki, expected) in &cases {
            assert_eq!(refusal_of_public(provider, *kind, spki), *expected, "{what}, {}", provider.name);
        }
    }
}

/// Damaged DER: a place, what it becomes, and whether the end is cut.
fn damage(bytes: &[u8], places: &[(usize, u8)], cut: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for (at, value) in places {
        let at = at % bytes.len();
        bytes[at] = *value;
    }
    bytes.truncate(bytes.len() - cut % 5);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    /// Any bytes end in an answer, and what is read is read back from what is written.
    #[test]
    fn any_spki(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok((kind, parts)) = PublicParts::from_spki(&bytes) {
            prop_assert_eq!(PublicParts::from_spki(&parts.to_spki().unwrap()).unwrap(), (kind, parts));
        }
    }

    /// Damaged public keys: both providers take or refuse the same ones.
    #[test]
    fn damaged_spki(places in proptest::collection::vec((0usize..400, any::<u8>()), 1..4), cut in 0usize..9) {
        for (kind, _, spki) in KEYS.iter() {
            let bytes = damage(spki, &places, cut);
            if let Ok((_, parts)) = PublicParts::from_spki(&bytes) {
                prop_assert_eq!(parts.to_spki().unwrap(), bytes.clone(), "one form only");
            }
            let taken: Vec<_> = providers().iter().map(|p| p.keys.public(*kind, &bytes).is_ok()).collect();
            prop_assert!(taken.iter().all(|t| *t == taken[0]), "{} {:?} {:02x?}", kind, taken, bytes);
        }
    }

    /// Damaged private keys: nothing panics, and both providers take or refuse the same ones.
    #[test]
    fn damaged_pkcs8(places in proptest::collection::vec((0usize..200, any::<u8>()), 1..3), cut in 0usize..9) {
        for (kind, pkcs8, _) in KEYS.iter() {
            let bytes = damage(pkcs8.expose(), &places, cut);
            let taken: Vec<_> = providers().iter().map(|p| p.keys.private(*kind, &bytes).is_ok()).collect();
            prop_assert!(taken.iter().all(|t| *t == taken[0]), "{} {:?} {:?}", kind, taken, places);
        }
    }
}
