//! Files that hold a credential: read into locked memory, with a word about who else can read them.

use canis_core::secret::SecretBytes;
use canis_core::secret_file;
use canis_proto::{Error, Result};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

/// The size of a key file.
const KEYFILE: usize = 32;

/// A passphrase, PIN or token: the file's content without the newline that editors add.
pub(crate) fn read_line(path: &Path, what: &str) -> Result<SecretBytes> {
    warn_of_readers(path);
    not_empty(path, what, secret_file::read_shared_line(path))
}

/// What opens a store, a passphrase or a PIN: the same, of a file that nobody else can read.
pub(crate) fn read_root_line(path: &Path, what: &str) -> Result<SecretBytes> {
    not_empty(path, what, secret_file::read_line(path))
}

fn not_empty(path: &Path, what: &str, read: Result<SecretBytes>) -> Result<SecretBytes> {
    let secret = read.map_err(|error| Error::invalid(format!("{what} file: {}", error.message)))?;
    if secret.is_empty() {
        return Err(Error::invalid(format!("the {what} file {} is empty", path.display())));
    }
    Ok(secret)
}

/// A key file that is there.
pub(crate) fn read_keyfile(path: &Path) -> Result<SecretBytes> {
    let key = secret_file::read_keyfile(path)?;
    if key.len() != KEYFILE {
        return Err(Error::invalid(format!(
            "the key file {} has {} bytes, not {KEYFILE}; name a file that does not exist to have it made",
            path.display(),
            key.len()
        )));
    }
    Ok(key)
}

/// Makes a key file of random bytes that only its owner can read.
pub(crate) fn make_keyfile(path: &Path) -> Result<SecretBytes> {
    let failed = |error: std::io::Error| {
        Error::invalid(format!("cannot make the key file {}: {error}", path.display()))
    };
    let key = SecretBytes::filled(KEYFILE, getrandom::fill)
        .map_err(|error| Error::internal(format!("the operating system gives no random bytes: {error}")))?;
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(key.expose()).and_then(|()| file.sync_all()).map_err(failed)?;
    Ok(key)
}

/// Pipes and the like (process substitution) have no permissions that matter.
fn warn_of_readers(path: &Path) {
    if secret_file::is_path(path)
        && fs::metadata(path).is_ok_and(|file| file.is_file() && file.mode() & 0o077 != 0)
    {
        eprintln!("canis: warning: {} can be read by others; `chmod 600` it", path.display());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn newlines_and_sizes() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("pin");
        for (content, secret) in
            [(&b"1234"[..], &b"1234"[..]), (b"1234\n", b"1234"), (b"12 34 \r\n", b"12 34 ")]
        {
            fs::write(&path, content).unwrap();
            assert!(read_line(&path, "PIN").unwrap().equals(secret));
        }
        fs::write(&path, b"\n").unwrap();
        assert!(read_line(&path, "PIN").is_err());
        assert!(read_keyfile(&path).is_err());
        let made = dir.path().join("key");
        let key = make_keyfile(&made).unwrap();
        assert!(read_keyfile(&made).unwrap().equals(key.expose()));
        assert_eq!(fs::metadata(&made).unwrap().mode() & 0o777, 0o600);
        assert!(make_keyfile(&made).is_err(), "an existing file is never overwritten");
    }
}
