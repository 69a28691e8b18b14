//! The files of the log: a writer has one after the other, each begun by a line that says what it continues and, if it was
//! ended in order, ended by one that signs it. A process holds the lock of its file as long as it lives.

use super::line::rfc3339;
use canis_proto::Id;
use sha2::{Digest, Sha256};
use std::fs::{DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The folder of a data directory that holds them.
pub const SEGMENTS: &str = "audit";

/// When a file is ended and the next one begun.
#[derive(Clone, Copy, Debug)]
pub struct Rotation {
    /// At so many bytes.
    pub bytes: u64,
    /// At this age, in microseconds.
    pub micros: i64,
}

impl Default for Rotation {
    /// 256 MiB, or a day.
    fn default() -> Self {
        Rotation { bytes: 256 << 20, micros: 86_400_000_000 }
    }
}

/// The file that is written now.
pub(super) struct Segment {
    file: File,
    pub(super) path: PathBuf,
    len: u64,
    began: i64,
    digest: Sha256,
}

impl Segment {
    /// Begins the `number`-th file of a writer; it and its name are on the disk before this returns.
    pub(super) fn create(folder: &Path, writer: Id, number: u32, now: i64) -> io::Result<Self> {
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let path = folder.join(name(writer, number, now));
        let file = File::options().create_new(true).append(true).mode(0o600).open(&path)?;
        // Nobody else knows of it; where locks do not work, others may take this writer for one that has ended.
        let _ = file.try_lock();
        File::open(folder)?.sync_all()?;
        Ok(Segment { file, path, len: 0, began: now, digest: Sha256::new() })
    }

    /// Writes whole lines, to the disk if `sync` says so; on an error none of them.
    pub(super) fn append(&mut self, lines: &[u8], sync: bool) -> io::Result<()> {
        let mut written = self.file.write_all(lines);
        if sync {
            written = written.and_then(|()| self.file.sync_data());
        }
        if let Err(error) = written {
            // What stays of a line is noticed as a line that was not finished.
            let _ = self.file.set_len(self.len);
            return Err(error);
        }
        self.len += lines.len() as u64;
        self.digest.update(lines);
        Ok(())
    }

    /// Another handle, for who waits for the disk meanwhile.
    pub(super) fn handle(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Whether nothing stands in it.
    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes it away.
    pub(super) fn remove(&self) {
        let _ = std::fs::remove_file(&self.path);
    }

    /// Whether somebody has removed it.
    pub(super) fn is_gone(&self) -> bool {
        self.file.metadata().is_ok_and(|file| file.nlink() == 0)
    }

    /// Whether another one is to be begun.
    pub(super) fn is_full(&self, rotation: Rotation, now: i64) -> bool {
        self.len >= rotation.bytes || now.saturating_sub(self.began) >= rotation.micros
    }

    /// The SHA-256 of what it holds.
    pub(super) fn digest(&self) -> [u8; 32] {
        self.digest.clone().finalize().into()
    }
}

/// Names sort by the time of their beginning.
fn name(writer: Id, number: u32, now: i64) -> String {
    let time: String = rfc3339(now)[..19].iter().map(|byte| char::from(*byte)).collect();
    format!("{}Z-{writer}-{number:06}.jsonl", time.replace(['-', ':'], ""))
}

/// The writer and number in a file's name.
pub(super) fn parse_name(name: &str) -> Option<(Id, u32)> {
    let (_, rest) = name.strip_suffix(".jsonl")?.split_once('-')?;
    let (writer, number) = rest.rsplit_once('-')?;
    Some((Id::parse(writer)?, number.parse().ok()?))
}

/// Whether a living process writes to it.
pub(super) fn is_alive(path: &Path) -> bool {
    // A shared try: one who looks does not stand in the way of another.
    File::open(path)
        .is_ok_and(|file| matches!(file.try_lock_shared(), Err(std::fs::TryLockError::WouldBlock)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_and_are_read_back() {
        let (one, two) = (name(Id([7; 16]), 1, 0), name(Id([3; 16]), 2, 1_000_000));
        assert!(one < two, "{one} {two}");
        assert_eq!(parse_name(&one), Some((Id([7; 16]), 1)));
        assert_eq!(parse_name("19700101T000000Z-x-1.jsonl"), None);
    }
}
