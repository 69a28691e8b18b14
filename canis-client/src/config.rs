//! What a client must know before it connects.

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
    /// The name the server's certificate must hold; the host of `addr` if missing.
    pub server_name: Option<String>,
    /// The only certificate authorities that are trusted, PEM.
    pub ca_pem: Vec<u8>,
    /// Where `ca_pem` came from, as errors name it.
    pub ca_source: String,
    /// The bearer token; without one the server answers `status` only.
    pub token: Option<Zeroizing<String>>,
    /// How long connecting, the TLS handshake and HELLO may each wait.
    pub connect_timeout: Duration,
    /// How long to wait for the next bytes of an answer.
    pub answer_timeout: Duration,
    /// How long a change is sent again after the connection was lost; it happens once all the same.
    pub retry_for: Duration,
}

impl Config {
    /// A configuration with the usual time-outs and no token.
    pub fn new(addr: impl Into<String>, ca_pem: Vec<u8>, ca_source: impl Into<String>) -> Self {
        Config {
            addr: addr.into(),
            server_name: None,
            ca_pem,
            ca_source: ca_source.into(),
            token: None,
            connect_timeout: Duration::from_secs(10),
            answer_timeout: Duration::from_secs(120),
            retry_for: Duration::from_secs(3),
        }
    }

    /// As `CANIS_ADDR`, `CANIS_CACERT` and `CANIS_TOKEN` say, which the program `canis` reads too.
    ///
    /// # Errors
    /// `invalid_argument` if `CANIS_CACERT` is missing or its file cannot be read.
    pub fn from_environment() -> Result<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let addr = variable("CANIS_ADDR").unwrap_or_else(|| format!("127.0.0.1:{DEFAULT_PORT}"));
        let path = variable("CANIS_CACERT").ok_or_else(|| {
            Error::invalid(
                "no CA certificate is named: set CANIS_CACERT (ca.pem of the server's data directory)",
            )
        })?;
        let ca = std::fs::read(&path).map_err(|error| {
            Error::invalid(format!("cannot read the CA certificate {}: {error}", quote(&path)))
        })?;
        let token = variable("CANIS_TOKEN").map(Zeroizing::new);
        Ok(Config { token, ..Config::new(addr, ca, path) })
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
