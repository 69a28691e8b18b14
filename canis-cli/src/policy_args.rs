//! `canis policy …` on the command line.

use canis_proto::KeyType;
use clap::{Args, Subcommand};
use std::net::IpAddr;
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum PolicyCommand {
    /// Lay out policy files as all are laid out.
    Fmt(FormatPolicies),
    /// Say what policy files would decide: prints the rule that counts (exit 0 allowed, 1 denied).
    Test(TestPolicies),
}

#[derive(Args)]
pub(crate) struct FormatPolicies {
    /// The files.
    #[arg(required = true, value_name = "F")]
    pub(crate) files: Vec<PathBuf>,
    /// Change nothing; exit 1 if a file is laid out otherwise.
    #[arg(long)]
    pub(crate) check: bool,
}

#[derive(Args)]
pub(crate) struct TestPolicies {
    /// The files; each policy is called as its file is, without the ending.
    #[arg(required = true, value_name = "F")]
    pub(crate) files: Vec<PathBuf>,
    /// What is to be done: encrypt, sign, read …
    #[arg(long, value_name = "C")]
    pub(crate) capability: String,
    /// To what: kms/keys/NAME, kms/kv/ID, sys.
    #[arg(long, value_name = "P")]
    pub(crate) path: String,
    /// The key's type.
    #[arg(long, value_name = "T")]
    pub(crate) key_type: Option<KeyType>,
    /// The length of the data in bytes.
    #[arg(long, value_name = "N")]
    pub(crate) payload: Option<u64>,
    /// The caller's context.
    #[arg(long, value_name = "TEXT")]
    pub(crate) context: Option<String>,
    /// The time of day, UTC; now if it is not given.
    #[arg(long, value_name = "HH:MM")]
    pub(crate) time: Option<String>,
    /// The address it comes from; this machine if it is not given.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) source: Option<IpAddr>,
}
