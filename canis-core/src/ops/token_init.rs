//! `token.list`, `token.init`: tokens come and are wiped.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::pin::ProvenPin;
use crate::keyring::tenant::{OpenTenant, Protection, TenantInfo, new_tenant};
use crate::secret::SecretBytes;
use crate::store::{Change, KeyRow};
use crate::token::{InitToken, ListTokens, Role, TokenInfo};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// The longest token label, in bytes (CK_TOKEN_INFO.label).
const MAX_LABEL: usize = 32;
/// Slots are numbered from 0; so many are enough for anybody and keep the list bounded.
const MAX_SLOTS: u32 = 4096;

impl Run for ListTokens {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Arc<Vec<TokenInfo>>> {
        keyring.store.poll()?;
        let tokens = keyring.token_list()?;
        if tokens.iter().all(|token| caller.sees(token.id)) {
            return Ok(tokens);
        }
        Ok(Arc::new(tokens.iter().filter(|token| caller.sees(token.id)).cloned().collect()))
    }
}

impl Run for InitToken<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Id> {
        check(self.slot, self.label)?;
        let there = keyring.tenants()?.into_iter().find(|t| t.record.slot == self.slot);
        if !caller.sees(there.as_ref().map_or(Id::STORE, |t| t.id)) {
            return Err(Error::new(ErrorCode::TenantNotFound, format!("there is no slot {}", self.slot)));
        }
        match there {
            None => keyring.make_token(self.slot, self.label, &self.so_pin, None),
            Some(old) => keyring.wipe_token(&self, &old, caller),
        }
    }
}

fn check(slot: u32, label: &str) -> Result<()> {
    if label.is_empty() || label.len() > MAX_LABEL {
        return Err(Error::invalid(format!("a token's label has 1 to {MAX_LABEL} bytes")));
    }
    if slot >= MAX_SLOTS {
        return Err(Error::invalid(format!("slots are numbered from 0 to {}", MAX_SLOTS - 1)));
    }
    Ok(())
}

impl Keyring {
    /// Makes a token in a slot that is free, with its PINs.
    ///
    /// # Errors
    /// `invalid_argument`, `pin_invalid`; `conflict` if somebody else takes the slot meanwhile.
    pub(super) fn make_token(
        &self,
        slot: u32,
        label: &str,
        so_pin: &SecretBytes,
        user_pin: Option<&SecretBytes>,
    ) -> Result<Id> {
        check(slot, label)?;
        let protection = if self.has_root() { Protection::RootAndPin } else { Protection::Pin };
        let now = self.clock.now_micros();
        let new = new_tenant(self.provider, None, label, slot, protection, now)?;
        let mut changes = vec![Change::Put(self.tenant_row(new.id, 1, &new.record)?)];
        for (role, pin) in [(Role::So, Some(so_pin)), (Role::User, user_pin)] {
            if let Some(pin) = pin {
                let row = self.new_pin_row(new.id, protection, role, pin, &new.key, None)?;
                changes.push(Change::Put(row));
            }
        }
        self.store.commit(&changes)?;
        Ok(new.id)
    }

    /// PKCS#11 v2.40, section 5.5, C_InitToken: the SO's PIN must be right; every object that can be destroyed is.
    fn wipe_token(&self, request: &InitToken<'_>, old: &TenantInfo, caller: &Caller) -> Result<Id> {
        if old.protection == Protection::Root {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                format!(
                    "token `{}` belongs to the server and is not initialised through PKCS#11",
                    old.record.name
                ),
            ));
        }
        let proven = self.check_with_so_pin(old, &request.so_pin)?;
        // A new tenant key: rows of an older copy of the file must not open again in the wiped token.
        let now = self.clock.now_micros();
        let new = new_tenant(self.provider, None, request.label, request.slot, old.protection, now)?;
        self.store.commit(&[
            Change::WipeTenant(old.id),
            Change::Put(self.tenant_row(old.id, old.revision + 1, &new.record)?),
            Change::Put(self.new_pin_row(
                old.id,
                old.protection,
                Role::So,
                &request.so_pin,
                &new.key,
                Some(proven.row),
            )?),
        ])?;
        caller.application()?.forget(old.id);
        self.close_tenant(old.id);
        self.purge();
        Ok(old.id)
    }

    /// Opens a token by the SO's PIN for as long as it takes to see that no key keeps it.
    pub(super) fn check_with_so_pin(&self, token: &TenantInfo, so_pin: &SecretBytes) -> Result<ProvenPin> {
        let mut proven = self.try_pin(token, Role::So, so_pin)?;
        let Some(key) = proven.key.take() else {
            return Err(Error::internal("a PIN-protected token without a key"));
        };
        let tenant = self.admit(token, key)?;
        let checked = self.refuse_undeletable(&tenant);
        if tenant.logins.load(Ordering::Acquire) == 0 {
            self.close_tenant(token.id);
        }
        checked.map(|()| proven)
    }

    /// A key that must not be destroyed keeps its token. A row that was changed by other hands says nothing, and must
    /// not keep the token from being made usable again.
    fn refuse_undeletable(&self, tenant: &OpenTenant) -> Result<()> {
        let generation = self.store.generation();
        let mut rows = self.store.all_keys(tenant.id)?;
        rows.retain(|row| row.deleted_at.is_none());
        self.refuse_guarded(tenant.id, &rows)?;
        for row in rows {
            match self.read_key(tenant, &row, generation) {
                Ok(key) if !key.record.deletion_allowed || key.record.approvals > 0 => {
                    return Err(kept_by(&row.name));
                }
                Err(e) if e.code != ErrorCode::StoreTampered => return Err(e),
                _ => {}
            }
        }
        Ok(())
    }
}

impl Keyring {
    /// Refuses to wipe keys whose destruction others have to approve one by one.
    pub(super) fn refuse_guarded(&self, tenant: Id, keys: &[KeyRow]) -> Result<()> {
        self.guarded_key(tenant, keys)?.map_or(Ok(()), |key| Err(kept_by(&key.name)))
    }
}

/// The refusal of a token that has a key which must not be destroyed.
pub(super) fn kept_by(key: &str) -> Error {
    Error::new(
        ErrorCode::OperationNotAllowed,
        format!("key `{key}` on this token must not be destroyed; nothing was changed"),
    )
}
