//! The calls that a store which stands before another hands on as they are, listed once: whoever stands there writes down what
//! it does itself.

/// Has `hand_on`, a macro, write every call that asks for rows or looks after the file; not those that commit, and not
/// those that touch no disk.
macro_rules! handed_on {
    ($hand_on:ident) => {
        $hand_on! {
            fn meta(&self, name: &str) -> Result<Option<$crate::store::MetaRow>>;
            fn all_meta(&self) -> Result<Vec<$crate::store::MetaRow>>;
            fn root_slots(&self) -> Result<Vec<$crate::store::RootSlotRow>>;
            fn tenants(&self) -> Result<Vec<$crate::store::TenantRow>>;
            fn tenant(&self, id: Id) -> Result<Option<$crate::store::TenantRow>>;
            fn pin(&self, tenant: Id, role: u8) -> Result<Option<$crate::store::PinRow>>;
            fn token(&self, id: Id) -> Result<Option<$crate::store::TokenRow>>;
            fn tokens(&self, tenant: Id) -> Result<Vec<$crate::store::TokenRow>>;
            fn policy(&self, tenant: Id, kind: u8, name: &str) -> Result<Option<$crate::store::PolicyRow>>;
            fn policies(&self, tenant: Id) -> Result<Vec<$crate::store::PolicyRow>>;
            fn key(&self, id: Id) -> Result<Option<$crate::store::KeyRow>>;
            fn key_by_name(&self, tenant: Id, name: &str) -> Result<Option<$crate::store::KeyRow>>;
            fn keys(&self, tenant: Id, prefix: &str, after: &str, limit: usize) -> Result<Vec<$crate::store::KeyRow>>;
            fn due_keys(&self, tenant: Option<Id>, now: i64, limit: usize) -> Result<Vec<$crate::store::KeyRow>>;
            fn all_keys(&self, tenant: Id) -> Result<Vec<$crate::store::KeyRow>>;
            fn versions(&self, key: Id) -> Result<Vec<$crate::store::VersionRow>>;
            fn version(&self, key: Id, version: u32) -> Result<Option<$crate::store::VersionRow>>;
            fn uses(&self, key: Id) -> Result<Vec<$crate::store::UseRow>>;
            fn object(&self, id: Id) -> Result<Option<$crate::store::ObjectRow>>;
            fn objects(&self, query: &$crate::store::ObjectQuery<'_>) -> Result<Vec<$crate::store::ObjectRow>>;
            fn role(&self, fingerprint: Id) -> Result<Option<$crate::store::RoleRow>>;
            fn roles(&self, tenant: Id) -> Result<Vec<$crate::store::RoleRow>>;
            fn entry(&self, tenant: Id, lookup: Id) -> Result<Option<$crate::store::EntryRow>>;
            fn entries(&self, tenant: Id, after: Id, limit: usize) -> Result<Vec<$crate::store::EntryRow>>;
            fn receipt(&self, id: Id) -> Result<Option<$crate::store::ReceiptRow>>;
            fn receipts(&self, tenant: Id) -> Result<Vec<$crate::store::ReceiptRow>>;
            fn accumulator(&self, scope: Id) -> Result<Option<$crate::store::AccumulatorRow>>;
            fn scan(&self, visit: &mut dyn FnMut(Id, $crate::store::Row) -> Result<()>) -> Result<()>;
            fn count_uses(&self, uses: &[$crate::store::UseRow]) -> Result<()>;
            fn poll(&self) -> Result<()>;
            fn purge(&self) -> Result<()>;
            fn scratch(&self) -> Result<std::fs::File>;
            fn pin_turn(&self) -> Result<$crate::store::Turn>;
            fn due_turn(&self) -> Result<Option<$crate::store::Turn>>;
        }
    };
}

/// The same of what the audit log keeps in the store.
macro_rules! audit_handed_on {
    ($hand_on:ident) => {
        $hand_on! {
            fn outbox(&self) -> Result<Vec<$crate::store::OutboxRow>>;
            fn audit_heads(&self) -> Result<Vec<$crate::store::AuditHeadRow>>;
            fn seal_audit(&self, head: &$crate::store::AuditHeadRow, written: &[u64]) -> Result<()>;
        }
    };
}

/// The same of what touches no disk. Most of it has a default, which would be wrong for a store that stands before another.
macro_rules! looks_handed_on {
    ($hand_on:ident) => {
        $hand_on! {
            fn host(&self) -> Id;
            fn generation(&self) -> u64;
            fn credentials(&self) -> u64;
            fn stands(&self, generation: u64, ids: &[Id]) -> bool;
            fn unheeded_credentials(&self) -> Option<u64>;
            fn grace(&self) -> std::time::Duration;
            fn pause(&self);
            fn resume(&self);
        }
    };
}

pub(crate) use {audit_handed_on, handed_on, looks_handed_on};
