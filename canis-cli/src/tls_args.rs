//! The command line of `canis tls`.

use crate::args::Local;
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum TlsCommand {
    /// Make a new certificate for the server, by the CA that `canis init` made and the store keeps. Its key stays.
    Renew(Renew),
}

#[derive(Args)]
pub(crate) struct Renew {
    #[command(flatten)]
    pub(crate) place: Local,
    /// A DNS name or IP address that it is to be for, besides localhost; without any, the names stay as they are. Repeatable.
    #[arg(long, value_name = "NAME")]
    pub(crate) tls_name: Vec<String>,
    /// How many days it is to be good for, at most as long as the CA.
    #[arg(long, value_name = "N", default_value_t = 3653, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) days: u16,
}
