//! DES and triple DES on every provider: the standards' examples, messages cut anywhere, what is refused, and the other
//! opinion of `openssl`.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::{
    BlockMode, CipherKey, CipherStream, Direction, Iv, MAX_DIGEST, Provider, providers,
};
use canis_proto::{ErrorCode, Result};
use crypto_material::hex;
use crypto_material::openssl::Bench;

/// The keys of NIST SP 800-67, appendix B.
const ONE: &str = "0123456789abcdef";
const TWO: &str = "0123456789abcdef 23456789abcdef01";
const THREE: &str = "0123456789abcdef 23456789abcdef01 456789abcdef0123";

fn des(provider: &Provider, key: &str) -> Box<dyn CipherKey> {
    provider.cipher.des(&hex(key)).unwrap()
}

/// A message through a stream, in parts of `part` bytes.
fn run(
    key: &dyn CipherKey,
    mode: BlockMode,
    direction: Direction,
    input: &[u8],
    part: usize,
) -> Result<Vec<u8>> {
    let mut stream = CipherStream::new(key, mode, direction)?;
    let mut out = Vec::new();
    for part in input.chunks(part) {
        let mut room = vec![0; stream.update_len(part.len())];
        assert_eq!(stream.update(part, &mut room)?, room.len(), "as long as announced");
        out.extend(room);
    }
    let mut room = vec![0; stream.finish_len()];
    let len = stream.finish(&mut room)?;
    out.extend_from_slice(&room[..len]);
    Ok(out)
}

/// R43: NIST SP 800-17, tables A.1 (plaintexts of one bit) and A.2 (keys of one bit), FIPS 46's validation example, and
/// NIST SP 800-67, appendix B.1, each both ways.
#[test]
fn known_answers() {
    let answers = [
        ("0101010101010101", "8000000000000000", "95f8a5e5dd31d900"),
        ("0101010101010101", "4000000000000000", "dd7f121ca5015619"),
        ("0101010101010101", "2000000000000000", "2e8653104f3834ea"),
        ("0101010101010101", "0000000000000001", "166b40b44aba4bd6"),
        ("8001010101010101", "0000000000000000", "95a8d72813daa94d"),
        ("4001010101010101", "0000000000000000", "0eec1487dd8c26d5"),
        ("133457799bbcdff1", "0123456789abcdef", "85e813540f0ab405"),
        (
            THREE,
            "5468652071756663 6b2062726f776e20 666f78206a756d70",
            "a826fd8ce53b855f cce21c8112256fe6 68d5c05dd9b6b900",
        ),
    ];
    for provider in providers() {
        for (key, plaintext, ciphertext) in answers {
            let key = des(provider, key);
            let (plaintext, ciphertext) = (hex(plaintext), hex(ciphertext));
            let sealed = run(&*key, BlockMode::Ecb, Direction::Encrypt, &plaintext, 5).unwrap();
            assert_eq!(sealed, ciphertext, "on {}", provider.name);
            assert_eq!(run(&*key, BlockMode::Ecb, Direction::Decrypt, &ciphertext, 5).unwrap(), plaintext);
        }
    }
}

/// R43: NIST SP 800-38B, appendices D.4 and D.5: CMAC with three keys and with two.
#[test]
fn cmac() {
    let message = hex("6bc1bee22e409f96 e93d7e117393172a ae2d8a571e03ac9c 9eb76fac45af8e51");
    let answers = [
        (
            "8aa83bf8cbda1062 0bc1bf19fbb6cd58 bc313d4a371ca8b5",
            [
                (0, "b7a688e122ffaf95"),
                (8, "8e8f293136283797"),
                (20, "743ddbe0ce2dc2ed"),
                (32, "33e6b1092400eae5"),
            ],
        ),
        (
            "4cf15134a2850dd5 8a3d10ba80570d38",
            [
                (0, "bd2ebf9a3ba00361"),
                (8, "4ff2ab813c53ce83"),
                (20, "62dd1b471902bd4e"),
                (32, "31b1e431dabc4eb8"),
            ],
        ),
    ];
    for provider in providers() {
        for (key, tags) in answers {
            let key = des(provider, key).cmac().unwrap();
            assert_eq!(key.tag_len(), 8);
            for (len, answer) in tags {
                let mut out = [0; MAX_DIGEST];
                assert_eq!(key.tag(&[&message[..len]], &mut out).unwrap(), 8);
                assert_eq!(out[..8], hex(answer), "{len} on {}", provider.name);
                for part in [1, 7, 8, 9] {
                    let mut run = key.start().unwrap();
                    message[..len].chunks(part).for_each(|part| run.update(part).unwrap());
                    assert_eq!(run.verify(8, &hex(answer)), Ok(true), "{len} in parts of {part}");
                }
            }
        }
    }
}

