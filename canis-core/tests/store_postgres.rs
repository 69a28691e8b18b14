//! What only the store in PostgreSQL promises.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod rows;

use canis_core::datadir::StoreConfig;
use canis_core::store::postgres::PostgresStore;
use canis_core::store::{
    AccumulatorRow, AuditHeadRow, AuditRows, Balance, Change, KeyRow, Ledger, MetaRow, Page, PinRow, Row,
    Store, TokenRow,
};
use canis_proto::{ErrorCode, Id, Result};
use canis_tests::Postgres;
use rows::{database, id, key, tenant, version};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

fn config(postgres: &Postgres) -> StoreConfig {
    StoreConfig { url: postgres.url(), ..StoreConfig::default() }
}

fn open(postgres: &Postgres) -> PostgresStore {
    PostgresStore::open(&config(postgres), postgres.folder()).unwrap()
}

fn refused(config: &StoreConfig) -> canis_proto::Error {
    PostgresStore::open(config, &std::env::temp_dir()).map(drop).unwrap_err()
}

fn meta(name: &str, revision: u64, body: &[u8]) -> Change {
    Change::Put(Row::Meta(MetaRow { name: name.into(), revision, body: body.to_vec() }))
}

/// The tables and the index as the key engine's design gives them.
const GIVEN: &str = "
CREATE TABLE kms_keys (
    id UUID PRIMARY KEY, tenant_id UUID NOT NULL, name TEXT NOT NULL, key_type TEXT NOT NULL,
    current_version INT NOT NULL DEFAULT 1, min_decryption_version INT NOT NULL DEFAULT 1,
    min_encryption_version INT NOT NULL DEFAULT 0, deletion_allowed BOOLEAN NOT NULL DEFAULT true,
    exportable BOOLEAN NOT NULL DEFAULT false, created_at TIMESTAMPTZ NOT NULL, updated_at TIMESTAMPTZ NOT NULL,
    deleted_at TIMESTAMPTZ, UNIQUE(tenant_id, name));
CREATE TABLE kms_key_versions (
    id UUID PRIMARY KEY, key_id UUID REFERENCES kms_keys(id), version INT NOT NULL,
    encrypted_material BYTEA NOT NULL, created_at TIMESTAMPTZ NOT NULL, UNIQUE(key_id, version));
CREATE INDEX idx_kms_keys_name ON kms_keys(tenant_id, name);";

/// R62: `\d` of the store's tables shows all that it shows of the given ones.
#[test]
fn the_tables_are_those_that_were_given() {
    let (ours, _store) = database();
    let given = Postgres::start();
    drop(given.shows(GIVEN));
    for table in ["kms_keys", "kms_key_versions"] {
        let described = |postgres: &Postgres| postgres.shows(&format!("\\d {table}"));
        let (ours, given) = (described(&ours), described(&given));
        assert!(given.lines().count() > 5, "{given}");
        for line in given.lines() {
            assert!(ours.lines().any(|our| our == line), "{line:?} is not in\n{ours}");
        }
        // The columns come first, and in that order.
        let columns = |text: &str| -> Vec<String> {
            text.lines().filter(|line| line.matches('|').count() == 4).map(str::to_owned).collect()
        };
        assert!(columns(&ours).starts_with(&columns(&given)), "{ours}");
    }
}

/// The given columns hold what the rows hold, readable by whoever may look.
#[test]
fn columns_are_readable() {
    let (postgres, store) = database();
    let row = KeyRow { created_at: 1_700_000_000_123_456, ..key(1, id(9), "a/b") };
    store.commit(&[tenant(9), Change::Put(Row::Key(row)), version(2, id(1), 1)]).unwrap();
    let found = postgres.shows(
        "SET timezone = 'UTC'; SELECT id, tenant_id, name, key_type, current_version, deletion_allowed, created_at, deleted_at IS NULL
         FROM kms_keys; SELECT key_id, version, encrypted_material FROM kms_key_versions",
    );
    let uuid = |digits: &str| format!("{0}{0}{0}{0}-{0}{0}-{0}{0}-{0}{0}-{0}{0}{0}{0}{0}{0}", digits);
    let expected = format!(
        "{}|{}|a/b|aes256-gcm|1|t|2023-11-14 22:13:20.123456+00|t\n{}|1|\\x02\n",
        uuid("01"),
        uuid("09"),
        uuid("01")
    );
    assert_eq!(found, expected);
}

