//! Key pairs.

use super::hex;
use crate::crypto::public_parts::PublicParts;
use crate::crypto::{Hash, MAX_AGREED, MAX_DIGEST, Provider, SignScheme, digest_info, private_info};
use canis_proto::{KeyType, Result};

/// Whether `provider` takes a signature.
fn accepts(
    provider: &'static Provider,
    (kind, parts): (KeyType, PublicParts),
    scheme: SignScheme,
    input: &[u8],
    signature: &[u8],
) -> Result<bool> {
    provider.keys.public(kind, &parts.to_spki()?)?.verify(scheme, input, signature)
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
pub(super) fn rsa(provider: &'static Provider) -> Result<bool> {
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
pub(super) fn ecdsa(provider: &'static Provider) -> Result<bool> {
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
    let digest = |hash| {
        let mut digest = [0; MAX_DIGEST];
        let len = provider.digest.hash(hash, b"sample", &mut digest);
        digest[..len].to_vec()
    };
    let key = |curve, point: &[u8]| (curve, PublicParts::Ec { curve, point: point.to_vec() });
    let (p256, p384) = (key(KeyType::EcdsaP256, &POINT_256), key(KeyType::EcdsaP384, &POINT_384));
    // What refuses is the same for both curves, and the larger one is the slowest of all these tests.
    Ok(verifies(provider, p256, SignScheme::Ecdsa, &digest(Hash::Sha256), &SIGNATURE_256)?
        && accepts(provider, p384, SignScheme::Ecdsa, &digest(Hash::Sha384), &SIGNATURE_384)?)
}

/// RFC 8032, section 7.1, test 2.
pub(super) fn ed25519(provider: &'static Provider) -> Result<bool> {
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

/// RFC 7748, section 5.2, the first vector.
pub(super) fn x25519(provider: &'static Provider) -> Result<bool> {
    const SCALAR: [u8; 32] = hex("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4");
    const POINT: [u8; 32] = hex("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c");
    const SHARED: [u8; 32] = hex("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552");
    let pkcs8 = private_info::seed_pkcs8(KeyType::X25519, |seed| {
        seed.copy_from_slice(&SCALAR);
        Ok(())
    })?;
    let mut out = [0; MAX_AGREED];
    let len = provider.keys.private(KeyType::X25519, pkcs8.expose())?.agree(&POINT, &mut out)?;
    Ok(out[..len] == SHARED)
}
