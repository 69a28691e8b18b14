//! Whether two stores hold the same rows: each table's are counted and hashed.

use crate::crypto::{Hash, MAX_DIGEST, Provider};
use crate::keyring::accumulator::{Sum, Total};
use crate::store::{Beside, Store};
use canis_proto::{Error, ErrorCode, Result};
use std::collections::BTreeMap;

/// What the rows of each table come to, by its name.
pub(super) type Tables = BTreeMap<&'static str, Total>;

/// Adds up rows; in which order they come is all the same.
pub(super) struct Adding {
    provider: &'static Provider,
    tables: Tables,
}

impl Adding {
    pub(super) fn new(provider: &'static Provider) -> Self {
        Adding { provider, tables: Tables::new() }
    }

    fn add(&mut self, table: &'static str, row: &[u8]) {
        let mut digest = [0; MAX_DIGEST];
        self.provider.digest.hash(Hash::Sha256, row, &mut digest);
        let one = Total { rows: 1, sum: Sum::of(std::array::from_fn(|at| digest[at])) };
        let total = self.tables.entry(table).or_default();
        *total = total.plus(one);
    }
}

/// What the counted rows of a store come to; `on` is told of each.
pub(super) fn counted(
    provider: &'static Provider,
    store: &dyn Store,
    on: &mut dyn FnMut(),
) -> Result<Tables> {
    let mut adding = Adding::new(provider);
    store.scan(&mut |_, row| {
        adding.add(row.table(), &row.encode());
        on();
        Ok(())
    })?;
    Ok(adding.tables)
}

/// What these rows come to.
pub(super) fn beside(provider: &'static Provider, rows: &[Beside]) -> Tables {
    let mut adding = Adding::new(provider);
    rows.iter().for_each(|row| adding.add(row.table(), &row.encode()));
    adding.tables
}

/// Fails, naming the table, if rows differ.
pub(super) fn require_same(one: &Tables, other: &Tables) -> Result<()> {
    let tables = one.keys().chain(other.keys());
    match tables.into_iter().find(|table| one.get(*table) != other.get(*table)) {
        None => Ok(()),
        Some(table) => Err(Error::new(
            ErrorCode::StoreTampered,
            format!(
                "the rows of {table} are not the same at both places: somebody else has written to one of them. What was copied \
                 was taken away again; ask once more"
            ),
        )),
    }
}
