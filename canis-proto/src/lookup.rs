//! Requests that only look: the state of the server, keys, their public halves.

use crate::Result;
use crate::answer::{KeyInfo, KeyList, PublicKeyInfo, StatusInfo};
use crate::fields::Fields;
use crate::message::{WireRequest, request};
use crate::operation::{Operation, OperationId};
use crate::value::Map;
use std::borrow::Cow;

/// Asks for the state of server and store. Anybody connected may.
#[derive(Clone, PartialEq, Eq)]
pub struct Status;

impl Operation for Status {
    const ID: OperationId = OperationId::Status;
    type Answer = StatusInfo;
}

impl<'a> WireRequest<'a> for Status {
    const FIELDS: &'static [crate::schema::Field] = &[];

    fn to_map(&self) -> Map<'_> {
        Map::new()
    }

    fn from_fields(_: &mut Fields<'a>) -> Result<Self> {
        Ok(Status)
    }
}

request! {
    /// Lists keys in the order of their names.
    ListKeys => KeyList {
        /// Only names that start with this.
        prefix: Cow<'a, str>, default, |v| v.as_ref();
        /// Only names after this one: where the last page ended.
        after: Cow<'a, str>, default, |v| v.as_ref();
        /// How many at most; 0 and more than 100 mean 100.
        limit: u32, default, |v| *v;
        /// Whether destroyed keys follow the others. They are called `~<name>~<id>`.
        include_deleted: bool, default, |v| *v;
    }
}

request! {
    /// Asks for a key's metadata. The answer holds its newest versions, 1000 at most.
    ShowKey => KeyInfo {
        /// The key, or what is left of a destroyed one, `~<name>~<id>`.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// Only versions before this one; 0 means from the newest on.
        before_version: u32, default, |v| *v;
    }
}

request! {
    /// Asks for a version's public key.
    PublicKey => PublicKeyInfo {
        /// The key.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The version; 0 means the current one.
        version: u32, default, |v| *v;
    }
}
