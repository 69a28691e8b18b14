//! SLH-DSA (FIPS 205), by `slh-dsa`. The private key is kept as its bytes: there is nothing to precompute.

use super::RUST;
use crate::crypto::key_pairs::Maker;
use crate::crypto::post_quantum::{self, Seeded, sizes_of};
use crate::crypto::public_parts::PublicParts;
use crate::crypto::refusal::{bad_private_key, room, unsupported, wrong_scheme};
use crate::crypto::{PrivateKey, PublicKey, SignScheme, private_info};
use crate::secret::SecretBytes;
use canis_proto::{Error, KeyType, Result};
use canis_slh_dsa::Set;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// SLH-DSA keys, of both providers.
pub(crate) const SLH_DSA: Maker = Maker { generate, private, public };

fn set_of(kind: KeyType) -> Result<Set> {
    Ok(match kind {
        KeyType::SlhDsaSha2128s => Set::Sha2128s,
        KeyType::SlhDsaSha2128f => Set::Sha2128f,
        KeyType::SlhDsaSha2192s => Set::Sha2192s,
        KeyType::SlhDsaSha2192f => Set::Sha2192f,
        KeyType::SlhDsaSha2256s => Set::Sha2256s,
        KeyType::SlhDsaSha2256f => Set::Sha2256f,
        _ => return Err(unsupported("the key is none of SLH-DSA")),
    })
}

fn generate(kind: KeyType) -> Result<SecretBytes> {
    let mut drawn = Zeroizing::new(vec![0; 3 * set_of(kind)?.hash_len()]);
    RUST.random.fill(&mut drawn)?;
    of_seeds(kind, &drawn)
}

/// The key of SK.seed, SK.prf and PK.seed, one after another, in PKCS#8 (section 9.1, algorithm 18).
pub(crate) fn of_seeds(kind: KeyType, seeds: &[u8]) -> Result<SecretBytes> {
    let expanded = set_of(kind)?.key_of_seeds(seeds);
    Seeded { seed: None, expanded: Some(expanded.ok_or_else(wrong_length)?) }.to_pkcs8(kind)
}

/// That PK.root is the root of the key's own tree is not computed anew each time the key is parsed, which takes as long as to
/// generate it: the pairwise test finds one that is not, when the key comes.
fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    let given = post_quantum::decode(kind, private_info::parse(kind, pkcs8)?.key)?;
    let whole = given.expanded.ok_or_else(wrong_length)?;
    let public = whole.get(whole.len() / 2..).unwrap_or_default().to_vec();
    let spki = PublicParts::PostQuantum { kind, key: public }.to_spki()?;
    let key = SecretBytes::copied_from(&whole);
    Ok(Box::new(Private { key, set: set_of(kind)?, spki, len: sizes_of(kind)?.signature }))
}

fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    Ok(Box::new(Public { key: post_quantum::public_bytes(kind, spki)?, set: set_of(kind)? }))
}

fn wrong_length() -> Error {
    bad_private_key("it has another length than its type")
}

struct Private {
    key: SecretBytes,
    set: Set,
    spki: Vec<u8>,
    len: usize,
}

impl Private {
    fn sign_by(&self, random: Option<&[u8]>, message: &[u8], out: &mut [u8]) -> Result<usize> {
        let out = room(out, self.len)?;
        let signature = self.set.sign(self.key.expose(), random, message).ok_or_else(wrong_length)?;
        out.copy_from_slice(&signature);
        Ok(self.len)
    }
}

impl PrivateKey for Private {
    fn public_spki(&self) -> &[u8] {
        &self.spki
    }

    fn signature_len(&self) -> usize {
        self.len
    }

    fn sign(&self, scheme: SignScheme, input: &[u8], out: &mut [u8]) -> Result<usize> {
        fits(scheme)?;
        let mut random = Zeroizing::new(vec![0; self.set.hash_len()]);
        RUST.random.fill(&mut random)?;
        self.sign_by(Some(&random), input, out)
    }

    /// A signature of the sets `s` takes ten times as long, and shows no more: neither looks at SK.prf.
    fn leads_to_public(&self) -> Option<bool> {
        let key = self.key.expose();
        let made = self.set.key_of_seeds(key.get(..3 * self.set.hash_len())?)?;
        Some(made.ct_eq(key).into())
    }

    fn sign_deterministic(&self, input: &[u8], out: &mut [u8]) -> Result<usize> {
        self.sign_by(None, input, out)
    }
}

struct Public {
    key: Vec<u8>,
    set: Set,
}

impl PublicKey for Public {
    fn verify(&self, scheme: SignScheme, input: &[u8], signature: &[u8]) -> Result<bool> {
        fits(scheme)?;
        Ok(self.set.verify(&self.key, input, signature))
    }
}

fn fits(scheme: SignScheme) -> Result<()> {
    if scheme == SignScheme::SlhDsa { Ok(()) } else { Err(wrong_scheme("SLH-DSA")) }
}
