//! The record of a policy, and that of a role.

use canis_proto::{Error, ErrorCode, Result};
use wincode::{SchemaRead, SchemaWrite};

/// What a row of `policies` holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextKind {
    /// A policy.
    Policy = 1,
    /// A role.
    Role = 2,
}

/// A policy or a role.
#[derive(Clone, Debug, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(crate) struct PolicyRecord {
    /// Its name; the row's clear column must agree.
    pub(crate) name: String,
    /// Its text, HCL.
    pub(crate) text: String,
    /// When it was last written, in microseconds since 1970-01-01 UTC.
    pub(crate) updated_at: i64,
}

#[derive(SchemaRead, SchemaWrite)]
enum StoredPolicy {
    V1(PolicyRecord),
    Role(PolicyRecord),
}

impl TextKind {
    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            TextKind::Policy => "policy",
            TextKind::Role => "role",
        }
    }
}

impl PolicyRecord {
    /// The bytes.
    pub(crate) fn encode(&self, kind: TextKind) -> Result<Vec<u8>> {
        let stored = match kind {
            TextKind::Policy => StoredPolicy::V1(self.clone()),
            TextKind::Role => StoredPolicy::Role(self.clone()),
        };
        wincode::serialize(&stored).map_err(|error| {
            Error::internal(format!("cannot write the record of a {}: {error}", kind.name()))
        })
    }

    /// Reads all of `bytes`, and what it is the record of.
    pub(crate) fn decode(bytes: &[u8]) -> Result<(TextKind, Self)> {
        match wincode::deserialize_exact(bytes) {
            Ok(StoredPolicy::V1(record)) => Ok((TextKind::Policy, record)),
            Ok(StoredPolicy::Role(record)) => Ok((TextKind::Role, record)),
            Err(_) => {
                let why = "the record of a policy or role is of a format this CANIS does not know";
                Err(Error::new(ErrorCode::StoreFormat, why))
            }
        }
    }
}
