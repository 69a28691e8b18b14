//! Accumulators: what all rows of a tenant, or of the store, come to, so that a row that was taken away, added or put
//! back from an older copy is noticed.
//!
//! For each table an accumulator keeps the number of rows and the sum modulo 2^256 of HMAC-SHA-256 over each row
//! (MSet-Add-Hash of Clarke, Devadas, van Dijk, Gassend and Suh, ASIACRYPT 2003). It changes with each commit by the rows
//! that the commit changes. Why this is safe here: sums and tags stand sealed and never leave, so that who has the
//! file but not the root key knows none of the numbers that he would have to make equal; the accumulators of tenants are
//! rows that the store's own counts, so that none of them can be put back alone. ADR 0024.

use super::RootKeys;
use super::seal::{Place, xaes_key};
use super::store_rows::place;
use crate::crypto::Provider;
use crate::crypto::xaes::{self, XaesKey};
use crate::secret::SecretBytes;
use crate::store::{AccumulatorRow, Balance, Ledger, Page, Row};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::collections::BTreeMap;
use wincode::{SchemaRead, SchemaWrite};

/// A sum modulo 2^256, least significant word first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, SchemaRead, SchemaWrite)]
pub(crate) struct Sum([u64; 4]);

impl Sum {
    pub(crate) fn of(tag: [u8; 32]) -> Self {
        Sum(std::array::from_fn(|word| u64::from_le_bytes(std::array::from_fn(|byte| tag[word * 8 + byte]))))
    }

    fn plus(self, other: Sum) -> Sum {
        let mut carry = 0;
        Sum(std::array::from_fn(|word| {
            let sum = u128::from(self.0[word]) + u128::from(other.0[word]) + carry;
            carry = sum >> 64;
            sum as u64 // the low word; the high one is carried
        }))
    }

    fn minus(self, other: Sum) -> Sum {
        let inverse = Sum(other.0.map(|word| !word)).plus(Sum([1, 0, 0, 0]));
        self.plus(inverse)
    }
}

/// What the rows of one table come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Total {
    /// How many there are. Modulo 2^64: a spoilt accumulator must not end the process.
    pub(crate) rows: u64,
    /// The sum of their tags.
    pub(crate) sum: Sum,
}

impl Total {
    pub(crate) fn plus(self, other: Total) -> Total {
        Total { rows: self.rows.wrapping_add(other.rows), sum: self.sum.plus(other.sum) }
    }

    pub(crate) fn minus(self, other: Total) -> Total {
        Total { rows: self.rows.wrapping_sub(other.rows), sum: self.sum.minus(other.sum) }
    }
}

/// What the rows of each table come to, by the number of the table; tables without rows are left out.
pub(crate) type Totals = BTreeMap<u8, Total>;

#[derive(SchemaRead, SchemaWrite)]
enum Stored {
    V1(Vec<(u8, u64, Sum)>),
}

/// The keys of a store's accumulators.
pub(crate) struct Accountant {
    provider: &'static Provider,
    mac: SecretBytes,
    seal: XaesKey,
    /// Commits that the store's count goes on from when all rows are counted anew.
    floor: u64,
}

impl Accountant {
    /// The keys that the root key gives with `salt`. A new salt is drawn whenever rows are counted anew, so that no
    /// accumulator of before fits among the new ones.
    pub(crate) fn new(provider: &'static Provider, root: &RootKeys, salt: &[u8; 16]) -> Result<Self> {
        let derived = |label: &str| {
            SecretBytes::filled(32, |out| {
                provider.kdf.hkdf_sha256(root.root_key.expose(), salt, label.as_bytes(), out)
            })
        };
        Ok(Accountant {
            provider,
            mac: derived("canis/v1/accumulator-mac")?,
            seal: xaes_key(provider, &derived("canis/v1/accumulator-seal")?)?,
            floor: 0,
        })
    }

    /// The same; where all rows are counted anew, the number of the commit is greater than `sequence`.
    pub(crate) fn after(self, sequence: u64) -> Self {
        Accountant { floor: sequence, ..self }
    }

    /// What one row adds.
    pub(crate) fn total(&self, scope: Id, row: &Row) -> Total {
        let tag = self.provider.mac.hmac_sha256(self.mac.expose(), &[&scope.0, &row.encode()]);
        Total { rows: 1, sum: Sum::of(tag) }
    }

    /// What an accumulator says.
    pub(crate) fn open(&self, row: &AccumulatorRow) -> Result<Totals> {
        let place = row_place(row.id, row.revision);
        let len = xaes::plaintext_len(row.sealed.len()).ok_or_else(|| place.tampered())?;
        let mut record = vec![0; len];
        self.seal.open_from_slice(&place.aad(), &row.sealed, &mut record).map_err(|_| place.tampered())?;
        match wincode::deserialize_exact(&record) {
            Ok(Stored::V1(tables)) => {
                Ok(tables.into_iter().map(|(table, rows, sum)| (table, Total { rows, sum })).collect())
            }
            Err(_) => Err(Error::new(
                ErrorCode::StoreFormat,
                "the record of an accumulator is of a format this CANIS does not know",
            )),
        }
    }

