//! TLS to the database by rustls: certificate and name are always checked.

use canis_proto::{Error, Result};
use der::asn1::{AnyRef, BitStringRef, ObjectIdentifier};
use der::{Decode, Sequence};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use sha2::{Digest, Sha256, Sha384, Sha512};
use spki::AlgorithmIdentifierRef;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect, TlsStream};
use tokio_rustls::TlsConnector;

/// The certificates that Debian and its kin trust.
const SYSTEM: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Makes TLS connections to databases whose certificate one of these CAs has signed.
#[derive(Clone)]
pub(super) struct Tls(TlsConnector);

impl Tls {
    /// Trusts the CAs in a PEM file; those of the host without one.
    ///
    /// # Errors
    /// `invalid_argument` naming the file.
    pub(super) fn trusting(authorities: Option<&Path>) -> Result<Self> {
        let path = authorities.unwrap_or(Path::new(SYSTEM));
        let failed =
            |what: String| Error::invalid(format!("the CAs of the database in {}: {what}", path.display()));
        let mut roots = RootCertStore::empty();
        let certificates = match CertificateDer::pem_file_iter(path) {
            Ok(certificates) => certificates,
            // A host without any trusts nobody; who needs TLS is told so by the handshake.
            Err(_) if authorities.is_none() => return Tls::of(roots),
            Err(error) => return Err(failed(error.to_string())),
        };
        for certificate in certificates {
            let certificate = certificate.map_err(|error| failed(error.to_string()))?;
            // Of the host's, some are of kinds that webpki does not read.
            match roots.add(certificate) {
                Err(error) if authorities.is_some() => return Err(failed(error.to_string())),
                _ => {}
            }
        }
        Tls::of(roots)
    }

    fn of(roots: RootCertStore) -> Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| Error::internal(format!("cannot speak TLS to the database: {error}")))?;
        let config = builder.with_root_certificates(roots).with_no_client_auth();
        Ok(Tls(TlsConnector::from(Arc::new(config))))
    }
}

impl<S> MakeTlsConnect<S> for Tls
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type TlsConnect = Connect;
    type Error = std::convert::Infallible;

    fn make_tls_connect(&mut self, host: &str) -> std::result::Result<Connect, Self::Error> {
        // Asked for sockets, too, which have no name and get no TLS.
        Ok(Connect { connector: self.0.clone(), host: host.to_owned() })
    }
}

/// A handshake that is to be made.
pub(super) struct Connect {
    connector: TlsConnector,
    host: String,
}

impl<S> TlsConnect<S> for Connect
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(async move {
            let host = ServerName::try_from(self.host).map_err(io::Error::other)?;
            self.connector.connect(host, stream).await.map(|stream| Stream(Box::new(stream)))
        })
    }
}

/// A connection under TLS.
pub(super) struct Stream<S>(Box<tokio_rustls::client::TlsStream<S>>);

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let certificates = self.0.get_ref().1.peer_certificates();
        match certificates.and_then(|chain| chain.first()).and_then(|certificate| end_point(certificate)) {
            Some(hash) => ChannelBinding::tls_server_end_point(hash),
            None => ChannelBinding::none(),
        }
    }
}

#[derive(Sequence)]
struct Certificate<'a> {
    _tbs: AnyRef<'a>,
    algorithm: AlgorithmIdentifierRef<'a>,
    _signature: BitStringRef<'a>,
}

/// RFC 5929, section 4.1: the certificate's hash by the algorithm that it was signed with.
fn end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    const RSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");
    const RSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.12");
    const RSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.13");
    const ECDSA_SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.2");
    const ECDSA_SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.3");
    const ECDSA_SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.4.3.4");
    match Certificate::from_der(certificate).ok()?.algorithm.oid {
        RSA_SHA256 | ECDSA_SHA256 => Some(Sha256::digest(certificate).to_vec()),
        RSA_SHA384 | ECDSA_SHA384 => Some(Sha384::digest(certificate).to_vec()),
        RSA_SHA512 | ECDSA_SHA512 => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_read(cx, buf)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut *self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.0).poll_shutdown(cx)
    }
}
