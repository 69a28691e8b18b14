//! How a log is kept.

use super::files::{Rotation, SEGMENTS};
use std::path::{Path, PathBuf};

/// What is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Changes, logins and denials.
    Changes,
    /// Everything.
    All,
}

/// When a line is on the disk. Lines of changes are so with their change, in the store, in any case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sync {
    /// Before its answer leaves.
    Always,
    /// Soon: before its answer leaves it is with the kernel, so that it survives the end of the process, and a moment later
    /// on the disk, so that it survives the end of the power. For a log that has a thread for it.
    Soon,
}

/// What happens to requests while no line can be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// They are refused.
    Refuse,
    /// They are served, and the log lacks what does not fit into memory.
    Continue,
}

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where its files are.
    pub folder: PathBuf,
    /// What is written down.
    pub scope: Scope,
    /// What happens while that cannot be done.
    pub failure: Failure,
    /// When lines are on the disk.
    pub sync: Sync,
    /// When a file is ended.
    pub rotation: Rotation,
    /// Whether somebody calls [`super::Log::run`] and [`super::Log::keep`]; else whoever made a line writes it.
    pub has_thread: bool,
}

impl Settings {
    /// Those of a program without a thread for it, on the data directory `dir`: changes, logins and denials.
    #[must_use]
    pub fn of_program(dir: &Path) -> Self {
        Settings {
            folder: dir.join(SEGMENTS),
            scope: Scope::Changes,
            failure: Failure::Refuse,
            sync: Sync::Always,
            rotation: Rotation::default(),
            has_thread: false,
        }
    }
}
