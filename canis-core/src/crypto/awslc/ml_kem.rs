//! ML-KEM (FIPS 203).

use super::AWS_LC;
use super::binding::MlKemKey;
use crate::crypto::key_pairs::Maker;
use crate::crypto::ml_kem;
use crate::crypto::post_quantum::{self, sizes_of};
use crate::crypto::private_parts::Part;
use crate::crypto::public_parts::PublicParts;
use crate::crypto::refusal::{bad_private_key, bad_public_key, wrong_scheme};
use crate::crypto::{Encapsulation, PrivateKey, PublicKey, SignScheme, private_info};
use crate::secret::SecretBytes;
use canis_proto::{Error, KeyType, Result};
use zeroize::Zeroizing;

/// ML-KEM keys.
pub(super) const ML_KEM: Maker = Maker { generate, private, public };

fn generate(kind: KeyType) -> Result<SecretBytes> {
    post_quantum::seed_pkcs8(kind, |seed| AWS_LC.random.fill(seed))
}

fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    let given = post_quantum::decode(kind, private_info::parse(kind, pkcs8)?.key)?;
    let failed = |_| Error::internal("an ML-KEM key could not be taken apart");
    let key = match (&given.seed, &given.expanded) {
        (Some(seed), _) => MlKemKey::from_seed(kind, seed).map_err(|_| bad_private_key("its seed is none")),
        (None, Some(expanded)) => {
            let public = ml_kem::public_in(kind, expanded)?;
            MlKemKey::expanded(kind, public, expanded).map_err(|_| ml_kem::torn())
        }
        (None, None) => Err(bad_private_key("it holds neither a seed nor an expanded key")),
    }?;
    if let Some(expanded) = &given.expanded {
        post_quantum::check_both(expanded, key.expanded_bytes().map_err(failed)?.expose())?;
    }
    let public = key.public_bytes().map_err(failed)?;
    Ok(Box::new(Private { key, kind, spki: PublicParts::PostQuantum { kind, key: public }.to_spki()? }))
}

fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    let bytes = post_quantum::public_bytes(kind, spki)?;
    let key =
        MlKemKey::public(kind, &bytes).map_err(|_| bad_public_key("a coefficient of it is out of range"))?;
    Ok(Box::new(Public { key, ciphertext: sizes_of(kind)?.ciphertext }))
}

struct Private {
    key: MlKemKey,
    kind: KeyType,
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
        Err(wrong_scheme("ML-KEM"))
    }

    fn expanded(&self) -> Result<Part> {
        let expanded = self.key.expanded_bytes();
        let expanded = expanded.map_err(|_| Error::internal("an ML-KEM key could not be taken apart"))?;
        Ok(Zeroizing::new(expanded.expose().to_vec()))
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<SecretBytes> {
        ml_kem::check_length(self.kind, ciphertext)?;
        self.key.decapsulate(ciphertext).map_err(|_| Error::internal("ML-KEM gave no secret"))
    }
}

struct Public {
    key: MlKemKey,
    ciphertext: usize,
}

impl PublicKey for Public {
    fn verify(&self, _: SignScheme, _: &[u8], _: &[u8]) -> Result<bool> {
        Err(wrong_scheme("ML-KEM"))
    }

    fn encapsulate(&self) -> Result<Encapsulation> {
        let mut ciphertext = vec![0; self.ciphertext];
        let secret = self.key.encapsulate(&mut ciphertext);
        let secret = secret.map_err(|_| Error::internal("ML-KEM gave no secret"))?;
        Ok(Encapsulation { ciphertext, secret })
    }
}
