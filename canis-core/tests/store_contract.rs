//! The contract of the store seam, run for every filling.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod rows;

use canis_core::store::{
    Change, EntryRow, KeyRow, MetaRow, ObjectQuery, ObjectRow, PinRow, ReceiptRow, RoleRow, RootSlotRow, Row,
    TenantRow, UNSAID, UseRow,
};
use canis_proto::{ErrorCode, Id};
use rows::{id, key, object, on_every_store, tenant, version};

#[test]
fn rows_come_back_as_they_were_written() {
    on_every_store(|store| {
        let row = key(1, id(9), "a/b");
        store.commit(&[tenant(9), Change::Put(Row::Key(row.clone())), version(2, id(1), 1)]).unwrap();
        assert_eq!(store.key(id(1)).unwrap(), Some(row.clone()));
        assert_eq!(store.key_by_name(id(9), "a/b").unwrap(), Some(row));
        assert_eq!(store.key_by_name(id(8), "a/b").unwrap(), None);
        assert_eq!(store.version(id(1), 1).unwrap().unwrap().encrypted_material, [2]);
        assert_eq!(store.version(id(1), 2).unwrap(), None);
        assert_eq!(store.tenant(id(9)).unwrap().unwrap().name, "t9");
        let meta = MetaRow { name: "x".into(), revision: 1, body: vec![7] };
        store.commit(&[Change::Put(Row::Meta(meta.clone()))]).unwrap();
        assert_eq!(store.meta("x").unwrap(), Some(meta));
    });
}

/// R11: a name is unique within its tenant, and free in another.
#[test]
fn names_are_unique_within_a_tenant() {
    on_every_store(|store| {
        store.commit(&[Change::Put(Row::Key(key(1, id(8), "k")))]).unwrap();
        let taken = store.commit(&[Change::Put(Row::Key(key(2, id(8), "k")))]).unwrap_err();
        assert_eq!(taken.code, ErrorCode::KeyExists);
        assert!(taken.message.contains("`k`"));
        store.commit(&[Change::Put(Row::Key(key(3, id(7), "k")))]).unwrap();
    });
}

#[test]
fn a_commit_is_all_or_nothing() {
    on_every_store(|store| {
        store.commit(&[Change::Put(Row::Key(key(1, id(8), "k")))]).unwrap();
        let both = [Change::Put(Row::Key(key(2, id(8), "new"))), Change::Put(Row::Key(key(3, id(8), "k")))];
        store.commit(&both).unwrap_err();
        assert_eq!(store.key(id(2)).unwrap(), None);
    });
}

/// Caches over the store hang on this number: it grows with every commit.
#[test]
fn every_commit_is_counted() {
    on_every_store(|store| {
        let before = store.generation();
        store.poll().unwrap();
        assert_eq!(store.generation(), before);
        store.commit(&[tenant(1)]).unwrap();
        assert!(store.generation() > before);
    });
}

#[test]
fn a_stale_revision_conflicts() {
    on_every_store(|store| {
        let first = key(1, id(8), "k");
        store.commit(&[Change::Put(Row::Key(first.clone()))]).unwrap();
        let second = KeyRow { revision: 2, state: "disabled".into(), ..first.clone() };
        store.commit(&[Change::Put(Row::Key(second.clone()))]).unwrap();
        for stale in [first.clone(), second, KeyRow { revision: 4, ..first }] {
            let error = store.commit(&[Change::Put(Row::Key(stale))]).unwrap_err();
            assert_eq!(error.code, ErrorCode::Conflict);
        }
        assert_eq!(store.key(id(1)).unwrap().unwrap().state, "disabled");
    });
}

