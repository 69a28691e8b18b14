//! A peer that keeps no rules: TLS done right, then whatever bytes a test wants.
#![allow(dead_code)] // Each test file uses its own part of it.

use crate::harness::Shared;
use canis_proto::frame::{self, FrameType, HEADER, Header};
use canis_proto::message::{ClientHello, WireRequest, decode_error, encode_request};
use canis_proto::{Error, ErrorCode};
use rustls::client::WantsClientCert;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, ConfigBuilder, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// How a client connects that trusts the server's CA.
pub(crate) fn trusting(shared: &Shared) -> ConfigBuilder<ClientConfig, WantsClientCert> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(shared.deployment.ca()).unwrap()).unwrap();
    ClientConfig::builder().with_root_certificates(roots)
}

/// An encrypted connection without any CANISP of its own.
pub(crate) struct Raw(pub(crate) StreamOwned<ClientConnection, TcpStream>);

impl Raw {
    /// After the TLS handshake, offering `alpn`.
    pub(crate) fn connect_offering(shared: &Shared, alpn: &[&[u8]]) -> io::Result<Self> {
        let mut config = trusting(shared).with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Self::connect_by(shared, &Arc::new(config))
    }

    /// After the TLS handshake as `config` has it.
    pub(crate) fn connect_by(shared: &Shared, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = "localhost".try_into().unwrap();
        let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
        let mut tcp = TcpStream::connect(&shared.server.addr)?;
        tcp.set_read_timeout(Some(Duration::from_secs(120)))?;
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp)?;
        }
        Ok(Raw(StreamOwned::new(tls, tcp)))
    }

    /// After the TLS handshake.
    pub(crate) fn connect(shared: &Shared) -> Self {
        Self::connect_offering(shared, &[frame::ALPN]).unwrap()
    }

    /// After HELLO both ways.
    pub(crate) fn greeted(shared: &Shared) -> Self {
        Self::greeted_as(shared, Some(&shared.deployment.token))
    }

    /// After HELLO both ways, with this token or none.
    pub(crate) fn greeted_as(shared: &Shared, token: Option<&str>) -> Self {
        Self::connect(shared).greet(token)
    }

    /// After HELLO both ways on this connection.
    pub(crate) fn greet(mut self, token: Option<&str>) -> Self {
        self.hello(token);
        assert_eq!(self.read().unwrap().0.kind, FrameType::Hello);
        self
    }

    /// Says HELLO.
    pub(crate) fn hello(&mut self, token: Option<&str>) {
        let hello =
            ClientHello { client: "raw".into(), token: token.map(Into::into), ..ClientHello::default() };
        self.frame(FrameType::Hello, 0, &hello.encode());
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
        self.0.flush().unwrap();
    }

    pub(crate) fn frame(&mut self, kind: FrameType, request: u32, payload: &[u8]) {
        self.send(&frame::frame(kind, request, payload));
    }

    pub(crate) fn request<'a>(&mut self, id: u32, request: &impl WireRequest<'a>) {
        self.frame(FrameType::Request, id, &encode_request(request));
    }

    /// A header that claims `length` bytes.
    pub(crate) fn header(&mut self, kind: FrameType, request: u32, length: u32) {
        self.send(&Header { kind, request, length }.encode());
    }

    pub(crate) fn read(&mut self) -> io::Result<(Header, Vec<u8>)> {
        let mut header = [0; HEADER];
        self.0.read_exact(&mut header)?;
        let header = Header::decode(&header, frame::MAX_PAYLOAD).map_err(io::Error::other)?;
        let mut payload = vec![0; header.length as usize];
        self.0.read_exact(&mut payload)?;
        Ok((header, payload))
    }

    /// The ERROR that must come now, for this request id.
    pub(crate) fn error(&mut self, request: u32) -> Error {
        let (header, payload) = self.read().unwrap();
        assert_eq!((header.kind, header.request), (FrameType::Error, request));
        decode_error(&payload)
    }

    /// The connection's own error must come now, with this code, and then its end.
    pub(crate) fn refused(mut self, code: ErrorCode) -> String {
        let error = self.error(0);
        assert_eq!(error.code, code, "{error}");
        assert_eq!(self.read().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        error.message
    }
}
