//! A move that is cut short: at most one place is a store at any moment, reading goes on, and asking again goes on with it.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod moving;

use canis_tests::{Finished, KillAt, Postgres, Server, Site, SoftHsm};
use moving::{filled, in_database, migrate, moving, name_database, places, refused};
use std::time::{Duration, Instant};

/// How long a server may go on reading what was moved away: a second (docs/operations.md), and more on a machine that does
/// much else besides.
const BOUND: Duration = Duration::from_secs(5);

/// Kills moves later and later until one ends well. Whatever a kill left, one of the places is the store, or none for the moment,
/// and the other says where it is.
fn killed_at_calls(site: &Site, there: &Site, (from, to): (&str, &str), step: usize) {
    let kill = KillAt::built(site);
    let (mut early, mut none, mut late) = (0, 0, 0);
    let (mut call, mut step, mut ended) = (1, step, 0);
    loop {
        let done = kill.run(&mut moving(site, from, to), call);
        let (left, come) = (site.canis("store verify"), there.canis("store verify"));
        for place in [&left, &come] {
            let nothing = ["store_moved", "there is no store"].iter().any(|why| place.stderr.contains(why));
            assert!(place.code == 0 || nothing, "call {call}: {} {}", place.text(), place.stderr);
        }
        let killed = done.code != 0;
        match (left.code == 0, come.code == 0) {
            (true, true) => panic!("call {call}: both places are the store"),
            (_, come) if !killed => assert!(come, "it ended well and did nothing"),
            (true, false) => early += 1,
            (false, false) => none += 1,
            (false, true) => late += 1,
        }
        if killed {
            assert_eq!(done.code, -1, "{}", done.stderr);
            call += step;
            continue;
        }
        ended += 1;
        if none + late > 0 || ended > 5 {
            break;
        }
        // What other threads send is counted as well, so that the end was stepped over: back, and on at every single call.
        migrate(there, to, from).ok();
        (call, step) = (call.saturating_sub(12).max(1), 1);
    }
    assert!(early > 10 && none + late > 0, "{early} before the end, {none} at it and {late} after it");
}

/// R65: killed before each single write, sync, truncation or message on the way there, and before some on the way back.
#[test]
fn killed_at_every_write() {
    let (postgres, site) = (Postgres::start(), Site::with_keyfile());
    let kept = filled(&site);
    let (file, url) = places(&site, &postgres);
    let there = in_database(&site, &url);
    killed_at_calls(&site, &there, (&file, &url), 1);
    let server = there.start().unsealed();
    kept.is_there(&server);
    server.stop();
    let back = site.beside();
    let home = back.data().join("canis.dat").display().to_string();
    killed_at_calls(&there, &back, (&url, &home), 3);
    let server = back.start().unsealed();
    kept.is_there(&server);
    server.stop();
}

/// Moves until the store is marked, and no further.
fn cut_short(site: &Site, from: &str, to: &str) {
    let kill = KillAt::built(site);
    let marked = |done: &Finished| done.stderr.contains("store_moved");
    for call in (5..).step_by(5) {
        assert_eq!(kill.run(&mut moving(site, from, to), call).code, -1, "it was done before it was marked");
        if marked(&site.canis(&format!("tenant create probe-{call}"))) {
            return;
        }
    }
}

fn refuses_changes(server: &Server, kept: &moving::Kept, to: &str) {
    kept.is_there(server);
    refused(&server.canis(&["key", "create", "new", "--type", "aes256-gcm"], b""), to);
    refused(&server.canis(&["key", "rotate", "a"], b""), to);
    server.canis(&["status"], b"").ok();
}

/// Asks until it is refused, which has to come within the bound.
fn refused_soon(server: &Server, other: &str) {
    let begun = Instant::now();
    loop {
        let asked = begun.elapsed();
        let done = server.canis(&["encrypt", "a"], b"x");
        if done.code != 0 {
            // Whichever comes first: the key cannot be read, or the log's chain not be written down.
            let why = format!("the store was moved to {other}");
            return assert!(done.stderr.contains(&why), "{}", done.stderr);
        }
        assert!(asked < BOUND, "a server used the store {asked:?} after it was moved");
    }
}

