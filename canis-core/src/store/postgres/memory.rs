//! How far what is in memory may be used while the database is away (ADR 0040). What this server has changed itself counts
//! at once, always. What others have changed is known by its moment only, not by what it was, and counts at the latest
//! when it has been known for as long as memory goes on.

use crate::store::{Change, Row};
use canis_proto::Id;
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Changes of others within so long are one.
const TOGETHER: Duration = Duration::from_secs(1);
/// Of so many own changes it is known which rows they were about; then all that was in memory is of before.
const OWN: usize = 10_000;

/// What has changed, and when that was noticed.
#[derive(Default)]
pub(super) struct Memory {
    /// What was read under an earlier generation is of no use.
    floor: u64,
    /// The same of single rows, which this server has changed.
    own: HashMap<Id, u64>,
    /// When others' changes were noticed, and the generation since: what has to be heeded later.
    noticed: VecDeque<(Instant, u64)>,
    /// The same of credentials.
    credentials: VecDeque<Instant>,
}

impl Memory {
    /// Others have changed something.
    pub(super) fn notice(&mut self, now: Instant, generation: u64, of_credentials: bool) {
        match self.noticed.back_mut() {
            // It counts from the first of them on, which is no later than right.
            Some((first, last)) if now.duration_since(*first) < TOGETHER => *last = generation,
            _ => self.noticed.push_back((now, generation)),
        }
        if of_credentials {
            self.credentials.push_back(now);
        }
    }

    /// This server has made these changes, or does not know whether it has; the generation afterwards.
    pub(super) fn own(&mut self, changes: &[Change], generation: u64) {
        let about = changes.iter().flat_map(rows_of).collect::<Option<Vec<_>>>();
        match about.filter(|about| self.own.len() + about.len() <= OWN) {
            Some(about) => self.own.extend(about.into_iter().map(|id| (id, generation))),
            None => {
                self.own.clear();
                self.floor = generation;
            }
        }
    }

    /// Whether what was read under `generation` about these rows may be used, if memory goes on for `grace`.
    pub(super) fn stands(&mut self, now: Instant, grace: Duration, generation: u64, ids: &[Id]) -> bool {
        self.forget(now, grace);
        generation >= self.floor
            && ids.iter().all(|id| self.own.get(id).is_none_or(|since| generation >= *since))
    }

    /// How many changes of credentials by others need not be heeded yet.
    pub(super) fn unheeded(&mut self, now: Instant, grace: Duration) -> u64 {
        self.forget(now, grace);
        self.credentials.len() as u64
    }

    /// Has what was noticed long ago count.
    pub(super) fn forget(&mut self, now: Instant, grace: Duration) {
        let over = |noticed: &Instant| now.duration_since(*noticed) > grace;
        while let Some((_, generation)) = self.noticed.pop_front_if(|(noticed, _)| over(noticed)) {
            self.floor = self.floor.max(generation);
        }
        while self.credentials.pop_front_if(|noticed| over(noticed)).is_some() {}
    }
}

/// The rows that a change is about, by the ids that memory has them by: a key by its own, a version by its key's. `None`
/// in place of one that may be about anything.
fn rows_of(change: &Change) -> Vec<Option<Id>> {
    match change {
        Change::Put(row) | Change::Reseal(row) => match row {
            Row::Key(row) => vec![Some(row.id)],
            Row::Version(row) => vec![Some(row.key_id)],
            Row::Object(row) => vec![Some(row.id), row.key_id].into_iter().filter(Option::is_some).collect(),
            // Nothing that is used is kept of these.
            Row::Role(_) | Row::Entry(_) | Row::Receipt(_) | Row::Accumulator(_) => Vec::new(),
            _ => vec![None],
        },
        Change::RemoveObject(id, _) | Change::RemoveVersions(id) | Change::RemoveVersion(id, _) => {
            vec![Some(*id)]
        }
        Change::ExpectTenant(..)
        | Change::ExpectUnchanged(..)
        | Change::AtMostKeys(..)
        | Change::NoteLine(_)
        | Change::RemoveEntry(..)
        | Change::ForgetReceipts(_) => Vec::new(),
        _ => vec![None],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GRACE: Duration = Duration::from_secs(60);

    fn key(id: u8) -> Change {
        Change::RemoveVersions(Id([id; 16]))
    }

    /// Own changes count at once for the rows they are about, and for nothing else; one that may be about anything counts for all.
    #[test]
    fn own_changes_count_at_once() {
        let (now, mut memory) = (Instant::now(), Memory::default());
        memory.own(&[key(1)], 5);
        let mut stands = |generation, id| memory.stands(now, GRACE, generation, &[Id([id; 16])]);
        assert!(!stands(4, 1) && stands(5, 1) && stands(4, 2));
        memory.own(&[key(2), Change::WipeTenant(Id([9; 16]))], 7);
        assert!(!memory.stands(now, GRACE, 6, &[]) && memory.stands(now, GRACE, 7, &[]));
        for n in 0..=OWN {
            memory.own(&[Change::RemoveVersions(Id(u128::to_be_bytes(n as u128)))], 8 + n as u64);
        }
        assert!(!memory.stands(now, GRACE, 7, &[Id([1; 16])]), "what is no longer remembered counts for all");
    }

    /// Others' changes count when they have been known for long enough, each from when it was noticed.
    #[test]
    fn changes_of_others_count_in_time() {
        let (start, mut memory) = (Instant::now(), Memory::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        memory.notice(at(0), 2, true);
        memory.notice(at(30), 3, false);
        assert!(memory.stands(at(59), GRACE, 1, &[]));
        assert_eq!((memory.unheeded(at(59), GRACE), memory.unheeded(at(61), GRACE)), (1, 0));
        assert!(!memory.stands(at(61), GRACE, 1, &[]) && memory.stands(at(61), GRACE, 2, &[]));
        assert!(!memory.stands(at(91), GRACE, 2, &[]) && memory.stands(at(91), GRACE, 3, &[]));
        memory.notice(at(100), 4, true);
        assert!(!memory.stands(at(100), Duration::ZERO, 1, &[]), "none means none");
    }
}
