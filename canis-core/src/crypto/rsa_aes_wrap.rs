//! Keys wrapped by RSA and AES together, as CKM_RSA_AES_KEY_WRAP has it (PKCS#11 3.1, section 6.1.13): RSAES-OAEP of a
//! fresh AES key, then AES Key Wrap with Padding (RFC 5649) of the key under that. Over CANISP with SHA-256 in OAEP and its
//! MGF1 and no label; through PKCS#11 as the caller says.
//!
//! Unwrapping gives one answer for everything that can be wrong, and works as long whether OAEP or the wrapping inside
//! failed: who alters what somebody else wrapped learns nothing from it (Bleichenbacher 1998, Manger 2001).

use super::refusal::decryption_failed;
use super::{Hash, KeyWrap, Oaep, PrivateKey, Provider, PublicKey};
use crate::secret::SecretBytes;
use canis_proto::Result;

const OAEP: Oaep<'static> = Oaep { hash: Hash::Sha256, mgf: Hash::Sha256, label: &[] };
/// The length of the AES key that is drawn to wrap, in bytes.
const DRAWN: usize = 32;

/// Wraps a key.
///
/// # Errors
/// `internal` without random bytes.
pub(crate) fn wrap(provider: &Provider, wrapper: &dyn PublicKey, key: &SecretBytes) -> Result<Vec<u8>> {
    let aes = SecretBytes::filled(DRAWN, |out| provider.random.fill(out))?;
    wrap_with(provider, wrapper, OAEP, &aes, key.expose())
}

/// [`wrap`] with another OAEP and a fresh AES key of the caller's.
///
/// # Errors
/// `invalid_argument` if the modulus is too short for the AES key.
pub(crate) fn wrap_with(
    provider: &Provider,
    wrapper: &dyn PublicKey,
    oaep: Oaep<'_>,
    aes: &SecretBytes,
    key: &[u8],
) -> Result<Vec<u8>> {
    let mut out = wrapper.encrypt_oaep(oaep, aes.expose())?;
    out.extend(provider.cipher.aes(aes.expose())?.wrap_key(KeyWrap::Kwp, key)?);
    Ok(out)
}

/// Unwraps a key.
///
/// # Errors
/// `decryption_failed` for everything that [`wrap`] does not make; AES keys of all three lengths are taken.
pub(crate) fn unwrap(provider: &Provider, wrapper: &dyn PrivateKey, wrapped: &[u8]) -> Result<SecretBytes> {
    unwrap_with(provider, wrapper, OAEP, wrapped)
}

/// [`unwrap`] with another OAEP.
///
/// # Errors
/// As [`unwrap`].
pub(crate) fn unwrap_with(
    provider: &Provider,
    wrapper: &dyn PrivateKey,
    oaep: Oaep<'_>,
    wrapped: &[u8],
) -> Result<SecretBytes> {
    let block = wrapper.signature_len();
    let (sealed, rest) = wrapped.split_at_checked(block).ok_or_else(decryption_failed)?;
    let mut opened = SecretBytes::zeroed(block);
    let len = wrapper.decrypt_oaep(oaep, sealed, opened.expose_mut());
    // Another key stands in for one that is none, so that the rest is tried and fails as it always does.
    let aes = match len {
        Ok(len @ (16 | 24 | 32)) => opened.truncated(len),
        _ => SecretBytes::filled(DRAWN, |out| provider.random.fill(out))?,
    };
    provider.cipher.aes(aes.expose())?.unwrap_key(KeyWrap::Kwp, rest).map_err(|_| decryption_failed())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::providers;
    use canis_proto::{ErrorCode, KeyType};

    #[test]
    fn round_trip_and_one_answer_for_every_damage() {
        for provider in providers() {
            let pkcs8 = provider.keys.generate(KeyType::Rsa2048).unwrap();
            let private = provider.keys.private(KeyType::Rsa2048, pkcs8.expose()).unwrap();
            let public = provider.keys.public(KeyType::Rsa2048, private.public_spki()).unwrap();
            for len in [1, 32, 1219] {
                let key = SecretBytes::copied_from(&vec![7; len]);
                let wrapped = wrap(provider, &*public, &key).unwrap();
                assert!(unwrap(provider, &*private, &wrapped).unwrap().equals(key.expose()));
                let refused = |bytes: &[u8]| unwrap(provider, &*private, bytes).map(drop).unwrap_err();
                let first = refused(&[]);
                assert_eq!(first.code, ErrorCode::DecryptionFailed);
                for at in (0..wrapped.len()).step_by(13) {
                    let mut damaged = wrapped.clone();
                    damaged[at] ^= 1;
                    assert_eq!(refused(&damaged), first, "byte {at}");
                    assert_eq!(refused(&wrapped[..at]), first, "cut at {at}");
                }
                assert_eq!(refused(&[&wrapped[..], &[0; 8]].concat()), first);
            }
            // An AES key of another length, properly encrypted.
            let mut odd = public.encrypt_oaep(OAEP, &[1; 20]).unwrap();
            odd.extend([0; 24]);
            assert_eq!(
                unwrap(provider, &*private, &odd).map(drop).unwrap_err().code,
                ErrorCode::DecryptionFailed
            );
        }
    }
}
