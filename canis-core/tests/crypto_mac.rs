//! HMAC and the hash functions on every provider and crosswise, whole and in parts.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::{Hash, MAX_DIGEST, Provider, providers};
use canis_proto::ErrorCode;
use crypto_material::hex;
use proptest::prelude::*;

fn digest(provider: &Provider, hash: Hash, message: &[u8]) -> Vec<u8> {
    let mut out = [0; MAX_DIGEST];
    let len = provider.digest.hash(hash, message, &mut out);
    out[..len].to_vec()
}

fn hmac(provider: &Provider, hash: Hash, key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut out = [0; MAX_DIGEST];
    let len = provider.mac.hmac(hash, key).unwrap().tag(&[message], &mut out).unwrap();
    out[..len].to_vec()
}

/// R43: FIPS 180-4's and FIPS 202's example "abc" (NIST, "Examples with Intermediate Values").
#[test]
fn digests_of_abc() {
    let answers = [
        (Hash::Sha224, "23097d22 3405d822 8642a477 bda255b3 2aadbce4 bda0b3f7 e36c9da7"),
        (Hash::Sha3_224, "e642824c3f8cf24a d09234ee7d3c766f c9a3a5168d0c94ad 73b46fdf"),
        (Hash::Sha3_256, "3a985da74fe225b2 045c172d6bd390bd 855f086e3e9d525b 46bfe24511431532"),
        (
            Hash::Sha3_384,
            "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b2
             98d88cea927ac7f539f1edf228376d25",
        ),
        (
            Hash::Sha3_512,
            "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e
             10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0",
        ),
    ];
    for provider in providers() {
        for (hash, answer) in answers {
            assert_eq!(digest(provider, hash, b"abc"), hex(answer), "{hash:?} on {}", provider.name);
        }
    }
}

/// R43: the test suite of RFC 1321, and RFC 2202's for HMAC-MD5: keys shorter and longer than a block.
#[test]
fn md5() {
    let answers = [
        ("", "d41d8cd98f00b204e9800998ecf8427e"),
        ("a", "0cc175b9c0f1b6a831c399e269772661"),
        ("abc", "900150983cd24fb0d6963f7d28e17f72"),
        ("message digest", "f96b697d7cb7938d525a2f31aaf161d0"),
        ("abcdefghijklmnopqrstuvwxyz", "c3fcd3d76192e4007dfb496cca67e13b"),
        (
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
            "d174ab98d277d9f5a5611c2c9f419d9f",
        ),
        (
            "12345678901234567890123456789012345678901234567890123456789012345678901234567890",
            "57edf4a22be3c955ac49da2e2107b67a",
        ),
    ];
    let tags: [(&[u8], &[u8], &str); 5] = [
        (&[0x0b; 16], b"Hi There", "9294727a3638bb1c13f48ef8158bfc9d"),
        (b"Jefe", b"what do ya want for nothing?", "750c783e6ab0b503eaa86e310a5db738"),
        (&[0xaa; 16], &[0xdd; 50], "56be34521d144c88dbb8c733f0e8b3f6"),
        (&[0x0c; 16], b"Test With Truncation", "56461ef2342edc00f9bab995690efd4c"),
        (
            &[0xaa; 80],
            b"Test Using Larger Than Block-Size Key - Hash Key First",
            "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd",
        ),
    ];
    for provider in providers() {
        for (message, answer) in answers {
            assert_eq!(digest(provider, Hash::Md5, message.as_bytes()), hex(answer), "{}", provider.name);
        }
        for (key, message, answer) in tags {
            assert_eq!(hmac(provider, Hash::Md5, key, message), hex(answer), "{}", provider.name);
        }
    }
}

/// R43: RFC 4231, test case 2 (a short key), and RFC 2202's for SHA-1.
#[test]
fn hmac_of_jefe() {
    let answers = [
        (Hash::Sha1, "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"),
        (Hash::Sha224, "a30e01098bc6dbbf45690f3a7e9e6d0f8bbea2a39e6148008fd05e44"),
        (Hash::Sha256, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"),
        (
            Hash::Sha384,
            "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecfab21649",
        ),
        (
            Hash::Sha512,
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554
             9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
        ),
    ];
    for provider in providers() {
        for (hash, answer) in answers {
            let tag = hmac(provider, hash, b"Jefe", b"what do ya want for nothing?");
            assert_eq!(tag, hex(answer), "{hash:?} on {}", provider.name);
        }
    }
}

/// A tag is as long as the verifier wants it: neither shorter nor longer ones pass, nor no tag at all.
#[test]
fn tag_lengths() {
    for provider in providers() {
        for hash in Hash::ALL {
            let key = provider.mac.hmac(hash, b"").unwrap();
            assert_eq!(key.tag_len(), hash.len());
            let tag = hmac(provider, hash, b"", b"message");
            let verify = |len, tag: &[u8]| {
                let mut run = key.start().unwrap();
                run.update(b"message").unwrap();
                run.verify(len, tag)
            };
            assert_eq!(verify(hash.len(), &tag), Ok(true), "{hash:?} on {}", provider.name);
            assert_eq!(verify(10, &tag[..10]), Ok(true));
            assert_eq!(verify(10, &tag[..9]), Ok(false));
            assert_eq!(verify(10, &tag), Ok(false));
            assert_eq!(verify(hash.len(), &tag[..10]), Ok(false));
            assert_eq!(verify(hash.len(), &[]), Ok(false));
            for wrong in [0, hash.len() + 1, usize::MAX] {
                assert_eq!(verify(wrong, &tag).unwrap_err().code, ErrorCode::InvalidArgument);
            }
        }
    }
}

/// A ready key is shared by threads, and its runs do not disturb each other.
#[test]
fn hmac_keys_are_shared() {
    for provider in providers() {
        let key = provider.mac.hmac(Hash::Sha256, b"key").unwrap();
        let expected = hmac(provider, Hash::Sha256, b"key", b"message");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..300 {
                        let mut run = key.start().unwrap();
                        run.update(b"mess").unwrap();
                        let mut other = key.start().unwrap();
                        other.update(b"something else").unwrap();
                        run.update(b"age").unwrap();
                        assert_eq!(run.verify(32, &expected), Ok(true));
                    }
                });
            }
        });
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// R43: both providers agree on every digest and MAC, however the input is cut.
    #[test]
    fn providers_agree(
        key in proptest::collection::vec(any::<u8>(), 0..300),
        message in proptest::collection::vec(any::<u8>(), 0..1000),
        at in any::<prop::sample::Index>(),
    ) {
        let (front, back) = message.split_at(at.index(message.len() + 1));
        for hash in Hash::ALL {
            let digests: Vec<_> = providers().into_iter().map(|p| digest(p, hash, &message)).collect();
            let tags: Vec<_> = providers().into_iter().map(|p| hmac(p, hash, &key, &message)).collect();
            for provider in providers() {
                let mut out = [0; MAX_DIGEST];
                let mut hasher = provider.digest.start(hash);
                hasher.update(front);
                let mut fork = hasher.fork();
                hasher.update(b"not in the copy");
                fork.update(back);
                let len = fork.finish(&mut out);
                prop_assert_eq!(&digests[0], &out[..len]);
                let len = provider.mac.hmac(hash, &key).unwrap().tag(&[front, back], &mut out).unwrap();
                prop_assert_eq!(&tags[0], &out[..len]);
            }
            prop_assert!(digests.windows(2).all(|two| two[0] == two[1]));
            prop_assert!(tags.windows(2).all(|two| two[0] == two[1]));
        }
    }
}
