//! `canis approval …` on the command line.

use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum ApprovalCommand {
    /// List requests: your own, and those that you may approve.
    List(ListApprovalsArgs),
    /// Show all that is known of a request: read this before you approve it.
    Show(NamedRequest),
    /// Approve somebody else's request.
    Approve(NamedRequest),
    /// End somebody else's request.
    Deny(DenyArgs),
    /// Take your own request back.
    Cancel(NamedRequest),
}

#[derive(Args)]
pub(crate) struct ListApprovalsArgs {
    /// How the paths begin that they are about.
    #[arg(long, value_name = "PATH", default_value = "")]
    pub(crate) on: String,
    /// Only those that wait.
    #[arg(long)]
    pub(crate) waiting: bool,
}

#[derive(Args)]
pub(crate) struct NamedRequest {
    /// Its id, as the refusal named it.
    pub(crate) id: String,
}

#[derive(Args)]
pub(crate) struct DenyArgs {
    /// Its id, as the refusal named it.
    pub(crate) id: String,
    /// Why, for who asked.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) reason: String,
}
