//! A PKCS#11 module in front of another one that writes down every call and misbehaves when told to.

use crate::run::run;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The module, built anew in a directory of its own.
pub struct Shim {
    dir: tempfile::TempDir,
    /// How many calls were told already.
    told: AtomicUsize,
}

impl Shim {
    /// One in front of the module at `real`.
    ///
    /// # Panics
    /// If there is no C compiler.
    #[must_use]
    pub fn before(real: &str) -> Self {
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary directory: {e}"));
        let shim = Shim { dir, told: AtomicUsize::new(0) };
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/shim.c");
        let mut cc = Command::new("cc");
        cc.args(["-shared", "-fPIC", "-O1", "-o"]).arg(shim.module());
        run(cc.arg(format!("-DREAL=\"{real}\"")).args([source, "-ldl"]), b"").ok();
        shim
    }

    /// Its path.
    #[must_use]
    pub fn module(&self) -> PathBuf {
        self.dir.path().join("shim.so")
    }

    /// Lets it misbehave by these rules from now on: `C_Decrypt abort` and the like (`shim.c` has them all).
    ///
    /// # Panics
    /// If they cannot be written.
    pub fn rule(&self, rules: &str) {
        // Whole or not at all: it may be reading them.
        let written = std::fs::write(self.file("new"), rules)
            .and_then(|()| std::fs::rename(self.file("new"), self.file("rules")));
        written.unwrap_or_else(|e| panic!("the rules cannot be written: {e}"));
    }

    /// The functions that were called since this was asked last, in their order.
    #[must_use]
    pub fn calls(&self) -> Vec<String> {
        let calls = self.untold();
        self.told.fetch_add(calls.len(), Ordering::Relaxed);
        calls
    }

    /// How often one function was called, since `calls` was asked last.
    #[must_use]
    pub fn count(&self, function: &str) -> usize {
        self.untold().iter().filter(|line| *line == function).count()
    }

    /// The file stays as it is: whatever is taken out of it might be lost with a call that comes at the same time.
    fn untold(&self) -> Vec<String> {
        let calls = std::fs::read_to_string(self.file("calls")).unwrap_or_default();
        calls.lines().skip(self.told.load(Ordering::Relaxed)).map(str::to_owned).collect()
    }

    fn file(&self, name: &str) -> PathBuf {
        Path::new(self.dir.path()).join(name)
    }
}
