//! The contract of the store seam for credentials and policies, run for every filling.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod rows;

use canis_core::store::{Change, PolicyRow, Row, TokenRow};
use canis_proto::ErrorCode;
use rows::{id, on_every_store, tenant};

/// Credentials are found by id and by tenant, and removed at the revision that was read.
#[test]
fn credentials_are_kept_and_removed() {
    on_every_store(|store| {
        let token = |n, tenant| TokenRow { id: id(n), tenant_id: id(tenant), revision: 1, sealed: vec![n] };
        let put = |row: TokenRow| store.commit(&[Change::Put(Row::Token(row))]);
        store.commit(&[tenant(8), tenant(9)]).unwrap();
        put(token(1, 8)).unwrap();
        put(token(2, 8)).unwrap();
        put(token(3, 9)).unwrap();
        assert_eq!(put(token(3, 8)).unwrap_err().code, ErrorCode::Conflict, "an id is one tenant's");
        assert_eq!(store.tokens(id(8)).unwrap().len(), 2);
        assert_eq!(store.commit(&[Change::RemoveToken(id(1), 2)]).unwrap_err().code, ErrorCode::Conflict);
        store.commit(&[Change::RemoveToken(id(1), 1)]).unwrap();
        assert_eq!(store.commit(&[Change::RemoveToken(id(1), 1)]).unwrap_err().code, ErrorCode::Conflict);
        assert_eq!((store.token(id(1)).unwrap(), store.tokens(id(8)).unwrap()), (None, vec![token(2, 8)]));
        assert_eq!(store.token(id(3)).unwrap(), Some(token(3, 9)));
    });
}

/// A policy's name is unique among its tenant's of its kind; it is found by it, and goes with the tenant.
#[test]
fn policies_are_found_by_name() {
    on_every_store(|store| {
        let policy = |n, owner, kind, name: &str| PolicyRow {
            id: id(n),
            tenant_id: id(owner),
            kind,
            name: name.to_owned(),
            revision: 1,
            sealed: vec![n],
        };
        let put = |row: PolicyRow| store.commit(&[Change::Put(Row::Policy(row))]);
        store.commit(&[tenant(8), tenant(9)]).unwrap();
        for row in [policy(1, 8, 1, "b"), policy(2, 8, 2, "b"), policy(3, 8, 1, "a"), policy(4, 9, 1, "b")] {
            put(row).unwrap();
        }
        assert_eq!(put(policy(5, 8, 1, "b")).unwrap_err().code, ErrorCode::Conflict, "the name is taken");
        assert_eq!(store.policy(id(8), 1, "b").unwrap(), Some(policy(1, 8, 1, "b")));
        assert_eq!(store.policy(id(8), 1, "c").unwrap(), None);
        let names = |tenant| -> Vec<(u8, String)> {
            store.policies(id(tenant)).unwrap().into_iter().map(|row| (row.kind, row.name)).collect()
        };
        assert_eq!(names(8), [(1, "a".into()), (1, "b".into()), (2, "b".into())]);
        let second = PolicyRow { revision: 2, sealed: vec![9], ..policy(1, 8, 1, "b") };
        put(second.clone()).unwrap();
        assert_eq!(put(second).unwrap_err().code, ErrorCode::Conflict);
        assert_eq!(store.commit(&[Change::RemovePolicy(id(1), 1)]).unwrap_err().code, ErrorCode::Conflict);
        store.commit(&[Change::RemovePolicy(id(1), 2)]).unwrap();
        store.commit(&[Change::WipeTenant(id(8))]).unwrap();
        assert_eq!(names(8), [(1, "a".into()), (2, "b".into())], "a wiped token keeps them");
        store.commit(&[Change::RemoveTenant(id(8), 1)]).unwrap();
        assert_eq!((names(8).len(), names(9).len()), (0, 1));
    });
}
