//! Where the library is, and a directory for every test that starts programs.
//!
//! Each of these test targets has a twin whose name ends in `_remote`: the same sources, with a server that holds the
//! directory, so that the module works at its socket.

use canis_tests::{Server, Site};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::OnceLock;
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

/// Whether the module under test works at a server.
pub(crate) fn is_remote() -> bool {
    env!("CARGO_CRATE_NAME").ends_with("_remote")
}

/// Whether a test is not for a module at a server, for a reason that docs/pkcs11.md gives, too.
pub(crate) fn embedded_only(_reason: &str) -> bool {
    is_remote()
}

/// A directory for one test: the store, the log, a home.
pub(crate) struct Home {
    place: Place,
    /// The serial number of the token that programs are to see alone.
    serial: OnceLock<String>,
}

enum Place {
    Alone(TempDir),
    /// The server ends before its directory goes.
    Served {
        _server: Server,
        site: Site,
    },
}

impl Home {
    pub(crate) fn new() -> Self {
        let place = if is_remote() {
            let site = Site::with_keyfile();
            Place::Served { _server: site.start().unsealed(), site }
        } else {
            Place::Alone(TempDir::new().unwrap())
        };
        Home { place, serial: OnceLock::new() }
    }

    /// A home whose store has one token with both PINs set, made by pkcs11-tool.
    pub(crate) fn with_token(label: &str) -> Self {
        let home = Home::new();
        home.tool(&["--init-token", "--slot", &home.slot(0), "--label", label, "--so-pin", SO_PIN]);
        let so = ["--login", "--login-type", "so", "--so-pin", SO_PIN];
        home.tool(&[&["--slot", &home.slot(0), "--init-pin", "--pin", PIN], &so[..]].concat());
        if is_remote() {
            let listed = home.tool(&["-L"]);
            let (_, shown) = listed.split_once(&format!("token label        : {label}\n")).unwrap();
            let serial = shown.lines().find_map(|line| line.trim().strip_prefix("serial num")).unwrap();
            home.serial.set(serial.trim_start_matches([' ', ':']).to_owned()).unwrap();
        }
        home
    }

    /// The number of the `at`th slot that tests fill; a server has one before them, its own.
    pub(crate) fn slot(&self, at: usize) -> String {
        (at + usize::from(is_remote())).to_string()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        match &self.place {
            Place::Alone(directory) => directory.path().join(name),
            Place::Served { site, .. } => site.file(name),
        }
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
            .env("CANIS_TEST_SLOT", self.slot(0))
            .envs(self.serial.get().map(|serial| ("CANIS_TENANT", serial)))
            .env("HOME", self.path(""))
            .env("XDG_DATA_HOME", self.path("xdg"))
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("LC_ALL", "C")
            .current_dir(self.path(""));
        command
    }

    /// Runs pkcs11-tool on the module; it must succeed.
    pub(crate) fn tool(&self, arguments: &[&str]) -> String {
        let mut command = self.command("pkcs11-tool");
        if arguments.contains(&"--slot") {
            // It says itself which token it means.
            command.env_remove("CANIS_TENANT");
        }
        succeed(command.arg("--module").arg(library()).args(arguments))
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
