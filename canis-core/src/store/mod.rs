//! The store seam: typed rows, read by id or index, written in transactions.
//!
//! A store knows nothing of cryptography: sealed columns are bytes to it. [`memory`] is the model, [`sqlite`] is
//! `canis.dat`, `postgres` is what several servers share; all pass the same contract tests (`tests/store_contract.rs`).

use canis_proto::{Error, ErrorCode, Id, Result};
use std::time::Duration;

pub mod at_hand;
mod audit;
mod calls;
pub(crate) mod columns;
pub(crate) mod draft;
pub(crate) mod filling;
mod ledger;
pub mod memory;
mod moves;
#[cfg(feature = "postgres")]
pub mod postgres;
mod row;
mod scratch;
pub mod sqlite;

pub use audit::{AuditHeadRow, AuditRows, OutboxRow};
pub(crate) use calls::{audit_handed_on, handed_on, looks_handed_on};
pub(crate) use ledger::Owner;
pub use ledger::{Balance, Ledger, Page};
pub use moves::{Beside, Movable, MoveRow};
pub(crate) use moves::{Stage, Use, other_mover};
pub use row::{
    AccumulatorRow, Change, EntryRow, KeyRow, MetaRow, ObjectQuery, ObjectRow, PinRow, PolicyRow, ReceiptRow,
    RoleRow, RootSlotRow, Row, TenantRow, TokenRow, UNSAID, UseRow, VersionRow,
};

