//! Where the library is, directories of its own for every program, and the module of this process.

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Mutex, OnceLock, PoisonError};
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

/// Compiles a C program of this directory.
pub(crate) fn compile(home: &Home, name: &str) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/module/c").join(format!("{name}.c"));
    let program = home.path(name);
    let flags = ["-std=c11", "-D_GNU_SOURCE", "-Wall", "-Werror", "-O1", "-pthread", "-o"];
    succeed(Command::new("cc").args(flags).arg(&program).arg(source).arg("-ldl"));
    program
}

/// A directory for this process. Those of processes that have ended are cleared away: a static is never dropped.
fn own_directory() -> PathBuf {
    let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pkcs11-in-process");
    std::fs::create_dir_all(&all).unwrap();
    for left in std::fs::read_dir(&all).unwrap().flatten() {
        if !Path::new("/proc").join(left.file_name()).exists() {
            let _ = std::fs::remove_dir_all(left.path());
        }
    }
    all.join(std::process::id().to_string())
}

/// The module of this process, initialised once, with a store of its own.
pub(crate) fn module() -> &'static Pkcs11 {
    static MODULE: OnceLock<Pkcs11> = OnceLock::new();
    MODULE.get_or_init(|| {
        let data = own_directory();
        // SAFETY: tests that start programs read the environment through the same lock of the standard library, and
        // the module reads it only within `initialize` below.
        unsafe { std::env::set_var("CANIS_DATA", &data) };
        let module = Pkcs11::new(library()).unwrap();
        module.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).unwrap();
        module
    })
}

pub(crate) fn pin(text: &str) -> AuthPin {
    AuthPin::from(text.to_owned())
}

/// A new token with only the SO PIN.
pub(crate) fn bare_token(label: &str) -> Slot {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let slots = module().get_all_slots().unwrap();
    let empty = *slots.last().unwrap();
    assert!(!module().get_token_info(empty).unwrap().token_initialized());
    module().init_token(empty, &pin(SO_PIN), label).unwrap();
    empty
}

/// A new token with both PINs.
pub(crate) fn token(label: &str) -> Slot {
    let slot = bare_token(label);
    let session = module().open_rw_session(slot).unwrap();
    session.login(UserType::So, Some(&pin(SO_PIN))).unwrap();
    session.init_pin(&pin(PIN)).unwrap();
    slot
}

/// A R/W session with a new token, logged in as user.
pub(crate) fn user_session(label: &str) -> Session {
    let session = module().open_rw_session(token(label)).unwrap();
    session.login(UserType::User, Some(&pin(PIN))).unwrap();
    session
}

/// Asserts that the module refused with this code.
#[track_caller]
pub(crate) fn refused<T: std::fmt::Debug>(outcome: Result<T, Error>, wanted: RvError) {
    match outcome {
        Err(Error::Pkcs11(rv, _)) if rv == wanted => {}
        other => panic!("wanted {wanted:?}, got {other:?}"),
    }
}
