//! The core in the host's process, on a directory's store.

use super::opened::Token;
use crate::log::Log;
use crate::rv::Result;
use canis_core::audit::{Scope, Settings};
use canis_core::clock::SystemClock;
use canis_core::datadir::{DataDir, DirLock};
use canis_core::object::KeyHandle;
use canis_core::root::HsmHelper;
use canis_core::{Application, Caller, Core, Door, Origin, Run, default_provider};
use canis_proto::{Error, ErrorCode, Id};
use std::path::Path;
use std::sync::Arc;

/// The core and what it knows of this host.
pub(crate) struct Embedded {
    /// The core.
    pub(super) core: Core,
    /// This host: its logins and session objects.
    pub(super) application: Arc<Application>,
    /// This host, as it looks at the slots.
    pub(super) slots: Caller,
    /// Keeps servers off the directory.
    _share: DirLock,
}

/// A key opened in the core.
pub(crate) struct OpenedHere {
    /// The key.
    pub(super) key: Arc<KeyHandle>,
    /// Who uses it; a copy of its own, so that threads share no reference count while they work.
    pub(super) caller: Caller,
}

impl Embedded {
    /// Opens the store in a directory, or makes one; `None` if a server holds it, none can be made, or it stays sealed.
    ///
    /// # Errors
    /// A file that is no store or cannot be read.
    pub(crate) fn open(
        directory: &Path,
        audit: Option<Scope>,
        helper: &HsmHelper,
        log: &Log,
    ) -> Result<Option<Embedded>> {
        let directory = DataDir::new(directory);
        let shown = directory.path().display();
        if directory.is_locked() {
            log.line(format_args!(
                "no slots: a running canis-server holds {shown}; stop it, or set CANIS_DATA to another directory"
            ));
            return Ok(None);
        }
        let store = match directory.open_or_create_store() {
            Ok(store) => store,
            // Modules are loaded on suspicion, also in processes that may write nowhere.
            Err(error) if !directory.store_exists() => {
                log.line(format_args!(
                    "no slots: there is no store in {shown} and none can be made: {error}"
                ));
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        };
        // Only now is there a directory for sure. A server that came in between holds it already.
        let share = match directory.share() {
            Err(error) if error.code == ErrorCode::StoreLocked => {
                log.line(format_args!("no slots: {error}"));
                return Ok(None);
            }
            shared => shared?,
        };
        let mut core = Core::open(Arc::new(store), default_provider(), Arc::new(SystemClock))?;
        if let Some(scope) = audit {
            core = core.audited(Settings { scope, ..Settings::of_program(directory.path()) })?;
        }
        if let Err(error) = unseal(&core, &directory, helper) {
            log.line(format_args!("no slots: the store in {shown} is sealed: {error}"));
            return Ok(None);
        }
        log.line(format_args!("working on the store in {shown}"));
        let application = core.application();
        let slots = Caller::pkcs11_slots(&application).from(origin());
        Ok(Some(Embedded { core, application, slots, _share: share }))
    }

    /// This host, as it looks at one token.
    pub(super) fn caller(&self, token: Id) -> Caller {
        Caller::pkcs11(&self.application, token).from(self.slots.origin())
    }

    /// Asks the core.
    pub(super) fn call<R: Run>(&self, token: &Token, request: R) -> canis_proto::Result<R::Answer> {
        self.core.call(seat(token)?, request)
    }
}

/// This host, as the kernel sees it.
fn origin() -> Origin {
    Origin::local(Door::Pkcs11, rustix::process::geteuid().as_raw())
}

/// Who this host is at a token.
pub(super) fn seat(token: &Token) -> canis_proto::Result<&Caller> {
    token.caller.as_ref().ok_or_else(|| Error::internal("a token of another keeper"))
}

/// Opens the store's root, if it has one, with the credential that the directory's configuration names. What the store
/// says about its tokens is sealed, too, so without the root there is nothing to show.
fn unseal(core: &Core, directory: &DataDir, helper: &HsmHelper) -> Result<(), Error> {
    if !core.has_root() {
        return Ok(());
    }
    match directory.read_config()?.root {
        Some(source) => core.unseal(&source.credential(helper)?),
        None => {
            let file = directory.config_path();
            Err(Error::new(ErrorCode::Sealed, format!("{} names no credential of its root", file.display())))
        }
    }
}
