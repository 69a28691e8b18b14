//! `canis backup restore` into PostgreSQL: an empty database becomes the whole store or stays empty, and one that is there gets
//! back what it lost, while servers serve.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod moving;

use canis_tests::{Finished, KillAt, Postgres, Server, Site, SoftHsm, run};
use moving::{filled, name_database, private_file};
use std::process::Command;
use std::time::{Duration, Instant};

/// What a test waits for comes long before.
const PATIENCE: Duration = Duration::from_secs(60);
const LOSE: &str = "SET session_replication_role = replica;
    DELETE FROM kms_key_versions WHERE key_id = (SELECT id FROM kms_keys WHERE name = 'lost');
    DELETE FROM objects WHERE key_id = (SELECT id FROM kms_keys WHERE name = 'lost');
    DELETE FROM kms_keys WHERE name = 'lost';";

/// A backup of a stopped store, for the root of this kind.
fn backed_up(site: &Site, root: &str) -> String {
    let file = site.file("canis.backup").display().to_string();
    site.canis(&format!("backup create --to {file} --slot {root}")).ok();
    file
}

/// Not run yet: `canis backup restore` of a file, as this host.
fn restoring(host: &Site, file: &str, more: &str) -> Command {
    host.local(&format!("backup restore {file} {more}"))
}

fn restore(host: &Site, file: &str, more: &str) -> Finished {
    run(&mut restoring(host, file, more), b"")
}

fn tables(postgres: &Postgres) -> String {
    postgres.shows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").trim().to_owned()
}

fn eventually(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// R65: the whole store comes into an empty database, flags as they were, and a server serves it. A second time nothing is
/// missing, and another store's database is left alone.
#[test]
fn an_empty_database_becomes_the_store() {
    let (postgres, site) = (Postgres::start(), Site::with_keyfile());
    let kept = filled(&site);
    let file = backed_up(&site, "keyfile");
    let host = site.beside();
    let url = postgres.url();
    let password = private_file(&host, "password", b"not asked for on a socket\n");
    let flags = format!("--store {url} --store-password-file {password}");
    let done = restore(&host, &file, &flags).ok().text();
    assert!(done.starts_with("restored: ") && done.contains(&format!("url = \"{url}\"")), "{done}");
    // What is printed is all that a server needs.
    let section = &done[done.find("[store]").unwrap()..];
    assert!(section.contains(&format!("password_file = {password:?}")), "{done}");
    let config = host.data().join("canis.toml");
    let root = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, root + section).unwrap();
    host.canis("store verify").ok();
    let server = host.start().unsealed();
    kept.is_there(&server);
    let refused = server.canis(&["key", "export", "signer", "--format", "pkcs8"], b"");
    assert!(refused.stderr.contains("key_not_exportable"), "{}", refused.stderr);
    server.canis(&["key", "rotate", "a"], b"").ok();
    server.stop();
    let again = restore(&host, &file, "").ok().text();
    assert!(again.starts_with("0 of "), "{again}");
    host.canis("store verify").ok();
    let other = Site::with_keyfile();
    let refused = restore(&other, &file, &format!("--store {url}"));
    assert!(refused.code != 0 && !refused.stderr.contains("store_exists"), "{}", refused.stderr);
    host.start().unsealed().stop();
}

/// R65, R67: killed before each message to the database, or given a spoilt backup, nothing of it is there.
#[test]
fn an_empty_database_stays_empty_or_is_whole() {
    let (postgres, site) = (Postgres::start(), Site::with_keyfile());
    let kept = filled(&site);
    let file = backed_up(&site, "keyfile");
    let host = site.beside();
    name_database(&host, Some(&postgres.url()));
    let mut spoilt = std::fs::read(&file).unwrap();
    *spoilt.last_mut().unwrap() ^= 1;
    let bad = host.file("spoilt").display().to_string();
    std::fs::write(&bad, spoilt).unwrap();
    let refused = restore(&host, &bad, "");
    assert!(refused.stderr.contains("store_tampered"), "{}", refused.stderr);
    assert_eq!(tables(&postgres), "0");
    let kill = KillAt::built(&host);
    let mut killed = 0;
    for call in 1.. {
        let done = kill.run(&mut restoring(&host, &file, ""), call);
        // The database may learn a little later that nobody is there any more; a store is there whole.
        if done.code == 0 {
            assert!(done.text().starts_with("restored: "), "{}", done.text());
            break;
        }
        assert_eq!(done.code, -1, "{}", done.stderr);
        killed += 1;
        if tables(&postgres) != "0" {
            break;
        }
    }
    assert!(killed > 5, "{killed} kills");
    host.canis("store verify").ok();
    let server = host.start().unsealed();
    kept.is_there(&server);
    server.stop();
}

/// A store in a database with three keys, a backup of it, and what has become of the keys since: one is destroyed, one rotated, one
/// gone behind the store's back.
struct Damaged {
    postgres: Postgres,
    site: Site,
    file: String,
    texts: [Vec<u8>; 3],
}

