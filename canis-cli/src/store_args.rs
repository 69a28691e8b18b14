//! The command line of `canis store`.

use crate::args::Local;
use canis_core::datadir::{StoreConfig, StoreFlags};
use canis_core::secret_file::is_path;
use canis_proto::{Error, Result};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

#[derive(Subcommand)]
pub(crate) enum StoreCommand {
    /// Open every row and name those that were changed by other hands: prints `whole` (exit 0), or the rows (exit 1).
    Verify {
        #[command(flatten)]
        place: Local,
        /// Afterwards take the rows as they stand for right, be they from an older copy of the store.
        #[arg(long)]
        accept_rollback: bool,
        /// First take this copy of a store that was moved, or is being moved, for the store all the same.
        #[arg(long)]
        accept_moved: bool,
    },
    /// Bring a store from canis.dat into a PostgreSQL database, or back. Meanwhile it is read and not changed; afterwards it is
    /// used at its new place only. Asked again, it goes on where it was cut short.
    Migrate(Migrate),
}

/// The database that a store is made in.
#[derive(Args)]
pub(crate) struct NewDatabase {
    /// Make the store in this PostgreSQL database, which several servers may share, and not in canis.dat. Without a
    /// password, which stands in a file.
    #[arg(long, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// The file that holds the password of the database's user; else the one that PGPASSFILE names has it.
    #[arg(long, value_name = "F", requires = "store")]
    pub(crate) store_password_file: Option<PathBuf>,
    /// The CAs that sign the database's certificate, PEM; else those that this host trusts.
    #[arg(long, value_name = "F", requires = "store")]
    pub(crate) store_ca: Option<PathBuf>,
}

impl NewDatabase {
    /// What the flags say, and else what canis.toml says.
    pub(crate) fn over(&self, configured: Option<StoreConfig>) -> Result<Option<StoreConfig>> {
        database(
            self.store.clone(),
            self.store_password_file.as_deref(),
            self.store_ca.as_deref(),
            configured,
        )
    }
}

/// The database that flags name, with paths as canis.toml keeps them.
pub(crate) fn database(
    url: Option<String>,
    password_file: Option<&Path>,
    ca: Option<&Path>,
    configured: Option<StoreConfig>,
) -> Result<Option<StoreConfig>> {
    let absolute = |file: &Path| {
        // Not every name of a password's file is a path.
        if !is_path(file) {
            return Ok(file.to_owned());
        }
        std::path::absolute(file)
            .map_err(|error| Error::invalid(format!("cannot find {}: {error}", file.display())))
    };
    let password_file = password_file.map(absolute).transpose()?;
    StoreFlags { url, password_file, ca: ca.map(absolute).transpose()? }.over(configured)
}

/// The two places of a store that moves.
#[derive(Args)]
pub(crate) struct Migrate {
    /// Where the store is: a data directory or its canis.dat, or postgres://USER@HOST/DATABASE without a password.
    #[arg(long, value_name = "PLACE")]
    pub(crate) from: String,
    /// Where it is to be: the same. A database has to be empty.
    #[arg(long, value_name = "PLACE")]
    pub(crate) to: String,
    /// The file that holds the password of the database's user; else the one that PGPASSFILE names has it.
    #[arg(long, value_name = "F")]
    pub(crate) store_password_file: Option<PathBuf>,
    /// The CAs that sign the database's certificate, PEM; else those that this host trusts.
    #[arg(long, value_name = "F")]
    pub(crate) store_ca: Option<PathBuf>,
}
