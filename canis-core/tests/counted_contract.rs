//! The contract of counted commits, run for every store: what a ledger is told is the difference that was made.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod rows;

use canis_core::store::{
    AccumulatorRow, Balance, Change, EntryRow, KeyRow, Ledger, MetaRow, Page, PinRow, ReceiptRow, RoleRow,
    Row, Store, TokenRow,
};
use canis_proto::{Error, ErrorCode, Id, Result};
use rows::{id, key, object, on_every_store, tenant, version};
use std::collections::BTreeMap;

/// A ledger that writes down every row there is, in clear.
struct Everything;

/// Rows of a scope, and how often each was added less how often it was taken away.
#[derive(Default)]
struct Sheet {
    rows: BTreeMap<(Id, String), i64>,
    anew: bool,
}

impl Ledger for Everything {
    fn page(&self) -> Box<dyn Page + '_> {
        Box::new(Sheet::default())
    }
}

impl Page for Sheet {
    fn gone(&mut self, scope: Id, row: &Row) {
        *self.rows.entry((scope, format!("{row:?}"))).or_default() -= 1;
    }

    fn came(&mut self, scope: Id, row: &Row) {
        *self.rows.entry((scope, format!("{row:?}"))).or_default() += 1;
    }

    fn start_over(&mut self) {
        (self.rows, self.anew) = (BTreeMap::new(), true);
    }

    fn balance(
        &mut self,
        read: &mut dyn FnMut(Id) -> Result<Option<AccumulatorRow>>,
    ) -> Result<Vec<Balance>> {
        let old = read(Id::STORE)?;
        let kept = old.iter().filter(|_| !self.anew).flat_map(|row| lines(&row.sealed)).collect::<Vec<_>>();
        for line in kept {
            *self.rows.entry((Id::STORE, line)).or_default() += 1;
        }
        let mut all: BTreeMap<String, i64> = BTreeMap::new();
        for ((scope, row), times) in &self.rows {
            let line = if row.contains('|') { row.clone() } else { format!("{scope}|{row}") };
            *all.entry(line).or_default() += times;
        }
        if let Some(wrong) = all.iter().find(|(_, times)| !(0..=1).contains(*times)) {
            return Err(Error::new(ErrorCode::Internal, format!("{} times {}", wrong.1, wrong.0)));
        }
        let now: Vec<_> = all.into_iter().filter(|(_, times)| *times == 1).map(|(line, _)| line).collect();
        let revision = old.map_or(1, |row| row.revision + 1);
        Ok(vec![Balance::Write(AccumulatorRow { id: Id::STORE, revision, sealed: now.join("\n").into() })])
    }
}

fn lines(sealed: &[u8]) -> Vec<String> {
    String::from_utf8(sealed.to_vec()).unwrap().lines().map(str::to_owned).collect()
}

/// What was written down is what is there, seen by a full look.
fn assert_counted(store: &dyn Store, commits: u64) {
    let (mut found, mut kept) = (Vec::new(), None);
    store
        .scan(&mut |scope, row| {
            match row {
                Row::Accumulator(row) => kept = Some(row),
                row => found.push(format!("{scope}|{row:?}")),
            }
            Ok(())
        })
        .unwrap();
    found.sort();
    let kept = kept.unwrap();
    assert_eq!((lines(&kept.sealed), kept.revision), (found, commits));
}

fn meta(name: String, revision: u64, body: u8) -> Row {
    Row::Meta(MetaRow { name, revision, body: vec![body] })
}

