//! What the providers take as a key and what they refuse, alike.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_hex;

use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{Hash, Oaep, Provider, SignScheme, providers};
use canis_core::secret::SecretBytes;
use canis_proto::{ErrorCode, Family, KeyType};
use crypto_hex::hex;
use proptest::prelude::*;
use std::sync::LazyLock;

static KEYS: LazyLock<Vec<(KeyType, SecretBytes, Vec<u8>)>> = LazyLock::new(|| {
    [KeyType::Rsa2048, KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::Ed25519]
        .into_iter()
        .map(|kind| {
            let maker = providers()[0];
            let pkcs8 = maker.keys.generate(kind).unwrap();
            let spki = maker.keys.private(kind, pkcs8.expose()).unwrap().public_spki().to_vec();
            (kind, pkcs8, spki)
        })
        .collect()
});

fn key(kind: KeyType) -> (&'static [u8], &'static [u8]) {
    let (_, pkcs8, spki) = KEYS.iter().find(|(k, ..)| *k == kind).unwrap();
    (pkcs8.expose(), spki)
}

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

/// Public keys are written in one way, whoever made them, and read back to the same numbers.
#[test]
fn spki_is_canonical() {
    for (kind, pkcs8, expected) in KEYS.iter() {
        for provider in providers() {
            let spki = provider.keys.private(*kind, pkcs8.expose()).unwrap().public_spki().to_vec();
            assert_eq!(&spki, expected, "{kind} of {}", provider.name);
            let (found, parts) = PublicParts::from_spki(&spki).unwrap();
            assert_eq!((found, parts.to_spki().unwrap()), (*kind, spki));
            match parts {
                PublicParts::Rsa { modulus, exponent } => {
                    assert_eq!(
                        (modulus.len() * 8, exponent),
                        (kind.bits(), vec![1, 0, 1]),
                        "R2: exponent 65537"
                    );
                    assert!(modulus[0] & 0x80 != 0);
                }
                PublicParts::Ec { curve, point } => {
                    assert_eq!((curve, point.len(), point[0]), (*kind, 1 + kind.bits() / 4, 4));
                }
                PublicParts::Edwards { .. } => assert_eq!(*kind, KeyType::Ed25519),
            }
        }
    }
}

/// R4: a key is not taken for another type, and does nothing that its family does not do.
#[test]
fn wrong_family() {
    let oaep = Oaep { hash: Hash::Sha256, mgf: Hash::Sha256, label: b"" };
    let pss = SignScheme::RsaPss { hash: Hash::Sha256, mgf: Hash::Sha256, salt: 32 };
    let schemes = [
        (Family::Rsa, SignScheme::RsaPkcs1),
        (Family::Rsa, pss),
        (Family::Ec, SignScheme::Ecdsa),
        (Family::Edwards, SignScheme::Ed25519),
    ];
    for provider in providers() {
        for (kind, pkcs8, spki) in KEYS.iter() {
            for other in KeyType::ALL.iter().filter(|other| *other != kind) {
                let expected = if other.is_asymmetric() {
                    ErrorCode::InvalidArgument
                } else {
                    ErrorCode::OperationNotSupported
                };
                assert_eq!(
                    refusal_of_private(provider, *other, pkcs8.expose()),
                    Some(expected),
                    "{kind} as {other}"
                );
                assert_eq!(refusal_of_public(provider, *other, spki), Some(expected), "{kind} as {other}");
            }
            let private = provider.keys.private(*kind, pkcs8.expose()).unwrap();
            let public = provider.keys.public(*kind, spki).unwrap();
            let mut out = vec![0; 512];
            for (_, scheme) in schemes.iter().filter(|(family, _)| *family != kind.family()) {
                let signed = private.sign(*scheme, &[1; 32], &mut out).unwrap_err();
                let verified = public.verify(*scheme, &[1; 32], &[1; 64]).unwrap_err();
                assert_eq!(signed.code, ErrorCode::OperationNotSupported, "{kind}, {scheme:?}");
                assert_eq!(verified.code, ErrorCode::OperationNotSupported, "{kind}, {scheme:?}");
            }
            if kind.family() != Family::Rsa {
                let error = private.decrypt_oaep(oaep, &[1; 256], &mut out).unwrap_err();
                assert_eq!(error.code, ErrorCode::OperationNotSupported);
                assert_eq!(
                    public.encrypt_oaep(oaep, b"").unwrap_err().code,
                    ErrorCode::OperationNotSupported
                );
            }
        }
        for kind in KeyType::ALL.iter().filter(|kind| !kind.is_asymmetric()) {
            let error = provider.keys.generate(*kind).err().unwrap();
            assert_eq!(error.code, ErrorCode::OperationNotSupported);
        }
    }
}

