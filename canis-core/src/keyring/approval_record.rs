//! The record of a request that others are to approve.

use super::record::record;
use canis_proto::{Error, ErrorCode, Result};
use wincode::{SchemaRead, SchemaWrite};

record! {
    /// A request that others are to approve.
    StoredApproval, ApprovalRecord, "a request for approval", {
        /// The operation's number.
        operation: u16,
        /// What it is about: a path, as policies name it.
        path: String,
        /// Who asks.
        requester: Person,
        /// SHA-256 of what is asked for and by whom.
        digest: [u8; 32],
        /// What is asked for, argument by argument, for people; no secret.
        told: Vec<(String, String)>,
        /// What was demanded when it was asked: how many, and whose policies.
        demands: Vec<(u32, Vec<String>)>,
        /// When it was asked, in microseconds since 1970-01-01 UTC.
        created_at: i64,
        /// When it ends.
        expires_at: i64,
        /// The number of its [`Outcome`].
        outcome: u8,
        /// When it came to that.
        settled_at: Option<i64>,
        /// Why it was denied; empty if nobody said so.
        reason: String,
        /// Who has approved it.
        approvals: Vec<Approval>,
    }
}

/// Somebody as requests know him.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(crate) struct Person {
    /// The id of a credential or of somebody let in by a role; [`canis_proto::Id::STORE`] is who bears none.
    pub(crate) id: [u8; 16],
    /// How he proved who he is.
    pub(crate) proof: String,
    /// What people call him.
    pub(crate) called: String,
    /// Who made his credential, and who made that, and so on.
    pub(crate) lineage: Vec<[u8; 16]>,
}

impl Person {
    /// Whether both may be one: one bears what the other has made.
    pub(crate) fn is_of(&self, other: &Person) -> bool {
        self.id == other.id || self.lineage.contains(&other.id) || other.lineage.contains(&self.id)
    }
}

/// An approval.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(crate) struct Approval {
    /// Who gave it.
    pub(crate) who: Person,
    /// The roles that let him in, each with the revision that it had.
    pub(crate) roles: Vec<(String, u64)>,
    /// The address that it came from; `local` for this machine.
    pub(crate) source: String,
    /// When, in microseconds since 1970-01-01 UTC.
    pub(crate) at: i64,
}

/// What has become of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nothing yet.
    Open = 0,
    /// It was done.
    Executed = 1,
    /// Somebody has refused it.
    Denied = 2,
    /// Whoever asked has taken it back.
    Cancelled = 3,
}

impl Outcome {
    /// The outcome of this number.
    ///
    /// # Errors
    /// `store_format` for a number that this CANIS does not know.
    pub(crate) fn of(number: u8) -> Result<Self> {
        let all = [Outcome::Open, Outcome::Executed, Outcome::Denied, Outcome::Cancelled];
        let known = all.into_iter().find(|one| *one as u8 == number);
        let why = "the record of a request for approval is of a format this CANIS does not know";
        known.ok_or_else(|| Error::new(ErrorCode::StoreFormat, why))
    }
}
