//! A store in PostgreSQL that is left while somebody waits to write to it.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod rows;

use canis_core::datadir::StoreConfig;
use canis_core::store::postgres::PostgresStore;
use canis_core::store::{Movable, MoveRow, Store, UseRow};
use canis_proto::ErrorCode;
use rows::{database, id};
use std::sync::mpsc::channel;
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

/// What is written beside the keys, as counts of uses are, waits for the hand-over, and is refused afterwards: nothing comes
/// into a store that was left.
#[test]
fn notes_wait_for_the_hand_over_and_are_refused() {
    let (postgres, mover) = database();
    let config = StoreConfig { url: postgres.url(), ..StoreConfig::default() };
    let server = PostgresStore::open(&config, postgres.folder()).unwrap();
    let leaving = MoveRow { id: id(1), store: id(2), state: "leaving".into(), ..MoveRow::default() };
    mover.set_mark(None, Some(&leaving)).unwrap();
    let (begun, has_begun) = channel();
    let (go_on, may_go_on) = channel();
    scope(|scope| {
        let (mover, leaving) = (&mover, &leaving);
        let left = scope.spawn(move || {
            mover.leave(leaving, &mut |_, _| {
                begun.send(()).unwrap();
                may_go_on.recv().unwrap();
                Ok(())
            })
        });
        has_begun.recv().unwrap();
        let counted = scope
            .spawn(|| server.count_uses(&[UseRow { key_id: id(3), version: 1, uses: 1, last_used_at: 1 }]));
        let end = Instant::now() + Duration::from_secs(60);
        while postgres.shows("SELECT count(*) FROM pg_locks WHERE NOT granted") != "1\n" {
            assert!(Instant::now() < end, "nobody waits");
            sleep(Duration::from_millis(5));
        }
        go_on.send(()).unwrap();
        left.join().unwrap().unwrap();
        assert_eq!(counted.join().unwrap().unwrap_err().code, ErrorCode::StoreMoved);
    });
    assert_eq!(postgres.shows("SELECT count(*) FROM moves WHERE state = 'left'"), "1\n");
}
