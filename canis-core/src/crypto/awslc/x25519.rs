//! X25519 (RFC 7748).

use super::AWS_LC;
use crate::crypto::key_pairs::Maker;
use crate::crypto::montgomery::{self, LEN};
use crate::crypto::private_info::{seed, seed_pkcs8};
use crate::crypto::public_parts::PublicParts;
use crate::crypto::refusal::{bad_private_key, no_agreement, room, wrong_scheme};
use crate::crypto::{PrivateKey, SignScheme};
use crate::secret::SecretBytes;
use aws_lc_rs::agreement::{self, UnparsedPublicKey, X25519};
use canis_proto::{Error, KeyType, Result};

/// X25519 keys.
pub(super) const MONTGOMERY: Maker = Maker { generate, private, public: montgomery::public };

fn generate(kind: KeyType) -> Result<SecretBytes> {
    seed_pkcs8(kind, |seed| AWS_LC.random.fill(seed))
}

fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    let info = seed(kind, pkcs8)?;
    let key = agreement::PrivateKey::from_private_key(&X25519, info.seed.as_slice())
        .map_err(|_| bad_private_key("its seed is no X25519 key"))?;
    let public = key.compute_public_key().map_err(|_| Error::internal("X25519 gave no public key"))?;
    if info.public.is_some_and(|given| given != public.as_ref()) {
        return Err(bad_private_key("its public half is not its own"));
    }
    let point = montgomery::peer(public.as_ref())?;
    Ok(Box::new(Private { spki: PublicParts::Montgomery { point }.to_spki()?, key }))
}

struct Private {
    key: agreement::PrivateKey,
    spki: Vec<u8>,
}

impl PrivateKey for Private {
    fn public_spki(&self) -> &[u8] {
        &self.spki
    }

    fn signature_len(&self) -> usize {
        0
    }

    fn sign(&self, _: SignScheme, _: &[u8], _: &mut [u8]) -> Result<usize> {
        Err(wrong_scheme("X25519"))
    }

    fn agree(&self, peer: &[u8], out: &mut [u8]) -> Result<usize> {
        let out = room(out, LEN)?;
        let peer = UnparsedPublicKey::new(&X25519, montgomery::peer(peer)?);
        agreement::agree(&self.key, peer, no_agreement(), |shared| {
            out.copy_from_slice(shared);
            Ok(LEN)
        })
    }
}
