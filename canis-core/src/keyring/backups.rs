//! Backups that are being made: written to a file without a name beside the store, and read from there page by page, so
//! that a slow reader keeps nobody from writing to the store.

use super::Keyring;
use super::counted::Counting;
use super::seal::fresh_id;
use crate::backup::{Header, Sealer};
use crate::root::{NewRoot, new_slot};
use crate::store::{RootSlotRow, Row};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

/// How many backups wait to be read at a time; the one that was read longest ago makes room.
const KEPT: usize = 2;
/// How long one waits to be read on, in microseconds.
const PATIENCE: i64 = 10 * 60 * 1_000_000;

/// Backups that were made a while ago at most.
#[derive(Default)]
pub(crate) struct Backups(Mutex<Vec<Waiting>>);

/// A backup that was made.
#[derive(Clone)]
pub(crate) struct Waiting {
    pub(crate) id: Id,
    /// The credential that asked for it; nobody else may read it.
    owner: Id,
    file: Arc<File>,
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    pub(crate) header: Header,
    read_at: i64,
}

/// Whom a backup is made for.
pub(crate) enum Opener<'a> {
    /// Who opens this root slot of the store.
    Slot(&'a str),
    /// Whoever has the private half of this X25519 key, a SubjectPublicKeyInfo in DER.
    Recipient(&'a [u8]),
}

impl Keyring {
    /// Makes a backup of all rows as they stand at one moment.
    pub(crate) fn make_backup(&self, owner: Id, opener: &Opener<'_>) -> Result<Waiting> {
        let keys = self.root_keys()?;
        let Counting::By(_) = self.books.counting() else {
            return Err(Error::new(
                ErrorCode::StoreTampered,
                "the store's accumulators were spoilt or taken away; look with `canis store verify` first",
            ));
        };
        let now = self.clock.now_micros();
        let facts = self.root_key_facts(&keys)?.and_then(|(_, facts)| facts.counted);
        let accumulator = self.store.accumulator(Id::STORE)?;
        let (Some(counted), Some(accumulator)) = (facts, accumulator) else {
            return Err(Error::internal("a counted store has no accumulator"));
        };
        let header = Header {
            store: self.store_id(),
            made_at: now,
            // Of just before: the rows may be of a later commit.
            sequence: accumulator.revision,
            salt: self.fresh_salt()?,
            counted,
            slot: self.backup_slot(opener, now)?,
        };
        let to = BufWriter::new(self.store.scratch()?);
        let mut sealer = Sealer::new(self.provider, &keys.root_key, &header, to)?;
        let mut rows = 0;
        self.store.scan(&mut |scope, row: Row| {
            rows += 1;
            sealer.row(scope, &row)
        })?;
        let mut file = sealer.finish()?.into_inner().map_err(|e| unusable(&e.into_error()))?;
        let bytes = file.seek(SeekFrom::End(0)).map_err(|e| unusable(&e))?;
        let id = fresh_id(self.provider)?;
        let made = Waiting { id, owner, file: Arc::new(file), bytes, rows, header, read_at: now };
        self.backups.keep(made.clone());
        Ok(made)
    }

    fn backup_slot(&self, opener: &Opener<'_>, now: i64) -> Result<RootSlotRow> {
        match opener {
            Opener::Slot(name) => self.slot_named(name),
            Opener::Recipient(spki) => {
                let new = NewRoot::Recipient { spki: spki.to_vec() };
                new_slot(self.provider, self.store_id(), new, &self.root_keys()?.root_key, now)
            }
        }
    }

    /// A piece of a backup, at most `most` bytes, and whether it is the last.
    pub(crate) fn read_backup(&self, owner: Id, id: Id, offset: u64, most: usize) -> Result<(Vec<u8>, bool)> {
        let now = self.clock.now_micros();
        let waiting = self.backups.find(owner, id, now).ok_or_else(|| {
            Error::invalid(format!("there is no backup {id} to be read; make one with `backup.create`"))
        })?;
        let left = waiting.bytes.saturating_sub(offset);
        let mut piece = vec![0; usize::try_from(left).unwrap_or(usize::MAX).min(most)];
        waiting.file.read_exact_at(&mut piece, offset).map_err(|e| unusable(&e))?;
        let last = left <= piece.len() as u64;
        Ok((piece, last))
    }
}

impl Backups {
    fn keep(&self, made: Waiting) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.sort_by_key(|one| one.read_at);
        while waiting.len() >= KEPT {
            waiting.remove(0);
        }
        waiting.push(made);
    }

    fn find(&self, owner: Id, id: Id, now: i64) -> Option<Waiting> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|one| one.read_at.saturating_add(PATIENCE) > now);
        let found = waiting.iter_mut().find(|one| one.id == id && one.owner == owner)?;
        found.read_at = now;
        Some(found.clone())
    }
}

fn unusable(error: &std::io::Error) -> Error {
    Error::new(ErrorCode::StoreUnavailable, format!("the backup cannot be put beside the store: {error}"))
}
