//! Key derivation on every provider: the standards' examples, the other provider and openssl.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::derive::{self, Field, Width};
use canis_core::crypto::{Hash, MAX_DIGEST, Provider, providers};
use canis_proto::ErrorCode;
use crypto_material::hex;
use proptest::prelude::*;
use std::process::Command;

const fn wide(bits: u32) -> Width {
    Width { bits, little_endian: false }
}

/// R43: RFC 5869, appendix A.1 (both steps), A.4 (SHA-1) and A.7 (no salt).
#[test]
fn rfc_5869() {
    let salt: Vec<u8> = (0..13).collect();
    let info: Vec<u8> = (0xf0..=0xf9).collect();
    let cases = [
        (
            Hash::Sha256,
            vec![0x0b; 22],
            &salt[..],
            &info[..],
            "077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5",
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
        ),
        (
            Hash::Sha1,
            vec![0x0b; 11],
            &salt,
            &info,
            "9b6c18c432a7bf8f0e71c8eb88f4b30baa2ba243",
            "085a01ea1b10f36933068b56efa5ad81a4f14b822f5b091568a9cdd4f155fda2c22e422478d305f3f896",
        ),
        (
            Hash::Sha1,
            vec![0x0c; 22],
            &[],
            &[],
            "2adccada18779e7c2077ad2eb19d3f3e731385dd",
            "2c91117204d745f3500d636a62f64f0ab3bae548aa53d423b0d1f27ebba6f5e5673a081d70cce7acfc48",
        ),
    ];
    for provider in providers() {
        for (hash, secret, salt, info, prk, okm) in &cases {
            let (mut made, mut out) = ([0; MAX_DIGEST], [0; 42]);
            let len = derive::hkdf_extract(provider, *hash, salt, secret, &mut made).unwrap();
            assert_eq!(made[..len], hex(prk), "{hash:?} on {}", provider.name);
            derive::hkdf_expand(provider, *hash, &made[..len], info, &mut out).unwrap();
            assert_eq!(out[..], hex(okm), "{hash:?} on {}", provider.name);
        }
        for hash in Hash::ALL {
            let key = vec![1; hash.len()];
            let mut out = vec![0; 255 * hash.len() + 1];
            let last = out.len() - 1;
            assert!(derive::hkdf_expand(provider, hash, &key, b"", &mut out[..last]).is_ok());
            let refused = [
                derive::hkdf_expand(provider, hash, &key, b"", &mut out).unwrap_err(),
                derive::hkdf_expand(provider, hash, &key[1..], b"", &mut out[..1]).unwrap_err(),
            ];
            assert!(refused.iter().all(|error| error.code == ErrorCode::InvalidArgument));
        }
    }
}

/// R43: RFC 6070 (PBKDF2-HMAC-SHA-1), and what is refused.
#[test]
fn rfc_6070() {
    let cases = [
        ("password", "salt", 1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
        ("password", "salt", 4096, "4b007901b765489abead49d926f721d065a429c1"),
        (
            "passwordPASSWORDpassword",
            "saltSALTsaltSALTsaltSALTsaltSALTsalt",
            4096,
            "3d2eec4fe41c849b80c8d83662c0e44a8b291a964cf2f07038",
        ),
        ("pass\0word", "sa\0lt", 4096, "56fa6aa75548099dcc37d7f03425e0c3"),
    ];
    for provider in providers() {
        for (password, salt, iterations, answer) in cases {
            let answer = hex(answer);
            let mut out = vec![0; answer.len()];
            let (password, salt) = (password.as_bytes(), salt.as_bytes());
            provider.kdf.pbkdf2(Hash::Sha1, password, salt, iterations, &mut out).unwrap();
            assert_eq!(out, answer, "{iterations} on {}", provider.name);
        }
        for (iterations, len) in [(0, 16), (1, 0)] {
            let error =
                provider.kdf.pbkdf2(Hash::Sha256, b"", b"", iterations, &mut vec![0; len]).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgument);
        }
    }
}

/// R43: NIST CAVP, ANS X9.63-2001 (SHA-256, no SharedInfo).
#[test]
fn cavp_x963() {
    for provider in providers() {
        let mut out = [0; 16];
        let shared = hex("96c05619d56c328ab95fe84b18264b08725b85e33fd34f08");
        derive::x963(provider, Hash::Sha256, &shared, b"", &mut out).unwrap();
        assert_eq!(out[..], hex("443024c3dae66b95e6f5670601558f71"), "{}", provider.name);
        let error = derive::x963(provider, Hash::Sha256, &shared, b"", &mut []).unwrap_err();
        assert_eq!(error.code, ErrorCode::InvalidArgument);
    }
}