#[test]
fn pages_of_names_by_prefix() {
    on_every_store(|store| {
        let names = ["a", "a/1", "a/2", "a0", "b", "a/3"];
        for (n, name) in (1..).zip(names) {
            store.commit(&[Change::Put(Row::Key(key(n, id(99), name)))]).unwrap();
        }
        let gone =
            KeyRow { deleted_at: Some(1), name: "~a/3~x".into(), revision: 2, ..key(6, id(99), "a/3") };
        store.commit(&[Change::Put(Row::Key(gone))]).unwrap();
        let page = |prefix, after, limit| -> Vec<String> {
            store.keys(id(99), prefix, after, limit).unwrap().into_iter().map(|r| r.name).collect()
        };
        assert_eq!(page("", "", 100), ["a", "a/1", "a/2", "a0", "b"]);
        assert_eq!(page("a/", "", 100), ["a/1", "a/2"]);
        assert_eq!(page("", "a/1", 2), ["a/2", "a0"]);
        assert_eq!(page("~a", "", 2), ["~a/3~x"]);
        assert!(page("~", "~a/3~x", 2).is_empty());
    });
}

#[test]
fn keys_that_are_due() {
    on_every_store(|store| {
        for (n, due_at) in [(1, Some(30)), (2, None), (3, Some(10)), (4, Some(i64::MAX))] {
            let row = KeyRow { due_at, ..key(n, id(90 + n), "k") };
            store.commit(&[Change::Put(Row::Key(row))]).unwrap();
        }
        let due = |now, limit| -> Vec<Id> {
            store.due_keys(None, now, limit).unwrap().into_iter().map(|r| r.id).collect()
        };
        assert_eq!((due(9, 5), due(10, 5), due(30, 5)), (vec![], vec![id(3)], vec![id(3), id(1)]));
        assert_eq!(due(30, 1), [id(3)]);
        let of = |tenant| store.due_keys(Some(tenant), 30, 5).unwrap().len();
        assert_eq!((of(id(91)), of(id(92)), of(id(94))), (1, 0, 0));
    });
}

#[test]
fn objects_by_label_id_class_and_key() {
    on_every_store(|store| {
        store.commit(&[tenant(8), tenant(7)]).unwrap();
        for n in [1, 2, 11] {
            store.commit(&[Change::Put(Row::Object(object(n, id(8), b"l")))]).unwrap();
        }
        store.commit(&[Change::Put(Row::Object(object(3, id(7), b"l")))]).unwrap();
        let all = ObjectQuery::all(id(8));
        let ids = |query| -> Vec<Id> { store.objects(&query).unwrap().into_iter().map(|o| o.id).collect() };
        assert_eq!(ids(all), [id(1), id(2), id(11)]);
        assert_eq!(ids(ObjectQuery { class: Some(1), ..all }), [id(1), id(11)]);
        assert_eq!(ids(ObjectQuery { label: Some(b"l"), cka_id: Some(&[2]), ..all }), [id(2)]);
        assert_eq!(ids(ObjectQuery { label: Some(b""), ..all }), []);
        assert_eq!(ids(ObjectQuery::of_key(id(8), id(1))), [id(11)]);
        assert_eq!(ids(ObjectQuery { family: Some(2), ..all }), [id(2), id(11)]);
        assert_eq!(ids(ObjectQuery { family: Some(2), class: Some(1), ..all }), [id(11)]);
        // Rows that do not say are among the answers to every question.
        let silent = ObjectRow { family: UNSAID, ..object(4, id(7), b"l") };
        store.commit(&[Change::Put(Row::Object(silent))]).unwrap();
        assert_eq!(ids(ObjectQuery { family: Some(5), ..ObjectQuery::all(id(7)) }), [id(4)]);
        store.commit(&[Change::RemoveObject(id(2), 9)]).unwrap_err();
        store.commit(&[Change::RemoveObject(id(2), 1)]).unwrap();
        assert_eq!(store.object(id(2)).unwrap(), None);
    });
}

/// Root slots go by revision, and never twice.
#[test]
fn root_slots_are_removed() {
    on_every_store(|store| {
        let slot = |revision| RootSlotRow { id: id(1), kind: "keyfile".into(), revision, body: vec![1] };
        store.commit(&[Change::Put(Row::RootSlot(slot(1)))]).unwrap();
        store.commit(&[Change::Put(Row::RootSlot(slot(2)))]).unwrap();
        assert_eq!(store.commit(&[Change::RemoveRootSlot(id(1), 1)]).unwrap_err().code, ErrorCode::Conflict);
        assert_eq!(store.root_slots().unwrap(), [slot(2)]);
        store.commit(&[Change::RemoveRootSlot(id(1), 2)]).unwrap();
        assert!(store.root_slots().unwrap().is_empty());
        store.commit(&[Change::RemoveRootSlot(id(1), 2)]).unwrap_err();
    });
}

