//! A row that other hands take away under a running server is noticed within `check_rows_every`, and told wherever people look.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Postgres, Server, Site};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

/// What a test waits for comes long before.
const PATIENCE: Duration = Duration::from_secs(60);
/// Takes a version of a key away, and keeps it for later.
const TAKE: &str = "CREATE TABLE taken AS SELECT * FROM kms_key_versions; DELETE FROM kms_key_versions;";

/// Has the site's servers compare rows this often.
fn check_every(site: &Site, span: &str) {
    let path = site.data().join("canis.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, format!("check_rows_every = \"{span}\"\n{text}")).unwrap();
}

/// What the server says of the store's rows.
fn status(server: &Server) -> String {
    let shown = server.canis(&["status", "--json"], b"").ok();
    let json: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
    json["rows"].as_str().unwrap().to_owned()
}

/// A number of `/metrics`; `None` while it is not told.
fn metric(server: &Server, name: &str) -> Option<f64> {
    let line = server.wait_for("listening for metrics on ");
    let mut http = TcpStream::connect(line.rsplit(' ').next().unwrap()).unwrap();
    http.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    http.read_to_string(&mut text).unwrap();
    text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.trim().parse().ok())
}

fn changed(server: &Server) -> Option<f64> {
    metric(server, "canis_store_rows_changed")
}

fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until rows were compared `times` more, each later than before.
fn compared(server: &Server, times: usize) {
    for _ in 0..times {
        let now = || metric(server, "canis_store_rows_checked_timestamp_seconds");
        let before = now();
        until("a comparison", || now() > before);
    }
}

fn noticed(site: &Site, sql: impl Fn(&str)) {
    check_every(site, "1s");
    let server = site.start_with(&["--metrics", "127.0.0.1:0"]).unsealed();
    server.canis(&["key", "create", "k", "--type", "aes256-gcm"], b"").ok();
    compared(&server, 2);
    assert_eq!((changed(&server), status(&server)), (Some(0.0), String::new()));
    sql(TAKE);
    let begun = Instant::now();
    until("the alarm", || changed(&server) == Some(1.0));
    println!("noticed after {:?}", begun.elapsed());
    assert!(status(&server).contains("`canis store verify` names them"), "{}", status(&server));
    assert!(server.log().contains("the store was changed by other hands"));
    compared(&server, 2);
    sql("INSERT INTO kms_key_versions SELECT * FROM taken; DROP TABLE taken;");
    until("the end of the alarm", || changed(&server) == Some(0.0) && status(&server).is_empty());
    server.canis(&["encrypt", "k"], b"x").ok();
    server.stop();
    site.canis("store verify").ok();
    // It was written down once, not at each comparison.
    let noted = site.canis("audit search --op store.rows-changed").ok().text();
    assert_eq!(noted.lines().count(), 1, "{noted}");
}

/// R64, R67: in `canis.dat`.
#[test]
fn in_a_file() {
    let site = Site::with_keyfile();
    let path = site.data().join("canis.dat");
    noticed(&site, |sql| {
        let store = rusqlite::Connection::open(&path).unwrap();
        store.busy_timeout(PATIENCE).unwrap();
        store.execute_batch(&format!("BEGIN IMMEDIATE; {sql} COMMIT")).unwrap();
    });
}

/// R64, R67: in a database.
#[test]
fn in_a_database() {
    let postgres = Postgres::start();
    noticed(&Site::in_database(&postgres), |sql| drop(postgres.shows(sql)));
}

/// A span that is none is refused with what one looks like.
#[test]
fn a_wrong_span_is_named() {
    for span in ["never", "0s", "often"] {
        let site = Site::with_keyfile();
        check_every(&site, span);
        let refused = site.canis("store verify");
        assert!(refused.stderr.contains("such as `30s`"), "{span}: {}", refused.stderr);
    }
}
