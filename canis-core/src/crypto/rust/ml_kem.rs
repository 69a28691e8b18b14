//! ML-KEM (FIPS 203), by `ml-kem`.

use super::RUST;
use crate::crypto::key_pairs::Maker;
use crate::crypto::ml_kem;
use crate::crypto::post_quantum::{self, Seeded};
use crate::crypto::private_parts::Part;
use crate::crypto::public_parts::PublicParts;
use crate::crypto::refusal::{bad_private_key, bad_public_key, wrong_scheme};
use crate::crypto::{Encapsulation, PrivateKey, PublicKey, SignScheme, private_info};
use crate::secret::SecretBytes;
#[allow(deprecated)] // the form that other programs keep (RFC 9935, section 6)
use ::ml_kem::ExpandedKeyEncoding;
use ::ml_kem::array::{Array, ArraySize};
use ::ml_kem::kem::{Ciphertext, Decapsulate, Decapsulator, Kem, KeyExport, KeyInit, SharedKey, TryKeyInit};
use ::ml_kem::{B32, MlKem512, MlKem768, MlKem1024};
use canis_proto::{Error, KeyType, Result};
use zeroize::{Zeroize, Zeroizing};

/// ML-KEM keys.
pub(super) const ML_KEM: Maker = Maker { generate, private, public };

/// What the library does for each type.
#[allow(deprecated)] // as above
trait Type:
    Kem<
        DecapsulationKey: Decapsulate + KeyInit + ExpandedKeyEncoding + Send + Sync,
        EncapsulationKey: Send + Sync,
    >
{
    /// With the 32 bytes that were drawn: its own way to draw them cannot fail, ours can.
    fn encapsulate(key: &Self::EncapsulationKey, drawn: &B32) -> (Ciphertext<Self>, SharedKey<Self>);
}

macro_rules! types {
    ($($name:ty),+) => {$(
        impl Type for $name {
            fn encapsulate(key: &Self::EncapsulationKey, drawn: &B32) -> (Ciphertext<Self>, SharedKey<Self>) {
                key.encapsulate_deterministic(drawn)
            }
        }
    )+};
}
types!(MlKem512, MlKem768, MlKem1024);

fn generate(kind: KeyType) -> Result<SecretBytes> {
    post_quantum::seed_pkcs8(kind, |seed| RUST.random.fill(seed))
}

fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    let given = post_quantum::decode(kind, private_info::parse(kind, pkcs8)?.key)?;
    match kind {
        KeyType::MlKem512 => private_of::<MlKem512>(kind, &given),
        KeyType::MlKem768 => private_of::<MlKem768>(kind, &given),
        _ => private_of::<MlKem1024>(kind, &given),
    }
}

#[allow(deprecated)] // as above
fn private_of<T: Type>(kind: KeyType, given: &Seeded) -> Result<Box<dyn PrivateKey>> {
    let wrong = |_| bad_private_key("a part of it has another length");
    let key = match (&given.seed, &given.expanded) {
        (Some(seed), _) => T::DecapsulationKey::new(seed.as_slice().try_into().map_err(wrong)?),
        (None, Some(expanded)) => {
            let expanded = expanded.as_slice().try_into().map_err(wrong)?;
            T::DecapsulationKey::from_expanded_bytes(expanded).map_err(|_| ml_kem::torn())?
        }
        (None, None) => return Err(bad_private_key("it holds neither a seed nor an expanded key")),
    };
    if let Some(expanded) = &given.expanded {
        post_quantum::check_both(expanded, &Zeroizing::new(key.to_expanded_bytes().to_vec()))?;
    }
    let public = key.encapsulation_key().to_bytes().to_vec();
    let spki = PublicParts::PostQuantum { kind, key: public }.to_spki()?;
    Ok(Box::new(Private::<T> { key, kind, spki }))
}

fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    let bytes = post_quantum::public_bytes(kind, spki)?;
    match kind {
        KeyType::MlKem512 => public_of::<MlKem512>(&bytes),
        KeyType::MlKem768 => public_of::<MlKem768>(&bytes),
        _ => public_of::<MlKem1024>(&bytes),
    }
}

fn public_of<T: Type>(bytes: &[u8]) -> Result<Box<dyn PublicKey>> {
    let bytes = bytes.try_into().map_err(|_| bad_public_key("it has another length"))?;
    let key = T::EncapsulationKey::new(bytes);
    let key = key.map_err(|_| bad_public_key("a coefficient of it is out of range"))?;
    Ok(Box::new(Public::<T>(key)))
}

struct Private<T: Type> {
    key: T::DecapsulationKey,
    kind: KeyType,
    spki: Vec<u8>,
}

impl<T: Type> PrivateKey for Private<T> {
    fn public_spki(&self) -> &[u8] {
        &self.spki
    }

    fn signature_len(&self) -> usize {
        0
    }

    fn sign(&self, _: SignScheme, _: &[u8], _: &mut [u8]) -> Result<usize> {
        Err(wrong_scheme("ML-KEM"))
    }

    #[allow(deprecated)] // as above
    fn expanded(&self) -> Result<Part> {
        Ok(Zeroizing::new(self.key.to_expanded_bytes().to_vec()))
    }

    fn decapsulate(&self, ciphertext: &[u8]) -> Result<SecretBytes> {
        ml_kem::check_length(self.kind, ciphertext)?;
        let secret = self.key.decapsulate_slice(ciphertext);
        secret.map(taken).map_err(|_| Error::internal("ML-KEM gave no secret"))
    }
}

struct Public<T: Type>(T::EncapsulationKey);

impl<T: Type> PublicKey for Public<T> {
    fn verify(&self, _: SignScheme, _: &[u8], _: &[u8]) -> Result<bool> {
        Err(wrong_scheme("ML-KEM"))
    }

    fn encapsulate(&self) -> Result<Encapsulation> {
        let mut drawn = B32::default();
        RUST.random.fill(&mut drawn)?;
        let (ciphertext, secret) = T::encapsulate(&self.0, &drawn);
        drawn.zeroize();
        Ok(Encapsulation { ciphertext: ciphertext.to_vec(), secret: taken(secret) })
    }
}

/// The library's secret, wiped where it was.
fn taken<N: ArraySize>(mut secret: Array<u8, N>) -> SecretBytes {
    let taken = SecretBytes::copied_from(&secret);
    secret.as_mut_slice().zeroize();
    taken
}
