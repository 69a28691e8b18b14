//! A store whose commits are counted, once somebody has said by which ledger.

use super::accumulator::Accountant;
use crate::store::{
    AccumulatorRow, AuditHeadRow, AuditRows, Change, EntryRow, KeyRow, Ledger, MetaRow, ObjectQuery,
    ObjectRow, OutboxRow, PinRow, PolicyRow, ReceiptRow, RoleRow, RootSlotRow, Row, Store, TenantRow,
    TokenRow, Turn, UseRow, VersionRow,
};
use canis_proto::{Error, Id, Result};
use std::sync::{Arc, PoisonError, RwLock};

/// How commits are counted.
#[derive(Clone)]
pub(crate) enum Counting {
    /// Not at all: the store has no root.
    Not,
    /// By accumulators under this key.
    By(Arc<Accountant>),
    /// They cannot be, and so nothing is written.
    Refused(Error),
}

/// The ledger of a store; it changes when the store is unsealed, sealed, or gets another root key.
pub(crate) struct Books(RwLock<Counting>);

impl Books {
    pub(crate) fn new(counting: Counting) -> Self {
        Books(RwLock::new(counting))
    }

    /// Counts so from now on.
    pub(crate) fn set(&self, counting: Counting) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = counting;
    }

    /// How it is counted now.
    pub(crate) fn counting(&self) -> Counting {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The store below, counted.
pub(crate) struct Counted {
    base: Arc<dyn Store>,
    books: Arc<Books>,
}

impl Counted {
    pub(crate) fn over(base: Arc<dyn Store>, books: Arc<Books>) -> Self {
        Counted { base, books }
    }
}

macro_rules! passed_on {
    ($(fn $call:ident(&self $(, $name:ident: $type:ty)*) $(-> $answer:ty)?;)+) => {
        $(fn $call(&self $(, $name: $type)*) $(-> $answer)? {
            self.base.$call($($name),*)
        })+
    };
}

impl AuditRows for Counted {
    passed_on! {
        fn outbox(&self) -> Result<Vec<OutboxRow>>;
        fn audit_heads(&self) -> Result<Vec<AuditHeadRow>>;
        fn seal_audit(&self, head: &AuditHeadRow, written: &[u64]) -> Result<()>;
    }
}

impl Store for Counted {
    passed_on! {
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
        fn generation(&self) -> u64;
        fn poll(&self) -> Result<()>;
        fn purge(&self) -> Result<()>;
        fn scratch(&self) -> Result<std::fs::File>;
        fn pin_turn(&self) -> Result<Turn>;
        fn pause(&self);
        fn resume(&self);
    }

    fn commit(&self, changes: &[Change]) -> Result<()> {
        match self.books.counting() {
            Counting::Not => self.base.commit_by(changes, None),
            Counting::By(ledger) => self.base.commit_by(changes, Some(&*ledger)),
            Counting::Refused(error) => Err(error),
        }
    }
}
