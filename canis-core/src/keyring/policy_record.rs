//! The record of a policy.

use canis_proto::{Error, ErrorCode, Result};
use wincode::{SchemaRead, SchemaWrite};

/// A policy.
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
}

fn unknown(what: &str) -> Error {
    let why = format!("the record of a {what} is of a format this CANIS does not know");
    Error::new(ErrorCode::StoreFormat, why)
}

fn unwritten(what: &str, error: &dyn std::fmt::Display) -> Error {
    Error::internal(format!("cannot write the record of a {what}: {error}"))
}

impl PolicyRecord {
    /// The bytes.
    pub(crate) fn encode(&self) -> Result<Vec<u8>> {
        wincode::serialize(&StoredPolicy::V1(self.clone())).map_err(|error| unwritten("policy", &error))
    }

    /// Reads all of `bytes`.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self> {
        match wincode::deserialize_exact(bytes) {
            Ok(StoredPolicy::V1(record)) => Ok(record),
            Err(_) => Err(unknown("policy")),
        }
    }
}
