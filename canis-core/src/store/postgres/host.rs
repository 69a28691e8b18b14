//! Which of the hosts that share a database this is: a name drawn once and kept in the data directory.

use canis_proto::{Error, ErrorCode, Id, Result};
use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// The file that holds it.
const FILE: &str = "canis.host";

/// The name of the host whose data directory is `folder`; drawn if there is none.
///
/// # Errors
/// `store_unavailable` naming the file.
pub(super) fn of(folder: &Path) -> Result<Id> {
    let path = folder.join(FILE);
    let failed = |what: &dyn std::fmt::Display| {
        Error::new(ErrorCode::StoreUnavailable, format!("{}: {what}", path.display()))
    };
    let mut text = String::new();
    match File::open(&path).and_then(|mut file| file.read_to_string(&mut text)) {
        Ok(_) => return Id::parse(text.trim()).ok_or_else(|| failed(&"it holds no host's name; restore it")),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => return Err(failed(&error)),
    }
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|error| failed(&error))?;
    // A UUID of version 4, as every id is.
    (id[6], id[8]) = (id[6] & 0x0f | 0x40, id[8] & 0x3f | 0x80);
    let draft = folder.join(format!("{FILE}.{}", Id(id)));
    let write = || {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&draft)?;
        writeln!(file, "{}", Id(id))?;
        file.sync_all()?;
        // It appears whole, and once: another process of this host may be as far.
        let linked = std::fs::hard_link(&draft, &path);
        std::fs::remove_file(&draft)?;
        linked
    };
    match write() {
        Ok(()) => Ok(Id(id)),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.exists() => of(folder),
        Err(error) => Err(failed(&error)),
    }
}