    fn row(&self, id: Id, revision: u64, totals: &Totals) -> Result<AccumulatorRow> {
        let tables = totals.iter().map(|(table, total)| (*table, total.rows, total.sum)).collect();
        let record = wincode::serialize(&Stored::V1(tables))
            .map_err(|e| Error::internal(format!("cannot write the record of an accumulator: {e}")))?;
        let sealed = self.seal.seal_to_vec(&row_place(id, revision).aad(), &record)?;
        Ok(AccumulatorRow { id, revision, sealed })
    }
}

fn row_place(scope: Id, revision: u64) -> Place<'static> {
    place("accumulators", scope, scope, revision)
}

impl Ledger for Accountant {
    fn page(&self) -> Box<dyn Page + '_> {
        Box::new(Sheet { accountant: self, changes: BTreeMap::new(), anew: false })
    }
}

/// The sums of a transaction.
struct Sheet<'a> {
    accountant: &'a Accountant,
    changes: BTreeMap<Id, Totals>,
    anew: bool,
}

impl Sheet<'_> {
    fn add(&mut self, scope: Id, table: u8, total: Total) {
        let place = self.changes.entry(scope).or_default().entry(table).or_default();
        *place = place.plus(total);
    }

    fn subtract(&mut self, scope: Id, table: u8, total: Total) {
        let place = self.changes.entry(scope).or_default().entry(table).or_default();
        *place = place.minus(total);
    }

    /// The accumulator of `scope` when this transaction is done.
    fn next(&self, scope: Id, old: Option<&AccumulatorRow>) -> Result<(u64, Totals)> {
        let mut totals = match old {
            Some(row) if !self.anew => self.accountant.open(row)?,
            _ => Totals::new(),
        };
        for (table, change) in self.changes.get(&scope).into_iter().flatten() {
            let place = totals.entry(*table).or_default();
            *place = place.plus(*change);
        }
        totals.retain(|_, total| *total != Total::default());
        let floor = if self.anew && scope == Id::STORE { self.accountant.floor } else { 0 };
        Ok((old.map_or(0, |row| row.revision).max(floor).saturating_add(1), totals))
    }

    fn tenant(&mut self, scope: Id, old: Option<AccumulatorRow>) -> Result<Option<Balance>> {
        let (revision, totals) = self.next(scope, old.as_ref())?;
        let had = old.is_some();
        if let Some(old) = old {
            self.gone(Id::STORE, &Row::Accumulator(old));
        }
        if totals.is_empty() {
            return Ok(had.then_some(Balance::Remove(scope)));
        }
        let new = self.accountant.row(scope, revision, &totals)?;
        self.came(Id::STORE, &Row::Accumulator(new.clone()));
        Ok(Some(Balance::Write(new)))
    }
}

impl Page for Sheet<'_> {
    fn gone(&mut self, scope: Id, row: &Row) {
        self.subtract(scope, row.table_number(), self.accountant.total(scope, row));
    }

    fn came(&mut self, scope: Id, row: &Row) {
        self.add(scope, row.table_number(), self.accountant.total(scope, row));
    }

    fn start_over(&mut self) {
        self.changes.clear();
        self.anew = true;
    }

    fn balance(
        &mut self,
        read: &mut dyn FnMut(Id) -> Result<Option<AccumulatorRow>>,
    ) -> Result<Vec<Balance>> {
        if self.changes.is_empty() && !self.anew {
            return Ok(Vec::new());
        }
        let mut balance = Vec::new();
        let tenants: Vec<Id> = self.changes.keys().copied().filter(|scope| *scope != Id::STORE).collect();
        for scope in tenants {
            balance.extend(self.tenant(scope, read(scope)?)?);
        }
        let old = read(Id::STORE)?;
        if old.is_none() && !self.anew {
            return Err(taken_away());
        }
        let (revision, totals) = self.next(Id::STORE, old.as_ref())?;
        balance.push(Balance::Write(self.accountant.row(Id::STORE, revision, &totals)?));
        Ok(balance)
    }
}

/// The store's accumulator is not there though it should be.
pub(crate) fn taken_away() -> Error {
    Error::new(
        ErrorCode::StoreTampered,
        "what the store's rows come to (tables meta and accumulators) was taken away by other hands; nothing is written. \
         Restore the store from a backup, or accept it as it stands with --accept-rollback",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_carry_and_come_back() {
        let (most, one) = (Sum([u64::MAX; 4]), Sum([1, 0, 0, 0]));
        assert_eq!(most.plus(one), Sum::default());
        assert_eq!(Sum::default().minus(one), most);
        assert_eq!(Sum([u64::MAX, 0, 7, 0]).plus(one), Sum([0, 1, 7, 0]));
        let tag = Sum::of(std::array::from_fn(|at| at as u8));
        assert_eq!(tag.0[0], 0x0706_0504_0302_0100);
        assert_eq!(tag.minus(tag), Sum::default());
    }
}
