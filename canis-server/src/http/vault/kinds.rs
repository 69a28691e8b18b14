//! Vault's words for types of keys and hash functions, and those of CANIS.

use canis_proto::{Error, ErrorCode, Family, HashName, KeyType, Result, SignatureScheme, quote};

const KINDS: &[(&str, KeyType)] = &[
    ("aes256-gcm96", KeyType::Aes256),
    ("aes128-gcm96", KeyType::Aes128),
    ("ecdsa-p256", KeyType::EcdsaP256),
    ("ecdsa-p384", KeyType::EcdsaP384),
    ("ecdsa-p521", KeyType::EcdsaP521),
    ("ed25519", KeyType::Ed25519),
    ("rsa-2048", KeyType::Rsa2048),
    ("rsa-3072", KeyType::Rsa3072),
    ("rsa-4096", KeyType::Rsa4096),
    ("hmac", KeyType::Generic),
];

const HASHES: &[(&str, HashName)] = &[
    ("sha2-256", HashName::Sha256),
    ("sha2-384", HashName::Sha384),
    ("sha2-512", HashName::Sha512),
    ("sha3-256", HashName::Sha3_256),
    ("sha3-384", HashName::Sha3_384),
    ("sha3-512", HashName::Sha3_512),
];

/// The type that Vault calls so.
///
/// # Errors
/// `invalid_key_type` naming those that there are.
pub(super) fn kind(name: &str) -> Result<KeyType> {
    KINDS.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind).ok_or_else(|| {
        let known: Vec<_> = KINDS.iter().map(|(known, _)| *known).collect();
        let why = format!("unknown key type `{}`; there are {}", quote(name), known.join(", "));
        Error::new(ErrorCode::InvalidKeyType, why)
    })
}

/// What Vault calls a type; one that it has not keeps its name.
pub(super) fn name_of(kind: KeyType) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or_else(|| kind.name(), |(name, _)| name)
}

/// What Vault calls the curve or size of a type in its list of versions.
pub(super) fn short_name_of(kind: KeyType) -> &'static str {
    match kind {
        KeyType::EcdsaP256 => "P-256",
        KeyType::EcdsaP384 => "P-384",
        KeyType::EcdsaP521 => "P-521",
        _ => name_of(kind),
    }
}

/// The hash function that Vault calls so; SHA-256 if none is named.
///
/// # Errors
/// `invalid_argument` naming those that there are.
pub(super) fn hash(name: Option<&str>) -> Result<HashName> {
    let Some(name) = name else { return Ok(HashName::Sha256) };
    HASHES.iter().find(|(known, _)| *known == name).map(|(_, hash)| *hash).ok_or_else(|| {
        let known: Vec<_> = HASHES.iter().map(|(known, _)| *known).collect();
        Error::invalid(format!(
            "unsupported hash algorithm `{}`; there are {}",
            quote(name),
            known.join(", ")
        ))
    })
}

/// Whether Vault knows a hash function of this name, as the last part of a path may be one.
pub(super) fn is_hash(name: &str) -> bool {
    name == "none" || name.starts_with("sha2-") || name.starts_with("sha3-") || name == "sha1"
}

/// The schemes by which keys of a family sign with a hash function; `pkcs1` counts for RSA only.
pub(super) fn scheme(family: Family, hash: HashName, pkcs1: bool) -> Option<SignatureScheme> {
    use HashName as H;
    use SignatureScheme as S;
    Some(match (family, hash, pkcs1) {
        (Family::Ec, H::Sha256, _) => S::EcdsaSha256,
        (Family::Ec, H::Sha384, _) => S::EcdsaSha384,
        (Family::Ec, H::Sha512, _) => S::EcdsaSha512,
        (Family::Rsa, H::Sha256, false) => S::RsaPssSha256,
        (Family::Rsa, H::Sha384, false) => S::RsaPssSha384,
        (Family::Rsa, H::Sha512, false) => S::RsaPssSha512,
        (Family::Rsa, H::Sha256, true) => S::RsaPkcs1Sha256,
        (Family::Rsa, H::Sha384, true) => S::RsaPkcs1Sha384,
        (Family::Rsa, H::Sha512, true) => S::RsaPkcs1Sha512,
        (Family::Edwards, _, _) => S::Ed25519,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_go_both_ways() {
        for (name, known) in KINDS {
            assert_eq!((kind(name), name_of(*known)), (Ok(*known), *name));
        }
        let refused = kind("chacha20-poly1305").unwrap_err();
        assert!(refused.message.contains("aes256-gcm96"), "{}", refused.message);
        assert!(HASHES.iter().all(|(name, one)| hash(Some(name)) == Ok(*one) && is_hash(name)));
    }
}
