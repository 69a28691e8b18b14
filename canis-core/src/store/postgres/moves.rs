//! Moving a store out of a database, and into one.

use super::connection::{Database, Lease};
use super::settings::Settings;
use super::value::{Param, list, read_row};
use super::{PostgresStore, host, migrate, scan, transaction};
use crate::datadir::StoreConfig;
use crate::store::columns::{Column, Columns, Counted};
use crate::store::moves::{self, HandOver, TABLES_BESIDE};
use crate::store::{
    AccumulatorRow, AuditHeadRow, Beside, Movable, MoveRow, OutboxRow, Row, Stage, Use, UseRow, other_mover,
};
use canis_proto::value::Map;
use canis_proto::{Id, Result};
use std::path::Path;
use tokio_postgres::Client;

/// As many parameters as one statement is given at most; the protocol counts them in 16 bits.
const PARAMETERS: usize = 30_000;

impl PostgresStore {
    /// Opens a store for whoever moves it or looks after that, whatever its mark says. Without a `folder` it
    /// is no host of the store.
    ///
    /// # Errors
    /// As [`PostgresStore::open`], but for `store_moved`.
    pub fn open_as_it_stands(config: &StoreConfig, folder: Option<&Path>) -> Result<Self> {
        PostgresStore::over(config, folder, true)
    }

    /// Whether the database holds a store, or a part of one.
    ///
    /// # Errors
    /// `invalid_argument` for a configuration that cannot be read, `store_unavailable`.
    pub fn is_there(config: &StoreConfig) -> Result<bool> {
        let database = Database::new(Settings::new(config)?)?;
        database.read(async |client| migrate::is_there(&database, client).await)
    }

    pub(super) fn over(config: &StoreConfig, folder: Option<&Path>, as_it_stands: bool) -> Result<Self> {
        let database = std::sync::Arc::new(Database::new(Settings::new(config)?)?);
        database.wait(async {
            let connection = database.connection().await?;
            migrate::prepare(&database, &connection).await?;
            if as_it_stands {
                return Ok(());
            }
            moves::refuse(mark(&database, &connection, "").await?.as_ref(), Use::Read)
        })?;
        let watch = super::Watch::start(&database)?;
        let host = folder.map_or(Ok(Id::STORE), host::of)?;
        Ok(PostgresStore {
            database,
            watch,
            host,
            folder: folder.unwrap_or(Path::new(".")).to_owned(),
            as_it_stands,
        })
    }

    /// Fails if the store is not used here: by its mark as it was seen last, or since a newer CANIS has migrated it.
    pub(super) fn refuse_away(&self) -> Result<()> {
        if self.as_it_stands || !self.watch.is_unusable() {
            return Ok(());
        }
        self.database.read(async |client| {
            moves::refuse(mark(&self.database, client, "").await?.as_ref(), Use::Read)?;
            migrate::refuse_newer(&self.database, client).await
        })
    }

    /// A transaction on a store that has this mark, which nobody writes to meanwhile.
    fn begin_marked(&self, now: Option<&MoveRow>) -> Result<Marked<'_>> {
        let (connection, number) = self.database.wait(self.database.unless_stalled(async {
            let connection = self.database.connection().await?;
            let number = transaction::begin(&self.database, &connection).await?;
            Ok((connection, number))
        }))?;
        let marked = Marked { store: self, connection, number };
        let found = marked.run(async |database, client| mark(database, client, "FOR UPDATE").await)?;
        if found.as_ref() == now { Ok(marked) } else { Err(other_mover()) }
    }
}

/// A transaction of a mover; what is not committed ends with its connection.
struct Marked<'a> {
    store: &'a PostgresStore,
    connection: Lease,
    number: String,
}

impl Marked<'_> {
    fn run<T>(&self, work: impl AsyncFnOnce(&Database, &Client) -> Result<T>) -> Result<T> {
        let database = &self.store.database;
        database.wait_long(database.unless_stalled(work(database, &self.connection)))
    }

    /// Commits; everybody who shares the store looks again, at credentials, too.
    fn commit(self) -> Result<()> {
        let (store, database) = (self.store, &self.store.database);
        database.wait_long(store.commit(&self.connection, &self.number, &[], true))?;
        self.connection.give_back();
        // Whether the store is used here from now on is known at once, not at the next question.
        database.wait(store.watch.look(database))
    }
}

