//! A store as servers have it: what must not wait ([`crate::at_once`]) does not get to it.

use super::{AuditRows, Change, Ledger, Store, audit_handed_on, handed_on};
use crate::at_once::may_wait;
use canis_proto::{Id, Result};
use std::time::Duration;

/// The store below, for those who may wait.
pub struct AtHand<S>(pub S);

macro_rules! waiting {
    ($(fn $call:ident(&self $(, $name:ident: $type:ty)*) -> $answer:ty;)+) => {
        $(fn $call(&self $(, $name: $type)*) -> $answer {
            may_wait()?;
            self.0.$call($($name),*)
        })+
    };
}

impl<S: Store> AuditRows for AtHand<S> {
    audit_handed_on!(waiting);
}

impl<S: Store> Store for AtHand<S> {
    handed_on!(waiting);
    waiting! {
        fn commit_by(&self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()>;
    }

    fn host(&self) -> Id {
        self.0.host()
    }

    fn credentials(&self) -> u64 {
        self.0.credentials()
    }

    fn generation(&self) -> u64 {
        self.0.generation()
    }

    fn stands(&self, generation: u64, ids: &[Id]) -> bool {
        self.0.stands(generation, ids)
    }

    fn grace(&self) -> Duration {
        self.0.grace()
    }

    fn unheeded_credentials(&self) -> Option<u64> {
        self.0.unheeded_credentials()
    }

    fn pause(&self) {
        self.0.pause();
    }

    fn resume(&self) {
        self.0.resume();
    }
}
