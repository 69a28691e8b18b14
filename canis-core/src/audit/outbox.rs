//! A change's line travels in the change's own transaction, so that a process that is killed between the two loses none.
//!
//! The store of an audited core adds the line of the operation that this thread is in the middle of to whatever it
//! commits. Which operation that is stands in a thread-local, as in [`crate::at_once`]: it says something of the
//! thread, it is set in one place, and no commit can forget it.

use super::call::current_row;
use super::log::Log;
use crate::store::{
    AccumulatorRow, AuditHeadRow, AuditRows, Change, EntryRow, KeyRow, Ledger, MetaRow, ObjectQuery,
    ObjectRow, OutboxRow, PinRow, PolicyRow, ReceiptRow, RoleRow, RootSlotRow, Row, Store, TenantRow,
    TokenRow, Turn, UseRow, VersionRow,
};
use canis_proto::{Id, Result};
use std::borrow::Cow;
use std::sync::Arc;

/// The store below, and the log.
pub(crate) struct Audited {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) log: Arc<Log>,
}

impl Audited {
    /// The changes, and the line of the operation that they are part of.
    fn with_line<'a>(&self, changes: &'a [Change]) -> Result<Cow<'a, [Change]>> {
        let Some(row) = current_row(&self.log)? else { return Ok(changes.into()) };
        Ok(changes.iter().cloned().chain([Change::NoteLine(row)]).collect())
    }
}

macro_rules! passed_on {
    ($(fn $call:ident(&self $(, $name:ident: $type:ty)*) $(-> $answer:ty)?;)+) => {
        $(fn $call(&self $(, $name: $type)*) $(-> $answer)? {
            self.store.$call($($name),*)
        })+
    };
}

impl AuditRows for Audited {
    passed_on! {
        fn outbox(&self) -> Result<Vec<OutboxRow>>;
        fn audit_heads(&self) -> Result<Vec<AuditHeadRow>>;
        fn seal_audit(&self, head: &AuditHeadRow, written: &[u64]) -> Result<()>;
    }
}

impl Store for Audited {
    fn commit(&self, changes: &[Change]) -> Result<()> {
        self.store.commit(&self.with_line(changes)?)
    }

    fn commit_by(&self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()> {
        self.store.commit_by(&self.with_line(changes)?, ledger)
    }

    passed_on! {
        fn meta(&self, name: &str) -> Result<Option<MetaRow>>;
        fn all_meta(&self) -> Result<Vec<MetaRow>>;
        fn root_slots(&self) -> Result<Vec<RootSlotRow>>;
        fn tenants(&self) -> Result<Vec<TenantRow>>;
        fn tenant(&self, id: Id) -> Result<Option<TenantRow>>;
        fn pin(&self, tenant: Id, role: u8) -> Result<Option<PinRow>>;
        fn token(&self, id: Id) -> Result<Option<TokenRow>>;
        fn tokens(&self, tenant: Id) -> Result<Vec<TokenRow>>;
        fn key(&self, id: Id) -> Result<Option<KeyRow>>;
        fn key_by_name(&self, tenant: Id, name: &str) -> Result<Option<KeyRow>>;
        fn keys(&self, tenant: Id, prefix: &str, after: &str, limit: usize) -> Result<Vec<KeyRow>>;
        fn due_keys(&self, tenant: Option<Id>, now: i64, limit: usize) -> Result<Vec<KeyRow>>;
        fn all_keys(&self, tenant: Id) -> Result<Vec<KeyRow>>;
        fn versions(&self, key: Id) -> Result<Vec<VersionRow>>;
        fn version(&self, key: Id, version: u32) -> Result<Option<VersionRow>>;
        fn uses(&self, key: Id) -> Result<Vec<UseRow>>;
        fn object(&self, id: Id) -> Result<Option<ObjectRow>>;
        fn objects(&self, query: &ObjectQuery<'_>) -> Result<Vec<ObjectRow>>;
        fn role(&self, fingerprint: Id) -> Result<Option<RoleRow>>;
        fn roles(&self, tenant: Id) -> Result<Vec<RoleRow>>;
        fn entry(&self, tenant: Id, lookup: Id) -> Result<Option<EntryRow>>;
        fn entries(&self, tenant: Id, after: Id, limit: usize) -> Result<Vec<EntryRow>>;
        fn receipt(&self, id: Id) -> Result<Option<ReceiptRow>>;
        fn receipts(&self, tenant: Id) -> Result<Vec<ReceiptRow>>;
        fn policy(&self, tenant: Id, kind: u8, name: &str) -> Result<Option<PolicyRow>>;
        fn policies(&self, tenant: Id) -> Result<Vec<PolicyRow>>;
        fn accumulator(&self, scope: Id) -> Result<Option<AccumulatorRow>>;
        fn scan(&self, visit: &mut dyn FnMut(Id, Row) -> Result<()>) -> Result<()>;
        fn scratch(&self) -> Result<std::fs::File>;
        fn count_uses(&self, uses: &[UseRow]) -> Result<()>;
        fn generation(&self) -> u64;
        fn poll(&self) -> Result<()>;
        fn purge(&self) -> Result<()>;
        fn pin_turn(&self) -> Result<Turn>;
        fn pause(&self);
        fn resume(&self);
    }
}
