//! How often keys are used: counted in memory, written every few seconds. Advisory: a crash loses the last seconds.
//! Nothing is decided by them but where AES-GCM with random IVs ends.

use super::Keyring;
use super::key::Key;
use crate::store::UseRow;
use canis_proto::{Id, Result};
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The uses that are not written yet, by key and version: how many, and when the last one was.
#[derive(Default)]
pub(crate) struct Uses(Mutex<HashMap<(Id, u32), (u64, i64)>>);

impl Uses {
    fn waiting(&self) -> MutexGuard<'_, HashMap<(Id, u32), (u64, i64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, row: &UseRow) {
        let mut waiting = self.waiting();
        let (uses, last) = waiting.entry((row.key_id, row.version)).or_default();
        *uses += row.uses;
        *last = row.last_used_at.max(*last);
    }
}

impl Keyring {
    /// Counts one use of a version. Those of entries of the key-value store are not counted.
    pub(crate) fn used(&self, key: &Key, version: u32) {
        if key.is_entry() {
            return;
        }
        let last_used_at = self.clock.now_micros();
        self.uses.add(&UseRow { key_id: key.id, version, uses: 1, last_used_at });
    }

    /// Writes what was counted since the last time.
    ///
    /// # Errors
    /// `store_full`, `store_unavailable`; then it stays counted.
    pub(crate) fn write_uses(&self) -> Result<()> {
        let waiting = std::mem::take(&mut *self.uses.waiting());
        if waiting.is_empty() {
            return Ok(());
        }
        let row = |((key_id, version), (uses, last_used_at))| UseRow { key_id, version, uses, last_used_at };
        let rows: Vec<UseRow> = waiting.into_iter().map(row).collect();
        // Not under the lock: whoever uses a key does not wait for the disk.
        self.store.count_uses(&rows).inspect_err(|_| rows.iter().for_each(|row| self.uses.add(row)))
    }

    /// The uses of a key by version: those in the store and those that wait here.
    pub(crate) fn uses_of(&self, key: Id) -> Result<HashMap<u32, (u64, i64)>> {
        let mut found: HashMap<u32, (u64, i64)> =
            self.store.uses(key)?.iter().map(|row| (row.version, (row.uses, row.last_used_at))).collect();
        for ((_, version), (uses, last)) in self.uses.waiting().iter().filter(|((id, _), _)| *id == key) {
            let (all, latest) = found.entry(*version).or_default();
            *all += uses;
            *latest = (*latest).max(*last);
        }
        Ok(found)
    }
}
