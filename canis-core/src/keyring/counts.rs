//! Keeping a store's accumulators, and comparing them with its rows.

use super::accumulator::{Accountant, Total, Totals, taken_away};
use super::counted::Counting;
use super::root_record::RootKeyFacts;
use super::{Keyring, RootKeys};
use crate::ops::StoreReport;
use crate::store::columns::table_name;
use crate::store::{AccumulatorRow, Change, Row};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

/// Where accumulator and rows differ: whose, the table, what was written down and what was found.
struct Difference {
    scope: Id,
    table: u8,
    kept: Total,
    found: Total,
    /// The one row that is too many, if that is all.
    added: Option<String>,
}

impl Keyring {
    /// How commits are counted under these keys: by the accumulators that are there, or by ones that are made now if the
    /// store is of before there were any. `promised` says that the root slot knows better. A store whose accumulators were
    /// spoilt or taken away can be read; nothing is written to it.
    pub(super) fn counting(&self, keys: &RootKeys, promised: bool) -> Result<Counting> {
        match self.root_key_facts(keys) {
            Ok(Some((_, RootKeyFacts { counted: Some(salt), .. }))) => self.counting_by(keys, &salt),
            Ok(_) if promised => Ok(Counting::Refused(taken_away())),
            Ok(_) => self.begin_counts(keys),
            Err(error) => Ok(Counting::Refused(error)),
        }
    }

    fn counting_by(&self, keys: &RootKeys, salt: &[u8; 16]) -> Result<Counting> {
        let accountant = Accountant::new(self.provider, keys, salt)?;
        Ok(match self.store.accumulator(Id::STORE)?.as_ref().map(|row| accountant.open(row)) {
            Some(Ok(_)) => Counting::By(Arc::new(accountant)),
            Some(Err(error)) => Counting::Refused(error),
            None => Counting::Refused(taken_away()),
        })
    }

    /// Counts all rows, as they stand, under a fresh key.
    fn begin_counts(&self, keys: &RootKeys) -> Result<Counting> {
        let first = RootKeyFacts { number: 1, created_at: self.facts.created_at, counted: None };
        let (revision, facts) = match self.root_key_facts(keys) {
            Ok(Some((revision, facts))) => (revision + 1, facts),
            Ok(None) => (1, first),
            // Spoilt, and to be taken as it stands.
            Err(_) => (self.root_key_revision()? + 1, first),
        };
        let salt = self.fresh_salt()?;
        let accountant = Accountant::new(self.provider, keys, &salt)?.after(self.memory.accepted());
        let facts = RootKeyFacts { counted: Some(salt), ..facts };
        let fact = Keyring::root_key_fact(keys, revision, &facts)?;
        match self.store.commit_by(&[Change::Put(fact), Change::Recount], Some(&accountant)) {
            Ok(()) => Ok(Counting::By(Arc::new(accountant))),
            // Another process was faster.
            Err(error) if error.code == ErrorCode::Conflict => self.counting(keys, true),
            // The store opens for reading; what cannot be counted is not written.
            Err(error) => Ok(Counting::Refused(error)),
        }
    }

    pub(super) fn fresh_salt(&self) -> Result<[u8; 16]> {
        let mut salt = [0; 16];
        self.provider.random.fill(&mut salt)?;
        Ok(salt)
    }

    /// Refuses to count anew what does not add up: nobody would learn of it any more.
    pub(super) fn require_whole(&self) -> Result<()> {
        match self.differences()?.into_iter().next() {
            Some(difference) => Err(difference.error()),
            None => Ok(()),
        }
    }

    /// Counts all rows as they stand, whatever they are.
    pub(crate) fn accept_rows(&self) -> Result<()> {
        let (keys, turn) = (self.root_keys()?, self.sealing.turn());
        let _gate = self.root_gate.write().unwrap_or_else(PoisonError::into_inner);
        match self.begin_counts(&keys)? {
            Counting::Refused(error) => Err(error),
            counting => {
                let _root = self.root.read().unwrap_or_else(PoisonError::into_inner);
                if self.sealing.turn() == turn {
                    self.books.set(counting);
                }
                Ok(())
            }
        }
    }

    /// One error for each difference between accumulators and rows.
    pub(super) fn compare_rows(&self) -> Result<Vec<Error>> {
        Ok(self.differences()?.iter().map(Difference::error).collect())
    }

    /// Adds to the report where accumulators and rows differ.
    pub(crate) fn verify_counts(&self, report: &mut StoreReport) -> Result<()> {
        match self.differences() {
            Ok(differences) => report.refused.extend(differences.iter().map(Difference::error)),
            Err(error) => drop(report.note::<()>(Err(error))?),
        }
        Ok(())
    }

