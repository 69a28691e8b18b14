//! What `init` has made so far, taken away again unless it succeeds.
//!
//! A run that fails takes its files away itself. One that is killed leaves a journal of their names, and the next run
//! takes them away before it begins: half-made certificates must not pass for ones that somebody put there.

use canis_proto::{Error, Result};
use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// Files and directories made by this run; removed on drop unless kept.
#[derive(Default)]
pub(crate) struct Made {
    files: Vec<PathBuf>,
    directories: Vec<PathBuf>,
    /// Lists the names of files made in the data directory, one a line.
    journal: Option<PathBuf>,
}

/// The journal's name in the data directory.
const JOURNAL: &str = "init.unfinished";
/// Files of the data directory that a run makes. No other name is ever taken away on a journal's word.
const JOURNALED: [&str; 4] = ["ca.pem", "server.pem", "server.key", "canis.toml"];

impl Made {
    /// Takes away what a killed run left in `directory`, which holds no store, and begins a journal of this one.
    pub(crate) fn begin(&mut self, directory: &Path) -> Result<()> {
        let journal = directory.join(JOURNAL);
        let left = fs::read_to_string(&journal).unwrap_or_default();
        for name in left.lines().filter(|name| JOURNALED.contains(name)) {
            // One that was listed and not made is not there.
            let _ = fs::remove_file(directory.join(name));
        }
        let made = fs::File::create(&journal).and_then(|file| file.sync_all());
        made.map_err(|error| Error::invalid(format!("cannot make {}: {error}", journal.display())))?;
        self.journal = Some(journal);
        Ok(())
    }

    /// Notes a file before it is made.
    fn note(&self, path: &Path) -> Result<()> {
        let (Some(journal), Some(name)) = (&self.journal, path.file_name().and_then(|name| name.to_str()))
        else {
            return Ok(());
        };
        if path.parent() != journal.parent() || !JOURNALED.contains(&name) {
            return Ok(());
        }
        let append = || -> std::io::Result<()> {
            let mut file = fs::OpenOptions::new().append(true).open(journal)?;
            writeln!(file, "{name}")?;
            file.sync_all()
        };
        append().map_err(|error| Error::invalid(format!("cannot write {}: {error}", journal.display())))
    }

    /// Makes a file that must not exist.
    pub(crate) fn write(&mut self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        let failed =
            |error: std::io::Error| Error::invalid(format!("cannot make {}: {error}", path.display()));
        if path.exists() {
            return Err(Error::invalid(format!("{} is there already", path.display())));
        }
        self.note(path)?;
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
        self.files.push(path.to_path_buf());
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
    }

    /// Remembers a file that is about to be made elsewhere.
    pub(crate) fn file(&mut self, path: &Path) -> Result<()> {
        self.note(path)?;
        self.files.push(path.to_path_buf());
        Ok(())
    }

    /// Remembers a directory that was made.
    pub(crate) fn directory(&mut self, path: &Path) {
        self.directories.push(path.to_path_buf());
    }

    /// All went well.
    pub(crate) fn keep(mut self) {
        // The store is there and whole; a journal that cannot be removed is never looked at again.
        self.files.clear();
        self.directories.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // The error that led here is the one to tell; a directory that holds something else stays.
        for file in self.files.iter().rev().chain(&self.journal) {
            let _ = fs::remove_file(file);
        }
        for directory in self.directories.iter().rev() {
            let _ = fs::remove_dir(directory);
        }
    }
}
