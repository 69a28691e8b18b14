//! `approval.…`: who asks for what others have to approve, and what they say to it.
//!
//! Nobody approves what he asks for, nor by a credential that he has made or that has made his. What a request is about is
//! shown to who asked, to who may approve it, and to who administers approvals; to others it is not there.

use crate::audit::note_text;
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::approval::Kept;
use crate::keyring::approval_record::{ApprovalRecord, Outcome};
use crate::store::Change;
use canis_proto::approval::{
    ApprovalInfo, ApprovalList, ApproveRequest, Approved, CancelRequest, DenyRequest, ListApprovals,
    MAX_REASON, ShowApproval, Told,
};
use canis_proto::operation::TABLE;
use canis_proto::{Capability, Error, ErrorCode, Id, Result, quote};

/// What administers approvals.
const APPROVALS: Resource<'_> = Resource::Part("approvals");

/// How often a request is looked at again because somebody else has changed it meanwhile.
const TRIES: usize = 100;

impl Run for ListApprovals<'_> {
    fn resource(&self) -> Resource<'_> {
        APPROVALS
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<ApprovalList> {
        let (tenant, now) = (caller.tenant()?, keyring.clock.now_micros());
        let mut requests = Vec::new();
        for kept in keyring.requests(tenant)? {
            let wanted = kept.record.path.starts_with(&*self.on) && (!self.waiting || kept.waits(now));
            if wanted && keyring.shows_request(caller, &kept)? {
                let told = keyring.told_request(tenant, &kept, now)?;
                requests.push(ApprovalInfo { arguments: Vec::new(), ..told });
            }
        }
        Ok(ApprovalList { requests })
    }
}

impl Run for ShowApproval<'_> {
    fn resource(&self) -> Resource<'_> {
        APPROVALS
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<ApprovalInfo> {
        let kept = keyring.request_shown(caller, &self.id)?;
        keyring.told_request(caller.tenant()?, &kept, keyring.clock.now_micros())
    }
}

impl Run for ApproveRequest<'_> {
    fn resource(&self) -> Resource<'_> {
        APPROVALS
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<ApprovalInfo> {
        let who = keyring.person(caller)?;
        keyring.change_request(caller, &self.id, |kept| {
            let path = Resource::Path(&kept.record.path);
            keyring.require(caller, Capability::Approve, path, Facts::default())?;
            if who.is_of(&kept.record.requester) {
                let why =
                    "who asks does not approve, nor does who made his credential or bears one that he made";
                return Err(Error::new(ErrorCode::PermissionDenied, why));
            }
            if kept.record.approvals.iter().any(|approval| approval.who.is_of(&who)) {
                let why =
                    "you have approved this already, or by a credential that made yours or that yours made";
                return Err(Error::new(ErrorCode::OperationNotAllowed, why));
            }
            let mut record = kept.record.clone();
            record.approvals.push(keyring.approval_by(caller, who.clone())?);
            Ok(record)
        })
    }
}

impl Run for DenyRequest<'_> {
    fn resource(&self) -> Resource<'_> {
        APPROVALS
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<ApprovalInfo> {
        if self.reason.len() > MAX_REASON {
            return Err(Error::invalid(format!("a reason has at most {MAX_REASON} bytes")));
        }
        let now = keyring.clock.now_micros();
        keyring.change_request(caller, &self.id, |kept| {
            let path = Resource::Path(&kept.record.path);
            keyring.require(caller, Capability::Approve, path, Facts::default())?;
            let record = ended(&kept.record, Outcome::Denied, now);
            Ok(ApprovalRecord { reason: self.reason.clone().into_owned(), ..record })
        })
    }
}

impl Run for CancelRequest<'_> {
    fn resource(&self) -> Resource<'_> {
        APPROVALS
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<ApprovalInfo> {
        let now = keyring.clock.now_micros();
        keyring.change_request(caller, &self.id, |kept| {
            if kept.record.requester.id != caller.identity().0 {
                keyring.require(caller, Capability::Admin, APPROVALS, Facts::default())?;
            }
            Ok(ended(&kept.record, Outcome::Cancelled, now))
        })
    }
}

fn ended(record: &ApprovalRecord, outcome: Outcome, now: i64) -> ApprovalRecord {
    ApprovalRecord { outcome: outcome as u8, settled_at: Some(now), ..record.clone() }
}