/// Parity is not looked at, and a key given twice or three times is that key.
#[test]
fn parity_is_ignored() {
    let clear = [0x5c; 24];
    for provider in providers() {
        let by =
            |key: &str| run(&*des(provider, key), BlockMode::Ecb, Direction::Encrypt, &clear, 24).unwrap();
        assert_eq!(by(ONE), by("0022446688aaccee"));
        assert_eq!(by(ONE), by(&[ONE, ONE].concat()));
        assert_eq!(by(ONE), by(&[ONE, ONE, ONE].concat()));
        assert_eq!(by(TWO), by(&[TWO, ONE].concat()));
        assert_ne!(by(TWO), by(THREE));
    }
}

#[test]
fn what_is_refused() {
    for provider in providers() {
        for len in [0, 7, 9, 15, 23, 25, 32] {
            let refused = provider.cipher.des(&vec![1; len]).err().unwrap();
            assert_eq!(refused.code, ErrorCode::InvalidArgument, "{len}");
        }
        let key = des(provider, THREE);
        let code = |mode, input: &[u8]| run(&*key, mode, Direction::Encrypt, input, 3).map_err(|e| e.code);
        assert_eq!(code(BlockMode::Ecb, &[1; 9]), Err(ErrorCode::InvalidArgument));
        let of_aes = [
            BlockMode::Cbc { iv: Iv::new([0; 16]) },
            BlockMode::CbcPad { iv: Iv::new([0; 16]) },
            BlockMode::Ctr { counter: [0; 16], bits: 64 },
        ];
        for mode in of_aes {
            assert_eq!(code(mode, &[1; 8]), Err(ErrorCode::InvalidArgument), "{mode:?}");
        }
        let aes = provider.cipher.aes(&[7; 16]).unwrap();
        let mode = BlockMode::Cbc { iv: Iv::new([0; 8]) };
        assert!(run(&*aes, mode, Direction::Encrypt, &[1; 16], 16).is_err());
    }
}

/// Every wrong padding of the last block, and every length that is none, is refused alike.
#[test]
fn padding_tells_nothing() {
    let iv = Iv::new([3; 8]);
    for provider in providers() {
        let key = des(provider, TWO);
        let open = |sealed: &[u8]| run(&*key, BlockMode::CbcPad { iv }, Direction::Decrypt, sealed, 5);
        for last in [0u8, 9, 16, 255] {
            let block = [[7; 8], [last; 8]].concat();
            let sealed = run(&*key, BlockMode::Cbc { iv }, Direction::Encrypt, &block, 16).unwrap();
            assert_eq!(open(&sealed).map_err(|e| e.code), Err(ErrorCode::DecryptionFailed), "{last}");
        }
        for len in 0..40 {
            let message = vec![0xa5; len];
            let sealed = run(&*key, BlockMode::CbcPad { iv }, Direction::Encrypt, &message, 3).unwrap();
            assert_eq!(sealed.len(), (len / 8 + 1) * 8);
            assert_eq!(open(&sealed).unwrap(), message);
            assert_eq!(open(&sealed[1..]).map_err(|e| e.code), Err(ErrorCode::DecryptionFailed));
        }
    }
}

/// R43: ECB, CBC with and without padding, and CMAC, as `openssl` has them.
#[test]
fn openssl_agrees() {
    let bench = Bench::new();
    let message: Vec<u8> = (0..1024u32).map(|byte| (byte * 7) as u8).collect();
    let iv = Iv::new([0x1f; 8]);
    let ciphers = [(ONE, "des", ""), (TWO, "des-ede", ""), (THREE, "des-ede3", "des-ede3-cbc")];
    for provider in providers() {
        for (digits, name, mac) in ciphers {
            let (key, digits) = (des(provider, digits), digits.replace(' ', ""));
            let modes = [
                (BlockMode::Ecb, if name == "des" { "-ecb" } else { "" }, "-nopad", 1024),
                (BlockMode::Cbc { iv }, "-cbc -iv 1f1f1f1f1f1f1f1f", "-nopad", 1024),
                (BlockMode::CbcPad { iv }, "-cbc -iv 1f1f1f1f1f1f1f1f", "", 1021),
            ];
            for (mode, suffix, padding, len) in modes {
                bench.write("clear", &message[..len]);
                bench.openssl(&format!(
                    "enc -{name}{suffix} {padding} -K {digits} -in clear -out sealed -provider legacy -provider default"
                ));
                let ours = run(&*key, mode, Direction::Encrypt, &message[..len], 100).unwrap();
                assert_eq!(ours, bench.read("sealed"), "{name} {mode:?} on {}", provider.name);
                let back = run(&*key, mode, Direction::Decrypt, &ours, 100).unwrap();
                assert_eq!(back, message[..len]);
            }
            if mac.is_empty() {
                continue;
            }
            bench.write("clear", &message);
            let theirs = bench.openssl(&format!("mac -cipher {mac} -macopt hexkey:{digits} -in clear CMAC"));
            let mut tag = [0; MAX_DIGEST];
            let len = key.cmac().unwrap().tag(&[&message], &mut tag).unwrap();
            assert_eq!(hex(theirs.trim()), tag[..len], "CMAC on {}", provider.name);
        }
    }
}
