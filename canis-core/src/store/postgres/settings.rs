//! Where the database is, and how one proves who one is to it. A password stands in a file, never in the URL: command
//! lines and configuration files are read by too many.

use super::tls::Tls;
use crate::datadir::StoreConfig;
use crate::secret::SecretBytes;
use crate::secret_file::read_line;
use canis_proto::{Error, ErrorCode, Result};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

/// How long it may take to connect, or to wait for a free connection.
pub(super) const CONNECT: Duration = Duration::from_secs(5);
/// How many connections there are at most unless something else is said.
const CONNECTIONS: usize = 16;
/// How many are needed: a turn at PINs has one, the turn at what is due another, and both write on a third.
const LEAST_CONNECTIONS: usize = 3;
/// How long keys in memory go on without the database unless something else is said.
const GRACE: Duration = Duration::from_secs(60);

/// A database, and how it is used.
pub(super) struct Settings {
    pub(super) config: Config,
    pub(super) tls: Tls,
    pub(super) connections: usize,
    pub(super) grace: Duration,
    /// For messages.
    pub(super) shown: String,
}

impl Settings {
    /// What the configuration says.
    ///
    /// # Errors
    /// `invalid_argument` for what is no URL of PostgreSQL, or holds a password; `root_unavailable` for a password's file.
    pub(super) fn new(from: &StoreConfig) -> Result<Self> {
        let (url, authorities) = without_tls_words(&from.url)?;
        // The parser's own message may quote what it read, passwords too.
        let mut config: Config = url.parse().map_err(|_| {
            Error::invalid("the store's URL cannot be read; it looks like postgres://USER@HOST:5432/DATABASE")
        })?;
        if config.get_password().is_some() {
            return Err(Error::invalid(
                "a password in the store's URL can be read by others; put it into a file and name that in canis.toml: \
                 `password_file` under [store]",
            ));
        }
        require_tls(&mut config)?;
        if let Some(password) = password(from.password_file.as_deref(), &config)? {
            config.password(password.expose());
        }
        if config.get_application_name().is_none() {
            config.application_name("canis");
        }
        config
            .connect_timeout(CONNECT)
            .keepalives_idle(Duration::from_secs(10))
            .tcp_user_timeout(Duration::from_secs(15));
        Ok(Settings {
            config,
            tls: Tls::trusting(from.ca.as_deref().or(authorities.as_deref()))?,
            connections: connections(from)?,
            grace: from.grace.map_or(GRACE, |seconds| Duration::from_secs(seconds.into())),
            shown: from.url.split('?').next().unwrap_or_default().to_owned(),
        })
    }
}

fn connections(from: &StoreConfig) -> Result<usize> {
    let most = from.connections.map_or(CONNECTIONS, |most| most.get().into());
    if most < LEAST_CONNECTIONS {
        return Err(Error::invalid(format!(
            "{most} connections to the store are too few, for some keep one while they use another; \
             set `connections` under [store] in canis.toml to {LEAST_CONNECTIONS} or more"
        )));
    }
    Ok(most)
}

/// The URL without what libpq knows of TLS and tokio-postgres does not: certificates are checked whatever is said.
fn without_tls_words(url: &str) -> Result<(String, Option<PathBuf>)> {
    let Some((place, query)) = url.split_once('?') else { return Ok((url.to_owned(), None)) };
    let (mut kept, mut authorities) = (Vec::new(), None);
    for word in query.split('&') {
        match word.split_once('=') {
            Some(("sslrootcert", path)) if path.contains('%') => {
                return Err(Error::invalid("name the CAs of the database in canis.toml: `ca` under [store]"));
            }
            Some(("sslrootcert", path)) => authorities = Some(PathBuf::from(path)),
            Some(("sslmode", "verify-full" | "verify-ca")) => kept.push("sslmode=require"),
            _ => kept.push(word),
        }
    }
    Ok((format!("{place}?{}", kept.join("&")), authorities))
}

/// Over a network without TLS only for who says so: `sslmode=disable`.
fn require_tls(config: &mut Config) -> Result<()> {
    let local = config.get_hosts().iter().filter(|host| matches!(host, Host::Unix(_))).count();
    if local > 0 {
        if local < config.get_hosts().len() {
            return Err(Error::invalid(
                "a store's URL names sockets of this host or hosts of a network, not both",
            ));
        }
        config.ssl_mode(SslMode::Disable);
    } else if config.get_ssl_mode() != SslMode::Disable {
        config.ssl_mode(SslMode::Require);
    }
    Ok(())
}

/// The password of the file that is named, or of the one that PGPASSFILE names.
fn password(file: Option<&Path>, config: &Config) -> Result<Option<SecretBytes>> {
    if let Some(file) = file {
        return read_line(file).map(Some);
    }
    let Some(path) = std::env::var_os("PGPASSFILE").map(PathBuf::from) else { return Ok(None) };
    let failed = |what: String| {
        Error::new(ErrorCode::RootUnavailable, format!("{} (PGPASSFILE): {what}", path.display()))
    };
    let metadata = std::fs::metadata(&path).map_err(|error| failed(error.to_string()))?;
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(failed("others may read it; `chmod 600` keeps them out".into()));
    }
    let text = SecretBytes::taken_from(std::fs::read(&path).map_err(|error| failed(error.to_string()))?);
    let lines = std::str::from_utf8(text.expose()).map_err(|_| failed("it is no text".into()))?;
    Ok(lines
        .lines()
        .find_map(|line| fits(line, config))
        .map(|word| SecretBytes::taken_from(word.into_bytes())))
}

/// The password of a line of a password file (libpq's "The Password File") that is about this database.
fn fits(line: &str, config: &Config) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            ':' if fields.len() < 5 => fields.push(String::new()),
            '\\' => fields.last_mut()?.extend(letters.next()),
            letter => fields.last_mut()?.push(letter),
        }
    }
    let [host, port, database, user, password] = <[String; 5]>::try_from(fields).ok()?;
    let hosts: Vec<String> = config.get_hosts().iter().map(host_name).collect();
    let name = config.get_user().unwrap_or_default();
    let ports: Vec<String> = config.get_ports().iter().map(u16::to_string).collect();
    let any = |field: &str, values: &[String]| field == "*" || values.iter().any(|value| value == field);
    let right = any(&host, &hosts)
        && (any(&port, &ports) || (ports.is_empty() && port == "5432"))
        && any(&database, &[config.get_dbname().unwrap_or(name).to_owned()])
        && any(&user, &[name.to_owned()]);
    right.then_some(password)
}

fn host_name(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        Host::Unix(_) => "localhost".into(),
    }
}
