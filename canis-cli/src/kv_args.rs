//! The command line of the key-value store.

use canis_proto::KeyType;
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum KvCommand {
    /// Write an entry: a name, a public and a private half. What was there before is gone.
    Put(PutEntry),
    /// Show an entry; the private half only if asked for.
    Get(GetEntry),
    /// List entries in the order of their identifiers.
    List(ListEntries),
    /// Delete an entry.
    Delete(DeleteEntry),
}

#[derive(Args)]
pub(crate) struct PutEntry {
    /// The identifier: any text up to 1024 bytes. Operations use the entry as `kv:ID`.
    pub(crate) id: String,
    /// A name for people.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) name: String,
    /// The public half, in any form.
    #[arg(long, value_name = "F")]
    pub(crate) public_key_file: Option<PathBuf>,
    /// The private half, in any form.
    #[arg(long, value_name = "F")]
    pub(crate) private_key_file: Option<PathBuf>,
    /// Let the server draw a pair of this type in place of the files.
    #[arg(long, value_name = "TYPE", conflicts_with_all = ["public_key_file", "private_key_file"])]
    pub(crate) generate: Option<KeyType>,
    /// Only if the entry is at this revision; 0: only if there is none.
    #[arg(long, value_name = "N")]
    pub(crate) revision: Option<u64>,
}

#[derive(Args)]
pub(crate) struct GetEntry {
    /// The identifier.
    pub(crate) id: String,
    /// The private half too; needs the capability `export`.
    #[arg(long)]
    pub(crate) private: bool,
    /// Where to write the public half, as it was put.
    #[arg(long, value_name = "F")]
    pub(crate) public_out: Option<PathBuf>,
    /// Where to write the private half, as it was put, readable for its owner alone.
    #[arg(long, value_name = "F")]
    pub(crate) private_out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct ListEntries {
    /// Only identifiers that start with this.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) prefix: String,
}

#[derive(Args)]
pub(crate) struct DeleteEntry {
    /// The identifier.
    pub(crate) id: String,
    /// Only if the entry is at this revision.
    #[arg(long, value_name = "N")]
    pub(crate) revision: Option<u64>,
}
