//! Rows of the store as a whole: tenants, PINs, tokens, sealed facts. Under a root they are sealed; without one they
//! carry a checksum only, and docs/storage.md says what an owner of the file could then reset.

use super::seal::{Place, checksum};
use super::{FACTS, Keyring, RootKeys, RootState};
use crate::ops::StoreReport;
use crate::secret::SecretBytes;
use crate::store::{MetaRow, Row};
use canis_proto::{ErrorCode, Id, Result};
use subtle::ConstantTimeEq;

/// The first byte of such a row says how it is protected.
const CHECKSUMMED: u8 = 0;
const SEALED: u8 = 1;

/// Where a store row stands.
pub(crate) fn place(table: &'static str, tenant: Id, row: Id, revision: u64) -> Place<'static> {
    Place { tenant, table, row, version: 0, kind: table, revision }
}

impl Keyring {
    /// Protects a store row.
    pub(crate) fn seal_store_row(&self, place: &Place<'_>, record: &[u8]) -> Result<Vec<u8>> {
        let mut row = Vec::with_capacity(record.len() + 41);
        match self.root_state() {
            RootState::Open(keys) => return sealed_row(&keys, place, record),
            RootState::Rootless => {
                row.push(CHECKSUMMED);
                row.extend(checksum(self.provider, place, record));
                row.extend(record);
            }
            RootState::Sealed => return Err(self.sealed_error()),
        }
        Ok(row)
    }

    /// Reads a store row back; a row protected in another way than the store's is refused.
    pub(crate) fn open_store_row(&self, place: &Place<'_>, row: &[u8]) -> Result<Vec<u8>> {
        match (self.root_state(), row.split_first()) {
            (RootState::Open(keys), _) => opened_row(&keys, place, row),
            (RootState::Rootless, Some((&CHECKSUMMED, rest))) => match rest.split_first_chunk::<32>() {
                Some((sum, record)) if checksum(self.provider, place, record).ct_eq(sum).into() => {
                    Ok(record.to_vec())
                }
                _ => Err(place.tampered()),
            },
            (RootState::Sealed, _) => Err(self.sealed_error()),
            _ => Err(place.tampered()),
        }
    }

    /// What authenticates a clear row while its tenant is locked: the root's MAC, or a checksum without a root.
    pub(crate) fn store_tag(&self, place: &Place<'_>, record: &[u8]) -> Result<[u8; 32]> {
        match self.root_state() {
            RootState::Open(keys) => Ok(keys.rows.tag(place, record)),
            RootState::Rootless => Ok(checksum(self.provider, place, record)),
            RootState::Sealed => Err(self.sealed_error()),
        }
    }

    /// Makes what was just deleted unreadable. The deletion itself is done and answered either way; what could not be
    /// purged now is purged by a later commit.
    pub(crate) fn purge(&self) {
        drop(self.store.purge());
    }

    /// Writes rows that stand alone.
    pub(crate) fn put(&self, rows: impl IntoIterator<Item = Row>) -> Result<()> {
        let changes: Vec<_> = rows.into_iter().map(crate::store::Change::Put).collect();
        self.store.commit(&changes)
    }
}

/// A store row under these root keys.
pub(super) fn sealed_row(keys: &RootKeys, place: &Place<'_>, record: &[u8]) -> Result<Vec<u8>> {
    Ok([&[SEALED][..], &keys.rows.seal(place, record)?].concat())
}

/// What such a row says.
pub(super) fn opened_row(keys: &RootKeys, place: &Place<'_>, row: &[u8]) -> Result<Vec<u8>> {
    match row.split_first() {
        Some((&SEALED, sealed)) => keys.rows.open(place, sealed),
        _ => Err(place.tampered()),
    }
}

/// A fact that holds a secret. `meta` rows have names in place of ids.
pub(crate) fn sealed_fact(keys: &RootKeys, name: &str, secret: &SecretBytes) -> Result<Row> {
    let body = keys.rows.seal(&fact_place(name, 1), secret.expose())?;
    Ok(Row::Meta(MetaRow { name: name.to_owned(), revision: 1, body }))
}

pub(crate) fn fact_place(name: &str, revision: u64) -> Place<'_> {
    Place { tenant: Id::STORE, table: "meta", row: Id::STORE, version: 0, kind: name, revision }
}

impl Keyring {
    /// The secret of this name that the store keeps for its host, if there is one.
    pub(crate) fn kept_secret(&self, name: &str) -> Result<Option<SecretBytes>> {
        let keys = self.root_keys()?;
        let row = self.store.meta(name)?;
        row.map(|row| keys.rows.open_secret(&fact_place(name, row.revision), &row.body)).transpose()
    }

    /// Opens every sealed fact.
    pub(crate) fn verify_meta(&self, report: &mut StoreReport) -> Result<()> {
        if !self.has_root() {
            return Ok(()); // without a root there is nothing to seal facts under
        }
        let keys = self.root_keys()?;
        let rows = self.store.all_meta()?;
        // Wrapping keys stand under their tenants' keys and are looked at with them.
        let sealed =
            rows.iter().filter(|row| row.name != FACTS && !row.name.starts_with(MetaRow::WRAPPING_KEY));
        for row in sealed {
            report.note(keys.rows.open_secret(&fact_place(&row.name, row.revision), &row.body))?;
        }
        Ok(())
    }
}

/// Fails for a clear column that differs from the sealed copy, naming it.
pub(crate) fn agree<T: PartialEq>(place: &Place<'_>, column: &str, clear: &T, sealed: &T) -> Result<()> {
    if clear == sealed {
        return Ok(());
    }
    Err(canis_proto::Error::new(
        ErrorCode::StoreTampered,
        format!(
            "column {column} of the {} row {} was changed by other hands; the row is refused. \
             Restore it from a backup",
            place.table, place.row
        ),
    ))
}
