//! Files without a name.

use canis_proto::{Error, ErrorCode, Result};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// A file that was made at `path` and has lost that name already; it lives as long as it is open.
///
/// # Errors
/// `store_unavailable`.
pub(super) fn file(path: &Path) -> Result<File> {
    let made = || {
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
        std::fs::remove_file(path).map(|()| file)
    };
    made()
        .map_err(|e| Error::new(ErrorCode::StoreUnavailable, format!("cannot make {}: {e}", path.display())))
}
