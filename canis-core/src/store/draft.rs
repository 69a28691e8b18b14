//! A store over another one that only notes what is written: reads see it, and one commit makes all of it or nothing.
//!
//! So several operations become one transaction without anybody holding a lock meanwhile. What others changed since it
//! was read is found by that one commit, as it is by every other. A draft takes changes of keys, objects, roles,
//! entries, sealed facts and requests for approval; what concerns a whole tenant is not drafted.

use super::{
    AccumulatorRow, AuditHeadRow, AuditRows, Change, EntryRow, KeyRow, Ledger, MetaRow, ObjectQuery,
    ObjectRow, OutboxRow, PinRow, PolicyRow, ReceiptRow, RoleRow, RootSlotRow, Row, Store, TenantRow,
    TokenRow, Turn, UNSAID, UseRow, VersionRow,
};
use canis_proto::{Error, Id, Result};
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Generations of drafts: never those of a store, nor those of another draft, or a cache could take one for the other.
static GENERATION: AtomicU64 = AtomicU64::new(1 << 63);

/// Rows written in a draft; `None` is a row that was removed.
type Written<K, T> = HashMap<K, Option<T>>;

#[derive(Default)]
struct Notes {
    changes: Vec<Change>,
    meta: Written<String, MetaRow>,
    keys: Written<Id, KeyRow>,
    versions: Written<(Id, u32), VersionRow>,
    objects: Written<Id, ObjectRow>,
    roles: Written<Id, RoleRow>,
    entries: Written<Id, EntryRow>,
    policies: Written<Id, PolicyRow>,
}

/// The draft of a transaction.
pub(crate) struct Draft {
    base: Arc<dyn Store>,
    notes: Mutex<Notes>,
    generation: AtomicU64,
    purge: AtomicBool,
}

impl Draft {
    /// An empty draft over `base`.
    pub(crate) fn over(base: Arc<dyn Store>) -> Self {
        let generation = AtomicU64::new(GENERATION.fetch_add(1, Ordering::Relaxed));
        Draft { base, notes: Mutex::default(), generation, purge: AtomicBool::new(false) }
    }

    /// Makes the changes, all or none. `true` if something was destroyed that must become unreadable.
    pub(crate) fn commit_all(&self) -> Result<bool> {
        let changes = std::mem::take(&mut self.notes().changes);
        if !changes.is_empty() {
            self.base.commit(&changes)?;
        }
        Ok(self.purge.load(Ordering::Acquire))
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn apply(&self, change: &Change) -> Result<()> {
        // Asked before the notes are locked: it reads through them.
        let versions = match change {
            Change::RemoveVersions(key) => self.versions(*key)?,
            _ => Vec::new(),
        };
        let mut notes = self.notes();
        match change {
            // Nothing that runs on a draft reads these.
            Change::ExpectTenant(..)
            | Change::AtMostKeys(..)
            | Change::ForgetReceipts(_)
            | Change::NoteLine(_)
            | Change::Put(Row::Receipt(_)) => {}
            Change::Put(row) => notes.put(row)?,
            Change::RemoveObject(id, _) => drop(notes.objects.insert(*id, None)),
            Change::RemoveEntry(id, _) => drop(notes.entries.insert(*id, None)),
            Change::RemoveVersion(key, version) => drop(notes.versions.insert((*key, *version), None)),
            Change::RemoveVersions(key) => {
                notes.versions.extend(versions.iter().map(|row| ((*key, row.version), None)));
            }
            Change::RemoveToken(..)
            | Change::RemovePolicy(..)
            | Change::WipeTenant(_)
            | Change::RemoveTenant(..)
            | Change::RemoveRootSlot(..)
            | Change::Restore(_)
            | Change::PutBack(_)
            | Change::Recount
            | Change::ExpectUnchanged(..)
            | Change::Reseal(_) => {
                return Err(not_drafted());
            }
        }
        notes.changes.push(change.clone());
        Ok(())
    }
}

impl Notes {
    fn put(&mut self, row: &Row) -> Result<()> {
        match row {
            Row::Meta(r) => drop(self.meta.insert(r.name.clone(), Some(r.clone()))),
            Row::Key(r) => drop(self.keys.insert(r.id, Some(r.clone()))),
            Row::Version(r) => drop(self.versions.insert((r.key_id, r.version), Some(r.clone()))),
            Row::Object(r) => drop(self.objects.insert(r.id, Some(r.clone()))),
            Row::Role(r) => drop(self.roles.insert(r.id, Some(r.clone()))),
            Row::Entry(r) => drop(self.entries.insert(r.id, Some(r.clone()))),
            Row::Policy(r) => drop(self.policies.insert(r.id, Some(r.clone()))),
            Row::RootSlot(_)
            | Row::Tenant(_)
            | Row::Pin(_)
            | Row::Token(_)
            | Row::Receipt(_)
            | Row::Accumulator(_) => {
                return Err(not_drafted());
            }
        }
        Ok(())
    }
}

fn not_drafted() -> Error {
    Error::internal("a change of a whole tenant was to be part of a larger transaction")
}

/// The row of `key`: as it was written, or as the base has it.
fn one<K: Eq + Hash, T: Clone>(
    written: &Written<K, T>,
    key: &K,
    base: impl FnOnce() -> Result<Option<T>>,
) -> Result<Option<T>> {
    match written.get(key) {
        Some(row) => Ok(row.clone()),
        None => base(),
    }
}

/// The base's rows that were not written anew, and those that were written and fit.
fn many<K: Eq + Hash, T: Clone>(
    written: &Written<K, T>,
    base: Vec<T>,
    key: impl Fn(&T) -> K,
    fits: impl Fn(&T) -> bool,
) -> Vec<T> {
    let untouched = base.into_iter().filter(|row| !written.contains_key(&key(row)));
    untouched.chain(written.values().flatten().filter(|row| fits(row)).cloned()).collect()
}

impl AuditRows for Draft {
    fn outbox(&self) -> Result<Vec<OutboxRow>> {
        self.base.outbox()
    }