#[test]
fn a_store_is_made_once_and_not_over_a_newer_one() {
    let (postgres, store) = database();
    let again = PostgresStore::create(&config(&postgres), &[], None).unwrap_err();
    assert_eq!(again.code, ErrorCode::StoreExists);
    // Who is older leaves a newer schema alone.
    drop(postgres.shows("INSERT INTO canis_schema (step) VALUES (99)"));
    let newer = refused(&config(&postgres));
    assert_eq!(newer.code, ErrorCode::StoreFormat);
    assert!(newer.message.contains("schema 99"), "{newer}");
    drop(store);
    // And a database without a store is none.
    drop(postgres.shows("CREATE DATABASE empty"));
    let empty = StoreConfig { url: postgres.url_of("empty"), ..StoreConfig::default() };
    assert_eq!(refused(&empty).code, ErrorCode::StoreUnavailable);
    assert!(refused(&empty).message.contains("canis init"));
}

/// A schema of before is brought up to date when it is opened, by several servers at once, too.
#[test]
fn an_older_schema_is_migrated() {
    let (postgres, store) = database();
    store.commit(&[meta("kept", 1, b"x")]).unwrap();
    drop(store);
    // As the first step alone left it: a database that was begun with the given tables.
    let tables = "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE TABLE canis_schema (step INT PRIMARY KEY, made_at TIMESTAMPTZ NOT NULL DEFAULT now()); INSERT INTO canis_schema (step) VALUES (1);";
    drop(postgres.shows(&format!("{tables} {GIVEN}")));
    std::thread::scope(|scope| {
        let both = [scope.spawn(|| open(&postgres)), scope.spawn(|| open(&postgres))];
        for store in both {
            assert_eq!(store.join().unwrap().meta("kept").unwrap(), None);
        }
    });
    assert_eq!(
        postgres.shows("SELECT string_agg(step::text, ',' ORDER BY step) FROM canis_schema"),
        "1,2,3,4\n"
    );
}

/// No password gets into places that others read, and nothing of one into messages.
#[test]
fn passwords_stand_in_files() {
    let url = "postgres://canis:hunter2@/db?host=/nowhere".to_owned();
    let error = refused(&StoreConfig { url, ..StoreConfig::default() });
    assert_eq!(error.code, ErrorCode::InvalidArgument);
    assert!(error.message.contains("password_file") && !error.message.contains("hunter2"), "{error}");
    let nonsense = "postgres://canis:hunter2@/db?port=hunter2".to_owned();
    let error = refused(&StoreConfig { url: nonsense, ..StoreConfig::default() });
    assert!(error.code == ErrorCode::InvalidArgument && !error.message.contains("hunter2"), "{error}");
}

/// Over a network nothing is said in clear unless the URL asks for it: a server without TLS is not spoken to.
#[test]
fn a_network_needs_tls() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut peer, _) = listener.accept().unwrap();
        let mut asked = [0; 8];
        peer.read_exact(&mut asked).unwrap();
        // SSLRequest; "no" is answered, as an attacker in between would.
        assert_eq!(asked, [0, 0, 0, 8, 4, 210, 22, 47]);
        peer.write_all(b"N").unwrap();
        let mut rest = Vec::new();
        peer.read_to_end(&mut rest).unwrap();
        rest
    });
    let url = format!("postgres://canis@127.0.0.1:{port}/db?sslmode=prefer");
    assert_eq!(refused(&StoreConfig { url, ..StoreConfig::default() }).code, ErrorCode::StoreUnavailable);
    assert_eq!(heard.join().unwrap(), b"", "the user's name was sent in clear");
}

/// Changes of many writers over several servers: none is lost, none is made twice.
#[test]
fn writers_of_several_servers() {
    let (postgres, first) = database();
    let second = open(&postgres);
    first.commit(&[meta("n", 1, &0u32.to_be_bytes())]).unwrap();
    std::thread::scope(|scope| {
        for store in [&first, &second, &first, &second] {
            scope.spawn(move || {
                let mut done = 0;
                while done < 10 {
                    let row = store.meta("n").unwrap().unwrap();
                    let n = u32::from_be_bytes(row.body.as_slice().try_into().unwrap()) + 1;
                    match store.commit(&[meta("n", row.revision + 1, &n.to_be_bytes())]) {
                        Ok(()) => done += 1,
                        Err(error) => assert_eq!(error.code, ErrorCode::Conflict, "{error}"),
                    }
                }
            });
        }
    });
    let row = first.meta("n").unwrap().unwrap();
    assert_eq!((row.revision, row.body), (41, 40u32.to_be_bytes().to_vec()));
}

