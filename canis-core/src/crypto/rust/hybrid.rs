//! MLKEM768-X25519 (X-Wing), by `x-wing`.

use super::RUST;
use crate::crypto::hybrid::{self, LEN};
use crate::crypto::key_pairs::Maker;
use crate::crypto::post_quantum;
use crate::crypto::public_parts::PublicParts;
use crate::crypto::refusal::{bad_private_key, bad_public_key, wrong_scheme};
use crate::crypto::{Encapsulation, PrivateKey, PublicKey, SignScheme, private_info};
use crate::secret::SecretBytes;
use canis_proto::{Error, KeyType, Result};
use x_wing::{
    Ciphertext, Decapsulate, DecapsulationKey, Decapsulator, ENCAPSULATION_RANDOMNESS_SIZE, EncapsulationKey,
    KeyExport, SharedKey,
};
use zeroize::{Zeroize, Zeroizing};

/// Hybrid keys.
pub(super) const HYBRID: Maker = Maker { generate, private, public };

fn generate(kind: KeyType) -> Result<SecretBytes> {
    post_quantum::seed_pkcs8(kind, |seed| RUST.random.fill(seed))
}

fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    let seed = hybrid::seed(kind, private_info::parse(kind, pkcs8)?.key)?;
    let wrong = |_| bad_private_key("its seed has another length");
    let seed = Zeroizing::new(<[u8; LEN]>::try_from(seed.expose()).map_err(wrong)?);
    let key = DecapsulationKey::from(*seed);
    let public = key.encapsulation_key().to_bytes().to_vec();
    let spki = PublicParts::PostQuantum { kind, key: public }.to_spki()?;
    Ok(Box::new(Private { kind, key, spki }))
}

fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    let bytes = hybrid::public_bytes(kind, spki)?;
    let key = EncapsulationKey::try_from(bytes.as_slice());
    let key = key.map_err(|_| bad_public_key("a coefficient of it is out of range"))?;
    Ok(Box::new(Public(key)))
}

struct Private {
    kind: KeyType,
    key: DecapsulationKey,
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
        Err(wrong_scheme("hybrid"))
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<SecretBytes> {
        hybrid::halves(self.kind, ciphertext)?;
        let ciphertext = Ciphertext::try_from(ciphertext);
        let ciphertext = ciphertext.map_err(|_| Error::internal("a ciphertext changed its length"))?;
        Ok(taken(self.key.decapsulate(&ciphertext)))
    }
}

struct Public(EncapsulationKey);

impl PublicKey for Public {
    fn verify(&self, _: SignScheme, _: &[u8], _: &[u8]) -> Result<bool> {
        Err(wrong_scheme("hybrid"))
    }

    /// With bytes drawn here: the library's own way to draw them cannot fail, ours can.
    fn encapsulate(&self) -> Result<Encapsulation> {
        let mut drawn = [0; ENCAPSULATION_RANDOMNESS_SIZE];
        RUST.random.fill(&mut drawn)?;
        let mut drawn = drawn.into();
        let (ciphertext, secret) = self.0.encapsulate_deterministic(&drawn);
        drawn.zeroize();
        Ok(Encapsulation { ciphertext: ciphertext.to_vec(), secret: taken(secret) })
    }
}

fn taken(mut secret: SharedKey) -> SecretBytes {
    let taken = SecretBytes::copied_from(&secret);
    secret.zeroize();
    taken
}
