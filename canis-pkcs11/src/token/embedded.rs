//! The core in the host's process, on a directory's store.

use crate::log::Log;
use crate::rv::Result;
use canis_core::clock::SystemClock;
use canis_core::datadir::DataDir;
use canis_core::{Application, Caller, Core, default_provider};
use canis_proto::Id;
use std::path::Path;
use std::sync::Arc;

/// The keeper of keys and what it knows of this host.
pub(crate) struct Keeper {
    /// The core.
    pub(crate) core: Core,
    /// This host: its logins and session objects.
    pub(crate) application: Arc<Application>,
    /// This host, as it looks at the slots.
    pub(crate) slots: Caller,
}

impl Keeper {
    /// Opens the store in a directory, or makes one; `None` if a server holds it.
    ///
    /// # Errors
    /// A directory that cannot be made, a file that is no store or cannot be read.
    pub(crate) fn open(directory: &Path, log: &Log) -> Result<Option<Keeper>> {
        let directory = DataDir::new(directory);
        let shown = directory.path().display();
        if directory.is_locked() {
            log.line(format_args!(
                "no slots: a running canis-server holds {shown}; stop it, or set CANIS_DATA to another directory"
            ));
            return Ok(None);
        }
        let store = directory.open_or_create_store()?;
        let core = Core::open(Arc::new(store), default_provider(), Arc::new(SystemClock))?;
        if core.has_root() {
            unseal(&core, &directory, log);
        }
        log.line(format_args!("working on the store in {shown}"));
        let application = core.application();
        let slots = Caller::pkcs11_slots(&application);
        Ok(Some(Keeper { core, application, slots }))
    }

    /// This host, as it looks at one token.
    pub(crate) fn caller(&self, token: Id) -> Caller {
        Caller::pkcs11(&self.application, token)
    }
}

/// Opens the store's root with the credential that the directory's configuration names. Without it the slots can still
/// be listed; the log says what is missing, and tokens that need the root refuse the login.
fn unseal(core: &Core, directory: &DataDir, log: &Log) {
    let unsealed = directory.read_config().and_then(|config| match config.root {
        Some(source) => core.unseal(&source.credential()?),
        None => {
            log.line(format_args!("the store is sealed: canis.toml names no credential of its root"));
            Ok(())
        }
    });
    if let Err(error) = unsealed {
        log.line(format_args!("the store stays sealed: {error}"));
    }
}