/// The mark, if there is one; `lock` is for update, for share, or not at all.
async fn mark(database: &Database, client: &Client, lock: &str) -> Result<Option<MoveRow>> {
    let sql = format!("SELECT {} FROM {} {lock}", list(MoveRow::COLUMNS), MoveRow::TABLE);
    let found = client.query_typed(&sql, &[]).await.map_err(|error| database.explain(&error))?;
    found.first().map(read_row).transpose()
}

/// Fails if the mark says that the store is not to be used so. Asked within the transaction that uses it, and true until its
/// end.
pub(super) async fn refuse(database: &Database, client: &Client, wanted: Use) -> Result<()> {
    // Both are asked before either is answered: one way to the database and back.
    let (mark, newer) =
        tokio::join!(mark(database, client, "FOR SHARE"), migrate::refuse_newer(database, client));
    moves::refuse(mark?.as_ref(), wanted)?;
    newer
}

/// Writes the mark in place of the one that is there: whoever waits for that row's lock sees what it says then. A row that is
/// deleted and written anew would be none to him, and so no mark (READ COMMITTED).
pub(super) async fn write_mark(database: &Database, client: &Client, mark: Option<&MoveRow>) -> Result<()> {
    let explained = |error| database.explain(&error);
    let Some(mark) = mark else {
        return client.batch_execute("DELETE FROM moves").await.map_err(explained);
    };
    let columns = MoveRow::COLUMNS;
    let sql = format!("UPDATE {} SET ({}) = ROW{}", MoveRow::TABLE, list(columns), values(0, columns.len()));
    let params = Param::row(columns, mark.columns());
    match client.execute_typed(&sql, &Param::typed(&params)).await.map_err(explained)? {
        0 => insert(database, client, MoveRow::TABLE, columns, vec![mark.columns()]).await,
        _ => Ok(()),
    }
}

/// Writes rows of one table.
pub(super) async fn insert(
    database: &Database,
    client: &Client,
    table: &str,
    columns: &[Column],
    rows: Vec<Map<'_>>,
) -> Result<()> {
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let some: Vec<_> = rows.by_ref().take(PARAMETERS / columns.len()).collect();
        let marks: Vec<String> =
            (0..some.len()).map(|row| values(row * columns.len(), columns.len())).collect();
        let sql = format!("INSERT INTO {table} ({}) VALUES {}", list(columns), marks.join(", "));
        let params: Vec<Param<'_>> = some.into_iter().flat_map(|row| Param::row(columns, row)).collect();
        let done = client.execute_typed(&sql, &Param::typed(&params)).await;
        done.map_err(|error| database.explain(&error))?;
    }
    Ok(())
}

/// `($8, $9, …)`
fn values(after: usize, count: usize) -> String {
    let marks: Vec<String> = (after + 1..=after + count).map(|n| format!("${n}")).collect();
    format!("({})", marks.join(", "))
}

/// Writes rows of any tables, those that stand together in one statement.
pub(super) async fn insert_rows(database: &Database, client: &Client, rows: &[Row]) -> Result<()> {
    for together in rows.chunk_by(|one, other| one.table() == other.table()) {
        let table = together[0].counted();
        let columns = together.iter().map(Row::columns).collect();
        insert(database, client, table.name, table.columns, columns).await?;
    }
    Ok(())
}

