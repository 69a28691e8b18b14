//! The forms in which keys come in and go out. A decoder here is total: bounded, exact to the last byte, no panic; it
//! says of which type a key is and takes it apart. Whether the key is good is for [`crate::crypto`] to say.

use crate::crypto::post_quantum::{self, Seeded};
use crate::crypto::private_parts::PrivateParts;
use crate::crypto::public_parts::PublicParts;
use crate::crypto::refusal::bad_private_key;
use crate::crypto::{Provider, from_outside};
use crate::object::MAX_SECRET;
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Family, KeyFormat, KeyType, Result};

pub mod age;
mod ber;
pub mod certificate;
pub(crate) mod certificate_names;
pub mod file;
pub mod jwk;
pub mod openssh;
pub mod pbes2;
pub mod pem;
mod pkcs1;
pub mod pkcs12;
mod pkcs12_encryption;
mod pkcs8;
pub mod public;
mod sec1;

/// The longest input taken, in bytes: an RSA-8192 key takes 8 KiB in its longest form.
pub const MAX_INPUT: usize = 64 * 1024;

/// A key that came in.
pub enum Given {
    /// A secret key or a private key.
    Private {
        /// The key.
        parts: PrivateParts,
        /// The public half that stood beside it, if one did: a point in SEC 1's form, or the key's own bytes.
        /// It must be its own.
        point: Option<Vec<u8>>,
    },
    /// A public half alone.
    Public(PublicParts),
}

/// A key that came in, found good, in the form that keys are kept in.
pub enum Checked {
    /// A secret key or a private key.
    Whole {
        /// Its type.
        kind: KeyType,
        /// PKCS#8 DER of a key pair, or the bytes of a secret key.
        material: SecretBytes,
        /// The public half in SubjectPublicKeyInfo DER; empty for secret keys.
        spki: Vec<u8>,
    },
    /// A public half alone.
    Public {
        /// Its type.
        kind: KeyType,
        /// SubjectPublicKeyInfo DER.
        spki: Vec<u8>,
    },
}

impl Checked {
    /// The key's type.
    #[must_use]
    pub fn kind(&self) -> KeyType {
        match self {
            Checked::Whole { kind, .. } | Checked::Public { kind, .. } => *kind,
        }
    }

    /// The key, if it is of this type.
    ///
    /// # Errors
    /// `invalid_key_type` naming both.
    pub(crate) fn expect_kind(self, kind: KeyType) -> Result<Self> {
        if self.kind() == kind {
            return Ok(self);
        }
        Err(Error::new(ErrorCode::InvalidKeyType, format!("the key is of type {}, not {kind}", self.kind())))
    }

    /// The key as it crosses CANISP in plain.
    #[must_use]
    pub fn into_form(self) -> (KeyType, KeyFormat, SecretBytes) {
        match self {
            Checked::Whole { kind, material, .. } => {
                (kind, if kind.is_asymmetric() { KeyFormat::Pkcs8 } else { KeyFormat::Raw }, material)
            }
            Checked::Public { kind, spki } => (kind, KeyFormat::Spki, SecretBytes::taken_from(spki)),
        }
    }
}

impl Given {
    /// Checks the key: halves that belong together, numbers in range, none of the weaknesses that are known.
    ///
    /// # Errors
    /// `invalid_argument` naming what is wrong with it; `invalid_key_type` for a size that no type has.
    pub fn check(self, provider: &Provider) -> Result<Checked> {
        match self {
            Given::Private { parts, point } => {
                let (kind, material) = parts.into_material()?;
                if !kind.is_asymmetric() {
                    return Ok(Checked::Whole { kind, material, spki: Vec::new() });
                }
                let spki = from_outside::check_private(provider, kind, material.expose())?;
                let material = shortest(kind, material)?;
                match point {
                    Some(point) if !PublicParts::from_spki(&spki)?.1.is_point(&point) => {
                        Err(bad_private_key("the public half that stands beside it is another key's"))
                    }
                    _ => Ok(Checked::Whole { kind, material, spki }),
                }
            }
            Given::Public(parts) => {
                let (kind, spki) = (parts.kind()?, parts.to_spki()?);
                from_outside::check_public(provider, kind, &spki)?;
                Ok(Checked::Public { kind, spki })
            }
        }
    }

