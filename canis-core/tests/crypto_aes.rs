//! Every mode of AES on every provider and crosswise: the standards' examples, messages cut anywhere, and all that is
//! refused.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::{
    AesKey, BlockMode, CipherStream, Direction, Iv, KeyWrap, MAX_DIGEST, ccm, providers,
};
use canis_proto::{ErrorCode, Result};
use crypto_material::hex;
use proptest::prelude::*;

/// A message through a stream, cut at the given places.
fn stream(
    key: &dyn AesKey,
    mode: BlockMode,
    direction: Direction,
    input: &[u8],
    cuts: &[usize],
) -> Result<Vec<u8>> {
    let mut stream = CipherStream::new(key, mode, direction)?;
    let mut out = Vec::new();
    let mut at = 0;
    for cut in cuts.iter().copied().chain([input.len()]) {
        let part = &input[at..cut.clamp(at, input.len())];
        at += part.len();
        let mut room = vec![0xee; stream.update_len(part.len()) + 1];
        let len = stream.update(part, &mut room)?;
        assert_eq!((len, room[len]), (room.len() - 1, 0xee), "as long as announced");
        out.extend_from_slice(&room[..len]);
    }
    let mut room = vec![0; stream.finish_len()];
    let len = stream.finish(&mut room)?;
    out.extend_from_slice(&room[..len]);
    Ok(out)
}

fn whole(key: &dyn AesKey, mode: BlockMode, direction: Direction, input: &[u8]) -> Result<Vec<u8>> {
    stream(key, mode, direction, input, &[])
}

const EXAMPLE: &str = "6bc1bee22e409f96e93d7e117393172a ae2d8a571e03ac9c9eb76fac45af8e51
                       30c81c46a35ce411e5fbc1191a0a52ef f69f2445df4f9b17ad2b417be66c3710";
const KEY_128: &str = "2b7e151628aed2a6abf7158809cf4f3c";
const KEY_256: &str = "603deb1015ca71be2b73aef0857d7781 1f352c073b6108d72d9810a30914dff4";

fn counting(from: u8, len: usize) -> Vec<u8> {
    (0..len).map(|i| from.wrapping_add(i as u8)).collect()
}

/// R43: NIST SP 800-38A, appendix F.1 (ECB), F.2 (CBC) and F.5 (CTR).
#[test]
fn sp_800_38a() {
    let iv = Iv::for_block(16, &counting(0, 16)).unwrap();
    let counter = counting(0xf0, 16).try_into().unwrap();
    let cases = [
        (
            KEY_128,
            BlockMode::Ecb,
            "3ad77bb40d7a3660a89ecaf32466ef97 f5d3d58503b9699de785895a96fdbaaf
             43b1cd7f598ece23881b00e3ed030688 7b0c785e27e8ad3f8223207104725dd4",
        ),
        (
            KEY_256,
            BlockMode::Ecb,
            "f3eed1bdb5d2a03c064b5a7e3db181f8 591ccb10d410ed26dc5ba74a31362870
             b6ed21b99ca6f4f9f153e7b1beafed1d 23304b7a39f9f3ff067d8d8f9e24ecc7",
        ),
        (
            KEY_256,
            BlockMode::Cbc { iv },
            "f58c4c04d6e5f1ba779eabfb5f7bfbd6 9cfc4e967edb808d679f777bc6702c7d
             39f23369a9d9bacfa530e26304231461 b2eb05e2c39be9fcda6c19078c6a9d1b",
        ),
        (
            KEY_256,
            BlockMode::Ctr { counter, bits: 128 },
            "601ec313775789a5b7a7f504bbf3d228 f443e3ca4d62b59aca84e990cacaf5c5
             2b0930daa23de94ce87017ba2d84988d dfc9c58db67aada613c2dd08457941a6",
        ),
    ];
    for provider in providers() {
        for (key, mode, answer) in cases {
            let key = provider.cipher.aes(&hex(key)).unwrap();
            let (plaintext, ciphertext) = (hex(EXAMPLE), hex(answer));
            let sealed = whole(&*key, mode, Direction::Encrypt, &plaintext).unwrap();
            assert_eq!(sealed, ciphertext, "{mode:?} on {}", provider.name);
            assert_eq!(whole(&*key, mode, Direction::Decrypt, &ciphertext).unwrap(), plaintext);
        }
    }
}

