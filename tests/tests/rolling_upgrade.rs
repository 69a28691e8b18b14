//! Servers of several versions on one database: an older CANIS goes on after what only adds, and with nothing else. What a newer
//! one would do to the schema is done by hand.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Postgres, Server, Site};
use std::time::{Duration, Instant};

/// What a test waits for comes long before.
const PATIENCE: Duration = Duration::from_secs(60);
/// Something that a newer CANIS might add, which this one can do without: a table, columns with defaults, an index.
const ADDED: &str = "CREATE TABLE from_the_future (id UUID PRIMARY KEY, what TEXT NOT NULL);
    ALTER TABLE kms_keys ADD COLUMN shade TEXT NOT NULL DEFAULT 'grey';
    ALTER TABLE tokens ADD COLUMN shade TEXT;
    CREATE INDEX idx_kms_keys_shade ON kms_keys (shade);";

fn note(postgres: &Postgres, step: i32, needs: &str) {
    drop(postgres.shows(&format!("INSERT INTO canis_schema (step, needs) VALUES ({step}, {needs})")));
}

fn until(what: &str, mut ask: impl FnMut() -> Finished, done: impl Fn(&Finished) -> bool) -> Finished {
    let end = Instant::now() + PATIENCE;
    loop {
        let answer = ask();
        if done(&answer) {
            return answer;
        }
        assert!(Instant::now() < end, "{what} did not come about: {}", answer.stderr);
    }
}

fn works(server: &Server, key: &str) {
    server.canis(&["key", "create", key, "--type", "aes256-gcm"], b"").ok();
    let sealed = server.canis(&["encrypt", key], b"text").ok();
    server.canis(&["key", "rotate", key], b"").ok();
    assert_eq!(server.canis(&["decrypt", key], &sealed.stdout).ok().stdout, b"text");
}

/// R65: after a step that says that older ones can go on, servers that run do so, and others can be started: one host after another is
/// given the newer CANIS.
#[test]
fn older_servers_go_on_after_what_only_adds() {
    let postgres = Postgres::start();
    let site = Site::in_database(&postgres);
    let running = site.start().unsealed();
    works(&running, "before");
    drop(postgres.shows(ADDED));
    note(&postgres, 99, "(SELECT max(step) FROM canis_schema)");
    works(&running, "while");
    let host = site.beside();
    let started = host.start().unsealed();
    works(&started, "after");
    running.canis(&["encrypt", "after"], b"x").ok();
    site.beside().canis("store verify").ok();
    assert_eq!(postgres.shows("SELECT DISTINCT shade FROM kms_keys"), "grey\n");
    assert_eq!(
        postgres.shows("SELECT max(step) FROM canis_schema"),
        "99\n",
        "an older one has changed the schema"
    );
}

/// R65: after any other step servers that run refuse everything, keys in memory too, none can be started, and each says why and what
/// to do. Nothing is written by them any more.
#[test]
fn older_servers_end_at_what_they_do_not_know() {
    let postgres = Postgres::start();
    let site = Site::in_database(&postgres);
    let running = site.start().unsealed();
    works(&running, "k");
    note(&postgres, 99, "99");
    let refused = |done: &Finished| done.stderr.contains("store_format");
    let before = postgres.shows("SELECT changes FROM moments");
    // A change finds it in its own transaction, whatever was noticed before.
    let change = running.canis(&["key", "rotate", "k"], b"");
    assert!(refused(&change), "{}", change.stderr);
    let used = until("a refusal", || running.canis(&["encrypt", "k"], b"x"), refused);
    for words in ["schema 99", "newer"] {
        assert!(
            change.stderr.contains(words) && used.stderr.contains(words),
            "{} {}",
            change.stderr,
            used.stderr
        );
    }
    let verified = site.beside().canis("store verify");
    assert!(refused(&verified), "{}", verified.stderr);
    assert_eq!(postgres.shows("SELECT changes FROM moments"), before, "an older one has changed the store");
    // Who gives the step up (a restored database) needs no restart.
    drop(postgres.shows("DELETE FROM canis_schema WHERE step = 99"));
    until("the key", || running.canis(&["encrypt", "k"], b"x"), |done| done.code == 0);
    works(&running, "later");
}

/// R62, R65: two servers of a newer CANIS that find an older schema at the same time make the missing steps once.
#[test]
fn an_older_schema_is_migrated_once() {
    let postgres = Postgres::start();
    let site = Site::in_database(&postgres);
    let server = site.start().unsealed();
    works(&server, "k");
    server.stop();
    let steps = postgres.shows("SELECT step, needs FROM canis_schema ORDER BY step");
    // As the step before last left it.
    drop(
        postgres.shows("ALTER TABLE canis_schema DROP COLUMN needs; DELETE FROM canis_schema WHERE step > 3"),
    );
    let hosts = [site.beside(), site.beside(), site.beside()];
    let servers: Vec<Server> = std::thread::scope(|scope| {
        let starting: Vec<_> = hosts.iter().map(|host| scope.spawn(|| host.start().unsealed())).collect();
        starting.into_iter().map(|server| server.join().unwrap()).collect()
    });
    for (n, server) in servers.iter().enumerate() {
        works(server, &format!("of-{n}"));
        server.canis(&["encrypt", "k"], b"x").ok();
    }
    assert_eq!(postgres.shows("SELECT step, needs FROM canis_schema ORDER BY step"), steps);
}
