//! Searches that were answered before: programs look for the same key by its label or id again and again, and asking the
//! store takes longer than all the rest of such a search.

use super::Keyring;
use super::object::family_number;
use crate::object::Wanted;
use crate::store::{ObjectQuery, ObjectRow};
use canis_proto::{Id, Result};
use std::sync::Arc;

/// How many answers stay in memory.
pub(super) const KEPT: usize = 1000;
/// The most rows of an answer that is kept.
const MOST_ROWS: usize = 8;
/// The most bytes of them.
const MOST_BYTES: usize = 16 << 10;

/// What was asked of the store.
#[derive(PartialEq, Eq, Hash)]
pub(super) struct Asked {
    token: Id,
    class: Option<u8>,
    label: Option<Vec<u8>>,
    cka_id: Option<Vec<u8>>,
    family: Option<u8>,
}

/// What it said.
pub(super) struct Answer {
    /// The store's generation before it was asked.
    generation: u64,
    rows: Arc<[ObjectRow]>,
}

impl Keyring {
    /// The rows of a token's objects that may be what is wanted, as they are under `generation`, which the caller has read
    /// before. Who may see them is for the caller to say.
    pub(crate) fn rows(&self, token: Id, wanted: &Wanted<'_>, generation: u64) -> Result<Arc<[ObjectRow]>> {
        if let Some(id) = wanted.unique {
            return Ok(self.store.object(id)?.filter(|row| row.tenant_id == token).into_iter().collect());
        }
        let query = ObjectQuery {
            class: wanted.class.map(|c| c as u8),
            label: wanted.label,
            cka_id: wanted.id,
            family: wanted.family.map(|family| family_number(Some(family))),
            ..ObjectQuery::all(token)
        };
        if wanted.label.is_none() && wanted.id.is_none() {
            return Ok(self.store.objects(&query)?.into());
        }
        let asked = Asked {
            token,
            class: query.class,
            label: query.label.map(<[u8]>::to_vec),
            cka_id: query.cka_id.map(<[u8]>::to_vec),
            family: query.family,
        };
        if let Some(answer) = self.searches.get(&asked).filter(|answer| answer.generation == generation) {
            return Ok(Arc::clone(&answer.rows));
        }
        let rows: Arc<[ObjectRow]> = self.store.objects(&query)?.into();
        if rows.len() <= MOST_ROWS && rows.iter().map(|row| row.body.len()).sum::<usize>() <= MOST_BYTES {
            self.searches.insert(asked, Arc::new(Answer { generation, rows: Arc::clone(&rows) }));
        }
        Ok(rows)
    }
}
