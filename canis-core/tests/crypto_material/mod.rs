//! What the crypto tests share: one key of each sort, and hexadecimal digits.
#![allow(dead_code)] // each test file takes what it needs

pub(crate) mod openssl;
pub(crate) mod vectors;

use canis_core::crypto::providers;
use canis_core::secret::SecretBytes;
use canis_proto::{Family, KeyType};
use std::sync::LazyLock;

/// Type, PKCS#8 and SubjectPublicKeyInfo of one key of each sort, made by the default provider.
pub(crate) static KEYS: LazyLock<Vec<(KeyType, SecretBytes, Vec<u8>)>> = LazyLock::new(|| {
    KeyType::ALL
        .iter()
        .copied()
        .filter(|kind| match kind.family() {
            // The other sets differ in lengths, and in how long they take.
            Family::SlhDsa => *kind == KeyType::SlhDsaSha2128f,
            Family::Rsa => *kind == KeyType::Rsa2048,
            _ => kind.is_asymmetric(),
        })
        .map(|kind| {
            let maker = providers()[0];
            let pkcs8 = maker.keys.generate(kind).unwrap();
            let spki = maker.keys.private(kind, pkcs8.expose()).unwrap().public_spki().to_vec();
            (kind, pkcs8, spki)
        })
        .collect()
});

/// The PKCS#8 and SubjectPublicKeyInfo of the key of this type.
pub(crate) fn key(kind: KeyType) -> (&'static [u8], &'static [u8]) {
    let (_, pkcs8, spki) = KEYS.iter().find(|(k, ..)| *k == kind).unwrap();
    (pkcs8.expose(), spki)
}

/// The DER inside a PEM file.
pub(crate) fn pem(text: &str) -> Vec<u8> {
    pkcs8::der::pem::decode_vec(text.as_bytes()).unwrap().1
}

/// The bytes that `text` writes; spaces and line ends are for the eye.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect()
}
