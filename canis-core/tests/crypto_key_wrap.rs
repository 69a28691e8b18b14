//! AES Key Wrap on every provider: the RFCs' examples, and all that is refused.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::{KeyWrap, providers};
use canis_proto::ErrorCode;
use crypto_material::hex;

fn counting(from: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| from.wrapping_add(i as u8)).collect()
}

/// R43: RFC 3394, sections 4.1 and 4.6, and RFC 5649, section 6.
#[test]
fn key_wrap() {
    let long_key = "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8";
    let cases = [
        (
            KeyWrap::Kw,
            counting(0, 16),
            "00112233445566778899aabbccddeeff",
            "1fa68b0a8112b447 aef34bd8fb5a7b82 9d3e862371d2cfe5",
        ),
        (
            KeyWrap::Kw,
            counting(0, 32),
            "00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f",
            "28c9f404c4b810f4 cbccb35cfb87f826 3f5786e2d80ed326 cbc7f0e71a99f43b fb988b9b7a02dd21",
        ),
        (
            KeyWrap::Kwp,
            hex(long_key),
            "c37b7e6492584340bed12207808941155068f738",
            "138bdeaa9b8fa7fc61f97742e72248ee5ae6ae5360d1ae6a5f54f373fa543b6a",
        ),
        (KeyWrap::Kwp, hex(long_key), "466f7250617369", "afbeb0f07dfbf5419200f2ccb50bb24f"),
    ];
    for provider in providers() {
        for (how, key, secret, answer) in &cases {
            let key = provider.cipher.aes(key).unwrap();
            assert_eq!(key.wrap_key(*how, &hex(secret)).unwrap(), hex(answer), "{}", provider.name);
            assert_eq!(key.unwrap_key(*how, &hex(answer)).unwrap().expose(), hex(secret));
        }
    }
}

/// What cannot be wrapped, and wrapped keys with a byte changed, cut off or added; and what one form wraps, the other
/// does not unwrap.
#[test]
fn key_wrap_refuses() {
    for provider in providers() {
        let key = provider.cipher.aes(&[7; 24]).unwrap();
        for (how, len) in [
            (KeyWrap::Kw, 0),
            (KeyWrap::Kw, 8),
            (KeyWrap::Kw, 17),
            (KeyWrap::Kwp, 0),
            (KeyWrap::Kwp, 2 << 20),
        ] {
            let error = key.wrap_key(how, &vec![1; len]).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgument, "{how:?} {len}");
        }
        for (how, other, len) in [
            (KeyWrap::Kw, KeyWrap::Kwp, 16),
            (KeyWrap::Kw, KeyWrap::Kwp, 40),
            (KeyWrap::Kwp, KeyWrap::Kw, 1),
            (KeyWrap::Kwp, KeyWrap::Kw, 8),
            (KeyWrap::Kwp, KeyWrap::Kw, 33),
        ] {
            let good = key.wrap_key(how, &vec![1; len]).unwrap();
            let refused = |how, wrapped: &[u8]| {
                let error = key.unwrap_key(how, wrapped).err().unwrap();
                assert_eq!(error.code, ErrorCode::DecryptionFailed, "{how:?} {len} on {}", provider.name);
            };
            refused(other, &good);
            for at in 0..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 1;
                refused(how, &bad);
                refused(how, &good[..at]);
            }
            refused(how, &[&good[..], &[0; 8]].concat());
            refused(how, &[&good[..], &[0]].concat());
        }
    }
}
