//! A store as servers have it: what must not wait ([`crate::at_once`]) does not get to it.

use super::{AuditRows, Change, Ledger, Store, audit_handed_on, handed_on, looks_handed_on};
use crate::at_once::may_wait;
use canis_proto::{Id, Result};

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

macro_rules! passed_on {
    ($(fn $call:ident(&self $(, $name:ident: $type:ty)*) $(-> $answer:ty)?;)+) => {
        $(fn $call(&self $(, $name: $type)*) $(-> $answer)? {
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

    looks_handed_on!(passed_on);
}
