//! TLS 1.3 with the given CA and no other.

use crate::{Config, failure};
use canis_proto::{Error, Result, frame, quote};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::Arc;

/// The encrypted stream.
pub(crate) type Stream = StreamOwned<ClientConnection, TcpStream>;

/// Connects and finishes the handshake: afterwards the server is the one that the CA vouches for.
pub(crate) fn connect(config: &Config, tls: &Arc<ClientConfig>) -> Result<Stream> {
    let mut connection = ClientConnection::new(Arc::clone(tls), server_name(config)?)
        .map_err(|error| Error::internal(format!("TLS: {error}")))?;
    let mut tcp = dial(config)?;
    while connection.is_handshaking() {
        connection.complete_io(&mut tcp).map_err(|error| failure::handshake(config, &error))?;
    }
    Ok(StreamOwned::new(connection, tcp))
}

/// The name that the certificate must hold.
pub(crate) fn server_name(config: &Config) -> Result<ServerName<'static>> {
    ServerName::try_from(config.expected_name().to_owned())
        .map_err(|_| Error::invalid(format!("`{}` is no host name", quote(config.expected_name()))))
}

/// TLS 1.3, this protocol, the CA that was given, and the client's own certificate if it has one. Connections that share
/// it resume each other's sessions.
pub(crate) fn client_config(config: &Config) -> Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| Error::internal(format!("TLS: {error}")))?
        .with_root_certificates(trusted(config)?);
    let mut tls = match &config.certificate {
        None => tls.with_no_client_auth(),
        Some(own) => {
            let unusable = |why: String| {
                Error::invalid(format!("{} hold no usable client certificate: {why}", own.source))
            };
            let chain = CertificateDer::pem_slice_iter(&own.chain_pem).collect::<Result<Vec<_>, _>>();
            let chain = chain.map_err(|error| unusable(error.to_string()))?;
            let key =
                PrivateKeyDer::from_pem_slice(&own.key_pem).map_err(|error| unusable(error.to_string()))?;
            tls.with_client_auth_cert(chain, key).map_err(|error| unusable(error.to_string()))?
        }
    };
    tls.alpn_protocols = vec![frame::ALPN.to_vec()];
    Ok(Arc::new(tls))
}

fn trusted(config: &Config) -> Result<RootCertStore> {
    let broken =
        |why: String| Error::invalid(format!("{} holds no usable CA certificate: {why}", config.ca_source));
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&config.ca_pem) {
        let certificate = certificate.map_err(|error| broken(error.to_string()))?;
        roots.add(certificate).map_err(|error| broken(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(broken("there is no `BEGIN CERTIFICATE` in it".to_owned()));
    }
    Ok(roots)
}

/// The first address that answers.
fn dial(config: &Config) -> Result<TcpStream> {
    let addresses =
        config.host_and_port().to_socket_addrs().map_err(|error| failure::unreachable(config, &error))?;
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for address in addresses {
        let opened = TcpStream::connect_timeout(&address, config.connect_timeout).and_then(|tcp| {
            tcp.set_nodelay(true)?;
            tcp.set_read_timeout(Some(config.connect_timeout))?;
            tcp.set_write_timeout(Some(config.answer_timeout))?;
            Ok(tcp)
        });
        match opened {
            Ok(tcp) => return Ok(tcp),
            Err(error) => last = error,
        }
    }
    Err(failure::unreachable(config, &last))
}
