//! Unix sockets: CANISP without TLS, for whoever the kernel says it is. That of the data directory is for the server's own
//! user and root: nobody else gets past its permissions; who does is asked for all the same. A second one, if there is
//! to be one, is for every user of this host, whom roles or tokens let in.

use canis_core::UnixPeer;
use canis_core::datadir::DataDir;
use canis_proto::{Error, ErrorCode, Result};
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::PathBuf;
use tokio::net::{UnixListener, UnixStream};

/// The kernel's overflow id where it does not say another one.
const OVERFLOW: u32 = 65534;

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
        Self::bind_at(dir.socket_path(), 0o600)
    }

    /// Listens at `path` for every user of this host.
    ///
    /// # Errors
    /// As above; `store_locked` if somebody listens there.
    pub(crate) fn bind_for_all(path: PathBuf) -> Result<Self> {
        if std::os::unix::net::UnixStream::connect(&path).is_ok() {
            let why = format!("somebody listens on {} already; choose another --socket", path.display());
            return Err(Error::new(ErrorCode::StoreLocked, why));
        }
        if fs::symlink_metadata(&path).is_ok_and(|file| !file.file_type().is_socket()) {
            let why = format!("{} is there and no socket; choose another --socket", path.display());
            return Err(Error::invalid(why));
        }
        Self::bind_at(path, 0o666)
    }

    fn bind_at(path: PathBuf, mode: u32) -> Result<Self> {
        let failed = |error: io::Error| {
            let why = format!("cannot listen on {}: {error}", path.display());
            Error::new(ErrorCode::Unavailable, why)
        };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&path).map_err(failed)?;
        fs::set_permissions(&path, Permissions::from_mode(mode)).map_err(failed)?;
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

/// Whose process is at the other end, as the kernel said when it connected.
///
/// # Errors
/// Why that is not known: among others, all users whom this process's namespace of users does not have share one number.
pub(crate) fn peer(stream: &UnixStream) -> std::result::Result<UnixPeer, &'static str> {
    let credentials = stream.peer_cred().map_err(|_| "the kernel does not say whose process this is")?;
    if stands_for_others(credentials.uid()) {
        return Err(
            "the kernel gives this user the number that stands for all users whom it does not know here \
                    (overflowuid); run programs as a user of their own, and the server with PrivateUsers=no",
        );
    }
    Ok(UnixPeer { uid: credentials.uid(), gid: credentials.gid(), user: user_name(credentials.uid()) })
}

/// Whether `uid` is the number of every user that is not mapped here (user_namespaces(7), "Unmapped user and group IDs").
/// Where all are mapped it is the user `nobody`, which services without a user of their own share.
fn stands_for_others(uid: u32) -> bool {
    let overflow = fs::read_to_string("/proc/sys/kernel/overflowuid").ok();
    uid == overflow.and_then(|text| text.trim().parse().ok()).unwrap_or(OVERFLOW)
}

/// Whether it is the server's own user or root.
pub(crate) fn administers(peer: &UnixPeer) -> bool {
    peer.uid == 0 || peer.uid == rustix::process::geteuid().as_raw()
}

/// The name that `/etc/passwd` has for a user first. What other services know of users is not asked.
fn user_name(uid: u32) -> Option<String> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, number) = (fields.next()?, fields.nth(1)?);
        (number.parse() == Ok(uid)).then(|| name.to_owned())
    })
}
