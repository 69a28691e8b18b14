//! Where the library is, and a directory for every test that starts programs.

use std::path::PathBuf;
use std::process::{Command, Output};
use tempfile::TempDir;

pub(crate) const SO_PIN: &str = "12345678";
pub(crate) const PIN: &str = "1234";

/// The library under test: cargo puts it beside the test program or one directory above, the newer one counts.
pub(crate) fn library() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let beside = program.parent().unwrap();
    let age = |path: &PathBuf| std::fs::metadata(path).and_then(|m| m.modified()).ok();
    [beside, beside.parent().unwrap()]
        .map(|directory| directory.join("libcanis_pkcs11.so"))
        .into_iter()
        .filter(|path| path.exists())
        .max_by_key(age)
        .expect("libcanis_pkcs11.so is built with the tests")
}

/// A directory for one test: the store, the log, a home.
pub(crate) struct Home {
    directory: TempDir,
}

impl Home {
    pub(crate) fn new() -> Self {
        Home { directory: TempDir::new().unwrap() }
    }

    /// A home whose store has one token with both PINs set, made by pkcs11-tool.
    pub(crate) fn with_token(label: &str) -> Self {
        let home = Home::new();
        home.tool(&["--init-token", "--slot", "0", "--label", label, "--so-pin", SO_PIN]);
        let so = ["--login", "--login-type", "so", "--so-pin", SO_PIN];
        home.tool(&[&["--slot", "0", "--init-pin", "--pin", PIN], &so[..]].concat());
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }

    /// A program that finds this store and nothing of the real user.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command
            .env("CANIS_DATA", self.path("data"))
            .env("CANIS_PKCS11_LOG", self.path("log"))
            .env_remove("CANIS_PKCS11_CONF")
            .env("HOME", self.directory.path())
            .env("XDG_DATA_HOME", self.path("xdg"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("LC_ALL", "C")
            .current_dir(self.directory.path());
        command
    }

    /// Runs pkcs11-tool on the module; it must succeed.
    pub(crate) fn tool(&self, arguments: &[&str]) -> String {
        succeed(self.command("pkcs11-tool").arg("--module").arg(library()).args(arguments))
    }

    /// [`Home::tool`], logged in.
    pub(crate) fn tool_as_user(&self, arguments: &[&str]) -> String {
        self.tool(&[&["--login", "--pin", PIN], arguments].concat())
    }
}

/// Runs a program that must succeed; gives what it said on both channels.
#[track_caller]
pub(crate) fn succeed(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let text = said(&output);
    assert!(output.status.success(), "{command:?} gave {}:\n{text}", output.status);
    text
}

/// Both channels of a program.
pub(crate) fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
