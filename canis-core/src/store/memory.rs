//! The store as a model: plain maps, the same rules. Tests run on it; nothing survives the process.

use super::{
    Change, EntryRow, KeyRow, MetaRow, ObjectQuery, ObjectRow, PinRow, ReceiptRow, RoleRow, RootSlotRow, Row,
    Store, TenantRow, TokenRow, Turn, UNSAID, UseRow, VersionRow, conflict, under_no_root_key,
};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// The user's role, as PIN rows number it.
const USER: u8 = 1;

/// A store that lives in memory.
#[derive(Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
    generation: AtomicU64,
}

#[derive(Clone, Default)]
struct Tables {
    meta: Vec<MetaRow>,
    root_slots: Vec<RootSlotRow>,
    tenants: Vec<TenantRow>,
    pins: Vec<PinRow>,
    tokens: Vec<TokenRow>,
    keys: Vec<KeyRow>,
    versions: Vec<VersionRow>,
    objects: Vec<ObjectRow>,
    uses: Vec<UseRow>,
    roles: Vec<RoleRow>,
    entries: Vec<EntryRow>,
    receipts: Vec<ReceiptRow>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        MemoryStore::default()
    }

    fn read<T>(&self, look: impl FnOnce(&Tables) -> T) -> Result<T> {
        Ok(look(&self.tables.lock().unwrap_or_else(PoisonError::into_inner)))
    }
}

/// Inserts at revision 1, else replaces the row of the revision before.
fn put<T: Clone>(
    table: &str,
    rows: &mut Vec<T>,
    row: &T,
    same: impl Fn(&T) -> bool,
    revision: impl Fn(&T) -> u64,
    id: &str,
) -> Result<()> {
    let place = rows.iter_mut().find(|r| same(r));
    match (place, revision(row)) {
        (None, 1) => rows.push(row.clone()),
        (Some(old), new) if new > 1 && revision(old) == new - 1 => *old = row.clone(),
        _ => return Err(conflict(table, id)),
    }
    Ok(())
}

/// Replaces the one row that is the same.
fn replace<T: Clone>(
    table: &str,
    rows: &mut [T],
    row: &T,
    same: impl Fn(&T) -> bool,
    id: &str,
) -> Result<()> {
    let place = rows.iter_mut().find(|r| same(r)).ok_or_else(|| conflict(table, id))?;
    *place = row.clone();
    Ok(())
}