/// What is sealed anew keeps its revision; a row of another revision, or of a table that stands under no root key, is
/// left as it is.
#[test]
fn rows_are_sealed_anew() {
    on_every_store(|store| {
        let fact =
            |revision, body: &[u8]| Row::Meta(MetaRow { name: "fact".into(), revision, body: body.to_vec() });
        let tenant = |sealed: &[u8]| TenantRow {
            id: id(7),
            name: "t".into(),
            slot: 0,
            revision: 1,
            sealed: sealed.to_vec(),
        };
        let anew = |sealed: &[u8]| Change::Reseal(Row::Tenant(tenant(sealed)));
        store.commit(&[Change::Put(fact(1, b"old")), Change::Put(Row::Tenant(tenant(b"old")))]).unwrap();
        let stale = store.commit(&[anew(b"new"), Change::Reseal(fact(2, b"new"))]).unwrap_err();
        assert_eq!(stale.code, ErrorCode::Conflict);
        assert_eq!(store.tenant(id(7)).unwrap(), Some(tenant(b"old")));
        store.commit(&[anew(b"new"), Change::Reseal(fact(1, b"new"))]).unwrap();
        assert_eq!(store.tenant(id(7)).unwrap(), Some(tenant(b"new")));
        assert_eq!(
            store.meta("fact").unwrap().map(|row| (row.revision, row.body)),
            Some((1, b"new".to_vec()))
        );
        store.commit(&[Change::Reseal(Row::Key(key(1, id(8), "k")))]).unwrap_err();
    });
}

#[test]
fn versions_are_removed() {
    on_every_store(|store| {
        store
            .commit(&[Change::Put(Row::Key(key(1, id(8), "k"))), version(2, id(1), 1), version(3, id(1), 2)])
            .unwrap();
        assert_eq!(store.versions(id(1)).unwrap().iter().map(|v| v.version).collect::<Vec<_>>(), [1, 2]);
        store.commit(&[version(4, id(1), 2)]).unwrap_err();
        store.commit(&[Change::RemoveVersion(id(1), 1), Change::RemoveVersion(id(1), 7)]).unwrap();
        assert_eq!(store.versions(id(1)).unwrap().iter().map(|v| v.version).collect::<Vec<_>>(), [2]);
        store.commit(&[Change::RemoveVersions(id(1))]).unwrap();
        assert!(store.versions(id(1)).unwrap().is_empty());
        store.purge().unwrap();
    });
}

/// Counts add up, of several writers too, and nothing is read anew because of them.
#[test]
fn uses_add_up() {
    on_every_store(|store| {
        let uses = |version, uses, last_used_at| UseRow { key_id: id(1), version, uses, last_used_at };
        store.commit(&[tenant(8), Change::Put(Row::Key(key(1, id(8), "k")))]).unwrap();
        let generation = store.generation();
        store.count_uses(&[uses(2, 5, 70), uses(1, 1, 10)]).unwrap();
        store.count_uses(&[uses(2, 3, 60)]).unwrap();
        assert_eq!(store.uses(id(1)).unwrap(), [uses(1, 1, 10), uses(2, 8, 70)]);
        assert_eq!(store.generation(), generation);
        store.commit(&[Change::WipeTenant(id(8))]).unwrap();
        assert!(store.uses(id(1)).unwrap().is_empty());
    });
}