    fn audit_heads(&self) -> Result<Vec<AuditHeadRow>> {
        self.base.audit_heads()
    }

    fn seal_audit(&self, head: &AuditHeadRow, written: &[u64]) -> Result<()> {
        self.base.seal_audit(head, written)
    }
}

impl Store for Draft {
    fn meta(&self, name: &str) -> Result<Option<MetaRow>> {
        one(&self.notes().meta, &name.to_owned(), || self.base.meta(name))
    }

    fn all_meta(&self) -> Result<Vec<MetaRow>> {
        let mut rows = many(&self.notes().meta, self.base.all_meta()?, |r| r.name.clone(), |_| true);
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(rows)
    }

    fn root_slots(&self) -> Result<Vec<RootSlotRow>> {
        self.base.root_slots()
    }

    fn tenants(&self) -> Result<Vec<TenantRow>> {
        self.base.tenants()
    }

    fn tenant(&self, id: Id) -> Result<Option<TenantRow>> {
        self.base.tenant(id)
    }

    fn pin(&self, tenant: Id, role: u8) -> Result<Option<PinRow>> {
        self.base.pin(tenant, role)
    }

    fn token(&self, id: Id) -> Result<Option<TokenRow>> {
        self.base.token(id)
    }

    fn tokens(&self, tenant: Id) -> Result<Vec<TokenRow>> {
        self.base.tokens(tenant)
    }

    fn policy(&self, tenant: Id, kind: u8, name: &str) -> Result<Option<PolicyRow>> {
        let there = self.base.policy(tenant, kind, name)?.into_iter().collect();
        let fits = |r: &PolicyRow| r.tenant_id == tenant && r.kind == kind && r.name == name;
        Ok(many(&self.notes().policies, there, |r| r.id, fits).pop())
    }

    fn policies(&self, tenant: Id) -> Result<Vec<PolicyRow>> {
        let there = self.base.policies(tenant)?;
        Ok(many(&self.notes().policies, there, |r| r.id, |r| r.tenant_id == tenant))
    }

    fn key(&self, id: Id) -> Result<Option<KeyRow>> {
        one(&self.notes().keys, &id, || self.base.key(id))
    }

    fn key_by_name(&self, tenant: Id, name: &str) -> Result<Option<KeyRow>> {
        let fits = |row: &KeyRow| row.tenant_id == tenant && row.name == name;
        let there = self.base.key_by_name(tenant, name)?.into_iter().collect();
        Ok(many(&self.notes().keys, there, |r| r.id, fits).pop())
    }

    fn keys(&self, tenant: Id, prefix: &str, after: &str, limit: usize) -> Result<Vec<KeyRow>> {
        let fits = |row: &KeyRow| {
            row.tenant_id == tenant
                && (row.deleted_at.is_none() || prefix.starts_with('~'))
                && row.name.starts_with(prefix)
                && row.name.as_str() > after
        };
        let notes = self.notes();
        let there = self.base.keys(tenant, prefix, after, limit + notes.keys.len())?;
        let mut rows = many(&notes.keys, there, |r| r.id, fits);
        rows.sort_by(|a, b| a.name.cmp(&b.name));
        rows.truncate(limit);
        Ok(rows)
    }

    fn due_keys(&self, tenant: Option<Id>, now: i64, limit: usize) -> Result<Vec<KeyRow>> {
        let notes = self.notes();
        let there = self.base.due_keys(tenant, now, limit + notes.keys.len())?;
        let due =
            |r: &KeyRow| tenant.is_none_or(|id| r.tenant_id == id) && r.due_at.is_some_and(|at| at <= now);
        let mut rows = many(&notes.keys, there, |r| r.id, due);
        rows.sort_by_key(|r| r.due_at);
        rows.truncate(limit);
        Ok(rows)
    }