/// R43: NIST CAVP, SP 800-108 KDF in counter mode (HMAC-SHA-256, counter of 8 and 32 bits before the fixed input).
#[test]
fn cavp_sp_800_108() {
    let cases = [
        (
            8,
            "3edc6b5b8f7aadbd713732b482b8f979286e1ea3b8f8f99c30c884cfe3349b83",
            "98e9988bb4cc8b34d7922e1c68ad692ba2a1d9ae15149571675f17a77ad49e80
             c8d2a85e831a26445b1f0ff44d7084a17206b4896c8112daad18605a",
            "6c037652990674a07844732d0ad985f9",
        ),
        (
            32,
            "dd1d91b7d90b2bd3138533ce92b272fbf8a369316aefe242e659cc0ae238afe0",
            "01322b96b30acd197979444e468e1c5c6859bf1b1cf951b7e725303e237e46b8
             64a145fab25e517b08f8683d0315bb2911d80a0e8aba17f3b413faac",
            "10621342bfb0fd40046c0e29f2cfdbf0",
        ),
    ];
    for provider in providers() {
        for (bits, key, fixed, answer) in cases {
            let prf = provider.mac.hmac(Hash::Sha256, &hex(key)).unwrap();
            let mut out = [0; 16];
            let fields = [Field::Counter(wide(bits)), Field::Bytes(&hex(fixed))];
            derive::sp_800_108_counter(&*prf, &fields, &mut out).unwrap();
            assert_eq!(out[..], hex(answer), "{bits} bits on {}", provider.name);
        }
    }
}

