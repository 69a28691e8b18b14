//! Tenants as tokens, kept in memory while nothing changes: every session that is opened asks for them.

use super::Keyring;
use super::tenant::TenantInfo;
use crate::token::{Role, TokenInfo};
use canis_proto::Result;
use std::sync::{Arc, PoisonError};

impl Keyring {
    /// The tokens, by slot.
    pub(crate) fn token_list(&self) -> Result<Arc<Vec<TokenInfo>>> {
        let generation = self.store.generation();
        let mut kept = self.tokens.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((_, tokens)) = kept.take_if(|(seen, _)| *seen == generation || self.stands(*seen, &[])) {
            return Ok(tokens);
        }
        let describe = |info: TenantInfo| {
            Ok(TokenInfo {
                id: info.id,
                slot: info.record.slot,
                revision: info.revision,
                label: info.record.name,
                user_pin: self.pin_state(info.id, Role::User)?,
                so_pin: self.pin_state(info.id, Role::So)?,
            })
        };
        let tokens: Arc<Vec<_>> = Arc::new(self.tenants()?.into_iter().map(describe).collect::<Result<_>>()?);
        *self.tokens.lock().unwrap_or_else(PoisonError::into_inner) = Some((generation, Arc::clone(&tokens)));
        Ok(tokens)
    }
}
