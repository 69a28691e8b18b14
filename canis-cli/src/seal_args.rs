//! The command line of `canis unseal` and `canis operator`. Credentials are never arguments: they stand in files, or are
//! asked for.

use crate::root_args::{Credential, Data};
use clap::{Args, Subcommand};

#[derive(Args)]
pub(crate) struct Unseal {
    #[command(flatten)]
    pub(crate) credential: Credential,
    /// Have the server use the credential that its own configuration names; on its host, by `--addr unix:DIR`.
    #[arg(long, conflicts_with = "credential")]
    pub(crate) configured: bool,
    /// Forget the shares that are there; a share that is given with it is then the first.
    #[arg(long, conflicts_with = "configured")]
    pub(crate) reset: bool,
    /// Only show how many shares are there.
    #[arg(long, conflicts_with_all = ["configured", "reset", "credential"])]
    pub(crate) progress: bool,
}

#[derive(Subcommand)]
pub(crate) enum OperatorCommand {
    /// Make a token in place of a lost one, by a root's credential. It may do everything in the tenant `default`.
    Token(OperatorToken),
}

#[derive(Args)]
pub(crate) struct OperatorToken {
    #[command(flatten)]
    pub(crate) data: Data,
    #[command(flatten)]
    pub(crate) credential: Credential,
}
