//! Requests that others have to approve: what is demanded, what was asked, who has approved it and still may.
//!
//! They are rows of the store as a whole, as policies are: only who holds the root writes one. A request is bound to who
//! asks, and to all that he asks for; it is found again by that when he asks again, and used up in the transaction of what
//! it is for (ADR 0025).

use super::Keyring;
use super::approval_record::{Approval, ApprovalRecord, Outcome, Person};
use super::demands::satisfied;
use super::policy_record::TextKind;
use super::seal::fresh_id;
use super::spending::{changed_meanwhile, spending};
use super::store_rows::{agree, place};
use crate::audit::note_text;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::identity::Role;
use crate::origin::Proof;
use crate::policy::{Asked, OfKey, Source};
use crate::store::{Change, PolicyRow, Row, Store};
use canis_proto::{Capabilities, Capability, Error, ErrorCode, Id, OperationId, Result};
use std::sync::Arc;

/// The kind of a request's row among those that say who may do what.
pub(crate) const APPROVAL: u8 = 4;

/// How long a request waits: a day, in microseconds.
const WAITS: i64 = 24 * 60 * 60 * 1_000_000;

/// How long it is told what became of a request: 30 days.
const TOLD: i64 = 30 * WAITS;

/// The most requests of one caller that wait.
const MOST_WAITING: usize = 100;

/// The most requests of a tenant that are told of.
const MOST_TOLD: usize = 1000;

/// Where a request is written that an operation makes by being refused.
pub(super) enum Asking {
    /// Into the store at hand.
    Here,
    /// Into the store under the draft, which comes to nothing.
    Beneath(Arc<dyn Store>),
    /// Nowhere: nobody means to do it.
    Not,
}

impl Asking {
    /// The same for a draft over `store`: what it makes is to outlive every draft.
    pub(super) fn of_draft(&self, store: &Arc<dyn Store>) -> Self {
        match self {
            Asking::Here => Asking::Beneath(Arc::clone(store)),
            Asking::Beneath(beneath) => Asking::Beneath(Arc::clone(beneath)),
            Asking::Not => Asking::Not,
        }
    }
}

/// A request that was read and authenticated.
pub(crate) struct Kept {
    pub(crate) row: PolicyRow,
    pub(crate) record: ApprovalRecord,
    pub(crate) outcome: Outcome,
}

impl Kept {
    /// Its id as people write it.
    pub(crate) fn id(&self) -> &str {
        &self.row.name
    }

    /// Whether it waits.
    pub(crate) fn waits(&self, now: i64) -> bool {
        self.outcome == Outcome::Open && self.record.expires_at > now
    }

    /// How many have to approve it, as it was when it was asked.
    pub(crate) fn needed(&self) -> u32 {
        self.record.demands.iter().map(|(needed, _)| *needed).max().unwrap_or_default()
    }
}

impl Keyring {
    /// Runs an operation, after others have approved it if they have to.
    ///
    /// # Errors
    /// `approval_required`, naming the request that waits for them; those of the operation.
    pub(crate) fn run<R: Run>(&self, caller: &Caller, request: R) -> Result<R::Answer> {
        // What the keeper does unasked was approved when it was planned.
        if !R::ID.takes_approvals() || caller.proof() == Proof::Own {
            return request.run(self, caller);
        }
        let Some((done, fixed)) = self.approved(caller, &request)? else { return request.run(self, caller) };
        if matches!(R::ID, OperationId::RotateRootKey | OperationId::DeleteSlot | OperationId::DeleteToken) {
            // The request's own row is sealed anew by it, or goes with its tenant.
            self.store.commit(&[Change::Put(done)])?;
            return request.run(self, caller);
        }
        let (answer, left) = spending(done, || request.run(self, caller));
        let answer = answer?;
        // Somebody may have made another version between the look at what was approved and the work.
        if fixed.is_some() && R::gives(&answer) && R::fixed(&answer) != fixed {
            return Err(changed_meanwhile());
        }
        if let Some(done) = left.filter(|_| R::gives(&answer)) {
            self.store.commit(&[Change::Put(done)]).map_err(|error| match error.code {
                ErrorCode::Conflict => changed_meanwhile(),
                _ => error,
            })?;
        }
        Ok(answer)
    }