/// One of every table for tenant `n`.
fn filling(n: u8) -> Vec<Change> {
    let at = id(n);
    vec![
        tenant(n),
        Change::Put(Row::Key(key(n, at, "k"))),
        version(n, at, 1),
        version(n + 100, at, 2),
        Change::Put(Row::Object(object(n, at, b"label"))),
        Change::Put(Row::Role(RoleRow { id: id(n + 50), tenant_id: at, revision: 1, sealed: vec![1] })),
        Change::Put(Row::Pin(PinRow { id: at, tenant_id: at, role: 1, revision: 1, sealed: vec![3] })),
        Change::Put(Row::Token(TokenRow { id: at, tenant_id: at, revision: 1, sealed: vec![4] })),
        Change::Put(meta(MetaRow::wrapping_key(at), 1, 9)),
        Change::Put(meta(MetaRow::hybrid_wrapping_key(at), 1, 9)),
        Change::Put(Row::Entry(EntryRow {
            id: at,
            tenant_id: at,
            lookup: at,
            revision: 1,
            sealed: vec![5],
            private_key: vec![],
        })),
        Change::Put(Row::Receipt(ReceiptRow {
            id: at,
            tenant_id: at,
            expires_at: n.into(),
            sealed: vec![6],
        })),
    ]
}

/// Every kind of change is counted as the rows that it takes away and brings, and one that fails not at all.
#[test]
fn every_change_is_counted() {
    on_every_store(|store| {
        let mut commits = 0;
        let mut make = |changes: &[Change]| {
            store.commit_by(changes, Some(&Everything)).unwrap();
            commits += 1;
            assert_counted(store, commits);
        };
        make(&filling(1));
        make(&filling(2));
        let renamed = KeyRow { name: "other".into(), revision: 2, ..key(1, id(1), "k") };
        make(&[Change::ExpectTenant(id(1), 1), Change::Put(Row::Key(renamed))]);
        make(&[Change::RemoveVersion(id(1), 2), Change::RemoveVersion(id(1), 77)]);
        let revision = store.tenant(id(2)).unwrap().unwrap();
        make(&[Change::Reseal(Row::Tenant(canis_core::store::TenantRow { sealed: vec![8], ..revision }))]);
        let sealed_anew = KeyRow { sealed: vec![8], ..store.key(id(2)).unwrap().unwrap() };
        let role = RoleRow { sealed: vec![8], ..store.role(id(52)).unwrap().unwrap() };
        let entry = EntryRow { sealed: vec![8], ..store.entry(id(2), id(2)).unwrap().unwrap() };
        let resealed =
            [Row::Key(sealed_anew.clone()), Row::Role(role), Row::Entry(entry)].map(Change::Reseal);
        make(&[&[Change::ExpectUnchanged(Id::STORE, 5)][..], &resealed].concat());
        assert_eq!(store.key(id(2)).unwrap(), Some(sealed_anew));
        for (scope, revision) in [(Id::STORE, 5), (Id::STORE, 0), (id(1), 1)] {
            let changes = [Change::ExpectUnchanged(scope, revision), Change::RemoveVersions(id(2))];
            let refused = store.commit_by(&changes, Some(&Everything)).unwrap_err();
            assert_eq!(refused.code, ErrorCode::Conflict);
        }
        make(&[Change::ExpectUnchanged(id(1), 0), Change::RemoveVersion(id(1), 78)]);
        make(&[Change::RemoveObject(id(1), 1), Change::RemoveToken(id(1), 1), Change::RemoveEntry(id(1), 1)]);
        make(&[Change::ForgetReceipts(1), Change::RemoveVersions(id(1))]);
        let two = |revision| Change::Put(meta("twice".into(), revision, 1));
        make(&[two(1), two(2)]);
        make(&[Change::WipeTenant(id(2))]);
        make(&[Change::WipeTenant(id(1)), Change::RemoveTenant(id(1), 1)]);
        make(&[Change::Put(meta("n".into(), 1, 1)), Change::Recount]);
        let stale = Change::Put(Row::Key(key(2, id(2), "k")));
        store.commit_by(&[stale.clone(), stale], Some(&Everything)).unwrap_err();
        assert_counted(store, commits);
    });
}

/// What the visitor refuses ends the look and is given back.
#[test]
fn a_look_ends_by_an_error() {
    on_every_store(|store| {
        store.commit(&filling(1)).unwrap();
        let mut seen = 0;
        let refused = store.scan(&mut |_, _| {
            seen += 1;
            if seen == 3 { Err(Error::invalid("enough")) } else { Ok(()) }
        });
        assert_eq!((refused.unwrap_err().message.as_str(), seen), ("enough", 3));
    });
}
