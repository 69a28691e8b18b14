//! A change's line travels in the change's own transaction, so that a process that is killed between the two loses none.
//!
//! The store of an audited core adds the line of the operation that this thread is in the middle of to whatever it
//! commits. Which operation that is stands in a thread-local, as in [`crate::at_once`]: it says something of the
//! thread, it is set in one place, and no commit can forget it.

use super::call::current_row;
use super::log::Log;
use crate::store::{AuditRows, Change, Ledger, Store, audit_handed_on, handed_on, looks_handed_on};
use canis_proto::{Id, Result};
use std::borrow::Cow;
use std::sync::Arc;

/// The store below, and the log.
pub(crate) struct Audited {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) log: Arc<Log>,
}

impl Audited {
    /// The changes, and the line of the operation that they are part of.
    fn with_line<'a>(&self, changes: &'a [Change]) -> Result<Cow<'a, [Change]>> {
        let Some(row) = current_row(&self.log)? else { return Ok(changes.into()) };
        Ok(changes.iter().cloned().chain([Change::NoteLine(row)]).collect())
    }
}

macro_rules! passed_on {
    ($(fn $call:ident(&self $(, $name:ident: $type:ty)*) $(-> $answer:ty)?;)+) => {
        $(fn $call(&self $(, $name: $type)*) $(-> $answer)? {
            self.store.$call($($name),*)
        })+
    };
}

impl AuditRows for Audited {
    audit_handed_on!(passed_on);
}

impl Store for Audited {
    fn commit(&self, changes: &[Change]) -> Result<()> {
        self.store.commit(&self.with_line(changes)?)
    }

    fn commit_by(&self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()> {
        self.store.commit_by(&self.with_line(changes)?, ledger)
    }

    handed_on!(passed_on);
    looks_handed_on!(passed_on);
}
