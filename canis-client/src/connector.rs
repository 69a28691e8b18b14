//! The way to the servers of a configuration: certificates are read once, addresses are tried in turn.

use crate::link::Link;
use crate::{Config, tls};
use canis_proto::{ErrorCode, Result};
use rustls::ClientConfig;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// How to connect, again and again.
pub(crate) struct Connector {
    /// One for each address.
    targets: Vec<Config>,
    /// Missing if every address is a socket of this host.
    tls: Option<Arc<ClientConfig>>,
    /// The target that answered last, which is tried first.
    last: AtomicUsize,
}

impl Connector {
    /// Reads what the configuration holds.
    ///
    /// # Errors
    /// `invalid_argument` for certificates or a key of no use.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let addresses = std::iter::once(&config.addr).chain(&config.others);
        let targets: Vec<_> = addresses.map(|addr| config.at(addr)).collect();
        let tls = match targets.iter().any(|target| target.socket().is_none()) {
            true => Some(tls::client_config(config)?),
            false => None,
        };
        Ok(Connector { targets, tls, last: AtomicUsize::new(0) })
    }

    /// The way to any of the addresses.
    pub(crate) fn config(&self) -> &Config {
        &self.targets[0]
    }

    /// What TLS connections share.
    #[cfg(feature = "async")]
    pub(crate) fn tls(&self) -> Option<&Arc<ClientConfig>> {
        self.tls.as_ref()
    }

    /// Every address, the one that answered last first.
    pub(crate) fn targets(&self) -> impl Iterator<Item = (usize, &Config)> {
        let first = self.last.load(Ordering::Relaxed);
        let order = (first..self.targets.len()).chain(0..first);
        order.filter_map(|at| self.targets.get(at).map(|target| (at, target)))
    }

    /// Remembers which one answered.
    pub(crate) fn answered(&self, at: usize) {
        self.last.store(at, Ordering::Relaxed);
    }

    /// The first address at which `greet` succeeds.
    ///
    /// # Errors
    /// The last `unavailable`, or the first that is something else: another address would not cure that.
    pub(crate) fn connect<T>(&self, greet: impl Fn(Link, &Config) -> Result<T>) -> Result<T> {
        let mut last = None;
        for (at, target) in self.targets() {
            match Link::connect(target, self.tls.as_ref()).and_then(|link| greet(link, target)) {
                Err(error) if error.code == ErrorCode::Unavailable => last = Some(error),
                Err(error) => return Err(error),
                Ok(made) => {
                    self.answered(at);
                    return Ok(made);
                }
            }
        }
        Err(last.unwrap_or_else(|| canis_proto::Error::invalid("no address is named")))
    }
}
