//! X25519 (RFC 7748), by `curve25519-dalek`.

use super::RUST;
use crate::crypto::key_pairs::Maker;
use crate::crypto::montgomery::{self, LEN};
use crate::crypto::private_info::{seed, seed_pkcs8};
use crate::crypto::public_parts::PublicParts;
use crate::crypto::refusal::{bad_private_key, no_agreement, room, wrong_scheme};
use crate::crypto::{PrivateKey, SignScheme};
use crate::secret::SecretBytes;
use canis_proto::{KeyType, Result};
use curve25519_dalek::montgomery::MontgomeryPoint;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// X25519 keys.
pub(super) const MONTGOMERY: Maker = Maker { generate, private, public: montgomery::public };

fn generate(kind: KeyType) -> Result<SecretBytes> {
    seed_pkcs8(kind, |seed| RUST.random.fill(seed))
}

fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    let info = seed(kind, pkcs8)?;
    let point = MontgomeryPoint::mul_base_clamped(*info.seed).0;
    if info.public.is_some_and(|public| public != point) {
        return Err(bad_private_key("its public half is not its own"));
    }
    Ok(Box::new(Private { scalar: info.seed, spki: PublicParts::Montgomery { point }.to_spki()? }))
}

struct Private {
    scalar: Zeroizing<[u8; LEN]>,
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
        let shared = Zeroizing::new(MontgomeryPoint(montgomery::peer(peer)?).mul_clamped(*self.scalar).0);
        if bool::from(shared.ct_eq(&[0; LEN])) {
            return Err(no_agreement());
        }
        out.copy_from_slice(&*shared);
        Ok(LEN)
    }
}
