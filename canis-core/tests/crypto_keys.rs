//! What keys do and refuse to do, alike on every provider.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{Hash, Oaep, Provider, SignScheme, providers};
use canis_core::secret::SecretBytes;
use canis_proto::{ErrorCode, Family, KeyType};
use crypto_material::{KEYS, key};

fn refusal_of_private(provider: &Provider, kind: KeyType, pkcs8: &[u8]) -> Option<ErrorCode> {
    provider.keys.private(kind, pkcs8).err().map(|error| error.code)
}

fn refusal_of_public(provider: &Provider, kind: KeyType, spki: &[u8]) -> Option<ErrorCode> {
    provider.keys.public(kind, spki).err().map(|error| error.code)
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
                    assert_eq!((curve, point.len(), point[0]), (*kind, 1 + 2 * kind.bytes(), 4));
                }
                PublicParts::Edwards { .. } => assert_eq!(*kind, KeyType::Ed25519),
                PublicParts::Montgomery { .. } => assert_eq!(*kind, KeyType::X25519),
                PublicParts::PostQuantum { kind: named, .. } => assert_eq!(named, *kind),
            }
        }
    }
}

/// R8: a key is not taken for another type, and does nothing that its family does not do.
#[test]
fn wrong_family() {
    let oaep = Oaep { hash: Hash::Sha256, mgf: Hash::Sha256, label: b"" };
    let pss = SignScheme::RsaPss { hash: Hash::Sha256, mgf: Hash::Sha256, salt: 32 };
    let schemes = [
        (Family::Rsa, SignScheme::RsaPkcs1),
        (Family::Rsa, pss),
        (Family::Rsa, SignScheme::RsaRaw),
        (Family::Ec, SignScheme::Ecdsa),
        (Family::Edwards, SignScheme::Ed25519),
        (Family::MlDsa, SignScheme::MlDsa),
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
        for (kind, pkcs8, spki) in signing_keys() {
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
                Family::MlDsa => [0, 32, 63, 65].map(|len| (SignScheme::MlDsa, vec![0; len])).into(),
                _ => vec![],
            };
            for (scheme, input) in bad_inputs {
                let error = private.sign(scheme, &input, &mut out).unwrap_err();
                assert_eq!(error.code, ErrorCode::InvalidArgument, "{scheme:?} over {} bytes", input.len());
                let verified = public.verify(scheme, &input, &vec![1; out.len()]);
                assert!(!matches!(verified, Ok(true)));
            }
            let (scheme, input) = match kind.family() {
                Family::Rsa => (SignScheme::RsaPkcs1, &[1; 32][..]),
                Family::Ec => (SignScheme::Ecdsa, &[1; 32][..]),
                Family::MlDsa => (SignScheme::MlDsa, &[1; 64][..]),
                _ => (SignScheme::Ed25519, &[1; 32][..]),
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
        for kind in [KeyType::EcdsaP256, KeyType::EcdsaP384, KeyType::EcdsaSecp256k1] {
            let (pkcs8, spki) = key(kind);
            let (private, public) =
                (provider.keys.private(kind, pkcs8).unwrap(), provider.keys.public(kind, spki).unwrap());
            let field = kind.bytes();
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

/// P-521's order is no whole number of bytes: of a longer digest the first 521 bits count.
#[test]
fn ecdsa_digest_of_521_bits() {
    let (kind, scheme) = (KeyType::EcdsaP521, SignScheme::Ecdsa);
    let (pkcs8, spki) = key(kind);
    for signer in providers() {
        for verifier in providers() {
            let (private, public) =
                (signer.keys.private(kind, pkcs8).unwrap(), verifier.keys.public(kind, spki).unwrap());
            let mut out = vec![0; 132];
            for len in [1, 20, 64, 65, 66, 67, 200] {
                private.sign(scheme, &vec![0xc7; len], &mut out).unwrap();
                let what = format!("{len}, {} → {}", signer.name, verifier.name);
                assert_eq!(public.verify(scheme, &vec![0xc7; len], &out), Ok(true), "{what}");
            }
            private.sign(scheme, &[0xc7; 66], &mut out).unwrap();
            let mut other = [0xc7; 90];
            other[65] ^= 0x7f;
            assert_eq!(public.verify(scheme, &other, &out), Ok(true), "only bits after the 521st differ");
            other[65] ^= 0x80;
            assert_eq!(public.verify(scheme, &other, &out), Ok(false), "the 521st differs");
        }
    }
}

/// Digests that differ in the last bit that counts do not share a nonce, which would show as one r and give the key
/// away.
#[test]
fn ecdsa_nonces_differ() {
    for provider in providers() {
        for (kind, pkcs8, _) in signing_keys().filter(|(kind, ..)| kind.family() == Family::Ec) {
            let private = provider.keys.private(*kind, pkcs8.expose()).unwrap();
            for len in [20, 32, kind.bytes() - 1, kind.bytes(), kind.bytes() + 3] {
                let last = len.min(kind.bytes()) - 1;
                let bit = if 8 * len > kind.bits() { 1 << ((8 - kind.bits() % 8) % 8) } else { 1 };
                for first in [0x00, 0x01, 0xff] {
                    let mut digest = vec![0xff; len];
                    digest[0] = first;
                    let mut r = [vec![0; 2 * kind.bytes()], vec![0; 2 * kind.bytes()]];
                    private.sign(SignScheme::Ecdsa, &digest, &mut r[0]).unwrap();
                    digest[last] ^= bit;
                    private.sign(SignScheme::Ecdsa, &digest, &mut r[1]).unwrap();
                    let half = kind.bytes();
                    assert_ne!(r[0][..half], r[1][..half], "{kind}, {len} bytes, {}", provider.name);
                }
            }
        }
    }
}

/// The keys that sign.
fn signing_keys() -> impl Iterator<Item = &'static (KeyType, SecretBytes, Vec<u8>)> {
    KEYS.iter().filter(|(kind, ..)| !matches!(kind.family(), Family::Montgomery | Family::MlKem))
}

/// One ready key is used by several threads at once.
#[test]
fn keys_are_shared() {
    for provider in providers() {
        for (kind, pkcs8, spki) in signing_keys() {
            let scheme = match kind.family() {
                Family::Rsa => SignScheme::RsaPkcs1,
                Family::Ec => SignScheme::Ecdsa,
                Family::MlDsa => SignScheme::MlDsa,
                _ => SignScheme::Ed25519,
            };
            let private = provider.keys.private(*kind, pkcs8.expose()).unwrap();
            let public = provider.keys.public(*kind, spki).unwrap();
            std::thread::scope(|scope| {
                for thread in 0..3u8 {
                    let (private, public) = (&private, &public);
                    scope.spawn(move || {
                        for number in 0..10 {
                            let mut out = vec![0; private.signature_len()];
                            let long = if scheme == SignScheme::MlDsa { 16 } else { 1 };
                            let input = [thread, number, 1, 2].repeat(long);
                            private.sign(scheme, &input, &mut out).unwrap();
                            assert_eq!(public.verify(scheme, &input, &out), Ok(true));
                        }
                    });
                }
            });
        }
    }
}
