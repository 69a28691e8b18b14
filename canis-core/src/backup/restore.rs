//! A new store from a backup: all of it, or nothing.

use super::check::{BackupFacts, Opened};
use crate::crypto::{Provider, selftest};
use crate::keyring::accumulator::Accountant;
use crate::moving::Place;
use crate::root::Credential;
use crate::store::filling::Batch;
use crate::store::{Change, RootSlotRow, Row};
use canis_proto::{Error, ErrorCode, Result};
use std::io::Read;

/// Makes a store at `place` from a backup. The slot that opened the backup opens the store.
///
/// # Errors
/// `store_exists`; `store_tampered` if the backup is not whole, `store_format`; those of the root; `store_full`,
/// `store_unavailable`. Then there is no store.
pub fn restore(
    provider: &'static Provider,
    place: &Place,
    from: impl Read,
    credential: &Credential,
) -> Result<BackupFacts> {
    selftest::run(provider)?;
    if place.is_taken()? {
        let why = format!("{} holds a store already; it was left as it is", place.name());
        return Err(Error::new(ErrorCode::StoreExists, why));
    }
    let mut opened = Some(Opened::by(provider, from, credential)?);
    let mut facts = None;
    place.make_by(&mut |filling| {
        let Some(opened) = opened.take() else { return Ok(()) };
        let header = opened.file.header.clone();
        let accountant = Accountant::new(provider, &opened.keys, &header.counted)?;
        let (mut batch, mut slot_is_there) = (Batch::default(), false);
        facts = Some(opened.rows(&mut |_, row| {
            slot_is_there |= matches!(&row, Row::RootSlot(slot) if slot.id == header.slot.id);
            batch.add(row).map_or(Ok(()), |rows| filling.bring(rows))
        })?);
        filling.bring(batch.rest())?;
        if slot_is_there {
            return Ok(());
        }
        // A recipient of the backup alone, who has to open the store now.
        let slot = RootSlotRow { revision: 1, ..header.slot };
        filling.change(&[Change::Put(Row::RootSlot(slot))], Some(&accountant))
    })?;
    facts.ok_or_else(|| Error::internal("a backup was restored without being read"))
}
