//! The command line of `canis-server`.

use crate::audit::AuditOptions;
use canis_core::datadir::{IssuerSource, RootFlags};
use canis_core::root::HsmLoss;
use clap::{Args, Parser, ValueEnum};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

/// Serves the keys of a data directory over CANISP (TLS 1.3), and over HTTP/JSON if asked to.
#[derive(Parser)]
#[command(name = "canis-server", version)]
pub struct Options {
    /// The data directory that `canis init` made.
    #[arg(long, value_name = "DIR")]
    pub data: PathBuf,
    /// Say everything that is wrong with flags, canis.toml, store, certificates and credentials, and end: 0 if nothing is,
    /// else 3. Nothing is changed.
    #[arg(long)]
    pub check_config: bool,
    /// The PostgreSQL database that holds the store, without a password; canis.toml says it otherwise ([store]), and
    /// where the password is.
    #[arg(long, value_name = "URL")]
    pub store: Option<String>,
    /// Where to listen; port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:7443")]
    pub listen: SocketAddr,
    /// Serve HTTP/JSON here, too (TLS 1.3, the same certificate and tokens); port 0 takes a free one and prints it.
    #[arg(long, value_name = "ADDR:PORT")]
    pub http: Option<SocketAddr>,
    /// Tell Prometheus and its like at this address of this machine how the server does, plainly and to whoever asks
    /// (`http://ADDR:PORT/metrics`); port 0 takes a free one and prints it. canis.toml says it otherwise (`metrics`).
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics: Option<SocketAddr>,
    /// The root's credential.
    #[command(flatten)]
    pub root: Root,
    /// What to do when the HSM goes away that opened the store: `keep` it open, or how long to wait before it is sealed,
    /// `10m`. canis.toml says it otherwise (`on_hsm_loss`); `keep` if nothing does.
    #[arg(long, value_name = "keep|SPAN")]
    pub on_hsm_loss: Option<HsmLoss>,
    /// How many requests a second one identity may ask for, and as many at once; no bound if neither this nor canis.toml
    /// (`requests_per_second`) says one.
    #[arg(long, value_name = "N")]
    pub requests_per_second: Option<NonZeroU32>,
    /// Ask clients for certificates, signed by the CAs in this PEM file. `canis token create --certificate` says what
    /// one stands for.
    #[arg(long, value_name = "F")]
    pub client_ca: Option<PathBuf>,
    /// Refuse clients without a certificate, also those that bear a token.
    #[arg(long)]
    pub require_client_certificate: bool,
    /// Take JSON Web Tokens of this issuer, signed by the keys in this file (a JWK Set); may be given several times. Roles say
    /// who their bearers are. SIGHUP reads the files again.
    #[arg(long, value_name = "ISSUER=F", value_parser = issuer)]
    pub jwks: Vec<IssuerSource>,
    /// A Unix socket besides, for every user of this host whom a role is about (`unix { … }`) or who has a token.
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// The audit log.
    #[command(flatten)]
    pub audit: AuditOptions,
    /// What to log to stderr: error, warn, info, debug, or a filter such as `canis_server=debug`.
    #[arg(long, value_name = "LEVEL", env = "CANIS_LOG", default_value = "info")]
    pub log: String,
    /// The form of log lines.
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// Where the root's credential is; without a flag, `canis.toml` in the data directory says it.
#[derive(Args)]
pub struct Root {
    /// Unseal with the passphrase in this file.
    #[arg(long, value_name = "F", conflicts_with_all = ["keyfile", "pin_file"])]
    passphrase_file: Option<PathBuf>,
    /// Unseal with the 32 bytes in this file.
    #[arg(long, value_name = "F", conflicts_with = "pin_file")]
    keyfile: Option<PathBuf>,
    /// Unseal with the HSM's PIN in this file.
    #[arg(long, alias = "hsm-pin-file", value_name = "F")]
    pin_file: Option<PathBuf>,
    /// The HSM's PKCS#11 module, if not the one that canis.toml names.
    #[arg(long, value_name = "PATH", requires = "pin_file")]
    module: Option<PathBuf>,
}

impl Root {
    /// The flags as the data directory's configuration takes them.
    #[must_use]
    pub fn flags(self) -> RootFlags {
        let Root { passphrase_file, keyfile, pin_file, module } = self;
        RootFlags { passphrase_file, keyfile, pin_file, module }
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

/// `https://issuer.example=/etc/canis/issuer.jwks`: a URL of an issuer has no `=` (RFC 8414, section 2).
fn issuer(text: &str) -> Result<IssuerSource, String> {
    match text.split_once('=') {
        Some((issuer, jwks)) if !issuer.is_empty() && !jwks.is_empty() => {
            Ok(IssuerSource { issuer: issuer.to_owned(), jwks: jwks.into() })
        }
        _ => Err("write ISSUER=FILE, as in https://issuer.example=/etc/canis/issuer.jwks".to_owned()),
    }
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
        assert!(parse(&["--module", "m"]).is_err());
        assert!(parse(&["--client-ca", "ca.pem", "--require-client-certificate"]).is_ok());
        assert!(parse(&["--keyfile", "k"]).unwrap().root.flags().keyfile.is_some());
        assert!(parse(&["--module", "m", "--pin-file", "p"]).is_ok());
        assert_eq!(parse(&["--jwks", "https://a=b=c"]).unwrap().jwks[0].jwks, PathBuf::from("b=c"));
        assert!(parse(&["--jwks", "https://a"]).is_err());
    }
}
