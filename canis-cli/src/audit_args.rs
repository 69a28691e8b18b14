//! The command line of `canis audit`.

use crate::slot_args::Place;
use clap::{Args, Subcommand};

#[derive(Subcommand)]
pub(crate) enum AuditCommand {
    /// Say whether the audit log is what was written; name the first line of each writer that is not.
    Verify(Place),
    /// Show the last lines.
    Tail(Tail),
    /// Show the lines that fit.
    Search(Search),
    /// Print every line that fits, oldest first.
    Export(Search),
}

#[derive(Args)]
pub(crate) struct Tail {
    #[command(flatten)]
    pub(crate) what: Search,
    /// How many lines.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(crate) lines: u32,
    /// Go on and show lines as they are written.
    #[arg(short, long)]
    pub(crate) follow: bool,
}

/// What lines must say; what is not given may be anything.
#[derive(Args)]
pub(crate) struct Search {
    #[command(flatten)]
    pub(crate) place: Place,
    /// What they are about: a key's name, an entry as `kv:ID`, or a path as policies name it, `kms/…` or `sys/…`.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) key: String,
    /// Who asked: the id of a token or certificate, or the number of a Unix user.
    #[arg(long, value_name = "ID", default_value = "")]
    pub(crate) who: String,
    /// The operation, such as `key.rotate`.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) op: String,
    /// What came of it: `ok`, the name of an error, or `refused` for all errors.
    #[arg(long, value_name = "NAME", default_value = "")]
    pub(crate) result: String,
    /// From when on, as 2026-11-22T15:00:00Z.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) since: Option<i64>,
    /// Up to when.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub(crate) until: Option<i64>,
}

/// A time as RFC 3339 has it, in microseconds since 1970.
fn time(text: &str) -> Result<i64, String> {
    let read = time::OffsetDateTime::parse(text, &time::format_description::well_known::Rfc3339);
    let read = read.map_err(|error| format!("{error}; write it as 2026-11-22T15:00:00Z"))?;
    i64::try_from(read.unix_timestamp_nanos() / 1000).map_err(|_| "it is too far away".to_owned())
}
