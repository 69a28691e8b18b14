//! TLS 1.3, ALPN `canisp/1`, the certificate of the data directory.

use canis_core::datadir::DataDir;
use canis_proto::{Error, ErrorCode, Result, frame};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::Ticketer;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, ProducesTickets};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};
use tokio_rustls::TlsAcceptor;
use tracing::warn;

/// What new connections are accepted with; it can be exchanged while others are served.
pub(crate) struct Tls {
    dir: DataDir,
    tickets: Arc<dyn ProducesTickets>,
    acceptor: RwLock<TlsAcceptor>,
}

impl Tls {
    /// For the certificate and key in `dir`.
    ///
    /// # Errors
    /// `invalid_argument` naming the file that cannot be used.
    pub(crate) fn new(dir: DataDir) -> Result<Self> {
        let tickets = Ticketer::new().map_err(|error| Error::internal(format!("TLS: {error}")))?;
        let acceptor = RwLock::new(acceptor(&dir, &tickets)?);
        Ok(Tls { dir, tickets, acceptor })
    }

    /// Reads certificate and key again; connections that are open keep theirs.
    ///
    /// # Errors
    /// As [`Tls::new`]; then everything stays as it was.
    pub(crate) fn reload(&self) -> Result<()> {
        let fresh = acceptor(&self.dir, &self.tickets)?;
        *self.acceptor.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// For the next connection.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        self.acceptor.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn acceptor(dir: &DataDir, tickets: &Arc<dyn ProducesTickets>) -> Result<TlsAcceptor> {
    let (certificate, key) = (dir.cert_path(), dir.key_path());
    let chain = CertificateDer::pem_file_iter(&certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(&certificate, &error.to_string()))?;
    if chain.is_empty() {
        return Err(unusable(&certificate, "there is no `BEGIN CERTIFICATE` in it"));
    }
    if std::fs::metadata(&key).is_ok_and(|file| file.mode() & 0o077 != 0) {
        warn!(file = %key.display(), "the server's private key can be read by others; `chmod 600` it");
    }
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| unusable(&key, &error.to_string()))?;
    let mut config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| Error::internal(format!("TLS: {error}")))?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|error| unusable(&certificate, &format!("with {}: {error}", key.display())))?;
    config.alpn_protocols = vec![frame::ALPN.to_vec()];
    // A ticket saves a client the handshake's signature and nothing else: the token is shown and checked in each HELLO.
    // The server keeps nothing of it; there is no early data that could be replayed.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::clone(tickets);
    config.send_tls13_tickets = 1;
    config.max_early_data_size = 0;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn unusable(path: &Path, why: &str) -> Error {
    Error::new(ErrorCode::InvalidArgument, format!("cannot use {} for TLS: {why}", path.display()))
}
