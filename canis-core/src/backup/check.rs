//! Opening a backup and seeing whether it is all there, without a store.

use super::chunks::{Header, Opener};
use crate::crypto::Provider;
use crate::keyring::RootKeys;
use crate::keyring::accumulator::Accountant;
use crate::keyring::counts::Tally;
use crate::root::{Credential, open_slot};
use crate::store::Row;
use canis_proto::{Error, ErrorCode, Id, Result};
use std::io::Read;
use std::sync::Arc;

/// What a backup is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupFacts {
    /// The store's id.
    pub store: Id,
    /// When it was made, in microseconds since 1970-01-01 UTC.
    pub made_at: i64,
    /// How many commits the store had seen.
    pub sequence: u64,
    /// The kind of the root slot that opens it.
    pub kind: String,
    /// How many rows it holds.
    pub rows: u64,
}

impl BackupFacts {
    pub(super) fn of(header: &Header, rows: u64) -> Self {
        BackupFacts {
            store: header.store,
            made_at: header.made_at,
            sequence: header.sequence,
            kind: header.slot.kind.clone(),
            rows,
        }
    }
}

/// A backup whose root slot was opened.
pub(super) struct Opened<R> {
    pub(super) file: Opener<R>,
    pub(super) keys: RootKeys,
    provider: &'static Provider,
}

impl<R: Read> Opened<R> {
    /// Opens the slot in the backup's header.
    pub(super) fn by(provider: &'static Provider, from: R, credential: &Credential) -> Result<Self> {
        let file = Opener::new(from)?;
        let slot = &file.header.slot;
        if slot.kind != credential.kind() {
            return Err(Error::invalid(format!(
                "the backup opens by its {} root slot {}, not by a {}",
                canis_proto::quote(&slot.kind),
                slot.id,
                credential.kind()
            )));
        }
        let root_key = open_slot(provider, file.header.store, slot, credential)?;
        Ok(Opened { keys: RootKeys::new(provider, root_key)?, file, provider })
    }

    /// The same for a root key that is at hand.
    pub(super) fn under(provider: &'static Provider, from: R, keys: RootKeys) -> Result<Self> {
        Ok(Opened { file: Opener::new(from)?, keys, provider })
    }

    /// Hands every row to `visit`, and fails at the end if they are not those that the store's accumulators counted.
    pub(super) fn rows(self, visit: &mut dyn FnMut(Id, Row) -> Result<()>) -> Result<BackupFacts> {
        let header = self.file.header.clone();
        let accountant = Arc::new(Accountant::new(self.provider, &self.keys, &header.counted)?);
        let (mut tally, mut rows) = (Tally::new(accountant), 0);
        self.file.rows(self.provider, &self.keys.root_key, &mut |scope, row| {
            tally.add(scope, &row);
            rows += 1;
            visit(scope, row)
        })?;
        tally.require_whole()?;
        Ok(BackupFacts::of(&header, rows))
    }
}

/// Opens a backup with the credential of the root slot that it was made for and looks at all of it.
///
/// # Errors
/// `store_tampered` if it is not whole; `store_format`; those of the root.
pub fn verify(provider: &'static Provider, from: impl Read, credential: &Credential) -> Result<BackupFacts> {
    Opened::by(provider, from, credential)?.rows(&mut |_, row| match row {
        Row::Meta(row) if row.name.is_empty() => {
            Err(Error::new(ErrorCode::StoreFormat, "the backup holds a fact without a name"))
        }
        _ => Ok(()),
    })
}
