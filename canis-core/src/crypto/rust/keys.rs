//! Which family a key pair belongs to; the families are in their own files.

use super::{ec, ed25519, rsa};
use crate::crypto::refusal::unsupported;
use crate::crypto::{Keys, PrivateKey, PublicKey, pairwise};
use crate::secret::SecretBytes;
use canis_proto::{Family, KeyType, Result};

/// Key pairs of every asymmetric type.
pub(super) struct KeyPairs;

impl Keys for KeyPairs {
    fn generate(&self, kind: KeyType) -> Result<SecretBytes> {
        let pkcs8 = match kind.family() {
            Family::Aes => return Err(unsupported("an AES key is no key pair")),
            Family::Rsa => rsa::generate(kind)?,
            Family::Ec => ec::generate(kind)?,
            Family::Edwards => ed25519::generate()?,
        };
        pairwise::check(self, kind, pkcs8.expose())?;
        Ok(pkcs8)
    }

    fn private(&self, kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
        match kind.family() {
            Family::Aes => Err(unsupported("an AES key is no key pair")),
            Family::Rsa => rsa::private(kind, pkcs8),
            Family::Ec => ec::private(kind, pkcs8),
            Family::Edwards => ed25519::private(pkcs8),
        }
    }

    fn public(&self, kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
        match kind.family() {
            Family::Aes => Err(unsupported("an AES key is no key pair")),
            Family::Rsa => rsa::public(kind, spki),
            Family::Ec => ec::public(kind, spki),
            Family::Edwards => ed25519::public(spki),
        }
    }
}