/// R43: RFC 4493, section 4 (AES-CMAC), in one part and in many.
#[test]
fn rfc_4493() {
    let answers = [
        (0, "bb1d6929e95937287fa37d129b756746"),
        (16, "070a16b46b4d4144f79bdd9dd04a287c"),
        (40, "dfa66747de9ae63030ca32611497c827"),
        (64, "51f0bebf7e3b9d92fc49741779363cfe"),
    ];
    for provider in providers() {
        let key = provider.cipher.aes(&hex(KEY_128)).unwrap().cmac().unwrap();
        assert_eq!(key.tag_len(), 16);
        for (len, answer) in answers {
            let message = &hex(EXAMPLE)[..len];
            let mut out = [0; MAX_DIGEST];
            assert_eq!(key.tag(&[message], &mut out).unwrap(), 16);
            assert_eq!(out[..16], hex(answer), "{len} on {}", provider.name);
            for part in [1, 7, 16, 33] {
                let mut run = key.start().unwrap();
                message.chunks(part).for_each(|part| run.update(part).unwrap());
                assert_eq!(run.verify(8, &hex(answer)[..8]), Ok(true), "a truncated tag");
            }
        }
    }
}

/// R43: NIST SP 800-38C, appendix C, examples 1 to 4, and RFC 3610, section 8, packet vector 1.
#[test]
fn sp_800_38c() {
    let key = counting(0x40, 16);
    let cases = [
        (&key, counting(0x10, 7), counting(0, 8), counting(0x20, 4), "7162015b", "4dac255d"),
        (
            &key,
            counting(0x10, 8),
            counting(0, 16),
            counting(0x20, 16),
            "d2a1f0e051ea5f62081a7792073d593d",
            "1fc64fbfaccd",
        ),
        (
            &key,
            counting(0x10, 12),
            counting(0, 20),
            counting(0x20, 24),
            "e3b201a9f5b71a7a9b1ceaeccd97e70b6176aad9a4428aa5",
            "484392fbc1b09951",
        ),
        (
            &key,
            counting(0x10, 13),
            counting(0, 65_536),
            counting(0x20, 32),
            "69915dad1e84c6376a68c2967e4dab615ae0fd1faec44cc484828529463ccf72",
            "b4ac6bec93e8598e7f0dadbcea5b",
        ),
        (
            &counting(0xc0, 16),
            hex("00000003020100a0a1a2a3a4a5"),
            counting(0, 8),
            counting(8, 23),
            "588c979a61c663d2f066d0c2c0f989806d5f6b61dac384",
            "17e8d12cfdf926e0",
        ),
    ];
    for provider in providers() {
        for (key, nonce, aad, plaintext, ciphertext, tag) in &cases {
            let key = provider.cipher.aes(key).unwrap();
            let (mut sealed, mut made) = (vec![0; plaintext.len()], vec![0; tag.len() / 2]);
            ccm::seal(&*key, nonce, aad, plaintext, &mut sealed, &mut made).unwrap();
            assert_eq!((&sealed, &made), (&hex(ciphertext), &hex(tag)), "{}", provider.name);
            let mut out = vec![0xee; sealed.len()];
            ccm::open(&*key, nonce, aad, &sealed, &made, &mut out).unwrap();
            assert_eq!(&out, plaintext);
            made[0] ^= 1;
            let error = ccm::open(&*key, nonce, aad, &sealed, &made, &mut out).unwrap_err();
            assert_eq!((error.code, out), (ErrorCode::DecryptionFailed, vec![0; sealed.len()]));
        }
        let key = provider.cipher.aes(&key).unwrap();
        let seal = |nonce: usize, tag: usize, len: usize| {
            ccm::seal(&*key, &vec![0; nonce], b"", &vec![0; len], &mut vec![0; len], &mut vec![0; tag])
                .map_err(|error| error.code)
        };
        for (nonce, tag, len) in
            [(6, 16, 1), (14, 16, 1), (12, 2, 1), (12, 5, 1), (12, 18, 1), (13, 16, 65_536)]
        {
            assert_eq!(seal(nonce, tag, len), Err(ErrorCode::InvalidArgument), "{nonce}, {tag}, {len}");
        }
        assert_eq!(seal(13, 16, 65_535), Ok(()));
    }
}

/// CBC_PAD answers every wrong ciphertext alike: length, padding, and no ciphertext at all.
#[test]
fn one_answer_for_wrong_padding() {
    let iv = Iv::new([3; 16]);
    for provider in providers() {
        let key = provider.cipher.aes(&[7; 16]).unwrap();
        let (padded, plain) = (BlockMode::CbcPad { iv }, BlockMode::Cbc { iv });
        let mut wrong: Vec<Vec<u8>> = [[0u8; 16], [17; 16], [255; 16], [2; 16].map(|_| 0)]
            .into_iter()
            .chain((1..=16u8).map(|fill| {
                let mut block = [fill; 16];
                block[16 - usize::from(fill)] ^= u8::from(fill > 1);
                block[15] = if fill == 1 { 0 } else { fill };
                block
            }))
            .map(|block| whole(&*key, plain, Direction::Encrypt, &block).unwrap())
            .collect();
        let good = whole(&*key, padded, Direction::Encrypt, b"a message of some length").unwrap();
        wrong.extend([vec![], good[..31].to_vec(), good[..1].to_vec(), [&good[..], &[0]].concat()]);
        let mut answers: Vec<_> = wrong
            .iter()
            .map(|bad| whole(&*key, padded, Direction::Decrypt, bad).unwrap_err())
            .map(|error| (error.code, error.message))
            .collect();
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert_eq!(answers[0].0, ErrorCode::DecryptionFailed);
    }
}