    /// What marks the request as done that enough have approved, and the version or revision that they mean; `None` if nobody
    /// has to.
    fn approved<R: Run>(&self, caller: &Caller, request: &R) -> Result<Option<(Row, Option<u64>)>> {
        let Some(intent) = request.intent(self, caller)? else { return Ok(None) };
        let asked =
            intent.tenant.map_or_else(|| self.asked_tenant(caller, R::ID), |tenant| Ok(Some(tenant)))?;
        let Some(tenant) = asked else { return Ok(None) };
        let path = match &intent.path {
            Some(path) => path.clone(),
            None => self.path_of(caller, request.resource())?,
        };
        let mut demands = intent.demands.clone();
        demands.extend(self.demanded(tenant, intent.capability, &path)?);
        if demands.is_empty() {
            return Ok(None);
        }
        let (who, now) = (self.person(caller)?, self.clock.now_micros());
        let number = (R::ID as u16).to_be_bytes();
        let digest = intent.digest(&[&tenant.0, &number, &path, &who.id, who.proof.as_bytes()]);
        let path = String::from_utf8_lossy(&path).into_owned();
        let kept = self.requests(tenant)?;
        let same = |kept: &&Kept| kept.waits(now) && kept.record.digest == digest;
        let (id, given) = match kept.iter().find(same) {
            Some(found) => {
                let given = self.given(tenant, &found.record)?;
                note_text("approval", &found.id());
                if demands.iter().all(|demand| satisfied(demand, &given)) {
                    let done = self.settled_row(found, Outcome::Executed, now)?;
                    return Ok(Some((done, intent.fixed)));
                }
                (found.id().to_owned(), given.len())
            }
            None => {
                let record = ApprovalRecord {
                    operation: R::ID as u16,
                    path,
                    requester: who,
                    digest,
                    told: intent.told,
                    demands: demands.iter().map(|one| (one.needed, one.approvers.clone())).collect(),
                    created_at: now,
                    expires_at: now.saturating_add(WAITS),
                    outcome: Outcome::Open as u8,
                    settled_at: None,
                    reason: String::new(),
                    approvals: Vec::new(),
                };
                (self.ask(tenant, &kept, &record, now)?, 0)
            }
        };
        let needed = demands.iter().map(|demand| demand.needed).max().unwrap_or_default();
        Err(required(R::ID, request.resource(), &id, (needed, given)))
    }

    /// The tenant whose policies decide about approvals: the operator's of what concerns the whole store.
    fn asked_tenant(&self, caller: &Caller, operation: OperationId) -> Result<Option<Id>> {
        match caller.tenant_if_known() {
            Some(own) if !operation.of_store() => Ok(Some(own)),
            _ => match self.first_tenant() {
                Ok(first) => Ok(Some(first)),
                Err(error) if error.code == ErrorCode::TenantNotFound => Ok(None),
                Err(error) => Err(error),
            },
        }
    }

    /// Every request of a tenant that is told of, the latest first.
    ///
    /// # Errors
    /// `store_tampered`.
    pub(crate) fn requests(&self, tenant: Id) -> Result<Vec<Kept>> {
        let rows = self.store.policies(tenant)?.into_iter().filter(|row| row.kind == APPROVAL);
        let mut kept = rows.map(|row| self.read_request(row)).collect::<Result<Vec<_>>>()?;
        kept.sort_by_key(|kept| std::cmp::Reverse(kept.record.created_at));
        Ok(kept)
    }

    /// A tenant's request of this id, if it is there.
    ///
    /// # Errors
    /// `store_tampered`.
    pub(crate) fn request_if_there(&self, tenant: Id, id: &str) -> Result<Option<Kept>> {
        self.store.policy(tenant, APPROVAL, id)?.map(|row| self.read_request(row)).transpose()
    }

    /// Opens a request's row.
    pub(crate) fn read_request(&self, row: PolicyRow) -> Result<Kept> {
        let place = place("policies", row.tenant_id, row.id, row.revision);
        let record = ApprovalRecord::decode(&self.open_store_row(&place, &row.sealed)?)?;
        agree(&place, "kind", &row.kind, &APPROVAL)?;
        agree(&place, "name", &row.name, &row.id.to_string())?;
        let outcome = Outcome::of(record.outcome)?;
        Ok(Kept { row, record, outcome })
    }

    /// The row that takes the place of a request's.
    pub(crate) fn next_request(&self, kept: &Kept, record: &ApprovalRecord) -> Result<Row> {
        let revision = kept.row.revision + 1;
        let place = place("policies", kept.row.tenant_id, kept.row.id, revision);
        let sealed = self.seal_store_row(&place, &record.encode()?)?;
        Ok(Row::Policy(PolicyRow { revision, sealed, ..kept.row.clone() }))
    }

    /// The same with what has become of it.
    pub(crate) fn settled_row(&self, kept: &Kept, outcome: Outcome, now: i64) -> Result<Row> {
        let settled_at = Some(now);
        self.next_request(kept, &ApprovalRecord { outcome: outcome as u8, settled_at, ..kept.record.clone() })
    }

    /// Writes a new request, and takes away those that are told of no longer. Gives its id.
    fn ask(&self, tenant: Id, there: &[Kept], record: &ApprovalRecord, now: i64) -> Result<String> {
        let store = match &self.asking {
            Asking::Here => &self.store,
            Asking::Beneath(store) => store,
            Asking::Not => return Ok("(none: this is a preview)".to_owned()),
        };
        let own = |kept: &&Kept| kept.waits(now) && kept.record.requester.id == record.requester.id;
        if there.iter().filter(own).count() >= MOST_WAITING {
            let why =
                format!("{MOST_WAITING} of your requests wait for approvals; cancel some of them first");
            return Err(Error::new(ErrorCode::LimitReached, why));
        }
        let over = there.iter().filter(|kept| !kept.waits(now)).enumerate();
        let untold =
            over.filter(|(at, kept)| *at >= MOST_TOLD || kept.record.expires_at.saturating_add(TOLD) <= now);
        let mut changes: Vec<_> =
            untold.map(|(_, kept)| Change::RemovePolicy(kept.row.id, kept.row.revision)).collect();
        let id = fresh_id(self.provider)?;
        let sealed = self.seal_store_row(&place("policies", tenant, id, 1), &record.encode()?)?;
        let name = id.to_string();
        note_text("approval", &name);
        let row = PolicyRow { id, tenant_id: tenant, kind: APPROVAL, name, revision: 1, sealed };
        changes.push(Change::Put(Row::Policy(row)));
        store.commit(&changes)?;
        Ok(id.to_string())
    }

