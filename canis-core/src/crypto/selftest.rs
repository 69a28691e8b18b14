//! Known answers, computed at start: a library built wrong, a CPU that lies or memory gone bad is found before a key
//! is touched, and CANIS refuses to run.
//!
//! It runs in every process that loads the PKCS#11 module, so it does no private RSA operation, makes no RSA key and
//! leaves Argon2id out: well under three milliseconds together.

use super::public_parts::PublicParts;
use super::xaes::XaesKey;
use super::{Hash, MAX_DIGEST, Provider, SignScheme, digest_info, private_info};
use canis_proto::{Error, KeyType, Result};

type Test = fn(&'static Provider) -> Result<bool>;

/// Every test by the name that a failure shows.
const TESTS: [(&str, Test); 8] = [
    ("SHA-1 and SHA-2", digests),
    ("HMAC-SHA-256", hmac),
    ("HKDF-SHA-256", hkdf),
    ("AES-256-GCM", gcm),
    ("XAES-256-GCM", xaes),
    ("RSA PKCS#1 v1.5", rsa),
    ("ECDSA P-256 and P-384", ecdsa),
    ("Ed25519", ed25519),
];

/// Runs every known-answer test on `provider`.
///
/// # Errors
/// `internal`, naming the algorithm whose answer was wrong.
pub fn run(provider: &'static Provider) -> Result<()> {
    for (name, test) in TESTS {
        // A test that errs instead of answering has failed as well; its own text would only hide the name.
        if !test(provider).unwrap_or(false) {
            let provider = provider.name;
            return Err(Error::internal(format!("{name} of the provider {provider} fails its self-test")));
        }
    }
    Ok(())
}

/// Bytes from hexadecimal digits, when the program is compiled: anything else does not compile.
const fn hex<const N: usize>(text: &str) -> [u8; N] {
    let digits = text.as_bytes();
    assert!(digits.len() == 2 * N);
    let mut out = [0; N];
    let mut at = 0;
    while at < digits.len() {
        let value = match digits[at] {
            digit @ b'0'..=b'9' => digit - b'0',
            digit => 10 + (digit - b'a'),
        };
        assert!(value < 16);
        out[at / 2] = out[at / 2] << 4 | value;
        at += 1;
    }
    out
}

/// FIPS 180-4's example: "abc".
fn digests(provider: &'static Provider) -> Result<bool> {
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
    let answers: [(Hash, &[u8]); 4] =
        [(Hash::Sha1, &SHA1), (Hash::Sha256, &SHA256), (Hash::Sha384, &SHA384), (Hash::Sha512, &SHA512)];
    let mut out = [0; MAX_DIGEST];
    Ok(answers.into_iter().all(|(hash, answer)| {
        let len = provider.digest.hash(hash, b"abc", &mut out);
        out[..len] == *answer
    }))
}

/// RFC 4231, test case 2.
fn hmac(provider: &'static Provider) -> Result<bool> {
    const ANSWER: [u8; 32] = hex("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    Ok(provider.mac.hmac_sha256(b"Jefe", &[b"what do ya want ", b"for nothing?"]) == ANSWER)
}

/// RFC 5869, appendix A.1.
fn hkdf(provider: &'static Provider) -> Result<bool> {
    const SALT: [u8; 13] = hex("000102030405060708090a0b0c");
    const INFO: [u8; 10] = hex("f0f1f2f3f4f5f6f7f8f9");
    const ANSWER: [u8; 42] =
        hex("3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    let mut out = [0; 42];
    provider.kdf.hkdf_sha256(&[0x0b; 22], &SALT, &INFO, &mut out)?;
    Ok(out == ANSWER)
}

/// Test case 16 of "The Galois/Counter Mode of Operation" (McGrew and Viega, revised specification).
fn gcm(provider: &'static Provider) -> Result<bool> {
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
fn xaes(provider: &'static Provider) -> Result<bool> {
    const CIPHERTEXT: [u8; 12] = hex("986ec1832593df5443a17943");
    const TAG: [u8; 16] = hex("7fd083bf3fdb41abd740a21f71eb769d");
    let key = XaesKey::new(provider, &[3; 32])?;
    let (mut ciphertext, mut tag) = ([0; 12], [0; 16]);
    let (nonce, aad, plaintext) = (b"ABCDEFGHIJKLMNOPQRSTUVWX", b"c2sp.org/XAES-256-GCM", b"XAES-256-GCM");
    key.seal(nonce, aad, plaintext, &mut ciphertext, &mut tag)?;
    Ok(ciphertext == CIPHERTEXT && tag == TAG)
}

/// Whether `provider` takes a signature and refuses it over another input.
fn verifies(
    provider: &'static Provider,
    (kind, parts): (KeyType, PublicParts),
    scheme: SignScheme,
    input: &[u8],
    signature: &[u8],
) -> Result<bool> {
    let key = provider.keys.public(kind, &parts.to_spki()?)?;
    let mut other = input.to_vec();
    if let Some(last) = other.last_mut() {
        *last ^= 1;
    }
    Ok(key.verify(scheme, input, signature)? && !key.verify(scheme, &other, signature)?)
}

/// Wycheproof, rsa_signature_2048_sha256, test 2.
fn rsa(provider: &'static Provider) -> Result<bool> {
    const MODULUS: [u8; 256] = hex(concat!(
        "a2b451a07d0aa5f96e455671513550514a8a5b462ebef717094fa1fee82224e6",
        "37f9746d3f7cafd31878d80325b6ef5a1700f65903b469429e89d6eac8845097",
        "b5ab393189db92512ed8a7711a1253facd20f79c15e8247f3d3e42e46e48c98e",
        "254a2fe9765313a03eff8f17e1a029397a1fa26a8dce26f490ed81299615d981",
        "4c22da610428e09c7d9658594266f5c021d0fceca08d945a12be82de4d1ece6b",
        "4c03145b5d3495d4ed5411eb878daf05fd7afc3e09ada0f1126422f590975a19",
        "69816f48698bcbba1b4d9cae79d460d8f9f85e7975005d9bc22c4e5ac0f7c1a4",
        "5d12569a62807d3b9a02e5a530e773066f453d1f5b4c2e9cf7820283f742b9d5",
    ));
    const SIGNATURE: [u8; 256] = hex(concat!(
        "8a1b220cb2ab415dc760eb7f5bb10335a3cca269d7dbbf7d0962ba79f9cf7b43",
        "a5fc09c99a1584f07403473d6c189a836897a5b6f8ea9fa22d601e6ba5f7411f",
        "e27c638b81b1a22363583a80fce8c7df3e40fb51bd0e60d0a6653f79f3bcb7ec",
        "3e9dc14cfb5b31ab1735bca692d50ac03f979dda92747c6430f8045efa3513ba",
        "6e0ce3e9e35570e1c30c8ebe589b44192e1344ca83dfa576fc6fdc7bf1cd7cee",
        "875b001c8c02ce8d602769e4bd9d241c4857182a0089a8b67644e73eef105c55",
        "0efa47a40874289395ac0c4e02fd4ba98e130a4c2d1b95521c6af4a002ac3bdc",
        "6e52122ae4c08cc3da1c896e059acbddec574ac0432f6103dd97273d8803c102",
    ));
    let parts = PublicParts::Rsa { modulus: MODULUS.to_vec(), exponent: vec![1, 0, 1] };
    let mut digest = [0; MAX_DIGEST];
    let len = provider.digest.hash(Hash::Sha256, &[0; 20], &mut digest);
    let info = digest_info::encode(Hash::Sha256, &digest[..len])?;
    verifies(provider, (KeyType::Rsa2048, parts), SignScheme::RsaPkcs1, info.as_slice(), &SIGNATURE)
}

/// RFC 6979, appendices A.2.5 (P-256 with SHA-256) and A.2.6 (P-384 with SHA-384), message "sample".
fn ecdsa(provider: &'static Provider) -> Result<bool> {
    const POINT_256: [u8; 65] = hex(concat!(
        "04",
        "60fed4ba255a9d31c961eb74c6356d68c049b8923b61fa6ce669622e60f29fb6",
        "7903fe1008b8bc99a41ae9e95628bc64f2f1b20c2d7e9f5177a3c294d4462299",
    ));
    const SIGNATURE_256: [u8; 64] = hex(concat!(
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716",
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8",
    ));
    const POINT_384: [u8; 97] = hex(concat!(
        "04",
        "ec3a4e415b4e19a4568618029f427fa5da9a8bc4ae92e02e06aae5286b300c64def8f0ea9055866064a254515480bc13",
        "8015d9b72d7d57244ea8ef9ac0c621896708a59367f9dfb9f54ca84b3f1c9db1288b231c3ae0d4fe7344fd2533264720",
    ));
    const SIGNATURE_384: [u8; 96] = hex(concat!(
        "94edbb92a5ecb8aad4736e56c691916b3f88140666ce9fa73d64c4ea95ad133c81a648152e44acf96e36dd1e80fabe46",
        "99ef4aeb15f178cea1fe40db2603138f130e740a19624526203b6351d0a3a94fa329c145786e679e7b82c71a38628ac8",
    ));
    let check = |curve, point: &[u8], hash, signature: &[u8]| {
        let parts = PublicParts::Ec { curve, point: point.to_vec() };
        let mut digest = [0; MAX_DIGEST];
        let len = provider.digest.hash(hash, b"sample", &mut digest);
        verifies(provider, (curve, parts), SignScheme::Ecdsa, &digest[..len], signature)
    };
    Ok(check(KeyType::EcdsaP256, &POINT_256, Hash::Sha256, &SIGNATURE_256)?
        && check(KeyType::EcdsaP384, &POINT_384, Hash::Sha384, &SIGNATURE_384)?)
}

/// RFC 8032, section 7.1, test 2.
fn ed25519(provider: &'static Provider) -> Result<bool> {
    const SEED: [u8; 32] = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    const POINT: [u8; 32] = hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    const SIGNATURE: [u8; 64] = hex(concat!(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ));
    let pkcs8 = private_info::seed_pkcs8(KeyType::Ed25519, |seed| {
        seed.copy_from_slice(&SEED);
        Ok(())
    })?;
    let mut signature = [0; 64];
    let key = provider.keys.private(KeyType::Ed25519, pkcs8.expose())?;
    key.sign(SignScheme::Ed25519, &[0x72], &mut signature)?;
    let public = (KeyType::Ed25519, PublicParts::Edwards { point: POINT });
    Ok(signature == SIGNATURE && verifies(provider, public, SignScheme::Ed25519, &[0x72], &SIGNATURE)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{RUST, providers};

    #[test]
    fn every_provider_passes() {
        for provider in providers() {
            assert_eq!(run(provider), Ok(()), "{}", provider.name);
        }
    }

    /// A provider that computes something else is named with its algorithm.
    #[test]
    fn a_wrong_answer_is_found() {
        struct Forgetful;
        impl crate::crypto::Mac for Forgetful {
            fn hmac_sha256(&self, _: &[u8], _: &[&[u8]]) -> [u8; 32] {
                [0; 32]
            }
            fn hmac(&self, hash: Hash, key: &[u8]) -> Result<Box<dyn crate::crypto::MacKey>> {
                RUST.mac.hmac(hash, key)
            }
        }
        static WRONG: Provider = Provider { name: "wrong", mac: &Forgetful, ..crate::crypto::RUST };
        let error = run(&WRONG).map_err(|e| e.message);
        assert_eq!(error, Err("HMAC-SHA-256 of the provider wrong fails its self-test".to_owned()));
    }
}
