//! `canis store migrate`: a store from one place to another.

use crate::progress::Progress;
use crate::store_args::{Migrate, database};
use crate::{files, local, show};
use canis_core::datadir::{DataDir, DirLock, StoreConfig};
use canis_core::default_provider;
use canis_core::moving::{self, Place, Report, Step};
use canis_proto::{Error, ErrorCode, Result};
use serde_json::json;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

pub(crate) fn run(args: &Migrate, json: bool) -> Result<()> {
    let (from, to) = (place(&args.from, args)?, place(&args.to, args)?);
    let source = lock_source(&from)?;
    // Who names one place twice is told so, not that it is locked.
    let _locks = (source, if from.name() == to.name() { None } else { lock_target(&to)? });
    let mut progress = Progress::of_rows();
    let moved = moving::migrate(default_provider(), &from, &to, &mut |step| match step {
        Step::Copied(done, of) | Step::Compared(done, of) => progress.at(done, of),
    });
    progress.done();
    report(&from, &to, &moved?, json)
}

/// A place as it is written on the command line.
fn place(text: &str, args: &Migrate) -> Result<Place> {
    if !["postgres://", "postgresql://"].iter().any(|scheme| text.starts_with(scheme)) {
        return file(text).map(Place::File);
    }
    let (password, ca) = (args.store_password_file.as_deref(), args.store_ca.as_deref());
    let config = database(Some(text.to_owned()), password, ca, None)?;
    let config = config.ok_or_else(|| Error::internal("a database without a URL"))?;
    Ok(Place::Database(config, None))
}

/// The `canis.dat` that a path means: its own, or its directory's.
fn file(text: &str) -> Result<PathBuf> {
    let failed = |error| Error::invalid(format!("cannot find {text}: {error}"));
    let path = std::path::absolute(text).map_err(failed)?;
    let named = path.file_name() == Some(OsStr::new("canis.dat"));
    Ok(if named { path } else { DataDir::new(path).store_path() })
}

/// Keeps servers and programs off a store that nobody has open; one that a server has open is read on by it.
fn lock_source(place: &Place) -> Result<Option<DirLock>> {
    match place {
        Place::File(path) if path.exists() => match directory(path).lock() {
            Err(error) if error.code == ErrorCode::StoreLocked => Ok(None),
            locked => locked.map(Some),
        },
        _ => Ok(None),
    }
}

fn lock_target(place: &Place) -> Result<Option<DirLock>> {
    let Place::File(path) = place else { return Ok(None) };
    let dir = directory(path);
    local::make(&dir)?;
    dir.lock().map(Some)
}

fn directory(path: &Path) -> DataDir {
    DataDir::new(path.parent().unwrap_or(Path::new("/")))
}

/// What is still to be done so that servers find a store.
pub(super) fn to_be_named(database: &StoreConfig) -> Result<String> {
    let section = database.to_section()?;
    Ok(format!("Write into the canis.toml of each of its servers, and start them again:\n\n{section}"))
}

fn report(from: &Place, to: &Place, moved: &Report, json: bool) -> Result<()> {
    if json {
        let tables: BTreeMap<_, _> = moved.tables.iter().copied().collect();
        return show::json(&json!({
            "store": moved.store.to_string(), "from": from.name(), "to": to.name(), "rows": tables,
        }));
    }
    let rows: u64 = moved.tables.iter().map(|(_, rows)| rows).sum();
    let next = match to {
        Place::Database(config, _) => to_be_named(config)?,
        Place::File(_) => {
            "Take [store] out of canis.toml in its directory, and start the server there.\n".to_owned()
        }
    };
    let text = format!(
        "moved: store {}, {rows} rows compared, from {} to {}\n{next}",
        moved.store,
        from.name(),
        to.name()
    );
    files::print(text.as_bytes())
}
