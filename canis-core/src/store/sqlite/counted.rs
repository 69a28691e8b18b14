//! The statements of one transaction. Each tells the ledger's page, if there is one, which rows it took and brought.

use super::connection::explain;
use super::table::{Columns, Table};
use crate::store::{AccumulatorRow, Balance, Owner, Page, Row, conflict};
use canis_proto::{Id, Result};
use rusqlite::types::Value;
use rusqlite::{OptionalExtension, ToSql, Transaction, params_from_iter};
use std::path::Path;

/// A transaction that is being written.
pub(super) struct Writer<'a> {
    pub(super) path: &'a Path,
    pub(super) transaction: Transaction<'a>,
    pub(super) page: Option<Box<dyn Page + 'a>>,
}

impl Writer<'_> {
    /// Inserts at revision 1, else replaces the row of the revision before.
    pub(super) fn put<T: Table>(&mut self, row: &T, id: &str) -> Result<()> {
        if row.revision() > 1 {
            return self.replace(row, row.revision() - 1, id);
        }
        self.insert(row, id)
    }

    /// Writes the row as it is, in place of one with its primary key.
    pub(super) fn restore<T: Table>(&mut self, row: &T, id: &str) -> Result<()> {
        let key = row.values().swap_remove(0);
        self.delete::<T>(&format!("{} = ?1", T::COLUMNS[0]), &[&key])?;
        self.insert(row, id)
    }

    fn insert<T: Table>(&mut self, row: &T, id: &str) -> Result<()> {
        let sql = format!(
            "INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING",
            T::NAME,
            T::COLUMNS.join(", "),
            marks(T::COLUMNS.len())
        );
        match self.execute_with(&sql, row.values())? {
            1 => self.came(row),
            _ => Err(conflict(T::NAME, id)),
        }
    }

    /// Replaces the row that has `revision`.
    pub(super) fn replace<T: Table>(&mut self, row: &T, revision: u64, id: &str) -> Result<()> {
        let columns = T::COLUMNS;
        let mut values = row.values();
        let old = match self.page {
            Some(_) => self.one::<T>(&format!("{} = ?1", columns[0]), &[&values[0]])?,
            None => None,
        };
        values.push(Value::Integer(i64::try_from(revision).unwrap_or(i64::MAX)));
        let sql = format!(
            "UPDATE {} SET ({}) = ({}) WHERE {} = ?1 AND revision = ?{}",
            T::NAME,
            columns.join(", "),
            marks(columns.len()),
            columns[0],
            columns.len() + 1
        );
        if self.execute_with(&sql, values)? != 1 {
            return Err(conflict(T::NAME, id));
        }
        old.map_or(Ok(()), |old| self.gone(old))?;
        self.came(row)
    }

    /// Removes the row that has this revision.
    pub(super) fn remove<T: Table>(&mut self, id: Id, revision: u64) -> Result<()> {
        let revision = i64::try_from(revision).unwrap_or(i64::MAX);
        match self.delete::<T>("id = ?1 AND revision = ?2", &[id.as_bytes(), &revision])? {
            1 => Ok(()),
            _ => Err(conflict(T::NAME, &id.to_string())),
        }
    }

    /// Removes the rows that `filter` leaves; how many they were.
    pub(super) fn delete<T: Table>(&mut self, filter: &str, params: &[&dyn ToSql]) -> Result<usize> {
        if self.page.is_some() {
            for row in self.many::<T>(filter, params)? {
                self.gone(row)?;
            }
        }
        self.execute(&format!("DELETE FROM {} WHERE {filter}", T::NAME), params)
    }

    /// Counts every row anew.
    pub(super) fn recount(&mut self) -> Result<()> {
        let Some(page) = &mut self.page else { return Ok(()) };
        page.start_over();
        let mut failure = Ok(());
        let done = super::scan::each(
            &self.transaction,
            false,
            &mut |scope, row| {
                page.came(scope, &row);
                Ok(())
            },
            &mut failure,
        );
        done.map_err(|e| explain(self.path, &e))?;
        failure?;
        // The store's stays for its revision, which counts on.
        self.execute("DELETE FROM accumulators WHERE id <> ?1", &[Id::STORE.as_bytes()]).map(drop)
    }

    /// Writes what the page comes to, and ends the transaction.
    pub(super) fn finish(mut self) -> Result<()> {
        if let Some(mut page) = self.page.take() {
            let balance = page.balance(&mut |scope| self.one("id = ?1", &[scope.as_bytes()]))?;
            for change in balance {
                match change {
                    Balance::Write(row) => self.overwrite(&row)?,
                    Balance::Remove(id) => {
                        self.execute("DELETE FROM accumulators WHERE id = ?1", &[id.as_bytes()]).map(drop)?;
                    }
                }
            }
        }
        self.transaction.commit().map_err(|e| explain(self.path, &e))
    }

    fn overwrite(&self, row: &AccumulatorRow) -> Result<()> {
        let columns = AccumulatorRow::COLUMNS;
        let sql = format!(
            "INSERT INTO accumulators ({}) VALUES ({}) ON CONFLICT (id) DO UPDATE
             SET revision = excluded.revision, sealed = excluded.sealed",
            columns.join(", "),
            marks(columns.len())
        );
        self.execute_with(&sql, row.values()).map(drop)
    }

    fn gone<T: Table>(&mut self, row: T) -> Result<()> {
        let row = row.into_row();
        let scope = self.scope(&row)?;
        self.page.iter_mut().for_each(|page| page.gone(scope, &row));
        Ok(())
    }

    fn came<T: Table>(&mut self, row: &T) -> Result<()> {
        if self.page.is_none() {
            return Ok(());
        }
        let row = row.clone().into_row();
        let scope = self.scope(&row)?;
        self.page.iter_mut().for_each(|page| page.came(scope, &row));
        Ok(())
    }

    fn scope(&self, row: &Row) -> Result<Id> {
        match row.owner() {
            Owner::Store => Ok(Id::STORE),
            Owner::Tenant(tenant) => Ok(tenant),
            Owner::Key(key) => {
                let sql = "SELECT tenant_id FROM kms_keys WHERE id = ?1";
                let found = self
                    .transaction
                    .prepare_cached(sql)
                    .and_then(|mut s| s.query_row([key.as_bytes()], |row| row.get(0)).optional());
                Ok(found.map_err(|e| explain(self.path, &e))?.map_or(Id::STORE, Id))
            }
        }
    }

    pub(super) fn one<T: Table>(&self, filter: &str, params: &[&dyn ToSql]) -> Result<Option<T>> {
        Ok(self.many(filter, params)?.pop())
    }

    fn many<T: Table>(&self, filter: &str, params: &[&dyn ToSql]) -> Result<Vec<T>> {
        let sql = format!("SELECT {} FROM {} WHERE {filter}", T::COLUMNS.join(", "), T::NAME);
        let read = || {
            let mut statement = self.transaction.prepare_cached(&sql)?;
            let rows = statement.query_map(params, |row| T::read(row))?;
            rows.collect::<rusqlite::Result<Vec<T>>>()
        };
        read().map_err(|e| explain(self.path, &e))
    }

    pub(super) fn exists(&self, sql: &str, params: &[&dyn ToSql]) -> Result<bool> {
        let asked = self.transaction.prepare_cached(sql).and_then(|mut statement| statement.exists(params));
        asked.map_err(|e| explain(self.path, &e))
    }

    pub(super) fn execute(&self, sql: &str, params: &[&dyn ToSql]) -> Result<usize> {
        let done = self.transaction.prepare_cached(sql).and_then(|mut statement| statement.execute(params));
        done.map_err(|e| explain(self.path, &e))
    }

    fn execute_with(&self, sql: &str, values: Vec<Value>) -> Result<usize> {
        let done = self
            .transaction
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute(params_from_iter(values)));
        done.map_err(|e| explain(self.path, &e))
    }
}

/// `?1, ?2, …`
fn marks(count: usize) -> String {
    (1..=count).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ")
}
