//! Where the servers are whose keys the module uses, and how both sides prove themselves (ADR 0018).

use crate::config::File;
use crate::rv::{Fail, Result};
use canis_client::{Certificate, Config};
use canis_proto::Error;
use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// Servers, with commas between.
pub(crate) const SERVERS: &str = "CANIS_SERVERS";
/// The certificate authority that vouches for them.
const CA: &str = "CANIS_CACERT";
/// A file with a bearer token.
const TOKEN_FILE: &str = "CANIS_TOKEN_FILE";
/// The module's own certificate, and its private key.
const CERTIFICATE: &str = "CANIS_CLIENT_CERT";
const KEY: &str = "CANIS_CLIENT_KEY";
/// Whether the user's PIN is kept: `true` or `false`.
const KEEP_PIN: &str = "CANIS_KEEP_PIN";

/// How long connecting may take at each address, in seconds.
const CONNECT: u64 = 5;
/// How long an answer may take, in seconds: the making of an RSA key of 8192 bits is waited for.
const ANSWER: u64 = 120;
/// How long a request is asked again when the connection was lost, in seconds: a server is restarted within that.
const RETRY: u64 = 10;

/// What the module knows of the servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Servers {
    /// Their addresses, the first that answers counts; empty when a directory is named instead.
    pub(crate) addresses: Vec<String>,
    /// Whether the user's PIN is kept, to log in again by itself.
    pub(crate) keep_pin: bool,
    ca: Option<PathBuf>,
    server_name: Option<String>,
    token_file: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    times: Times,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Times {
    connect: Duration,
    answer: Duration,
    retry: Duration,
}

impl Default for Times {
    fn default() -> Self {
        let [connect, answer, retry] = [CONNECT, ANSWER, RETRY].map(Duration::from_secs);
        Times { connect, answer, retry }
    }
}

impl Servers {
    /// What the environment says, and what the file says where that is silent.
    ///
    /// # Errors
    /// A sentence about what is wrong with it.
    pub(crate) fn read(
        set: &impl Fn(&str) -> Option<OsString>,
        file: &File,
        in_environment: bool,
    ) -> std::result::Result<Self, String> {
        let path = |name: &str, file: &Option<PathBuf>| set(name).map(PathBuf::from).or_else(|| file.clone());
        let seconds = |given: Option<u64>, usual: Duration| given.map_or(usual, Duration::from_secs);
        let usual = Times::default();
        let servers = Servers {
            addresses: if in_environment { listed(set)? } else { file.servers.clone() },
            keep_pin: switch(set(KEEP_PIN))?.or(file.keep_pin).unwrap_or(false),
            ca: path(CA, &file.ca),
            server_name: file.server_name.clone(),
            token_file: path(TOKEN_FILE, &file.token_file),
            certificate: path(CERTIFICATE, &file.certificate),
            key: path(KEY, &file.key),
            times: Times {
                connect: seconds(file.connect_timeout, usual.connect),
                answer: seconds(file.answer_timeout, usual.answer),
                retry: seconds(file.retry_for, usual.retry),
            },
        };
        servers.check()?;
        Ok(servers)
    }

    /// The same for a server of this host that holds a directory.
    pub(crate) fn at_socket(&self, directory: &Path) -> Servers {
        Servers { addresses: vec![format!("unix:{}", directory.display())], ..self.clone() }
    }

    /// Whether the only way there is a socket of this host.
    pub(crate) fn are_local(&self) -> bool {
        self.addresses.iter().all(|address| is_socket(address))
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.certificate.is_some() != self.key.is_some() {
            return Err("a certificate needs its private key: name both `certificate` and `key`".to_owned());
        }
        if self.addresses.iter().any(String::is_empty) {
            return Err("an address of a server is empty".to_owned());
        }
        if self.times.connect.is_zero() || self.times.answer.is_zero() {
            return Err("connect_timeout and answer_timeout are 1 second or more".to_owned());
        }
        if !self.are_local() && self.ca.is_none() {
            return Err("servers need `ca`, the certificate authority that vouches for them".to_owned());
        }
        Ok(())
    }

    /// What the client must know; files are read now, so that a host may give up its rights afterwards.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub(crate) fn config(&self) -> Result<Config> {
        let mut addresses = self.addresses.iter().cloned();
        let first = addresses.next().unwrap_or_default();
        let source = self.ca.as_ref().map_or_else(String::new, |path| path.display().to_string());
        let ca = self.ca.as_ref().map_or_else(|| Ok(Vec::new()), |path| read("ca", path))?;
        let mut config = Config::new(first, ca, source);
        config.others = addresses.collect();
        config.server_name.clone_from(&self.server_name);
        config.token = self.token_file.as_ref().map(|path| token(path)).transpose()?;
        if let (Some(certificate), Some(key)) = (&self.certificate, &self.key) {
            config.certificate = Some(Certificate {
                chain_pem: read("certificate", certificate)?,
                key_pem: Zeroizing::new(read("key", key)?),
                source: format!("{} and {}", certificate.display(), key.display()),
            });
        }
        config.connect_timeout = self.times.connect;
        config.answer_timeout = self.times.answer;
        config.retry_for = self.times.retry;
        Ok(config)
    }
}

impl fmt::Display for Servers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.addresses.join(", "))
    }
}

fn is_socket(address: &str) -> bool {
    address.starts_with("unix:")
}

fn listed(set: &impl Fn(&str) -> Option<OsString>) -> std::result::Result<Vec<String>, String> {
    let text = set(SERVERS).unwrap_or_default().into_string();
    let text = text.map_err(|_| format!("{SERVERS} is not text"))?;
    Ok(text.split(',').map(|address| address.trim().to_owned()).collect())
}

fn switch(value: Option<OsString>) -> std::result::Result<Option<bool>, String> {
    match value.as_ref().map(|value| value.to_str()) {
        None => Ok(None),
        Some(Some("true")) => Ok(Some(true)),
        Some(Some("false")) => Ok(Some(false)),
        Some(_) => Err(format!("{KEEP_PIN} is `true` or `false`")),
    }
}

fn read(what: &str, path: &Path) -> Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| unreadable(what, path, &error.to_string()))
}

/// The bearer token in a file, without the end of its line.
fn token(path: &Path) -> Result<Zeroizing<String>> {
    let bytes = Zeroizing::new(read("token_file", path)?);
    let text = std::str::from_utf8(&bytes).map_err(|_| unreadable("token_file", path, "it is not text"))?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn unreadable(what: &str, path: &Path, why: &str) -> Fail {
    Fail::from(Error::internal(format!("{what} = {}: {why}", path.display())))
}
