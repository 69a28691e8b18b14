//! A key file as root: 32 random bytes, kept apart from the store.

use super::Root;
use crate::crypto::Provider;
use crate::crypto::xaes::XaesKey;
use crate::keyring::seal::{derive_xaes, open_secret};
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Result};

pub(super) const KIND: &str = "keyfile";

pub(super) struct KeyfileRoot {
    key: XaesKey,
}

impl KeyfileRoot {
    pub(super) fn new(provider: &'static Provider, key: &SecretBytes) -> Result<Self> {
        if key.len() != 32 {
            return Err(Error::invalid(format!(
                "the key file has {} bytes; it must have exactly 32",
                key.len()
            )));
        }
        Ok(KeyfileRoot { key: derive_xaes(provider, key, "canis/v1/keyfile-root")? })
    }
}

impl Root for KeyfileRoot {
    fn seal(&self, key: &SecretBytes, context: &[u8]) -> Result<Vec<u8>> {
        self.key.seal_to_vec(context, key.expose())
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<SecretBytes> {
        open_secret(&self.key, context, sealed).map_err(|_| {
            Error::new(ErrorCode::RootCredentialWrong, "the key file is not the one this store was made with")
        })
    }
}
