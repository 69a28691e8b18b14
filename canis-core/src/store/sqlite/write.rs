//! One commit: all changes or none.

use super::connection::explain;
use super::table::Table;
use crate::store::{Change, KeyRow, MetaRow, Row, UseRow, conflict, under_no_root_key};
use canis_proto::{Error, ErrorCode, Id, Result};
use rusqlite::{Connection, Transaction, TransactionBehavior, params_from_iter};
use std::path::Path;

/// Writes `changes` in one transaction that takes the write lock at its start (never DEFERRED: a read that turns
/// into a write can fail half-way).
pub(super) fn commit(path: &Path, connection: &mut Connection, changes: &[Change]) -> Result<()> {
    let sql = |e: rusqlite::Error| explain(path, &e);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
    for change in changes {
        apply(path, &transaction, change)?;
    }
    transaction.commit().map_err(sql)
}

/// Adds to the counts of uses, all or none.
pub(super) fn count_uses(path: &Path, connection: &mut Connection, uses: &[UseRow]) -> Result<()> {
    let sql = |e: rusqlite::Error| explain(path, &e);
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
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

fn apply(path: &Path, transaction: &Transaction<'_>, change: &Change) -> Result<()> {
    match change {
        Change::Put(Row::Meta(row)) => put(path, transaction, row, &row.name),
        Change::Put(Row::RootSlot(row)) => put(path, transaction, row, &row.id.to_string()),
        Change::Put(Row::Tenant(row)) => put(path, transaction, row, &row.id.to_string()),
        Change::Put(Row::Pin(row)) => put(path, transaction, row, &row.id.to_string()),
        Change::Put(Row::Token(row)) => put(path, transaction, row, &row.id.to_string()),
        Change::Put(Row::Key(row)) => put_key(path, transaction, row),
        Change::Put(Row::Version(row)) => put(path, transaction, row, &row.id.to_string()),
        Change::Put(Row::Object(row)) => put(path, transaction, row, &row.id.to_string()),
        Change::Put(Row::Role(row)) => put(path, transaction, row, &row.id.to_string()),
        Change::Put(Row::Receipt(row)) => put(path, transaction, row, &row.id.to_string()),
        Change::Put(Row::Entry(row)) => put(path, transaction, row, &row.id.to_string()),
        Change::Reseal(Row::Meta(row)) => reseal(path, transaction, row, &row.name),
        Change::Reseal(Row::Tenant(row)) => reseal(path, transaction, row, &row.id.to_string()),
        Change::Reseal(Row::Pin(row)) => reseal(path, transaction, row, &row.id.to_string()),
        Change::Reseal(Row::Token(row)) => reseal(path, transaction, row, &row.id.to_string()),
        Change::Reseal(Row::Object(row)) => reseal(path, transaction, row, &row.id.to_string()),
        Change::Reseal(_) => Err(under_no_root_key()),
        Change::ExpectTenant(id, revision) => expect_tenant(path, transaction, *id, *revision),
        Change::RemoveRootSlot(id, revision) => remove(path, transaction, "root_slots", *id, *revision),
        Change::RemoveObject(id, revision) => remove(path, transaction, "objects", *id, *revision),
        Change::RemoveToken(id, revision) => remove(path, transaction, "tokens", *id, *revision),
        Change::RemoveEntry(id, revision) => remove(path, transaction, "kv_entries", *id, *revision),
        Change::ForgetReceipts(now) => {
            execute(path, transaction, "DELETE FROM idempotency WHERE expires_at <= ?1", &[now]).map(drop)
        }
        Change::RemoveVersions(key) => {
            execute(path, transaction, "DELETE FROM kms_key_versions WHERE key_id = ?1", &[key.as_bytes()])
                .map(drop)
        }
        Change::RemoveVersion(key, version) => {
            let sql = "DELETE FROM kms_key_versions WHERE key_id = ?1 AND version = ?2";
            execute(path, transaction, sql, &[key.as_bytes(), version]).map(drop)
        }
        Change::WipeTenant(tenant) => {
            for sql in [
                "DELETE FROM kms_key_versions WHERE key_id IN (SELECT id FROM kms_keys WHERE tenant_id = ?1)",
                "DELETE FROM key_uses WHERE key_id IN (SELECT id FROM kms_keys WHERE tenant_id = ?1)",
                "DELETE FROM kms_keys WHERE tenant_id = ?1",
                "DELETE FROM objects WHERE tenant_id = ?1",
                "DELETE FROM value_roles WHERE tenant_id = ?1",
                "DELETE FROM kv_entries WHERE tenant_id = ?1",
                "DELETE FROM idempotency WHERE tenant_id = ?1",
                "DELETE FROM pins WHERE tenant_id = ?1 AND role = 1",
            ] {
                execute(path, transaction, sql, &[tenant.as_bytes()])?;
            }
            execute(
                path,
                transaction,
                "DELETE FROM meta WHERE name = ?1",
                &[&MetaRow::wrapping_key(*tenant)],
            )?;
            Ok(())
        }
        Change::RemoveTenant(id, revision) => {
            for sql in ["DELETE FROM pins WHERE tenant_id = ?1", "DELETE FROM tokens WHERE tenant_id = ?1"] {
                execute(path, transaction, sql, &[id.as_bytes()])?;
            }
            remove(path, transaction, "tenants", *id, *revision)
        }
    }
}

fn expect_tenant(path: &Path, transaction: &Transaction<'_>, id: Id, revision: u64) -> Result<()> {
    let sql = "SELECT 1 FROM tenants WHERE id = ?1 AND revision = ?2";
    let mut statement = transaction.prepare_cached(sql).map_err(|e| explain(path, &e))?;
    let revision = i64::try_from(revision).unwrap_or(i64::MAX);
    match statement.exists((id.as_bytes(), revision)).map_err(|e| explain(path, &e))? {
        true => Ok(()),
        false => Err(conflict("tenants", &id.to_string())),
    }
}

/// A key's name is the one value a caller can collide on; that error names it.
fn put_key(path: &Path, transaction: &Transaction<'_>, row: &KeyRow) -> Result<()> {
    let taken = "SELECT 1 FROM kms_keys WHERE tenant_id = ?1 AND name = ?2 AND id <> ?3";
    let mut statement = transaction.prepare_cached(taken).map_err(|e| explain(path, &e))?;
    if statement
        .exists((row.tenant_id.as_bytes(), &row.name, row.id.as_bytes()))
        .map_err(|e| explain(path, &e))?
    {
        return Err(Error::new(ErrorCode::KeyExists, format!("a key named `{}` exists already", row.name)));
    }
    drop(statement);
    put(path, transaction, row, &row.id.to_string())
}

/// Inserts at revision 1, else replaces the row of the revision before.
fn put<T: Table>(path: &Path, transaction: &Transaction<'_>, row: &T, id: &str) -> Result<()> {
    let columns = T::COLUMNS;
    let marks =
        |from: usize| (from..columns.len() + from).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
    let mut values = row.values();
    let sql = if row.revision() == 1 {
        format!(
            "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING",
            T::NAME,
            columns.join(", "),
            marks(1)
        )
    } else {
        values.push(rusqlite::types::Value::Integer(i64::try_from(row.revision() - 1).unwrap_or(i64::MAX)));
        format!(
            "UPDATE {} SET ({}) = ({}) WHERE {} = ?1 AND revision = ?{}",
            T::NAME,
            columns.join(", "),
            marks(1),
            columns[0],
            columns.len() + 1
        )
    };
    let mut statement = transaction.prepare_cached(&sql).map_err(|e| explain(path, &e))?;
    let changed = statement.execute(params_from_iter(values)).map_err(|e| explain(path, &e))?;
    if changed == 1 { Ok(()) } else { Err(conflict(T::NAME, id)) }
}

/// Replaces the row of the same revision.
fn reseal<T: Table>(path: &Path, transaction: &Transaction<'_>, row: &T, id: &str) -> Result<()> {
    let columns = T::COLUMNS;
    let marks = (1..=columns.len()).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
    let mut values = row.values();
    values.push(rusqlite::types::Value::Integer(i64::try_from(row.revision()).unwrap_or(i64::MAX)));
    let sql = format!(
        "UPDATE {} SET ({}) = ({marks}) WHERE {} = ?1 AND revision = ?{}",
        T::NAME,
        columns.join(", "),
        columns[0],
        columns.len() + 1
    );
    let mut statement = transaction.prepare_cached(&sql).map_err(|e| explain(path, &e))?;
    let changed = statement.execute(params_from_iter(values)).map_err(|e| explain(path, &e))?;
    if changed == 1 { Ok(()) } else { Err(conflict(T::NAME, id)) }
}

fn remove(path: &Path, transaction: &Transaction<'_>, table: &str, id: Id, revision: u64) -> Result<()> {
    let sql = format!("DELETE FROM {table} WHERE id = ?1 AND revision = ?2");
    let revision = i64::try_from(revision).unwrap_or(i64::MAX);
    match execute(path, transaction, &sql, &[id.as_bytes(), &revision])? {
        1 => Ok(()),
        _ => Err(conflict(table, &id.to_string())),
    }
}

fn execute(
    path: &Path,
    transaction: &Transaction<'_>,
    sql: &str,
    params: &[&dyn rusqlite::ToSql],
) -> Result<usize> {
    let mut statement = transaction.prepare_cached(sql).map_err(|e| explain(path, &e))?;
    statement.execute(params).map_err(|e| explain(path, &e))
}
