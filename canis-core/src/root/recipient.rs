//! A recipient as root: a public X25519 key whose private half lies elsewhere, in a safe. The store wraps the root key to
//! it without asking anybody; the private key's file opens the store when every other root is lost.
//!
//! Why this is safe here: each wrap has a key pair of its own, whose private half is gone afterwards; the wrapping key is
//! HKDF-SHA-256 of what both sides agree on, salted with both public keys, so that it belongs to this pair alone.

use super::Root;
use crate::crypto::public_parts::PublicParts;
use crate::crypto::xaes::XaesKey;
use crate::crypto::{PrivateKey, Provider};
use crate::keyring::seal::{open_secret, xaes_key};
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, KeyType, Result};

pub(super) const KIND: &str = "recipient";

/// The length of an X25519 public key and of what two sides agree on.
const LEN: usize = 32;

/// The public key of a recipient, checked.
///
/// # Errors
/// `invalid_argument`, `invalid_key_type`: the bytes are no SubjectPublicKeyInfo of X25519.
pub(super) fn public_key(provider: &Provider, spki: &[u8]) -> Result<[u8; LEN]> {
    provider.keys.public(KeyType::X25519, spki)?;
    point(spki)
}

fn point(spki: &[u8]) -> Result<[u8; LEN]> {
    match PublicParts::from_spki(spki)?.1 {
        PublicParts::Montgomery { point } => Ok(point),
        _ => {
            Err(Error::invalid("a recipient's key is X25519; `openssl genpkey -algorithm X25519` makes one"))
        }
    }
}

pub(super) struct RecipientRoot<'a> {
    pub(super) provider: &'static Provider,
    pub(super) public: &'a [u8; LEN],
    /// PKCS#8 DER; only to open.
    pub(super) private: Option<&'a SecretBytes>,
}

impl RecipientRoot<'_> {
    fn key(&self, own: &dyn PrivateKey, peer: &[u8; LEN], ephemeral: &[u8; LEN]) -> Result<XaesKey> {
        let agreed = SecretBytes::filled(LEN, |out| own.agree(peer, out).map(drop))?;
        let salt = [&ephemeral[..], self.public].concat();
        let derive = |out: &mut [u8]| {
            self.provider.kdf.hkdf_sha256(agreed.expose(), &salt, b"canis/v1/recipient-root", out)
        };
        xaes_key(self.provider, &SecretBytes::filled(32, derive)?)
    }
}

impl Root for RecipientRoot<'_> {
    fn seal(&self, key: &SecretBytes, context: &[u8]) -> Result<Vec<u8>> {
        let fresh = self.provider.keys.generate(KeyType::X25519)?;
        let own = self.provider.keys.private(KeyType::X25519, fresh.expose())?;
        let ephemeral = point(own.public_spki())?;
        let wrapped = self.key(&*own, self.public, &ephemeral)?.seal_to_vec(context, key.expose())?;
        Ok([&ephemeral[..], &wrapped].concat())
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<SecretBytes> {
        let wrong = || {
            Error::new(
                ErrorCode::RootCredentialWrong,
                "the private key is not the one that this slot was made for",
            )
        };
        let private = self.private.ok_or_else(wrong)?;
        let own = self.provider.keys.private(KeyType::X25519, private.expose())?;
        if point(own.public_spki())? != *self.public {
            return Err(wrong());
        }
        let Some((ephemeral, wrapped)) = sealed.split_first_chunk::<LEN>() else {
            return Err(Error::new(ErrorCode::StoreTampered, "the recipient's root slot is too short"));
        };
        open_secret(&self.key(&*own, ephemeral, ephemeral)?, context, wrapped).map_err(|_| {
            Error::new(ErrorCode::StoreTampered, "the recipient's root slot was changed by other hands")
        })
    }
}
