//! Hash functions, MACs and AES.

use super::hex;
use crate::crypto::xaes::XaesKey;
use crate::crypto::{BlockMode, CipherStream, Direction, Hash, Iv, KeyWrap, MAX_DIGEST, Provider};
use canis_proto::Result;

/// FIPS 180-4's and FIPS 202's example: "abc".
pub(super) fn digests(provider: &'static Provider) -> Result<bool> {
    const SHA1: [u8; 20] = hex("a9993e364706816aba3e25717850c26c9cd0d89d");
    const SHA256: [u8; 32] = hex("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    const SHA384: [u8; 48] = hex(concat!(
        "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded163",
        "1a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
    ));
    const SHA512: [u8; 64] = hex(concat!(
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a",
        "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
    ));
    const SHA3_224: [u8; 28] = hex("e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf");
    const SHA3_256: [u8; 32] = hex("3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532");
    let answers: [(Hash, &[u8]); 6] = [
        (Hash::Sha1, &SHA1),
        (Hash::Sha256, &SHA256),
        (Hash::Sha384, &SHA384),
        (Hash::Sha512, &SHA512),
        (Hash::Sha3_224, &SHA3_224),
        (Hash::Sha3_256, &SHA3_256),
    ];
    let mut out = [0; MAX_DIGEST];
    Ok(answers.into_iter().all(|(hash, answer)| {
        let len = provider.digest.hash(hash, b"abc", &mut out);
        out[..len] == *answer
    }))
}

/// RFC 4231, test case 2.
pub(super) fn hmac(provider: &'static Provider) -> Result<bool> {
    const ANSWER: [u8; 32] = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    Ok(provider.mac.hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]) == ANSWER)
}

/// Test case 16 of "The Galois/Counter Mode of Operation" (McGrew and Viega, revised specification).
pub(super) fn gcm(provider: &'static Provider) -> Result<bool> {
    const KEY: [u8; 32] = hex("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308");
    const NONCE: [u8; 12] = hex("cafebabefacedbaddecaf888");
    const AAD: [u8; 20] = hex("feedfacedeadbeeffeedfacedeadbeefabaddad2");
    const PLAINTEXT: [u8; 60] = hex(concat!(
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72",
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
    ));
    const CIPHERTEXT: [u8; 60] = hex(concat!(
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa",
        "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
    ));
    const TAG: [u8; 16] = hex("76fc6ece0f4e1768cddf8853bb2d551b");
    let key = provider.cipher.aes_gcm(&KEY)?;
    let (mut ciphertext, mut plaintext, mut tag) = ([0; 60], [0; 60], [0; 16]);
    key.seal(&NONCE, &AAD, &PLAINTEXT, &mut ciphertext, &mut tag)?;
    key.open(&NONCE, &AAD, &CIPHERTEXT, &TAG, &mut plaintext)?;
    let right = ciphertext == CIPHERTEXT && tag == TAG && plaintext == PLAINTEXT;
    tag[0] ^= 1;
    Ok(right && key.open(&NONCE, &AAD, &CIPHERTEXT, &tag, &mut plaintext).is_err())
}

/// The second vector of the C2SP specification.
pub(super) fn xaes(provider: &'static Provider) -> Result<bool> {
    const CIPHERTEXT: [u8; 12] = hex("986ec1832593df5443a17943");
    const TAG: [u8; 16] = hex("7fd083bf3fdb41abd740a21f71eb769d");
    let key = XaesKey::new(provider, &[3; 32])?;
    let (mut ciphertext, mut tag) = ([0; 12], [0; 16]);
    let (nonce, aad, plaintext) = (b"ABCDEFGHIJKLMNOPQRSTUVWX", b"c2sp.org/XAES-256-GCM", b"XAES-256-GCM");
    key.seal(nonce, aad, plaintext, &mut ciphertext, &mut tag)?;
    Ok(ciphertext == CIPHERTEXT && tag == TAG)
}