/// Whole blocks are whole, buffers have room, and a refused update has taken nothing.
#[test]
fn stream_lengths() {
    for provider in providers() {
        for len in [0, 8, 15, 17, 23, 31, 33, 64] {
            assert_eq!(provider.cipher.aes(&vec![0; len]).err().unwrap().code, ErrorCode::InvalidArgument);
        }
        let key = provider.cipher.aes(&[7; 32]).unwrap();
        for mode in [BlockMode::Ecb, BlockMode::Cbc { iv: Iv::new([0; 16]) }] {
            for direction in [Direction::Encrypt, Direction::Decrypt] {
                let error = whole(&*key, mode, direction, &[1; 33]).unwrap_err();
                assert_eq!(error.code, ErrorCode::InvalidArgument);
                assert!(whole(&*key, mode, direction, &[]).unwrap().is_empty());
            }
        }
        let mut stream = CipherStream::new(&*key, BlockMode::Ecb, Direction::Encrypt).unwrap();
        assert_eq!(stream.update(&[1; 16], &mut [0; 15]).unwrap_err().code, ErrorCode::InvalidArgument);
        let mut out = [0; 16];
        assert_eq!((stream.update(&[1; 16], &mut out).unwrap(), stream.finish(&mut []).unwrap()), (16, 0));
        assert_eq!(out[..], whole(&*key, BlockMode::Ecb, Direction::Encrypt, &[1; 16]).unwrap());
    }
}

/// A counter neither repeats nor runs into the nonce before it (PKCS#11 3.1, section 6.13.5).
#[test]
fn ctr_counts_its_bits_only() {
    for provider in providers() {
        let key = provider.cipher.aes(&[7; 32]).unwrap();
        let run = |counter: [u8; 16], bits, len| {
            whole(&*key, BlockMode::Ctr { counter, bits }, Direction::Encrypt, &vec![0; len])
                .map_err(|error| error.code)
        };
        for bits in [0, 129, u32::MAX] {
            assert_eq!(run([0; 16], bits, 1), Err(ErrorCode::InvalidArgument), "{bits} bits");
        }
        assert_eq!(run([0xff; 16], 128, 16).map(|out| out.len()), Ok(16));
        assert_eq!(run([0xff; 16], 128, 17), Err(ErrorCode::InvalidArgument));
        assert_eq!(run([0; 16], 1, 32).map(|out| out.len()), Ok(32));
        assert_eq!(run([0; 16], 1, 33), Err(ErrorCode::InvalidArgument));
        assert_eq!(run([0xfe; 16], 4, 32).map(|out| out.len()), Ok(32));
        assert_eq!(run([0xfe; 16], 4, 33), Err(ErrorCode::InvalidArgument));
        // What is refused has not been counted: the stream goes on with less.
        let mode = BlockMode::Ctr { counter: [0; 16], bits: 1 };
        let mut stream = CipherStream::new(&*key, mode, Direction::Encrypt).unwrap();
        let mut out = [0; 40];
        assert_eq!(stream.update(&[0; 30], &mut out).unwrap(), 30);
        assert!(stream.update(&[0; 3], &mut out).is_err());
        assert_eq!(stream.update(&[0; 2], &mut out).unwrap(), 2);
        assert_eq!(out[..2], run([0; 16], 1, 32).unwrap()[30..]);
    }
}

/// GCM takes every IV but none, and the standard's tag lengths only; a short tag is the start of the long one.
#[test]
fn gcm_lengths() {
    for provider in providers() {
        let key = provider.cipher.aes(&[7; 32]).unwrap();
        let seal = |iv: &[u8], tag: usize| {
            let (mut out, mut tag) = ([0; 5], vec![0; tag]);
            key.gcm_seal(iv, b"aad", b"hello", &mut out, &mut tag).map(|()| (out, tag)).map_err(|e| e.code)
        };
        assert_eq!(seal(&[], 16), Err(ErrorCode::InvalidArgument));
        for tag in [0, 1, 5, 7, 9, 11, 17] {
            assert_eq!(seal(&[1; 12], tag), Err(ErrorCode::InvalidArgument), "{tag}");
        }
        for iv in [1, 8, 11, 12, 13, 16, 17, 64, 4000] {
            let iv = vec![9; iv];
            let (ciphertext, long) = seal(&iv, 16).unwrap();
            for len in [4, 8, 12, 13, 14, 15, 16] {
                let (same, tag) = seal(&iv, len).unwrap();
                assert_eq!((same, &tag[..]), (ciphertext, &long[..len]), "{}", provider.name);
                let mut out = [0xee; 5];
                key.gcm_open(&iv, b"aad", &ciphertext, &tag, &mut out).unwrap();
                assert_eq!(&out, b"hello");
                let mut bad = tag.clone();
                bad[len - 1] ^= 1;
                for (iv, aad, tag) in [(&iv[..], "aad", &bad), (&iv, "", &tag), (&[8; 12], "aad", &tag)] {
                    let error = key.gcm_open(iv, aad.as_bytes(), &ciphertext, tag, &mut out).unwrap_err();
                    assert_eq!((error.code, out), (ErrorCode::DecryptionFailed, [0; 5]), "{}", provider.name);
                }
            }
        }
    }
}

