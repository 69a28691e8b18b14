//! Opening a store of this machine without a server, as its owner.

use crate::args::{Local, RootFile};
use canis_core::clock::SystemClock;
use canis_core::datadir::{DataDir, RootSource};
use canis_core::{Core, default_provider};
use canis_proto::{Error, ErrorCode, Result};
use std::sync::Arc;

/// The unsealed store of a data directory.
pub(crate) fn open(local: &Local) -> Result<Core> {
    let dir = DataDir::new(&local.data);
    let core = Core::open(Arc::new(dir.open_store()?), default_provider(), Arc::new(SystemClock))?;
    if core.has_root() {
        let source = match source(&local.root) {
            Some(source) => Some(source),
            None => dir.read_config()?.root,
        };
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

fn source(root: &RootFile) -> Option<RootSource> {
    let passphrase = root.passphrase_file.clone().map(|file| RootSource::Passphrase { file });
    let keyfile = root.keyfile.clone().map(|file| RootSource::Keyfile { file });
    let pin = root.hsm_pin_file.clone().map(|file| RootSource::Hsm { file });
    passphrase.or(keyfile).or(pin)
}