/// One counter, of a width there is, that does not run over; numbers either end first.
#[test]
fn sp_800_108_fields() {
    for provider in providers() {
        let prf = provider.mac.hmac(Hash::Sha256, b"key").unwrap();
        let derived = |fields: &[Field<'_>], len: usize| {
            let mut out = vec![0; len];
            derive::sp_800_108_counter(&*prf, fields, &mut out).map(|()| out).map_err(|error| error.code)
        };
        let refused = Err(ErrorCode::InvalidArgument);
        let counter = Field::Counter(wide(8));
        assert_eq!(derived(&[], 16), refused);
        assert_eq!(derived(&[counter, counter], 16), refused);
        assert_eq!(derived(&[counter], 0), refused);
        for bits in [0, 7, 40, 64] {
            assert_eq!(derived(&[Field::Counter(wide(bits))], 16), refused);
        }
        assert_eq!(derived(&[counter], 255 * 32).map(|out| out.len()), Ok(255 * 32));
        assert_eq!(derived(&[counter], 255 * 32 + 1), refused);
        assert_eq!(derived(&[counter, Field::Length(wide(8))], 32), refused, "256 bits in 8");
        let little = Width { bits: 16, little_endian: true };
        for (fields, written) in [
            (
                vec![Field::Bytes(b"ab"), Field::Counter(little), Field::Length(little)],
                &b"ab\x01\0\0\x01"[..],
            ),
            (vec![Field::Length(wide(64)), Field::Counter(wide(24))], b"\0\0\0\0\0\0\x01\0\0\0\x01"),
        ] {
            let mut tag = [0; MAX_DIGEST];
            prf.tag(&[written], &mut tag).unwrap();
            assert_eq!(derived(&fields, 32).unwrap(), tag[..32], "{}", provider.name);
        }
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What `openssl kdf` derives.
fn openssl(len: usize, options: &[String], name: &str) -> Vec<u8> {
    let options = options.iter().flat_map(|option| ["-kdfopt", option]);
    let output = Command::new("openssl")
        .args(["kdf", "-keylen", &len.to_string()])
        .args(options)
        .arg(name)
        .output()
        .unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    hex(&String::from_utf8_lossy(&output.stdout))
}

/// R43: openssl derives the same with HKDF, PBKDF2, X9.63 and SP 800-108 over HMAC and CMAC.
#[test]
fn openssl_agrees() {
    let (key, salt, info) = ([0x77; 40], [0x88; 16], b"context".as_slice());
    let names = [
        (Hash::Sha1, "SHA1"),
        (Hash::Sha224, "SHA224"),
        (Hash::Sha512, "SHA512"),
        (Hash::Sha3_256, "SHA3-256"),
    ];
    let options = |list: &[(&str, &str)]| list.iter().map(|(k, v)| format!("{k}:{v}")).collect::<Vec<_>>();
    let (key_text, salt_text, info_text) = (text(&key), text(&salt), text(info));
    let check = |provider: &Provider, hash: Hash, name: &str| {
        let mut out = [0; 100];
        let mut prk = [0; MAX_DIGEST];
        let len = derive::hkdf_extract(provider, hash, &salt, &key, &mut prk).unwrap();
        derive::hkdf_expand(provider, hash, &prk[..len], info, &mut out).unwrap();
        let list =
            [("digest", name), ("hexkey", &key_text), ("hexsalt", &salt_text), ("hexinfo", &info_text)];
        assert_eq!(out[..], openssl(100, &options(&list), "HKDF"), "HKDF {name}");

        provider.kdf.pbkdf2(hash, &key, &salt, 1000, &mut out).unwrap();
        let list = [("digest", name), ("hexpass", &key_text), ("hexsalt", &salt_text), ("iter", "1000")];
        assert_eq!(out[..], openssl(100, &options(&list), "PBKDF2"), "PBKDF2 {name}");

        derive::x963(provider, hash, &key, info, &mut out).unwrap();
        let list = [("digest", name), ("hexkey", &key_text), ("hexinfo", &info_text)];
        assert_eq!(out[..], openssl(100, &options(&list), "X963KDF"), "X9.63 {name}");

        // Counter, label, zero, context, length: the fixed input that SP 800-108 suggests.
        let fields = [
            Field::Counter(wide(32)),
            Field::Bytes(&salt),
            Field::Bytes(&[0]),
            Field::Bytes(info),
            Field::Length(wide(32)),
        ];
        let prf = provider.mac.hmac(hash, &key).unwrap();
        derive::sp_800_108_counter(&*prf, &fields, &mut out).unwrap();
        let list = [
            ("mode", "COUNTER"),
            ("mac", "HMAC"),
            ("digest", name),
            ("hexkey", &key_text),
            ("hexsalt", &salt_text),
            ("hexinfo", &info_text),
        ];
        assert_eq!(out[..], openssl(100, &options(&list), "KBKDF"), "SP 800-108 {name}");
        let prf = provider.cipher.aes(&key[..32]).unwrap().cmac().unwrap();
        derive::sp_800_108_counter(&*prf, &fields, &mut out).unwrap();
        let list = [
            ("mode", "COUNTER"),
            ("mac", "CMAC"),
            ("cipher", "AES-256-CBC"),
            ("hexkey", &key_text[..64]),
            ("hexsalt", &salt_text),
            ("hexinfo", &info_text),
        ];
        assert_eq!(out[..], openssl(100, &options(&list), "KBKDF"), "SP 800-108 with CMAC");
    };
    for provider in providers() {
        names.iter().for_each(|(hash, name)| check(provider, *hash, name));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]

    /// R43: both providers derive the same with every hash, whatever the lengths.
    #[test]
    fn providers_agree(
        secret in proptest::collection::vec(any::<u8>(), 0..200),
        salt in proptest::collection::vec(any::<u8>(), 0..200),
        info in proptest::collection::vec(any::<u8>(), 0..50),
        len in 1usize..300,
        iterations in 1u32..20,
    ) {
        for hash in Hash::ALL {
            let derived: Vec<_> = providers()
                .into_iter()
                .map(|provider| {
                    let mut out = vec![0; 3 * len];
                    let (a, rest) = out.split_at_mut(len);
                    let (b, c) = rest.split_at_mut(len);
                    let mut prk = [0; MAX_DIGEST];
                    let size = derive::hkdf_extract(provider, hash, &salt, &secret, &mut prk).unwrap();
                    derive::hkdf_expand(provider, hash, &prk[..size], &info, a).unwrap();
                    provider.kdf.pbkdf2(hash, &secret, &salt, iterations, b).unwrap();
                    derive::x963(provider, hash, &secret, &info, c).unwrap();
                    out
                })
                .collect();
            prop_assert!(derived.windows(2).all(|two| two[0] == two[1]));
        }
    }
}
