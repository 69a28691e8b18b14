//! The two ends of a move.

use crate::datadir::DataDir;
#[cfg(feature = "postgres")]
use crate::datadir::StoreConfig;
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
        match dir.read_config()?.store {
            None => Ok(Place::File(dir.store_path())),
            #[cfg(feature = "postgres")]
            Some(config) => Ok(Place::Database(config, Some(dir.path().to_owned()))),
            #[cfg(not(feature = "postgres"))]
            Some(_) => dir.refuse_database("ask a server").map(|()| Place::File(dir.store_path())),
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
    pub(super) fn is_taken(&self) -> Result<bool> {
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

    /// Makes an empty store that only a move fills.
    pub(super) fn make(&self, mark: &MoveRow) -> Result<()> {
        match self {
            Place::File(path) => SqliteStore::create_arriving(path, mark),
            #[cfg(feature = "postgres")]
            Place::Database(config, _) => PostgresStore::create_arriving(config, mark),
        }
    }
}
