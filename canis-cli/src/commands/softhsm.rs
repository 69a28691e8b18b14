//! `canis import softhsm`: the objects of a PKCS#11 token, SoftHSM2's or another's, go into a token of a data directory.
//!
//! Keys come out of the other token wrapped by an AES key that is drawn here and given to it for this one session; so
//! sensitive keys come along if they are extractable. What a token does not let go is named.

use super::token_objects::{Taken, take};
use crate::args::Local;
use crate::transfer_args::ImportSoftHsm;
use crate::{files, local, secret_file, show};
use canis_core::datadir::DataDir;
use canis_core::object::{Content, CreateObject, FindObjects, ImportObject, Wanted};
use canis_core::secret::SecretBytes;
use canis_core::token::{ListTokens, Login, Role};
use canis_core::{Caller, Core};
use canis_proto::{Error, ErrorCode, Result, quote};
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::session::{Session, UserType};
use cryptoki::types::AuthPin;
use serde_json::json;
use std::path::Path;
use std::process::{Command, ExitCode};

/// Tells the process that was started with `--tokens` that SOFTHSM2_CONF names them already.
const STARTED: &str = "CANIS_IMPORT_TOKENS";

pub(crate) fn run(args: &ImportSoftHsm, json: bool) -> Result<ExitCode> {
    match &args.tokens {
        Some(tokens) if std::env::var_os(STARTED).is_none() => run_with(tokens),
        _ => import(args, json),
    }
}

/// SoftHSM2 reads from its environment where its tokens are, and ours cannot change: the work is done by a process that
/// has it from the start.
fn run_with(tokens: &Path) -> Result<ExitCode> {
    let failed = |error: std::io::Error| Error::invalid(format!("cannot use {}: {error}", tokens.display()));
    let tokens = std::fs::canonicalize(tokens).map_err(failed)?;
    let conf = tempfile::NamedTempFile::new().map_err(failed)?;
    std::fs::write(conf.path(), format!("directories.tokendir = {}\n", tokens.display())).map_err(failed)?;
    let mut again = Command::new(std::env::current_exe().map_err(failed)?);
    again.args(std::env::args_os().skip(1)).env("SOFTHSM2_CONF", conf.path()).env(STARTED, "yes");
    let code = again.status().map_err(failed)?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn import(args: &ImportSoftHsm, json: bool) -> Result<ExitCode> {
    let pin = secret_file::read_line(&args.pin_file, "PIN")?;
    let into_pin = secret_file::read_line(&args.into_pin_file, "PIN")?;
    let taken = read_token(&args.from_module, &args.token, &pin)?;
    // A running server owns the directory; two owners would not know of each other's changes.
    let _share = DataDir::new(&args.local.data).share()?;
    let (core, caller) = log_in(&args.local, &args.into, &into_pin)?;
    let mut report = Report::default();
    for (name, object) in taken {
        match object.and_then(|object| keep(&core, &caller, object)) {
            Ok(()) => report.taken.push(name),
            Err(error) => report.left.push((name, error)),
        }
    }
    report.show(json)
}

#[derive(Default)]
struct Report {
    taken: Vec<String>,
    left: Vec<(String, Error)>,
}

impl Report {
    /// Exit code 1 if something was left behind.
    fn show(&self, as_json: bool) -> Result<ExitCode> {
        if as_json {
            let left: Vec<_> = self
                .left
                .iter()
                .map(|(name, error)| json!({"object": name, "code": error.code.name(), "why": error.message}))
                .collect();
            show::json(&json!({"taken": self.taken, "left": left}))?;
        } else {
            let taken = self.taken.iter().map(|name| format!("taken  {name}\n"));
            let left = self.left.iter().map(|(name, error)| format!("left   {name}: {}\n", error.message));
            files::print(taken.chain(left).collect::<String>().as_bytes())?;
        }
        Ok(if self.left.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(1) })
    }
}

/// Every object of a token, with the name that people know it by, or why it stays there.
fn read_token(module: &Path, token: &str, pin: &SecretBytes) -> Result<Vec<(String, Result<Taken>)>> {
    let failed = |error: cryptoki::error::Error| {
        Error::new(
            ErrorCode::RootUnavailable,
            format!("the token `{}` cannot be read: {error}", quote(token)),
        )
    };
    let library = Pkcs11::new(module).map_err(failed)?;
    library.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK)).map_err(failed)?;
    let slots = library.get_slots_with_initialized_token().map_err(failed)?;
    let mut named = slots
        .into_iter()
        .filter(|slot| library.get_token_info(*slot).is_ok_and(|info| info.label() == token));
    let (Some(slot), None) = (named.next(), named.next()) else {
        return Err(Error::new(
            ErrorCode::TenantNotFound,
            format!("there is not exactly one token labelled `{}`", quote(token)),
        ));
    };
    let session: Session = library.open_rw_session(slot).map_err(failed)?;
    let pin =
        std::str::from_utf8(pin.expose()).map_err(|_| Error::invalid("the token's PIN is not UTF-8"))?;
    session.login(UserType::User, Some(&AuthPin::new(pin.into()))).map_err(failed)?;
    take(&session)
}

fn log_in(local: &Local, label: &str, pin: &SecretBytes) -> Result<(Core, Caller)> {
    let core = local::open(local)?;
    let tokens = core.call(&Caller::anonymous().from(local::origin()), ListTokens)?;
    let mut named = tokens.iter().filter(|token| token.label == label);
    let (Some(token), None) = (named.next(), named.next()) else {
        return Err(Error::new(
            ErrorCode::TenantNotFound,
            format!("there is not exactly one token labelled `{}` in the data directory", quote(label)),
        ));
    };
    let caller = Caller::pkcs11(&core.application(), token.id).from(local::origin());
    core.call(&caller, Login { role: Role::User, pin: pin.into() })?;
    Ok((core, caller))
}

/// Keeps an object unless one like it is there: asked twice, nothing stands twice.
fn keep(core: &Core, caller: &Caller, object: Taken) -> Result<()> {
    let Content { class, label, id, .. } = object.content();
    let wanted = Wanted { class: Some(*class), label: Some(label), id: Some(id), ..Wanted::default() };
    if !core.call(caller, FindObjects { wanted })?.objects.is_empty() {
        return Err(Error::new(
            ErrorCode::KeyExists,
            "an object of this class, label and id is there already",
        ));
    }
    match object {
        Taken::Key(parts, content) => {
            core.call(caller, ImportObject { parts, session: None, content }).map(drop)
        }
        Taken::Public(content) => core.call(caller, CreateObject { session: None, content }).map(drop),
    }
}