impl Tables {
    fn apply(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Put(row) => self.put(row),
            Change::Reseal(row) => self.reseal(row),
            Change::ExpectTenant(id, revision) => {
                let there = self.tenants.iter().any(|r| r.id == *id && r.revision == *revision);
                if there { Ok(()) } else { Err(conflict("tenants", &id.to_string())) }
            }
            Change::RemoveRootSlot(id, revision) => {
                let at = self.root_slots.iter().position(|r| r.id == *id && r.revision == *revision);
                at.map(|at| drop(self.root_slots.remove(at)))
                    .ok_or_else(|| conflict("root_slots", &id.to_string()))
            }
            Change::RemoveObject(id, revision) => {
                let at = self.objects.iter().position(|r| r.id == *id && r.revision == *revision);
                at.map(|at| drop(self.objects.remove(at))).ok_or_else(|| conflict("objects", &id.to_string()))
            }
            Change::RemoveToken(id, revision) => {
                let at = self.tokens.iter().position(|r| r.id == *id && r.revision == *revision);
                at.map(|at| drop(self.tokens.remove(at))).ok_or_else(|| conflict("tokens", &id.to_string()))
            }
            Change::RemoveEntry(id, revision) => {
                let at = self.entries.iter().position(|r| r.id == *id && r.revision == *revision);
                at.map(|at| drop(self.entries.remove(at)))
                    .ok_or_else(|| conflict("kv_entries", &id.to_string()))
            }
            Change::ForgetReceipts(now) => {
                self.receipts.retain(|r| r.expires_at > *now);
                Ok(())
            }
            Change::RemoveVersions(key) => {
                self.versions.retain(|r| r.key_id != *key);
                Ok(())
            }
            Change::RemoveVersion(key, version) => {
                self.versions.retain(|r| r.key_id != *key || r.version != *version);
                Ok(())
            }
            Change::WipeTenant(tenant) => {
                let keys: Vec<Id> =
                    self.keys.iter().filter(|r| r.tenant_id == *tenant).map(|r| r.id).collect();
                self.versions.retain(|r| !keys.contains(&r.key_id));
                self.uses.retain(|r| !keys.contains(&r.key_id));
                self.keys.retain(|r| r.tenant_id != *tenant);
                self.objects.retain(|r| r.tenant_id != *tenant);
                self.roles.retain(|r| r.tenant_id != *tenant);
                self.entries.retain(|r| r.tenant_id != *tenant);
                self.receipts.retain(|r| r.tenant_id != *tenant);
                self.meta.retain(|r| r.name != MetaRow::wrapping_key(*tenant));
                self.pins.retain(|r| r.tenant_id != *tenant || r.role != USER);
                Ok(())
            }
            Change::RemoveTenant(id, revision) => {
                self.pins.retain(|r| r.tenant_id != *id);
                self.tokens.retain(|r| r.tenant_id != *id);
                let at = self.tenants.iter().position(|r| r.id == *id && r.revision == *revision);
                at.map(|at| drop(self.tenants.remove(at))).ok_or_else(|| conflict("tenants", &id.to_string()))
            }
        }
    }

    fn reseal(&mut self, row: &Row) -> Result<()> {
        match row {
            Row::Meta(r) => {
                replace("meta", &mut self.meta, r, |o| o.name == r.name && o.revision == r.revision, &r.name)
            }
            Row::Tenant(r) => {
                let same = |o: &TenantRow| o.id == r.id && o.revision == r.revision;
                replace("tenants", &mut self.tenants, r, same, &r.id.to_string())
            }
            Row::Pin(r) => {
                let same = |o: &PinRow| o.id == r.id && o.revision == r.revision;
                replace("pins", &mut self.pins, r, same, &r.id.to_string())
            }
            Row::Token(r) => {
                let same = |o: &TokenRow| o.id == r.id && o.revision == r.revision;
                replace("tokens", &mut self.tokens, r, same, &r.id.to_string())
            }
            Row::Object(r) => {
                let same = |o: &ObjectRow| o.id == r.id && o.revision == r.revision;
                replace("objects", &mut self.objects, r, same, &r.id.to_string())
            }
            _ => Err(under_no_root_key()),
        }
    }

    fn put(&mut self, row: &Row) -> Result<()> {
        match row {
            Row::Meta(r) => put("meta", &mut self.meta, r, |o| o.name == r.name, |o| o.revision, &r.name),
            Row::RootSlot(r) => put(
                "root_slots",
                &mut self.root_slots,
                r,
                |o| o.id == r.id,
                |o| o.revision,
                &r.id.to_string(),
            ),
            Row::Tenant(r) => {
                if self.tenants.iter().any(|o| o.slot == r.slot && o.id != r.id) {
                    return Err(conflict("tenants", &r.id.to_string()));
                }
                put("tenants", &mut self.tenants, r, |o| o.id == r.id, |o| o.revision, &r.id.to_string())
            }
            Row::Pin(r) => {
                put("pins", &mut self.pins, r, |o| o.id == r.id, |o| o.revision, &r.id.to_string())
            }
            Row::Token(r) => {
                put("tokens", &mut self.tokens, r, |o| o.id == r.id, |o| o.revision, &r.id.to_string())
            }
            Row::Key(r) => {
                if self.keys.iter().any(|o| o.tenant_id == r.tenant_id && o.name == r.name && o.id != r.id) {
                    return Err(Error::new(
                        ErrorCode::KeyExists,
                        format!("a key named `{}` exists already", r.name),
                    ));
                }
                put("kms_keys", &mut self.keys, r, |o| o.id == r.id, |o| o.revision, &r.id.to_string())
            }
            Row::Version(r) => {
                if self
                    .versions
                    .iter()
                    .any(|o| o.id == r.id || (o.key_id == r.key_id && o.version == r.version))
                {
                    return Err(conflict("kms_key_versions", &r.id.to_string()));
                }
                self.versions.push(r.clone());
                Ok(())
            }
            Row::Object(r) => {
                put("objects", &mut self.objects, r, |o| o.id == r.id, |o| o.revision, &r.id.to_string())
            }
            Row::Role(r) => {
                put("value_roles", &mut self.roles, r, |o| o.id == r.id, |o| o.revision, &r.id.to_string())
            }
            Row::Receipt(r) => {
                if self.receipts.iter().any(|o| o.id == r.id) {
                    return Err(conflict("idempotency", &r.id.to_string()));
                }
                self.receipts.push(r.clone());
                Ok(())
            }
            Row::Entry(r) => {
                let taken = |o: &EntryRow| o.tenant_id == r.tenant_id && o.lookup == r.lookup && o.id != r.id;
                if self.entries.iter().any(taken) {
                    return Err(conflict("kv_entries", &r.id.to_string()));
                }
                put("kv_entries", &mut self.entries, r, |o| o.id == r.id, |o| o.revision, &r.id.to_string())
            }
        }
    }
}

