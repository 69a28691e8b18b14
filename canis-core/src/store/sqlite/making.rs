//! Making a store: beside its place first, and then there with everything in it, or not at all.

use super::{SqliteStore, connection, lock_file, write};
use crate::store::filling::{Fill, Filling};
use crate::store::{Change, Ledger, Row};
use canis_proto::{Error, ErrorCode, Result};
use rusqlite::Connection;
use std::fs::File;
use std::path::{Path, PathBuf};

impl SqliteStore {
    /// Makes an empty store and writes the first rows into it in one transaction. The file appears at `path` whole
    /// or not at all: it is written beside it and renamed.
    ///
    /// # Errors
    /// `store_exists` if there is one, `store_full`, `store_unavailable`.
    pub fn create(path: &Path, first: &[Change], ledger: Option<&dyn Ledger>) -> Result<()> {
        SqliteStore::create_by(path, &mut |filling| filling.change(first, ledger))
    }

    /// The same, filled by several transactions.
    ///
    /// # Errors
    /// Those of [`SqliteStore::create`] and of `fill`; then there is no store.
    pub(crate) fn create_by(path: &Path, fill: &mut Fill<'_>) -> Result<()> {
        let draft = draft_of(path);
        create_with(path, &mut |connection| fill(&mut Draft { path: &draft, connection }))
    }
}

/// Makes a store that `fill` writes to.
///
/// # Errors
/// Those of [`SqliteStore::create`] and of `fill`; then there is no store.
pub(super) fn create_with(path: &Path, fill: &mut dyn FnMut(&mut Connection) -> Result<()>) -> Result<()> {
    let _lock = lock_file(path)?;
    if path.exists() {
        return Err(Error::new(
            ErrorCode::StoreExists,
            format!("{} exists already; it was left as it is", path.display()),
        ));
    }
    let log = path.with_extension("dat-wal");
    if log.exists() {
        // SQLite would play it into the new file, whatever it was the log of.
        return Err(Error::new(
            ErrorCode::StoreExists,
            format!("{} is there without its store; move it away first", log.display()),
        ));
    }
    let draft = draft_of(path);
    let leftovers = [draft.clone(), path.with_extension("dat.new-journal")];
    let clean = || leftovers.iter().for_each(|file| drop(std::fs::remove_file(file)));
    clean(); // what an init that died may have left
    let made = write_draft(&draft, fill).and_then(|()| publish(&draft, path));
    if made.is_err() {
        clean();
    }
    made
}

fn draft_of(path: &Path) -> PathBuf {
    path.with_extension("dat.new")
}

/// A store beside its place; each call is a transaction.
struct Draft<'a> {
    path: &'a Path,
    connection: &'a mut Connection,
}

impl Filling for Draft<'_> {
    fn bring(&mut self, rows: Vec<Row>) -> Result<()> {
        let changes: Vec<Change> = rows.into_iter().map(Change::Restore).collect();
        self.change(&changes, None)
    }

    fn change(&mut self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()> {
        write::commit(self.path, self.connection, changes, ledger)
    }
}

fn write_draft(draft: &Path, fill: &mut dyn FnMut(&mut Connection) -> Result<()>) -> Result<()> {
    let mut connection = connection::create(draft)?;
    fill(&mut connection)?;
    connection.close().map_err(|(_, e)| connection::explain(draft, &e))
}

/// Renames the finished file into place; it and its name are on the disk before this returns.
fn publish(draft: &Path, path: &Path) -> Result<()> {
    let publish = || -> std::io::Result<()> {
        std::fs::rename(draft, path)?;
        let directory = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(directory)?.sync_all()
    };
    publish().map_err(|e| {
        Error::new(ErrorCode::StoreUnavailable, format!("cannot put {} in place: {e}", path.display()))
    })
}
