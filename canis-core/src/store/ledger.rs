//! What sees every row that a transaction takes away or brings, and has its say in the same transaction.
//!
//! A store knows no cryptography: it tells a page of the ledger what changed and writes what the page comes to.

use super::{AccumulatorRow, Row};
use canis_proto::{Id, Result};

/// What keeps the accumulators of a store.
pub trait Ledger: Send + Sync {
    /// A blank page, for one transaction.
    fn page(&self) -> Box<dyn Page + '_>;
}

/// What one transaction comes to.
pub trait Page {
    /// A row that was there and is no more, or is there as something else.
    fn gone(&mut self, scope: Id, row: &Row);
    /// A row that is there now.
    fn came(&mut self, scope: Id, row: &Row);
    /// Every row was forgotten: those that are there come anew.
    fn start_over(&mut self);
    /// What is to be written. `read` gives an accumulator as the transaction found it.
    ///
    /// # Errors
    /// `store_tampered` if an accumulator was spoilt or taken away; those of `read`.
    fn balance(&mut self, read: &mut dyn FnMut(Id) -> Result<Option<AccumulatorRow>>)
    -> Result<Vec<Balance>>;
}

/// What becomes of an accumulator.
pub enum Balance {
    /// It is this from now on.
    Write(AccumulatorRow),
    /// It counts nothing any more.
    Remove(Id),
}

/// Whose accumulator counts a row.
pub(crate) enum Owner {
    /// The store's.
    Store,
    /// A tenant's.
    Tenant(Id),
    /// That of a key's tenant; the store's if the key is not there.
    Key(Id),
}

impl Row {
    /// Whose accumulator counts it.
    pub(crate) fn owner(&self) -> Owner {
        match self {
            Row::Meta(_)
            | Row::RootSlot(_)
            | Row::Tenant(_)
            | Row::Pin(_)
            | Row::Token(_)
            | Row::Policy(_)
            | Row::Accumulator(_) => Owner::Store,
            Row::Key(row) => Owner::Tenant(row.tenant_id),
            Row::Version(row) => Owner::Key(row.key_id),
            Row::Object(row) => Owner::Tenant(row.tenant_id),
            Row::Role(row) => Owner::Tenant(row.tenant_id),
            Row::Entry(row) => Owner::Tenant(row.tenant_id),
            Row::Receipt(row) => Owner::Tenant(row.tenant_id),
        }
    }
}
