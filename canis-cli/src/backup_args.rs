//! The command line of `canis backup`.

use crate::args::{Local, RootFile};
use crate::slot_args::Place;
use crate::store_args::NewDatabase;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum BackupCommand {
    /// Make a backup of a store, also while it serves: one encrypted file.
    Create(Create),
    /// Open a backup and look at all of it: exit 0 if it is whole.
    Verify(Verify),
    /// Make a store from a backup. A store that is there keeps what it has and gets back what it lacks; what was destroyed since stays
    /// so.
    Restore(Restore),
}

#[derive(Args)]
pub(crate) struct Create {
    /// The file to write.
    #[arg(long, value_name = "F")]
    pub(crate) to: PathBuf,
    /// The root slot that is to open the backup: its id, the beginning of it, or its kind if it is the only one of that.
    #[arg(long, value_name = "SLOT", required_unless_present = "recipient", conflicts_with = "recipient")]
    pub(crate) slot: Option<String>,
    /// The X25519 public key whose private half is to open it: PEM or DER.
    #[arg(long, value_name = "F")]
    pub(crate) recipient: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) place: Place,
}

#[derive(Args)]
pub(crate) struct Verify {
    /// The backup.
    #[arg(id = "data", value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) root: RootFile,
}

#[derive(Args)]
pub(crate) struct Restore {
    /// The backup.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) place: Local,
    #[command(flatten)]
    pub(crate) database: NewDatabase,
    /// Into a store that is there: bring back also keys, credentials and entries that were destroyed since.
    #[arg(long)]
    pub(crate) resurrect: bool,
}
