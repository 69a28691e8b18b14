//! `canis store migrate`: a store goes into a database and back with all that it holds, and is used at one place only.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod moving;

use canis_tests::{KillAt, Postgres, Site, run};
use moving::{at_desk, filled, in_database, migrate, name_database, places, private_file, refused};
use std::collections::BTreeSet;

/// R62: keys, versions, entries, policies, roles, tenants, tokens with their PINs, receipts, counts and the audit log go along;
/// the place that was left is refused, and says where the store is.
#[test]
fn there_and_back() {
    let (postgres, site) = (Postgres::start(), Site::with_keyfile());
    let kept = filled(&site);
    leave_a_line(&site);
    let (file, url) = places(&site, &postgres);
    let moved = migrate(&site, &file, &url).ok();
    let report: serde_json::Value = serde_json::from_slice(&moved.stdout).unwrap();
    assert!(moved.stderr.is_empty(), "a bar is drawn on terminals only: {}", moved.stderr);
    let rows = report["rows"].as_object().unwrap();
    for (table, rows) in rows {
        assert!(rows.as_u64().unwrap() > 0, "nothing of {table} was there to be moved");
    }
    refused(&site.canis("store verify"), &url);
    name_database(&site, Some(&url));
    site.canis("store verify").ok();
    let server = site.start().unsealed();
    kept.is_there(&server);
    server.canis(&["key", "rotate", "a"], b"").ok();
    let later = server.canis(&["encrypt", "a"], b"later").ok();
    server.canis(&["audit", "verify"], b"").ok();
    server.stop();
    // And back, over the copy that was left.
    migrate(&site, &url, &file).ok();
    refused(&site.canis("store verify"), "canis.dat");
    name_database(&site, None);
    site.canis("store verify").ok();
    let server = site.start().unsealed();
    kept.is_there(&server);
    assert_eq!(server.canis(&["decrypt", "a"], &later.stdout).ok().stdout, b"later");
    server.canis(&["audit", "verify"], b"").ok();
    server.stop();
    let listed = at_desk(&site, "--list-objects --type privkey");
    assert!(listed.contains("of-the-desk"), "{listed}");
}

/// Kills a program between the commit of a change and the audit log's file, so that a line waits in the store.
fn leave_a_line(site: &Site) {
    let kill = KillAt::built(site);
    let store = rusqlite::Connection::open(site.data().join("canis.dat")).unwrap();
    let waiting = || store.query_row("SELECT count(*) FROM outbox", [], |row| row.get::<_, u32>(0)).unwrap();
    for call in 1.. {
        let done = kill.canis(site, &format!("tenant create left-{call}"), call);
        if waiting() > 0 {
            return;
        }
        assert_eq!(done.code, -1, "no line was left: {}", done.stderr);
    }
}

/// A store that the PKCS#11 module made without a root stays where it is: servers need one.
#[test]
fn a_store_without_a_root_is_not_moved() {
    let (postgres, site) = (Postgres::start(), Site::without_store());
    let (so, pin) = (private_file(&site, "so", b"so-pin-8765"), private_file(&site, "pin", b"user-pin-1234"));
    let init = format!("slot init --label desk --so-pin-file {so} --pin-file {pin}");
    site.canis(&init).ok();
    at_desk(&site, "--keypairgen --key-type EC:prime256v1 --label of-the-desk");
    let (file, url) = places(&site, &postgres);
    let refused = migrate(&site, &file, &url);
    assert!(refused.code != 0 && refused.stderr.contains("the store has no root"), "{}", refused.stderr);
    assert_eq!(postgres.shows("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0\n");
    let listed = at_desk(&site, "--list-objects --type privkey");
    assert!(listed.contains("of-the-desk"), "{listed}");
}

/// Every table of either store moves, but those that are about the place itself: who adds one is reminded here.
#[test]
fn no_table_is_forgotten() {
    let (postgres, site) = (Postgres::start(), Site::with_keyfile());
    let store = rusqlite::Connection::open(site.data().join("canis.dat")).unwrap();
    let mut named = store.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").unwrap();
    let tables = named.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let of_file: BTreeSet<String> = tables.map(Result::unwrap).filter(|name| name != "moves").collect();
    drop(named);
    drop(store);
    let (file, url) = places(&site, &postgres);
    let report: serde_json::Value = serde_json::from_slice(&migrate(&site, &file, &url).ok().stdout).unwrap();
    let moved: BTreeSet<String> = report["rows"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(moved, of_file);
    let named = postgres.shows("SELECT tablename FROM pg_tables WHERE schemaname = 'public'");
    let own = ["moves", "moments", "canis_schema"];
    let of_database: BTreeSet<String> =
        named.lines().filter(|name| !own.contains(name)).map(str::to_owned).collect();
    assert_eq!(moved, of_database);
}

/// Another store at the other place stays what it is, and the one that was to be moved is used as before.
#[test]
fn another_store_is_not_overwritten() {
    let postgres = Postgres::start();
    let (there, site) = (Site::in_database(&postgres), Site::with_keyfile());
    let (file, url) = places(&site, &postgres);
    let taken = migrate(&site, &file, &url);
    assert!(taken.code != 0 && taken.stderr.contains("store_exists"), "{}", taken.stderr);
    for site in [&there, &site] {
        site.canis("store verify").ok();
        let server = site.start().unsealed();
        server.canis(&["key", "create", "k", "--type", "aes256-gcm"], b"").ok();
        server.stop();
    }
    let other = Site::with_keyfile();
    let taken = migrate(&site, &url, &other.data().display().to_string());
    assert!(taken.code != 0 && taken.stderr.contains("store_exists"), "{}", taken.stderr);
    for site in [&there, &other] {
        site.canis("store verify").ok();
    }
    let nowhere = migrate(&site, &file, &file);
    assert!(nowhere.stderr.contains("invalid_argument"), "{}", nowhere.stderr);
    let nothing = migrate(&site, &site.file("nothing").display().to_string(), &url);
    assert!(nothing.stderr.contains("store_unavailable"), "{}", nothing.stderr);
}

/// Who takes the copy of before for the store has to open it, and the log says so; the next move takes another place, since both
/// are stores now.
#[test]
fn a_copy_of_before_is_taken_with_a_line_in_the_log() {
    let (postgres, site) = (Postgres::start(), Site::with_keyfile());
    let (file, url) = places(&site, &postgres);
    migrate(&site, &file, &url).ok();
    let wrong = private_file(&site, "wrong.key", &[7; 32]);
    let data = site.data().display().to_string();
    let accept = ["store", "verify", "--accept-moved", "--data", &data, "--keyfile", &wrong];
    assert_ne!(run(site.command("canis").args(accept), b"").code, 0);
    refused(&site.canis("store verify"), &url);
    site.canis("store verify --accept-moved").ok();
    let again = site.canis("store verify --accept-moved");
    assert!(again.stderr.contains("operation_not_allowed"), "{}", again.stderr);
    let server = site.start().unsealed();
    server.canis(&["key", "create", "k", "--type", "aes256-gcm"], b"").ok();
    server.stop();
    let found = site.canis("audit search --op store.accept-moved").ok();
    assert_eq!(found.text().lines().count(), 1, "{}", found.text());
    let twice = migrate(&site, &file, &url);
    assert!(twice.stderr.contains("store_exists"), "{}", twice.stderr);
    in_database(&site, &url).canis("store verify").ok();
}
