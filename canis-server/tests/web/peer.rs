//! A peer of HTTP/1.1 that keeps no rules: TLS done right, then whatever bytes a test wants.

use super::Site;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

/// A connection.
pub(crate) struct Peer(pub(crate) StreamOwned<ClientConnection, TcpStream>);

impl Peer {
    /// After the TLS handshake.
    pub(crate) fn of(site: &Site) -> Self {
        Self::offering(site, &[])
    }

    /// The same, offering these protocols (RFC 7301).
    pub(crate) fn offering(site: &Site, protocols: &[&[u8]]) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(site.deployment.ca()).unwrap()).unwrap();
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        let mut tls = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let mut tcp = TcpStream::connect(&site.address).unwrap();
        tcp.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        while tls.is_handshaking() {
            tls.complete_io(&mut tcp).unwrap();
        }
        Peer(StreamOwned::new(tls, tcp))
    }

    /// Begins a request of the administrator for octets in octets, with these further lines in its head.
    pub(crate) fn begin(&mut self, site: &Site, path: &str, lines: &[&str]) {
        let octets = "application/octet-stream";
        let mut head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: {octets}\r\nAccept: {octets}\r\n",
            site.deployment.token
        );
        for line in lines {
            head.push_str(line);
            head.push_str("\r\n");
        }
        self.send(format!("{head}\r\n").as_bytes()).unwrap();
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)?;
        self.0.flush()
    }

    /// One chunk of a body that is sent in chunks.
    pub(crate) fn chunk(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.send(&[format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat())
    }

    /// Everything that comes until the connection ends, however that is.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut all = Vec::new();
        let _ = self.0.read_to_end(&mut all);
        all
    }

    /// Reads until this has come.
    pub(crate) fn until(&mut self, text: &str) -> String {
        let mut all = Vec::new();
        let mut byte = [0];
        while !all.ends_with(text.as_bytes()) {
            self.0
                .read_exact(&mut byte)
                .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(&all)));
            all.push(byte[0]);
        }
        String::from_utf8(all).unwrap()
    }
}