    fn all_keys(&self, tenant: Id) -> Result<Vec<KeyRow>> {
        let there = self.base.all_keys(tenant)?;
        Ok(many(&self.notes().keys, there, |r| r.id, |r| r.tenant_id == tenant))
    }

    fn versions(&self, key: Id) -> Result<Vec<VersionRow>> {
        let there = self.base.versions(key)?;
        let mut rows = many(&self.notes().versions, there, |r| (r.key_id, r.version), |r| r.key_id == key);
        rows.sort_by_key(|r| r.version);
        Ok(rows)
    }

    fn version(&self, key: Id, version: u32) -> Result<Option<VersionRow>> {
        one(&self.notes().versions, &(key, version), || self.base.version(key, version))
    }

    fn uses(&self, key: Id) -> Result<Vec<UseRow>> {
        self.base.uses(key)
    }

    fn object(&self, id: Id) -> Result<Option<ObjectRow>> {
        one(&self.notes().objects, &id, || self.base.object(id))
    }

    fn objects(&self, query: &ObjectQuery<'_>) -> Result<Vec<ObjectRow>> {
        let fits = |r: &ObjectRow| {
            r.tenant_id == query.tenant
                && query.class.is_none_or(|c| r.class == c)
                && query.label.is_none_or(|l| r.label == l)
                && query.cka_id.is_none_or(|i| r.cka_id == i)
                && query.key_id.is_none_or(|k| r.key_id == Some(k))
                && query.family.is_none_or(|f| [f, UNSAID].contains(&r.family))
        };
        let there = self.base.objects(query)?;
        Ok(many(&self.notes().objects, there, |r| r.id, fits))
    }

    fn role(&self, fingerprint: Id) -> Result<Option<RoleRow>> {
        one(&self.notes().roles, &fingerprint, || self.base.role(fingerprint))
    }

    fn roles(&self, tenant: Id) -> Result<Vec<RoleRow>> {
        let there = self.base.roles(tenant)?;
        Ok(many(&self.notes().roles, there, |r| r.id, |r| r.tenant_id == tenant))
    }

    fn entry(&self, tenant: Id, lookup: Id) -> Result<Option<EntryRow>> {
        let there = self.base.entry(tenant, lookup)?.into_iter().collect();
        let fits = |r: &EntryRow| r.tenant_id == tenant && r.lookup == lookup;
        Ok(many(&self.notes().entries, there, |r| r.id, fits).pop())
    }

    fn entries(&self, tenant: Id, after: Id, limit: usize) -> Result<Vec<EntryRow>> {
        let notes = self.notes();
        let there = self.base.entries(tenant, after, limit + notes.entries.len())?;
        let fits = |r: &EntryRow| r.tenant_id == tenant && r.lookup.0 > after.0;
        let mut rows = many(&notes.entries, there, |r| r.id, fits);
        rows.sort_by_key(|r| r.lookup.0);
        rows.truncate(limit);
        Ok(rows)
    }

    fn receipt(&self, id: Id) -> Result<Option<ReceiptRow>> {
        self.base.receipt(id)
    }

    fn receipts(&self, tenant: Id) -> Result<Vec<ReceiptRow>> {
        self.base.receipts(tenant)
    }

    fn accumulator(&self, scope: Id) -> Result<Option<AccumulatorRow>> {
        self.base.accumulator(scope)
    }

    fn scan(&self, _: &mut dyn FnMut(Id, Row) -> Result<()>) -> Result<()> {
        Err(Error::internal("a store was to be looked through in the middle of a larger transaction"))
    }

    /// Notes the changes. Whether they fit is for [`Draft::commit_all`] to find, and there they are counted.
    fn commit_by(&self, changes: &[Change], _: Option<&dyn Ledger>) -> Result<()> {
        changes.iter().try_for_each(|change| self.apply(change))?;
        self.generation.store(GENERATION.fetch_add(1, Ordering::Relaxed), Ordering::Release);
        Ok(())
    }

    fn count_uses(&self, uses: &[UseRow]) -> Result<()> {
        self.base.count_uses(uses)
    }

    fn host(&self) -> Id {
        self.base.host()
    }

    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    fn poll(&self) -> Result<()> {
        Ok(())
    }

    fn purge(&self) -> Result<()> {
        self.purge.store(true, Ordering::Release);
        Ok(())
    }

    fn scratch(&self) -> Result<std::fs::File> {
        self.base.scratch()
    }

    fn pin_turn(&self) -> Result<Turn> {
        self.base.pin_turn()
    }
}
