//! The tables of the audit log.

use super::Columns;
use super::connection::explain;
use super::{SqliteStore, lock_file, moves};
use crate::store::{AuditHeadRow, AuditRows, OutboxRow, Use};
use canis_proto::Result;
use rusqlite::{Connection, Transaction, TransactionBehavior};
use std::path::Path;

impl AuditRows for SqliteStore {
    fn outbox(&self) -> Result<Vec<OutboxRow>> {
        self.many("ORDER BY writer, number", &[])
    }

    fn audit_heads(&self) -> Result<Vec<AuditHeadRow>> {
        self.many("ORDER BY writer", &[])
    }

    fn seal_audit(&self, head: &AuditHeadRow, written: &[u64]) -> Result<()> {
        self.pool.write(|connection| {
            let _lock = lock_file(&self.path)?;
            // Whoever takes a copy of before for the store says so in the log first.
            if !self.as_it_stands {
                moves::refuse(&self.path, connection, Use::Note)?;
            }
            seal(&self.path, connection, head, written)
        })
    }
}

fn seal(path: &Path, connection: &mut Connection, head: &AuditHeadRow, written: &[u64]) -> Result<()> {
    let write = |connection: &mut Connection| -> rusqlite::Result<()> {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let put = format!(
            "INSERT OR REPLACE INTO {} (writer, ended, sealed) VALUES (?1, ?2, ?3)",
            AuditHeadRow::NAME
        );
        transaction.prepare_cached(&put)?.execute((head.writer.as_bytes(), head.ended, &head.sealed))?;
        let forget = format!("DELETE FROM {} WHERE writer = ?1 AND number = ?2", OutboxRow::NAME);
        for number in written {
            transaction.prepare_cached(&forget)?.execute((head.writer.as_bytes(), signed(*number)))?;
        }
        transaction.commit()
    };
    write(connection).map_err(|e| explain(path, &e))
}

/// Writes the line of a change; one operation may commit more than once, and has one line.
pub(super) fn note_line(path: &Path, transaction: &Transaction<'_>, row: &OutboxRow) -> Result<()> {
    let sql =
        format!("INSERT OR REPLACE INTO {} (writer, number, sealed) VALUES (?1, ?2, ?3)", OutboxRow::NAME);
    let write = || -> rusqlite::Result<()> {
        let values = (row.writer.as_bytes(), signed(row.number), &row.sealed);
        transaction.prepare_cached(&sql)?.execute(values).map(drop)
    };
    write().map_err(|e| explain(path, &e))
}

/// SQLite's integers are signed; a writer never comes near the sign.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
