//! ML-DSA (FIPS 204).

use super::AWS_LC;
use super::binding::MlDsaKey;
use crate::crypto::key_pairs::Maker;
use crate::crypto::ml_dsa::{self, MU};
use crate::crypto::post_quantum::{self, Seeded, sizes_of};
use crate::crypto::private_parts::Part;
use crate::crypto::public_parts::PublicParts;
use crate::crypto::refusal::{bad_private_key, bad_public_key, room, wrong_scheme};
use crate::crypto::{PrivateKey, PublicKey, RUST, SignScheme, private_info};
use crate::secret::SecretBytes;
use canis_proto::{Error, KeyType, Result};
use zeroize::Zeroizing;

/// ML-DSA keys.
pub(super) const ML_DSA: Maker = Maker { generate, private, public };

fn generate(kind: KeyType) -> Result<SecretBytes> {
    post_quantum::seed_pkcs8(kind, |seed| AWS_LC.random.fill(seed))
}

fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    let given = post_quantum::decode(kind, private_info::parse(kind, pkcs8)?.key)?;
    if let Some(expanded) = &given.expanded {
        ml_dsa::check_expanded(kind, expanded)?;
    }
    let form = given.seed.as_ref().or(given.expanded.as_ref());
    let form = form.ok_or_else(|| bad_private_key("it holds neither a seed nor an expanded key"))?;
    let key =
        MlDsaKey::private(kind, form).map_err(|_| bad_private_key("its numbers do not belong together"))?;
    let failed = |_| Error::internal("an ML-DSA key could not be taken apart");
    let public = key.public_bytes().map_err(failed)?;
    if let Some(expanded) = &given.expanded {
        ml_dsa::check_key_hash(expanded, &ml_dsa::key_hash(&public))?;
        post_quantum::check_both(expanded, key.expanded().map_err(failed)?.expose())?;
    }
    let spki = PublicParts::PostQuantum { kind, key: public }.to_spki()?;
    Ok(Box::new(Private { key, kind, spki, len: sizes_of(kind)?.signature }))
}

fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    let bytes = post_quantum::public_bytes(kind, spki)?;
    let key = MlDsaKey::public(kind, &bytes).map_err(|_| bad_public_key("it is not ML-DSA"))?;
    Ok(Box::new(Public { key, hash: ml_dsa::key_hash(&bytes) }))
}

struct Private {
    key: MlDsaKey,
    kind: KeyType,
    spki: Vec<u8>,
    len: usize,
}

impl PrivateKey for Private {
    fn public_spki(&self) -> &[u8] {
        &self.spki
    }

    fn signature_len(&self) -> usize {
        self.len
    }

    fn sign(&self, scheme: SignScheme, input: &[u8], out: &mut [u8]) -> Result<usize> {
        let mu = mu(scheme, input)?;
        let out = room(out, self.len)?;
        self.key.sign(mu, out).map_err(|_| Error::internal("ML-DSA gave no signature"))?;
        Ok(self.len)
    }

    /// By the other library: this one draws randomness for every signature.
    fn sign_deterministic(&self, input: &[u8], out: &mut [u8]) -> Result<usize> {
        let pkcs8 = Seeded { seed: None, expanded: Some(self.expanded()?) }.to_pkcs8(self.kind)?;
        RUST.keys.private(self.kind, pkcs8.expose())?.sign_deterministic(input, out)
    }

    fn expanded(&self) -> Result<Part> {
        let expanded =
            self.key.expanded().map_err(|_| Error::internal("an ML-DSA key could not be taken apart"))?;
        Ok(Zeroizing::new(expanded.expose().to_vec()))
    }
}

struct Public {
    key: MlDsaKey,
    hash: [u8; MU],
}

impl PublicKey for Public {
    fn verify(&self, scheme: SignScheme, input: &[u8], signature: &[u8]) -> Result<bool> {
        Ok(self.key.verify(mu(scheme, input)?, signature))
    }

    fn ml_dsa_hash(&self) -> Option<&[u8; MU]> {
        Some(&self.hash)
    }
}

fn mu(scheme: SignScheme, input: &[u8]) -> Result<&[u8; MU]> {
    if scheme != SignScheme::MlDsa {
        return Err(wrong_scheme("ML-DSA"));
    }
    ml_dsa::as_mu(input)
}
