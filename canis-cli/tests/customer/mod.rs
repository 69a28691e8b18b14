//! What a customer has at hand: a folder, the program `canis`, and those of the machine.
#![allow(dead_code)] // each test file takes what it needs

use crate::harness::{Shared, failure, program, stdout};
use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

/// A folder of a customer, with `canis` and `openssl` at hand.
pub(crate) struct Bench<'a> {
    shared: &'a Shared,
    pub(crate) folder: TempDir,
}

impl<'a> Bench<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        Bench { shared, folder: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    pub(crate) fn run(&self, script: &str) -> Output {
        let canis = program("canis");
        let here = canis.parent().unwrap().display();
        let mut command = Command::new("sh");
        command.args(["-euc", script]).current_dir(&self.folder).env("HOME", self.folder.path());
        command.env("PATH", format!("{here}:{}", std::env::var("PATH").unwrap()));
        for (name, value) in self.shared.deployment.canis(&self.shared.server).get_envs() {
            command.env(name, value.unwrap_or_default());
        }
        command.output().unwrap()
    }

    pub(crate) fn ok(&self, script: &str) -> String {
        stdout(&self.run(script))
    }

    pub(crate) fn refused(&self, script: &str, why: &str) {
        let output = self.run(script);
        let error = failure(&output, 3);
        assert!(error.contains(why), "{script}: {error}");
        assert!(output.stdout.is_empty(), "{script}");
    }
}
