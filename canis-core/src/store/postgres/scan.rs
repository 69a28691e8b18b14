//! Every row of a store, as it stood at one moment.

use super::connection::Database;
use super::value::{list, read};
use crate::store::columns::{Counted, Table};
use crate::store::{
    AccumulatorRow, EntryRow, KeyRow, MetaRow, ObjectRow, Owner, PinRow, PolicyRow, ReceiptRow, RoleRow,
    RootSlotRow, Row, TenantRow, TokenRow, VersionRow,
};
use canis_proto::{Id, Result};
use tokio_postgres::{Client, Row as SqlRow};

/// Rows that are fetched together.
const TOGETHER: usize = 500;

/// The tables, what is referred to first, and the order of their rows.
const TABLES: [(Table, &str); 12] = [
    (MetaRow::COUNTED, "name COLLATE \"C\""),
    (RootSlotRow::COUNTED, "ordinal"),
    (TenantRow::COUNTED, "slot"),
    (PinRow::COUNTED, "id"),
    (TokenRow::COUNTED, "ordinal"),
    (PolicyRow::COUNTED, "id"),
    (KeyRow::COUNTED, "ordinal"),
    (VersionRow::COUNTED, "key_id, version"),
    (ObjectRow::COUNTED, "ordinal"),
    (RoleRow::COUNTED, "ordinal"),
    (EntryRow::COUNTED, "id"),
    (ReceiptRow::COUNTED, "ordinal"),
];

/// Asks for rows of a table, each with whose accumulator counts it where the row itself does not say that.
pub(super) fn scoped(table: Table) -> String {
    // A version's tenant is that of its key.
    let of_key = "(SELECT uuid_send(tenant_id) FROM kms_keys WHERE id = kms_key_versions.key_id)";
    let scope = if table.name == VersionRow::COUNTED.name { of_key } else { "NULL::bytea" };
    format!("SELECT {}, {scope} FROM {}", list(table.columns), table.name)
}

/// Such a row.
pub(super) fn read_scoped(database: &Database, table: Table, found: &SqlRow) -> Result<(Id, Row)> {
    let row = read(table.name, table.columns, table.row, found)?;
    let scope = match row.owner() {
        Owner::Store => Id::STORE,
        Owner::Tenant(tenant) => tenant,
        Owner::Key(_) => {
            let tenant: Option<Vec<u8>> =
                found.try_get(table.columns.len()).map_err(|error| database.explain(&error))?;
            tenant.and_then(|tenant| Id::from_slice(&tenant)).unwrap_or(Id::STORE)
        }
    };
    Ok((scope, row))
}

/// The names of all tables whose rows are visited, in that order.
pub(super) fn tables() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(table, _)| table.name).chain([AccumulatorRow::COUNTED.name])
}

/// Visits the rows of every table, those of `accumulators` only if they are asked for. The caller holds a transaction.
pub(super) async fn each(
    database: &Database,
    client: &Client,
    accumulators: bool,
    visit: &mut dyn FnMut(Id, Row) -> Result<()>,
) -> Result<()> {
    let last = accumulators.then_some((AccumulatorRow::COUNTED, "id"));
    for (table, order) in TABLES.into_iter().chain(last) {
        walk(database, client, table, order, visit).await?;
    }
    Ok(())
}

async fn walk(
    database: &Database,
    client: &Client,
    table: Table,
    order: &str,
    visit: &mut dyn FnMut(Id, Row) -> Result<()>,
) -> Result<()> {
    let explain = |error| database.explain(&error);
    let declare = format!("DECLARE rows NO SCROLL CURSOR FOR {} ORDER BY {order}", scoped(table));
    client.batch_execute(&declare).await.map_err(explain)?;
    loop {
        let fetch = format!("FETCH FORWARD {TOGETHER} FROM rows");
        let found = client.query_typed(&fetch, &[]).await.map_err(explain)?;
        for found in &found {
            let (scope, row) = read_scoped(database, table, found)?;
            visit(scope, row)?;
        }
        if found.len() < TOGETHER {
            return client.batch_execute("CLOSE rows").await.map_err(explain);
        }
    }
}
