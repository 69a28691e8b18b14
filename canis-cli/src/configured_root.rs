//! What `canis.toml` names as the root's credential, after root slots were changed: a server that starts with one that opens
//! nothing any more stays sealed, which is better learnt now.

use crate::args::Connection;
use crate::door::Door;
use canis_core::datadir::{DataDir, RootSource};
use canis_core::secret_file;
use canis_proto::root::TestRoot;
use canis_proto::{ErrorCode, Result};
use std::path::{Path, PathBuf};

/// Warns if the configured credential opens no slot any more.
pub(crate) fn warn_if_it_opens_nothing(connection: &Connection, data: Option<&PathBuf>, door: &mut Door) {
    let Some(dir) = directory(connection, data) else {
        eprintln!("canis: see that the server's canis.toml names a credential that still opens its store");
        return;
    };
    let Ok(Some(source)) = dir.read_config().map(|config| config.root) else { return };
    let refused = match test(&source, door) {
        // Whatever else is in the way says nothing about the slots.
        Err(error) => {
            matches!(error.code, ErrorCode::RootCredentialWrong | ErrorCode::InvalidArgument).then_some(error)
        }
        Ok(()) => None,
    };
    if let Some(error) = refused {
        eprintln!(
            "canis: warning: the credential that {} names opens no root slot any more, so a server that starts with it \
             stays sealed: {}",
            dir.config_path().display(),
            error.message
        );
    }
}

/// The data directory, if it is one of this host.
fn directory(connection: &Connection, data: Option<&PathBuf>) -> Option<DataDir> {
    let of_socket = || {
        let path = Path::new(connection.addr.strip_prefix("unix:")?);
        Some(if path.is_dir() { path.to_owned() } else { path.parent()?.to_owned() })
    };
    data.cloned().or_else(of_socket).map(DataDir::new)
}

fn test(source: &RootSource, door: &mut Door) -> Result<()> {
    let (kind, secret, module) = match source {
        RootSource::Passphrase { file } => ("passphrase", secret_file::read_line(file)?, String::new()),
        RootSource::Keyfile { file } => ("keyfile", secret_file::read_keyfile(file)?, String::new()),
        RootSource::Hsm { module, file, .. } => {
            ("hsm", secret_file::read_line(file)?, module.display().to_string())
        }
    };
    let asked = TestRoot {
        slot: None,
        kind: kind.into(),
        secret: secret.expose().into(),
        module: module.as_str().into(),
    };
    door.call(asked).map(drop)
}
