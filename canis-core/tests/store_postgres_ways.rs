//! The ways to a database: by TLS, and through a pooler.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_core::datadir::StoreConfig;
use canis_core::store::postgres::PostgresStore;
use canis_core::store::{Change, MetaRow, Row, Store};
use canis_proto::ErrorCode;
use canis_tests::{Gate, PgBouncer, Postgres, run};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// What a test waits for comes long before.
const PATIENCE: Duration = Duration::from_secs(60);

fn meta(name: &str, revision: u64) -> Change {
    Change::Put(Row::Meta(MetaRow { name: name.into(), revision, body: Vec::new() }))
}

/// A CA, and a certificate for `localhost` that it has signed: `ca.pem`, `server.pem`, `server.key`.
fn authority(folder: &Path) -> [PathBuf; 3] {
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 \\
                    -subj /CN=database-ca -addext basicConstraints=critical,CA:TRUE &&
                  openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout server.key -out server.csr -subj /CN=db &&
                  printf 'subjectAltName=DNS:localhost\\nbasicConstraints=CA:FALSE' > ext &&
                  openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out server.pem";
    run(Command::new("sh").args(["-c", script]).current_dir(folder), b"").ok();
    ["ca.pem", "server.pem", "server.key"].map(|name| folder.join(name))
}

/// R62: by TLS, with the database's certificate and its name checked against a CA of its own; a wrong name, another CA and
/// a server without TLS are refused before anything is asked.
#[test]
fn by_tls_to_the_right_server_only() {
    let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let [ca, certificate, key] = authority(folder.path());
    let [other_ca, ..] = authority(other.path());
    let postgres = Postgres::with_tls(&certificate, &key);
    let to = |host: &str, words: &str, ca: &Path| StoreConfig {
        url: format!("postgres://canis@{host}:{}/postgres{words}", postgres.port()),
        ca: Some(ca.to_owned()),
        ..StoreConfig::default()
    };
    PostgresStore::create(&to("localhost", "", &ca), &[meta("n", 1)], None).unwrap();
    for words in ["", "?sslmode=require", "?sslmode=verify-full", "?sslmode=prefer"] {
        let store = PostgresStore::open(&to("localhost", words, &ca), folder.path()).unwrap();
        assert_eq!(store.meta("n").unwrap().unwrap().revision, 1);
    }
    let encrypted = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE NOT ssl AND client_port > 0";
    assert_eq!(postgres.shows(encrypted), "0\n");
    let plain = Postgres::start();
    let gate = Gate::before(&plain);
    let without = gate.url().replace("sslmode=disable", "sslmode=require");
    let refused = [
        ("another CA", to("localhost", "", &other_ca)),
        ("another name", to("127.0.0.1", "", &ca)),
        ("another CA, whatever the URL says", to("localhost", "?sslmode=prefer", &other_ca)),
        ("no TLS", StoreConfig { url: without, ca: Some(ca.clone()), ..StoreConfig::default() }),
    ];
    for (what, config) in refused {
        let error = PostgresStore::open(&config, folder.path()).map(drop).unwrap_err();
        assert_eq!(error.code, ErrorCode::StoreUnavailable, "{what}: {error}");
        assert!(error.message.contains("TLS") || error.message.contains("certificate"), "{what}: {error}");
    }
}

/// R62: through a PgBouncer that pools by transactions: two servers with fewer connections to the database than they
/// have to the pooler change, read and scan, have turns, and notice what the other has changed. LISTEN hears nothing there.
#[test]
fn through_a_pooler() {
    let postgres = Postgres::start();
    let pooler = PgBouncer::before(&postgres, 5);
    let config = StoreConfig { url: pooler.url(), ..StoreConfig::default() };
    PostgresStore::create(&config, &[], None).unwrap();
    let stores = [(); 2].map(|()| PostgresStore::open(&config, postgres.folder()).unwrap());
    std::thread::scope(|scope| {
        for (n, store) in stores.iter().enumerate() {
            for thread in 0..4 {
                scope.spawn(move || {
                    for round in 1..=10 {
                        let name = format!("{n}/{thread}");
                        store.commit(&[meta(&name, round)]).unwrap();
                        assert_eq!(store.meta(&name).unwrap().unwrap().revision, round);
                    }
                });
            }
        }
    });
    let [first, second] = &stores;
    let mut rows = 0;
    first
        .scan(&mut |_, _| {
            rows += 1;
            Ok(())
        })
        .unwrap();
    assert_eq!(rows, 8);
    let turn = first.due_turn().unwrap();
    assert!(turn.is_some() && second.due_turn().unwrap().is_none());
    drop(turn);
    let begun = Instant::now();
    while second.due_turn().unwrap().is_none() {
        assert!(begun.elapsed() < PATIENCE, "the turn did not come back");
    }
    for revision in 11..14 {
        let before = second.generation();
        first.commit(&[meta("0/0", revision)]).unwrap();
        let begun = Instant::now();
        while second.generation() == before {
            assert!(begun.elapsed() < PATIENCE, "it was not noticed");
            std::thread::sleep(Duration::from_millis(5));
        }
        println!("noticed after {:?}", begun.elapsed());
    }
    assert_eq!(postgres.shows("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0\n");
}
