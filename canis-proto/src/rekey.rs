//! The request for a new tenant key, and its answer.

use crate::answer::answer;
use crate::message::request;
use std::borrow::Cow;

request! {
    /// Gives a tenant a new key: all that stands under its key is sealed anew.
    RekeyTenant => TenantRekeyed {
        /// The tenant's name, as `slot.list` shows it.
        name: Cow<'a, str>, required, |v| v.as_ref();
    }
}

answer! {
    /// The result of `tenant.rekey`.
    TenantRekeyed {
        /// The tenant's name.
        name: String, required, |v| v.as_str();
        /// How many rows were sealed anew.
        rows: u64, required, |v| *v;
    }
}
