//! Files that hold a root's credential: read whole into locked memory, whatever they are, and never more than a credential
//! has. A path `credential:NAME` is a credential of the systemd unit that runs the program (systemd.exec(5),
//! `LoadCredential=` and `LoadCredentialEncrypted=`); `env:NAME` is a variable of the program's environment. For programs; [`crate::Core`] reads no file.

use crate::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Result};
use std::fs::{File, Metadata};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The largest credential file read, in bytes.
const LARGEST: u64 = 4096;
/// What a path begins with that names a credential of systemd's.
const OF_SYSTEMD: &str = "credential:";
/// What a path begins with that names a variable of the environment.
const OF_ENVIRONMENT: &str = "env:";
/// Where systemd says that those are.
const DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

fn failed(path: &Path, what: impl std::fmt::Display) -> Error {
    Error::new(ErrorCode::RootUnavailable, format!("cannot read {}: {what}", path.display()))
}

/// The file that `path` means.
fn located(path: &Path) -> Result<PathBuf> {
    let Some(name) = path.to_str().and_then(|path| path.strip_prefix(OF_SYSTEMD)) else {
        return Ok(path.to_owned());
    };
    // As systemd has names: one part of a path.
    if name.is_empty() || name.contains('/') || name == "." || name == ".." {
        return Err(failed(path, "this is no name of a credential"));
    }
    match std::env::var_os(DIRECTORY) {
        Some(directory) => Ok(Path::new(&directory).join(name)),
        None => Err(failed(
            path,
            "systemd has handed none to this process; see LoadCredential= in systemd.exec(5)",
        )),
    }
}

/// The variable of the environment that `path` means, if it means one.
#[must_use]
pub fn variable(path: &Path) -> Option<&str> {
    path.to_str()?.strip_prefix(OF_ENVIRONMENT)
}

/// Whether `path` is one, and not the name of something else that holds a secret.
#[must_use]
pub fn is_path(path: &Path) -> bool {
    variable(path).is_none() && !path.to_str().is_some_and(|path| path.starts_with(OF_SYSTEMD))
}

fn read_variable(path: &Path, name: &str) -> Result<SecretBytes> {
    let value = std::env::var_os(name).ok_or_else(|| failed(path, format!("{name} is not set")))?;
    let secret = SecretBytes::taken_from(value.into_encoded_bytes());
    if secret.len() as u64 > LARGEST {
        return Err(failed(path, format!("it is longer than {LARGEST} bytes")));
    }
    Ok(secret)
}

/// Who besides its owner may be able to read a file.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Readers {
    Anybody,
    Nobody,
}

/// Reads a secret file as it is, whoever else may read it.
///
/// # Errors
/// `root_unavailable` naming the file.
pub fn read_secret(path: &Path) -> Result<SecretBytes> {
    read(path, Readers::Anybody)
}

fn read(path: &Path, readers: Readers) -> Result<SecretBytes> {
    if let Some(name) = variable(path) {
        return read_variable(path, name);
    }
    let mut file = File::open(located(path)?).map_err(|error| failed(path, error))?;
    let metadata = file.metadata().map_err(|error| failed(path, error))?;
    if readers == Readers::Nobody {
        refuse_other_readers(path, &metadata)?;
    }
    let len = metadata.len();
    if len > LARGEST {
        return Err(failed(path, format!("it has {len} bytes; no credential is longer than {LARGEST}")));
    }
    // One byte more than a plain file has, so that one that grows is noticed; pipes report no length.
    let room = usize::try_from(LARGEST + 1).unwrap_or(usize::MAX);
    let mut secret = SecretBytes::zeroed(room);
    let mut filled = 0;
    while filled < room {
        match file.read(&mut secret.expose_mut()[filled..]).map_err(|error| failed(path, error))? {
            0 => return Ok(secret.truncated(filled)),
            read => filled += read,
        }
    }
    Err(failed(path, format!("it is longer than {LARGEST} bytes")))
}

/// Refuses a file that others than its owner can read. Pipes have no permissions that matter; those of a directory of
/// credentials are its maker's business, be that systemd or whoever runs a container.
fn refuse_other_readers(path: &Path, file: &Metadata) -> Result<()> {
    if !is_path(path) || !file.is_file() || file.mode() & 0o077 == 0 {
        return Ok(());
    }
    let why = format!(
        "{0} can be read by others than its owner, and is not used: `chmod 600 {0}`. A secret that is mounted into a \
         container: set {DIRECTORY} to its directory and name it `{OF_SYSTEMD}NAME`",
        path.display()
    );
    Err(Error::new(ErrorCode::RootUnavailable, why))
}

/// Reads a secret of one line, of a file that nobody but its owner can read; the newline at its end is not part of it.
///
/// # Errors
/// `root_unavailable` naming the file and what to do.
pub fn read_line(path: &Path) -> Result<SecretBytes> {
    read(path, Readers::Nobody).map(without_newline)
}

/// The same, whoever else may read the file: for programs that tell their user so.
///
/// # Errors
/// `root_unavailable` naming the file.
pub fn read_shared_line(path: &Path) -> Result<SecretBytes> {
    read(path, Readers::Anybody).map(without_newline)
}

fn without_newline(secret: SecretBytes) -> SecretBytes {
    let bytes = secret.expose();
    let line = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    let len = line.strip_suffix(b"\r").unwrap_or(line).len();
    secret.truncated(len)
}

/// Reads a key file, which opens the store for whoever can read it: nobody but its owner may.
///
/// # Errors
/// `root_unavailable` naming the file and what to do.
pub fn read_keyfile(path: &Path) -> Result<SecretBytes> {
    read(path, Readers::Nobody)
}
