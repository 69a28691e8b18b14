//! The HSM in the role of a root: what wraps the root key, asked through the helper.

use super::helper::HsmHelper;
use super::token::TokenName;
use super::wire::{Request, Work};
use crate::root::Root;
use crate::secret::SecretBytes;
use canis_proto::{Error, Result};
use std::path::Path;

pub(in crate::root) const KIND: &str = "hsm";

/// A key of a token, and what it takes to use it.
pub(in crate::root) struct HsmRoot<'a> {
    pub(in crate::root) helper: &'a HsmHelper,
    pub(in crate::root) module: &'a Path,
    pub(in crate::root) name: TokenName,
    pub(in crate::root) pin: &'a SecretBytes,
}

impl HsmRoot<'_> {
    /// Makes the key inside the token unless it is there.
    pub(in crate::root) fn ensure_key(&self) -> Result<()> {
        self.ask(Work::EnsureKey, &[]).map(drop)
    }

    fn ask(&self, work: Work, context: &[u8]) -> Result<SecretBytes> {
        let module = self.module.to_str().ok_or_else(|| {
            Error::invalid(format!("the path {} of the PKCS#11 module is not UTF-8", self.module.display()))
        })?;
        self.helper.ask(&Request {
            module: module.to_owned(),
            token: self.name.to_uri(),
            pin: SecretBytes::copied_from(self.pin.expose()),
            context: context.to_vec(),
            work,
        })
    }
}

impl Root for HsmRoot<'_> {
    fn seal(&self, key: &SecretBytes, context: &[u8]) -> Result<Vec<u8>> {
        let work = Work::Wrap(SecretBytes::copied_from(key.expose()));
        self.ask(work, context).map(|wrapped| wrapped.expose().to_vec())
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<SecretBytes> {
        self.ask(Work::Unwrap(sealed.to_vec()), context)
    }
}
