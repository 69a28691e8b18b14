//! Receipts of changes that happen once, against a clock that the test moves.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod store;

use canis_core::{Once, VerifyStore, default_provider};
use canis_proto::message::CreateKey;
use canis_proto::{ErrorCode, Id, KeyType, OperationId, Result};
use std::sync::Arc;
use store::{Opened, TestClock, fresh_at};
use zeroize::Zeroizing;

const DAY: i64 = 24 * 60 * 60;

/// Creates a key once, by idempotency key `by`.
fn create(opened: &Opened, name: &str, by: &[u8]) -> Result<Vec<u8>> {
    let once = Once { key: by, operation: OperationId::CreateKey, arguments: name.as_bytes() };
    let answer = opened.core.once(&opened.caller, &once, |core| {
        let made = core.call(&opened.caller, CreateKey::new(name.to_owned(), KeyType::Ed25519))?;
        Ok(Zeroizing::new(made.id.into_bytes()))
    });
    answer.map(|answer| answer.to_vec())
}

fn receipts(opened: &Opened) -> i64 {
    let sql = rusqlite::Connection::open(opened.dir.path().join("canis.dat")).unwrap();
    sql.query_row("SELECT count(*) FROM idempotency", [], |row| row.get(0)).unwrap()
}

/// A receipt lasts a day; then its key is free, and it goes with the next one.
#[test]
fn a_day_later() {
    let clock = Arc::new(TestClock::at(1_000));
    let opened = fresh_at(default_provider(), clock.clone());
    let first = create(&opened, "a", b"key").unwrap();
    clock.advance(DAY - 1);
    assert_eq!(create(&opened, "a", b"key").unwrap(), first);
    assert_eq!(create(&opened, "b", b"key").map_err(|e| e.code), Err(ErrorCode::IdempotencyConflict));
    assert_eq!(receipts(&opened), 1);
    clock.advance(1);
    assert_eq!(create(&opened, "a", b"key").map_err(|e| e.code), Err(ErrorCode::KeyExists));
    assert_ne!(create(&opened, "b", b"key").unwrap(), first);
    assert_eq!(receipts(&opened), 1);
}

/// R64, R67: answers are sealed, and a receipt that was edited is refused, not believed.
#[test]
fn edited_receipts_are_refused() {
    for edit in [
        "UPDATE idempotency SET sealed = (SELECT sealed FROM idempotency ORDER BY id DESC LIMIT 1)",
        "UPDATE idempotency SET expires_at = expires_at + 1",
    ] {
        let opened = fresh_at(default_provider(), Arc::new(TestClock::at(1_000)));
        let ids = ["a", "b"].map(|name| create(&opened, name, name.as_bytes()).unwrap());
        let file = std::fs::read(opened.dir.path().join("canis.dat-wal")).unwrap();
        let inside = |answer: &Vec<u8>| file.windows(answer.len()).any(|window| window == answer);
        assert!(!ids.iter().any(inside), "an answer stands in clear");
        let sql = rusqlite::Connection::open(opened.dir.path().join("canis.dat")).unwrap();
        sql.execute_batch(edit).unwrap();
        let asked = ["a", "b"].map(|name| create(&opened, name, name.as_bytes()).map_err(|e| e.code));
        assert!(asked.contains(&Err(ErrorCode::StoreTampered)), "{edit}");
        let owner = opened.core.owner(Id::STORE).unwrap();
        let report = opened.core.call(&owner, VerifyStore).unwrap();
        assert!(report.refused.iter().any(|error| error.message.contains("idempotency")), "{edit}");
    }
}
