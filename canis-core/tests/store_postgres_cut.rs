//! The store in PostgreSQL when the way to the database stands still or breaks, at the worst moments.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_core::datadir::StoreConfig;
use canis_core::store::postgres::PostgresStore;
use canis_core::store::{Change, MetaRow, Row, Store};
use canis_proto::ErrorCode;
use canis_tests::{Gate, Passage, Postgres};
use std::time::{Duration, Instant};

/// What a test waits for comes long before.
const PATIENCE: Duration = Duration::from_secs(60);

struct Gated {
    gate: Gate,
    /// Through the gate.
    store: PostgresStore,
    /// Beside it.
    beside: PostgresStore,
    postgres: Postgres,
}

fn gated(connections: Option<u16>) -> Gated {
    let postgres = Postgres::with(&["max_prepared_transactions=1"]);
    let config = StoreConfig { url: postgres.url(), ..StoreConfig::default() };
    PostgresStore::create(&config, &[], None).unwrap();
    let beside = PostgresStore::open(&config, postgres.folder()).unwrap();
    let gate = Gate::before(&postgres);
    let connections = connections.and_then(|most| most.try_into().ok());
    let config = StoreConfig { url: gate.url(), connections, ..StoreConfig::default() };
    let store = PostgresStore::open(&config, postgres.folder()).unwrap();
    Gated { gate, store, beside, postgres }
}

fn meta(name: &str, revision: u64, body: &[u8]) -> Change {
    Change::Put(Row::Meta(MetaRow { name: name.into(), revision, body: body.to_vec() }))
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(seen) = look() {
            return seen;
        }
        assert!(Instant::now() < end, "{what} did not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A COMMIT whose answer is lost has an end that can be asked for: it was made, and that is what the caller hears.
#[test]
fn the_answer_to_a_commit_is_lost() {
    let gated = gated(None);
    for n in 1..=5 {
        gated.gate.set(Passage::LosesCommit { then_shut: false });
        gated.store.commit(&[meta("n", n, b"x")]).unwrap();
        assert_eq!((gated.gate.lost(), gated.beside.meta("n").unwrap().unwrap().revision), (n as usize, n));
    }
    // Nothing is guessed: where nobody can be asked, that is said. The change was made here.
    gated.gate.set(Passage::LosesCommit { then_shut: true });
    let unknown = gated.store.commit(&[meta("n", 6, b"x")]).unwrap_err();
    assert_eq!(unknown.code, ErrorCode::StoreUnavailable);
    assert!(unknown.message.contains("is not known"), "{unknown}");
    assert_eq!(gated.beside.meta("n").unwrap().unwrap().revision, 6);
    gated.gate.set(Passage::Open);
    eventually("the store", || gated.store.commit(&[meta("n", 7, b"x")]).ok());
}

/// A transaction that was given up half-way, for the database stood still, is not ended by whoever has the connection
/// next: of what it had changed nothing is there.
#[test]
fn what_was_given_up_is_not_committed_by_the_next() {
    let gated = gated(Some(3));
    gated.store.commit(&[meta("n", 1, b"before")]).unwrap();
    // A row that another transaction has put, so that the writer waits in the midst of its changes.
    let holds =
        "BEGIN; INSERT INTO meta (name, revision, body) VALUES ('half', 1, ''); PREPARE TRANSACTION 'held'";
    drop(gated.postgres.shows(holds));
    let given_up = std::thread::scope(|scope| {
        let changing = scope.spawn(|| gated.store.commit(&[meta("n", 2, b"half"), meta("half", 1, b"")]));
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted";
        eventually("the waiting writer", || (gated.postgres.shows(waiting) == "1\n").then_some(()));
        gated.gate.set(Passage::Stalled);
        changing.join().unwrap().unwrap_err()
    });
    drop(gated.postgres.shows("ROLLBACK PREPARED 'held'"));
    assert_eq!(given_up.code, ErrorCode::StoreUnavailable);
    gated.gate.set(Passage::Open);
    eventually("the store", || gated.store.commit(&[meta("other", 1, b"")]).ok());
    assert_eq!(gated.beside.meta("n").unwrap().unwrap().body, b"before");
    assert_eq!(gated.beside.meta("half").unwrap(), None);
}

/// Who asks while the database stands still hears so soon, however many ask; and all goes on when it does.
#[test]
fn a_database_that_stands_still_is_not_waited_for() {
    let gated = gated(Some(3));
    gated.store.commit(&[meta("n", 1, b"")]).unwrap();
    gated.gate.set(Passage::Stalled);
    for _ in 0..2 {
        std::thread::scope(|scope| {
            for _ in 0..20 {
                let asked = scope.spawn(|| gated.store.meta("n"));
                let changed = scope.spawn(|| gated.store.commit(&[meta("n", 2, b"")]));
                scope.spawn(move || {
                    assert_eq!(asked.join().unwrap().unwrap_err().code, ErrorCode::StoreUnavailable);
                    assert_eq!(changed.join().unwrap().unwrap_err().code, ErrorCode::StoreUnavailable);
                });
            }
        });
    }
    // Once that is known, nobody waits at all.
    let begun = Instant::now();
    (0..200).for_each(|_| drop(gated.store.meta("n").unwrap_err()));
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    gated.gate.set(Passage::Open);
    eventually("the store", || gated.store.commit(&[meta("n", 2, b"")]).ok());
    assert_eq!(gated.beside.meta("n").unwrap().unwrap().revision, 2);
}

/// Connections are cut again and again under writers: each change that was acknowledged is there, each that was refused
/// is not, and one of which nobody knows is one or the other.
#[test]
fn cut_under_writers() {
    let gated = gated(None);
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let store = &gated.store;
                scope.spawn(move || {
                    let mut said = Vec::new();
                    for n in 0..25 {
                        let name = format!("w{writer}/{n}");
                        let done = store.commit(&[meta(&name, 1, b"")]);
                        let unknown = done.as_ref().is_err_and(|e| e.message.contains("is not known"));
                        said.push((name, done.is_ok(), unknown));
                    }
                    said
                })
            })
            .collect();
        while !writers.iter().all(|writer| writer.is_finished()) {
            gated.gate.cut();
            std::thread::sleep(Duration::from_millis(30));
        }
        let said: Vec<_> = writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect();
        for (name, done, unknown) in said {
            let there = gated.beside.meta(&name).unwrap().is_some();
            assert!(there == done || unknown, "{name}: acknowledged {done}, there {there}");
        }
    });
}
