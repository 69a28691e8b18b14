//! A store whose commits are counted, once somebody has said by which ledger.

use super::accumulator::Accountant;
use crate::store::{AuditRows, Change, Ledger, Store, audit_handed_on, handed_on};
use canis_proto::{Error, Id, Result};
use std::sync::{Arc, PoisonError, RwLock};

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

/// The ledger of a store; it changes when the store is unsealed, sealed, or gets another root key.
pub(crate) struct Books(RwLock<Counting>);

impl Books {
    pub(crate) fn new(counting: Counting) -> Self {
        Books(RwLock::new(counting))
    }

    /// Counts so from now on.
    pub(crate) fn set(&self, counting: Counting) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = counting;
    }

    /// How it is counted now.
    pub(crate) fn counting(&self) -> Counting {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
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
    passed_on! {
        fn commit_by(&self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()>;
        fn credentials(&self) -> u64;
        fn generation(&self) -> u64;
        fn pause(&self);
        fn resume(&self);
    }

    fn commit(&self, changes: &[Change]) -> Result<()> {
        match self.books.counting() {
            Counting::Not => self.base.commit_by(changes, None),
            Counting::By(ledger) => self.base.commit_by(changes, Some(&*ledger)),
            Counting::Refused(error) => Err(error),
        }
    }
}
