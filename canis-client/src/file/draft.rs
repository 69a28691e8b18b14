//! Files that appear at their place whole, or not at all: until then they have no name (open(2), O_TMPFILE), so that whatever
//! ends the program leaves nothing. Where the file system has no such files, the draft stands beside its place as `.canis-…`.

use canis_proto::{Error, Result, quote};
use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

/// What a draft's name begins with while it has one.
const PREFIX: &str = ".canis-";

/// A file that is being made.
pub struct Draft {
    file: File,
    /// Its name, where it must have one.
    beside: Option<PathBuf>,
    path: PathBuf,
    published: bool,
}

impl Draft {
    /// A draft of what is to stand at `path`, readable by its owner only.
    ///
    /// # Errors
    /// `invalid_argument` if there is no such folder, or it cannot be written to.
    pub fn of(path: &Path) -> Result<Draft> {
        // Behind a symbolic link stands the file that is meant.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let made = Draft::unnamed(&path).or_else(|_| Draft::named(&path));
        made.map_err(|error| unwritten(&path, &error))
    }

    fn unnamed(path: &Path) -> io::Result<Draft> {
        let (flags, mode) = (OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
        let file = rustix::fs::open(folder(path), flags, mode)?;
        Ok(Draft { file: file.into(), beside: None, path: path.to_owned(), published: false })
    }

    fn named(path: &Path) -> io::Result<Draft> {
        let (flags, mode) =
            (OFlags::CREATE | OFlags::EXCL | OFlags::RDWR | OFlags::CLOEXEC, Mode::RUSR | Mode::WUSR);
        let beside = passing_name(path)?;
        let file = rustix::fs::open(&beside, flags, mode)?;
        Ok(Draft { file: file.into(), beside: Some(beside), path: path.to_owned(), published: false })
    }

    /// What is written to.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Gives it the mode of a file, or what the umask leaves of `rw-rw-rw-`.
    ///
    /// # Errors
    /// `invalid_argument`.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        let set = self.file.set_permissions(Permissions::from_mode(mode & 0o7777));
        set.map_err(|error| unwritten(&self.path, &error))
    }

    /// Puts it on the disk and in its place, in this order.
    ///
    /// # Errors
    /// `invalid_argument`; then what stood there before stands there still.
    pub fn publish(self) -> Result<()> {
        self.file.sync_all().map_err(|error| unwritten(&self.path, &error))?;
        let folder = folder(&self.path).to_owned();
        self.publish_synced()?;
        File::open(&folder).and_then(|folder| folder.sync_all()).map_err(|error| unwritten(&folder, &error))
    }

    /// Puts it in its place. It must be on the disk already, as [`sync_all`] sees to for many; the folder is not synchronised.
    ///
    /// # Errors
    /// As [`Draft::publish`].
    pub fn publish_synced(mut self) -> Result<()> {
        let placed = self.place();
        self.published = placed.is_ok();
        placed.map_err(|error| unwritten(&self.path, &error))
    }

    fn place(&mut self) -> io::Result<()> {
        if self.path.is_dir() {
            return Err(io::Error::from(io::ErrorKind::IsADirectory));
        }
        let name = match &self.beside {
            Some(name) => name.clone(),
            None => {
                let (name, unnamed) =
                    (passing_name(&self.path)?, format!("/proc/self/fd/{}", self.file.as_raw_fd()));
                rustix::fs::linkat(CWD, unnamed, CWD, &name, AtFlags::SYMLINK_FOLLOW)?;
                self.beside = Some(name.clone());
                name
            }
        };
        fs::rename(name, &self.path)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(name) = self.beside.take().filter(|_| !self.published) {
            // A draft that cannot be removed is no file of anybody's.
            let _ = fs::remove_file(name);
        }
    }
}

/// Puts all drafts of one file system on the disk at once, which takes hardly longer than one alone.
///
/// # Errors
/// `invalid_argument`.
pub fn sync_all(drafts: &[Draft]) -> Result<()> {
    let mut synced = Vec::new();
    for draft in drafts {
        let failed = |error: io::Error| unwritten(&draft.path, &error);
        let device = draft.file.metadata().map_err(failed)?.dev();
        if !synced.contains(&device) {
            rustix::fs::syncfs(&draft.file).map_err(|error| failed(error.into()))?;
            synced.push(device);
        }
    }
    Ok(())
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|parent| *parent != Path::new("")).unwrap_or(Path::new("."))
}

fn passing_name(path: &Path) -> io::Result<PathBuf> {
    let mut random = [0; 8];
    aws_lc_rs::rand::fill(&mut random).map_err(|_| io::Error::other("no random bytes"))?;
    Ok(folder(path).join(format!("{PREFIX}{:016x}", u64::from_be_bytes(random))))
}

fn unwritten(path: &Path, error: &io::Error) -> Error {
    Error::invalid(format!("cannot write {}: {error}", quote(&path.display().to_string())))
}
