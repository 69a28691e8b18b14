//! The tables of the model, and what a change does to them.

use crate::store::{
    AccumulatorRow, AuditHeadRow, Change, EntryRow, KeyRow, MetaRow, ObjectRow, OutboxRow, Owner, PinRow,
    PolicyRow, ReceiptRow, RoleRow, RootSlotRow, Row, TenantRow, TokenRow, UseRow, VersionRow, conflict,
    sealed_once, too_many_keys,
};
use canis_proto::{Error, ErrorCode, Id, Result};

/// The user's role, as PIN rows number it.
const USER: u8 = 1;

#[derive(Clone, Default)]
pub(super) struct Tables {
    pub(super) meta: Vec<MetaRow>,
    pub(super) root_slots: Vec<RootSlotRow>,
    pub(super) tenants: Vec<TenantRow>,
    pub(super) pins: Vec<PinRow>,
    pub(super) tokens: Vec<TokenRow>,
    pub(super) policies: Vec<PolicyRow>,
    pub(super) keys: Vec<KeyRow>,
    pub(super) versions: Vec<VersionRow>,
    pub(super) objects: Vec<ObjectRow>,
    pub(super) uses: Vec<UseRow>,
    pub(super) roles: Vec<RoleRow>,
    pub(super) entries: Vec<EntryRow>,
    pub(super) receipts: Vec<ReceiptRow>,
    pub(super) accumulators: Vec<AccumulatorRow>,
    pub(super) outbox: Vec<OutboxRow>,
    pub(super) audit_heads: Vec<AuditHeadRow>,
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
    /// Every row but the counts of uses, with whose accumulator counts it; what is referred to comes first.
    pub(super) fn rows(&self) -> Vec<(Id, Row)> {
        let mut rows = Vec::new();
        rows.extend(self.meta.iter().cloned().map(Row::Meta));
        rows.extend(self.root_slots.iter().cloned().map(Row::RootSlot));
        rows.extend(self.tenants.iter().cloned().map(Row::Tenant));
        rows.extend(self.pins.iter().cloned().map(Row::Pin));
        rows.extend(self.tokens.iter().cloned().map(Row::Token));
        rows.extend(self.policies.iter().cloned().map(Row::Policy));
        rows.extend(self.keys.iter().cloned().map(Row::Key));
        rows.extend(self.versions.iter().cloned().map(Row::Version));
        rows.extend(self.objects.iter().cloned().map(Row::Object));
        rows.extend(self.roles.iter().cloned().map(Row::Role));
        rows.extend(self.entries.iter().cloned().map(Row::Entry));
        rows.extend(self.receipts.iter().cloned().map(Row::Receipt));
        rows.extend(self.accumulators.iter().cloned().map(Row::Accumulator));
        rows.into_iter().map(|row| (self.scope(&row), row)).collect()
    }

    fn scope(&self, row: &Row) -> Id {
        match row.owner() {
            Owner::Store => Id::STORE,
            Owner::Tenant(tenant) => tenant,
            Owner::Key(key) => self.keys.iter().find(|r| r.id == key).map_or(Id::STORE, |r| r.tenant_id),
        }
    }

