//! Requests that others have to approve before they are done: what waits, who has said what, and which operations wait.

use crate::OperationId;
use crate::answer::answer;
use crate::message::request;
use crate::value::Value;
use std::borrow::Cow;

/// The most approvals that may be asked for.
pub const MAX_APPROVALS: u32 = 16;

/// The longest reason for a denial, in bytes.
pub const MAX_REASON: usize = 1024;

impl OperationId {
    /// Whether policies and keys may ask for approvals of it: it lets keys out, destroys something, or changes who may do
    /// what or what opens the store.
    #[must_use]
    pub const fn takes_approvals(self) -> bool {
        use OperationId as O;
        matches!(
            self,
            O::ExportKey
                | O::GetEntry
                | O::WrapKey
                | O::ExportObject
                | O::CopyObject
                | O::DeriveKey
                | O::CreateBackup
                | O::UpdateKey
                | O::DestroyKey
                | O::PutEntry
                | O::DeleteEntry
                | O::DestroyObject
                | O::DeleteSlot
                | O::DeleteToken
                | O::DeleteTenant
                | O::PutPolicy
                | O::DeletePolicy
                | O::PutRole
                | O::DeleteRole
                | O::CreateCredential
                | O::AddRoot
                | O::RemoveRoot
                | O::RotateRoot
                | O::RotateRootKey
        )
    }
}

request! {
    /// Lists requests: those that wait, and those that were done or refused lately.
    ListApprovals => ApprovalList {
        /// How the paths begin that they are about; any if empty.
        on: Cow<'a, str>, default, |v| v.as_ref();
        /// Only those that wait.
        waiting: bool, default, |v| *v;
    }
}

request! {
    /// Tells all that is known of a request.
    ShowApproval => ApprovalInfo {
        /// Its id.
        id: Cow<'a, str>, required, |v| v.as_ref();
    }
}

request! {
    /// Approves a request of somebody else, once.
    ApproveRequest => ApprovalInfo {
        /// Its id.
        id: Cow<'a, str>, required, |v| v.as_ref();
    }
}

request! {
    /// Ends a request of somebody else.
    DenyRequest => ApprovalInfo {
        /// Its id.
        id: Cow<'a, str>, required, |v| v.as_ref();
        /// Why, for who asked; no secret.
        reason: Cow<'a, str>, default, |v| v.as_ref();
    }
}

request! {
    /// Takes one's own request back.
    CancelRequest => ApprovalInfo {
        /// Its id.
        id: Cow<'a, str>, required, |v| v.as_ref();
    }
}

answer! {
    /// A request that others are to approve. Times are microseconds since 1970-01-01 UTC.
    ApprovalInfo {
        /// Its id.
        id: String, required, |v| v.as_str();
        /// The operation that is asked for.
        operation: String, required, |v| v.as_str();
        /// What it is about: a path, as policies name it.
        on: String, required, |v| v.as_str();
        /// Who asks: the id of a credential or of somebody let in by a role.
        requester: String, required, |v| v.as_str();
        /// What people call whoever asks.
        requester_name: String, required, |v| v.as_str();
        /// `waiting`, `approved`, `executed`, `denied`, `cancelled` or `expired`.
        state: String, required, |v| v.as_str();
        /// How many have to approve it.
        needed: u32, required, |v| *v;
        /// The policies one of which each of them must bear; any if there are none.
        approvers: Vec<String>, some_strings, |v| Value::Array(v.iter().map(|one| Value::from(one.as_str())).collect());
        /// Who has.
        approvals: Vec<Approved>, approvals, |v| Value::Array(v.iter().map(|one| Value::Map(one.to_map())).collect());
        /// What is to be done, argument by argument; secrets are left out. Not told in lists.
        arguments: Vec<Told>, told, |v| Value::Array(v.iter().map(|one| Value::Map(one.to_map())).collect());
        /// Why it was denied, if it was and somebody said so.
        reason: Option<String>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
        /// When it was asked.
        created_at: i64, required, |v| *v;
        /// When it ends, if it is not done before.
        expires_at: i64, required, |v| *v;
        /// When it was done, denied or cancelled, if it was.
        settled_at: Option<i64>, optional, |v| v.map_or(Value::Null, Value::from);
    }
}

answer! {
    /// Somebody's approval.
    Approved {
        /// Who.
        who: String, required, |v| v.as_str();
        /// What people call whoever it is.
        name: String, required, |v| v.as_str();
        /// When, in microseconds since 1970-01-01 UTC.
        at: i64, required, |v| *v;
        /// Whether it counts now: whoever gave it may still give it.
        counts: bool, required, |v| *v;
    }
}

answer! {
    /// An argument of what is asked for.
    Told {
        /// Its name.
        name: String, required, |v| v.as_str();
        /// Its value, for people.
        value: String, required, |v| v.as_str();
    }
}

answer! {
    /// Requests.
    ApprovalList {
        /// The latest first.
        requests: Vec<ApprovalInfo>, requests, |v| Value::Array(v.iter().map(|one| Value::Map(one.to_map())).collect());
    }
}
