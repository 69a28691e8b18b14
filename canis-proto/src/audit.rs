//! Requests about the audit log, and their answers.

use crate::answer::answer;
use crate::message::{WireRequest, request};
use crate::value::{Map, Value};
use std::borrow::Cow;

/// Asks whether the audit log is what was written.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifyAudit;

impl crate::Operation for VerifyAudit {
    const ID: crate::OperationId = crate::OperationId::VerifyAudit;
    type Answer = AuditVerified;
}

impl<'a> WireRequest<'a> for VerifyAudit {
    const FIELDS: &'static [crate::schema::Field] = &[];

    fn to_map(&self) -> Map<'_> {
        Map::new()
    }

    fn from_fields(_: &mut crate::fields::Fields<'a>) -> crate::Result<Self> {
        Ok(VerifyAudit)
    }
}

request! {
    /// Asks for lines of the audit log.
    SearchAudit => AuditLines {
        /// What they are about: the beginning of a path, or an entry as `kv:<identifier>`; anything if empty.
        on: Cow<'a, str>, default, |v| v.as_ref();
        /// Who asked: the id of a token or certificate, or the number of a Unix user; anybody if empty.
        who: Cow<'a, str>, default, |v| v.as_ref();
        /// The operation's name; any if empty.
        operation: Cow<'a, str>, default, |v| v.as_ref();
        /// What came of it: `ok`, the name of an error, or `refused` for everything but `ok`; anything if empty.
        result: Cow<'a, str>, default, |v| v.as_ref();
        /// From when on, in microseconds since 1970-01-01 UTC.
        since: Option<i64>, optional, |v| v.map_or(Value::Null, Value::from);
        /// Up to when.
        until: Option<i64>, optional, |v| v.map_or(Value::Null, Value::from);
        /// Where the answer before ended; from the beginning if empty.
        after: Cow<'a, str>, default, |v| v.as_ref();
        /// Whether the last lines are asked for, instead of the first.
        last: bool, default, |v| *v;
        /// How many at most, up to 1000; 0 is 100.
        limit: u32, default, |v| *v;
    }
}

answer! {
    /// The result of `audit.verify`.
    AuditVerified {
        /// How many files there are.
        files: u64, required, |v| *v;
        /// How many of their lines are right.
        lines: u64, required, |v| *v;
        /// Where the log is not what was written: the first place of each writer.
        broken: Vec<String>, strings, |v| Value::Array(v.iter().map(|one| Value::from(one.as_str())).collect());
        /// What is no fault, but worth knowing.
        notes: Vec<String>, strings, |v| Value::Array(v.iter().map(|one| Value::from(one.as_str())).collect());
    }
}

answer! {
    /// Lines of the audit log.
    AuditLines {
        /// The lines, oldest first.
        lines: Vec<String>, strings, |v| Value::Array(v.iter().map(|one| Value::from(one.as_str())).collect());
        /// Where the next request goes on; what is written meanwhile is found there.
        next: String, required, |v| v.as_str();
        /// Whether there are more now.
        more: bool, required, |v| *v;
    }
}
