//! Requests and answers about roles: texts in HCL that say whom a tenant lets in without a credential of its own, and by
//! which policies.

use crate::answer::answer;
use crate::message::request;
use crate::value::Value;
use std::borrow::Cow;

request! {
    /// Writes a role: a new one, or another text for one that is there.
    PutRole => RoleInfo {
        /// Its name.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// Its text, HCL.
        text: Cow<'a, str>, required, |v| v.as_ref();
        /// The tenant's label; the caller's own tenant if empty.
        tenant: Cow<'a, str>, default, |v| v.as_ref();
        /// The revision that it must have now; 0 for one that must not be there. Any if it is not said.
        revision: Option<u64>, optional, |v| v.map_or(Value::Null, Value::from);
    }
}

request! {
    /// Reads a role.
    GetRole => RoleText {
        /// Its name.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The tenant's label; the caller's own tenant if empty.
        tenant: Cow<'a, str>, default, |v| v.as_ref();
    }
}

request! {
    /// Lists a tenant's roles.
    ListRoles => RoleList {
        /// How the names begin that are asked for.
        prefix: Cow<'a, str>, default, |v| v.as_ref();
        /// The tenant's label; the caller's own tenant if empty.
        tenant: Cow<'a, str>, default, |v| v.as_ref();
    }
}

request! {
    /// Deletes a role; who came by it is refused from the next request on.
    DeleteRole => RoleDeleted {
        /// Its name.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The tenant's label; the caller's own tenant if empty.
        tenant: Cow<'a, str>, default, |v| v.as_ref();
        /// The revision that it must have now. Any if it is not said.
        revision: Option<u64>, optional, |v| v.map_or(Value::Null, Value::from);
    }
}

answer! {
    /// What is known of a role.
    RoleInfo {
        /// Its name.
        name: String, required, |v| v.as_str();
        /// Counts how often it was written, from 1.
        revision: u64, required, |v| *v;
        /// Whom it is about: `certificate`, `unix`, `jwt`, `pin`.
        binds: Vec<String>, some_strings, |v| texts(v);
        /// The names of its policies.
        policies: Vec<String>, some_strings, |v| texts(v);
        /// When it was last written, in microseconds since 1970-01-01 UTC.
        updated_at: i64, required, |v| *v;
    }
}

answer! {
    /// A role.
    RoleText {
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
    /// The roles of a tenant.
    RoleList {
        /// By their names.
        roles: Vec<RoleInfo>, roles, |v| Value::Array(v.iter().map(|role| Value::Map(role.to_map())).collect());
    }
}

answer! {
    /// The result of `role.delete`.
    RoleDeleted {
        /// The role's name.
        name: String, required, |v| v.as_str();
    }
}

fn texts(texts: &[String]) -> Value<'_> {
    Value::Array(texts.iter().map(|text| Value::from(text.as_str())).collect())
}
