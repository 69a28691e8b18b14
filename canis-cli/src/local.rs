//! Opening a store of this machine without a server, as its owner.

use crate::args::{Local, RootFile};
use canis_core::clock::SystemClock;
use canis_core::datadir::{DataDir, RootFlags};
use canis_core::{Core, default_provider};
use canis_proto::{Error, ErrorCode, Result};
use std::sync::Arc;

/// The unsealed store of a data directory.
pub(crate) fn open(local: &Local) -> Result<Core> {
    open_dir(&DataDir::new(&local.data), &local.root)
}

/// The same.
pub(crate) fn open_dir(dir: &DataDir, root: &RootFile) -> Result<Core> {
    let core = Core::open(Arc::new(dir.open_store()?), default_provider(), Arc::new(SystemClock))?;
    if core.has_root() {
        let source = dir.read_config()?.root_source(flags(root))?;
        let Some(source) = source else {
            return Err(Error::new(
                ErrorCode::Sealed,
                "no root credential is configured; give --passphrase-file, --keyfile or --hsm-pin-file",
            ));
        };
        core.unseal(&source.credential()?)?;
    }
    Ok(core)
}

fn flags(root: &RootFile) -> RootFlags {
    let RootFile { passphrase_file, keyfile, hsm_pin_file, module } = root.clone();
    RootFlags { passphrase_file, keyfile, pin_file: hsm_pin_file, module }
}
