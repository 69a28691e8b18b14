//! What commands read and write: bounded on the way in, whole or not at all on the way out.

use canis_proto::frame::MAX_PAYLOAD;
use canis_proto::{Error, ErrorCode, Result};
use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Who may read a file that is written.
#[derive(Clone, Copy)]
pub(crate) enum Readers {
    /// Whoever the umask lets.
    Umask,
    /// The owner alone: it holds a plaintext.
    Owner,
}

/// A ciphertext or signature in its text form: it is no secret, so it may stand on the command line itself, or else in a file.
///
/// # Errors
/// `invalid_argument` for a file that cannot be read, or that is no text: then `other` says what it is not, and what to do.
pub(crate) fn text_form(given: &str, other: &str) -> Result<String> {
    if given.starts_with("canis:") {
        return Ok(given.to_owned());
    }
    let bytes = read(Some(Path::new(given)))?;
    let text = std::str::from_utf8(&bytes).map(|text| text.trim_end().to_owned());
    text.map_err(|_| Error::invalid(format!("{given} {other}")))
}

/// Reads a file, or stdin, of at most what one request can carry.
pub(crate) fn read(path: Option<&Path>) -> Result<Zeroizing<Vec<u8>>> {
    let name = path.map_or("stdin".to_owned(), |p| p.display().to_string());
    let failed = |error: io::Error| Error::invalid(format!("cannot read {name}: {error}"));
    let mut bytes = Zeroizing::new(Vec::new());
    let limit = u64::from(MAX_PAYLOAD);
    match path {
        Some(path) => {
            let file = File::open(path).map_err(failed)?;
            // Room at once, so that growing leaves no unwiped copies behind.
            bytes.reserve_exact(file.metadata().map_err(failed)?.len().min(limit) as usize + 1);
            file.take(limit + 1).read_to_end(&mut bytes)
        }
        None => io::stdin().lock().take(limit + 1).read_to_end(&mut bytes),
    }
    .map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(Error::new(
            ErrorCode::TooLarge,
            format!("{name} holds more than the limit of {limit} bytes for one request; send less at a time"),
        ));
    }
    Ok(bytes)
}

/// Where a stream goes: a file that appears when all of it has come, or what takes it as it comes.
pub(crate) enum Sink {
    /// A file that is not there yet, or is to be replaced.
    Draft(Draft),
    /// Stdout, a pipe, a device.
    Open(Box<dyn Write>),
}

impl Sink {
    /// The file at `path`, or stdout.
    pub(crate) fn open(path: Option<&Path>, readers: Readers) -> Result<Self> {
        let Some(path) = path else { return Ok(Sink::Open(Box::new(io::stdout().lock()))) };
        match fs::metadata(path) {
            // A pipe or a device cannot be replaced by a file.
            Ok(there) if !there.is_file() => {
                let file = fs::OpenOptions::new().write(true).open(path);
                Ok(Sink::Open(Box::new(file.map_err(|error| unwritten(path, &error))?)))
            }
            _ => Draft::beside(path, readers).map(Sink::Draft),
        }
    }

    /// All of it has come.
    pub(crate) fn publish(self) -> Result<()> {
        match self {
            Sink::Draft(draft) => draft.publish(),
            Sink::Open(mut open) => {
                open.flush().map_err(|error| Error::invalid(format!("cannot write the output: {error}")))
            }
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Sink::Draft(draft) => draft.file.write(bytes),
            Sink::Open(open) => open.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Sink::Draft(draft) => draft.file.flush(),
            Sink::Open(open) => open.flush(),
        }
    }
}

/// Writes `bytes` to stdout.
pub(crate) fn print(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout
        .write_all(bytes)
        .and_then(|()| stdout.flush())
        .map_err(|error| Error::invalid(format!("cannot write to stdout: {error}")))
}

/// Writes `bytes` to the file at `path`; a failure leaves what was there before.
pub(crate) fn write(path: &Path, bytes: &[u8], readers: Readers) -> Result<()> {
    let failed = |error: io::Error| unwritten(path, &error);
    match fs::metadata(path) {
        // A pipe or a device cannot be replaced by a file.
        Ok(there) if !there.is_file() => {
            fs::OpenOptions::new().write(true).open(path).and_then(|mut f| f.write_all(bytes)).map_err(failed)
        }
        // Behind a symbolic link stands the file that is meant.
        Ok(_) => replace(&fs::canonicalize(path).map_err(failed)?, bytes, readers).map_err(failed),
        Err(_) => replace(path, bytes, readers).map_err(failed),
    }
}

/// A file that is written piece by piece and appears at its place whole or not at all.
pub(crate) struct Draft {
    file: tempfile::NamedTempFile,
    path: PathBuf,
}

impl Draft {
    /// A draft of what is to stand at `path`.
    pub(crate) fn beside(path: &Path, readers: Readers) -> Result<Self> {
        // Behind a symbolic link stands the file that is meant.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        match temporary(&path, readers) {
            Ok(file) => Ok(Draft { file, path }),
            Err(error) => Err(unwritten(&path, &error)),
        }
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| unwritten(&self.path, &error))
    }

    /// Puts it in place.
    pub(crate) fn publish(self) -> Result<()> {
        let Draft { file, path } = self;
        let done = file.as_file().sync_all().and_then(|()| file.persist(&path).map_err(|e| e.error));
        done.map(drop).map_err(|error| unwritten(&path, &error))
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Error {
    Error::invalid(format!("cannot write {}: {error}", path.display()))
}

fn replace(path: &Path, bytes: &[u8], readers: Readers) -> io::Result<()> {
    let mut file = temporary(path, readers)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// A file in the folder of `path`.
fn temporary(path: &Path, readers: Readers) -> io::Result<tempfile::NamedTempFile> {
    let folder = match path.parent() {
        Some(parent) if parent != Path::new("") => parent.to_path_buf(),
        _ => PathBuf::from("."),
    };
    let mode = match readers {
        Readers::Umask => 0o666,
        Readers::Owner => 0o600,
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".canis-").permissions(Permissions::from_mode(mode)).tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        write(&path, b"one", Readers::Owner).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let link = dir.path().join("link");
        symlink(&path, &link).unwrap();
        write(&link, b"two", Readers::Umask).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        write(Path::new("/dev/null"), b"three", Readers::Owner).unwrap();
        assert!(write(&dir.path().join("absent/out"), b"x", Readers::Umask).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "no temporary file stays");
    }

    #[test]
    fn input_is_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("in");
        File::create(&path).unwrap().set_len(64 << 20).unwrap();
        let error = read(Some(&path)).map(|_| ()).unwrap_err();
        assert_eq!(error.code, ErrorCode::TooLarge);
        assert!(error.message.contains(&MAX_PAYLOAD.to_string()));
    }
}