impl Store for MemoryStore {
    fn meta(&self, name: &str) -> Result<Option<MetaRow>> {
        self.read(|t| t.meta.iter().find(|r| r.name == name).cloned())
    }

    fn all_meta(&self) -> Result<Vec<MetaRow>> {
        self.read(|t| t.meta.clone())
    }

    fn root_slots(&self) -> Result<Vec<RootSlotRow>> {
        self.read(|t| t.root_slots.clone())
    }

    fn tenants(&self) -> Result<Vec<TenantRow>> {
        self.read(|t| {
            let mut rows = t.tenants.clone();
            rows.sort_by_key(|r| r.slot);
            rows
        })
    }

    fn tenant(&self, id: Id) -> Result<Option<TenantRow>> {
        self.read(|t| t.tenants.iter().find(|r| r.id == id).cloned())
    }

    fn pin(&self, tenant: Id, role: u8) -> Result<Option<PinRow>> {
        self.read(|t| t.pins.iter().find(|r| r.tenant_id == tenant && r.role == role).cloned())
    }

    fn token(&self, id: Id) -> Result<Option<TokenRow>> {
        self.read(|t| t.tokens.iter().find(|r| r.id == id).cloned())
    }

    fn tokens(&self, tenant: Id) -> Result<Vec<TokenRow>> {
        self.read(|t| t.tokens.iter().filter(|r| r.tenant_id == tenant).cloned().collect())
    }

    fn key(&self, id: Id) -> Result<Option<KeyRow>> {
        self.read(|t| t.keys.iter().find(|r| r.id == id).cloned())
    }

    fn key_by_name(&self, tenant: Id, name: &str) -> Result<Option<KeyRow>> {
        self.read(|t| t.keys.iter().find(|r| r.tenant_id == tenant && r.name == name).cloned())
    }

    fn keys(&self, tenant: Id, prefix: &str, after: &str, limit: usize) -> Result<Vec<KeyRow>> {
        self.read(|t| {
            let mut rows: Vec<_> = t
                .keys
                .iter()
                .filter(|r| r.tenant_id == tenant && (r.deleted_at.is_none() || prefix.starts_with('~')))
                .filter(|r| r.name.starts_with(prefix) && r.name.as_str() > after)
                .cloned()
                .collect();
            rows.sort_by(|a, b| a.name.cmp(&b.name));
            rows.truncate(limit);
            rows
        })
    }

    fn due_keys(&self, tenant: Option<Id>, now: i64, limit: usize) -> Result<Vec<KeyRow>> {
        self.read(|t| {
            let due = |r: &&KeyRow| {
                tenant.is_none_or(|id| r.tenant_id == id) && r.due_at.is_some_and(|at| at <= now)
            };
            let mut rows: Vec<_> = t.keys.iter().filter(due).cloned().collect();
            rows.sort_by_key(|r| r.due_at);
            rows.truncate(limit);
            rows
        })
    }

