//! Ed25519 (RFC 8032).

use super::AWS_LC;
use crate::crypto::key_pairs::Maker;
use crate::crypto::private_info::{seed, seed_pkcs8};
use crate::crypto::public_parts::{self, PublicParts};
use crate::crypto::refusal::{bad_private_key, bad_public_key, room, wrong_scheme};
use crate::crypto::rust::valid_edwards_point;
use crate::crypto::{PrivateKey, PublicKey, SignScheme};
use crate::secret::SecretBytes;
use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, ParsedPublicKey};
use canis_proto::{Error, KeyType, Result};

const SIGNATURE: usize = 64;

/// Ed25519 keys.
pub(super) const EDWARDS: Maker = Maker { generate, private, public };

fn generate(kind: KeyType) -> Result<SecretBytes> {
    seed_pkcs8(kind, |seed| AWS_LC.random.fill(seed))
}

fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    let info = seed(kind, pkcs8)?;
    let key = Ed25519KeyPair::from_seed_unchecked(info.seed.as_slice())
        .map_err(|_| bad_private_key("its seed is no Ed25519 key"))?;
    let public = key.public_key().as_ref();
    if info.public.is_some_and(|given| given != public) {
        return Err(bad_private_key("its public half is not its own"));
    }
    let point = public.try_into().map_err(|_| Error::internal("an Ed25519 public key is not 32 bytes"))?;
    Ok(Box::new(Private { spki: PublicParts::Edwards { point }.to_spki()?, key }))
}

fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    let point = valid_edwards_point(&public_parts::of_kind(kind, spki)?)?;
    let key = ParsedPublicKey::new(&ED25519, point.as_bytes())
        .map_err(|_| bad_public_key("its point is not on the curve"))?;
    Ok(Box::new(Public(key)))
}

struct Private {
    key: Ed25519KeyPair,
    spki: Vec<u8>,
}

impl PrivateKey for Private {
    fn public_spki(&self) -> &[u8] {
        &self.spki
    }

    fn signature_len(&self) -> usize {
        SIGNATURE
    }

    fn sign(&self, scheme: SignScheme, input: &[u8], out: &mut [u8]) -> Result<usize> {
        if scheme != SignScheme::Ed25519 {
            return Err(wrong_scheme("Ed25519"));
        }
        let out = room(out, SIGNATURE)?;
        let signature = self.key.try_sign(input).map_err(|_| Error::internal("Ed25519 gave no signature"))?;
        out.copy_from_slice(signature.as_ref());
        Ok(SIGNATURE)
    }
}

struct Public(ParsedPublicKey);

impl PublicKey for Public {
    fn verify(&self, scheme: SignScheme, input: &[u8], signature: &[u8]) -> Result<bool> {
        if scheme != SignScheme::Ed25519 {
            return Err(wrong_scheme("Ed25519"));
        }
        Ok(self.0.verify_sig(input, signature).is_ok())
    }
}
