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
    /// Give a renewable token or certificate its lifetime once more, from now on.
    Renew(RenewToken),
    /// Take a token or certificate away: it is refused from now on, on open connections too.
    Revoke(RevokeToken),
}

#[derive(Args)]
pub(crate) struct CreateToken {
    /// What it may do with everything of its tenant: `encrypt`, `sign` and so on, or `all`. Repeatable.
    #[arg(long = "capability", value_name = "NAME", required_unless_present = "policies", value_parser = capability)]
    pub(crate) capabilities: Vec<Granted>,
    /// A policy of the store whose rules hold for it; what it denies beats every capability. Repeatable.
    #[arg(long = "policy", value_name = "NAME")]
    pub(crate) policies: Vec<String>,
    /// A network that it is good from: `10.0.0.0/8`, an address, `local`. Repeatable.
    #[arg(long = "network", value_name = "NET")]
    pub(crate) networks: Vec<String>,
    /// How many connections it opens.
    #[arg(long, value_name = "N")]
    pub(crate) uses: Option<std::num::NonZeroU32>,
    /// A client certificate, PEM or DER, that must be shown beside the token.
    #[arg(long, value_name = "F", conflicts_with = "certificate")]
    pub(crate) bound_to: Option<PathBuf>,
    /// Let it be renewed, each time for its lifetime.
    #[arg(long, requires = "lifetime")]
    pub(crate) renewable: bool,
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
pub(crate) struct RenewToken {
    /// Its id, as `list` shows it; the caller's own if it is not given.
    #[arg(default_value = "")]
    pub(crate) id: String,
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