fn modes() -> impl Strategy<Value = BlockMode> {
    (any::<[u8; 16]>(), 0..4).prop_map(|(iv, number)| match number {
        0 => BlockMode::Ecb,
        1 => BlockMode::Cbc { iv: Iv::new(iv) },
        2 => BlockMode::CbcPad { iv: Iv::new(iv) },
        _ => BlockMode::Ctr { counter: iv, bits: 128 },
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    /// R43: both providers make the same ciphertext, however the message is cut, and read each other's.
    #[test]
    fn streams_agree(
        key in prop_oneof![Just(16), Just(24), Just(32)].prop_flat_map(|n| proptest::collection::vec(any::<u8>(), n)),
        mode in modes(),
        mut message in proptest::collection::vec(any::<u8>(), 0..700),
        mut cuts in proptest::collection::vec(0usize..700, 0..6),
        back in proptest::collection::vec(0usize..700, 0..6),
    ) {
        cuts.sort_unstable();
        let mut back = back;
        back.sort_unstable();
        if matches!(mode, BlockMode::Ecb | BlockMode::Cbc { .. }) {
            message.truncate(message.len() / 16 * 16);
        }
        let keys: Vec<_> = providers().into_iter().map(|p| p.cipher.aes(&key).unwrap()).collect();
        let expected = whole(&*keys[0], mode, Direction::Encrypt, &message).unwrap();
        for key in &keys {
            prop_assert_eq!(&stream(&**key, mode, Direction::Encrypt, &message, &cuts).unwrap(), &expected);
            prop_assert_eq!(&stream(&**key, mode, Direction::Decrypt, &expected, &back).unwrap(), &message);
        }
    }

    /// R43: GCM, CCM, CMAC and both key wraps agree between the providers.
    #[test]
    fn the_rest_agrees(
        key in prop_oneof![Just(16), Just(24), Just(32)].prop_flat_map(|n| proptest::collection::vec(any::<u8>(), n)),
        iv in proptest::collection::vec(any::<u8>(), 1..80),
        aad in proptest::collection::vec(any::<u8>(), 0..80),
        message in proptest::collection::vec(any::<u8>(), 1..400),
        tag in prop_oneof![Just(4usize), Just(8), Just(12), Just(14), Just(16)],
    ) {
        let nonce = iv.iter().copied().cycle().take(7 + iv.len() % 7).collect::<Vec<_>>();
        let mut answers = Vec::new();
        for from in providers() {
            let seal = from.cipher.aes(&key).unwrap();
            let (mut gcm, mut gcm_tag) = (vec![0; message.len()], vec![0; tag]);
            seal.gcm_seal(&iv, &aad, &message, &mut gcm, &mut gcm_tag).unwrap();
            let (mut ccm, mut ccm_tag) = (vec![0; message.len()], vec![0; tag]);
            ccm::seal(&*seal, &nonce, &aad, &message, &mut ccm, &mut ccm_tag).unwrap();
            let mut mac = [0; MAX_DIGEST];
            seal.cmac().unwrap().tag(&[&aad, &message], &mut mac).unwrap();
            let wrapped = seal.wrap_key(KeyWrap::Kwp, &message).unwrap();
            for to in providers() {
                let open = to.cipher.aes(&key).unwrap();
                let mut out = vec![0; message.len()];
                open.gcm_open(&iv, &aad, &gcm, &gcm_tag, &mut out).unwrap();
                prop_assert_eq!(&out, &message);
                ccm::open(&*open, &nonce, &aad, &ccm, &ccm_tag, &mut out).unwrap();
                prop_assert_eq!(&out, &message);
                let unwrapped = open.unwrap_key(KeyWrap::Kwp, &wrapped).unwrap();
                prop_assert_eq!(unwrapped.expose(), &message);
            }
            answers.push((gcm, gcm_tag, ccm, ccm_tag, mac, wrapped));
        }
        prop_assert!(answers.windows(2).all(|two| two[0] == two[1]));
    }
}
