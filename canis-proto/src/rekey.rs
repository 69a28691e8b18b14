//! The request for a new tenant key, and its answer. PINs stand in it as bytes: whoever makes or reads one keeps the bytes
//! where they are wiped.

use crate::answer::answer;
use crate::message::request;
use crate::value::Value;
use std::borrow::Cow;

request! {
    /// Gives a tenant a new key: all that stands under its key is sealed anew.
    RekeyTenant => TenantRekeyed {
        /// The tenant's name, as `slot.list` shows it.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// The security officer's PIN of a token that its PINs guard. A wrong one counts.
        so_pin: Option<Cow<'a, [u8]>>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
        /// The user PIN of such a token, where one is set. A wrong one counts.
        pin: Option<Cow<'a, [u8]>>, optional, |v| v.as_deref().map_or(Value::Null, Value::from);
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
