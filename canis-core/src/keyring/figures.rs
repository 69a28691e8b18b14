//! The keeper of keys in numbers, for those who watch it. No name of a key, tenant or caller is among them.

use super::Keyring;
use super::rows_checked::RowsFigures;
use crate::audit::LogFigures;
use crate::root::{HsmFigures, hsm_figures};
use canis_proto::{KeyState, Result};
use quick_cache::sync::Cache;
use std::hash::Hash;
use std::sync::atomic::Ordering;

/// How it is now.
#[derive(Clone, Debug)]
pub struct Figures {
    /// Whether the root key is absent though the store has a root.
    pub sealed: bool,
    /// The caches of keys.
    pub caches: [CacheFigures; 3],
    /// The audit log, if one is kept.
    pub audit: Option<LogFigures>,
    /// Changes of the store.
    pub commits: CommitFigures,
    /// What was asked of HSMs.
    pub hsm: HsmFigures,
    /// The last comparison of rows with their accumulators; `None` until there was one.
    pub rows: Option<RowsFigures>,
    /// Keys whose time has come or comes soon; `None` while the store cannot be asked.
    pub due: Option<DueFigures>,
}

/// A cache in numbers.
#[derive(Clone, Copy, Debug)]
pub struct CacheFigures {
    /// What it holds, in a word.
    pub name: &'static str,
    /// Look-ups that found something.
    pub hits: u64,
    /// Look-ups that did not.
    pub misses: u64,
    /// How many things it holds.
    pub len: u64,
}

/// Changes of the store in numbers. Each is one transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CommitFigures {
    /// Those that happened.
    pub done: u64,
    /// Those that did not: somebody else was faster, or the store could not be written.
    pub failed: u64,
    /// How long all of them took, in microseconds.
    pub micros: u64,
}

/// Keys by what is due for them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DueFigures {
    /// Rotations whose time has come and that have not happened.
    pub rotations: u64,
    /// Planned destructions of that kind.
    pub destructions: u64,
    /// Rotations within the next day.
    pub rotations_soon: u64,
    /// Planned destructions within the next day.
    pub destructions_soon: u64,
}

/// A day in microseconds.
const DAY: i64 = 24 * 60 * 60 * 1_000_000;

/// How many keys that are due are counted at most: who has more has other worries, and looking is to stay cheap.
const COUNTED: usize = 10_000;

impl CacheFigures {
    fn of<K: Eq + Hash, V: Clone>(name: &'static str, cache: &Cache<K, V>) -> Self {
        let len = u64::try_from(cache.len()).unwrap_or(u64::MAX);
        CacheFigures { name, hits: cache.hits(), misses: cache.misses(), len }
    }
}

impl Keyring {
    /// As [`crate::Core::figures`].
    pub(crate) fn figures(&self) -> Figures {
        let sealed = self.is_sealed();
        Figures {
            sealed,
            caches: [
                CacheFigures::of("metadata", &self.keys),
                CacheFigures::of("ready", &self.ready),
                CacheFigures::of("opened", &self.handles),
            ],
            audit: self.log.as_ref().map(|log| log.figures()),
            commits: CommitFigures {
                done: self.books.commits.done.load(Ordering::Relaxed),
                failed: self.books.commits.failed.load(Ordering::Relaxed),
                micros: self.books.commits.micros.load(Ordering::Relaxed),
            },
            hsm: hsm_figures(),
            rows: self.rows_figures(),
            due: if sealed { None } else { self.due_figures().ok() },
        }
    }

    fn due_figures(&self) -> Result<DueFigures> {
        let now = self.clock.now_micros();
        let mut figures = DueFigures::default();
        for row in self.store.due_keys(None, now.saturating_add(DAY), COUNTED)? {
            let is_due = row.due_at.is_some_and(|at| at <= now);
            let count = match (row.state == KeyState::Disabled.name(), is_due) {
                (false, true) => &mut figures.rotations,
                (true, true) => &mut figures.destructions,
                (false, false) => &mut figures.rotations_soon,
                (true, false) => &mut figures.destructions_soon,
            };
            *count += 1;
        }
        Ok(figures)
    }
}
