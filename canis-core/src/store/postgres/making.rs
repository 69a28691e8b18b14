//! Making a store in an empty database: all of it in one transaction, or nothing.

use super::connection::Database;
use super::settings::Settings;
use super::write::Writer;
use super::{PostgresStore, migrate, transaction};
use crate::datadir::StoreConfig;
use crate::store::{Change, Ledger};
use canis_proto::Result;
use tokio_postgres::Client;

impl PostgresStore {
    /// Makes an empty store in a database and writes the first rows into it, all in one transaction.
    ///
    /// # Errors
    /// `store_exists` if there is one; otherwise as above.
    pub fn create(config: &StoreConfig, first: &[Change], ledger: Option<&dyn Ledger>) -> Result<()> {
        PostgresStore::make(config, async |database, client| {
            Writer::new(database, client, ledger).write(first).await
        })
    }

    /// Makes an empty store and has `fill` write into it, all in one transaction.
    pub(super) fn make(
        config: &StoreConfig,
        fill: impl AsyncFnOnce(&Database, &Client) -> Result<()>,
    ) -> Result<()> {
        let database = Database::new(Settings::new(config)?)?;
        database.wait(async {
            let connection = database.connection().await?;
            let number = transaction::begin(&database, &connection).await?;
            migrate::refuse_existing(&database, &connection).await?;
            migrate::steps(&database, &connection).await?;
            fill(&database, &connection).await?;
            transaction::commit(&database, &connection, &number, true).await.map(drop)
        })
    }
}
