//! A store whose core keeps an audit log; shared by the tests of it.
#![allow(dead_code)] // each test file uses its own part

use crate::store::{fresh, open};
use canis_core::audit::{Failure, Rotation, SEGMENTS, Scope, Settings, Sync};
use canis_core::crypto::default_provider;
use canis_core::{Caller, Core};
use canis_proto::audit::{AuditVerified, VerifyAudit};
use std::fs;
use std::path::{Path, PathBuf};

/// A store, and its audited core.
pub(crate) struct Kept {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) core: Core,
    pub(crate) caller: Caller,
    pub(crate) token: String,
}

pub(crate) fn settings(dir: &Path, failure: Failure) -> Settings {
    let folder = dir.join(SEGMENTS);
    Settings {
        folder,
        scope: Scope::All,
        failure,
        sync: Sync::Always,
        rotation: Rotation::default(),
        has_thread: false,
    }
}

impl Kept {
    pub(crate) fn new(failure: Failure) -> Self {
        Kept::with(|dir| settings(dir, failure))
    }

    /// One whose files end at so many bytes.
    pub(crate) fn rotating(bytes: u64) -> Self {
        let rotation = Rotation { bytes, ..Rotation::default() };
        Kept::with(|dir| Settings { rotation, ..settings(dir, Failure::Refuse) })
    }

    fn with(settings: impl FnOnce(&Path) -> Settings) -> Self {
        let opened = fresh(default_provider());
        let settings = settings(opened.dir.path());
        let core = opened.core.audited(settings).unwrap();
        Kept { dir: opened.dir, core, caller: opened.caller, token: opened.token }
    }

    pub(crate) fn folder(&self) -> PathBuf {
        self.dir.path().join(SEGMENTS)
    }

    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let mut files: Vec<_> =
            fs::read_dir(self.folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort();
        files
    }

    pub(crate) fn only_file(&self) -> PathBuf {
        let files = self.files();
        assert_eq!(files.len(), 1);
        files[0].clone()
    }

    /// Ends the log as a program does that ends.
    pub(crate) fn end(&self) {
        self.core.audit().unwrap().end().unwrap();
    }

    /// What another process finds, which writes to a folder of its own.
    pub(crate) fn verified_by_another(&self) -> AuditVerified {
        let core = open(self.dir.path(), default_provider());
        let core = core.audited(settings(self.dir.path(), Failure::Refuse)).unwrap();
        let caller = core.authenticate(&self.token).unwrap();
        core.call(&caller, VerifyAudit).unwrap()
    }
}

/// The lines of every file.
pub(crate) fn lines_of(folder: &Path) -> Vec<serde_json::Value> {
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
