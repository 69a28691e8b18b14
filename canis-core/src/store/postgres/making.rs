//! Making a store in an empty database: all of it in one transaction, or nothing.

use super::connection::{Database, Lease};
use super::moves::{insert_rows, write_mark};
use super::settings::Settings;
use super::write::Writer;
use super::{PostgresStore, migrate, transaction};
use crate::datadir::StoreConfig;
use crate::store::filling::{Fill, Filling};
use crate::store::{Change, Ledger, MoveRow, Row};
use canis_proto::Result;

impl PostgresStore {
    /// Makes an empty store in a database and writes the first rows into it, all in one transaction.
    ///
    /// # Errors
    /// `store_exists` if there is one; otherwise as above.
    pub fn create(config: &StoreConfig, first: &[Change], ledger: Option<&dyn Ledger>) -> Result<()> {
        PostgresStore::create_by(config, &mut |filling| filling.change(first, ledger))
    }

    /// The same, filled step by step.
    ///
    /// # Errors
    /// Those of [`PostgresStore::create`] and of `fill`; then there is no store.
    pub(crate) fn create_by(config: &StoreConfig, fill: &mut Fill<'_>) -> Result<()> {
        Draft::begin(config)?.end_after(|draft| fill(draft))
    }

    /// Makes an empty store that only a move may fill.
    ///
    /// # Errors
    /// As [`PostgresStore::create`].
    pub fn create_arriving(config: &StoreConfig, mark: &MoveRow) -> Result<()> {
        Draft::begin(config)?.end_after(|draft| {
            let Draft { database, connection, .. } = draft;
            database.wait(write_mark(database, connection, Some(mark)))
        })
    }
}

/// The transaction in which a store is made; unless it is ended, it goes with its connection.
struct Draft {
    connection: Lease,
    number: String,
    database: Database,
}

impl Draft {
    /// Makes the tables.
    fn begin(config: &StoreConfig) -> Result<Self> {
        let database = Database::new(Settings::new(config)?)?;
        let (connection, number) = database.wait(async {
            let connection = database.connection().await?;
            let number = transaction::begin(&database, &connection).await?;
            migrate::refuse_existing(&database, &connection).await?;
            migrate::steps(&database, &connection).await?;
            Ok((connection, number))
        })?;
        Ok(Draft { connection, number, database })
    }

    fn end_after(mut self, fill: impl FnOnce(&mut Self) -> Result<()>) -> Result<()> {
        fill(&mut self)?;
        let Draft { connection, number, database } = &self;
        database.wait(transaction::commit(database, connection, number, true)).map(drop)
    }
}

impl Filling for Draft {
    fn bring(&mut self, rows: Vec<Row>) -> Result<()> {
        self.database.wait(insert_rows(&self.database, &self.connection, &rows))
    }

    fn change(&mut self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()> {
        let mut writer = Writer::new(&self.database, &self.connection, ledger);
        self.database.wait(writer.write(changes))
    }
}
