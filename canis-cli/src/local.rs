//! Opening a store of this machine without a server, as its owner.

use crate::args::{Local, RootFile};
use crate::root_credential;
use canis_core::audit::Settings;
use canis_core::clock::SystemClock;
use canis_core::datadir::{DataDir, RootFlags, StoreConfig};
use canis_core::moving::{self, Place};
use canis_core::root::{Credential, HsmHelper};
use canis_core::secret_file::variable;
use canis_core::store::Store;
use canis_core::{Core, Door, Origin, default_provider};
use canis_proto::{Error, ErrorCode, Result};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::sync::Arc;

/// Makes a data directory for its owner alone, unless it is there.
pub(crate) fn make(dir: &DataDir) -> Result<()> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(dir.path());
    made.map_err(|error| {
        Error::new(ErrorCode::StoreUnavailable, format!("cannot make {}: {error}", dir.path().display()))
    })
}

/// Where this program's own requests come from.
pub(crate) fn origin() -> Origin {
    Origin::local(Door::Program, rustix::process::geteuid().as_raw())
}

/// The unsealed store of a data directory.
pub(crate) fn open(local: &Local) -> Result<Core> {
    open_dir(&DataDir::new(&local.data), &local.root)
}

/// The same.
pub(crate) fn open_dir(dir: &DataDir, root: &RootFile) -> Result<Core> {
    open_in(dir, dir.read_config()?.store.as_ref(), root)
}

/// The same where it was said which database has the store, if one does.
pub(crate) fn open_in(dir: &DataDir, database: Option<&StoreConfig>, root: &RootFile) -> Result<Core> {
    let core = core_of(dir, dir.open_any_store(database)?)?;
    if core.has_root() {
        core.unseal(&credential(dir, root)?)?;
    }
    Ok(core)
}

/// What of a store is taken as it is.
#[derive(Clone, Copy, Default)]
pub(crate) struct Accepted {
    /// Its rows, whatever its HSM remembers of it.
    pub(crate) rollback: bool,
    /// That it is here, though it was moved.
    pub(crate) moved: bool,
}

/// The unsealed store of a data directory, and what opened it.
pub(crate) fn open_accepting(local: &Local, accepted: Accepted) -> Result<(Core, Option<Credential>)> {
    let dir = DataDir::new(&local.data);
    if !accepted.moved {
        return unseal_accepting(open_sealed(&dir)?, &dir, &local.root, accepted);
    }
    let store = Place::of(&dir)?.open()?;
    let core = core_of(&dir, Arc::clone(&store) as Arc<dyn Store>)?;
    let opened = unseal_accepting(core, &dir, &local.root, accepted)?;
    moving::accept(&*store, || opened.0.note_own("store.accept-moved"))?;
    Ok(opened)
}

fn unseal_accepting(
    core: Core,
    dir: &DataDir,
    root: &RootFile,
    accepted: Accepted,
) -> Result<(Core, Option<Credential>)> {
    if !core.has_root() {
        return Ok((core, None));
    }
    let credential = credential(dir, root)?;
    if accepted.rollback {
        core.unseal_to_accept(&credential)?;
    } else {
        core.unseal(&credential)?;
    }
    Ok((core, Some(credential)))
}

/// The store of a data directory as it lies there.
pub(crate) fn open_sealed(dir: &DataDir) -> Result<Core> {
    core_of(dir, dir.open_any_store(dir.read_config()?.store.as_ref())?)
}

fn core_of(dir: &DataDir, store: Arc<dyn Store>) -> Result<Core> {
    let core = Core::open(store, default_provider(), Arc::new(SystemClock))?;
    core.set_hsm_helper(hsm_helper());
    core.audited(Settings::of_program(dir.path()))
}

/// This program once more, to load an HSM's library. The token is none of the library's business.
pub(crate) fn hsm_helper() -> HsmHelper {
    let arguments: Vec<String> = std::env::args().collect();
    // A PIN that an argument leads to stays here.
    let secret = arguments.iter().filter_map(|argument| variable(Path::new(argument.rsplit('=').next()?)));
    HsmHelper::this_program().without(&secret.chain(["CANIS_TOKEN"]).collect::<Vec<_>>())
}

/// What the flags lead to, else `canis.toml`.
pub(crate) fn credential(dir: &DataDir, root: &RootFile) -> Result<Credential> {
    if !root.share_file.is_empty() {
        return root_credential::shares(&root.share_file).map(Credential::Shares);
    }
    if let Some(file) = &root.recipient_key {
        return root_credential::recipient_key(file).map(Credential::Recipient);
    }
    let source = dir.read_config()?.root_source(flags(root))?.ok_or_else(|| {
        Error::new(
            ErrorCode::Sealed,
            "no root credential is configured; give --passphrase-file, --keyfile, --hsm-pin-file, --share-file or \
             --recipient-key",
        )
    })?;
    source.credential(&hsm_helper())
}

fn flags(root: &RootFile) -> RootFlags {
    let RootFile { passphrase_file, keyfile, hsm_pin_file, module, .. } = root.clone();
    RootFlags { passphrase_file, keyfile, pin_file: hsm_pin_file, module }
}
