//! SoftHSM2 with a token of its own.

use crate::run::run;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A SoftHSM2 configuration with one initialised token. Programs see it through `SOFTHSM2_CONF`.
pub struct SoftHsm {
    dir: tempfile::TempDir,
    /// The token's label.
    pub label: String,
}

impl SoftHsm {
    /// The user PIN of every token made here.
    pub const PIN: &'static str = "softhsm-user-pin";
    /// The library.
    pub const MODULE: &'static str = "/usr/lib/softhsm/libsofthsm2.so";

    /// Makes a token labelled `label`.
    ///
    /// # Panics
    /// If softhsm2 is not installed; `scripts/test` installs it.
    #[must_use]
    pub fn new(label: &str) -> Self {
        let dir = tempfile::tempdir().unwrap_or_else(|e| panic!("no temporary directory: {e}"));
        let tokens = dir.path().join("tokens");
        let config = format!("directories.tokendir = {}\nlog.level = ERROR\n", tokens.display());
        let written = std::fs::create_dir(&tokens)
            .and_then(|()| std::fs::write(dir.path().join("softhsm2.conf"), config));
        written.unwrap_or_else(|e| panic!("cannot write SoftHSM2's configuration: {e}"));
        let hsm = SoftHsm { dir, label: label.to_owned() };
        hsm.add_token(label);
        hsm
    }

    /// Makes a further token.
    ///
    /// # Panics
    /// If softhsm2-util fails.
    pub fn add_token(&self, label: &str) {
        let mut util = Command::new("softhsm2-util");
        util.args([
            "--init-token",
            "--free",
            "--so-pin",
            "softhsm-so-pin",
            "--pin",
            Self::PIN,
            "--label",
            label,
        ]);
        run(util.env("SOFTHSM2_CONF", self.config()), b"").ok();
    }

    /// What `SOFTHSM2_CONF` must name.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.dir.path().join("softhsm2.conf")
    }

    /// Where the token lives.
    #[must_use]
    pub fn tokens(&self) -> PathBuf {
        self.dir.path().join("tokens")
    }

    /// Takes the token away, as if it were pulled.
    ///
    /// # Panics
    /// If the directory cannot be renamed.
    pub fn unplug(&self) {
        rename(&self.tokens(), &self.dir.path().join("unplugged"));
        std::fs::create_dir(self.tokens())
            .unwrap_or_else(|e| panic!("cannot make an empty token directory: {e}"));
    }

    /// Puts it back.
    ///
    /// # Panics
    /// If the directory cannot be renamed.
    pub fn plug(&self) {
        std::fs::remove_dir(self.tokens())
            .unwrap_or_else(|e| panic!("the token directory was used meanwhile: {e}"));
        rename(&self.dir.path().join("unplugged"), &self.tokens());
    }
}

fn rename(from: &Path, to: &Path) {
    std::fs::rename(from, to).unwrap_or_else(|e| panic!("cannot rename {}: {e}", from.display()));
}
