//! Where the store of a directory is: in its `canis.dat`, or in the database that canis.toml names.

use super::{Config, DataDir};
use crate::store::Store;
use crate::store::at_hand::AtHand;
#[cfg(feature = "postgres")]
use crate::store::postgres::PostgresStore;
use canis_proto::{Error, ErrorCode, Result};
use serde::{Deserialize, Serialize};
use std::num::NonZeroU16;
use std::path::PathBuf;
use std::sync::Arc;

/// A database that holds the store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// Where it is: `postgres://USER@HOST:5432/DATABASE`, never with a password.
    pub url: String,
    /// A file that holds the user's password; a newline at its end is not part of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password_file: Option<PathBuf>,
    /// The CAs that sign the database's certificate, PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// How many connections there are at most; 16 if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connections: Option<NonZeroU16>,
    /// How many seconds what is in memory may be used while the database does not answer; 60 if missing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace: Option<u32>,
}

impl StoreConfig {
    /// The section of canis.toml that leads a server to it, as text.
    ///
    /// # Errors
    /// `internal` for what TOML cannot hold.
    pub fn to_section(&self) -> Result<String> {
        toml::to_string(&Config { store: Some(self.clone()), ..Config::default() })
            .map_err(|error| Error::internal(format!("cannot write [store]: {error}")))
    }
}

/// What programs may say about the database, in place of canis.toml.
#[derive(Clone, Debug, Default)]
pub struct StoreFlags {
    /// `--store`
    pub url: Option<String>,
    /// `--store-password-file`
    pub password_file: Option<PathBuf>,
    /// `--store-ca`
    pub ca: Option<PathBuf>,
}

impl StoreFlags {
    /// What the flags say, and else what the configuration says; `None` for a store in `canis.dat`.
    ///
    /// # Errors
    /// `invalid_argument` for a password or CAs without a database.
    pub fn over(self, config: Option<StoreConfig>) -> Result<Option<StoreConfig>> {
        let StoreFlags { url, password_file, ca } = self;
        let more = password_file.is_some() || ca.is_some();
        let Some(mut store) = config.or_else(|| url.as_ref().map(|_| StoreConfig::default())) else {
            if more {
                return Err(Error::invalid(
                    "a password or CAs of a database need the database: give --store",
                ));
            }
            return Ok(None);
        };
        store.url = url.unwrap_or(store.url);
        store.password_file = password_file.or(store.password_file);
        store.ca = ca.or(store.ca);
        Ok(Some(store))
    }
}

impl DataDir {
    /// Opens the store, wherever it is, for who may wait.
    ///
    /// # Errors
    /// Those of [`DataDir::open_store`] or of the database; `store_unavailable` in a program without PostgreSQL.
    pub fn open_any_store(&self, database: Option<&StoreConfig>) -> Result<Arc<dyn Store>> {
        match database {
            Some(config) => self.open_database(config).map(|store| Arc::new(store) as _),
            None => self.open_store().map(|store| Arc::new(store) as _),
        }
    }

    /// The same as servers have it.
    ///
    /// # Errors
    /// As above.
    pub fn open_store_at_hand(&self, database: Option<&StoreConfig>) -> Result<Arc<dyn Store>> {
        match database {
            Some(config) => self.open_database(config).map(|store| Arc::new(AtHand(store)) as _),
            None => self.open_store().map(|store| Arc::new(AtHand(store)) as _),
        }
    }

    /// Fails if the store is in a database, where what is asked for cannot be done.
    pub(crate) fn refuse_database(&self, instead: &str) -> Result<()> {
        if self.read_config()?.store.is_none() {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::StoreUnavailable,
            format!("the store of {} is in a database (canis.toml, [store]); {instead}", self.path.display()),
        ))
    }

    #[cfg(feature = "postgres")]
    fn open_database(&self, config: &StoreConfig) -> Result<PostgresStore> {
        PostgresStore::open(config, &self.path)
    }

    #[cfg(not(feature = "postgres"))]
    fn open_database(&self, _: &StoreConfig) -> Result<crate::store::sqlite::SqliteStore> {
        Err(self.without_postgres())
    }

    #[cfg(not(feature = "postgres"))]
    pub(crate) fn without_postgres(&self) -> Error {
        Error::new(
            ErrorCode::StoreUnavailable,
            format!(
                "the store of {} is in a database, and this program was built without PostgreSQL; ask a server",
                self.path.display()
            ),
        )
    }
}
