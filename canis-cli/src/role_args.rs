//! `canis role …` on the command line.

use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum RoleCommand {
    /// Write a role: whom it is about, by certificate, JWT, user of the host or PIN, and which policies they get.
    Put(PutRoleArgs),
    /// Print a role.
    Get(NamedRole),
    /// List the roles.
    List(ListRolesArgs),
    /// Delete a role: who came by it is refused from the next request on.
    Delete(DeleteRoleArgs),
}

/// Whose roles.
#[derive(Args)]
pub(crate) struct OfTenant {
    /// The tenant, by its label; the caller's own if it is not given. Another's only on the server's host, by its socket.
    #[arg(long, value_name = "LABEL", default_value = "")]
    pub(crate) tenant: String,
}

#[derive(Args)]
pub(crate) struct PutRoleArgs {
    /// Its name.
    pub(crate) name: String,
    /// The file with its text; `-` reads it from stdin.
    #[arg(value_name = "F")]
    pub(crate) file: PathBuf,
    #[command(flatten)]
    pub(crate) of: OfTenant,
    /// Only in place of this revision; 0 only if there is none of the name.
    #[arg(long, value_name = "N")]
    pub(crate) revision: Option<u64>,
}

#[derive(Args)]
pub(crate) struct NamedRole {
    /// Its name.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) of: OfTenant,
}

#[derive(Args)]
pub(crate) struct ListRolesArgs {
    /// How the names begin.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) prefix: String,
    #[command(flatten)]
    pub(crate) of: OfTenant,
}

#[derive(Args)]
pub(crate) struct DeleteRoleArgs {
    /// Its name.
    pub(crate) name: String,
    #[command(flatten)]
    pub(crate) of: OfTenant,
    /// Only this revision.
    #[arg(long, value_name = "N")]
    pub(crate) revision: Option<u64>,
}
