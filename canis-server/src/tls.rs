//! TLS 1.3, ALPN `canisp/1` or HTTP's, the certificate of the data directory, and those of clients.

use canis_core::datadir::DataDir;
use canis_core::format::certificate::Certificate;
use canis_proto::{Error, ErrorCode, Result, frame};
use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, ProducesTickets, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, ServerConnection};
use std::fmt::Display;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use tokio_rustls::TlsAcceptor;
use tracing::warn;

/// Which client certificates are asked for.
pub(crate) struct ClientTrust {
    /// The CAs that sign them, PEM.
    pub(crate) authorities: PathBuf,
    /// Whether a client must show one.
    pub(crate) required: bool,
}

/// What new connections are accepted with; it can be exchanged while others are served.
pub(crate) struct Tls {
    dir: DataDir,
    clients: Option<ClientTrust>,
    tickets: Arc<dyn ProducesTickets>,
    current: RwLock<Current>,
}

/// What the next connection is accepted with.
struct Current {
    /// For CANISP, and for HTTP.
    acceptors: [Arc<Acceptor>; 2],
    /// When the first certificate of the server's chain ends, in seconds since 1970, if it says so.
    ends_at: Option<u64>,
}

/// HTTP's, RFC 9113, section 3.2, and RFC 7301, section 6.
const HTTP_ALPN: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// What one connection is accepted with.
pub(crate) struct Acceptor {
    pub(crate) tls: TlsAcceptor,
    clients: Option<Arc<dyn ClientCertVerifier>>,
}

/// A client certificate as a handshake showed it, and what verifies it.
#[derive(Clone)]
pub(crate) struct Shown {
    chain: Vec<CertificateDer<'static>>,
    verifier: Arc<dyn ClientCertVerifier>,
}

impl Tls {
    /// For the certificate and key in `dir`, and clients that have certificates of their own.
    ///
    /// # Errors
    /// `invalid_argument` naming the file that cannot be used.
    pub(crate) fn new(dir: DataDir, clients: Option<ClientTrust>) -> Result<Self> {
        let tickets = Ticketer::new().map_err(failed)?;
        let current = RwLock::new(current(&dir, clients.as_ref(), &tickets)?);
        Ok(Tls { dir, clients, tickets, current })
    }

    /// Reads certificate, key and the clients' CAs again; connections that are open keep theirs.
    ///
    /// # Errors
    /// As [`Tls::new`]; then everything stays as it was.
    pub(crate) fn reload(&self) -> Result<()> {
        let fresh = current(&self.dir, self.clients.as_ref(), &self.tickets)?;
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh;
        Ok(())
    }

    /// For the next connection of CANISP.
    pub(crate) fn acceptor(&self) -> Arc<Acceptor> {
        let [canisp, _] = &self.current().acceptors;
        Arc::clone(canisp)
    }

    /// For the next connection of HTTP.
    pub(crate) fn http_acceptor(&self) -> Arc<Acceptor> {
        let [_, http] = &self.current().acceptors;
        Arc::clone(http)
    }

    /// When the certificate ends that new connections are shown, or one that signs it, in seconds since 1970.
    pub(crate) fn ends_at(&self) -> Option<u64> {
        self.current().ends_at
    }

    fn current(&self) -> RwLockReadGuard<'_, Current> {
        self.current.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Acceptor {
    /// The client certificate that this connection showed, if one is asked for and it did.
    ///
    /// # Errors
    /// `unauthenticated` for a resumed connection whose certificate would not be accepted any more: rustls takes it from
    /// the ticket as it was.
    pub(crate) fn shown(&self, connection: &ServerConnection) -> Result<Option<Shown>> {
        let Some(verifier) = &self.clients else { return Ok(None) };
        let chain = connection.peer_certificates().unwrap_or_default();
        if chain.is_empty() && verifier.client_auth_mandatory() {
            return Err(Error::new(ErrorCode::Unauthenticated, "this server asks for a client certificate"));
        }
        if chain.is_empty() {
            return Ok(None);
        }
        let chain = chain.iter().map(|certificate| certificate.clone().into_owned()).collect();
        let shown = Shown { chain, verifier: Arc::clone(verifier) };
        shown.verify()?;
        Ok(Some(shown))
    }
}

impl Shown {
    /// The client's own certificate, DER.
    pub(crate) fn certificate(&self) -> &[u8] {
        self.chain.first().map_or(&[], |certificate| certificate.as_ref())
    }

    /// Verifies it as of now.
    ///
    /// # Errors
    /// `unauthenticated`: its time is over, or its CA is not one of the clients' any more.
    pub(crate) fn verify(&self) -> Result<()> {
        let Some((own, between)) = self.chain.split_first() else { return Ok(()) };
        let verified = self.verifier.verify_client_cert(own, between, UnixTime::now());
        verified.map(drop).map_err(|error| {
            let why = format!("the client certificate is not accepted: {error}");
            Error::new(ErrorCode::Unauthenticated, why)
        })
    }
}

fn current(
    dir: &DataDir,
    clients: Option<&ClientTrust>,
    tickets: &Arc<dyn ProducesTickets>,
) -> Result<Current> {
    let (certificate, key) = (dir.cert_path(), dir.key_path());
    let chain = certificates(&certificate)?;
    if std::fs::metadata(&key).is_ok_and(|file| file.mode() & 0o077 != 0) {
        warn!(file = %key.display(), "the server's private key can be read by others; `chmod 600` it");
    }
    let ends_at =
        chain.iter().filter_map(|one| Certificate::from_der(one).and_then(|one| one.ends_at()).ok()).min();
    let private = PrivateKeyDer::from_pem_file(&key).map_err(|error| unusable(&key, &error))?;
    let clients = clients.map(client_verifier).transpose()?;
    let versions = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(failed)?;
    let mut config = match &clients {
        Some(verifier) => versions.with_client_cert_verifier(Arc::clone(verifier)),
        None => versions.with_no_client_auth(),
    }
    .with_single_cert(chain, private)
    .map_err(|error| unusable(&certificate, &format!("with {}: {error}", key.display())))?;
    // A ticket saves the handshake's signatures and nothing else: the credential is shown or looked at again for each
    // connection. The server keeps nothing of it; there is no early data that could be replayed.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Arc::clone(tickets);
    config.send_tls13_tickets = 1;
    config.max_early_data_size = 0;
    let speaking = |protocols: &[&[u8]]| {
        let mut config = config.clone();
        config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
        Arc::new(Acceptor { tls: TlsAcceptor::from(Arc::new(config)), clients: clients.clone() })
    };
    Ok(Current { acceptors: [speaking(&[frame::ALPN]), speaking(&HTTP_ALPN)], ends_at })
}

/// Verifies certificates of clients by the CAs in the file, RFC 5280.
fn client_verifier(trust: &ClientTrust) -> Result<Arc<dyn ClientCertVerifier>> {
    let mut authorities = RootCertStore::empty();
    for certificate in certificates(&trust.authorities)? {
        authorities.add(certificate).map_err(|error| unusable(&trust.authorities, &error))?;
    }
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(authorities), provider);
    let builder = if trust.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|error| unusable(&trust.authorities, &error))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let chain = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|error| unusable(path, &error))?;
    if chain.is_empty() {
        return Err(unusable(path, &"there is no `BEGIN CERTIFICATE` in it"));
    }
    Ok(chain)
}

fn failed(error: impl Display) -> Error {
    Error::internal(format!("TLS: {error}"))
}

fn unusable(path: &Path, why: &dyn Display) -> Error {
    Error::new(ErrorCode::InvalidArgument, format!("cannot use {} for TLS: {why}", path.display()))
}
