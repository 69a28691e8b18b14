//! ECDSA on the NIST curves (FIPS 186-5, section 6), by `p256` and `p384`; deterministic nonces (RFC 6979).

use super::RUST;
use crate::crypto::key_pairs::Maker;
use crate::crypto::private_info;
use crate::crypto::public_parts::{self, PublicParts};
use crate::crypto::refusal::{
    bad_private_key, bad_public_key, encrypts_with_rsa_only, no_empty_digest, room, unsupported, wrong_scheme,
};
use crate::crypto::{Oaep, PrivateKey, PublicKey, SignScheme};
use crate::secret::SecretBytes;
use ::p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier};
use ::p256::elliptic_curve::sec1::ToSec1Point;
use canis_proto::{Error, KeyType, Result};
use pkcs8::{DecodePrivateKey, EncodePrivateKey};
use zeroize::Zeroizing;

/// Everything for one curve; the crates' generic bounds for it would be longer than it is.
macro_rules! curve {
    ($module:ident, $kind:expr, $field:literal) => {
        mod $module {
            use super::*;
            use ::$module::SecretKey;
            use ::$module::ecdsa::{Signature, SigningKey, VerifyingKey};

            /// Random field elements until one is in [1, n-1] (FIPS 186-5, appendix A.2.2).
            pub(super) fn generate() -> Result<SecretBytes> {
                let mut candidate = Zeroizing::new([0; $field]);
                let key = loop {
                    RUST.random.fill(candidate.as_mut())?;
                    if let Ok(key) = SecretKey::from_slice(candidate.as_ref()) {
                        break key;
                    }
                };
                let der = key.to_pkcs8_der().map_err(|_| Error::internal("an EC key cannot be encoded"))?;
                Ok(SecretBytes::copied_from(der.as_bytes()))
            }

            pub(super) fn private(pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
                private_info::parse($kind, pkcs8)?;
                let key = SecretKey::from_pkcs8_der(pkcs8)
                    .map_err(|_| bad_private_key("it is no ECPrivateKey, or its halves differ"))?;
                let point = key.public_key().to_sec1_point(false).as_bytes().to_vec();
                let spki = PublicParts::Ec { curve: $kind, point }.to_spki()?;
                Ok(Box::new(Private { key: SigningKey::from(&key), spki }))
            }

            pub(super) fn public(spki: &[u8]) -> Result<Box<dyn PublicKey>> {
                let PublicParts::Ec { point, .. } = public_parts::of_kind($kind, spki)? else {
                    return Err(bad_public_key("it is not of an elliptic curve"));
                };
                let key = VerifyingKey::from_sec1_bytes(&point)
                    .map_err(|_| bad_public_key("its point is not on its curve"))?;
                Ok(Box::new(Public(key)))
            }

            struct Private {
                key: SigningKey,
                spki: Vec<u8>,
            }

            impl PrivateKey for Private {
                fn public_spki(&self) -> &[u8] {
                    &self.spki
                }

                fn signature_len(&self) -> usize {
                    2 * $field
                }

                fn sign(&self, scheme: SignScheme, input: &[u8], out: &mut [u8]) -> Result<usize> {
                    if scheme != SignScheme::Ecdsa {
                        return Err(wrong_scheme("ECDSA"));
                    }
                    let out = room(out, 2 * $field)?;
                    let signature: Signature = self
                        .key
                        .sign_prehash(&to_field::<$field>(input)?)
                        .map_err(|_| Error::internal("ECDSA gave no signature"))?;
                    out.copy_from_slice(&signature.to_bytes());
                    Ok(2 * $field)
                }

                fn decrypt_oaep(&self, _: Oaep<'_>, _: &[u8], _: &mut [u8]) -> Result<usize> {
                    Err(encrypts_with_rsa_only())
                }
            }

            struct Public(VerifyingKey);

            impl PublicKey for Public {
                fn verify(&self, scheme: SignScheme, input: &[u8], signature: &[u8]) -> Result<bool> {
                    if scheme != SignScheme::Ecdsa {
                        return Err(wrong_scheme("ECDSA"));
                    }
                    let digest = to_field::<$field>(input)?;
                    let Ok(signature) = Signature::from_slice(signature) else { return Ok(false) };
                    Ok(self.0.verify_prehash(&digest, &signature).is_ok())
                }

                fn encrypt_oaep(&self, _: Oaep<'_>, _: &[u8]) -> Result<Vec<u8>> {
                    Err(encrypts_with_rsa_only())
                }
            }
        }
    };
}

curve!(p256, KeyType::EcdsaP256, 32);
curve!(p384, KeyType::EcdsaP384, 48);

/// A digest as the standard takes it: its leftmost bytes if it is longer than the order (both orders are whole
/// bytes), the integer it stands for if it is shorter. The crates leave short inputs undefined, so they see none.
fn to_field<const N: usize>(digest: &[u8]) -> Result<[u8; N]> {
    no_empty_digest(digest)?;
    let digest = &digest[..digest.len().min(N)];
    let mut field = [0; N];
    field[N - digest.len()..].copy_from_slice(digest);
    Ok(field)
}

/// Keys on NIST curves.
pub(super) const EC: Maker = Maker { generate, private, public };

fn generate(kind: KeyType) -> Result<SecretBytes> {
    match kind {
        KeyType::EcdsaP256 => p256::generate(),
        KeyType::EcdsaP384 => p384::generate(),
        _ => Err(not_a_curve(kind)),
    }
}

fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    match kind {
        KeyType::EcdsaP256 => p256::private(pkcs8),
        KeyType::EcdsaP384 => p384::private(pkcs8),
        _ => Err(not_a_curve(kind)),
    }
}

fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    match kind {
        KeyType::EcdsaP256 => p256::public(spki),
        KeyType::EcdsaP384 => p384::public(spki),
        _ => Err(not_a_curve(kind)),
    }
}

fn not_a_curve(kind: KeyType) -> Error {
    unsupported(&format!("{kind} names no curve"))
}
