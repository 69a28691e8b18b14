//! Every row of a store, as it stood at one moment.

use super::table::{Columns, Table};
use crate::store::{
    AccumulatorRow, EntryRow, KeyRow, MetaRow, ObjectRow, Owner, PinRow, PolicyRow, ReceiptRow, RoleRow,
    RootSlotRow, Row, TenantRow, TokenRow, VersionRow,
};
use canis_proto::{Id, Result};
use rusqlite::{Connection, Result as Sql};

/// Has a walk go through one table.
type Step = fn(&mut Walk<'_>) -> Sql<()>;

/// The tables, what is referred to first, and the order of their rows.
const TABLES: [(&str, Step); 12] = [
    (MetaRow::NAME, |walk| walk.table::<MetaRow>("ORDER BY name")),
    (RootSlotRow::NAME, |walk| walk.table::<RootSlotRow>("ORDER BY rowid")),
    (TenantRow::NAME, |walk| walk.table::<TenantRow>("ORDER BY rowid")),
    (PinRow::NAME, |walk| walk.table::<PinRow>("ORDER BY rowid")),
    (TokenRow::NAME, |walk| walk.table::<TokenRow>("ORDER BY rowid")),
    (PolicyRow::NAME, |walk| walk.table::<PolicyRow>("ORDER BY rowid")),
    (KeyRow::NAME, |walk| walk.table::<KeyRow>("ORDER BY rowid")),
    (VersionRow::NAME, |walk| walk.table::<VersionRow>("ORDER BY rowid")),
    (ObjectRow::NAME, |walk| walk.table::<ObjectRow>("ORDER BY rowid")),
    (RoleRow::NAME, |walk| walk.table::<RoleRow>("ORDER BY rowid")),
    (EntryRow::NAME, |walk| walk.table::<EntryRow>("ORDER BY rowid")),
    (ReceiptRow::NAME, |walk| walk.table::<ReceiptRow>("ORDER BY rowid")),
];

/// The names of all tables whose rows are visited, in that order.
pub(super) fn tables() -> Vec<&'static str> {
    TABLES.iter().map(|(name, _)| *name).chain([AccumulatorRow::NAME]).collect()
}

/// Visits the rows of every table, those of `accumulators` only if they are asked for. The caller holds a transaction.
/// What `visit` refuses ends it and stands in `failure` then.
pub(super) fn each(
    connection: &Connection,
    accumulators: bool,
    visit: &mut dyn FnMut(Id, Row) -> Result<()>,
    failure: &mut Result<()>,
) -> Sql<()> {
    let mut walk = Walk { connection, visit, failure };
    for (_, table) in TABLES {
        table(&mut walk)?;
    }
    if accumulators {
        walk.table::<AccumulatorRow>("ORDER BY id")?;
    }
    Ok(())
}

struct Walk<'a> {
    connection: &'a Connection,
    visit: &'a mut dyn FnMut(Id, Row) -> Result<()>,
    failure: &'a mut Result<()>,
}

impl Walk<'_> {
    fn table<T: Table>(&mut self, order: &str) -> Sql<()> {
        if self.failure.is_err() {
            return Ok(());
        }
        // A version's tenant is that of its key.
        let scope = "SELECT tenant_id FROM kms_keys WHERE id = kms_key_versions.key_id";
        let scope = if T::NAME == VersionRow::NAME { scope } else { "NULL" };
        let sql = format!("SELECT {}, ({scope}) FROM {} {order}", T::COLUMNS.join(", "), T::NAME);
        let mut statement = self.connection.prepare_cached(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(found) = rows.next()? {
            let row = T::read(found)?.into_row();
            let scope = match row.owner() {
                Owner::Store => Id::STORE,
                Owner::Tenant(tenant) => tenant,
                Owner::Key(_) => found.get::<_, Option<[u8; 16]>>(T::COLUMNS.len())?.map_or(Id::STORE, Id),
            };
            *self.failure = (self.visit)(scope, row);
            if self.failure.is_err() {
                break;
            }
        }
        Ok(())
    }
}
