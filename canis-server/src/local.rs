//! The Unix socket of the data directory: CANISP without TLS, for whoever the kernel says is the server's own user or
//! root. Nobody else gets past the socket's permissions; who does is asked for all the same.

use canis_core::datadir::DataDir;
use canis_proto::{Error, ErrorCode, Result};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use tokio::net::{UnixListener, UnixStream};

/// The socket, taken away again when the server stops.
pub(crate) struct LocalListener {
    listener: UnixListener,
    path: PathBuf,
}

impl LocalListener {
    /// Listens in `dir`, which this server has locked: a socket that is there already is nobody's.
    ///
    /// # Errors
    /// `unavailable`: among others, the path of a socket has at most 107 bytes.
    pub(crate) fn bind(dir: &DataDir) -> Result<Self> {
        let path = dir.socket_path();
        let failed = |error: io::Error| {
            let why = format!("cannot listen on {}: {error}", path.display());
            Error::new(ErrorCode::Unavailable, why)
        };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(failed)?;
        Ok(LocalListener { listener, path })
    }

    /// The next connection.
    pub(crate) async fn accept(&self) -> io::Result<UnixStream> {
        self.listener.accept().await.map(|(stream, _)| stream)
    }
}

impl Drop for LocalListener {
    fn drop(&mut self) {
        // What stays is removed by the next server.
        let _ = fs::remove_file(&self.path);
    }
}

/// The user whose process is at the other end, if that is the server's own user or root.
pub(crate) fn administrator(stream: &UnixStream) -> Option<u32> {
    let user = stream.peer_cred().ok()?.uid();
    (user == 0 || user == rustix::process::geteuid().as_raw()).then_some(user)
}
