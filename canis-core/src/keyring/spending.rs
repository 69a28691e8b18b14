//! An approval is used up in the transaction of what it approves: both are there, or neither.
//!
//! This store adds what marks the request as done to the first commit that the approved operation makes. Which operation
//! that is stands in a thread-local, as for the audit log's lines: it is set in one place, and no operation can forget it.

use crate::store::{AuditRows, Change, Ledger, Row, Store, audit_handed_on, handed_on, looks_handed_on};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::borrow::Cow;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    /// What marks the request as done that this thread is in the middle of doing.
    static DONE: RefCell<Option<Row>> = const { RefCell::new(None) };
}

/// The store below.
pub(super) struct Spending(pub(super) Arc<dyn Store>);

/// Runs `work`, whose first commit writes `done` too. Gives what is left: `done`, if `work` has committed nothing.
pub(super) fn spending<T>(done: Row, work: impl FnOnce() -> T) -> (T, Option<Row>) {
    /// Puts back what was there before, whatever happens meanwhile.
    struct Until(Option<Row>);
    impl Drop for Until {
        fn drop(&mut self) {
            DONE.set(self.0.take());
        }
    }
    let until = Until(DONE.replace(Some(done)));
    let result = work();
    let left = DONE.take();
    drop(until);
    (result, left)
}

impl Spending {
    /// Commits the changes, and with them what marks the request as done.
    fn with_mark(&self, changes: &[Change], commit: impl FnOnce(&[Change]) -> Result<()>) -> Result<()> {
        let mark = DONE.with_borrow(|done| done.clone().map(Change::Put));
        let all: Cow<'_, [Change]> = match &mark {
            None => changes.into(),
            Some(mark) => changes.iter().chain([mark]).cloned().collect(),
        };
        match (commit(&all), mark) {
            (Ok(()), Some(_)) => {
                DONE.take();
                Ok(())
            }
            (Err(error), Some(Change::Put(Row::Policy(mark)))) if error.code == ErrorCode::Conflict => {
                // Whoever tries again must not try for ever what somebody else has done or ended.
                let now = self.0.policy(mark.tenant_id, mark.kind, &mark.name)?;
                match now.is_some_and(|now| now.revision + 1 == mark.revision) {
                    true => Err(error),
                    false => Err(changed_meanwhile()),
                }
            }
            (done, _) => done,
        }
    }
}

/// The refusal of what another request has used up.
pub(super) fn changed_meanwhile() -> Error {
    let why = "the request that was approved was done, denied or cancelled meanwhile; ask again";
    Error::new(ErrorCode::ApprovalRequired, why)
}

macro_rules! passed_on {
    ($(fn $call:ident(&self $(, $name:ident: $type:ty)*) $(-> $answer:ty)?;)+) => {
        $(fn $call(&self $(, $name: $type)*) $(-> $answer)? {
            self.0.$call($($name),*)
        })+
    };
}

impl AuditRows for Spending {
    audit_handed_on!(passed_on);
}

impl Store for Spending {
    fn commit(&self, changes: &[Change]) -> Result<()> {
        self.with_mark(changes, |all| self.0.commit(all))
    }

    fn commit_by(&self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()> {
        self.with_mark(changes, |all| self.0.commit_by(all, ledger))
    }

    handed_on!(passed_on);
    looks_handed_on!(passed_on);
}
