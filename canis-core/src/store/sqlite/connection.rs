//! Opening `canis.dat`, and what its errors mean to a person.

use super::schema::{APPLICATION_ID, FORMAT, FORMAT_AWAY, TABLES};
use canis_proto::{Error, ErrorCode, Result};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode as Sqlite, OpenFlags};
use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

/// How long a call waits for another process before it gives up.
const BUSY: Duration = Duration::from_secs(10);

/// Opens an existing store and checks that it is one.
///
/// # Errors
/// `store_format` for a file that is no CANIS store or of a newer format, `store_unavailable` otherwise.
pub(super) fn open(path: &Path) -> Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|e| explain(path, &e))?;
    prepare(path, &connection)?;
    Ok(connection)
}

fn prepare(path: &Path, connection: &Connection) -> Result<()> {
    let sql = |e| explain(path, &e);
    connection.busy_timeout(BUSY).map_err(sql)?;
    let application: i64 =
        connection.pragma_query_value(None, "application_id", |r| r.get(0)).map_err(sql)?;
    if application != APPLICATION_ID {
        return Err(Error::new(
            ErrorCode::StoreFormat,
            format!("{} is no CANIS store; `canis init` makes one in an empty directory", path.display()),
        ));
    }
    let format: i64 = connection.pragma_query_value(None, "user_version", |r| r.get(0)).map_err(sql)?;
    if format != FORMAT && format != FORMAT_AWAY {
        return Err(Error::new(
            ErrorCode::StoreFormat,
            format!(
                "{} has format {format}; this CANIS reads format {FORMAT}. Use the CANIS that wrote it, or a newer one",
                path.display()
            ),
        ));
    }
    connection
        .execute_batch(
            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;
             PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON;",
        )
        .map_err(sql)?;
    connection.set_prepared_statement_cache_capacity(64);
    // Query plans do not depend on bound values: otherwise SQLite, built with STAT4, makes each plan anew at each use.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map_err(sql)?;
    Ok(())
}

/// Makes an empty store at `path`, which must not exist, readable by its owner only.
///
/// The file is written with a rollback journal and closed, so that it is whole by itself and can be renamed.
///
/// # Errors
/// `store_full`, `store_unavailable`.
pub(super) fn create(path: &Path) -> Result<Connection> {
    // Only to set the mode before SQLite writes the first byte; SQLite has no connection to it yet.
    drop(new_file(path)?);
    let connection = Connection::open(path).map_err(|e| explain(path, &e))?;
    connection
        .execute_batch(&format!(
            "PRAGMA journal_mode = DELETE; PRAGMA synchronous = FULL; PRAGMA secure_delete = ON;
             PRAGMA foreign_keys = ON;
             BEGIN IMMEDIATE; {TABLES}
             PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT}; COMMIT;"
        ))
        .map_err(|e| explain(path, &e))?;
    Ok(connection)
}

fn new_file(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|e| {
        let code = if e.raw_os_error() == Some(libc::ENOSPC) {
            ErrorCode::StoreFull
        } else {
            ErrorCode::StoreUnavailable
        };
        Error::new(code, format!("cannot make {}: {e}", path.display()))
    })
}

/// What an SQLite error means to a person.
pub(super) fn explain(path: &Path, error: &rusqlite::Error) -> Error {
    let shown = path.display();
    let Some(code) = error.sqlite_error_code() else {
        // A value of the wrong type or length in a column: nothing but other hands writes such rows.
        return Error::new(ErrorCode::StoreTampered, format!("a row of {shown} cannot be read: {error}"));
    };
    let (code, text) = match code {
        Sqlite::DiskFull => (
            ErrorCode::StoreFull,
            format!("the disk of {shown} is full; nothing was written. Make room and try again"),
        ),
        Sqlite::NotADatabase => (
            ErrorCode::StoreFormat,
            format!("{shown} is no CANIS store; `canis init` makes one in an empty directory"),
        ),
        Sqlite::DatabaseCorrupt => {
            (ErrorCode::StoreTampered, format!("{shown} is damaged ({error}); restore it from a backup"))
        }
        Sqlite::DatabaseBusy | Sqlite::DatabaseLocked => {
            (ErrorCode::StoreUnavailable, format!("{shown} is held by another process; try again"))
        }
        Sqlite::CannotOpen | Sqlite::PermissionDenied | Sqlite::ReadOnly => (
            ErrorCode::StoreUnavailable,
            format!("{shown} cannot be opened for writing ({error}); look at its path and permissions"),
        ),
        Sqlite::SystemIoFailure if full(error) => (
            ErrorCode::StoreFull,
            format!("the disk of {shown} is full; nothing was written. Make room and try again"),
        ),
        _ => (ErrorCode::StoreUnavailable, format!("{shown} cannot be used: {error}")),
    };
    Error::new(code, text)
}

/// A log or shared-memory file that could not grow is reported as an I/O error of these kinds.
fn full(error: &rusqlite::Error) -> bool {
    const SHMSIZE: i32 = 10 | (19 << 8);
    const WRITE: i32 = 10 | (3 << 8);
    error.sqlite_error().is_some_and(|e| e.extended_code == SHMSIZE || e.extended_code == WRITE)
}
