//! Sees to it that a new root key leaves nothing behind. Rows are brought under it as they were read; what another process
//! writes between that and the commit stands under the old root key, and nobody could open it any more. The transaction that
//! counts every row anew meets each of them, and is refused if one was not brought along.

use super::accumulator::Accountant;
use super::{FACTS, RootKeys, object};
use crate::store::{AccumulatorRow, Balance, Change, Ledger, MetaRow, Page, Row};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::collections::HashSet;

/// The accountant of the new root key, told what comes along.
pub(super) struct Brought<'a> {
    accountant: &'a Accountant,
    old: &'a RootKeys,
    rows: HashSet<Vec<u8>>,
}

impl<'a> Brought<'a> {
    /// For a transaction of these changes, which ends with counting all rows anew.
    pub(super) fn by(changes: &[Change], accountant: &'a Accountant, old: &'a RootKeys) -> Self {
        let row = |change: &Change| match change {
            Change::Put(row) | Change::Reseal(row) => Some(row.encode()),
            _ => None,
        };
        Brought { accountant, old, rows: changes.iter().filter_map(row).collect() }
    }

    /// Whether a row stands under the root key and was not brought under the new one.
    fn is_left(&self, row: &Row) -> bool {
        match row {
            Row::Meta(fact) if fact.name == FACTS || fact.name.starts_with(MetaRow::WRAPPING_KEY) => false,
            Row::Meta(_)
            | Row::RootSlot(_)
            | Row::Tenant(_)
            | Row::Pin(_)
            | Row::Token(_)
            | Row::Policy(_) => !self.rows.contains(&row.encode()),
            Row::Object(row) => !row.private && object::tagged_by(row, self.old),
            Row::Key(_)
            | Row::Version(_)
            | Row::Role(_)
            | Row::Entry(_)
            | Row::Receipt(_)
            | Row::Accumulator(_) => false,
        }
    }
}

impl Ledger for Brought<'_> {
    fn page(&self) -> Box<dyn Page + '_> {
        Box::new(Sheet { brought: self, page: self.accountant.page(), anew: false, left: None })
    }
}

struct Sheet<'a> {
    brought: &'a Brought<'a>,
    page: Box<dyn Page + 'a>,
    /// All rows come anew.
    anew: bool,
    /// One that was left behind.
    left: Option<String>,
}

impl Page for Sheet<'_> {
    fn gone(&mut self, scope: Id, row: &Row) {
        self.page.gone(scope, row);
    }

    fn came(&mut self, scope: Id, row: &Row) {
        if self.anew && self.left.is_none() && self.brought.is_left(row) {
            self.left = Some(format!("{} row {}", row.table(), row.name()));
        }
        self.page.came(scope, row);
    }

    fn start_over(&mut self) {
        self.anew = true;
        self.page.start_over();
    }

    fn balance(
        &mut self,
        read: &mut dyn FnMut(Id) -> Result<Option<AccumulatorRow>>,
    ) -> Result<Vec<Balance>> {
        match &self.left {
            None => self.page.balance(read),
            Some(row) => Err(Error::new(
                ErrorCode::Conflict,
                format!("the {row} was written by someone else while the root key was replaced; try again"),
            )),
        }
    }
}
