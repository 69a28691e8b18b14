//! Changing a key that others may be changing at the same time.

use super::Keyring;
use super::key::Key;
use super::key_record::KeyRecord;
use super::tenant::OpenTenant;
use crate::store::Change;
use canis_proto::{Error, ErrorCode, Result};
use std::sync::Arc;

/// How often a change is computed anew because somebody else was first. Each time somebody else has got on, so that
/// only a crowd larger than this could be kept waiting.
const TRIES: usize = 1000;

/// What becomes of a key in one transaction.
pub(crate) struct KeyChange {
    /// Its new record.
    pub(crate) record: KeyRecord,
    /// What changes with it.
    pub(crate) further: Vec<Change>,
}

impl From<KeyRecord> for KeyChange {
    fn from(record: KeyRecord) -> Self {
        KeyChange { record, further: Vec::new() }
    }
}

impl Keyring {
    /// Changes the key that `find` gives as `edit` says, and gives the key as it then is. If somebody else changes it
    /// between reading and writing, both are asked again. Without a change nothing is written.
    ///
    /// # Errors
    /// Those of `find` and `edit`; `conflict` if others are always faster.
    pub(crate) fn change_key(
        &self,
        tenant: &OpenTenant,
        find: impl Fn() -> Result<Arc<Key>>,
        mut edit: impl FnMut(&Key) -> Result<KeyChange>,
    ) -> Result<Arc<Key>> {
        for _ in 0..TRIES {
            let key = find()?;
            let KeyChange { mut record, further } = edit(&key)?;
            if record == key.record && further.is_empty() {
                return Ok(key);
            }
            record.updated_at = self.clock.now_micros().max(key.record.updated_at);
            let row = self.key_row(tenant, key.id, key.revision + 1, &record)?;
            let changes: Vec<_> = [tenant.expected(), Change::Put(row)].into_iter().chain(further).collect();
            match self.store.commit(&changes) {
                Ok(()) => {
                    let unknown = || Error::internal("a key record with unknown numbers was written");
                    return key.followed_by(record).map(Arc::new).ok_or_else(unknown);
                }
                Err(error) if error.code == ErrorCode::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorCode::Conflict, "others change this key all the time; try again"))
    }
}
