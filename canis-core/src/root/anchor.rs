//! The place in an HSM's token where a store's anchors are kept.

use super::hsm::{NewAnchor, Token};
use super::{Credential, slot};
use crate::store::RootSlotRow;
use canis_proto::{Id, Result};

/// Data objects under one label in the token of a root slot.
pub(crate) struct AnchorPlace<'a> {
    token: Token<'a>,
    label: String,
}

impl<'a> AnchorPlace<'a> {
    /// The place for the anchors of `store` in the token of `slot`; `None` unless slot and credential are an HSM's.
    pub(crate) fn of(store: Id, slot: &RootSlotRow, credential: &'a Credential) -> Result<Option<Self>> {
        let (Credential::Hsm { helper, module, pin }, Some((name, _))) = (credential, slot::hsm_of(slot)?)
        else {
            return Ok(None);
        };
        let label = format!("canis-anchor-{store}");
        Ok(Some(AnchorPlace { token: Token { helper, module, name, pin }, label }))
    }

    /// What is called an anchor of the store there, whoever wrote it.
    ///
    /// # Errors
    /// `root_unavailable`, `root_credential_wrong`.
    pub(crate) fn read(&self) -> Result<Vec<Vec<u8>>> {
        self.token.anchors(&self.label)
    }

    /// Writes `value`, and takes those away whose values are `outworn`.
    ///
    /// # Errors
    /// As [`AnchorPlace::read`]; also if the token is full or takes nothing.
    pub(crate) fn write(&self, value: Vec<u8>, outworn: Vec<Vec<u8>>) -> Result<()> {
        self.token.write_anchor(NewAnchor { label: self.label.clone(), value, outworn })
    }

    /// The token, for people.
    pub(crate) fn token(&self) -> String {
        self.token.name.to_string()
    }
}
