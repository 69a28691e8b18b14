//! Tenants: isolated sets of keys, each under a random key of its own.

use super::record::Tenant;
use super::renewal::Renewal;
use super::seal::{RowSealer, commitment, derive, fresh_id, fresh_key, open_secret};
use super::store_rows::{agree, place};
use super::{Keyring, RootKeys};
use crate::application::Application;
use crate::caller::Caller;
use crate::crypto::Provider;
use crate::secret::SecretBytes;
use crate::store::{Change, Row, TenantRow};
use crate::token::Role;
use canis_proto::value::Value;
use canis_proto::{Error, ErrorCode, Id, Result};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, Weak};
use subtle::ConstantTimeEq;

/// What a tenant key is wrapped under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Protection {
    /// The root key. A PIN is a credential only.
    Root = 1,
    /// A PIN, and the root key around it.
    RootAndPin = 2,
    /// A PIN alone, in a store without a root.
    Pin = 3,
}

impl Protection {
    pub(crate) fn from_number(number: u8) -> Option<Self> {
        [Protection::Root, Protection::RootAndPin, Protection::Pin].into_iter().find(|p| *p as u8 == number)
    }
}

/// The size of what is drawn for a tenant key. A later one carries the two keys behind it that name rows.
pub(super) const KEY: usize = 32;

/// A tenant whose key is at hand.
pub(crate) struct OpenTenant {
    pub(crate) id: Id,
    /// The revision of its row when it was opened; a wiped token has another one, and another key.
    pub(crate) revision: u64,
    /// The store's generation when that was last looked at.
    confirmed: AtomicU64,
    pub(crate) protection: Protection,
    pub(crate) key: SecretBytes,
    pub(crate) rows: Arc<RowSealer>,
    /// What fingerprints of key values are made under.
    pub(super) values: SecretBytes,
    /// What rows are found by whose names stand sealed.
    pub(super) lookup: SecretBytes,
    /// How many applications are logged in; a PIN-protected tenant closes when the last one leaves.
    pub(crate) logins: AtomicUsize,
}

impl OpenTenant {
    /// What every transaction with something sealed under its key begins with.
    pub(crate) fn expected(&self) -> Change {
        Change::ExpectTenant(self.id, self.revision)
    }
}

/// A tenant's row, read and authenticated.
pub(crate) struct TenantInfo {
    pub(crate) id: Id,
    pub(crate) revision: u64,
    pub(crate) protection: Protection,
    pub(crate) record: Tenant,
}

/// What the wrapped tenant key is bound to.
pub(super) fn wrap_context(tenant: Id) -> Vec<u8> {
    Value::Array(vec![Value::from("canis/v1/tenant-key"), Value::from(&tenant.0[..])]).encode()
}

impl Keyring {
    /// Reads every tenant.
    pub(crate) fn tenants(&self) -> Result<Vec<TenantInfo>> {
        self.store.tenants()?.iter().map(|row| self.read_tenant(row)).collect()
    }

    /// Reads one tenant.
    pub(crate) fn tenant_info(&self, id: Id) -> Result<TenantInfo> {
        let row = self
            .store
            .tenant(id)?
            .ok_or_else(|| Error::new(ErrorCode::TenantNotFound, "there is no such token"))?;
        self.read_tenant(&row)
    }

    fn read_tenant(&self, row: &TenantRow) -> Result<TenantInfo> {
        let place = place("tenants", Id::STORE, row.id, row.revision);
        let record = Tenant::decode(&self.open_store_row(&place, &row.sealed)?)?;
        agree(&place, "name", &row.name, &record.name)?;
        agree(&place, "slot", &row.slot, &record.slot)?;
        let protection = Protection::from_number(record.protection).ok_or_else(|| place.tampered())?;
        Ok(TenantInfo { id: row.id, revision: row.revision, protection, record })
    }

    /// The row of a tenant at `revision`.
    pub(crate) fn tenant_row(&self, id: Id, revision: u64, record: &Tenant) -> Result<Row> {
        let place = place("tenants", Id::STORE, id, revision);
        Ok(Row::Tenant(TenantRow {
            id,
            name: record.name.clone(),
            slot: record.slot,
            revision,
            sealed: self.seal_store_row(&place, &record.encode()?)?,
        }))
    }

    /// The tenant, opened by the root if that is enough.
    ///
    /// # Errors
    /// `sealed`, `tenant_locked`, `tenant_not_found`, `store_tampered`.
    pub(crate) fn tenant(&self, id: Id) -> Result<Arc<OpenTenant>> {
        if let Some(tenant) = self.tenant_if_open(id) {
            return Ok(tenant);
        }
        let (info, key) = self.rereading(|| {
            let info = self.tenant_info(id)?;
            match info.protection {
                Protection::Root => unwrap_by_root(&*self.root_keys()?, &info).map(|key| (info, key)),
                Protection::RootAndPin | Protection::Pin => Err(Error::new(
                    ErrorCode::TenantLocked,
                    format!("token `{}` opens with its PIN only; log in to it first", info.record.name),
                )),
            }
        })?;
        self.admit(&info, key)
    }

