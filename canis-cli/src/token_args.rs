//! The command line of credentials.

use canis_proto::{Capability, Interval};
use clap::{Args, Subcommand};
use std::path::PathBuf;

#[derive(Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a bearer token, which is shown this once; or let a client certificate stand for its bearer.
    Create(CreateToken),
    /// List tokens and certificates.
    List(ListTokens),
    /// Take a token or certificate away: it is refused from now on, on open connections too.
    Revoke(RevokeToken),
}

#[derive(Args)]
pub(crate) struct CreateToken {
    /// What it may do: `encrypt`, `sign` and so on, or `all`. Repeatable.
    #[arg(long = "capability", value_name = "NAME", required = true, value_parser = capability)]
    pub(crate) capabilities: Vec<Granted>,
    /// A name for people.
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub(crate) name: String,
    /// When it ends: `30d`, `12h`, `never`.
    #[arg(long, value_name = "SPAN", default_value = "never")]
    pub(crate) lifetime: Interval,
    /// A client certificate, PEM or DER, whose key is to stand for the caller in place of a token.
    #[arg(long, value_name = "F")]
    pub(crate) certificate: Option<PathBuf>,
    /// Another tenant's label; on the server's own host, by its socket.
    #[arg(long, value_name = "LABEL", default_value = "")]
    pub(crate) tenant: String,
}

#[derive(Args)]
pub(crate) struct ListTokens {
    /// Another tenant's label; on the server's own host, by its socket.
    #[arg(long, value_name = "LABEL", default_value = "")]
    pub(crate) tenant: String,
}

#[derive(Args)]
pub(crate) struct RevokeToken {
    /// Its id, as `list` shows it.
    pub(crate) id: String,
}

/// One capability, or all.
#[derive(Clone, Copy)]
pub(crate) enum Granted {
    All,
    One(Capability),
}

fn capability(text: &str) -> Result<Granted, String> {
    if text == "all" {
        return Ok(Granted::All);
    }
    let names = || Capability::ALL.map(Capability::name).join(", ");
    Capability::from_name(text).map(Granted::One).ok_or_else(|| format!("none of: all, {}", names()))
}
