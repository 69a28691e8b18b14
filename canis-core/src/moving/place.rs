//! The two ends of a move.

use crate::datadir::{DataDir, StoreConfig};
use crate::store::filling::Fill;
#[cfg(feature = "postgres")]
use crate::store::postgres::PostgresStore;
use crate::store::sqlite::SqliteStore;
use crate::store::{Movable, MoveRow};
use canis_proto::{Error, ErrorCode, Result};
use std::path::PathBuf;
use std::sync::Arc;

/// Where a store is, or is to be.
#[derive(Clone, Debug)]
pub enum Place {
    /// A `canis.dat`.
    File(PathBuf),
    /// A database, and the directory of the host that looks after its store, if there is one.
    #[cfg(feature = "postgres")]
    Database(StoreConfig, Option<PathBuf>),
}

impl Place {
    /// Where the store of `dir` is, by its `canis.toml`.
    ///
    /// # Errors
    /// Those of [`DataDir::read_config`]; `store_unavailable` in a program without PostgreSQL.
    pub fn of(dir: &DataDir) -> Result<Self> {
        Place::with(dir, dir.read_config()?.store)
    }

    /// The same where it was said which database has the store, if one does.
    ///
    /// # Errors
    /// `store_unavailable` in a program without PostgreSQL.
    pub fn with(dir: &DataDir, database: Option<StoreConfig>) -> Result<Self> {
        match database {
            None => Ok(Place::File(dir.store_path())),
            #[cfg(feature = "postgres")]
            Some(config) => Ok(Place::Database(config, Some(dir.path().to_owned()))),
            #[cfg(not(feature = "postgres"))]
            Some(_) => Err(dir.without_postgres()),
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Place::File(path) => path.display().to_string(),
            #[cfg(feature = "postgres")]
            Place::Database(config, _) => config.url.clone(),
        }
    }

    /// Whether several hosts can reach it: not the PKCS#11 module, which needs a root of its own nowhere.
    pub(super) fn is_shared(&self) -> bool {
        !matches!(self, Place::File(_))
    }

    /// Whether there is a store, or a part of one.
    ///
    /// # Errors
    /// `invalid_argument` for a configuration that cannot be read, `store_unavailable`.
    pub fn is_taken(&self) -> Result<bool> {
        match self {
            Place::File(path) => Ok(path.exists()),
            #[cfg(feature = "postgres")]
            Place::Database(config, _) => PostgresStore::is_there(config),
        }
    }

    /// Opens the store, whatever its mark says.
    ///
    /// # Errors
    /// `store_unavailable` if there is none, `store_format`.
    pub fn open(&self) -> Result<Arc<dyn Movable>> {
        match self {
            Place::File(path) if !path.exists() => Err(Error::new(
                ErrorCode::StoreUnavailable,
                format!("there is no store at {}", path.display()),
            )),
            Place::File(path) => SqliteStore::open_as_it_stands(path).map(|store| Arc::new(store) as _),
            #[cfg(feature = "postgres")]
            Place::Database(config, folder) => {
                PostgresStore::open_as_it_stands(config, folder.as_deref()).map(|store| Arc::new(store) as _)
            }
        }
    }

    /// Makes a store with all that `fill` writes into it; or there is none.
    pub(crate) fn make_by(&self, fill: &mut Fill<'_>) -> Result<()> {
        match self {
            Place::File(path) => SqliteStore::create_by(path, fill),
            #[cfg(feature = "postgres")]
            Place::Database(config, _) => PostgresStore::create_by(config, fill),
        }
    }

    /// Makes an empty store that only a move fills.
    pub(super) fn make(&self, mark: &MoveRow) -> Result<()> {
        match self {
            Place::File(path) => SqliteStore::create_arriving(path, mark),
            #[cfg(feature = "postgres")]
            Place::Database(config, _) => PostgresStore::create_arriving(config, mark),
        }
    }
}
