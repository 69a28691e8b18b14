//! ML-DSA (FIPS 204), by `ml-dsa`.

use super::RUST;
use crate::crypto::key_pairs::Maker;
use crate::crypto::ml_dsa::{self, MU};
use crate::crypto::post_quantum::{self, Seeded, sizes_of};
use crate::crypto::private_parts::Part;
use crate::crypto::public_parts::PublicParts;
use crate::crypto::refusal::{bad_private_key, bad_public_key, room, wrong_scheme};
use crate::crypto::{PrivateKey, PublicKey, SignScheme, private_info};
use crate::secret::SecretBytes;
use ::ml_dsa::{ExpandedSigningKey, MlDsa44, MlDsa65, MlDsa87, MlDsaParams, Signature, VerifyingKey};
use canis_proto::{Error, KeyType, Result};
use getrandom::SysRng;
use zeroize::Zeroizing;

/// ML-DSA keys.
pub(super) const ML_DSA: Maker = Maker { generate, private, public };

fn generate(kind: KeyType) -> Result<SecretBytes> {
    post_quantum::seed_pkcs8(kind, |seed| RUST.random.fill(seed))
}

fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    let given = post_quantum::decode(kind, private_info::parse(kind, pkcs8)?.key)?;
    match kind {
        KeyType::MlDsa44 => private_of::<MlDsa44>(kind, &given),
        KeyType::MlDsa65 => private_of::<MlDsa65>(kind, &given),
        _ => private_of::<MlDsa87>(kind, &given),
    }
}

// What could make the library panic is refused before.
#[allow(deprecated)] // the forms that other programs keep (RFC 9881, section 6)
fn private_of<P: MlDsaParams + Send + Sync + 'static>(
    kind: KeyType,
    given: &Seeded,
) -> Result<Box<dyn PrivateKey>> {
    let wrong = |_| bad_private_key("a part of it has another length");
    if let Some(expanded) = &given.expanded {
        ml_dsa::check_expanded(kind, expanded)?;
    }
    let key = match (&given.seed, &given.expanded) {
        (Some(seed), _) => ExpandedSigningKey::<P>::from_seed(&seed.as_slice().try_into().map_err(wrong)?),
        (None, Some(expanded)) => {
            ExpandedSigningKey::<P>::from_expanded(&expanded.as_slice().try_into().map_err(wrong)?)
        }
        (None, None) => return Err(bad_private_key("it holds neither a seed nor an expanded key")),
    };
    let public = key.verifying_key().encode().to_vec();
    if let Some(expanded) = &given.expanded {
        ml_dsa::check_key_hash(expanded, &ml_dsa::key_hash(&public))?;
        post_quantum::check_both(expanded, &Zeroizing::new(key.to_expanded().to_vec()))?;
    }
    let spki = PublicParts::PostQuantum { kind, key: public }.to_spki()?;
    Ok(Box::new(Private { key, spki, len: sizes_of(kind)?.signature }))
}

fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    let bytes = post_quantum::public_bytes(kind, spki)?;
    match kind {
        KeyType::MlDsa44 => public_of::<MlDsa44>(&bytes),
        KeyType::MlDsa65 => public_of::<MlDsa65>(&bytes),
        _ => public_of::<MlDsa87>(&bytes),
    }
}

fn public_of<P: MlDsaParams + Send + Sync + 'static>(bytes: &[u8]) -> Result<Box<dyn PublicKey>> {
    let key = bytes.try_into().map_err(|_| bad_public_key("it has another length"))?;
    Ok(Box::new(Public { key: VerifyingKey::<P>::decode(&key), hash: ml_dsa::key_hash(bytes) }))
}

struct Private<P: MlDsaParams> {
    key: ExpandedSigningKey<P>,
    spki: Vec<u8>,
    len: usize,
}

impl<P: MlDsaParams + Send + Sync> PrivateKey for Private<P> {
    fn public_spki(&self) -> &[u8] {
        &self.spki
    }

    fn signature_len(&self) -> usize {
        self.len
    }

    fn sign(&self, scheme: SignScheme, input: &[u8], out: &mut [u8]) -> Result<usize> {
        let mu = mu(scheme, input)?.into();
        let out = room(out, self.len)?;
        let signature = self.key.sign_mu_randomized(&mu, &mut SysRng);
        let signature = signature.map_err(|_| Error::internal("ML-DSA gave no signature"))?;
        out.copy_from_slice(&signature.encode());
        Ok(self.len)
    }

    fn sign_deterministic(&self, input: &[u8], out: &mut [u8]) -> Result<usize> {
        let (mu, out) = (*ml_dsa::as_mu(input)?, room(out, self.len)?);
        out.copy_from_slice(&self.key.sign_mu_deterministic(&mu.into()).encode());
        Ok(self.len)
    }

    #[allow(deprecated)] // As above: the form that other programs keep.
    fn expanded(&self) -> Result<Part> {
        Ok(Zeroizing::new(self.key.to_expanded().to_vec()))
    }
}

struct Public<P: MlDsaParams> {
    key: VerifyingKey<P>,
    hash: [u8; MU],
}

impl<P: MlDsaParams + Send + Sync> PublicKey for Public<P> {
    fn verify(&self, scheme: SignScheme, input: &[u8], signature: &[u8]) -> Result<bool> {
        let mu = mu(scheme, input)?.into();
        let Ok(signature) = Signature::<P>::try_from(signature) else { return Ok(false) };
        Ok(self.key.verify_mu(&mu, &signature))
    }

    fn ml_dsa_hash(&self) -> Option<&[u8; MU]> {
        Some(&self.hash)
    }
}

fn mu(scheme: SignScheme, input: &[u8]) -> Result<[u8; MU]> {
    if scheme != SignScheme::MlDsa {
        return Err(wrong_scheme("ML-DSA"));
    }
    ml_dsa::as_mu(input).copied()
}