/// R75: entries are found by what their identifiers lead to, replaced by revision, and read by pages.
#[test]
fn entries_by_lookup_and_page() {
    on_every_store(|store| {
        let entry = |n, tenant: u8, lookup: u8| EntryRow {
            id: id(n),
            tenant_id: id(tenant),
            lookup: id(lookup),
            revision: 1,
            sealed: vec![n, 1],
            private_key: vec![n],
        };
        let put = |row: &EntryRow| store.commit(&[Change::Put(Row::Entry(row.clone()))]);
        store.commit(&[tenant(7), tenant(8)]).unwrap();
        for (n, lookup) in [(1, 0x80), (2, 0x10), (3, 0xff)] {
            put(&entry(n, 8, lookup)).unwrap();
        }
        put(&entry(4, 7, 0x10)).unwrap();
        assert_eq!(put(&entry(5, 8, 0x10)).unwrap_err().code, ErrorCode::Conflict, "a taken place");
        assert_eq!(store.entry(id(8), id(0x10)).unwrap(), Some(entry(2, 8, 0x10)));
        assert_eq!(store.entry(id(8), id(0x11)).unwrap(), None);
        let page = |after, limit| -> Vec<Id> {
            store.entries(id(8), after, limit).unwrap().iter().map(|row| row.id).collect()
        };
        assert_eq!(page(id(0), 2), [id(2), id(1)]);
        assert_eq!(page(id(0x80), 2), [id(3)]);
        put(&EntryRow { revision: 2, private_key: vec![], ..entry(2, 8, 0x10) }).unwrap();
        let stale = put(&EntryRow { revision: 2, ..entry(2, 8, 0x10) }).unwrap_err();
        assert_eq!(stale.code, ErrorCode::Conflict);
        store.commit(&[Change::RemoveEntry(id(2), 1)]).unwrap_err();
        store.commit(&[Change::RemoveEntry(id(2), 2)]).unwrap();
        assert_eq!(page(id(0), 9), [id(1), id(3)]);
        store.commit(&[Change::WipeTenant(id(8))]).unwrap();
        assert_eq!((page(id(0), 9), store.entries(id(7), id(0), 9).unwrap().len()), (vec![], 1));
    });
}

/// Receipts are written once and forgotten when their time has come, of whatever tenant.
#[test]
fn receipts_are_kept_and_forgotten() {
    on_every_store(|store| {
        let receipt = |n, tenant, expires_at| ReceiptRow {
            id: id(n),
            tenant_id: id(tenant),
            expires_at,
            sealed: vec![n],
        };
        let put = |row: ReceiptRow| store.commit(&[Change::Put(Row::Receipt(row))]);
        store.commit(&[tenant(7), tenant(8)]).unwrap();
        put(receipt(1, 8, 50)).unwrap();
        put(receipt(2, 8, 60)).unwrap();
        put(receipt(3, 7, 50)).unwrap();
        assert_eq!(put(receipt(1, 8, 70)).unwrap_err().code, ErrorCode::Conflict);
        assert_eq!(store.receipt(id(1)).unwrap(), Some(receipt(1, 8, 50)));
        store.commit(&[Change::ForgetReceipts(49)]).unwrap();
        assert_eq!(store.receipts(id(8)).unwrap().len(), 2);
        store.commit(&[Change::ForgetReceipts(50), Change::Put(Row::Receipt(receipt(1, 8, 90)))]).unwrap();
        assert_eq!(store.receipts(id(8)).unwrap(), [receipt(2, 8, 60), receipt(1, 8, 90)]);
        assert!(store.receipts(id(7)).unwrap().is_empty());
        store.commit(&[Change::WipeTenant(id(8))]).unwrap();
        assert_eq!(store.receipt(id(2)).unwrap(), None);
    });
}

#[test]
fn pins_are_replaced() {
    on_every_store(|store| {
        let row = PinRow { id: id(1), tenant_id: id(8), role: 1, revision: 1, sealed: vec![1] };
        store.commit(&[tenant(8), Change::Put(Row::Pin(row.clone()))]).unwrap();
        store.commit(&[Change::Put(Row::Pin(PinRow { revision: 2, ..row }))]).unwrap();
        assert_eq!(store.pin(id(8), 1).unwrap().unwrap().revision, 2);
        assert_eq!(store.pin(id(8), 2).unwrap(), None);
    });
}

