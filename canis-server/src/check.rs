//! `--check-config`: everything that would keep the server from starting, or from opening its store, told at once. Nothing is
//! changed, opened or listened on, so that it may be asked beside a running server.

use crate::args::Options;
use crate::daemon::client_trust;
use crate::metrics;
use crate::tls::Tls;
use canis_core::config_keys::unknown_keys;
use canis_core::datadir::{Config, DataDir, IssuerSource, RootSource};
use canis_core::root::HsmHelper;
use canis_core::secret_file::read_line;
use canis_core::store::sqlite::check_header;
use canis_proto::{Error, Result};
use std::collections::HashMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use tracing_subscriber::EnvFilter;

/// Looks at everything; one error for each thing that is wrong.
#[must_use]
pub fn check(options: Options) -> Vec<Error> {
    let dir = DataDir::new(&options.data);
    let mut found = Found::default();
    if !dir.path().is_dir() {
        let shown = dir.path().display();
        found.add(Err(Error::invalid(format!(
            "{shown} is no directory; `canis init --data {shown}` makes a store"
        ))));
        return found.0;
    }
    let config = found.config(&dir);
    match &config.store {
        None => found.add(check_header(&dir.store_path())),
        Some(store) => {
            found.add(store.password_file.as_deref().map_or(Ok(()), |file| read_line(file).map(drop)));
            found.add(store.ca.as_deref().map_or(Ok(()), readable));
        }
    }
    let Options { client_ca, require_client_certificate, jwks, listen, http, metrics, root, log, .. } =
        options;
    let metrics = metrics.or(config.metrics);
    found.add(metrics.map_or(Ok(()), metrics::for_this_machine));
    found.addresses([("--listen", Some(listen)), ("--http", http), ("--metrics", metrics)]);
    found.add(
        EnvFilter::try_new(&log).map(drop).map_err(|error| Error::invalid(format!("--log {log}: {error}"))),
    );
    for issuer in jwks.iter().chain(&config.jwt) {
        found.add(key_set(issuer));
    }
    // One of the certificates that is wrong must not hide the other.
    let clients =
        client_trust(client_ca, require_client_certificate, config.tls.as_ref()).and_then(|clients| {
            clients.as_ref().map_or(Ok(()), |clients| readable(&clients.authorities)).map(|()| clients)
        });
    found.add(clients.as_ref().map(drop).map_err(Clone::clone));
    found.add(Tls::new(dir, clients.unwrap_or_default()).map(drop));
    match config.root_source(root.flags()) {
        Ok(source) => found.root(source),
        Err(error) => found.add(Err(error)),
    }
    found.0
}

/// What was found.
#[derive(Default)]
struct Found(Vec<Error>);

impl Found {
    fn add(&mut self, outcome: Result<()>) {
        self.0.extend(outcome.err());
    }

    /// The configuration, as far as it can be read.
    fn config(&mut self, dir: &DataDir) -> Config {
        let path = dir.config_path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        let unknown = unknown_keys(&path.display().to_string(), &text);
        let read = dir.read_config();
        match (unknown.is_empty(), read) {
            (true, Ok(config)) => return config,
            (true, Err(error)) => self.0.push(error),
            (false, _) => self.0.extend(unknown),
        }
        Config::default()
    }

    /// The root's credential is there; the root itself is not asked.
    fn root(&mut self, source: Option<RootSource>) {
        let Some(source) = source else { return };
        if let RootSource::Hsm { module, .. } = &source {
            self.add(readable(module));
        }
        self.add(source.credential(&HsmHelper::this_program()).map(drop));
    }

    /// No two listeners at one address.
    fn addresses<const N: usize>(&mut self, all: [(&str, Option<SocketAddr>); N]) {
        let mut taken: HashMap<SocketAddr, &str> = HashMap::new();
        for (flag, address) in all {
            let Some(address) = address.filter(|address| address.port() != 0) else { continue };
            if let Some(other) = taken.insert(address, flag) {
                self.add(Err(Error::invalid(format!(
                    "{other} and {flag} are both {address}; choose another port"
                ))));
            }
        }
    }
}

fn readable(path: &Path) -> Result<()> {
    let opened = fs::File::open(path).map(drop);
    opened.map_err(|error| Error::invalid(format!("cannot read {}: {error}", path.display())))
}

fn key_set(issuer: &IssuerSource) -> Result<()> {
    let keys = issuer.read()?.keys;
    let set: Option<serde_json::Value> = serde_json::from_slice(&keys).ok();
    match set.and_then(|set| Some(set.get("keys")?.as_array()?.is_empty())) {
        Some(false) => Ok(()),
        _ => Err(Error::invalid(format!(
            "{} is no JWK Set with a key in it (RFC 7517)",
            issuer.jwks.display()
        ))),
    }
}
