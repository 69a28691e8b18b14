//! Public keys on their way out: PEM, DER, JWK and the line that OpenSSH's `authorized_keys` takes.

use super::pem;
use crate::crypto::post_quantum;
use crate::crypto::public_parts::PublicParts;
use base64ct::{Base64, Base64UrlUnpadded, Encoding};
use canis_proto::{Error, ErrorCode, KeyType, Result};

/// SubjectPublicKeyInfo (RFC 5280, section 4.1) as PEM.
#[must_use]
pub fn to_pem(spki: &[u8]) -> String {
    pem::encode("PUBLIC KEY", spki).to_string()
}

/// A JSON Web Key (RFC 7517) with `kid` as its id, which must need no escapes.
///
/// # Errors
/// As [`PublicParts::from_spki`].
pub fn to_jwk(spki: &[u8], kid: &str) -> Result<String> {
    let (kind, parts) = PublicParts::from_spki(spki)?;
    let members: Vec<String> =
        jwk_members(kind, &parts)?.iter().map(|(name, value)| format!(r#""{name}":"{value}""#)).collect();
    Ok(format!(r#"{{{},"kid":"{kid}"}}"#, members.join(",")))
}

/// The members of a public JWK: RFC 7518, section 6 (RSA, EC), RFC 8037 (OKP), RFC 8812 (secp256k1); draft-ietf-cose-dilithium (AKP).
pub(super) fn jwk_members(kind: KeyType, parts: &PublicParts) -> Result<Vec<(&'static str, String)>> {
    let base64 = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    Ok(match parts {
        PublicParts::Rsa { modulus, exponent } => {
            vec![("kty", "RSA".to_owned()), ("n", base64(modulus)), ("e", base64(exponent))]
        }
        PublicParts::Ec { point, .. } => {
            let (x, y) = coordinates(kind, point)?;
            let crv = jwk_curve(kind).unwrap_or_default().to_owned();
            vec![("kty", "EC".to_owned()), ("crv", crv), ("x", base64(x)), ("y", base64(y))]
        }
        PublicParts::Edwards { point } | PublicParts::Montgomery { point } => {
            let crv = jwk_curve(kind).unwrap_or_default().to_owned();
            vec![("kty", "OKP".to_owned()), ("crv", crv), ("x", base64(point))]
        }
        PublicParts::PostQuantum { key, .. } => {
            let alg = post_quantum::sizes_of(kind)?.jose.ok_or_else(|| {
                let why = format!("JSON Web Keys have no form for keys of type {kind}; take PEM or DER");
                Error::new(ErrorCode::OperationNotSupported, why)
            })?;
            vec![("kty", "AKP".to_owned()), ("alg", alg.to_owned()), ("pub", base64(key))]
        }
    })
}

/// The name of a curve in a JWK.
pub(super) fn jwk_curve(kind: KeyType) -> Option<&'static str> {
    match kind {
        KeyType::EcdsaP256 => Some("P-256"),
        KeyType::EcdsaP384 => Some("P-384"),
        KeyType::EcdsaP521 => Some("P-521"),
        KeyType::EcdsaSecp256k1 => Some("secp256k1"),
        KeyType::Ed25519 => Some("Ed25519"),
        KeyType::X25519 => Some("X25519"),
        _ => None,
    }
}

fn coordinates(kind: KeyType, point: &[u8]) -> Result<(&[u8], &[u8])> {
    point
        .get(1..)
        .and_then(|both| both.split_at_checked(kind.bytes()))
        .ok_or_else(|| Error::internal("a point without coordinates"))
}

/// A line of `authorized_keys` (sshd(8)) without its newline: name, base64, comment.
///
/// # Errors
/// `operation_not_supported` for a type that OpenSSH has no name for; as [`PublicParts::from_spki`].
pub fn to_openssh(spki: &[u8], comment: &str) -> Result<String> {
    let (kind, parts) = PublicParts::from_spki(spki)?;
    let name = openssh_name(kind).ok_or_else(|| {
        Error::new(
            ErrorCode::OperationNotSupported,
            format!("OpenSSH has no keys of type {kind}; it takes RSA, the NIST curves and Ed25519"),
        )
    })?;
    let mut blob = Vec::new();
    put_string(&mut blob, name.as_bytes());
    match &parts {
        // RFC 4253, section 6.6.
        PublicParts::Rsa { modulus, exponent } => {
            put_number(&mut blob, exponent);
            put_number(&mut blob, modulus);
        }
        // RFC 5656, section 3.1.
        PublicParts::Ec { point, .. } => {
            put_string(&mut blob, openssh_curve(kind).unwrap_or_default().as_bytes());
            put_string(&mut blob, point);
        }
        // RFC 8709, section 4.
        PublicParts::Edwards { point } | PublicParts::Montgomery { point } => put_string(&mut blob, point),
        PublicParts::PostQuantum { key, .. } => put_string(&mut blob, key),
    }
    Ok(format!("{name} {} {comment}", Base64::encode_string(&blob)))
}

/// The name of a key of this type in OpenSSH's files.
pub(super) fn openssh_name(kind: KeyType) -> Option<&'static str> {
    match kind {
        KeyType::Rsa2048 | KeyType::Rsa3072 | KeyType::Rsa4096 | KeyType::Rsa6144 | KeyType::Rsa8192 => {
            Some("ssh-rsa")
        }
        KeyType::EcdsaP256 => Some("ecdsa-sha2-nistp256"),
        KeyType::EcdsaP384 => Some("ecdsa-sha2-nistp384"),
        KeyType::EcdsaP521 => Some("ecdsa-sha2-nistp521"),
        KeyType::Ed25519 => Some("ssh-ed25519"),
        _ => None,
    }
}

/// The curve's name inside such a key.
pub(super) fn openssh_curve(kind: KeyType) -> Option<&'static str> {
    openssh_name(kind)?.strip_prefix("ecdsa-sha2-")
}

/// `string` of RFC 4251, section 5.
pub(super) fn put_string(blob: &mut Vec<u8>, bytes: &[u8]) {
    // Nothing here is longer than a modulus.
    blob.extend_from_slice(&(bytes.len() as u32).to_be_bytes());
    blob.extend_from_slice(bytes);
}

/// `mpint` of RFC 4251, section 5, of a positive number without leading zeros.
pub(super) fn put_number(blob: &mut Vec<u8>, number: &[u8]) {
    let sign = usize::from(number.first().is_some_and(|high| high & 0x80 != 0));
    blob.extend_from_slice(&((number.len() + sign) as u32).to_be_bytes());
    blob.extend(std::iter::repeat_n(0, sign));
    blob.extend_from_slice(number);
}
