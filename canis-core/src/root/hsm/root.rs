//! The HSM in the role of a root: what wraps the root key, asked through the helper.
//!
//! The token wraps 32 random bytes, and these seal the root key, so that it is bound to its place in the same way whether
//! the mechanism has associated data or not, and never goes near the vendor's library. Slots of before have the root key
//! itself wrapped by AES-GCM.

use super::anchor::{self, NewAnchor};
use super::helper::HsmHelper;
use super::mechanism::WrapMechanism;
use super::probe::Probe;
use super::signing::{SignedInside, ToSign};
use super::token::TokenName;
use super::wire::{Request, Work};
use crate::crypto::Provider;
use crate::keyring::seal::{derive_xaes, fresh_key, open_secret};
use crate::root::Root;
use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Result};
use std::path::Path;

pub(in crate::root) const KIND: &str = "hsm";

/// What the key that seals the root key is derived under (docs/storage.md).
const LABEL: &str = "canis/v1/hsm-root";

/// A key of a token, and what it takes to use it.
pub(in crate::root) struct HsmRoot<'a> {
    pub(in crate::root) provider: &'static Provider,
    pub(in crate::root) token: Token<'a>,
    /// How it wraps; `None` in slots of before.
    pub(in crate::root) mechanism: Option<WrapMechanism>,
}

/// A token that is asked through the helper.
pub(in crate::root) struct Token<'a> {
    pub(in crate::root) helper: &'a HsmHelper,
    pub(in crate::root) module: &'a Path,
    pub(in crate::root) name: TokenName,
    pub(in crate::root) pin: &'a SecretBytes,
}

impl Token<'_> {
    /// Chooses how the token is to wrap, unless that is `asked` for, and makes the key inside it unless it is there.
    pub(in crate::root) fn prepare(&self, asked: Option<WrapMechanism>) -> Result<WrapMechanism> {
        let chosen = self.ask(Work::Choose, asked, &[])?;
        let chosen = WrapMechanism::of_name(&String::from_utf8_lossy(chosen.expose()))?;
        self.ask(Work::EnsureKey, Some(chosen), &[])?;
        Ok(chosen)
    }

    /// The values of the token's private data objects under `label`.
    pub(in crate::root) fn anchors(&self, label: &str) -> Result<Vec<Vec<u8>>> {
        let found = self.ask(Work::ReadAnchors(label.to_owned()), None, &[])?;
        anchor::decode_values(found.expose())
    }

    /// Writes such an object in place of others.
    pub(in crate::root) fn write_anchor(&self, new: NewAnchor) -> Result<()> {
        self.ask(Work::WriteAnchor(new), None, &[]).map(drop)
    }

    /// Signs by a key of the token, which is made if it is not there.
    pub(in crate::root) fn sign(&self, asked: ToSign) -> Result<SignedInside> {
        SignedInside::decode(self.ask(Work::Sign(asked), None, &[])?.expose())
    }

    fn ask(&self, work: Work, mechanism: Option<WrapMechanism>, context: &[u8]) -> Result<SecretBytes> {
        self.helper.ask(&Request {
            module: text(self.module)?,
            token: Some(self.name.to_uri()),
            pin: Some(SecretBytes::copied_from(self.pin.expose())),
            mechanism,
            context: context.to_vec(),
            work,
        })
    }
}

/// What a module's tokens are, and what the one that is named can do; mechanisms are tried only with its PIN.
///
/// # Errors
/// `root_unavailable`, `root_credential_wrong`.
pub fn probe(
    helper: &HsmHelper,
    module: &Path,
    name: Option<&TokenName>,
    pin: Option<SecretBytes>,
) -> Result<Probe> {
    let found = helper.ask(&Request {
        module: text(module)?,
        token: name.map(TokenName::to_uri),
        pin,
        mechanism: None,
        context: Vec::new(),
        work: Work::Probe,
    })?;
    Probe::decode(found.expose())
}

fn text(module: &Path) -> Result<String> {
    module.to_str().map(str::to_owned).ok_or_else(|| {
        Error::invalid(format!("the path {} of the PKCS#11 module is not UTF-8", module.display()))
    })
}

impl Root for HsmRoot<'_> {
    fn seal(&self, key: &SecretBytes, context: &[u8]) -> Result<Vec<u8>> {
        let wrapper = fresh_key(self.provider)?;
        let sealed = derive_xaes(self.provider, &wrapper, LABEL)?.seal_to_vec(context, key.expose())?;
        let wrapped = self.token.ask(Work::Wrap(wrapper), self.mechanism, context)?;
        let length =
            u16::try_from(wrapped.len()).map_err(|_| Error::internal("the HSM's answer is too long"))?;
        Ok([&length.to_be_bytes()[..], wrapped.expose(), &sealed].concat())
    }

    fn open(&self, sealed: &[u8], context: &[u8]) -> Result<SecretBytes> {
        if self.mechanism.is_none() {
            return self.token.ask(Work::Unwrap(sealed.to_vec()), Some(WrapMechanism::AesGcm), context);
        }
        let broken =
            || Error::new(ErrorCode::StoreTampered, "the HSM's root slot was changed by other hands");
        let (length, rest) = sealed.split_first_chunk::<2>().ok_or_else(broken)?;
        let (wrapped, sealed) =
            rest.split_at_checked(u16::from_be_bytes(*length).into()).ok_or_else(broken)?;
        let wrapper = self.token.ask(Work::Unwrap(wrapped.to_vec()), self.mechanism, context)?;
        open_secret(&derive_xaes(self.provider, &wrapper, LABEL)?, context, sealed).map_err(|_| broken())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::RUST;
    use canis_tests::{SoftHsm, binary};
    use std::os::unix::fs::PermissionsExt;

    /// R92: a slot of before, whose root key the token itself wrapped, opens as it did.
    #[test]
    fn a_slot_of_before_opens() {
        let hsm = SoftHsm::new("t");
        let dir = tempfile::tempdir().unwrap();
        // The helper finds SoftHSM2's tokens by a variable of its environment, which is this process's otherwise.
        let program = dir.path().join("helper");
        let script = format!(
            "#!/bin/sh\nSOFTHSM2_CONF='{}' exec '{}' \"$@\"\n",
            hsm.config().display(),
            binary("canis").display()
        );
        std::fs::write(&program, script).unwrap();
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o700)).unwrap();
        let (helper, pin) = (HsmHelper::new(&program), SecretBytes::copied_from(SoftHsm::PIN.as_bytes()));
        let (module, name) = (Path::new(SoftHsm::MODULE), TokenName::labelled("t", "canis-root"));
        let token = Token { helper: &helper, module, name, pin: &pin };
        token.prepare(Some(WrapMechanism::AesGcm)).unwrap();
        let wrap = Work::Wrap(SecretBytes::copied_from(&[5; 32]));
        let sealed = token.ask(wrap, Some(WrapMechanism::AesGcm), b"its place").unwrap();
        let root = HsmRoot { provider: &RUST, token, mechanism: None };
        assert!(root.open(sealed.expose(), b"its place").unwrap().equals(&[5; 32]));
        assert!(root.open(sealed.expose(), b"another place").is_err());
    }
}
