//! Moving a `canis.dat`, and making one of a store that comes from elsewhere.

use super::connection::explain;
use super::counted::Writer;
use super::schema::{FORMAT, FORMAT_AWAY};
use super::table::Columns;
use super::{SqliteStore, lock_file, making, scan, write};
use crate::store::moves::{self, HandOver, TABLES_BESIDE};
use crate::store::{
    AccumulatorRow, AuditHeadRow, Beside, Movable, MoveRow, OutboxRow, Row, Stage, Store, Use, UseRow,
    other_mover,
};
use canis_proto::{Id, Result};
use rusqlite::{Connection, OptionalExtension, Result as Sql, TransactionBehavior, params_from_iter};
use std::path::Path;
use std::sync::atomic::Ordering;

impl SqliteStore {
    /// Opens a store for whoever moves it or looks after that, whatever its mark says.
    ///
    /// # Errors
    /// As [`SqliteStore::open`], but for `store_moved`.
    pub fn open_as_it_stands(path: &Path) -> Result<Self> {
        let store = SqliteStore::over(path)?;
        Ok(SqliteStore { as_it_stands: true, ..store })
    }

    /// Makes an empty store that only a move may fill.
    ///
    /// # Errors
    /// As [`SqliteStore::create`].
    pub fn create_arriving(path: &Path, mark: &MoveRow) -> Result<()> {
        making::create_with(path, &mut |connection| {
            write_mark(connection, Some(mark)).map_err(|e| explain(path, &e))
        })
    }

    /// Fails if the store is not used here. The mark is looked at whenever somebody has changed the store.
    pub(super) fn refuse_away(&self) -> Result<()> {
        let now = self.generation();
        if self.as_it_stands || self.looked.load(Ordering::Acquire) == now {
            return Ok(());
        }
        moves::refuse(self.pool.read(mark)?.as_ref(), Use::Read)?;
        self.looked.store(now, Ordering::Release);
        Ok(())
    }

    /// One transaction on a store that has this mark; counted as a change.
    fn marked<T>(&self, now: Option<&MoveRow>, work: impl FnOnce(&mut Writer<'_>) -> Result<T>) -> Result<T> {
        self.count_change();
        let done = self.pool.write(|connection| {
            let _lock = lock_file(&self.path)?;
            let sql = |e: rusqlite::Error| explain(&self.path, &e);
            let transaction =
                connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(sql)?;
            if mark(&transaction).map_err(sql)?.as_ref() != now {
                return Err(other_mover());
            }
            let mut writer = Writer { path: &self.path, transaction, page: None };
            let done = work(&mut writer)?;
            writer.finish().map(|()| done)
        });
        self.count_change();
        done
    }
}

fn is_away(mark: Option<&MoveRow>) -> bool {
    moves::refuse(mark, Use::Read).is_err()
}

/// The mark, if there is one.
fn mark(connection: &Connection) -> Sql<Option<MoveRow>> {
    let sql = format!("SELECT {} FROM {}", MoveRow::COLUMNS.join(", "), MoveRow::NAME);
    connection.prepare_cached(&sql)?.query_row([], MoveRow::read).optional()
}

/// Fails if the mark says that the store is not to be used so. Asked within the transaction that uses it.
pub(super) fn refuse(path: &Path, connection: &Connection, wanted: Use) -> Result<()> {
    moves::refuse(mark(connection).map_err(|e| explain(path, &e))?.as_ref(), wanted)
}

fn write_mark(connection: &Connection, mark: Option<&MoveRow>) -> Sql<()> {
    connection.execute("DELETE FROM moves", [])?;
    if let Some(mark) = mark {
        insert(connection, mark)?;
    }
    let format = if is_away(mark) { FORMAT_AWAY } else { FORMAT };
    connection.pragma_update(None, "user_version", format)
}

fn insert<T: Columns>(connection: &Connection, row: &T) -> Sql<()> {
    let marks: Vec<String> = (1..=T::COLUMNS.len()).map(|n| format!("?{n}")).collect();
    let sql = format!("INSERT INTO {} ({}) VALUES ({})", T::NAME, T::COLUMNS.join(", "), marks.join(", "));
    connection.prepare_cached(&sql)?.execute(params_from_iter(row.values())).map(drop)
}

fn every<T: Columns>(connection: &Connection, wrap: fn(T) -> Beside, to: &mut Vec<Beside>) -> Sql<()> {
    let sql = format!("SELECT {} FROM {}", T::COLUMNS.join(", "), T::NAME);
    let mut statement = connection.prepare(&sql)?;
    for row in statement.query_map([], |row| T::read(row))? {
        to.push(wrap(row?));
    }
    Ok(())
}

fn beside(connection: &Connection) -> Sql<Vec<Beside>> {
    let mut rows = Vec::new();
    every::<UseRow>(connection, Beside::Use, &mut rows)?;
    every::<OutboxRow>(connection, Beside::Line, &mut rows)?;
    every::<AuditHeadRow>(connection, Beside::Head, &mut rows)?;
    Ok(rows)
}

fn empty_beside(connection: &Connection) -> Sql<()> {
    for table in TABLES_BESIDE {
        connection.execute(&format!("DELETE FROM {table}"), [])?;
    }
    Ok(())
}

impl Movable for SqliteStore {
    fn mark(&self) -> Result<Option<MoveRow>> {
        self.pool.read(mark)
    }

