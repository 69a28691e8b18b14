//! Requests and answers about tenants: isolated sets of keys, which the operator of a store makes and limits.

use crate::OperationId;
use crate::answer::answer;
use crate::credential::CredentialInfo;
use crate::message::{WireRequest, request};
use crate::value::{Map, Value};
use std::borrow::Cow;
use zeroize::Zeroize;

impl OperationId {
    /// Whether it is about the whole store, and so for the operator's tenant and the store's own host only. What no door
    /// but that host's carries is not among them.
    #[must_use]
    pub const fn of_store(self) -> bool {
        use OperationId as O;
        matches!(
            self,
            O::CreateTenant
                | O::ListTenants
                | O::ShowTenant
                | O::LimitTenant
                | O::DisableTenant
                | O::EnableTenant
                | O::DeleteTenant
                | O::InitSlot
                | O::ListRoots
                | O::AddRoot
                | O::RemoveRoot
                | O::TestRoot
                | O::RotateRoot
                | O::RotateRootKey
                | O::SealStore
                | O::VerifyAudit
                | O::ReadMetrics
                | O::CreateBackup
                | O::ReadBackup
        )
    }
}

request! {
    /// Makes a tenant, and a token that may do anything in it.
    CreateTenant => TenantMade {
        /// Its name, which is its label to PKCS#11: 1 to 32 of `A-Z a-z 0-9 . _ -`.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// How many keys it may have at a time; any number if 0.
        max_keys: u64, default, |v| *v;
        /// How many requests a second all its callers may ask together; any number if 0.
        max_requests: u32, default, |v| *v;
        /// How many bytes one of its callers may bring in one request or stream; any number if 0.
        max_payload: u64, default, |v| *v;
    }
}

/// Lists the tenants, by slot.
#[derive(Clone, PartialEq, Eq)]
pub struct ListTenants;

impl crate::Operation for ListTenants {
    const ID: OperationId = OperationId::ListTenants;
    type Answer = TenantList;
}

impl<'a> WireRequest<'a> for ListTenants {
    const FIELDS: &'static [crate::schema::Field] = &[];

    fn to_map(&self) -> Map<'_> {
        Map::new()
    }

    fn from_fields(_: &mut crate::fields::Fields<'a>) -> crate::Result<Self> {
        Ok(ListTenants)
    }
}

request! {
    /// Tells what is known of a tenant.
    ShowTenant => TenantInfo {
        /// Its name, or its id.
        name: Cow<'a, str>, required, |v| v.as_ref();
    }
}

request! {
    /// Changes how much a tenant may have and ask for. What is not said stays; 0 takes a limit away.
    LimitTenant => TenantInfo {
        /// Its name, or its id.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// How many keys it may have at a time.
        max_keys: Option<u64>, optional, |v| v.map_or(Value::Null, Value::from);
        /// How many requests a second all its callers may ask together.
        max_requests: Option<u32>, optional, |v| v.map_or(Value::Null, Value::from);
        /// How many bytes one of its callers may bring in one request or stream.
        max_payload: Option<u64>, optional, |v| v.map_or(Value::Null, Value::from);
    }
}

request! {
    /// Lets nobody of a tenant do anything, from the next request on.
    DisableTenant => TenantInfo {
        /// Its name, or its id.
        name: Cow<'a, str>, required, |v| v.as_ref();
    }
}

request! {
    /// Lets a disabled tenant be used again.
    EnableTenant => TenantInfo {
        /// Its name, or its id.
        name: Cow<'a, str>, required, |v| v.as_ref();
    }
}

request! {
    /// Destroys a tenant's key, and with it all that the tenant has. Nothing brings it back but a backup.
    DeleteTenant => TenantDeleted {
        /// Its name, or its id.
        name: Cow<'a, str>, required, |v| v.as_ref();
        /// Only say what would go.
        preview: bool, default, |v| *v;
        /// Even if it has keys that must not be destroyed.
        force: bool, default, |v| *v;
    }
}

answer! {
    /// A tenant that was made. Its token is wiped when dropped.
    TenantMade {
        /// What is known of it from now on.
        tenant: TenantInfo, tenant, |v| v.to_map();
        /// What is known of its first credential.
        credential: CredentialInfo, credential, |v| v.to_map();
        /// That credential, a bearer token, shown this once.
        token: String, required, |v| v.as_str();
    }
}

impl Drop for TenantMade {
    fn drop(&mut self) {
        self.token.zeroize();
    }
}

answer! {
    /// What is known of a tenant. Times are microseconds since 1970-01-01 UTC.
    TenantInfo {
        /// Its id.
        id: String, required, |v| v.as_str();
        /// Its name.
        name: String, required, |v| v.as_str();
        /// The PKCS#11 slot that it is seen in.
        slot: u32, required, |v| *v;
        /// Whether it is the operator's own, which administers the others.
        operator: bool, required, |v| *v;
        /// Whether its key is sealed by a PIN, so that only who knows that gets at its keys.
        pin: bool, required, |v| *v;
        /// When it was made.
        created_at: i64, required, |v| *v;
        /// When it was disabled, if it is.
        disabled_at: Option<i64>, optional, |v| v.map_or(Value::Null, Value::from);
        /// How many keys it has; not told in lists.
        keys: Option<u64>, optional, |v| v.map_or(Value::Null, Value::from);
        /// How many keys it may have at a time, if that is limited.
        max_keys: Option<u64>, optional, |v| v.map_or(Value::Null, Value::from);
        /// How many requests a second all its callers may ask together, if that is limited.
        max_requests: Option<u32>, optional, |v| v.map_or(Value::Null, Value::from);
        /// How many bytes one of its callers may bring in one request or stream, if that is limited.
        max_payload: Option<u64>, optional, |v| v.map_or(Value::Null, Value::from);
    }
}

answer! {
    /// The tenants of a store.
    TenantList {
        /// By their slots.
        tenants: Vec<TenantInfo>, tenants, |v| Value::Array(v.iter().map(|t| Value::Map(t.to_map())).collect());
    }
}

answer! {
    /// What went with a tenant, or would go.
    TenantDeleted {
        /// Its id.
        id: String, required, |v| v.as_str();
        /// Its name.
        name: String, required, |v| v.as_str();
        /// How many keys.
        keys: u64, required, |v| *v;
        /// How many objects.
        objects: u64, required, |v| *v;
        /// How many entries of the key-value store.
        entries: u64, required, |v| *v;
        /// How many credentials.
        credentials: u64, required, |v| *v;
        /// SHA-256 of its key as it stood sealed in the store (docs/storage.md, section 7).
        sealed_sha256: Vec<u8>, required, |v| v.as_slice();
        /// Whether nothing was done.
        preview: bool, required, |v| *v;
    }
}