/// Where rows live. Synchronous; every call may touch a disk.
pub trait Store: AuditRows {
    /// A named fact about the store.
    fn meta(&self, name: &str) -> Result<Option<MetaRow>>;
    /// Every named fact.
    fn all_meta(&self) -> Result<Vec<MetaRow>>;
    /// Every root slot, oldest first.
    fn root_slots(&self) -> Result<Vec<RootSlotRow>>;
    /// Every tenant, by slot number.
    fn tenants(&self) -> Result<Vec<TenantRow>>;
    /// A tenant.
    fn tenant(&self, id: Id) -> Result<Option<TenantRow>>;
    /// A tenant's PIN of one role (1 user, 2 security officer).
    fn pin(&self, tenant: Id, role: u8) -> Result<Option<PinRow>>;
    /// A bearer token.
    fn token(&self, id: Id) -> Result<Option<TokenRow>>;
    /// A tenant's bearer tokens.
    fn tokens(&self, tenant: Id) -> Result<Vec<TokenRow>>;
    /// A tenant's policy (kind 1) or role (kind 2) of this name.
    fn policy(&self, tenant: Id, kind: u8, name: &str) -> Result<Option<PolicyRow>>;
    /// A tenant's policies and roles, by kind and name.
    fn policies(&self, tenant: Id) -> Result<Vec<PolicyRow>>;
    /// A key.
    fn key(&self, id: Id) -> Result<Option<KeyRow>>;
    /// A key by name.
    fn key_by_name(&self, tenant: Id, name: &str) -> Result<Option<KeyRow>>;
    /// Keys of a tenant whose name starts with `prefix` and is greater than `after`, at most `limit`, by name.
    /// Destroyed keys are there only if the prefix starts as their freed names do, with `~`.
    fn keys(&self, tenant: Id, prefix: &str, after: &str, limit: usize) -> Result<Vec<KeyRow>>;
    /// Keys of one tenant, or of any, that were due at `now`, the longest due first, at most `limit`.
    fn due_keys(&self, tenant: Option<Id>, now: i64, limit: usize) -> Result<Vec<KeyRow>>;
    /// Every key of a tenant, destroyed ones too.
    fn all_keys(&self, tenant: Id) -> Result<Vec<KeyRow>>;
    /// Every version of a key, oldest first.
    fn versions(&self, key: Id) -> Result<Vec<VersionRow>>;
    /// One version of a key.
    fn version(&self, key: Id, version: u32) -> Result<Option<VersionRow>>;
    /// How often the versions of a key were used.
    fn uses(&self, key: Id) -> Result<Vec<UseRow>>;
    /// An object.
    fn object(&self, id: Id) -> Result<Option<ObjectRow>>;
    /// Objects that match, in the order they were made.
    fn objects(&self, query: &ObjectQuery<'_>) -> Result<Vec<ObjectRow>>;
    /// What a value of keys was used for.
    fn role(&self, fingerprint: Id) -> Result<Option<RoleRow>>;
    /// The same for every value of a tenant.
    fn roles(&self, tenant: Id) -> Result<Vec<RoleRow>>;

    /// An entry of the key-value store by what its identifier leads to.
    fn entry(&self, tenant: Id, lookup: Id) -> Result<Option<EntryRow>>;
    /// Entries of a tenant whose look-up is greater than `after`, at most `limit`, in that order.
    fn entries(&self, tenant: Id, after: Id, limit: usize) -> Result<Vec<EntryRow>>;

    /// A receipt.
    fn receipt(&self, id: Id) -> Result<Option<ReceiptRow>>;
    /// A tenant's receipts.
    fn receipts(&self, tenant: Id) -> Result<Vec<ReceiptRow>>;

    /// The accumulator of a tenant, or of the store.
    fn accumulator(&self, scope: Id) -> Result<Option<AccumulatorRow>>;
    /// Visits every row of every table but the advisory counts, with the tenant whose accumulator counts it (or
    /// [`Id::STORE`]), all as they stood at one moment. A row comes after those that it refers to. `visit` may end it by
    /// an error.
    fn scan(&self, visit: &mut dyn FnMut(Id, Row) -> Result<()>) -> Result<()>;

    /// Applies all changes or none, durably: once this returns `Ok` they survive a crash.
    ///
    /// # Errors
    /// `conflict` if a row's revision is not the expected one, `key_exists` for a taken key name, `store_full`,
    /// `store_unavailable`. After an error nothing has changed.
    fn commit(&self, changes: &[Change]) -> Result<()> {
        self.commit_by(changes, None)
    }

    /// The same, and writes in the same transaction what `ledger` makes of it.
    ///
    /// # Errors
    /// As [`Store::commit`], and those of the ledger.
    fn commit_by(&self, changes: &[Change], ledger: Option<&dyn Ledger>) -> Result<()>;

    /// Adds to the counts of uses. Nothing hangs on them, so that the generation stays as it is.
    ///
    /// # Errors
    /// `store_full`, `store_unavailable`; then nothing was added.
    fn count_uses(&self, uses: &[UseRow]) -> Result<()>;

    /// A number that grows with every commit seen so far. Costs nothing.
    fn generation(&self) -> u64;
    /// A number that grows when somebody else has changed credentials, where a store tells. Costs nothing.
    fn credentials(&self) -> u64 {
        0
    }
    /// Whether what was read under an earlier generation, and is about the rows of these ids, may be used although it cannot
    /// be read anew: the store is away, and that for no longer than it was said that memory goes on. Costs little.
    fn stands(&self, _generation: u64, _ids: &[Id]) -> bool {
        false
    }
    /// How many changes of credentials by others need not be heeded yet, for the store that would tell what they were is
    /// away; `None` while it is there, or has been away for too long.
    fn unheeded_credentials(&self) -> Option<u64> {
        None
    }
    /// How long work goes on while the store is away; no time where it is a file of this host.
    fn grace(&self) -> Duration {
        Duration::ZERO
    }
    /// Looks whether another process has committed; if so the generation grows.
    fn poll(&self) -> Result<()>;
    /// Makes what was deleted unreadable: overwritten pages reach the file and the log is emptied. Where another
    /// process is reading, that waits for a later commit.
    fn purge(&self) -> Result<()>;

    /// A file without a name, for what is made of the store and is too large for memory. Nothing of it is left afterwards.
    ///
    /// # Errors
    /// `store_unavailable`.
    fn scratch(&self) -> Result<std::fs::File>;

    /// Waits until no other process or thread is trying a PIN, and keeps them waiting until the turn is dropped. Tries
    /// in flight would otherwise count against each other.
    ///
    /// # Errors
    /// `store_unavailable` if somebody does not end its turn.
    fn pin_turn(&self) -> Result<Turn>;

    /// The turn at what is due by the clock; `None` while another server has it. Whoever has it is not alone for sure: it
    /// may have been lost with its connection.
    ///
    /// # Errors
    /// `store_unavailable`.
    fn due_turn(&self) -> Result<Option<Turn>> {
        Ok(Some(Turn::alone()))
    }

    /// Which of the hosts that share the store this is; [`Id::STORE`] where it has one only. Costs nothing.
    fn host(&self) -> Id {
        Id::STORE
    }

    /// Waits for calls in flight, lets go of every file, and blocks new calls until [`Store::resume`]: before fork.
    fn pause(&self) {}
    /// Goes on after [`Store::pause`]; the parent calls it after fork, the child forgets the store.
    fn resume(&self) {}
}

/// A turn at trying a PIN; over when dropped.
pub struct Turn {
    _lock: Option<Box<dyn Send>>,
}

impl Turn {
    /// A turn that lasts as long as the lock.
    pub(crate) fn held(lock: impl Send + 'static) -> Self {
        Turn { _lock: Some(Box::new(lock)) }
    }

    /// A turn in a store that has one user.
    pub(crate) fn alone() -> Self {
        Turn { _lock: None }
    }
}

/// A row that has no revision, or stands under no key, was to be sealed anew.
pub(crate) fn sealed_once() -> Error {
    Error::internal("a row that is not sealed anew in its place was to be")
}

/// A tenant is to have more keys than it may.
pub(crate) fn too_many_keys(most: u64) -> Error {
    let why = format!(
        "the tenant may have {most} keys at a time; destroy some first, or ask the store's operator for more"
    );
    Error::new(ErrorCode::LimitReached, why)
}

/// Two writers met: the row is not what the change was computed from.
pub(crate) fn conflict(table: &str, id: &str) -> Error {
    Error::new(
        ErrorCode::Conflict,
        format!("{table} row {id} was changed by someone else meanwhile; try again"),
    )
}