    fn tables(&self) -> Vec<&'static str> {
        scan::tables().into_iter().chain(TABLES_BESIDE).collect()
    }

    fn set_mark(&self, now: Option<&MoveRow>, then: Option<&MoveRow>) -> Result<()> {
        self.marked(now, |writer| write_mark(&writer.transaction, then).map_err(|e| explain(&self.path, &e)))
    }

    fn empty(&self, now: &MoveRow, then: &MoveRow) -> Result<()> {
        self.marked(Some(now), |writer| {
            let transaction = &writer.transaction;
            let work = || -> Sql<()> {
                empty_beside(transaction)?;
                for table in scan::tables().iter().rev() {
                    transaction.execute(&format!("DELETE FROM {table}"), [])?;
                }
                write_mark(transaction, Some(then))
            };
            work().map_err(|e| explain(&self.path, &e))
        })
    }

    fn count_rows(&self) -> Result<u64> {
        self.pool.read(|connection| {
            let mut rows = 0_u64;
            for table in scan::tables() {
                let sql = format!("SELECT count(*) FROM {table}");
                rows += connection.query_row(&sql, [], |row| row.get::<_, u32>(0).map(u64::from))?;
            }
            Ok(rows)
        })
    }

    fn all_beside(&self) -> Result<Vec<Beside>> {
        self.pool.read(beside)
    }

    fn bring(&self, now: &MoveRow, rows: &[Row]) -> Result<MoveRow> {
        let then = MoveRow { arrived: now.arrived + rows.len() as u64, ..now.clone() };
        self.marked(Some(now), |writer| {
            rows.iter().try_for_each(|row| write::restore(writer, row))?;
            write_mark(&writer.transaction, Some(&then)).map_err(|e| explain(&self.path, &e))
        })?;
        Ok(then)
    }

    fn bring_beside(&self, now: &MoveRow, rows: &[Beside]) -> Result<()> {
        self.marked(Some(now), |writer| {
            let transaction = &writer.transaction;
            let work = || -> Sql<()> {
                empty_beside(transaction)?;
                rows.iter().try_for_each(|row| match row {
                    Beside::Use(row) => insert(transaction, row),
                    Beside::Line(row) => insert(transaction, row),
                    Beside::Head(row) => insert(transaction, row),
                })
            };
            work().map_err(|e| explain(&self.path, &e))
        })
    }

    fn leave(&self, now: &MoveRow, hand_over: &mut HandOver<'_>) -> Result<()> {
        self.marked(Some(now), |writer| {
            let transaction = &writer.transaction;
            let sql = |e: rusqlite::Error| explain(&self.path, &e);
            let read = format!(
                "SELECT {} FROM {} WHERE id = ?1",
                AccumulatorRow::COLUMNS.join(", "),
                AccumulatorRow::NAME
            );
            let whole = transaction
                .query_row(&read, [Id::STORE.as_bytes()], AccumulatorRow::read)
                .optional()
                .map_err(sql)?;
            hand_over(beside(transaction).map_err(sql)?, whole)?;
            write_mark(transaction, Some(&now.at(Stage::Left))).map_err(sql)
        })?;
        // What was deleted before the move is not to be read from a log that nobody empties any more.
        self.pool.write(|connection| super::empty_log(&self.path, connection)).map(drop)
    }
}