    fn alone(parts: PrivateParts) -> Self {
        Given::Private { parts, point: None }
    }
}

/// Reads a key in `format` that is to be of type `kind`; only [`KeyFormat::Raw`] depends on that. Nothing is decrypted
/// here: what needs a passphrase is read by [`file::read`].
///
/// # Errors
/// `too_large` for more than [`MAX_INPUT`] bytes; `invalid_argument` naming what is wrong with them, never any of them;
/// `invalid_key_type` for a key that no type fits.
pub fn decode(format: KeyFormat, kind: KeyType, bytes: &[u8]) -> Result<Given> {
    bounded(bytes)?;
    match format {
        KeyFormat::Raw => raw(kind, bytes),
        KeyFormat::Pkcs8 => pkcs8::decode(bytes),
        KeyFormat::Pkcs1 => pkcs1::decode(bytes),
        KeyFormat::Sec1 => sec1::decode(Some(kind), bytes),
        KeyFormat::Jwk => jwk::decode(kind, bytes),
        KeyFormat::OpenSsh => openssh::decode(bytes, None),
        KeyFormat::Spki => PublicParts::from_spki(bytes).map(|(_, parts)| Given::Public(parts)),
    }
}

/// A key as it is: the bytes of a secret key, or the seed of Ed25519, X25519 (RFC 8032, RFC 7748) and post-quantum keys;
/// of SLH-DSA the whole private key (FIPS 205, section 9.1, figure 15).
fn raw(kind: KeyType, bytes: &[u8]) -> Result<Given> {
    let lengths = match kind.family() {
        Family::Generic => 1..=MAX_SECRET,
        Family::Aes | Family::Des | Family::TripleDes => kind.bytes()..=kind.bytes(),
        Family::Edwards | Family::Montgomery => kind.bytes()..=kind.bytes(),
        Family::MlDsa | Family::MlKem | Family::SlhDsa | Family::Hybrid => kind.bytes()..=kind.bytes(),
        Family::Rsa | Family::Ec => {
            return Err(Error::invalid(format!("a key of type {kind} has no raw form; bring it as PKCS#8")));
        }
    };
    if !lengths.contains(&bytes.len()) {
        let expected = lengths.end();
        return Err(Error::invalid(format!(
            "a raw key of type {kind} has {expected} bytes, not {}",
            bytes.len()
        )));
    }
    let seed = || bytes.to_vec().into();
    Ok(Given::alone(if kind.family() == Family::SlhDsa {
        PrivateParts::PostQuantum { kind, seed: None, expanded: Some(seed()) }
    } else if post_quantum::sizes(kind).is_some() {
        PrivateParts::PostQuantum { kind, seed: Some(seed()), expanded: None }
    } else if kind.is_asymmetric() {
        PrivateParts::Seed { kind, seed: seed() }
    } else {
        PrivateParts::Secret { kind, value: SecretBytes::copied_from(bytes) }
    }))
}

/// A post-quantum key whose seed is known is kept as the seed.
pub(crate) fn shortest(kind: KeyType, material: SecretBytes) -> Result<SecretBytes> {
    match PrivateParts::of_material(kind, material.expose())? {
        PrivateParts::PostQuantum { seed, expanded: Some(expanded), .. } => {
            Seeded { seed, expanded: Some(expanded) }.shortest().to_pkcs8(kind)
        }
        _ => Ok(material),
    }
}

fn bounded(bytes: &[u8]) -> Result<()> {
    if bytes.len() <= MAX_INPUT {
        return Ok(());
    }
    Err(Error::new(
        canis_proto::ErrorCode::TooLarge,
        format!("a key of {} bytes is larger than any; the limit is {MAX_INPUT} bytes", bytes.len()),
    ))
}
