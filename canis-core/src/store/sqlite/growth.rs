//! Stores made before format 1 had all its columns and tables: what is missing is added when they are opened.
//!
//! An older CANIS goes on working on a grown store: it names its columns when it writes, and new ones have a default.

use super::connection::explain;
use super::schema::{GAINED, GAINED_TABLES, TABLES};
use canis_proto::Result;
use rusqlite::{Connection, Result as Sql, TransactionBehavior};
use std::path::Path;

/// Whether every column and table is there.
pub(super) fn is_grown(connection: &Connection) -> Sql<bool> {
    Ok(missing(connection)?.is_empty() && has_tables(connection)?)
}

/// Adds what is missing, in one transaction. The caller holds the writers' lock.
pub(super) fn grow(path: &Path, connection: &mut Connection) -> Result<()> {
    add(connection).map_err(|e| explain(path, &e))
}

fn add(connection: &mut Connection) -> Sql<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    // Looked at again: another process may have done it meanwhile.
    for (table, column, definition) in missing(&transaction)? {
        transaction.execute_batch(&format!("ALTER TABLE {table} ADD COLUMN {column} {definition}"))?;
    }
    transaction.execute_batch(TABLES)?;
    transaction.commit()
}

fn has_tables(connection: &Connection) -> Sql<bool> {
    let mut tables = connection.prepare("SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = ?1")?;
    for gained in GAINED_TABLES {
        if !tables.exists([gained])? {
            return Ok(false);
        }
    }
    Ok(true)
}

type Column = (&'static str, &'static str, &'static str);

fn missing(connection: &Connection) -> Sql<Vec<Column>> {
    let mut columns = connection.prepare("SELECT 1 FROM pragma_table_info(?1) WHERE name = ?2")?;
    let mut missing = Vec::new();
    for gained in GAINED {
        if !columns.exists((gained.0, gained.1))? {
            missing.push(*gained);
        }
    }
    Ok(missing)
}
