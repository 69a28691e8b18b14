//! A temporary directory with empty tokens of every kind of module that the tool can set up, the environment in which
//! modules find them, and children that run in it.

use super::plan::{Plan, Target, Which};
use canis_proto::{Error, Result};
use serde::de::DeserializeOwned;
use std::ffi::OsString;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where children work.
pub(super) struct Workplace {
    directory: Option<tempfile::TempDir>,
}

/// The PIN files.
const USER_PIN: &str = "user.pin";
const SO_PIN: &str = "so.pin";

impl Workplace {
    /// The environment as it is, for tokens that are there.
    pub(super) fn found() -> Self {
        Workplace { directory: None }
    }

    /// A place of its own for new tokens, with PINs made at random.
    pub(super) fn new() -> Result<Self> {
        let directory = tempfile::tempdir().map_err(failed)?;
        let path = directory.path();
        std::fs::create_dir(path.join("softhsm2")).map_err(failed)?;
        let softhsm2 =
            format!("directories.tokendir = {}\nlog.level = ERROR\n", path.join("softhsm2").display());
        std::fs::write(path.join("softhsm2.conf"), softhsm2).map_err(failed)?;
        let kryoptic = [0, 1].map(|slot| {
            let database = path.join(format!("kryoptic{slot}.sql"));
            format!("[[slots]]\nslot = {slot}\ndbtype = \"sqlite\"\ndbargs = \"{}\"\n", database.display())
        });
        std::fs::write(path.join("kryoptic.conf"), kryoptic.concat()).map_err(failed)?;
        for name in [USER_PIN, SO_PIN] {
            write_pin(&path.join(name))?;
        }
        Ok(Workplace { directory: Some(directory) })
    }

    fn path(&self, name: &str) -> Result<PathBuf> {
        let directory = self.directory.as_ref();
        directory.map(|d| d.path().join(name)).ok_or_else(|| Error::internal("this place was not made"))
    }

    /// Makes a token of `module` with this label and so many objects.
    pub(super) fn make_token(&self, module: &Path, label: &str, objects: usize) -> Result<Target> {
        let token = Which::Label(label.to_owned());
        let target = Target { module: module.to_owned(), token, pin: self.path(USER_PIN)? };
        let plan = Plan::Prepare { target: target.clone(), so_pin: self.path(SO_PIN)?, objects };
        let made: super::plan::Made = self.child(&plan)?;
        if objects > 0 {
            eprintln!("{objects} objects on `{label}` in {:.1} s", made.seconds);
        }
        Ok(target)
    }

    /// Lets a child do a plan.
    pub(super) fn child<T: DeserializeOwned>(&self, plan: &Plan) -> Result<T> {
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        let output = self.pipe(command.args(WORKER), plan)?;
        serde_json::from_slice(&output.stdout)
            .map_err(|_| Error::invalid(format!("the measuring child ended with {}", output.status)))
    }

    /// Lets a program start the child with a plan, and gives back what it wrote to stderr.
    pub(super) fn child_under(&self, program: &[OsString], plan: &Plan) -> Result<String> {
        let [name, args @ ..] = program else { return Err(Error::internal("no program")) };
        let mut command = Command::new(name);
        command.args(args).arg(std::env::current_exe().map_err(failed)?).args(WORKER);
        let output = self.pipe(command.stderr(Stdio::piped()), plan)?;
        let shown = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() { Ok(shown) } else { Err(Error::invalid(shown)) }
    }

    fn pipe(&self, command: &mut Command, plan: &Plan) -> Result<std::process::Output> {
        if let Some(directory) = &self.directory {
            let path = directory.path();
            command
                .env("CANIS_DATA", path.join("canis"))
                .env_remove("CANIS_PKCS11_CONF")
                .env("SOFTHSM2_CONF", path.join("softhsm2.conf"))
                .env("KRYOPTIC_CONF", path.join("kryoptic.conf"));
        }
        let name = command.get_program().to_string_lossy().into_owned();
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.map_err(|e| Error::invalid(format!("cannot start {name}: {e}")))?;
        let plan = serde_json::to_vec(plan).map_err(|e| Error::internal(e.to_string()))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(&plan).map_err(failed)?;
        }
        child.wait_with_output().map_err(failed)
    }
}

/// How the program starts itself as a child.
pub(super) const WORKER: [&str; 2] = ["bench", "worker"];

fn failed(error: std::io::Error) -> Error {
    Error::invalid(format!("the measurement cannot be prepared: {error}"))
}

fn write_pin(path: &Path) -> Result<()> {
    let mut random = [0; 8];
    getrandom::fill(&mut random)
        .map_err(|e| Error::internal(format!("the operating system gives no random bytes: {e}")))?;
    let pin = base16ct::lower::encode_string(&random);
    let file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(pin.as_bytes())).map_err(failed)
}
