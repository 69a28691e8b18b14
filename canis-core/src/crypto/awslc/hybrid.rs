//! MLKEM768-X25519 (X-Wing): AWS-LC's ML-KEM-768 and X25519, combined as the draft says.

use super::binding::MlKemKey;
use super::{AWS_LC, digest};
use crate::crypto::hybrid::{self, LEN, POINT};
use crate::crypto::key_pairs::Maker;
use crate::crypto::ml_kem::SECRET;
use crate::crypto::post_quantum::{self, sizes_of};
use crate::crypto::public_parts::PublicParts;
use crate::crypto::refusal::{bad_private_key, bad_public_key, wrong_scheme};
use crate::crypto::{
    Digest, Encapsulation, Hash, MAX_DIGEST, PrivateKey, PublicKey, SignScheme, private_info,
};
use crate::secret::SecretBytes;
use aws_lc_rs::agreement::{self, UnparsedPublicKey, X25519};
use canis_proto::{Error, KeyType, Result};
use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};
use zeroize::Zeroizing;

/// Hybrid keys.
pub(super) const HYBRID: Maker = Maker { generate, private, public };

/// What ends the input of the hash that makes the secret (draft-connolly-cfrg-xwing-kem, section 5.3).
const LABEL: &[u8; 6] = br"\.//^\";

/// The seed of the ML-KEM half, d ‖ z.
const ML_KEM_SEED: usize = 64;

fn generate(kind: KeyType) -> Result<SecretBytes> {
    post_quantum::seed_pkcs8(kind, |seed| AWS_LC.random.fill(seed))
}

/// Section 5.2: SHAKE256 makes both private halves of the seed.
fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    let seed = hybrid::seed(kind, private_info::parse(kind, pkcs8)?.key)?;
    let expanded = SecretBytes::filled(ML_KEM_SEED + POINT, |expanded| {
        let mut shake = Shake256::default();
        shake.update(seed.expose());
        shake.finalize_xof().read(expanded);
        Ok::<_, Error>(())
    })?;
    let (lattice, scalar) = expanded.expose().split_at(ML_KEM_SEED);
    let lattice = MlKemKey::from_seed(KeyType::MlKem768, lattice)
        .map_err(|_| bad_private_key("the ML-KEM half of it is none"))?;
    let curve = agreement::PrivateKey::from_private_key(&X25519, scalar)
        .map_err(|_| bad_private_key("the X25519 half of it is none"))?;
    let failed = || Error::internal("a hybrid key gave no public key");
    let point = curve.compute_public_key().map_err(|_| failed())?;
    let point: [u8; POINT] = point.as_ref().try_into().map_err(|_| failed())?;
    let key = [&lattice.public_bytes().map_err(|_| failed())?[..], &point].concat();
    let spki = PublicParts::PostQuantum { kind, key }.to_spki()?;
    Ok(Box::new(Private { kind, lattice, curve, point, spki }))
}

fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    let bytes = hybrid::public_bytes(kind, spki)?;
    let Some((lattice, point)) = bytes.split_last_chunk::<POINT>() else {
        return Err(bad_public_key("it is too short"));
    };
    let lattice = MlKemKey::public(KeyType::MlKem768, lattice)
        .map_err(|_| bad_public_key("a coefficient of it is out of range"))?;
    Ok(Box::new(Public { lattice, point: *point, ciphertext: sizes_of(kind)?.ciphertext }))
}

/// Section 5.3, the combiner: SHA3-256 of both secrets, the ephemeral and the recipient's point, and the label.
fn combined(
    lattice: &SecretBytes,
    agreed: &[u8; POINT],
    ephemeral: &[u8; POINT],
    point: &[u8; POINT],
) -> Result<SecretBytes> {
    let mut input = Zeroizing::new([0; SECRET + 3 * POINT + LABEL.len()]);
    let mut rest = input.as_mut_slice();
    for part in [lattice.expose(), agreed, ephemeral, point, LABEL] {
        let (place, after) = rest.split_at_mut(part.len());
        place.copy_from_slice(part);
        rest = after;
    }
    let mut hash = Zeroizing::new([0; MAX_DIGEST]);
    let len = digest::Sha.hash(Hash::Sha3_256, &*input, &mut hash);
    SecretBytes::filled(LEN, |secret| {
        secret.copy_from_slice(&hash[..len]);
        Ok::<_, Error>(())
    })
}

struct Private {
    kind: KeyType,
    lattice: MlKemKey,
    curve: agreement::PrivateKey,
    point: [u8; POINT],
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
        let (lattice, ephemeral) = hybrid::halves(self.kind, ciphertext)?;
        let secret =
            self.lattice.decapsulate(lattice).map_err(|_| Error::internal("ML-KEM gave no secret"))?;
        // The library refuses a point of small order, with which everybody agrees on zeros; the draft goes on with these. Whoever
        // sent such a point chose to rest on ML-KEM alone, and that the ciphertext is wrong is not told at this place.
        let mut agreed = Zeroizing::new([0; POINT]);
        let _ = agreement::agree(&self.curve, UnparsedPublicKey::new(&X25519, ephemeral), (), |shared| {
            agreed.copy_from_slice(shared);
            Ok(())
        });
        combined(&secret, &agreed, ephemeral, &self.point)
    }
}

struct Public {
    lattice: MlKemKey,
    point: [u8; POINT],
    ciphertext: usize,
}

impl PublicKey for Public {
    fn verify(&self, _: SignScheme, _: &[u8], _: &[u8]) -> Result<bool> {
        Err(wrong_scheme("hybrid"))
    }

    fn encapsulate(&self) -> Result<Encapsulation> {
        let mut ciphertext = vec![0; self.ciphertext];
        let Some((lattice, ephemeral)) = ciphertext.split_last_chunk_mut::<POINT>() else {
            return Err(Error::internal("a hybrid ciphertext has no room"));
        };
        let secret = self.lattice.encapsulate(lattice);
        let secret = secret.map_err(|_| Error::internal("ML-KEM gave no secret"))?;
        let failed = || Error::internal("X25519 gave no secret");
        let mut scalar = Zeroizing::new([0; POINT]);
        AWS_LC.random.fill(&mut *scalar)?;
        let own = agreement::PrivateKey::from_private_key(&X25519, &*scalar).map_err(|_| failed())?;
        ephemeral.copy_from_slice(own.compute_public_key().map_err(|_| failed())?.as_ref());
        let mut agreed = Zeroizing::new([0; POINT]);
        agreement::agree(&own, UnparsedPublicKey::new(&X25519, &self.point), failed(), |shared| {
            agreed.copy_from_slice(shared);
            Ok(())
        })?;
        let secret = combined(&secret, &agreed, ephemeral, &self.point)?;
        Ok(Encapsulation { ciphertext, secret })
    }
}
