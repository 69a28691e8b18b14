//! What `init` has made so far, taken away again unless it succeeds.

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
}

impl Made {
    /// Makes a file that must not exist.
    pub(crate) fn write(&mut self, path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
        let failed =
            |error: std::io::Error| Error::invalid(format!("cannot make {}: {error}", path.display()));
        let mut file =
            fs::OpenOptions::new().write(true).create_new(true).mode(mode).open(path).map_err(failed)?;
        self.file(path);
        file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
    }

    /// Remembers a file that was made elsewhere.
    pub(crate) fn file(&mut self, path: &Path) {
        self.files.push(path.to_path_buf());
    }

    /// Remembers a directory that was made.
    pub(crate) fn directory(&mut self, path: &Path) {
        self.directories.push(path.to_path_buf());
    }

    /// All went well.
    pub(crate) fn keep(mut self) {
        self.files.clear();
        self.directories.clear();
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        // The error that led here is the one to tell; a directory that holds something else stays.
        for file in self.files.iter().rev() {
            let _ = fs::remove_file(file);
        }
        for directory in self.directories.iter().rev() {
            let _ = fs::remove_dir(directory);
        }
    }
}