impl Keyring {
    /// Whether a request is there for the caller.
    fn shows_request(&self, caller: &Caller, kept: &Kept) -> Result<bool> {
        Ok(kept.record.requester.id == caller.identity().0
            || self.shows(caller, Capability::Approve, Resource::Path(&kept.record.path))?
            || self.shows(caller, Capability::Admin, APPROVALS)?)
    }

    fn request_shown(&self, caller: &Caller, id: &str) -> Result<Kept> {
        let kept = match Id::parse(id) {
            Some(id) => self.request_if_there(caller.tenant()?, &id.to_string())?,
            None => None,
        };
        if let Some(kept) = kept
            && self.shows_request(caller, &kept)?
        {
            return Ok(kept);
        }
        let why = format!("there is no request `{}` that is yours or that you may approve", quote(id));
        Err(Error::new(ErrorCode::ObjectNotFound, why))
    }

    /// Changes a request that waits, as `edit` says. If somebody else changes it meanwhile, both are asked again.
    fn change_request(
        &self,
        caller: &Caller,
        id: &str,
        edit: impl Fn(&Kept) -> Result<ApprovalRecord>,
    ) -> Result<ApprovalInfo> {
        let tenant = caller.tenant()?;
        for tried in 0..TRIES {
            let (kept, now) = (self.request_shown(caller, id)?, self.clock.now_micros());
            if !kept.waits(now) {
                let why = format!(
                    "request {} is {}; ask for the same again to begin anew",
                    kept.id(),
                    state(&kept, now, false)
                );
                return Err(Error::new(ErrorCode::OperationNotAllowed, why));
            }
            let record = edit(&kept)?;
            if tried == 0 {
                note_text("approval", &kept.id());
                note_text("asked", &operation_name(&kept.record));
                note_text("asker", &Id(kept.record.requester.id));
            }
            match self.store.commit(&[Change::Put(self.next_request(&kept, &record)?)]) {
                Ok(()) => return self.told_request(tenant, &self.request_shown(caller, id)?, now),
                Err(error) if error.code == ErrorCode::Conflict => {}
                Err(error) => return Err(error),
            }
        }
        Err(Error::new(ErrorCode::Conflict, "others change this request all the time; try again"))
    }

    fn told_request(&self, tenant: Id, kept: &Kept, now: i64) -> Result<ApprovalInfo> {
        let record = &kept.record;
        let mut approvals = Vec::new();
        for approval in &record.approvals {
            approvals.push(Approved {
                who: Id(approval.who.id).to_string(),
                name: approval.who.called.clone(),
                at: approval.at,
                counts: self.standing_of(tenant, &record.path, approval)?.is_some(),
            });
        }
        let enough = approvals.iter().filter(|approval| approval.counts).count() >= kept.needed() as usize;
        let mut approvers: Vec<String> = record.demands.iter().flat_map(|(_, names)| names.clone()).collect();
        approvers.sort();
        approvers.dedup();
        let told = |(name, value): &(String, String)| Told { name: name.clone(), value: value.clone() };
        Ok(ApprovalInfo {
            id: kept.id().to_owned(),
            operation: operation_name(record),
            on: record.path.clone(),
            requester: Id(record.requester.id).to_string(),
            requester_name: record.requester.called.clone(),
            state: state(kept, now, enough).to_owned(),
            needed: kept.needed(),
            approvers,
            approvals,
            arguments: record.told.iter().map(told).collect(),
            reason: Some(record.reason.clone()).filter(|reason| !reason.is_empty()),
            created_at: record.created_at,
            expires_at: record.expires_at,
            settled_at: record.settled_at,
        })
    }
}

fn operation_name(record: &ApprovalRecord) -> String {
    let row = TABLE.iter().find(|row| row.id as u16 == record.operation);
    row.map_or_else(|| format!("operation {}", record.operation), |row| row.name.to_owned())
}

fn state(kept: &Kept, now: i64, enough: bool) -> &'static str {
    match kept.outcome {
        Outcome::Executed => "executed",
        Outcome::Denied => "denied",
        Outcome::Cancelled => "cancelled",
        Outcome::Open if !kept.waits(now) => "expired",
        Outcome::Open if enough => "approved",
        Outcome::Open => "waiting",
    }
}
