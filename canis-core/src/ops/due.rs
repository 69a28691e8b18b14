//! `key.run-due`: what schedules ask for. The server's timer calls it; the core has no clock that ticks.

use crate::audit::{self, Open};
use crate::caller::Caller;
use crate::core::{Core, Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::store::KeyRow;
use canis_proto::{Error, ErrorCode, Id, KeyState, Operation, OperationId, Result};
use std::collections::HashSet;
use std::sync::Arc;

/// Rotates every key whose time has come and destroys those whose destruction was planned. Several processes on one
/// store may do this at once: each change is made from a revision that only one of them finds.
pub struct RunDue;

/// What was done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DueReport {
    /// Keys that have a new version: its name, and the version.
    pub rotated: Vec<(String, u32)>,
    /// Keys that were destroyed.
    pub destroyed: Vec<String>,
    /// Keys for which it failed, and why.
    pub failed: Vec<(String, Error)>,
}

/// How many keys are looked at together.
const BATCH: usize = 100;

impl Operation for RunDue {
    const ID: OperationId = OperationId::RunDue;
    type Answer = DueReport;
}

impl Core {
    /// Does what is due now; to be called every second or so.
    ///
    /// # Errors
    /// `sealed`, `store_unavailable`. What fails for one key is in the report.
    pub fn run_due(&self) -> Result<DueReport> {
        self.call(&Caller::timer(), RunDue)
    }
}

impl Run for RunDue {
    fn resource(&self) -> Resource<'_> {
        Resource::Keys
    }

    fn run(self, keyring: &Keyring, _: &Caller) -> Result<DueReport> {
        keyring.run_due_in(None)
    }

    /// Each key has its own line; that it was looked for what is due has none.
    fn keep_line(report: DueReport, _: Open) -> (DueReport, Option<Open>) {
        (report, None)
    }
}

impl Keyring {
    /// Does what fell due in a tenant while its PIN kept it closed. Nobody asked for this, but for a login that has
    /// happened: what cannot be done now stays due.
    pub(super) fn catch_up(&self, tenant: Id) {
        drop(self.run_due_in(Some(tenant)));
    }

    /// Does what is due in one tenant, or in all.
    fn run_due_in(&self, tenant: Option<Id>) -> Result<DueReport> {
        let mut report = DueReport::default();
        let now = self.clock.now_micros();
        // Several servers see the same clock: one does what is due, the others would draw keys for nothing.
        if self.store.due_keys(tenant, now, 1)?.is_empty() {
            return Ok(report);
        }
        let Some(_turn) = self.store.due_turn()? else { return Ok(report) };
        let mut seen: HashSet<Id> = HashSet::new();
        loop {
            // What cannot be done now stays due, before everything else.
            let mut rows = self.store.due_keys(tenant, now, seen.len() + BATCH)?;
            rows.retain(|row| seen.insert(row.id));
            if rows.is_empty() {
                return Ok(report);
            }
            for row in rows {
                match self.run_due(&row, now, &mut report) {
                    Ok(()) => {}
                    // It runs once when somebody logs in, or when the tenant is enabled.
                    Err(error)
                        if matches!(error.code, ErrorCode::TenantLocked | ErrorCode::TenantDisabled) => {}
                    Err(error) if error.code == ErrorCode::Sealed => return Err(error),
                    Err(error) => report.failed.push((row.name, error)),
                }
            }
        }
    }

    fn run_due(&self, row: &KeyRow, now: i64, report: &mut DueReport) -> Result<()> {
        let tenant = self.tenant(row.tenant_id)?;
        let find = || self.key_by_id(&tenant, row.id).map(Arc::new);
        let due = |key: &Key| key.record.due_at().is_some_and(|at| at <= now);
        let key = find()?;
        // Another process may be first: then it is not due any more, and nothing is done here.
        let on = Resource::Key(&key.record.name);
        let destroy = || self.destroy(&tenant, find, due);
        if key.state == KeyState::Disabled
            && audit::part(tenant.id, OperationId::DestroyKey, on, destroy)?.state == KeyState::Destroyed
        {
            report.destroyed.push(key.record.name.clone());
        }
        let rotate = || self.rotate(&tenant, find, due);
        if key.state == KeyState::Active
            && due(&key)
            && let Some(done) = audit::part(tenant.id, OperationId::RotateKey, on, rotate)?
        {
            report.rotated.push((done.key.record.name.clone(), done.key.record.current_version));
        }
        Ok(())
    }
}
