//! One commit: all changes or none.

use super::connection::explain;
use super::counted::Writer;
use super::moves;
use super::table::Columns;
use crate::store::{
    Change, EntryRow, KeyRow, Ledger, MetaRow, ObjectRow, PinRow, PolicyRow, ReceiptRow, RoleRow,
    RootSlotRow, Row, TenantRow, TokenRow, Use, UseRow, VersionRow, conflict, sealed_once, too_many_keys,
};
use canis_proto::{Error, ErrorCode, Id, Result};
use rusqlite::{Connection, TransactionBehavior, params_from_iter};
use std::path::Path;

/// Writes `changes` in one transaction that takes the write lock at its start (never DEFERRED: a read that turns
/// into a write can fail half-way), and what `ledger` makes of them.
pub(super) fn commit(
    path: &Path,
    connection: &mut Connection,
    changes: &[Change],
    ledger: Option<&dyn Ledger>,
) -> Result<()> {
    let sql = |e: rusqlite::Error| explain(path, &e);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
    moves::refuse(path, &transaction, Use::Change)?;
    let mut writer = Writer { path, transaction, page: ledger.map(Ledger::page) };
    for change in changes {
        apply(&mut writer, change)?;
    }
    if changes.contains(&Change::Recount) {
        writer.recount()?;
    }
    writer.finish()
}

/// Adds to the counts of uses, all or none.
pub(super) fn count_uses(path: &Path, connection: &mut Connection, uses: &[UseRow]) -> Result<()> {
    let sql = |e: rusqlite::Error| explain(path, &e);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
    moves::refuse(path, &transaction, Use::Note)?;
    let add = format!(
        "INSERT INTO key_uses ({}) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (key_id, version) DO UPDATE
         SET uses = uses + excluded.uses, last_used_at = max(last_used_at, excluded.last_used_at)",
        UseRow::COLUMNS.join(", ")
    );
    for row in uses {
        let mut statement = transaction.prepare_cached(&add).map_err(sql)?;
        statement.execute(params_from_iter(row.values())).map_err(sql)?;
    }
    transaction.commit().map_err(sql)
}

fn apply(writer: &mut Writer<'_>, change: &Change) -> Result<()> {
    match change {
        Change::Put(row) => put(writer, row),
        Change::Reseal(row) => reseal(writer, row),
        Change::Restore(row) => restore(writer, row),
        Change::PutBack(row) => {
            let page = writer.page.take();
            let done = restore(writer, row);
            writer.page = page;
            done
        }
        Change::ExpectTenant(id, revision) => expect_tenant(writer, *id, *revision),
        Change::ExpectUnchanged(id, revision) => expect_unchanged(writer, *id, *revision),
        Change::AtMostKeys(id, most) => refuse_more_keys(writer, *id, *most),
        Change::NoteLine(row) => super::audit::note_line(writer.path, &writer.transaction, row),
        Change::RemoveRootSlot(id, revision) => writer.remove::<RootSlotRow>(*id, *revision),
        Change::RemoveObject(id, revision) => writer.remove::<ObjectRow>(*id, *revision),
        Change::RemoveToken(id, revision) => writer.remove::<TokenRow>(*id, *revision),
        Change::RemovePolicy(id, revision) => writer.remove::<PolicyRow>(*id, *revision),
        Change::RemoveEntry(id, revision) => writer.remove::<EntryRow>(*id, *revision),
        Change::ForgetReceipts(now) => writer.delete::<ReceiptRow>("expires_at <= ?1", &[now]).map(drop),
        Change::RemoveVersions(key) => {
            writer.delete::<VersionRow>("key_id = ?1", &[key.as_bytes()]).map(drop)
        }
        Change::RemoveVersion(key, version) => {
            writer.delete::<VersionRow>("key_id = ?1 AND version = ?2", &[key.as_bytes(), version]).map(drop)
        }
        Change::WipeTenant(tenant) => wipe_tenant(writer, *tenant),
        Change::RemoveTenant(id, revision) => {
            writer.delete::<PinRow>("tenant_id = ?1", &[id.as_bytes()])?;
            writer.delete::<TokenRow>("tenant_id = ?1", &[id.as_bytes()])?;
            writer.delete::<PolicyRow>("tenant_id = ?1", &[id.as_bytes()])?;
            writer.remove::<TenantRow>(*id, *revision)
        }
        // Done when everything else is.
        Change::Recount => Ok(()),
    }
}

fn put(writer: &mut Writer<'_>, row: &Row) -> Result<()> {
    match row {
        Row::Meta(row) => writer.put(row, &row.name),
        Row::RootSlot(row) => writer.put(row, &row.id.to_string()),
        Row::Tenant(row) => writer.put(row, &row.id.to_string()),
        Row::Pin(row) => writer.put(row, &row.id.to_string()),
        Row::Token(row) => writer.put(row, &row.id.to_string()),
        Row::Policy(row) => writer.put(row, &row.id.to_string()),
        Row::Key(row) => put_key(writer, row),
        Row::Version(row) => writer.put(row, &row.id.to_string()),
        Row::Object(row) => writer.put(row, &row.id.to_string()),
        Row::Role(row) => writer.put(row, &row.id.to_string()),
        Row::Receipt(row) => writer.put(row, &row.id.to_string()),
        Row::Entry(row) => writer.put(row, &row.id.to_string()),
        Row::Accumulator(row) => writer.put(row, &row.id.to_string()),
    }
}