/// Within a second, and more on a machine that does much else besides.
fn moves_soon(what: impl Fn() -> u64, before: u64) {
    let begun = Instant::now();
    while what() == before {
        assert!(begun.elapsed() < Duration::from_secs(5), "it was not noticed");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// What one server changes the others notice within a second, credentials apart from the rest; also where NOTIFY is
/// lost.
#[test]
fn changes_are_noticed() {
    let (postgres, first) = database();
    let second = open(&postgres);
    let (generation, credentials) = (second.generation(), second.credentials());
    first.commit(&[tenant(9)]).unwrap();
    moves_soon(|| second.credentials(), credentials);
    moves_soon(|| second.generation(), generation);
    let token =
        |n| Change::Put(Row::Token(TokenRow { id: id(n), tenant_id: id(9), revision: 1, sealed: vec![n] }));
    let (generation, credentials) = (second.generation(), second.credentials());
    let own = first.credentials();
    first.commit(&[Change::AtMostKeys(id(9), 3), Change::Put(Row::Key(key(1, id(9), "k")))]).unwrap();
    moves_soon(|| second.generation(), generation);
    assert_eq!(second.credentials(), credentials, "a key is no credential, where they are limited either");
    let generation = second.generation();
    let pin = PinRow { id: id(8), tenant_id: id(9), role: 1, revision: 1, sealed: vec![1] };
    first.commit(&[Change::Put(Row::Pin(pin))]).unwrap();
    moves_soon(|| second.generation(), generation);
    assert_eq!(second.credentials(), credentials, "who logs in changes nobody's credential");
    assert_eq!(first.credentials(), own, "nor for who made it");
    // A commit that a busy machine takes long over is taken for another's: not each time.
    let known_already = (1..=3).any(|n| {
        let (own, credentials) = (first.credentials(), second.credentials());
        first.commit(&[token(n)]).unwrap();
        moves_soon(|| second.credentials(), credentials);
        first.credentials() == own
    });
    assert!(known_already, "own changes are no news");
    // Whoever listens is cut off, again and again, and nothing is said to him.
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query = 'LISTEN canis'";
    let credentials = second.credentials();
    drop(postgres.shows(cut));
    first.commit(&[token(4)]).unwrap();
    drop(postgres.shows(cut));
    moves_soon(|| second.credentials(), credentials);
}

/// A turn at a PIN is one server's at a time.
#[test]
fn one_server_has_the_turn() {
    let (postgres, first) = database();
    let second = open(&postgres);
    let held = first.pin_turn().unwrap();
    let begun = Instant::now();
    std::thread::scope(|scope| {
        scope.spawn(|| drop(second.pin_turn().unwrap()));
        std::thread::sleep(Duration::from_millis(300));
        drop(held);
    });
    assert!(begun.elapsed() >= Duration::from_millis(300));
    // And it comes back from who was cut off.
    let held = first.pin_turn().unwrap();
    drop(postgres.shows("SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'"));
    drop(second.pin_turn().unwrap());
    drop(held);
    drop(first.pin_turn().unwrap());
}

/// Nothing of a session is needed from one transaction to the next: no statement is prepared under a name, no lock is
/// the session's, no setting stays.
#[test]
fn sessions_remember_nothing() {
    let postgres = Postgres::with(&["log_statement=all"]);
    PostgresStore::create(&config(&postgres), &[], None).unwrap();
    let store = open(&postgres);
    store.commit(&[tenant(9), Change::Put(Row::Key(key(1, id(9), "k")))]).unwrap();
    store.scan(&mut |_, _| Ok(())).unwrap();
    drop(store.pin_turn().unwrap());
    assert_eq!(store.all_keys(id(9)).unwrap().len(), 1);
    let log = postgres.log();
    assert!(log.contains("execute <unnamed>"), "{log}");
    assert!(!log.contains("execute s"), "a statement was prepared under a name: {log}");
    assert_eq!(postgres.shows("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'"), "0\n");
}

/// The database is started anew under a store that is open: it goes on without being opened again, and what was
/// acknowledged is there.
#[test]
fn a_database_that_comes_back() {
    let (mut postgres, store) = database();
    let store = Arc::new(store);
    store.commit(&[meta("n", 1, b"1")]).unwrap();
    for (hard, revision) in [(true, 2), (false, 3)] {
        postgres.stop(hard);
        let away = store.meta("n").unwrap_err();
        assert_eq!(away.code, ErrorCode::StoreUnavailable);
        assert_eq!(
            store.commit(&[meta("n", revision, b"no")]).unwrap_err().code,
            ErrorCode::StoreUnavailable
        );
        postgres.go_on();
        assert_eq!(store.meta("n").unwrap().unwrap().revision, revision - 1);
        store.commit(&[meta("n", revision, b"yes")]).unwrap();
    }
    assert_eq!(store.meta("n").unwrap().unwrap().body, b"yes");
}

/// Many try PINs at once, and each needs another connection while it has the turn: there is one, however few there are.
#[test]
fn tries_of_pins_leave_connections() {
    let (postgres, _store) = database();
    let with =
        |connections: u16| StoreConfig { connections: connections.try_into().ok(), ..config(&postgres) };
    let store = PostgresStore::open(&with(3), postgres.folder()).unwrap();
    std::thread::scope(|scope| {
        for n in 0..12 {
            let store = &store;
            scope.spawn(move || {
                let turn = store.pin_turn().unwrap();
                store.commit(&[meta(&format!("n{n}"), 1, b"")]).unwrap();
                drop(turn);
            });
        }
    });
    assert_eq!(store.all_meta().unwrap().len(), 12);
    let too_few = refused(&with(2));
    assert!(too_few.code == ErrorCode::InvalidArgument && too_few.message.contains("3 or more"), "{too_few}");
}

/// A database that may forget what it has acknowledged keeps what is promised: changes, and how far the audit log goes.
#[test]
fn what_is_promised_is_durable() {
    let postgres = Postgres::with(&["synchronous_commit=off"]);
    PostgresStore::create(&config(&postgres), &[], None).unwrap();
    let store = open(&postgres);
    drop(postgres.shows(
        "CREATE TABLE seen (place TEXT, setting TEXT);
         CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO seen VALUES (TG_TABLE_NAME, current_setting('synchronous_commit')); RETURN NEW; END $$;
         CREATE TRIGGER see BEFORE INSERT ON meta FOR EACH ROW EXECUTE FUNCTION see();
         CREATE TRIGGER see BEFORE INSERT ON audit_heads FOR EACH ROW EXECUTE FUNCTION see()",
    ));
    store.commit(&[meta("n", 1, b"")]).unwrap();
    store.seal_audit(&AuditHeadRow { writer: id(1), ended: false, sealed: vec![1] }, &[]).unwrap();
    let seen = postgres.shows("SELECT place, setting FROM seen ORDER BY place");
    assert_eq!(seen, "audit_heads|on\nmeta|on\n");
}

/// A ledger that only notes how many rows of each scope went.
#[derive(Default)]
struct Gone(Mutex<BTreeMap<Id, usize>>);

struct Noting<'a>(&'a Gone);

impl Ledger for Gone {
    fn page(&self) -> Box<dyn Page + '_> {
        Box::new(Noting(self))
    }
}

