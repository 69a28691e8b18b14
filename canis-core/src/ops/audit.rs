//! `audit.…`: the log of what was asked, verified and searched.

use crate::audit::{Wanted, search};
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use canis_proto::audit::{AuditLines, AuditVerified, SearchAudit, VerifyAudit};
use canis_proto::{Error, ErrorCode, Result};
use std::path::PathBuf;

impl Run for VerifyAudit {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("audit")
    }

    fn run(self, keyring: &Keyring, _: &Caller) -> Result<AuditVerified> {
        let report = keyring.verify_audit(&folder(keyring)?)?;
        let broken = report.broken.iter().map(ToString::to_string).collect();
        Ok(AuditVerified { files: report.files, lines: report.lines, broken, notes: report.notes })
    }
}

impl Run for SearchAudit<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("audit")
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.lines.iter().map(String::len).sum())
    }

    /// Who is not on the host sees the lines of the own tenant.
    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<AuditLines> {
        let own = caller.tenant_if_known();
        let only = if caller.is_on_host() { None } else { Some(caller.tenant()?) };
        search(&folder(keyring)?, &Wanted::new(&self, &keyring.audit_keys()?, own, only))
    }
}

fn folder(keyring: &Keyring) -> Result<PathBuf> {
    let log = keyring.log.as_ref().ok_or_else(|| {
        Error::new(ErrorCode::OperationNotAllowed, "no audit log is kept here; it was turned off")
    })?;
    Ok(log.folder().to_owned())
}
