//! The key in an HSM's token that signs the audit log of a store.

use super::hsm::{ToSign, Token};
use super::{Credential, slot};
use crate::store::RootSlotRow;
use canis_proto::{Id, Result};

/// The key of one store in the token of a root slot.
pub(crate) struct AuditToken<'a> {
    token: Token<'a>,
    store: Id,
}

impl<'a> AuditToken<'a> {
    /// That of `store` in the token of `slot`; `None` unless slot and credential are an HSM's.
    pub(crate) fn of(store: Id, slot: &RootSlotRow, credential: &'a Credential) -> Result<Option<Self>> {
        let (Credential::Hsm { helper, module, pin }, Some((name, _))) = (credential, slot::hsm_of(slot)?)
        else {
            return Ok(None);
        };
        Ok(Some(AuditToken { token: Token { helper, module, name, pin }, store }))
    }

    /// Signs a SHA-256 by ECDSA: r and s, 32 bytes each, and the uncompressed points of all public keys under its name. The key is made at the first time; its name is the store's own, so that stores share a token.
    ///
    /// # Errors
    /// `root_unavailable`, `root_credential_wrong`; also if the token has no P-256.
    pub(crate) fn sign(&self, digest: &[u8; 32]) -> Result<(Vec<u8>, Vec<Vec<u8>>)> {
        let label = format!("canis-audit-{}", self.store);
        let asked = ToSign { label, id: self.store.as_bytes().to_vec(), digest: digest.to_vec() };
        let signed = self.token.sign(asked)?;
        Ok((signed.signature, signed.points))
    }
}
