//! What frames go through: TLS, or the Unix socket of a server on this host.

use crate::{Config, failure, tls};
use canis_proto::{Error, Result};
use rustls::ClientConfig;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The socket's name in a data directory.
const SOCKET: &str = "canis.sock";

/// A connected stream, to a server that proved itself.
pub(crate) enum Link {
    /// By a certificate.
    Tls(Box<tls::Stream>),
    /// By having the socket that its path leads to.
    Local(UnixStream),
}

impl Link {
    /// Connects to the address of `config`.
    pub(crate) fn connect(config: &Config, tls: Option<&Arc<ClientConfig>>) -> Result<Self> {
        match (config.socket(), tls) {
            (Some(path), _) => {
                local(&path, config).map_err(|error| failure::unreachable(config, &error)).map(Link::Local)
            }
            (None, Some(tls)) => tls::connect(config, tls).map(|stream| Link::Tls(Box::new(stream))),
            (None, None) => Err(Error::internal("no TLS was prepared")),
        }
    }

    /// How long a read may wait.
    pub(crate) fn set_read_timeout(&self, limit: Duration) -> io::Result<()> {
        match self {
            Link::Tls(stream) => stream.sock.set_read_timeout(Some(limit)),
            Link::Local(stream) => stream.set_read_timeout(Some(limit)),
        }
    }

    /// Tells the server that this end is no accident.
    pub(crate) fn close(&mut self) {
        if let Link::Tls(stream) = self {
            stream.conn.send_close_notify();
            // The connection is closed either way.
            let _ = stream.conn.write_tls(&mut stream.sock);
        }
    }
}

/// The socket at `path`, or in the data directory that it names.
pub(crate) fn socket_in(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(SOCKET) } else { PathBuf::from(path) }
}

fn local(path: &Path, config: &Config) -> io::Result<UnixStream> {
    let stream = UnixStream::connect(socket_in(path))?;
    stream.set_read_timeout(Some(config.connect_timeout))?;
    stream.set_write_timeout(Some(config.answer_timeout))?;
    Ok(stream)
}

impl Read for Link {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        match self {
            Link::Tls(stream) => stream.read(out),
            Link::Local(stream) => stream.read(out),
        }
    }
}

impl Write for Link {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Link::Tls(stream) => stream.write(bytes),
            Link::Local(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Link::Tls(stream) => stream.flush(),
            Link::Local(stream) => stream.flush(),
        }
    }
}
