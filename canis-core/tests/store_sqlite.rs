//! What only a file can show: wrong files, newer formats, two processes' view, forks.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_core::store::sqlite::SqliteStore;
use canis_core::store::{Change, MetaRow, ObjectQuery, ObjectRow, Row, Store, TenantRow, UNSAID};
use canis_proto::{ErrorCode, Id};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

fn meta(name: &str, revision: u64) -> Change {
    Change::Put(Row::Meta(MetaRow { name: name.into(), revision, body: vec![1] }))
}

fn fresh() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("canis.dat");
    SqliteStore::create(&path, &[meta("store", 1)], None).unwrap();
    (dir, path)
}

fn refusal(path: &std::path::Path) -> canis_proto::Error {
    SqliteStore::open(path).map(|_| ()).unwrap_err()
}

#[test]
fn the_file_is_its_owners_only_and_made_once() {
    let (_dir, path) = fresh();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read(&path).unwrap();
    let again = SqliteStore::create(&path, &[], None).unwrap_err();
    assert_eq!(again.code, ErrorCode::StoreExists);
    assert_eq!(std::fs::read(&path).unwrap(), before, "the store was touched");
}

#[test]
fn what_is_no_store_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("canis.dat");
    for content in [&b"not a database, but long enough to look like one of some kind"[..], &[0; 5000], b""] {
        std::fs::write(&path, content).unwrap();
        let error = refusal(&path);
        assert_eq!(error.code, ErrorCode::StoreFormat, "{error}");
        assert!(error.message.contains("is no CANIS store"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), content);
    }
}

#[test]
fn a_newer_format_is_refused_with_both_numbers() {
    let (_dir, path) = fresh();
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 7).unwrap();
    let error = refusal(&path);
    assert_eq!(error.code, ErrorCode::StoreFormat);
    assert!(error.message.contains("format 7") && error.message.contains("format 1"), "{error}");
}

/// Another process's commit shows at once in the generation page.
#[test]
fn other_writers_are_seen_at_once() {
    let (_dir, path) = fresh();
    let (one, other) = (SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap());
    let generation = one.generation();
    other.commit(&[meta("b", 1)]).unwrap();
    assert!(one.generation() > generation);
    assert!(one.meta("b").unwrap().is_some());
}

/// A commit that the page does not tell of (its writer died, or had no page) is seen within a second.
#[test]
fn a_commit_without_the_page_is_seen_within_a_second() {
    let (_dir, path) = fresh();
    let begun = Instant::now();
    let store = SqliteStore::open(&path).unwrap();
    let generation = store.generation();
    let foreign = rusqlite::Connection::open(&path).unwrap();
    foreign.execute("INSERT INTO meta VALUES ('x', 1, x'00')", []).unwrap();
    store.poll().unwrap();
    let seen = store.generation();
    // The store's own clock is some milliseconds behind.
    let asked = begun.elapsed() > Duration::from_millis(900);
    assert!(seen == generation || asked, "the page alone cannot know");
    std::thread::sleep(Duration::from_millis(1100));
    store.poll().unwrap();
    assert!(store.generation() > generation);
}

/// Without a page every poll asks SQLite.
#[test]
fn without_the_page_every_poll_looks() {
    let (dir, path) = fresh();
    std::fs::create_dir(dir.path().join("canis.gen")).unwrap();
    let (one, other) = (SqliteStore::open(&path).unwrap(), SqliteStore::open(&path).unwrap());
    let generation = one.generation();
    one.poll().unwrap();
    assert_eq!(one.generation(), generation);
    other.commit(&[meta("b", 1)]).unwrap();
    one.poll().unwrap();
    assert!(one.generation() > generation);
}