impl Damaged {
    fn new() -> Self {
        let postgres = Postgres::start();
        let site = Site::in_database(&postgres);
        let server = site.start().unsealed();
        let names = ["destroyed", "rotated", "lost"];
        let texts = names.map(|name| {
            server.canis(&["key", "create", name, "--type", "aes256-gcm"], b"").ok();
            server.canis(&["encrypt", name], b"text").ok().stdout
        });
        let file = site.file("canis.backup").display().to_string();
        server.canis(&["backup", "create", "--to", &file, "--slot", "keyfile"], b"").ok();
        server.canis(&["key", "disable", "destroyed"], b"").ok();
        server.canis(&["key", "destroy", "destroyed"], b"").ok();
        server.canis(&["key", "rotate", "rotated"], b"").ok();
        server.canis(&["key", "create", "later", "--type", "aes256-gcm"], b"").ok();
        server.stop();
        drop(postgres.shows(LOSE));
        Damaged { postgres, site, file, texts }
    }

    fn decrypts(&self, server: &Server, name: &str, text: usize) -> bool {
        let done = server.canis(&["decrypt", name], &self.texts[text]);
        done.code == 0 && done.stdout == b"text"
    }
}

/// R65: what was lost comes back at every server, what was destroyed only if that is asked for; the log says so. Other hosts serve
/// meanwhile.
#[test]
fn a_database_gets_back_what_it_lost() {
    let damaged = Damaged::new();
    let server = damaged.site.start().unsealed();
    assert!(!damaged.decrypts(&server, "lost", 2));
    let host = damaged.site.beside();
    let done = restore(&host, &damaged.file, "").ok().text();
    assert!(done.contains(" rows came back; 1 keys"), "{done}");
    eventually("the lost key", || damaged.decrypts(&server, "lost", 2));
    assert!(!damaged.decrypts(&server, "destroyed", 0));
    assert!(damaged.decrypts(&server, "rotated", 1));
    let newest = server.canis(&["encrypt", "rotated"], b"x").ok().text();
    assert!(newest.starts_with("canis:v1:rotated:2:"), "{newest}");
    server.canis(&["encrypt", "later"], b"x").ok();
    host.canis("store verify").ok();
    restore(&host, &damaged.file, "--resurrect").ok();
    eventually("the destroyed key", || damaged.decrypts(&server, "destroyed", 0));
    host.canis("store verify").ok();
    let found = host.canis("audit search --op backup.restore").ok().text();
    assert_eq!(found.lines().count(), 2, "{found}");
    server.stop();
}

/// R65: killed before each message, what was lost is all there or still lost.
#[test]
fn a_merge_is_whole_or_nothing() {
    let damaged = Damaged::new();
    let host = damaged.site.beside();
    let kill = KillAt::built(&host);
    let rows = || {
        let sql = "SELECT (SELECT count(*) FROM kms_keys WHERE name = 'lost'),
            (SELECT count(*) FROM kms_key_versions v JOIN kms_keys k ON k.id = v.key_id WHERE k.name = 'lost')";
        damaged.postgres.shows(sql).trim().to_owned()
    };
    let mut before = 0;
    for call in 1.. {
        let done = kill.run(&mut restoring(&host, &damaged.file, ""), call);
        let now = rows();
        assert!(["0|0", "1|1"].contains(&now.as_str()), "call {call}: {now}");
        before += usize::from(now == "0|0");
        if done.code == 0 {
            assert_eq!(now, "1|1");
            break;
        }
        assert_eq!(done.code, -1, "{}", done.stderr);
    }
    assert!(before > 5, "{before} kills before the commit");
    host.canis("store verify").ok();
}

/// What the HSM remembers refuses a backup that is older, in a database as in a file, until its owner accepts it.
#[test]
fn the_hsm_remembers_more_than_the_backup() {
    let (postgres, hsm) = (Postgres::start(), SoftHsm::new("restore"));
    let site = Site::with_hsm(&hsm);
    let server = site.start().unsealed();
    server.canis(&["key", "create", "kept", "--type", "aes256-gcm"], b"").ok();
    let text = server.canis(&["encrypt", "kept"], b"text").ok().stdout;
    server.stop();
    let file = backed_up(&site, "hsm");
    let server = site.start().unsealed();
    server.canis(&["key", "create", "later", "--type", "aes256-gcm"], b"").ok();
    server.stop();
    let host = site.beside();
    name_database(&host, Some(&postgres.url()));
    restore(&host, &file, "").ok();
    let server = host.start();
    let refused = server.wait_for("sealed: ");
    assert!(refused.contains("older than") && refused.contains("--accept-rollback"), "{refused}");
    server.stop();
    assert!(host.canis("store verify").stderr.contains("older than"));
    host.canis("store verify --accept-rollback").ok();
    let server = host.start().unsealed();
    assert_eq!(server.canis(&["decrypt", "kept"], &text).ok().stdout, b"text");
    server.stop();
}
