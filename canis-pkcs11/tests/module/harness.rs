//! The module of this process, and C programs that load it.

pub(crate) use crate::home::{Home, PIN, SO_PIN, embedded_only, is_remote, library, said, succeed};
use canis_tests::{Site, binary};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

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

/// Runs a server until this process ends: then nobody holds the other end of its standard input any more. What a static
/// holds would not be dropped.
const UNTIL_THE_END: &str =
    r#"home=$1; shift; "$@" >"$home/said" 2>&1 & cat >/dev/null; kill -9 $!; wait; rm -rf "$home""#;

/// A directory that a server holds as long as this process lives.
fn served_directory() -> PathBuf {
    let site = Box::leak(Box::new(Site::with_keyfile()));
    let mut command = Command::new("sh");
    command.args(["-c", UNTIL_THE_END, "sh"]).arg(site.file("")).arg(binary("canis-server"));
    command.arg("--data").arg(site.data()).args(["--listen", "127.0.0.1:0"]);
    let server = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    std::mem::forget(server);
    let begin = Instant::now();
    while !std::fs::read_to_string(site.file("said")).is_ok_and(|said| said.contains("unsealed")) {
        assert!(begin.elapsed() < Duration::from_secs(60), "the server does not start");
        std::thread::sleep(Duration::from_millis(5));
    }
    site.data()
}

/// The module of this process, initialised once, with a store of its own.
pub(crate) fn module() -> &'static Pkcs11 {
    static MODULE: OnceLock<Pkcs11> = OnceLock::new();
    MODULE.get_or_init(|| {
        let data = if is_remote() { served_directory() } else { own_directory() };
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
