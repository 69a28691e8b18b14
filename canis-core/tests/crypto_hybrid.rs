//! R43: MLKEM768-X25519 (X-Wing) on every provider and crosswise: the draft's vectors, and what keys and ciphertexts that were
//! spoilt do and are refused for.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::private_parts::PrivateParts;
use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{Encapsulation, Hash, PrivateKey, Provider, providers};
use canis_core::format::{Checked, decode};
use canis_proto::{ErrorCode, KeyFormat, KeyType};
use crypto_material::{hex, key};

const KIND: KeyType = KeyType::MlKem768X25519;

/// The coordinates of small order on curve25519 and its twist, as they are written below the field's size (RFC 7748, section 7).
const SMALL_ORDER: [&str; 4] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
];

/// Seed, public key, ciphertext and secret.
fn vectors() -> impl Iterator<Item = [Vec<u8>; 4]> {
    let lines = include_str!("crypto_material/x_wing.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split(' ').map(hex).collect::<Vec<_>>().try_into().unwrap())
}

fn pkcs8(seed: &[u8]) -> Vec<u8> {
    let parts = PrivateParts::PostQuantum { kind: KIND, seed: Some(seed.to_vec().into()), expanded: None };
    parts.into_material().unwrap().1.expose().to_vec()
}

fn spki(key: &[u8]) -> Vec<u8> {
    PublicParts::PostQuantum { kind: KIND, key: key.to_vec() }.to_spki().unwrap()
}

fn private(provider: &Provider, seed: &[u8]) -> Box<dyn PrivateKey> {
    provider.keys.private(KIND, &pkcs8(seed)).unwrap()
}

fn with_end(bytes: &[u8], end: &[u8]) -> Vec<u8> {
    [&bytes[..bytes.len() - end.len()], end].concat()
}

/// Key and secret of each vector, on both providers.
#[test]
fn the_drafts_vectors() {
    for provider in providers() {
        let mut run = 0;
        for [seed, public, ciphertext, secret] in vectors() {
            let private = private(provider, &seed);
            assert_eq!(private.public_spki(), spki(&public), "{}", provider.name);
            assert_eq!(private.decapsulate(&ciphertext).unwrap().expose(), secret, "{}", provider.name);
            run += 1;
        }
        assert_eq!(run, 3);
    }
}

/// The forms are those of the drafts: OID 1.3.6.1.4.1.62253.25722 without parameters, the bare seed, the bare public key.
#[test]
fn forms_are_the_drafts() {
    let [seed, public, ..] = vectors().next().unwrap();
    let oid = "300d060b2b0601040183e62d81c87a";
    assert_eq!(pkcs8(&seed), [hex(&format!("3034020100{oid}0420")), seed.clone()].concat());
    assert_eq!(spki(&public), [hex(&format!("308204d4{oid}038204c100")), public].concat());
    for wrong in [&seed[1..], &[&[0][..], &seed].concat(), &[&[0x80, 32][..], &seed].concat()] {
        let mut longer = hex(&format!("30{:02x}020100{oid}04{:02x}", 20 + wrong.len(), wrong.len()));
        longer.extend_from_slice(wrong);
        for provider in providers() {
            let error = provider.keys.private(KIND, &longer).err().unwrap();
            assert_eq!(error.code, ErrorCode::InvalidArgument, "{} bytes", wrong.len());
        }
    }
}

/// What one provider encapsulates, the other opens; a ciphertext is new each time.
#[test]
fn providers_agree() {
    for one in providers() {
        for other in providers() {
            let pkcs8 = one.keys.generate(KIND).unwrap();
            let private = other.keys.private(KIND, pkcs8.expose()).unwrap();
            let public = one.keys.public(KIND, private.public_spki()).unwrap();
            let [first, second] = [public.encapsulate().unwrap(), public.encapsulate().unwrap()];
            assert_ne!(first.ciphertext, second.ciphertext);
            for Encapsulation { ciphertext, secret } in [first, second] {
                assert_eq!((ciphertext.len(), secret.len()), (1120, 32));
                assert!(private.decapsulate(&ciphertext).unwrap().equals(secret.expose()));
            }
        }
    }
}

/// Altered anywhere, in either half, a ciphertext leads to another secret, the same on both providers; only another length is an
/// error. A point of small order is no error either: X25519 gives zeros, as the draft has it.
#[test]
fn wrong_ciphertexts_are_not_told() {
    let [seed, public, ciphertext, secret] = vectors().next().unwrap();
    let mut altered: Vec<Vec<u8>> = [0, 700, 1087, 1088, 1110]
        .map(|at| {
            let mut other = ciphertext.clone();
            other[at] ^= 1;
            other
        })
        .into();
    altered.extend(SMALL_ORDER.map(|point| with_end(&ciphertext, &hex(point))));
    for ciphertext in altered {
        let made = providers()
            .into_iter()
            .map(|provider| private(provider, &seed).decapsulate(&ciphertext).unwrap());
        let made: Vec<_> = made.map(|secret| secret.expose().to_vec()).collect();
        assert!(made.iter().all(|other| *other == made[0] && *other != secret));
    }
    for provider in providers() {
        let lattice = provider.keys.private(KeyType::MlKem768, &lattice_of(&seed)).unwrap();
        let rest = lattice.decapsulate(&ciphertext[..1088]).unwrap();
        let zeros = [0; 32];
        let input = [rest.expose(), &zeros, &zeros, &public[1184..], br"\.//^\"].concat();
        let mut hash = [0; 64];
        let len = provider.digest.hash(Hash::Sha3_256, &input, &mut hash);
        let opened = private(provider, &seed).decapsulate(&with_end(&ciphertext, &zeros)).unwrap();
        assert!(opened.equals(&hash[..len]), "the draft's combiner over zeros");
        for len in [0, 32, 1088, 1119, 1121] {
            let error = private(provider, &seed).decapsulate(&vec![0; len]).err().unwrap();
            assert_eq!(
                error.message,
                format!("a ciphertext for a key of type {KIND} has 1120 bytes, not {len}")
            );
        }
    }
}

/// The ML-KEM half of a seed's key, in PKCS#8.
fn lattice_of(seed: &[u8]) -> Vec<u8> {
    use shake::digest::{ExtendableOutput, Update, XofReader};
    let mut shake = shake::Shake256::default();
    shake.update(seed);
    let mut half = [0; 64];
    shake.finalize_xof().read(&mut half);
    let parts = PrivateParts::PostQuantum {
        kind: KeyType::MlKem768,
        seed: Some(half.to_vec().into()),
        expanded: None,
    };
    parts.into_material().unwrap().1.expose().to_vec()
}

/// A public key whose X25519 half leads everybody to zero, or whose ML-KEM half is none, is refused: who takes it would have
/// one lock instead of two, without knowing.
#[test]
fn public_keys_that_lack_a_half_are_refused() {
    let [_, public, ..] = vectors().next().unwrap();
    let out_of_range = [&[0xff; 3][..], &public[3..]].concat();
    let spoilt = SMALL_ORDER.map(|point| with_end(&public, &hex(point)));
    for public in spoilt.iter().chain([&out_of_range]) {
        for provider in providers() {
            let error = provider.keys.public(KIND, &spki(public)).err().unwrap();
            assert_eq!(error.code, ErrorCode::InvalidArgument, "{}", provider.name);
            assert!(
                decode(KeyFormat::Spki, KIND, &spki(public)).and_then(|given| given.check(provider)).is_err()
            );
        }
    }
    for len in [0, 32, 1184, 1215, 1217] {
        let bytes = PublicParts::PostQuantum { kind: KIND, key: vec![2; len] }.to_spki().unwrap();
        assert!(PublicParts::from_spki(&bytes).is_err(), "{len}");
    }
}

/// Raw and PKCS#8 are one key, kept as the seed; a seed of another length is none.
#[test]
fn keys_come_in_as_seeds() {
    let [seed, public, ..] = vectors().next().unwrap();
    for provider in providers() {
        for (format, bytes) in [(KeyFormat::Raw, seed.clone()), (KeyFormat::Pkcs8, pkcs8(&seed))] {
            let Checked::Whole { material, spki: found, .. } =
                decode(format, KIND, &bytes).unwrap().check(provider).unwrap()
            else {
                panic!("a public key")
            };
            assert_eq!((material.expose(), found), (&pkcs8(&seed)[..], spki(&public)));
        }
        assert_eq!(decode(KeyFormat::Raw, KIND, &seed[1..]).err().unwrap().code, ErrorCode::InvalidArgument);
    }
    // The halves by themselves are keys of other types.
    let (lattice, _) = key(KeyType::MlKem768);
    assert!(providers().iter().all(|provider| provider.keys.private(KIND, lattice).is_err()));
}