impl Page for Noting<'_> {
    fn gone(&mut self, scope: Id, _: &Row) {
        *self.0.0.lock().unwrap().entry(scope).or_default() += 1;
    }

    fn came(&mut self, _: Id, _: &Row) {}

    fn start_over(&mut self) {}

    fn balance(&mut self, _: &mut dyn FnMut(Id) -> Result<Option<AccumulatorRow>>) -> Result<Vec<Balance>> {
        Ok(Vec::new())
    }
}

/// What wipes a tenant, or writes many versions of a key, asks the database no more often for many rows than for few.
#[test]
fn many_rows_are_no_more_questions() {
    const VERSIONS: u8 = 100;
    let postgres = Postgres::with(&["log_statement=all"]);
    PostgresStore::create(&config(&postgres), &[], None).unwrap();
    let store = open(&postgres);
    let asked = || postgres.log().matches("execute <unnamed>").count();
    let gone = Gone::default();
    store.commit(&[tenant(9), Change::Put(Row::Key(key(1, id(9), "k")))]).unwrap();
    let versions: Vec<_> = (1..=VERSIONS).map(|n| version(n, id(1), n.into())).collect();
    let before = asked();
    store.commit_by(&versions, Some(&gone)).unwrap();
    let writing = asked() - before;
    assert!(writing < usize::from(VERSIONS) + 10, "{writing}");
    let before = asked();
    store.commit_by(&[Change::WipeTenant(id(9))], Some(&gone)).unwrap();
    let wiping = asked() - before;
    assert!(wiping < 30, "{wiping}");
    let gone = gone.0.lock().unwrap().clone();
    assert_eq!(gone, BTreeMap::from([(id(9), usize::from(VERSIONS) + 1)]));
}
