//! A store whose commits are counted, once somebody has said by which ledger.

use super::accumulator::Accountant;
use super::rows_checked::LastCheck;
use crate::store::{AuditRows, Change, Ledger, Store, audit_handed_on, handed_on, looks_handed_on};
use canis_proto::{Error, Id, Result};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

/// How commits are counted.
#[derive(Clone)]
pub(crate) enum Counting {
    /// Not at all: the store has no root.
    Not,
    /// By accumulators under this key.
    By(Arc<Accountant>),
    /// They cannot be, and so nothing is written.
    Refused(Error),
}

/// The ledger of a store; it changes when the store is unsealed, sealed, or gets another root key. And how its commits and comparisons
/// went.
pub(crate) struct Books {
    counting: RwLock<Counting>,
    pub(super) commits: Commits,
    pub(super) checked: LastCheck,
}

/// How commits went.
#[derive(Default)]
pub(super) struct Commits {
    pub(super) done: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) micros: AtomicU64,
}

impl Commits {
    /// Commits by `work`, and counts that.
    fn timed(&self, work: impl FnOnce() -> Result<()>) -> Result<()> {
        let began = Instant::now();
        let done = work();
        let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.micros.fetch_add(micros, Ordering::Relaxed);
        let count = if done.is_ok() { &self.done } else { &self.failed };
        count.fetch_add(1, Ordering::Relaxed);
        done
    }
}

impl Books {
    pub(crate) fn new(counting: Counting) -> Self {
        Books { counting: RwLock::new(counting), commits: Commits::default(), checked: LastCheck::default() }
    }

    /// Counts so from now on.
    pub(crate) fn set(&self, counting: Counting) {
        *self.counting.write().unwrap_or_else(PoisonError::into_inner) = counting;
    }

    /// How it is counted now.
    pub(crate) fn counting(&self) -> Counting {
        self.counting.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The store below, counted.
pub(crate) struct Counted {
    base: Arc<dyn Store>,
    books: Arc<Books>,
}

impl Counted {
    pub(crate) fn over(base: Arc<dyn Store>, books: Arc<Books>) -> Self {
        Counted { base, books }
    }
}

macro_rules! passed_on {
    ($(fn $call:ident(&self $(, $name:ident: $type:ty)*) $(-> $answer:ty)?;)+) => {
        $(fn $call(&self $(, $name: $type)*) $(-> $answer)? {
            self.base.$call($($name),*)
        })+
    };
}

impl AuditRows for Counted {
    audit_handed_on!(passed_on);
}

impl Store for Counted {
    handed_on!(passed_on);
    looks_handed_on!(passed_on);
    passed_on! {
        fn commit_by(&self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()>;
    }

    fn commit(&self, changes: &[Change]) -> Result<()> {
        let counting = self.books.counting();
        self.books.commits.timed(|| match counting {
            Counting::Not => self.base.commit_by(changes, None),
            Counting::By(ledger) => self.base.commit_by(changes, Some(&*ledger)),
            Counting::Refused(error) => Err(error),
        })
    }
}
