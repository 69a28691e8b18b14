//! ECDSA (FIPS 186-5, section 6) with deterministic nonces (RFC 6979) and ECDH (SP 800-56A) on the NIST curves and
//! secp256k1, by `p256`, `p384`, `p521` and `k256`.

use super::RUST;
use crate::crypto::key_pairs::Maker;
use crate::crypto::private_info;
use crate::crypto::public_parts::{self, PublicParts};
use crate::crypto::refusal::{
    bad_private_key, bad_public_key, no_agreement, no_empty_digest, room, uncompressed, unsupported,
    wrong_scheme,
};
use crate::crypto::{PrivateKey, PublicKey, SignScheme};
use crate::secret::SecretBytes;
use ::p256::ecdsa::signature::hazmat::{PrehashSigner, PrehashVerifier, RandomizedPrehashSigner};
use ::p256::elliptic_curve::sec1::ToSec1Point;
use canis_proto::{Error, KeyType, Result};
use getrandom::SysRng;
use pkcs8::{DecodePrivateKey, EncodePrivateKey};
use zeroize::Zeroizing;

/// Everything for one curve; the crates' generic bounds for it would be longer than it is.
macro_rules! curve {
    ($module:ident, $kind:expr, $field:literal) => {
        mod $module {
            use super::*;
            use ::$module::SecretKey;
            use ::$module::ecdsa::{Signature, SigningKey, VerifyingKey};
            use ::$module::{PublicKey as Point, ecdh};

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
                    let digest = to_field::<$field>(input, $kind)?;
                    let signature: Signature = match &digest[..] {
                        whole if 8 * $field == $kind.bits() => self.key.sign_prehash(whole),
                        // The crate shifts 66 bytes to P-521's 521 bits for the nonce, but not for the signature: two
                        // digests that differ in the bits lost would share a nonce, and give the key away. 65 bytes
                        // are not shifted; where there are more, the nonce gets randomness besides.
                        [0, rest @ ..] => self.key.sign_prehash(rest),
                        more => self.key.sign_prehash_with_rng(&mut SysRng, more),
                    }
                    .map_err(|_| Error::internal("ECDSA gave no signature"))?;
                    out.copy_from_slice(&signature.to_bytes());
                    Ok(2 * $field)
                }

                fn agree(&self, peer: &[u8], out: &mut [u8]) -> Result<usize> {
                    uncompressed($field, peer)?;
                    let out = room(out, $field)?;
                    let peer = Point::from_sec1_bytes(peer).map_err(|_| no_agreement())?;
                    let shared = ecdh::diffie_hellman(self.key.as_nonzero_scalar(), peer.as_affine());
                    out.copy_from_slice(shared.raw_secret_bytes());
                    Ok($field)
                }
            }

            struct Public(VerifyingKey);

            impl PublicKey for Public {
                fn verify(&self, scheme: SignScheme, input: &[u8], signature: &[u8]) -> Result<bool> {
                    if scheme != SignScheme::Ecdsa {
                        return Err(wrong_scheme("ECDSA"));
                    }
                    let digest = to_field::<$field>(input, $kind)?;
                    let Ok(signature) = Signature::from_slice(signature) else { return Ok(false) };
                    // Of the two forms of s the crate for secp256k1 takes the lower one only, a rule of ledgers that
                    // the standard does not have.
                    Ok(self.0.verify_prehash(&digest, &signature.normalize_s()).is_ok())
                }
            }
        }
    };
}

curve!(p256, KeyType::EcdsaP256, 32);
curve!(p384, KeyType::EcdsaP384, 48);
curve!(p521, KeyType::EcdsaP521, 66);
curve!(k256, KeyType::EcdsaSecp256k1, 32);

/// A digest as the standard takes it: its leftmost bits, as many as the order has, if it is longer; the integer it
/// stands for if it is shorter. The crates leave short inputs undefined, so they see none.
fn to_field<const N: usize>(digest: &[u8], curve: KeyType) -> Result<[u8; N]> {
    no_empty_digest(digest)?;
    let digest = &digest[..digest.len().min(N)];
    let mut field = [0; N];
    field[N - digest.len()..].copy_from_slice(digest);
    // All orders but P-521's are whole bytes; of a digest that reaches over its 521 bits, seven fall off at the end.
    let over = (8 * digest.len()).saturating_sub(curve.bits());
    if over > 0 {
        let mut carry = 0;
        for byte in &mut field {
            let low = *byte << (8 - over);
            *byte = *byte >> over | carry;
            carry = low;
        }
    }
    Ok(field)
}

/// Keys on curves in short Weierstrass form.
pub(super) const EC: Maker = Maker { generate, private, public };

fn generate(kind: KeyType) -> Result<SecretBytes> {
    match kind {
        KeyType::EcdsaP256 => p256::generate(),
        KeyType::EcdsaP384 => p384::generate(),
        KeyType::EcdsaP521 => p521::generate(),
        KeyType::EcdsaSecp256k1 => k256::generate(),
        _ => Err(not_a_curve(kind)),
    }
}

fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    match kind {
        KeyType::EcdsaP256 => p256::private(pkcs8),
        KeyType::EcdsaP384 => p384::private(pkcs8),
        KeyType::EcdsaP521 => p521::private(pkcs8),
        KeyType::EcdsaSecp256k1 => k256::private(pkcs8),
        _ => Err(not_a_curve(kind)),
    }
}

fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    match kind {
        KeyType::EcdsaP256 => p256::public(spki),
        KeyType::EcdsaP384 => p384::public(spki),
        KeyType::EcdsaP521 => p521::public(spki),
        KeyType::EcdsaSecp256k1 => k256::public(spki),
        _ => Err(not_a_curve(kind)),
    }
}

fn not_a_curve(kind: KeyType) -> Error {
    unsupported(&format!("{kind} names no curve"))
}
