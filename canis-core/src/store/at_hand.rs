//! A store as servers have it: what must not wait ([`crate::at_once`]) does not get to it.

use super::{
    AccumulatorRow, AuditHeadRow, AuditRows, Change, EntryRow, KeyRow, Ledger, MetaRow, ObjectQuery,
    ObjectRow, OutboxRow, PinRow, PolicyRow, ReceiptRow, RoleRow, RootSlotRow, Row, Store, TenantRow,
    TokenRow, Turn, UseRow, VersionRow,
};
use crate::at_once::may_wait;
use canis_proto::{Id, Result};

/// The store below, for those who may wait.
pub struct AtHand<S>(pub S);

macro_rules! waiting {
    ($(fn $call:ident(&self $(, $name:ident: $type:ty)*) -> $answer:ty;)+) => {
        $(fn $call(&self $(, $name: $type)*) -> $answer {
            may_wait()?;
            self.0.$call($($name),*)
        })+
    };
}

impl<S: Store> AuditRows for AtHand<S> {
    waiting! {
        fn outbox(&self) -> Result<Vec<OutboxRow>>;
        fn audit_heads(&self) -> Result<Vec<AuditHeadRow>>;
        fn seal_audit(&self, head: &AuditHeadRow, written: &[u64]) -> Result<()>;
    }
}

impl<S: Store> Store for AtHand<S> {
    waiting! {
        fn meta(&self, name: &str) -> Result<Option<MetaRow>>;
        fn all_meta(&self) -> Result<Vec<MetaRow>>;
        fn root_slots(&self) -> Result<Vec<RootSlotRow>>;
        fn tenants(&self) -> Result<Vec<TenantRow>>;
        fn tenant(&self, id: Id) -> Result<Option<TenantRow>>;
        fn pin(&self, tenant: Id, role: u8) -> Result<Option<PinRow>>;
        fn token(&self, id: Id) -> Result<Option<TokenRow>>;
        fn tokens(&self, tenant: Id) -> Result<Vec<TokenRow>>;
        fn policy(&self, tenant: Id, kind: u8, name: &str) -> Result<Option<PolicyRow>>;
        fn policies(&self, tenant: Id) -> Result<Vec<PolicyRow>>;
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
        fn accumulator(&self, scope: Id) -> Result<Option<AccumulatorRow>>;
        fn scan(&self, visit: &mut dyn FnMut(Id, Row) -> Result<()>) -> Result<()>;
        fn commit_by(&self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()>;
        fn count_uses(&self, uses: &[UseRow]) -> Result<()>;
        fn poll(&self) -> Result<()>;
        fn purge(&self) -> Result<()>;
        fn scratch(&self) -> Result<std::fs::File>;
        fn pin_turn(&self) -> Result<Turn>;
    }

    fn generation(&self) -> u64 {
        self.0.generation()
    }

    fn pause(&self) {
        self.0.pause();
    }

    fn resume(&self) {
        self.0.resume();
    }
}