    /// The caller as requests know him.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn person(&self, caller: &Caller) -> Result<Person> {
        let id = caller.identity();
        let credential = match caller.admission() {
            Some(_) => None,
            None => self.store.token(id)?.map(|row| self.read_token(&row)).transpose()?,
        };
        let proof = match caller.pin_role() {
            Some(role) => format!("{}/{role}", caller.proof().name()),
            None => caller.proof().name().to_owned(),
        };
        let called = match (caller.admission(), &credential) {
            (Some(admission), _) => admission.subject.clone(),
            (None, Some(record)) => record.name.clone(),
            (None, None) => "this host's administrator".to_owned(),
        };
        Ok(Person {
            id: id.0,
            proof,
            called,
            lineage: credential.map_or_else(Vec::new, |record| record.lineage),
        })
    }

    /// An approval by the caller, now.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn approval_by(&self, caller: &Caller, who: Person) -> Result<Approval> {
        let tenant = caller.tenant()?;
        let mut roles = Vec::new();
        for name in caller.admission().iter().flat_map(|admission| admission.roles.split(',')) {
            let role = self.text(tenant, TextKind::Role, name)?;
            roles.push((name.to_owned(), role.revision));
        }
        let source = match caller.origin().source {
            Source::Local => "local".to_owned(),
            Source::Network(address) => address.to_string(),
        };
        Ok(Approval { who, roles, source, at: self.clock.now_micros() })
    }

    /// The policies of those whose approvals count now, each by each.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn given(&self, tenant: Id, record: &ApprovalRecord) -> Result<Vec<Vec<String>>> {
        let mut given = Vec::new();
        for approval in &record.approvals {
            given.extend(self.standing_of(tenant, &record.path, approval)?);
        }
        Ok(given)
    }

    /// The policies of whoever gave an approval, if he might still give it.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn standing_of(
        &self,
        tenant: Id,
        path: &str,
        approval: &Approval,
    ) -> Result<Option<Vec<String>>> {
        let id = Id(approval.who.id);
        if id == Id::STORE {
            return Ok(Some(Vec::new()));
        }
        let (own, policies) = match &*approval.roles {
            [] => {
                let Some(row) = self.store.token(id)?.filter(|row| row.tenant_id == tenant) else {
                    return Ok(None);
                };
                let record = self.read_token(&row)?;
                if record.expires_at.is_some_and(|end| end <= self.clock.now_micros()) {
                    return Ok(None);
                }
                (Capabilities::from_bits(record.capabilities), record.policies)
            }
            roles => {
                let (mut own, mut policies) = (Capabilities::NONE, Vec::new());
                for (name, revision) in roles {
                    let kept = self.text_if_there(tenant, TextKind::Role, name)?;
                    // Written anew, it may not be about him any more.
                    let Some(kept) = kept.filter(|kept| kept.revision == *revision) else { return Ok(None) };
                    let Ok(role) = Role::read(&kept.record.text) else { return Ok(None) };
                    own = own.and(role.capabilities);
                    policies.extend(role.policies);
                }
                (own, policies)
            }
        };
        let source = approval.source.parse().map_or(Source::Local, Source::Network);
        let asked = Asked {
            capability: Capability::Approve,
            path: path.as_bytes(),
            key: OfKey::None,
            payload: None,
            context: None,
            now_micros: approval.at,
            source,
        };
        let allowed = self.rights(tenant, own, &policies)?.decide(&asked).allowed;
        Ok(allowed.then_some(policies))
    }

    /// What a credential that the caller makes remembers of where it comes from.
    ///
    /// # Errors
    /// `limit_reached` for one too far from the first.
    pub(crate) fn lineage_of_child(&self, caller: &Caller) -> Result<Vec<[u8; 16]>> {
        const MOST: usize = 32;
        let maker = self.person(caller)?;
        if maker.lineage.len() >= MOST {
            let why = "credentials make credentials to 32 generations; take one that was made earlier";
            return Err(Error::new(ErrorCode::LimitReached, why));
        }
        Ok(maker.lineage.into_iter().chain([maker.id]).collect())
    }
}

fn required(operation: OperationId, on: Resource<'_>, id: &str, (needed, given): (u32, usize)) -> Error {
    let name = operation.row().name;
    let why = format!(
        "`{name}` on {on} takes the approval of {needed} others; request {id} has {given}. Have it approved by \
         `canis approval approve {id}`, then ask for the same again"
    );
    Error::new(ErrorCode::ApprovalRequired, why)
}