/// RFC 4231, test case 2, with SHA-512, through a ready key in two parts.
pub(super) fn ready_hmac(provider: &'static Provider) -> Result<bool> {
    const ANSWER: [u8; 64] = hex(concat!(
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554",
        "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
    ));
    let mut run = provider.mac.hmac(Hash::Sha512, b"Jefe")?.start()?;
    run.update(b"what do ya want ")?;
    run.update(b"for nothing?")?;
    run.verify(64, &ANSWER)
}

/// The key and first block of NIST SP 800-38A, appendix F, with AES-128.
const KEY_128: [u8; 16] = hex("2b7e151628aed2a6abf7158809cf4f3c");
const BLOCK_1: [u8; 16] = hex("6bc1bee22e409f96e93d7e117393172a");

/// NIST SP 800-38A, appendices F.1.1, F.2.1 and F.5.1, both ways.
pub(super) fn chains(provider: &'static Provider) -> Result<bool> {
    const IV: [u8; 16] = hex("000102030405060708090a0b0c0d0e0f");
    const COUNTER: [u8; 16] = hex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff");
    const ANSWERS: [(BlockMode, [u8; 16]); 3] = [
        (BlockMode::Ecb, hex("3ad77bb40d7a3660a89ecaf32466ef97")),
        (BlockMode::Cbc { iv: Iv::new(IV) }, hex("7649abac8119b246cee98e9b12e9197d")),
        (BlockMode::Ctr { counter: COUNTER, bits: 128 }, hex("874d6191b620e3261bef6864990db6ce")),
    ];
    let key = provider.cipher.aes(&KEY_128)?;
    for (mode, answer) in ANSWERS {
        for (direction, input, expected) in
            [(Direction::Encrypt, BLOCK_1, answer), (Direction::Decrypt, answer, BLOCK_1)]
        {
            let mut out = [0; 16];
            CipherStream::new(&*key, mode, direction)?.update(&input, &mut out)?;
            if out != expected {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// NIST SP 800-38C, appendix C, example 1.
pub(super) fn ccm(provider: &'static Provider) -> Result<bool> {
    const KEY: [u8; 16] = hex("404142434445464748494a4b4c4d4e4f");
    const NONCE: [u8; 7] = hex("10111213141516");
    const AAD: [u8; 8] = hex("0001020304050607");
    const PLAINTEXT: [u8; 4] = hex("20212223");
    let key = provider.cipher.aes(&KEY)?;
    let (mut ciphertext, mut tag) = ([0; 4], [0; 4]);
    crate::crypto::ccm::seal(&*key, &NONCE, &AAD, &PLAINTEXT, &mut ciphertext, &mut tag)?;
    Ok(ciphertext == hex("7162015b") && tag == hex("4dac255d"))
}

/// RFC 4493, section 4, example 2.
pub(super) fn cmac(provider: &'static Provider) -> Result<bool> {
    const TAG: [u8; 16] = hex("070a16b46b4d4144f79bdd9dd04a287c");
    let mut run = provider.cipher.aes(&KEY_128)?.cmac()?.start()?;
    run.update(&BLOCK_1)?;
    run.verify(16, &TAG)
}

/// RFC 3394, section 4.1, and RFC 5649, section 6, both ways.
pub(super) fn key_wrap(provider: &'static Provider) -> Result<bool> {
    const KW_KEY: [u8; 16] = hex("000102030405060708090a0b0c0d0e0f");
    const KW_SECRET: [u8; 16] = hex("00112233445566778899aabbccddeeff");
    const KW: [u8; 24] = hex("1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5");
    const KWP_KEY: [u8; 24] = hex("5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a8");
    const KWP_SECRET: [u8; 7] = hex("466f7250617369");
    const KWP: [u8; 16] = hex("afbeb0f07dfbf5419200f2ccb50bb24f");
    let (kw, kwp) = (provider.cipher.aes(&KW_KEY)?, provider.cipher.aes(&KWP_KEY)?);
    Ok(kw.wrap_key(KeyWrap::Kw, &KW_SECRET)? == KW
        && kw.unwrap_key(KeyWrap::Kw, &KW)?.equals(&KW_SECRET)
        && kwp.wrap_key(KeyWrap::Kwp, &KWP_SECRET)? == KWP
        && kwp.unwrap_key(KeyWrap::Kwp, &KWP)?.equals(&KWP_SECRET))
}