/// While a store is moved, servers that have it go on reading and refuse changes; when it is gone they do nothing with it any more.
#[test]
fn reading_goes_on() {
    let (postgres, site) = (Postgres::start(), Site::with_keyfile());
    let kept = filled(&site);
    let (file, url) = places(&site, &postgres);
    cut_short(&site, &file, &url);
    let server = site.start().unsealed();
    refuses_changes(&server, &kept, &url);
    // Finished beside the server.
    migrate(&site, &file, &url).ok();
    refused_soon(&server, &url);
    drop(server);
    let there = in_database(&site, &url);
    // The same out of a database that two servers share.
    let beside = there.beside();
    let servers = [there.start().unsealed(), beside.start().unsealed()];
    kept.is_there(&servers[0]);
    servers[0].canis(&["key", "rotate", "a"], b"").ok();
    let last = servers[1].canis(&["encrypt", "a"], b"last").ok().stdout;
    migrate(&there, &url, &file).ok();
    for server in &servers {
        refused_soon(server, &file);
    }
    let server = site.start().unsealed();
    kept.is_there(&server);
    assert_eq!(server.canis(&["decrypt", "a"], &last).ok().stdout, b"last");
    server.stop();
}

/// A move is given up by who opens the store, and what had come to the other place is not taken for anything.
#[test]
fn a_move_is_given_up() {
    let (postgres, site) = (Postgres::start(), Site::with_keyfile());
    let kept = filled(&site);
    let (file, url) = places(&site, &postgres);
    cut_short(&site, &file, &url);
    let elsewhere = site.file("elsewhere").display().to_string();
    refused(&migrate(&site, &file, &elsewhere), &url);
    site.canis("store verify --accept-moved").ok();
    let there = in_database(&site, &url);
    refused(&there.canis("store verify"), &file);
    let part = there.canis("store verify --accept-moved");
    assert_ne!(part.code, 0, "a part was taken for the store");
    let server = site.start().unsealed();
    server.canis(&["key", "rotate", "a"], b"").ok();
    server.stop();
    // And begun anew it is all copied anew.
    migrate(&site, &file, &url).ok();
    let server = there.start().unsealed();
    kept.is_there(&server);
    assert!(server.canis(&["encrypt", "a"], b"x").ok().text().starts_with("canis:v1:a:3:"));
    server.stop();
}

/// What somebody writes past the marks is found row by row, and what was copied is not taken.
#[test]
fn rows_are_compared() {
    let (postgres, site) = (Postgres::start(), Site::with_keyfile());
    let kept = filled(&site);
    let (file, url) = places(&site, &postgres);
    cut_short(&site, &file, &url);
    let there = in_database(&site, &url);
    let spoil = [
        "UPDATE meta SET body = body || '\\x00' WHERE name = 'store'",
        "DELETE FROM meta WHERE name = 'root-key'",
    ];
    let mut found = 0;
    for sql in spoil {
        cut_again_until_rows(&site, &postgres, (&file, &url));
        drop(postgres.shows(sql));
        let done = migrate(&site, &file, &url);
        if done.code == 0 {
            panic!("{sql} was not noticed");
        }
        assert!(done.stderr.contains("meta"), "{}", done.stderr);
        assert_eq!(postgres.shows("SELECT count(*) FROM meta"), "0\n", "what is spoilt stays");
        refused(&there.canis("store verify"), &file);
        site.canis("store verify").ok();
        found += 1;
    }
    assert_eq!(found, spoil.len());
    migrate(&site, &file, &url).ok();
    let server = there.start().unsealed();
    kept.is_there(&server);
    server.stop();
}

/// Goes on with a move and cuts it short again, when rows have arrived.
fn cut_again_until_rows(site: &Site, postgres: &Postgres, (from, to): (&str, &str)) {
    let kill = KillAt::built(site);
    for call in (8..).step_by(4) {
        assert_eq!(kill.run(&mut moving(site, from, to), call).code, -1, "it was done before rows were seen");
        let rows = postgres.shows("SELECT count(*) FROM pg_tables WHERE tablename = 'meta'");
        if rows == "1\n" && postgres.shows("SELECT count(*) FROM meta") != "0\n" {
            return;
        }
    }
}

/// The HSM goes on remembering the store at its new place; the copy of before is older than what it remembers.
#[test]
fn an_anchor_moves_along() {
    let (postgres, hsm) = (Postgres::start(), SoftHsm::new("move"));
    let site = Site::with_hsm(&hsm);
    let server = site.start().unsealed();
    server.canis(&["key", "create", "a", "--type", "aes256-gcm"], b"").ok();
    server.stop();
    let (file, url) = places(&site, &postgres);
    migrate(&site, &file, &url).ok();
    name_database(&site, Some(&url));
    let server = site.start().unsealed();
    server.canis(&["key", "rotate", "a"], b"").ok();
    server.stop();
    site.start().unsealed().stop();
    name_database(&site, None);
    let older = site.canis("store verify --accept-moved");
    assert!(older.code != 0 && older.stderr.contains("store_tampered"), "{}", older.stderr);
    refused(&site.canis("store verify"), &url);
    name_database(&site, Some(&url));
    site.canis("store verify").ok();
}