    fn differences(&self) -> Result<Vec<Difference>> {
        let accountant = match self.books.counting() {
            Counting::Not => return Ok(Vec::new()),
            Counting::By(accountant) => accountant,
            Counting::Refused(error) => return Err(error),
        };
        let mut tally = Tally::new(Arc::clone(&accountant));
        self.store.scan(&mut |scope, row| {
            tally.add(scope, &row);
            Ok(())
        })?;
        let mut differences = tally.differences()?;
        self.name_added(&accountant, &mut differences)?;
        Ok(differences)
    }

    /// Finds rows that alone make the difference.
    fn name_added(&self, accountant: &Accountant, differences: &mut [Difference]) -> Result<()> {
        if differences.is_empty() {
            return Ok(());
        }
        self.store.scan(&mut |scope, row| {
            let table = row.table_number();
            for difference in differences.iter_mut().filter(|d| d.scope == scope && d.table == table) {
                if difference.found.minus(difference.kept) == accountant.total(scope, &row) {
                    difference.added = Some(row.name());
                }
            }
            Ok(())
        })
    }
}

/// Rows on their way past, to be compared with the accumulators among them.
pub(crate) struct Tally {
    accountant: Arc<Accountant>,
    found: BTreeMap<Id, Totals>,
    kept: Vec<AccumulatorRow>,
}

impl Tally {
    pub(crate) fn new(accountant: Arc<Accountant>) -> Self {
        Tally { accountant, found: BTreeMap::new(), kept: Vec::new() }
    }

    pub(crate) fn add(&mut self, scope: Id, row: &Row) {
        if let Row::Accumulator(row) = row {
            self.kept.push(row.clone());
            if row.id == Id::STORE {
                return;
            }
        }
        let place = self.found.entry(scope).or_default().entry(row.table_number()).or_default();
        *place = place.plus(self.accountant.total(scope, row));
    }

    /// Fails if the rows are not those that the accumulators count.
    pub(crate) fn require_whole(&self) -> Result<()> {
        match self.differences()?.first() {
            Some(difference) => Err(difference.error()),
            None => Ok(()),
        }
    }

    fn differences(&self) -> Result<Vec<Difference>> {
        let open = |row: &AccumulatorRow| Ok((row.id, self.accountant.open(row)?));
        let kept: BTreeMap<Id, Totals> = self.kept.iter().map(open).collect::<Result<_>>()?;
        match kept.contains_key(&Id::STORE) {
            true => Ok(compared(&kept, &self.found)),
            false => Err(taken_away()),
        }
    }
}

fn compared(kept: &BTreeMap<Id, Totals>, found: &BTreeMap<Id, Totals>) -> Vec<Difference> {
    let nothing = Totals::new();
    let mut scopes: Vec<Id> = kept.keys().chain(found.keys()).copied().collect();
    scopes.sort_unstable();
    scopes.dedup();
    let mut differences = Vec::new();
    for scope in scopes {
        let (kept, found) = (kept.get(&scope).unwrap_or(&nothing), found.get(&scope).unwrap_or(&nothing));
        for table in 1..=u8::MAX {
            let (kept, found) = (
                kept.get(&table).copied().unwrap_or_default(),
                found.get(&table).copied().unwrap_or_default(),
            );
            if kept != found {
                differences.push(Difference { scope, table, kept, found, added: None });
            }
        }
    }
    differences
}

impl Difference {
    fn error(&self) -> Error {
        let table = table_name(self.table);
        let whose = match self.scope {
            Id::STORE => String::new(),
            tenant => format!(" of tenant {tenant}"),
        };
        let (kept, found) = (self.kept.rows, self.found.rows);
        let what = match (&self.added, found.cmp(&kept)) {
            (Some(row), _) => format!("the {table} row {row}{whose} was added by other hands"),
            (None, std::cmp::Ordering::Less) => {
                format!("of {kept} rows of {table}{whose} {} were taken away by other hands", kept - found)
            }
            (None, std::cmp::Ordering::Equal) => format!(
                "among the {kept} rows of {table}{whose} some were changed or put back from an older copy"
            ),
            (None, std::cmp::Ordering::Greater) => format!(
                "{} rows of {table}{whose} were added by other hands or put back from an older copy",
                found - kept
            ),
        };
        Error::new(
            ErrorCode::StoreTampered,
            format!(
                "{what}; restore the store from a backup, or accept it as it stands with --accept-rollback"
            ),
        )
    }
}