    fn all_keys(&self, tenant: Id) -> Result<Vec<KeyRow>> {
        self.read(|t| t.keys.iter().filter(|r| r.tenant_id == tenant).cloned().collect())
    }

    fn versions(&self, key: Id) -> Result<Vec<VersionRow>> {
        self.read(|t| {
            let mut rows: Vec<_> = t.versions.iter().filter(|r| r.key_id == key).cloned().collect();
            rows.sort_by_key(|r| r.version);
            rows
        })
    }

    fn version(&self, key: Id, version: u32) -> Result<Option<VersionRow>> {
        self.read(|t| t.versions.iter().find(|r| r.key_id == key && r.version == version).cloned())
    }

    fn uses(&self, key: Id) -> Result<Vec<UseRow>> {
        self.read(|t| {
            let mut rows: Vec<_> = t.uses.iter().filter(|r| r.key_id == key).copied().collect();
            rows.sort_by_key(|r| r.version);
            rows
        })
    }

    fn count_uses(&self, uses: &[UseRow]) -> Result<()> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        for new in uses {
            match tables.uses.iter_mut().find(|r| (r.key_id, r.version) == (new.key_id, new.version)) {
                Some(old) => {
                    old.uses += new.uses;
                    old.last_used_at = old.last_used_at.max(new.last_used_at);
                }
                None => tables.uses.push(*new),
            }
        }
        Ok(())
    }

    fn object(&self, id: Id) -> Result<Option<ObjectRow>> {
        self.read(|t| t.objects.iter().find(|r| r.id == id).cloned())
    }

    fn objects(&self, query: &ObjectQuery<'_>) -> Result<Vec<ObjectRow>> {
        let fits = |r: &&ObjectRow| {
            r.tenant_id == query.tenant
                && query.class.is_none_or(|c| r.class == c)
                && query.label.is_none_or(|l| r.label == l)
                && query.cka_id.is_none_or(|i| r.cka_id == i)
                && query.key_id.is_none_or(|k| r.key_id == Some(k))
                && query.family.is_none_or(|f| [f, UNSAID].contains(&r.family))
        };
        self.read(|t| t.objects.iter().filter(fits).cloned().collect())
    }

    fn role(&self, fingerprint: Id) -> Result<Option<RoleRow>> {
        self.read(|t| t.roles.iter().find(|r| r.id == fingerprint).cloned())
    }

    fn roles(&self, tenant: Id) -> Result<Vec<RoleRow>> {
        self.read(|t| t.roles.iter().filter(|r| r.tenant_id == tenant).cloned().collect())
    }

    fn entry(&self, tenant: Id, lookup: Id) -> Result<Option<EntryRow>> {
        self.read(|t| t.entries.iter().find(|r| r.tenant_id == tenant && r.lookup == lookup).cloned())
    }

    fn entries(&self, tenant: Id, after: Id, limit: usize) -> Result<Vec<EntryRow>> {
        self.read(|t| {
            let fits = |r: &&EntryRow| r.tenant_id == tenant && r.lookup.0 > after.0;
            let mut rows: Vec<_> = t.entries.iter().filter(fits).cloned().collect();
            rows.sort_by_key(|r| r.lookup.0);
            rows.truncate(limit);
            rows
        })
    }

    fn receipt(&self, id: Id) -> Result<Option<ReceiptRow>> {
        self.read(|t| t.receipts.iter().find(|r| r.id == id).cloned())
    }

    fn receipts(&self, tenant: Id) -> Result<Vec<ReceiptRow>> {
        self.read(|t| t.receipts.iter().filter(|r| r.tenant_id == tenant).cloned().collect())
    }

    fn commit(&self, changes: &[Change]) -> Result<()> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = tables.clone();
        changes.iter().try_for_each(|change| next.apply(change))?;
        *tables = next;
        self.generation.fetch_add(1, Ordering::Release);
        Ok(())
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn poll(&self) -> Result<()> {
        Ok(())
    }

    fn pin_turn(&self) -> Result<Turn> {
        Ok(Turn::alone())
    }

    fn purge(&self) -> Result<()> {
        Ok(())
    }
}