async fn beside(database: &Database, client: &Client) -> Result<Vec<Beside>> {
    async fn every<T: Columns>(
        database: &Database,
        client: &Client,
        wrap: fn(T) -> Beside,
    ) -> Result<Vec<Beside>> {
        let sql = format!("SELECT {} FROM {}", list(T::COLUMNS), T::TABLE);
        let found = client.query_typed(&sql, &[]).await.map_err(|error| database.explain(&error))?;
        found.iter().map(|found| read_row(found).map(wrap)).collect()
    }
    let mut rows = every::<UseRow>(database, client, Beside::Use).await?;
    rows.extend(every::<OutboxRow>(database, client, Beside::Line).await?);
    rows.extend(every::<AuditHeadRow>(database, client, Beside::Head).await?);
    Ok(rows)
}

async fn truncate(database: &Database, client: &Client, tables: &[&str]) -> Result<()> {
    let sql = format!("TRUNCATE {}", tables.join(", "));
    client.batch_execute(&sql).await.map_err(|error| database.explain(&error))
}

impl Movable for PostgresStore {
    fn mark(&self) -> Result<Option<MoveRow>> {
        self.database.read(async |client| mark(&self.database, client, "").await)
    }

    fn tables(&self) -> Vec<&'static str> {
        scan::tables().chain(TABLES_BESIDE).collect()
    }

    fn set_mark(&self, now: Option<&MoveRow>, then: Option<&MoveRow>) -> Result<()> {
        let marked = self.begin_marked(now)?;
        marked.run(async |database, client| write_mark(database, client, then).await)?;
        marked.commit()
    }

    fn empty(&self, now: &MoveRow, then: &MoveRow) -> Result<()> {
        let marked = self.begin_marked(Some(now))?;
        marked.run(async |database, client| {
            truncate(database, client, &self.tables()).await?;
            write_mark(database, client, Some(then)).await
        })?;
        marked.commit()
    }

    fn count_rows(&self) -> Result<u64> {
        let counts: Vec<String> =
            scan::tables().map(|table| format!("(SELECT count(*) FROM {table})")).collect();
        let sql = format!("SELECT {}", counts.join(" + "));
        self.database.read(async |client| {
            let found = client.query_typed(&sql, &[]).await.map_err(|error| self.database.explain(&error))?;
            Ok(found.first().map_or(0, |row| row.get::<_, i64>(0)).unsigned_abs())
        })
    }

    fn all_beside(&self) -> Result<Vec<Beside>> {
        self.database.read(async |client| beside(&self.database, client).await)
    }

    fn bring(&self, now: &MoveRow, rows: &[Row]) -> Result<MoveRow> {
        let then = MoveRow { arrived: now.arrived + rows.len() as u64, ..now.clone() };
        let marked = self.begin_marked(Some(now))?;
        marked.run(async |database, client| {
            insert_rows(database, client, rows).await?;
            write_mark(database, client, Some(&then)).await
        })?;
        marked.commit()?;
        Ok(then)
    }

    fn bring_beside(&self, now: &MoveRow, rows: &[Beside]) -> Result<()> {
        let marked = self.begin_marked(Some(now))?;
        marked.run(async |database, client| {
            truncate(database, client, &TABLES_BESIDE).await?;
            for together in rows.chunk_by(|one, other| one.table() == other.table()) {
                let (table, columns) = together[0].description();
                let rows = together.iter().map(Beside::columns).collect();
                insert(database, client, table, columns, rows).await?;
            }
            Ok(())
        })?;
        marked.commit()
    }

    fn leave(&self, now: &MoveRow, hand_over: &mut HandOver<'_>) -> Result<()> {
        let marked = self.begin_marked(Some(now))?;
        let (beside, whole) = marked.run(async |database, client| {
            let sql = format!(
                "SELECT {} FROM {} WHERE id = $1",
                list(AccumulatorRow::COLUMNS),
                AccumulatorRow::COUNTED.name
            );
            let params = [Param::id(&Id::STORE)];
            let found = client.query_typed(&sql, &Param::typed(&params)).await;
            let found = found.map_err(|error| database.explain(&error))?;
            let whole = found.first().map(read_row).transpose()?;
            Ok((beside(database, client).await?, whole))
        })?;
        hand_over(beside, whole)?;
        marked
            .run(async |database, client| write_mark(database, client, Some(&now.at(Stage::Left))).await)?;
        marked.commit()
    }
}
