//! The first bytes of `canis.dat`, looked at without opening it.

use super::schema::{APPLICATION_ID, FORMAT, FORMAT_AWAY};
use canis_proto::{Error, ErrorCode, Result};
use std::fs::File;
use std::io::Read;
use std::path::Path;

/// Whether the file at `path` is a store that this CANIS reads. To be asked by a process that does not have it open: closing the
/// file again would take away the locks of one that does.
///
/// # Errors
/// `store_unavailable` if it cannot be read, `store_format` if it is something else.
pub fn check_header(path: &Path) -> Result<()> {
    let shown = path.display();
    let unreadable = |error| Error::new(ErrorCode::StoreUnavailable, format!("cannot read {shown}: {error}"));
    let strange = |why: String| Error::new(ErrorCode::StoreFormat, format!("{shown} {why}"));
    // The file format of SQLite, section 1.3.
    let mut header = [0; 100];
    let mut file = File::open(path).map_err(unreadable)?;
    if let Err(error) = file.read_exact(&mut header) {
        return Err(match error.kind() {
            std::io::ErrorKind::UnexpectedEof => {
                strange("is cut short: put a backup in its place".to_owned())
            }
            _ => unreadable(error),
        });
    }
    let number = |at: usize| header[at..at + 4].iter().fold(0, |all, byte| all << 8 | i64::from(*byte));
    if !header.starts_with(b"SQLite format 3\0") || number(68) != APPLICATION_ID {
        return Err(strange("is no store of CANIS; is --data right?".to_owned()));
    }
    match number(60) {
        FORMAT => Ok(()),
        FORMAT_AWAY => Err(Error::new(
            ErrorCode::StoreMoved,
            format!(
                "{shown} was moved elsewhere, or only a part of it has come here; `canis store verify` says where"
            ),
        )),
        format => Err(strange(format!(
            "has format {format}; this CANIS reads format {FORMAT}. Use the CANIS that wrote it, or a newer one"
        ))),
    }
}