/// Inputs and outputs of a wrong length are refused before anything is computed.
#[test]
fn wrong_lengths() {
    let pss = |hash, salt| SignScheme::RsaPss { hash, mgf: Hash::Sha256, salt };
    let sha256 = Hash::Sha256;
    for provider in providers() {
        for (kind, pkcs8, spki) in KEYS.iter() {
            let private = provider.keys.private(*kind, pkcs8.expose()).unwrap();
            let public = provider.keys.public(*kind, spki).unwrap();
            let mut out = vec![0; private.signature_len()];
            let bad_inputs: Vec<(SignScheme, Vec<u8>)> = match kind.family() {
                Family::Rsa => vec![
                    (SignScheme::RsaPkcs1, vec![0; 256 - 10]),
                    (pss(sha256, 32), vec![0; 20]),
                    (pss(sha256, 32), vec![0; 33]),
                    (pss(sha256, 32), vec![]),
                    (pss(sha256, 256 - 32 - 1), vec![0; 32]),
                    (pss(sha256, usize::MAX), vec![0; 32]),
                ],
                Family::Ec => vec![(SignScheme::Ecdsa, vec![])],
                Family::Edwards | Family::Aes => vec![],
            };
            for (scheme, input) in bad_inputs {
                let error = private.sign(scheme, &input, &mut out).unwrap_err();
                assert_eq!(error.code, ErrorCode::InvalidArgument, "{scheme:?} over {} bytes", input.len());
                let verified = public.verify(scheme, &input, &vec![1; out.len()]);
                assert!(!matches!(verified, Ok(true)));
            }
            let (scheme, input) = match kind.family() {
                Family::Rsa => (SignScheme::RsaPkcs1, &[1; 32]),
                Family::Ec => (SignScheme::Ecdsa, &[1; 32]),
                Family::Edwards | Family::Aes => (SignScheme::Ed25519, &[1; 32]),
            };
            let short = out.len() - 1;
            let error = private.sign(scheme, input, &mut out[..short]).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgument);
            if kind.family() == Family::Rsa {
                assert!(
                    private.sign(pss(sha256, 256 - 32 - 2), &[0; 32], &mut out).is_ok(),
                    "the longest salt"
                );
                let oaep = Oaep { hash: sha256, mgf: sha256, label: b"" };
                let error = private.decrypt_oaep(oaep, &[1; 256], &mut out[..255]).unwrap_err();
                assert_eq!(error.code, ErrorCode::InvalidArgument);
                for salt in [257, 1 << 30, usize::MAX] {
                    assert_eq!(public.verify(pss(sha256, salt), &[0; 32], &[1; 256]), Ok(false));
                }
            }
        }
    }
}