/// A wiped tenant has nothing left but itself and its security officer's PIN; others keep theirs.
#[test]
fn wiping_a_tenant() {
    on_every_store(|store| {
        let pin = |n, role| {
            Change::Put(Row::Pin(PinRow { id: id(n), tenant_id: id(8), role, revision: 1, sealed: vec![n] }))
        };
        store.commit(&[tenant(8), tenant(7), pin(1, 1), pin(2, 2)]).unwrap();
        store.commit(&[Change::Put(Row::Key(key(1, id(8), "k"))), version(2, id(1), 1)]).unwrap();
        store.commit(&[Change::Put(Row::Key(key(5, id(7), "k"))), version(6, id(5), 1)]).unwrap();
        store
            .commit(&[
                Change::Put(Row::Object(object(1, id(8), b"l"))),
                Change::Put(Row::Object(object(3, id(7), b"l"))),
            ])
            .unwrap();
        let role = |n, tenant, revision| {
            Change::Put(Row::Role(RoleRow { id: id(n), tenant_id: tenant, revision, sealed: vec![n] }))
        };
        store.commit(&[role(1, id(8), 1), role(2, id(7), 1)]).unwrap();
        store.commit(&[role(2, id(7), 2)]).unwrap();
        assert_eq!(store.commit(&[role(2, id(7), 2)]).unwrap_err().code, ErrorCode::Conflict);
        assert_eq!(store.role(id(2)).unwrap().unwrap().revision, 2);
        store.commit(&[Change::WipeTenant(id(8))]).unwrap();
        assert_eq!((store.role(id(1)).unwrap(), store.roles(id(7)).unwrap().len()), (None, 1));
        assert!(store.all_keys(id(8)).unwrap().is_empty() && store.versions(id(1)).unwrap().is_empty());
        assert!(store.objects(&ObjectQuery::all(id(8))).unwrap().is_empty());
        assert!(store.pin(id(8), 1).unwrap().is_none() && store.pin(id(8), 2).unwrap().is_some());
        assert_eq!(store.versions(id(5)).unwrap().len(), 1);
        assert_eq!(store.objects(&ObjectQuery::all(id(7))).unwrap().len(), 1);
        // And whole, if it is the revision that was looked at.
        let late = store.commit(&[Change::RemoveTenant(id(8), 2)]).unwrap_err();
        assert_eq!((late.code, store.pin(id(8), 2).unwrap().is_some()), (ErrorCode::Conflict, true));
        store.commit(&[Change::RemoveTenant(id(8), 1)]).unwrap();
        assert!(store.tenant(id(8)).unwrap().is_none() && store.pin(id(8), 2).unwrap().is_none());
        assert!(store.tenant(id(7)).unwrap().is_some());
    });
}

/// A tenant gets no more keys than it may have then; destroyed ones and other tenants' do not count.
#[test]
fn keys_of_a_tenant_are_counted() {
    on_every_store(|store| {
        store.commit(&[tenant(1), tenant(2)]).unwrap();
        let (one, other) = (id(1), id(2));
        let add = |number: u8, of: Id, gone: bool| {
            let row = KeyRow { deleted_at: gone.then_some(1), ..key(number, of, &format!("key-{number}")) };
            store.commit(&[Change::Put(Row::Key(row)), Change::AtMostKeys(of, 2)]).map_err(|error| error.code)
        };
        assert_eq!((add(10, one, false), add(11, one, true), add(12, one, false)), (Ok(()), Ok(()), Ok(())));
        assert_eq!(add(13, one, false), Err(ErrorCode::LimitReached));
        assert_eq!(add(14, one, true), Ok(()));
        assert_eq!(add(15, other, false), Ok(()));
        assert!(store.key(id(13)).unwrap().is_none(), "the whole transaction fails");
        store.commit(&[Change::AtMostKeys(one, u64::MAX)]).unwrap();
    });
}

/// What was computed for a tenant as it was is not written when it has become another.
#[test]
fn an_expected_tenant_must_be_there() {
    on_every_store(|store| {
        store.commit(&[tenant(8)]).unwrap();
        store.commit(&[Change::ExpectTenant(id(8), 1), Change::Put(Row::Key(key(1, id(8), "a")))]).unwrap();
        for expected in [Change::ExpectTenant(id(8), 2), Change::ExpectTenant(id(7), 1)] {
            let late = store.commit(&[expected, Change::Put(Row::Key(key(2, id(8), "b")))]).unwrap_err();
            assert_eq!(late.code, ErrorCode::Conflict);
        }
        assert_eq!(store.all_keys(id(8)).unwrap().len(), 1);
    });
}
