//! X-Wing (draft-connolly-cfrg-xwing-kem, section 5), which HPKE calls MLKEM768-X25519: key encapsulation that holds as long as
//! one of ML-KEM-768 and X25519 does.
//!
//! Why it is put together here: ML-KEM is RustCrypto's, the rest the provider's, and no crate more is needed. Unlike the draft, and as
//! age wants it, a share of low order is refused (RFC 7748, section 6.1).

use super::x25519;
use aws_lc_rs::agreement::{PrivateKey as X25519Key, X25519};
use aws_lc_rs::{digest, rand};
use canis_proto::{Error, Result};
use ml_kem::kem::{Decapsulate, KeyExport, KeyInit};
use ml_kem::{B32, ml_kem_768};
use shake::Shake256;
use shake::digest::{ExtendableOutput, Update, XofReader};
use zeroize::{Zeroize, Zeroizing};

/// Bytes of a private key, which is a seed.
pub(super) const SEED: usize = 32;

/// Bytes of a public key.
pub(super) const PUBLIC: usize = ML_KEM_PUBLIC + 32;

/// Bytes of a ciphertext.
pub(super) const CIPHERTEXT: usize = ML_KEM_CIPHERTEXT + 32;

const ML_KEM_PUBLIC: usize = 1184;
const ML_KEM_CIPHERTEXT: usize = 1088;
const ML_KEM_SEED: usize = 64;

/// What the combiner ends with (section 5.3).
const LABEL: &[u8; 6] = br"\.//^\";

/// What both sides share.
pub(super) type Secret = Zeroizing<[u8; 32]>;

/// A public key.
#[derive(Clone)]
pub(super) struct PublicKey {
    ml_kem: ml_kem_768::EncapsulationKey,
    x25519: [u8; 32],
}

impl PublicKey {
    /// Reads the bytes of both halves; `None` for another length, or a coefficient out of range (FIPS 203, section 7.2).
    pub(super) fn parse(bytes: &[u8]) -> Option<PublicKey> {
        let (ml_kem, x25519) = bytes.split_at_checked(ML_KEM_PUBLIC)?;
        let ml_kem = ml_kem_768::EncapsulationKey::new(ml_kem.try_into().ok()?).ok()?;
        Some(PublicKey { ml_kem, x25519: x25519.try_into().ok()? })
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        [&self.ml_kem.to_bytes()[..], &self.x25519].concat()
    }

    /// A new secret and the ciphertext of it; `None` for a key of low order.
    ///
    /// # Errors
    /// `internal` if the system gives no random bytes.
    pub(super) fn encapsulate(&self) -> Result<Option<(Vec<u8>, Secret)>> {
        let ephemeral =
            X25519Key::generate(&X25519).map_err(|_| Error::internal("no ephemeral key can be made"))?;
        let share = x25519::public(&ephemeral)?;
        let Some(classic) = x25519::agree(&ephemeral, &self.x25519) else { return Ok(None) };
        let mut drawn = B32::default();
        rand::fill(&mut drawn).map_err(|_| Error::internal("the system gives no random bytes"))?;
        let (ciphertext, mut secret) = self.ml_kem.encapsulate_deterministic(&drawn);
        drawn.as_mut_slice().zeroize();
        let both = combined(&secret, &classic, &share, &self.x25519);
        secret.as_mut_slice().zeroize();
        Ok(Some(([&ciphertext[..], &share].concat(), both)))
    }
}

/// A private key.
pub(super) struct PrivateKey {
    ml_kem: ml_kem_768::DecapsulationKey,
    x25519: X25519Key,
    x25519_public: [u8; 32],
}

impl PrivateKey {
    /// Both halves, expanded from the seed (section 5.2).
    ///
    /// # Errors
    /// `internal`.
    pub(super) fn from_seed(seed: &[u8; SEED]) -> Result<PrivateKey> {
        let failed = || Error::internal("no key can be made of a seed");
        let mut shake = Shake256::default();
        shake.update(seed);
        let mut expanded = Zeroizing::new([0; ML_KEM_SEED + 32]);
        shake.finalize_xof().read(&mut *expanded);
        let (ml_kem, x25519) = expanded.split_at(ML_KEM_SEED);
        let ml_kem = ml_kem_768::DecapsulationKey::new(ml_kem.try_into().map_err(|_| failed())?);
        let x25519 = X25519Key::from_private_key(&X25519, x25519).map_err(|_| failed())?;
        let x25519_public = x25519::public(&x25519)?;
        Ok(PrivateKey { ml_kem, x25519, x25519_public })
    }

    pub(super) fn public(&self) -> PublicKey {
        PublicKey { ml_kem: self.ml_kem.encapsulation_key().clone(), x25519: self.x25519_public }
    }

    /// The secret of a ciphertext, of which an altered one leads to another; `None` for one of low order or another length.
    pub(super) fn decapsulate(&self, ciphertext: &[u8]) -> Option<Secret> {
        let (ml_kem, share) = ciphertext.split_at_checked(ML_KEM_CIPHERTEXT)?;
        let share = share.try_into().ok()?;
        let classic = x25519::agree(&self.x25519, share)?;
        let mut secret = self.ml_kem.decapsulate_slice(ml_kem).ok()?;
        let both = combined(&secret, &classic, share, &self.x25519_public);
        secret.as_mut_slice().zeroize();
        Some(both)
    }
}

/// The combiner (section 5.3): whoever lacks one of the two secrets knows nothing of what comes out.
fn combined(ml_kem: &[u8], x25519: &[u8; 32], share: &[u8; 32], public: &[u8; 32]) -> Secret {
    let mut hash = digest::Context::new(&digest::SHA3_256);
    for part in [ml_kem, x25519, share, public, LABEL] {
        hash.update(part);
    }
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(hash.finish().as_ref());
    secret
}
