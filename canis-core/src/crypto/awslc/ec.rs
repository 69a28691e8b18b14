//! ECDSA (FIPS 186-5, section 6) over the caller's digest and ECDH (SP 800-56A), on the NIST curves and secp256k1.

use super::binding::{Curve, EcKey};
use crate::crypto::key_pairs::Maker;
use crate::crypto::private_info;
use crate::crypto::public_parts::{self, PublicParts};
use crate::crypto::refusal::{
    bad_private_key, bad_public_key, no_agreement, no_empty_digest, room, uncompressed, unsupported,
    wrong_scheme,
};
use crate::crypto::{PrivateKey, PublicKey, SignScheme};
use crate::secret::SecretBytes;
use canis_proto::{Error, KeyType, Result};

/// Keys on curves in short Weierstrass form.
pub(super) const EC: Maker = Maker { generate, private, public };

fn generate(kind: KeyType) -> Result<SecretBytes> {
    EcKey::generate(curve(kind)?)
        .and_then(|key| key.to_pkcs8())
        .map_err(|_| Error::internal("no EC key could be generated"))
}

fn private(kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
    private_info::parse(kind, pkcs8)?;
    let key = EcKey::from_pkcs8(curve(kind)?, pkcs8)
        .map_err(|_| bad_private_key("it is no ECPrivateKey, or its halves differ"))?;
    let point = key.point().map_err(|_| bad_private_key("its public half cannot be computed"))?;
    Ok(Box::new(Private { key, spki: PublicParts::Ec { curve: kind, point }.to_spki()? }))
}

fn public(kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
    let PublicParts::Ec { point, .. } = public_parts::of_kind(kind, spki)? else {
        return Err(bad_public_key("it is not of an elliptic curve"));
    };
    let key = EcKey::from_point(curve(kind)?, &point)
        .map_err(|_| bad_public_key("its point is not on its curve"))?;
    Ok(Box::new(Public(key)))
}

fn curve(kind: KeyType) -> Result<Curve> {
    match kind {
        KeyType::EcdsaP256 => Ok(Curve::P256),
        KeyType::EcdsaP384 => Ok(Curve::P384),
        KeyType::EcdsaP521 => Ok(Curve::P521),
        KeyType::EcdsaSecp256k1 => Ok(Curve::Secp256k1),
        _ => Err(unsupported(&format!("{kind} names no curve"))),
    }
}

struct Private {
    key: EcKey,
    spki: Vec<u8>,
}

impl PrivateKey for Private {
    fn public_spki(&self) -> &[u8] {
        &self.spki
    }

    fn signature_len(&self) -> usize {
        2 * self.key.curve().field()
    }

    fn sign(&self, scheme: SignScheme, input: &[u8], out: &mut [u8]) -> Result<usize> {
        if scheme != SignScheme::Ecdsa {
            return Err(wrong_scheme("ECDSA"));
        }
        no_empty_digest(input)?;
        let out = room(out, self.signature_len())?;
        self.key.sign(input, out).map_err(|_| Error::internal("ECDSA gave no signature"))?;
        Ok(out.len())
    }

    fn agree(&self, peer: &[u8], out: &mut [u8]) -> Result<usize> {
        uncompressed(self.key.curve().field(), peer)?;
        let out = room(out, self.key.curve().field())?;
        self.key.agree(peer, out).map_err(|_| no_agreement())?;
        Ok(out.len())
    }
}

struct Public(EcKey);

impl PublicKey for Public {
    fn verify(&self, scheme: SignScheme, input: &[u8], signature: &[u8]) -> Result<bool> {
        if scheme != SignScheme::Ecdsa {
            return Err(wrong_scheme("ECDSA"));
        }
        no_empty_digest(input)?;
        Ok(self.0.verify(input, signature))
    }
}
