//! A tenant key that another server has replaced. This one notices within a second; until then it reads rows that are sealed
//! under a key it does not have, and must not take them for rows that other hands have changed.

use super::RootKeys;
use super::record::Tenant;
use super::seal::{RowSealer, commitment};
use super::store_rows::{opened_row, place};
use super::tenant::{Protection, TenantInfo, unwrap_by_root};
use crate::crypto::Provider;
use crate::store::Store;
use canis_proto::{Error, ErrorCode, Id, Result, quote};
use std::sync::{Arc, Weak};
use subtle::ConstantTimeEq;

/// What finds the key that a tenant has by now.
pub(super) struct Renewal {
    pub(super) store: Arc<dyn Store>,
    pub(super) provider: &'static Provider,
    /// Not kept from being forgotten.
    pub(super) root: Weak<RootKeys>,
    pub(super) tenant: Id,
    /// The tenant's when the key that is known was opened.
    pub(super) revision: u64,
    pub(super) protection: Protection,
}

impl Renewal {
    /// What rows are sealed under by now, if that is another key.
    ///
    /// # Errors
    /// `tenant_locked` for a tenant that its PINs guard; `store_tampered` for a spoilt row of it; those of the store.
    pub(super) fn look(&self) -> Result<Option<Arc<RowSealer>>> {
        let row = self.store.tenant(self.tenant)?.filter(|row| row.revision != self.revision);
        let Some(row) = row else { return Ok(None) };
        if self.protection != Protection::Root {
            return Err(Error::new(
                ErrorCode::TenantLocked,
                format!("token `{}` was changed by another server; log in to it again", quote(&row.name)),
            ));
        }
        let Some(root) = self.root.upgrade() else { return Ok(None) };
        let place = place("tenants", Id::STORE, row.id, row.revision);
        let record = Tenant::decode(&opened_row(&root, &place, &row.sealed)?)?;
        let info = TenantInfo { id: row.id, revision: row.revision, protection: self.protection, record };
        let key = unwrap_by_root(&root, &info)?;
        if !bool::from(commitment(self.provider, &key)?.ct_eq(&info.record.commitment)) {
            return Err(place.tampered());
        }
        Ok(Some(Arc::new(RowSealer::new(self.provider, &key)?)))
    }
}