    pub(super) fn apply(&mut self, change: &Change) -> Result<()> {
        match change {
            Change::Put(row) => self.put(row),
            Change::Restore(row) | Change::PutBack(row) => self.restore(row),
            // Done by who keeps the ledger.
            Change::Recount => Ok(()),
            Change::Reseal(row) => self.reseal(row),
            Change::ExpectTenant(id, revision) => {
                let there = self.tenants.iter().any(|r| r.id == *id && r.revision == *revision);
                if there { Ok(()) } else { Err(conflict("tenants", &id.to_string())) }
            }
            Change::ExpectUnchanged(id, revision) => {
                let found = self.accumulators.iter().find(|r| r.id == *id).map_or(0, |r| r.revision);
                if found == *revision { Ok(()) } else { Err(conflict("accumulators", &id.to_string())) }
            }
            Change::AtMostKeys(id, most) => {
                let living = self.keys.iter().filter(|r| r.tenant_id == *id && r.deleted_at.is_none());
                if living.count() as u64 > *most { Err(too_many_keys(*most)) } else { Ok(()) }
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
            Change::RemovePolicy(id, revision) => {
                let at = self.policies.iter().position(|r| r.id == *id && r.revision == *revision);
                at.map(|at| drop(self.policies.remove(at)))
                    .ok_or_else(|| conflict("policies", &id.to_string()))
            }
            Change::RemoveEntry(id, revision) => {
                let at = self.entries.iter().position(|r| r.id == *id && r.revision == *revision);
                at.map(|at| drop(self.entries.remove(at)))
                    .ok_or_else(|| conflict("kv_entries", &id.to_string()))
            }
            Change::NoteLine(row) => {
                self.outbox.retain(|r| (r.writer, r.number) != (row.writer, row.number));
                self.outbox.push(row.clone());
                Ok(())
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
                let gone = [MetaRow::wrapping_key(*tenant), MetaRow::hybrid_wrapping_key(*tenant)];
                self.meta.retain(|r| !gone.contains(&r.name));
                self.pins.retain(|r| r.tenant_id != *tenant || r.role != USER);
                Ok(())
            }
            Change::RemoveTenant(id, revision) => {
                self.pins.retain(|r| r.tenant_id != *id);
                self.tokens.retain(|r| r.tenant_id != *id);
                self.policies.retain(|r| r.tenant_id != *id);
                let at = self.tenants.iter().position(|r| r.id == *id && r.revision == *revision);
                at.map(|at| drop(self.tenants.remove(at))).ok_or_else(|| conflict("tenants", &id.to_string()))
            }
        }
    }

    fn restore(&mut self, row: &Row) -> Result<()> {
        fn overwrite<T: Clone>(rows: &mut Vec<T>, row: &T, same: impl Fn(&T) -> bool) {
            rows.retain(|old| !same(old));
            rows.push(row.clone());
        }
        match row {
            Row::Meta(r) => overwrite(&mut self.meta, r, |o| o.name == r.name),
            Row::RootSlot(r) => overwrite(&mut self.root_slots, r, |o| o.id == r.id),
            Row::Tenant(r) => overwrite(&mut self.tenants, r, |o| o.id == r.id),
            Row::Pin(r) => overwrite(&mut self.pins, r, |o| o.id == r.id),
            Row::Token(r) => overwrite(&mut self.tokens, r, |o| o.id == r.id),
            Row::Key(r) => {
                if self.keys.iter().any(|o| o.tenant_id == r.tenant_id && o.name == r.name && o.id != r.id) {
                    return Err(Error::new(
                        ErrorCode::KeyExists,
                        format!("a key named `{}` exists already", r.name),
                    ));
                }
                overwrite(&mut self.keys, r, |o| o.id == r.id);
            }
            Row::Version(r) => overwrite(&mut self.versions, r, |o| o.id == r.id),
            Row::Object(r) => overwrite(&mut self.objects, r, |o| o.id == r.id),
            Row::Role(r) => overwrite(&mut self.roles, r, |o| o.id == r.id),
            Row::Entry(r) => overwrite(&mut self.entries, r, |o| o.id == r.id),
            Row::Receipt(r) => overwrite(&mut self.receipts, r, |o| o.id == r.id),
            Row::Policy(r) => overwrite(&mut self.policies, r, |o| o.id == r.id),
            Row::Accumulator(r) => overwrite(&mut self.accumulators, r, |o| o.id == r.id),
        }
        Ok(())
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
            Row::Policy(r) => {
                let same = |o: &PolicyRow| o.id == r.id && o.revision == r.revision;
                replace("policies", &mut self.policies, r, same, &r.id.to_string())
            }
            Row::Object(r) => {
                let same = |o: &ObjectRow| o.id == r.id && o.revision == r.revision;
                replace("objects", &mut self.objects, r, same, &r.id.to_string())
            }
            Row::Key(r) => {
                let same = |o: &KeyRow| o.id == r.id && o.revision == r.revision;
                replace("kms_keys", &mut self.keys, r, same, &r.id.to_string())
            }
            Row::Role(r) => {
                let same = |o: &RoleRow| o.id == r.id && o.revision == r.revision;
                replace("value_roles", &mut self.roles, r, same, &r.id.to_string())
            }
            Row::Entry(r) => {
                let same = |o: &EntryRow| o.id == r.id && o.revision == r.revision;
                replace("kv_entries", &mut self.entries, r, same, &r.id.to_string())
            }
            _ => Err(sealed_once()),
        }
    }

    fn put(&mut self, row: &Row) -> Result<()> {
        match row {
            Row::Meta(r) => put("meta", &mut self.meta, r, |o| o.name == r.name, |o| o.revision, &r.name),
            Row::Accumulator(r) => {
                put("accumulators", &mut self.accumulators, r, |o| o.id == r.id, |o| o.revision, "")
            }
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
            Row::Policy(r) => {
                let taken = |o: &PolicyRow| {
                    (o.tenant_id, o.kind, &o.name) == (r.tenant_id, r.kind, &r.name) && o.id != r.id
                };
                if self.policies.iter().any(taken) {
                    return Err(conflict("policies", &r.id.to_string()));
                }
                put("policies", &mut self.policies, r, |o| o.id == r.id, |o| o.revision, &r.id.to_string())
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
