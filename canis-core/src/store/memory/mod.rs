//! The store as a model: plain maps, the same rules. Tests run on it; nothing survives the process.

mod tables;

use super::{
    AccumulatorRow, AuditHeadRow, AuditRows, Balance, Change, EntryRow, KeyRow, Ledger, MetaRow, ObjectQuery,
    ObjectRow, OutboxRow, PinRow, PolicyRow, ReceiptRow, RoleRow, RootSlotRow, Row, Store, TenantRow,
    TokenRow, Turn, UNSAID, UseRow, VersionRow,
};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use tables::Tables;

/// A store that lives in memory.
#[derive(Default)]
pub struct MemoryStore {
    tables: Mutex<Tables>,
    generation: AtomicU64,
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

impl AuditRows for MemoryStore {
    fn outbox(&self) -> Result<Vec<OutboxRow>> {
        self.read(|t| t.outbox.clone())
    }

    fn audit_heads(&self) -> Result<Vec<AuditHeadRow>> {
        self.read(|t| t.audit_heads.clone())
    }

    fn seal_audit(&self, head: &AuditHeadRow, written: &[u64]) -> Result<()> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        tables.audit_heads.retain(|row| row.writer != head.writer);
        tables.audit_heads.push(head.clone());
        tables.outbox.retain(|row| row.writer != head.writer || !written.contains(&row.number));
        Ok(())
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

    fn policy(&self, tenant: Id, kind: u8, name: &str) -> Result<Option<PolicyRow>> {
        let is = |r: &&PolicyRow| r.tenant_id == tenant && r.kind == kind && r.name == name;
        self.read(|t| t.policies.iter().find(is).cloned())
    }

    fn policies(&self, tenant: Id) -> Result<Vec<PolicyRow>> {
        let mut rows: Vec<_> =
            self.read(|t| t.policies.iter().filter(|r| r.tenant_id == tenant).cloned().collect())?;
        rows.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
        Ok(rows)
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

    fn accumulator(&self, scope: Id) -> Result<Option<AccumulatorRow>> {
        self.read(|t| t.accumulators.iter().find(|r| r.id == scope).cloned())
    }

    fn scan(&self, visit: &mut dyn FnMut(Id, Row) -> Result<()>) -> Result<()> {
        let rows = self.read(Tables::rows)?;
        rows.into_iter().try_for_each(|(scope, row)| visit(scope, row))
    }

    fn commit_by(&self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()> {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = tables.clone();
        changes.iter().try_for_each(|change| next.apply(change))?;
        if let Some(ledger) = ledger {
            balance(&tables, &mut next, ledger, changes)?;
        }
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

    fn scratch(&self) -> Result<std::fs::File> {
        Err(Error::new(ErrorCode::StoreUnavailable, "a store in memory has no files"))
    }

    fn pin_turn(&self) -> Result<Turn> {
        Ok(Turn::alone())
    }

    fn purge(&self) -> Result<()> {
        Ok(())
    }
}

/// Writes what the ledger makes of the difference between two moments.
fn balance(before: &Tables, after: &mut Tables, ledger: &dyn Ledger, changes: &[Change]) -> Result<()> {
    let counted = |tables: &Tables| -> Vec<(Id, Row)> {
        tables.rows().into_iter().filter(|(_, row)| !matches!(row, Row::Accumulator(_))).collect()
    };
    let (old, new) = (counted(before), counted(after));
    let mut page = ledger.page();
    if changes.contains(&Change::Recount) {
        page.start_over();
        after.accumulators.retain(|r| r.id == Id::STORE);
        new.iter().for_each(|(scope, row)| page.came(*scope, row));
    } else {
        old.iter().filter(|row| !new.contains(row)).for_each(|(scope, row)| page.gone(*scope, row));
        let put_back = |row: &Row| changes.iter().any(|c| matches!(c, Change::PutBack(back) if back == row));
        let came = new.iter().filter(|row| !old.contains(row) && !put_back(&row.1));
        came.for_each(|(scope, row)| page.came(*scope, row));
    }
    let kept = &after.accumulators;
    let changes = page.balance(&mut |scope| Ok(kept.iter().find(|r| r.id == scope).cloned()))?;
    for change in changes {
        let (id, row) = match change {
            Balance::Write(row) => (row.id, Some(row)),
            Balance::Remove(id) => (id, None),
        };
        after.accumulators.retain(|r| r.id != id);
        after.accumulators.extend(row);
    }
    Ok(())
}