#[test]
fn two_writers_lose_nothing() {
    let (_dir, path) = fresh();
    let writer = |who: &'static str| {
        let path = path.clone();
        std::thread::spawn(move || {
            let store = SqliteStore::open(&path).unwrap();
            for n in 0..50 {
                store.commit(&[meta(&format!("{who}{n}"), 1)]).unwrap();
            }
        })
    };
    let threads = [writer("a"), writer("b")];
    threads.into_iter().for_each(|t| t.join().unwrap());
    let store = SqliteStore::open(&path).unwrap();
    for n in 0..50 {
        assert!(
            store.meta(&format!("a{n}")).unwrap().is_some()
                && store.meta(&format!("b{n}")).unwrap().is_some()
        );
    }
}

/// Around a fork every file is let go of and calls wait.
#[test]
fn pause_lets_go_of_every_file() {
    let (_dir, path) = fresh();
    let store = Arc::new(SqliteStore::open(&path).unwrap());
    store.commit(&[meta("a", 1)]).unwrap();
    store.meta("a").unwrap();
    let open_files = || {
        let fds = std::fs::read_dir("/proc/self/fd").unwrap();
        let named = |fd: std::io::Result<std::fs::DirEntry>| std::fs::read_link(fd.unwrap().path());
        fds.filter_map(|fd| named(fd).ok())
            .filter(|target| target.starts_with(path.parent().unwrap()))
            .count()
    };
    assert!(open_files() > 0);
    store.pause();
    assert_eq!(open_files(), 0);
    let (waiting, done) = (Arc::clone(&store), std::sync::mpsc::channel());
    std::thread::spawn(move || done.0.send(waiting.meta("a").unwrap().is_some()).unwrap());
    assert!(done.1.recv_timeout(Duration::from_millis(200)).is_err(), "a call went on while paused");
    store.resume();
    assert!(done.1.recv_timeout(Duration::from_secs(10)).unwrap());
}

/// A store made before format 1 had all its columns opens, keeps its rows, and gains what is missing.
#[test]
fn an_older_store_grows() {
    let (_dir, path) = fresh();
    let tenant = Id([9; 16]);
    let object = |n: u8, family| ObjectRow {
        id: Id([n; 16]),
        tenant_id: tenant,
        class: 3,
        private: true,
        label: vec![n],
        cka_id: vec![n],
        key_id: None,
        version: 0,
        family,
        revision: 1,
        body: vec![1],
        seal: vec![],
    };
    let put = |row| Change::Put(Row::Object(row));
    let owner = TenantRow { id: tenant, name: "t".into(), slot: 0, revision: 1, sealed: vec![] };
    SqliteStore::open(&path).unwrap().commit(&[Change::Put(Row::Tenant(owner)), put(object(1, 2))]).unwrap();
    let older = rusqlite::Connection::open(&path).unwrap();
    older
        .execute_batch(
            "DROP INDEX idx_objects_family; DROP INDEX idx_kms_keys_due; DROP TABLE value_roles;
             ALTER TABLE objects DROP COLUMN family; ALTER TABLE kms_keys DROP COLUMN due_at;",
        )
        .unwrap();
    drop(older);
    for _ in 0..2 {
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!(store.object(Id([1; 16])).unwrap(), Some(object(1, UNSAID)));
        assert!(store.due_keys(None, 1, 1).unwrap().is_empty() && store.roles(tenant).unwrap().is_empty());
    }
    // A table alone may be what is missing.
    for table in ["value_roles", "key_uses"] {
        rusqlite::Connection::open(&path).unwrap().execute_batch(&format!("DROP TABLE {table}")).unwrap();
        drop(SqliteStore::open(&path).unwrap());
        let connection = rusqlite::Connection::open(&path).unwrap();
        assert!(connection.prepare(&format!("SELECT * FROM {table}")).is_ok());
    }
    let store = SqliteStore::open(&path).unwrap();
    store.commit(&[put(object(2, 2)), put(object(3, 3))]).unwrap();
    let of = |family| {
        let found = store.objects(&ObjectQuery { family: Some(family), ..ObjectQuery::all(tenant) }).unwrap();
        found.iter().map(|row| row.id.0[0]).collect::<Vec<_>>()
    };
    assert_eq!((of(2), of(3), of(4)), (vec![1, 2], vec![1, 3], vec![1]));
}
