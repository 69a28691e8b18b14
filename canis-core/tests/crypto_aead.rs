//! AES-GCM and XAES-256-GCM on every provider and crosswise, and every way in which a ciphertext can be wrong.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

use canis_core::crypto::xaes::{OVERHEAD, XaesKey, plaintext_len};
use canis_core::crypto::{GcmKey, providers};
use canis_proto::ErrorCode;

const NONCE: [u8; 12] = [9; 12];

fn sealed(key: &dyn GcmKey, aad: &[u8], plaintext: &[u8]) -> (Vec<u8>, [u8; 16]) {
    let (mut ciphertext, mut tag) = (vec![0; plaintext.len()], [0; 16]);
    key.seal(&NONCE, aad, plaintext, &mut ciphertext, &mut tag).unwrap();
    (ciphertext, tag)
}

/// R1: what one provider seals with any key size, the other opens to the same bytes.
#[test]
fn gcm_crosses() {
    for from in providers() {
        for to in providers() {
            for size in [16, 24, 32] {
                let (seal, open) =
                    (from.cipher.aes_gcm(&[7; 32][..size]), to.cipher.aes_gcm(&[7; 32][..size]));
                let (seal, open) = (seal.unwrap(), open.unwrap());
                for len in [0, 1, 15, 16, 17, 1000, 70_000] {
                    let plaintext: Vec<u8> = (0..len).map(|i: u32| i as u8).collect();
                    let (ciphertext, tag) = sealed(&*seal, b"context", &plaintext);
                    let mut out = vec![0xee; plaintext.len()];
                    open.open(&NONCE, b"context", &ciphertext, &tag, &mut out).unwrap();
                    assert_eq!(out, plaintext, "{} → {}, {size}, {len}", from.name, to.name);
                }
            }
        }
    }
}

/// R1: any flipped byte of ciphertext or tag, another nonce or context fails alike and leaves zeros.
#[test]
fn gcm_refuses() {
    for provider in providers() {
        let key = provider.cipher.aes_gcm(&[7; 32]).unwrap();
        let (ciphertext, tag) = sealed(&*key, b"context", b"forty bytes of plaintext, more or less..");
        let refused = |nonce: &[u8; 12], aad: &[u8], ciphertext: &[u8], tag: &[u8; 16]| {
            let mut out = vec![0xee; ciphertext.len()];
            let error = key.open(nonce, aad, ciphertext, tag, &mut out).unwrap_err();
            assert_eq!(error.code, ErrorCode::DecryptionFailed, "{}", provider.name);
            assert!(out.iter().all(|&b| b == 0), "{} leaves something", provider.name);
            error.message
        };
        let mut texts =
            vec![refused(&[8; 12], b"context", &ciphertext, &tag), refused(&NONCE, b"", &ciphertext, &tag)];
        for at in 0..ciphertext.len() {
            let mut bad = ciphertext.clone();
            bad[at] ^= 1 << (at % 8);
            texts.push(refused(&NONCE, b"context", &bad, &tag));
        }
        for at in 0..16 {
            let mut bad = tag;
            bad[at] ^= 0x80;
            texts.push(refused(&NONCE, b"context", &ciphertext, &bad));
        }
        texts.push(refused(&NONCE, b"context", &ciphertext[1..], &tag));
        texts.push(refused(&NONCE, b"context", &[], &tag));
        texts.dedup();
        assert_eq!(texts.len(), 1, "one text for every failure");
    }
}

/// Wrong lengths are the caller's mistake, and nothing is written.
#[test]
fn gcm_lengths() {
    for provider in providers() {
        for size in [0, 8, 15, 17, 31, 33, 64] {
            let error = provider.cipher.aes_gcm(&vec![0; size]).err().unwrap();
            assert_eq!(error.code, ErrorCode::InvalidArgument, "{size}");
        }
        let key = provider.cipher.aes_gcm(&[7; 16]).unwrap();
        let (mut out, mut tag) = ([0xee; 4], [0xee; 16]);
        let error = key.seal(&NONCE, b"", &[1; 5], &mut out, &mut tag).unwrap_err();
        assert_eq!((error.code, out, tag), (ErrorCode::InvalidArgument, [0xee; 4], [0xee; 16]));
        let error = key.open(&NONCE, b"", &[1; 5], &tag, &mut out).unwrap_err();
        assert_eq!((error.code, out), (ErrorCode::InvalidArgument, [0xee; 4]));
    }
}

/// R1: XAES-256-GCM with random nonces crosses providers; nonces differ; every byte counts.
#[test]
fn xaes_crosses_and_refuses() {
    for from in providers() {
        for to in providers() {
            let (seal, open) = (XaesKey::new(from, &[5; 32]).unwrap(), XaesKey::new(to, &[5; 32]).unwrap());
            let other = XaesKey::new(to, &[6; 32]).unwrap();
            for len in [0, 1, 33, 5000] {
                let plaintext = vec![0x42; len];
                let sealed = seal.seal_to_vec(b"context", &plaintext).unwrap();
                assert_eq!((sealed.len(), plaintext_len(sealed.len())), (len + OVERHEAD, Some(len)));
                assert_ne!(sealed, seal.seal_to_vec(b"context", &plaintext).unwrap());
                let mut out = vec![0xee; len];
                open.open_from_slice(b"context", &sealed, &mut out).unwrap();
                assert_eq!(out, plaintext);

                let refused = |key: &XaesKey, aad: &[u8], sealed: &[u8], len: usize| {
                    let mut out = vec![0xee; len];
                    let error = key.open_from_slice(aad, sealed, &mut out).unwrap_err();
                    assert_eq!(error.code, ErrorCode::DecryptionFailed);
                    assert!(out.iter().all(|&b| b == 0));
                };
                refused(&other, b"context", &sealed, len);
                refused(&open, b"Context", &sealed, len);
                for at in (0..sealed.len()).step_by(1 + len / 100) {
                    let mut bad = sealed.clone();
                    bad[at] ^= 0x10;
                    refused(&open, b"context", &bad, len);
                }
                for cut in [0, 1, 23, 24, 39] {
                    refused(&open, b"context", &sealed[..cut], len);
                }
                let error = open.open_from_slice(b"context", &sealed, &mut vec![0; len + 1]).unwrap_err();
                assert_eq!(error.code, ErrorCode::InvalidArgument);
            }
        }
    }
    assert_eq!((plaintext_len(OVERHEAD), plaintext_len(OVERHEAD - 1)), (Some(0), None));
}

/// One key, many threads: a ready key is shared without a lock.
#[test]
fn keys_are_shared() {
    for provider in providers() {
        let key = provider.cipher.aes_gcm(&[7; 32]).unwrap();
        let expected = sealed(&*key, b"", b"text");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..500).for_each(|_| assert_eq!(sealed(&*key, b"", b"text"), expected)));
            }
        });
    }
}

/// Random bytes are not twice the same, and not zeros, whatever the length.
#[test]
fn random_bytes() {
    for provider in providers() {
        let (mut a, mut b) = ([0; 64], [0; 64]);
        provider.random.fill(&mut a).unwrap();
        provider.random.fill(&mut b).unwrap();
        assert!(a != b && a != [0; 64] && b != [0; 64], "{}", provider.name);
        provider.random.fill(&mut []).unwrap();
        let mut much = vec![0; 1 << 20];
        provider.random.fill(&mut much).unwrap();
        let ones: u32 = much.iter().map(|byte| byte.count_ones()).sum();
        assert!(ones.abs_diff(4 << 20) < 20_000, "{}: {ones} ones of 2^23 bits", provider.name);
    }
}
