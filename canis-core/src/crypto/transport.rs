//! How keys are wrapped by key pairs on their way from place to place: by RSA as CKM_RSA_AES_KEY_WRAP has it, by hybrid keys in HPKE.

use super::refusal::decryption_failed;
use super::{PrivateKey, Provider, PublicKey, hpke, rsa_aes_wrap};
use crate::secret::SecretBytes;
use canis_proto::{Family, KeyType, Result};

/// HPKE's `info`: says that a key is inside, so that nothing that was sealed to the same key for another end opens as one.
const INFO: &[u8] = b"canis/v1/wrapped-key";

/// Wraps a key by a public key of this type.
///
/// # Errors
/// `operation_not_supported` for a type that does not wrap; `internal` without random bytes.
pub(crate) fn wrap(
    provider: &Provider,
    (kind, wrapper): (KeyType, &dyn PublicKey),
    key: &SecretBytes,
) -> Result<Vec<u8>> {
    match kind.family() {
        Family::Hybrid => hpke::seal(provider, wrapper, INFO, key.expose()),
        _ => rsa_aes_wrap::wrap(provider, wrapper, key),
    }
}

/// Unwraps it by the private half.
///
/// # Errors
/// `decryption_failed` for everything that [`wrap`] does not make.
pub(crate) fn unwrap(
    provider: &Provider,
    (kind, wrapper): (KeyType, &dyn PrivateKey),
    wrapped: &[u8],
) -> Result<SecretBytes> {
    match kind.family() {
        Family::Hybrid => hpke::open(provider, wrapper, INFO, wrapped),
        _ => rsa_aes_wrap::unwrap(provider, wrapper, wrapped),
    }
}

/// Unwraps it by whichever of several private keys it was wrapped for. Nothing opens by another one: both ways authenticate what they
/// carry.
///
/// # Errors
/// `decryption_failed` if that is none of them.
pub(crate) fn unwrap_by_any(
    provider: &Provider,
    wrappers: &[(KeyType, Box<dyn PrivateKey>)],
    wrapped: &[u8],
) -> Result<SecretBytes> {
    let opened = wrappers.iter().find_map(|(kind, key)| unwrap(provider, (*kind, &**key), wrapped).ok());
    opened.ok_or_else(decryption_failed)
}
