//! Ed25519 (RFC 8032), by `ed25519-dalek`.

use super::RUST;
use crate::crypto::key_pairs::Maker;
use crate::crypto::private_info::{seed, seed_pkcs8};
use crate::crypto::public_parts::{self, PublicParts};
use crate::crypto::refusal::{bad_private_key, bad_public_key, room, wrong_scheme};
use crate::crypto::{PrivateKey, PublicKey, SignScheme};
use crate::secret::SecretBytes;
use canis_proto::{KeyType, Result};
use ed25519_dalek::{SIGNATURE_LENGTH, Signature, Signer, SigningKey, Verifier, VerifyingKey};

/// Ed25519 keys.
pub(super) const EDWARDS: Maker = Maker { generate, private, public };

fn generate(kind: KeyType) -> Result<SecretBytes> {
    seed_pkcs8(kind, |seed| RUST.random.fill(seed))
}

fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    let info = seed(kind, pkcs8)?;
    let key = SigningKey::from_bytes(&info.seed);
    let point = key.verifying_key().to_bytes();
    if info.public.is_some_and(|public| public != point) {
        return Err(bad_private_key("its public half is not its own"));
    }
    Ok(Box::new(Private { key, spki: PublicParts::Edwards { point }.to_spki()? }))
}

fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    Ok(Box::new(Public(valid_point(&public_parts::of_kind(kind, spki)?)?)))
}

/// The point of an Ed25519 public key: on the curve, and not of small order. Under a key of small order anybody can
/// make signatures; AWS-LC takes such keys, so this check stands before both providers.
pub(in crate::crypto) fn valid_point(parts: &PublicParts) -> Result<VerifyingKey> {
    let PublicParts::Edwards { point } = parts else { return Err(bad_public_key("it is not Ed25519")) };
    match VerifyingKey::from_bytes(point) {
        Ok(key) if !key.is_weak() => Ok(key),
        Ok(_) => Err(bad_public_key("its point is of small order")),
        Err(_) => Err(bad_public_key("its point is not on the curve")),
    }
}

struct Private {
    key: SigningKey,
    spki: Vec<u8>,
}

impl PrivateKey for Private {
    fn public_spki(&self) -> &[u8] {
        &self.spki
    }

    fn signature_len(&self) -> usize {
        SIGNATURE_LENGTH
    }

    fn sign(&self, scheme: SignScheme, input: &[u8], out: &mut [u8]) -> Result<usize> {
        if scheme != SignScheme::Ed25519 {
            return Err(wrong_scheme("Ed25519"));
        }
        room(out, SIGNATURE_LENGTH)?.copy_from_slice(&self.key.sign(input).to_bytes());
        Ok(SIGNATURE_LENGTH)
    }
}

struct Public(VerifyingKey);

impl PublicKey for Public {
    fn verify(&self, scheme: SignScheme, input: &[u8], signature: &[u8]) -> Result<bool> {
        if scheme != SignScheme::Ed25519 {
            return Err(wrong_scheme("Ed25519"));
        }
        let Ok(signature) = Signature::from_slice(signature) else { return Ok(false) };
        Ok(self.0.verify(input, &signature).is_ok())
    }
}
