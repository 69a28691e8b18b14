//! What a client must know before it connects.

use canis_proto::message::APPLICATION;
use canis_proto::{Error, Result, quote};
use std::path::PathBuf;
use std::time::Duration;
use zeroize::Zeroizing;

/// The port a server listens on unless told otherwise.
pub const DEFAULT_PORT: u16 = 7443;

/// Where the server is, how it proves itself, and how the client does.
#[derive(Clone)]
pub struct Config {
    /// `host`, `host:port`, `1.2.3.4:port` or `[::1]:port`; or `unix:PATH`, where PATH is the data directory of a server
    /// on this host, or its socket.
    pub addr: String,
    /// Further addresses of servers with the same keys, tried in this order when those before cannot be reached.
    pub others: Vec<String>,
    /// The name the server's certificate must hold; the host of `addr` if missing.
    pub server_name: Option<String>,
    /// The only certificate authorities that are trusted, PEM.
    pub ca_pem: Vec<u8>,
    /// Where `ca_pem` came from, as errors name it.
    pub ca_source: String,
    /// The bearer token; without one the server answers `status` only.
    pub token: Option<Zeroizing<String>>,
    /// The certificate by which the client proves itself in TLS.
    pub certificate: Option<Certificate>,
    /// The secret of a PKCS#11 application, whose logins and session objects outlive its connections.
    pub application: Option<Zeroizing<[u8; APPLICATION]>>,
    /// How long connecting, the TLS handshake and HELLO may each wait.
    pub connect_timeout: Duration,
    /// How long to wait for an answer; [`crate::Client`]: for its next bytes.
    pub answer_timeout: Duration,
    /// How long a request is sent again after the connection was lost, where that does no harm: a change happens once all
    /// the same.
    pub retry_for: Duration,
}

/// A certificate of a client and its private key.
#[derive(Clone)]
pub struct Certificate {
    /// The certificate, and those between it and the authority that the server trusts, PEM.
    pub chain_pem: Vec<u8>,
    /// Its private key, PEM (PKCS#8, SEC1 or PKCS#1).
    pub key_pem: Zeroizing<Vec<u8>>,
    /// Where both came from, as errors name it.
    pub source: String,
}

impl Certificate {
    /// Reads both from files.
    ///
    /// # Errors
    /// `invalid_argument` naming the file that cannot be read.
    pub fn read(chain: &str, key: &str) -> Result<Self> {
        let chain_pem = read("certificate", chain)?;
        let key_pem = Zeroizing::new(read("private key", key)?);
        Ok(Certificate { chain_pem, key_pem, source: format!("{} and {}", quote(chain), quote(key)) })
    }
}

fn read(what: &str, path: &str) -> Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| Error::invalid(format!("cannot read the {what} {}: {error}", quote(path))))
}

impl Config {
    /// A configuration with the usual time-outs and no token.
    pub fn new(addr: impl Into<String>, ca_pem: Vec<u8>, ca_source: impl Into<String>) -> Self {
        Config {
            addr: addr.into(),
            others: Vec::new(),
            server_name: None,
            ca_pem,
            ca_source: ca_source.into(),
            token: None,
            certificate: None,
            application: None,
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(120),
            retry_for: Duration::from_secs(3),
        }
    }

    /// As `CANIS_ADDR` (several addresses with commas between), `CANIS_CACERT`, `CANIS_TOKEN`, `CANIS_CLIENT_CERT` and
    /// `CANIS_CLIENT_KEY` say.
    ///
    /// # Errors
    /// `invalid_argument` if `CANIS_CACERT` is missing where TLS needs it, or a file cannot be read.
    pub fn from_environment() -> Result<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let addresses = variable("CANIS_ADDR").unwrap_or_else(|| format!("127.0.0.1:{DEFAULT_PORT}"));
        let mut addresses = addresses.split(',').map(|addr| addr.trim().to_owned());
        let mut config = Config::new(addresses.next().unwrap_or_default(), Vec::new(), "CANIS_CACERT");
        config.others = addresses.collect();
        if let Some(path) = variable("CANIS_CACERT") {
            (config.ca_pem, config.ca_source) = (read("CA certificate", &path)?, path);
        } else if config.socket().is_none() {
            return Err(Error::invalid(
                "no CA certificate is named: set CANIS_CACERT (ca.pem of the server's data directory)",
            ));
        }
        config.token = variable("CANIS_TOKEN").map(Zeroizing::new);
        config.certificate = match (variable("CANIS_CLIENT_CERT"), variable("CANIS_CLIENT_KEY")) {
            (Some(chain), Some(key)) => Some(Certificate::read(&chain, &key)?),
            (None, None) => None,
            _ => return Err(Error::invalid("set CANIS_CLIENT_CERT and CANIS_CLIENT_KEY, or neither")),
        };
        Ok(config)
    }

    /// The same for another address.
    pub(crate) fn at(&self, addr: &str) -> Config {
        Config { addr: addr.to_owned(), others: Vec::new(), ..self.clone() }
    }

    /// Where the server proves itself by its socket.
    #[must_use]
    pub fn socket(&self) -> Option<PathBuf> {
        self.addr.strip_prefix("unix:").map(PathBuf::from)
    }

    /// Host and port of `addr`.
    pub(crate) fn host_and_port(&self) -> (&str, u16) {
        let addr = self.addr.as_str();
        if let Some((host, rest)) = addr.strip_prefix('[').and_then(|a| a.split_once(']')) {
            return (host, rest.strip_prefix(':').and_then(|p| p.parse().ok()).unwrap_or(DEFAULT_PORT));
        }
        match addr.split_once(':') {
            // A second colon means a bare IPv6 address.
            Some((host, port)) if !port.contains(':') => (host, port.parse().unwrap_or(DEFAULT_PORT)),
            _ => (addr, DEFAULT_PORT),
        }
    }

    /// The name that the server's certificate must hold.
    pub(crate) fn expected_name(&self) -> &str {
        self.server_name.as_deref().unwrap_or_else(|| self.host_and_port().0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (addr, host, port) in [
            ("127.0.0.1:99", "127.0.0.1", 99),
            ("localhost", "localhost", DEFAULT_PORT),
            ("[::1]:99", "::1", 99),
            ("[::1]", "::1", DEFAULT_PORT),
            ("::1", "::1", DEFAULT_PORT),
        ] {
            let config = Config::new(addr, Vec::new(), "test");
            assert_eq!(config.host_and_port(), (host, port), "{addr}");
            assert_eq!(config.expected_name(), host, "{addr}");
        }
    }
}
