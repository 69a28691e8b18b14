//! Requests and answers about policies: texts in HCL that say who may do what.

use crate::answer::answer;
use crate::message::request;
use crate::value::Value;
use crate::{Capability, Error, KeyType, Result};
use std::borrow::Cow;

/// The longest name of a policy or role, in bytes.
pub const MAX_POLICY_NAME: usize = 128;

/// Refuses what cannot be the name of a policy or role: one to [`MAX_POLICY_NAME`] of `A-Z a-z 0-9 . _ -`.
///
/// # Errors
/// `invalid_name`.
pub fn check_policy_name(name: &str) -> Result<()> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if (1..=MAX_POLICY_NAME).contains(&name.len()) && name.bytes().all(fits) {
        return Ok(());
    }
    let why = format!(
        "`{}` is no name of a policy or role: 1 to {MAX_POLICY_NAME} of A-Z a-z 0-9 . _ -",
        crate::quote(name)
    );
    Err(Error::new(crate::ErrorCode::InvalidName, why))
}

request! {
    /// Writes a policy: a new one, or another text for one that is there.
    PutPolicy => PolicyInfo {
        /// Its name.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// Its text, HCL.
        text: Cow<'a, str>, required, |v| v.as_ref();
        /// The revision that it must have now; 0 for one that must not be there. Any if it is not said.
        revision: Option<u64>, optional, |v| v.map_or(Value::Null, Value::from);
        /// Even if nobody who bears a credential can change policies any more.
        force: bool, default, |v| *v;
    }
}

request! {
    /// Reads a policy.
    GetPolicy => PolicyText {
        /// Its name.
        name: Cow<'a, str>, required, |v| v.as_ref();
    }
}

request! {
    /// Lists the tenant's policies.
    ListPolicies => PolicyList {
        /// How the names begin that are asked for.
        prefix: Cow<'a, str>, default, |v| v.as_ref();
    }
}

request! {
    /// Deletes a policy that nothing names any more.
    DeletePolicy => PolicyDeleted {
        /// Its name.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The revision that it must have now. Any if it is not said.
        revision: Option<u64>, optional, |v| v.map_or(Value::Null, Value::from);
        /// Even if credentials name it; they are forbidden everything then, until it is there again.
        force: bool, default, |v| *v;
    }
}

request! {
    /// Asks what the policies of a credential decide, and by which rule.
    ExplainPolicy => Explained {
        /// The credential's id; `role:` and the names of roles with commas between, for whoever comes in by these; the caller's
        /// own if empty.
        who: Cow<'a, str>, default, |v| v.as_ref();
        /// What it takes.
        capability: Capability, required_name, |v| v.name();
        /// The path, `kms/keys/<name>` and so on.
        path: Cow<'a, str>, required, |v| v.as_ref();
        /// The type of the key; that of the key of this path if it is not said.
        key_type: Option<KeyType>, optional_name, |v| v.map_or(Value::Null, |kind| Value::from(kind.name()));
        /// The length of the data in bytes.
        payload: Option<u64>, optional, |v| v.map_or(Value::Null, Value::from);
        /// The context.
        context: Option<Cow<'a, [u8]>>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
        /// The address that it comes from; that of the caller if it is not said.
        source: Cow<'a, str>, default, |v| v.as_ref();
    }
}

answer! {
    /// What is known of a policy.
    PolicyInfo {
        /// Its name.
        name: String, required, |v| v.as_str();
        /// Counts how often it was written, from 1.
        revision: u64, required, |v| *v;
        /// How many rules it has.
        rules: u32, required, |v| *v;
        /// When it was last written, in microseconds since 1970-01-01 UTC.
        updated_at: i64, required, |v| *v;
    }
}

answer! {
    /// A policy.
    PolicyText {
        /// Its name.
        name: String, required, |v| v.as_str();
        /// Counts how often it was written, from 1.
        revision: u64, required, |v| *v;
        /// Its text.
        text: String, required, |v| v.as_str();
        /// When it was last written, in microseconds since 1970-01-01 UTC.
        updated_at: i64, required, |v| *v;
    }
}

answer! {
    /// The policies of a tenant.
    PolicyList {
        /// By their names.
        policies: Vec<PolicyInfo>, policies, |v| Value::Array(v.iter().map(|p| Value::Map(p.to_map())).collect());
    }
}

answer! {
    /// The result of `policy.delete`.
    PolicyDeleted {
        /// The policy's name.
        name: String, required, |v| v.as_str();
    }
}

answer! {
    /// What is decided, and why.
    Explained {
        /// Whether it is allowed.
        allowed: bool, required, |v| *v;
        /// The whole in one sentence.
        why: String, required, |v| v.as_str();
        /// The policy of the rule that decides, or comes nearest.
        policy: Option<String>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
        /// The line that the rule begins on.
        line: Option<u32>, optional, |v| v.map_or(Value::Null, Value::from);
        /// The rule's path.
        rule: Option<String>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
    }
}
