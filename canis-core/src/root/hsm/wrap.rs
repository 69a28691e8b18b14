//! Wrapping and unwrapping by the key in the token: CKM_AES_GCM with associated data.

use super::key;
use super::library::{Failure, failed};
use super::token::TokenName;
use crate::crypto::{GCM_NONCE, default_provider};
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode};
use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::mechanism::Mechanism;
use cryptoki::mechanism::aead::GcmParams;
use cryptoki::session::Session;

const TAG_BITS: u64 = 128;

/// Nonce and ciphertext of `secret`, bound to `context`.
pub(super) fn wrap(
    session: &Session,
    name: &TokenName,
    secret: &SecretBytes,
    context: &[u8],
) -> Result<SecretBytes, Failure> {
    let key = key::wrapping(session, name)?;
    let mut nonce = [0; GCM_NONCE];
    default_provider().random.fill(&mut nonce)?;
    let wrapped = {
        let mechanism = Mechanism::AesGcm(gcm(&mut nonce, context)?);
        session.encrypt(&mechanism, key, secret.expose()).map_err(|error| refused(name, &error))?
    };
    Ok(SecretBytes::taken_from([&nonce[..], &wrapped].concat()))
}

/// What was wrapped.
pub(super) fn unwrap(
    session: &Session,
    name: &TokenName,
    wrapped: &[u8],
    context: &[u8],
) -> Result<SecretBytes, Failure> {
    let Some((nonce, wrapped)) = wrapped.split_first_chunk::<GCM_NONCE>() else {
        return Err(Error::new(ErrorCode::StoreTampered, "the HSM's root slot is too short").into());
    };
    let key = key::wrapping(session, name)?;
    let mut nonce = *nonce;
    let opened = session.decrypt(&Mechanism::AesGcm(gcm(&mut nonce, context)?), key, wrapped);
    opened.map(SecretBytes::taken_from).map_err(|error| match error {
        Pkcs11Error::Pkcs11(RvError::EncryptedDataInvalid | RvError::DataInvalid, _) => Error::new(
            ErrorCode::RootCredentialWrong,
            format!("key {} on {name} is not the one that wrapped this store's root key", name.key()),
        )
        .into(),
        error => refused(name, &error),
    })
}

fn refused(name: &TokenName, error: &Pkcs11Error) -> Failure {
    failed(format_args!("{name} refuses to use key {}", name.key()), error)
}

fn gcm<'a>(nonce: &'a mut [u8; GCM_NONCE], context: &'a [u8]) -> Result<GcmParams<'a>, Failure> {
    GcmParams::new(nonce, context, TAG_BITS.into())
        .map_err(|error| failed("AES-GCM parameters do not fit", &error))
}