    /// The tenant, if its key is at hand.
    pub(crate) fn tenant_if_open(&self, id: Id) -> Option<Arc<OpenTenant>> {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()?;
        let generation = self.store.generation();
        let confirmed = open.confirmed.load(Ordering::Acquire);
        let stands = || confirmed == generation || self.stands(confirmed, &[id]);
        if stands() {
            return Some(open);
        }
        match self.store.tenant(id) {
            Ok(Some(row)) if row.revision == open.revision => {
                open.confirmed.store(generation, Ordering::Release);
                Some(open)
            }
            // Wiped by another process: the key at hand opens nothing any more.
            Ok(_) => {
                self.close_tenant(id);
                None
            }
            Err(_) => stands().then_some(open),
        }
    }

    /// Who is logged in to the caller's token now.
    pub(crate) fn logged_in(&self, caller: &Caller) -> Result<Option<Role>> {
        let application = caller.application()?;
        self.end_wiped_logins(application)?;
        Ok(application.role(caller.tenant()?))
    }

    /// Ends an application's logins to tokens that another process wiped: what stands there now is another token.
    pub(crate) fn end_wiped_logins(&self, application: &Application) -> Result<()> {
        self.store.poll()?;
        let stands = |settled| self.stands(settled, &[]);
        application.end_wiped_logins(self.store.generation(), stands, |token| {
            Ok(self.store.tenant(token)?.map(|tenant| tenant.revision))
        })
    }

    /// `changes`, to be made only if the tenant, should it be open, still is the one that was opened.
    pub(crate) fn expecting(&self, id: Id, changes: impl IntoIterator<Item = Change>) -> Vec<Change> {
        let expected = self.tenant_if_open(id).map(|open| open.expected());
        expected.into_iter().chain(changes).collect()
    }

    /// Takes a tenant key that a PIN or the root has opened, checking that it is the tenant's.
    pub(crate) fn admit(&self, info: &TenantInfo, key: SecretBytes) -> Result<Arc<OpenTenant>> {
        // Read after the row: who disables a tenant changes that, too.
        self.standing(info.id)?.refuse_disabled()?;
        if !bool::from(commitment(self.provider, &key)?.ct_eq(&info.record.commitment)) {
            return Err(place("tenants", Id::STORE, info.id, info.revision).tampered());
        }
        let rows = Arc::new(RowSealer::new(self.provider, &key)?);
        rows.renewed_by(self.renewal(info));
        let [values, lookup] = self.lasting_keys(&key)?;
        let opened = Arc::new(OpenTenant {
            id: info.id,
            revision: info.revision,
            confirmed: AtomicU64::new(0),
            protection: info.protection,
            key,
            rows,
            values,
            lookup,
            logins: AtomicUsize::new(0),
        });
        let admitted = {
            let mut open = self.open.write().unwrap_or_else(PoisonError::into_inner);
            // A login that was under way when the store was sealed leaves no key behind.
            if self.is_sealed() {
                return Err(self.sealed_error());
            }
            match open.get(&info.id) {
                Some(there) if there.revision == info.revision => Arc::clone(there),
                _ => {
                    open.insert(info.id, Arc::clone(&opened));
                    opened
                }
            }
        };
        // Public objects read while the tenant was locked are looked at again, with the tenant's own MAC.
        self.forget_keys();
        Ok(admitted)
    }

    fn renewal(&self, info: &TenantInfo) -> Renewal {
        let root = self.root_keys().map_or_else(|_| Weak::new(), |keys| Arc::downgrade(&keys));
        Renewal {
            store: Arc::clone(&self.store),
            provider: self.provider,
            root,
            tenant: info.id,
            revision: info.revision,
            protection: info.protection,
        }
    }

    /// What names rows, and so stays when the tenant gets a new key: the keys of fingerprints and of look-ups.
    fn lasting_keys(&self, key: &SecretBytes) -> Result<[SecretBytes; 2]> {
        match key.expose().get(KEY..) {
            Some(kept) if kept.len() == 2 * KEY => {
                Ok([SecretBytes::copied_from(&kept[..KEY]), SecretBytes::copied_from(&kept[KEY..])])
            }
            _ => Ok([
                derive(self.provider, key, "canis/v1/value-roles")?,
                derive(self.provider, key, "canis/v1/lookup")?,
            ]),
        }
    }

    /// Forgets a tenant's key and everything it opened.
    pub(crate) fn close_tenant(&self, id: Id) {
        self.open.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        self.forget_keys();
    }
}

pub(super) fn unwrap_by_root(keys: &RootKeys, info: &TenantInfo) -> Result<SecretBytes> {
    open_secret(&keys.tenant_wrap, &wrap_context(info.id), &info.record.wrapped_key)
        .map_err(|_| place("tenants", Id::STORE, info.id, info.revision).tampered())
}

/// A new tenant: its id, its record and its key.
pub(crate) struct NewTenant {
    pub(crate) id: Id,
    pub(crate) record: Tenant,
    pub(crate) key: SecretBytes,
}

/// Draws a tenant. Under `root` its key is wrapped by it; else a PIN slot must hold it.
pub(crate) fn new_tenant(
    provider: &'static Provider,
    root: Option<&RootKeys>,
    name: &str,
    slot: u32,
    protection: Protection,
    now: i64,
) -> Result<NewTenant> {
    let id = fresh_id(provider)?;
    let key = fresh_key(provider)?;
    let wrapped_key = match root {
        Some(keys) => keys.tenant_wrap.seal_to_vec(&wrap_context(id), key.expose())?,
        None => Vec::new(),
    };
    let record = Tenant {
        name: name.to_owned(),
        slot,
        protection: protection as u8,
        wrapped_key,
        commitment: commitment(provider, &key)?,
        created_at: now,
    };
    Ok(NewTenant { id, record, key })
}
