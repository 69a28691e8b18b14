//! A new store from a backup: all of it, or nothing.

use super::check::{BackupFacts, Opened};
use crate::crypto::{Provider, selftest};
use crate::datadir::DataDir;
use crate::keyring::accumulator::Accountant;
use crate::root::Credential;
use crate::store::sqlite::SqliteStore;
use crate::store::{Change, Row};
use canis_proto::Result;
use std::io::Read;

/// Rows of one transaction; the file appears when the last one is done.
const TOGETHER: usize = 1000;

/// Makes the store of `dir` from a backup. The slot that opened the backup opens the store.
///
/// # Errors
/// `store_exists`; `store_tampered` if the backup is not whole, `store_format`; those of the root; `store_full`,
/// `store_unavailable`. Then there is no store.
pub fn restore(
    provider: &'static Provider,
    dir: &DataDir,
    from: impl Read,
    credential: &Credential,
) -> Result<BackupFacts> {
    selftest::run(provider)?;
    dir.refuse_existing_store()?;
    dir.refuse_database("a backup is restored into a canis.dat: take another directory")?;
    let mut opened = Some(Opened::by(provider, from, credential)?);
    let mut facts = None;
    SqliteStore::create_by(&dir.store_path(), &mut |commit| {
        let Some(opened) = opened.take() else { return Ok(()) };
        let header = opened.file.header.clone();
        let accountant = Accountant::new(provider, &opened.keys, &header.counted)?;
        let (mut waiting, mut slot_is_there) = (Vec::with_capacity(TOGETHER), false);
        facts = Some(opened.rows(&mut |_, row| {
            slot_is_there |= matches!(&row, Row::RootSlot(slot) if slot.id == header.slot.id);
            waiting.push(Change::Restore(row));
            if waiting.len() < TOGETHER {
                return Ok(());
            }
            commit(&std::mem::take(&mut waiting), None)
        })?);
        commit(&waiting, None)?;
        if slot_is_there {
            return Ok(());
        }
        // A recipient of the backup alone, who has to open the store now.
        let slot = crate::store::RootSlotRow { revision: 1, ..header.slot };
        commit(&[Change::Put(Row::RootSlot(slot))], Some(&accountant))
    })?;
    facts.ok_or_else(|| canis_proto::Error::internal("a backup was restored without being read"))
}
