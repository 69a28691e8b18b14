//! The command line of `canis-server`.

use canis_core::datadir::RootSource;
use clap::{Args, Parser, ValueEnum};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Serves the keys of a data directory over CANISP (TLS 1.3).
#[derive(Parser)]
#[command(name = "canis-server", version)]
pub struct Options {
    /// The data directory that `canis init` made.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Where to listen; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7443")]
    pub listen: SocketAddr,
    /// The root's credential.
    #[command(flatten)]
    pub root: Root,
    /// What to log to stderr: error, warn, info, debug, or a filter such as `canis_server=debug`.
    #[arg(long, value_name = "LEVEL", env = "CANIS_LOG", default_value = "info")]
    pub log: String,
    /// The form of log lines.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// Where the root's credential is; without a flag, `canis.toml` in the data directory says it.
#[derive(Args)]
#[group(multiple = false)]
pub struct Root {
    /// Unseal with the passphrase in this file.
    #[arg(long, value_name = "F")]
    passphrase_file: Option<PathBuf>,
    /// Unseal with the 32 bytes in this file.
    #[arg(long, value_name = "F")]
    keyfile: Option<PathBuf>,
    /// Unseal with the HSM's PIN in this file.
    #[arg(long, value_name = "F")]
    pin_file: Option<PathBuf>,
}

impl Root {
    /// The flag that was given, if any.
    #[must_use]
    pub fn source(self) -> Option<RootSource> {
        let passphrase = self.passphrase_file.map(|file| RootSource::Passphrase { file });
        let keyfile = self.keyfile.map(|file| RootSource::Keyfile { file });
        let pin = self.pin_file.map(|file| RootSource::Hsm { file });
        passphrase.or(keyfile).or(pin)
    }
}

/// The form of log lines.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_root_at_a_time() {
        use clap::CommandFactory;
        Options::command().debug_assert();
        let parse =
            |more: &[&str]| Options::try_parse_from([&["canis-server", "--data", "d"], more].concat());
        assert!(parse(&["--keyfile", "k", "--pin-file", "p"]).is_err());
        let source = parse(&["--keyfile", "k"]).unwrap().root.source();
        assert!(matches!(source, Some(RootSource::Keyfile { .. })));
        assert!(parse(&[]).unwrap().root.source().is_none());
    }
}