/// ECDSA takes a digest as the standard says: more than the order's bits do not count, fewer are an integer.
#[test]
fn ecdsa_digest_lengths() {
    for provider in providers() {
        for kind in [KeyType::EcdsaP256, KeyType::EcdsaP384] {
            let (pkcs8, spki) = key(kind);
            let (private, public) =
                (provider.keys.private(kind, pkcs8).unwrap(), provider.keys.public(kind, spki).unwrap());
            let field = kind.bits() / 8;
            let mut out = vec![0; 2 * field];
            private.sign(SignScheme::Ecdsa, &[7; 20], &mut out).unwrap();
            let padded = [vec![0; field - 20], vec![7; 20]].concat();
            assert_eq!(public.verify(SignScheme::Ecdsa, &padded, &out), Ok(true), "{}", provider.name);
            private.sign(SignScheme::Ecdsa, &vec![7; field + 9], &mut out).unwrap();
            assert_eq!(
                public.verify(SignScheme::Ecdsa, &vec![7; field], &out),
                Ok(true),
                "{}",
                provider.name
            );
            assert_eq!(public.verify(SignScheme::Ecdsa, &vec![7; field - 1], &out), Ok(false));
            let zero = vec![0; 2 * field];
            assert_eq!(public.verify(SignScheme::Ecdsa, &[7; 32], &zero), Ok(false), "r = s = 0");
        }
    }
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
            ("another point", form(scalar, None, Some(&other), P256)),
            ("a point of another curve", form(scalar, None, Some(&stranger[23..]), P256)),
            ("another inner curve", form(scalar, Some("06052b81040022"), None, P256)),
            ("another outer curve", form(scalar, None, None, "06052b81040022")),
            ("the scalar 0", form(&[0; 32], None, None, P256)),
            ("the scalar n", form(&order, None, None, P256)),
            ("a long scalar", form(&[scalar, &[1]].concat(), None, None, P256)),
            ("no scalar", form(&[], None, None, P256)),
            ("no curve", form(scalar, None, None, "")),
        ] {
            let refused = refusal_of_private(provider, KeyType::EcdsaP256, &bad);
            assert_eq!(refused, Some(ErrorCode::InvalidArgument), "{what}, {}", provider.name);
        }
    }
}

/// R3: an RSA key with any number of its nine changed does not come in.
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
        ("P-521", KeyType::EcdsaP384, spki(EC, &hex("06052b81040023"), &[4; 133]), unknown),
        ("secp256k1", KeyType::EcdsaP256, spki(EC, &hex("06052b8104000a"), point), unknown),
        ("no curve", KeyType::EcdsaP256, spki(EC, &[], point), argument),
        ("31 bytes", KeyType::Ed25519, spki(ed, &[], &edwards[13..]), argument),
        ("NULL parameters", KeyType::Ed25519, spki(ed, &[5, 0], &edwards[12..]), argument),
        ("small order 1", KeyType::Ed25519, spki(ed, &[], &[&[1][..], &[0; 31]].concat()), argument),
        ("small order 4", KeyType::Ed25519, spki(ed, &[], &[0; 32]), argument),
        ("not on the curve", KeyType::Ed25519, spki(ed, &[], &[&[2][..], &[0; 31]].concat()), argument),
        ("X25519", KeyType::Ed25519, spki("2b656e", &[], &edwards[12..]), unknown),
        ("RSASSA-PSS", KeyType::Rsa2048, spki("2a864886f70d01010a", &[], &rsa[24..]), unknown),
        ("a trailing byte", KeyType::Ed25519, [edwards, &[0]].concat(), argument),
    ];
    for provider in providers() {
        for (what, kind, spki, expected) in &cases {
            assert_eq!(refusal_of_public(provider, *kind, spki), *expected, "{what}, {}", provider.name);
        }
    }
}

/// One ready key is used by several threads at once.
#[test]
fn keys_are_shared() {
    for provider in providers() {
        for (kind, pkcs8, spki) in KEYS.iter() {
            let scheme = match kind.family() {
                Family::Rsa => SignScheme::RsaPkcs1,
                Family::Ec => SignScheme::Ecdsa,
                Family::Edwards | Family::Aes => SignScheme::Ed25519,
            };
            let private = provider.keys.private(*kind, pkcs8.expose()).unwrap();
            let public = provider.keys.public(*kind, spki).unwrap();
            std::thread::scope(|scope| {
                for thread in 0..3u8 {
                    let (private, public) = (&private, &public);
                    scope.spawn(move || {
                        for number in 0..10 {
                            let mut out = vec![0; private.signature_len()];
                            let input = [thread, number, 1, 2];
                            private.sign(scheme, &input, &mut out).unwrap();
                            assert_eq!(public.verify(scheme, &input, &out), Ok(true));
                        }
                    });
                }
            });
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
