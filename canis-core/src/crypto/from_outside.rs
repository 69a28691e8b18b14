//! What a key from outside must show before it is taken, by whatever door it comes: that its halves belong together,
//! that its numbers are in range, and that it has none of the weaknesses that have been in use.

use super::private_parts::PrivateParts;
use super::public_parts::PublicParts;
use super::rsa_strength;
use super::{Provider, check_pair};
use canis_proto::{Family, KeyType, Result};

/// Checks a private key in PKCS#8; gives its public half in SubjectPublicKeyInfo DER.
///
/// # Errors
/// `invalid_argument` naming what is wrong with it, never any of its bytes.
pub(crate) fn check_private(provider: &Provider, kind: KeyType, pkcs8: &[u8]) -> Result<Vec<u8>> {
    // Before it is used once: what is weak or no prime is named as that.
    if let PrivateParts::Rsa(parts) = PrivateParts::of_material(kind, pkcs8)? {
        rsa_strength::check_modulus(&parts.modulus)?;
        rsa_strength::check_private(&parts)?;
    }
    check_pair(provider.keys, kind, pkcs8)
}

/// Checks a public key in SubjectPublicKeyInfo DER.
///
/// # Errors
/// As above.
pub(crate) fn check_public(provider: &Provider, kind: KeyType, spki: &[u8]) -> Result<()> {
    provider.keys.public(kind, spki)?;
    match PublicParts::from_spki(spki)?.1 {
        PublicParts::Rsa { modulus, .. } if kind.family() == Family::Rsa => {
            rsa_strength::check_modulus(&modulus)
        }
        _ => Ok(()),
    }
}
