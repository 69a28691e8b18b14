//! `backup.create` and `backup.read`: all rows of the store as they stood at one moment, in one encrypted file.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::backups::Opener;
use crate::keyring::intent::Intent;
use crate::root::SlotView;
use canis_proto::backup::{BackupMade, BackupPiece, CreateBackup, ReadBackup};
use canis_proto::{Capability, Error, Id, Result};

/// Bytes of one answer.
const PIECE: usize = 1 << 20;

impl Run for CreateBackup<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::System
    }

    fn intent(&self, _: &Keyring, _: &Caller) -> Result<Option<Intent>> {
        Ok(Some(Intent::of(Capability::Admin, self, &["slot", "public_key"])))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<BackupMade> {
        let opener = match (self.slot.as_ref(), self.public_key.as_ref()) {
            (slot, []) if !slot.is_empty() => Opener::Slot(slot),
            ("", public_key) if !public_key.is_empty() => Opener::Recipient(public_key),
            _ => return Err(Error::invalid("a backup is made for one root slot, or for one recipient")),
        };
        let made = keyring.make_backup(caller.credential(), &opener)?;
        Ok(BackupMade {
            backup: made.id.to_string(),
            store: made.header.store.to_string(),
            bytes: made.bytes,
            rows: made.rows,
            sequence: made.header.sequence,
            made_at: made.header.made_at,
            opens_by: SlotView::of(&made.header.slot)?.detail,
        })
    }
}

impl Run for ReadBackup<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::System
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.data.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<BackupPiece> {
        let id = Id::parse(&self.backup).ok_or_else(|| Error::invalid("`backup` is no id of a backup"))?;
        let (data, last) = keyring.read_backup(caller.credential(), id, self.offset, PIECE)?;
        Ok(BackupPiece { data, last })
    }
}