fn reseal(writer: &mut Writer<'_>, row: &Row) -> Result<()> {
    match row {
        Row::Meta(row) => writer.replace(row, row.revision, &row.name),
        Row::Tenant(row) => writer.replace(row, row.revision, &row.id.to_string()),
        Row::Pin(row) => writer.replace(row, row.revision, &row.id.to_string()),
        Row::Token(row) => writer.replace(row, row.revision, &row.id.to_string()),
        Row::Policy(row) => writer.replace(row, row.revision, &row.id.to_string()),
        Row::Object(row) => writer.replace(row, row.revision, &row.id.to_string()),
        Row::Key(row) => writer.replace(row, row.revision, &row.id.to_string()),
        Row::Role(row) => writer.replace(row, row.revision, &row.id.to_string()),
        Row::Entry(row) => writer.replace(row, row.revision, &row.id.to_string()),
        _ => Err(sealed_once()),
    }
}

fn expect_tenant(writer: &Writer<'_>, id: Id, revision: u64) -> Result<()> {
    let sql = "SELECT 1 FROM tenants WHERE id = ?1 AND revision = ?2";
    let revision = i64::try_from(revision).unwrap_or(i64::MAX);
    match writer.exists(sql, &[id.as_bytes(), &revision])? {
        true => Ok(()),
        false => Err(conflict("tenants", &id.to_string())),
    }
}

fn expect_unchanged(writer: &Writer<'_>, id: Id, revision: u64) -> Result<()> {
    let sql = "SELECT 1 FROM accumulators WHERE id = ?1 AND revision <> ?2 UNION ALL
               SELECT 1 WHERE ?2 > 0 AND NOT EXISTS (SELECT 1 FROM accumulators WHERE id = ?1)";
    let revision = i64::try_from(revision).unwrap_or(i64::MAX);
    match writer.exists(sql, &[id.as_bytes(), &revision])? {
        false => Ok(()),
        true => Err(conflict("accumulators", &id.to_string())),
    }
}

fn refuse_more_keys(writer: &Writer<'_>, id: Id, most: u64) -> Result<()> {
    let sql = "SELECT 1 FROM kms_keys WHERE tenant_id = ?1 AND deleted_at IS NULL LIMIT 1 OFFSET ?2";
    let offset = i64::try_from(most).unwrap_or(i64::MAX);
    if writer.exists(sql, &[id.as_bytes(), &offset])? { Err(too_many_keys(most)) } else { Ok(()) }
}

fn wipe_tenant(writer: &mut Writer<'_>, tenant: Id) -> Result<()> {
    const KEYS: &str = "key_id IN (SELECT id FROM kms_keys WHERE tenant_id = ?1)";
    let of_tenant = "tenant_id = ?1";
    let tenant_id = tenant.as_bytes();
    writer.delete::<VersionRow>(KEYS, &[tenant_id])?;
    writer.execute(&format!("DELETE FROM key_uses WHERE {KEYS}"), &[tenant_id])?;
    writer.delete::<KeyRow>(of_tenant, &[tenant_id])?;
    writer.delete::<ObjectRow>(of_tenant, &[tenant_id])?;
    writer.delete::<RoleRow>(of_tenant, &[tenant_id])?;
    writer.delete::<EntryRow>(of_tenant, &[tenant_id])?;
    writer.delete::<ReceiptRow>(of_tenant, &[tenant_id])?;
    writer.delete::<PinRow>("tenant_id = ?1 AND role = 1", &[tenant_id])?;
    writer.delete::<MetaRow>("name = ?1", &[&MetaRow::wrapping_key(tenant)])?;
    writer.delete::<MetaRow>("name = ?1", &[&MetaRow::hybrid_wrapping_key(tenant)]).map(drop)
}

pub(super) fn restore(writer: &mut Writer<'_>, row: &Row) -> Result<()> {
    match row {
        Row::Meta(row) => writer.restore(row, &row.name),
        Row::RootSlot(row) => writer.restore(row, &row.id.to_string()),
        Row::Tenant(row) => writer.restore(row, &row.id.to_string()),
        Row::Pin(row) => writer.restore(row, &row.id.to_string()),
        Row::Token(row) => writer.restore(row, &row.id.to_string()),
        Row::Key(row) => {
            refuse_taken(writer, row)?;
            writer.restore(row, &row.id.to_string())
        }
        Row::Version(row) => writer.restore(row, &row.id.to_string()),
        Row::Object(row) => writer.restore(row, &row.id.to_string()),
        Row::Role(row) => writer.restore(row, &row.id.to_string()),
        Row::Receipt(row) => writer.restore(row, &row.id.to_string()),
        Row::Entry(row) => writer.restore(row, &row.id.to_string()),
        Row::Policy(row) => writer.restore(row, &row.id.to_string()),
        Row::Accumulator(row) => writer.restore(row, &row.id.to_string()),
    }
}

fn put_key(writer: &mut Writer<'_>, row: &KeyRow) -> Result<()> {
    refuse_taken(writer, row)?;
    writer.put(row, &row.id.to_string())
}

/// A key's name is the one value a caller can collide on; that error names it.
fn refuse_taken(writer: &Writer<'_>, row: &KeyRow) -> Result<()> {
    let taken = "SELECT 1 FROM kms_keys WHERE tenant_id = ?1 AND name = ?2 AND id <> ?3";
    if writer.exists(taken, &[row.tenant_id.as_bytes(), &row.name, row.id.as_bytes()])? {
        return Err(Error::new(ErrorCode::KeyExists, format!("a key named `{}` exists already", row.name)));
    }
    Ok(())
}
