//! A server that is killed while it does what is due by the clock: another one goes on with it, and everything happens once.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_client::{Config, Shared};
use canis_proto::message::{CreateKey, DestroyKey, DisableKey, ShowKey};
use canis_proto::{Interval, KeyType};
use canis_tests::{Postgres, Server, Site, run};
use std::process::Command;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What a test waits for comes long before.
const PATIENCE: Duration = Duration::from_secs(120);
/// Keys that are to rotate, and keys that are to be destroyed.
const ROTATIONS: usize = 40;
const DESTRUCTIONS: usize = 20;
const HOUR: u64 = 3600;
/// Lets one change of a key through and no other before the gate is open, so that a server is found in the middle of its turn.
const GATE: &str = "CREATE TABLE gate AS SELECT false AS open;
    CREATE FUNCTION wait() RETURNS trigger AS 'BEGIN
        WHILE (SELECT count(*) > 0 FROM kms_keys WHERE current_version > 1 OR deleted_at IS NOT NULL) AND NOT (SELECT open FROM gate)
        LOOP PERFORM pg_sleep(0.01); END LOOP;
        RETURN NEW; END' LANGUAGE plpgsql;
    CREATE TRIGGER wait BEFORE UPDATE ON kms_keys FOR EACH ROW EXECUTE FUNCTION wait()";
/// The server that has the turn (0x43414E49 and 3, ADR 0036), by what it calls itself.
const TURN: &str = "SELECT a.application_name FROM pg_locks l JOIN pg_stat_activity a USING (pid)
    WHERE l.locktype = 'advisory' AND l.classid = 1128353353 AND l.objid = 3 AND l.granted";

fn client(server: &Server, site: &Site) -> Shared {
    let ca = std::fs::read(server.ca()).unwrap();
    let token = Some(Zeroizing::new(site.token.clone()));
    Shared::new(&Config { token, ..Config::new(server.addr(), ca, "ca.pem") }).unwrap()
}

/// A host that calls itself so at the database.
fn host(first: &Site, postgres: &Postgres, name: &str) -> Site {
    let host = first.beside();
    let path = host.data().join("canis.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let url = postgres.url();
    std::fs::write(&path, text.replace(&url, &format!("{url}&application_name={name}"))).unwrap();
    host
}

/// A server of this host that lives two days ahead.
fn ahead(host: &Site) -> Server {
    let library = host.file("later.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/later.c");
    run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]), b"").ok();
    let preload = format!("LD_PRELOAD={}", library.display());
    host.start_by(&["env", &preload, &format!("LATER={}", 48 * HOUR)], &[])
}

/// How many keys were rotated, destroyed, and rotated more than once.
fn done(postgres: &Postgres) -> (usize, usize, usize) {
    let sql =
        "SELECT count(*) FILTER (WHERE current_version = 2), count(*) FILTER (WHERE deleted_at IS NOT NULL),
        count(*) FILTER (WHERE current_version > 2) FROM kms_keys";
    let shown = postgres.shows(sql);
    let counts: Vec<usize> = shown.trim().split('|').map(|count| count.parse().unwrap()).collect();
    (counts[0], counts[1], counts[2])
}

fn until<T>(what: &str, mut found: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = found() {
            return found;
        }
        assert!(Instant::now() < end, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// R28, R65: rotations and planned destructions that are due when a server is killed -9 in the middle of its turn are done by another
/// one, each once.
#[test]
fn a_server_is_killed_in_its_turn() {
    let postgres = Postgres::start();
    let first = Site::in_database(&postgres);
    let server = first.start().unsealed();
    let now = client(&server, &first);
    for n in 0..ROTATIONS {
        let mut request = CreateKey::new(format!("r{n}"), KeyType::Aes256);
        request.interval = Interval::from_seconds(30 * HOUR);
        now.call(&request).unwrap();
    }
    for n in 0..DESTRUCTIONS {
        let name = format!("d{n}");
        now.call(&CreateKey::new(name.as_str(), KeyType::Aes256)).unwrap();
        now.call(&DisableKey { name: name.as_str().into() }).unwrap();
        let delay = Interval::from_seconds(30 * HOUR);
        now.call(&DestroyKey { name: name.as_str().into(), delay }).unwrap();
    }
    drop(now);
    server.stop();
    drop(postgres.shows(GATE));
    let hosts: Vec<_> = ["one", "two", "three"].map(|name| (name, host(&first, &postgres, name))).into();
    let mut servers: Vec<_> = hosts.iter().map(|(name, site)| (*name, ahead(site))).collect();
    let all = ROTATIONS + DESTRUCTIONS;
    let holder = until("a server in its turn", || {
        let (rotated, destroyed, _) = done(&postgres);
        assert!(rotated + destroyed < all, "all was done before a server could be killed");
        let holder = postgres.shows(TURN);
        servers.iter().position(|(name, _)| rotated + destroyed > 0 && holder.trim() == *name)
    });
    let (_, killed) = servers.remove(holder);
    killed.kill();
    let (at, begun) = (done(&postgres), Instant::now());
    drop(postgres.shows("UPDATE gate SET open = true"));
    assert!(at.0 + at.1 < all, "it had done everything before it was killed");
    // One change may have been under way.
    until("another server in its turn", || {
        let now = done(&postgres);
        (now.0 + now.1 > at.0 + at.1 + 1).then_some(())
    });
    println!("another server went on {:?} after the kill", begun.elapsed());
    until("the end of what is due", || {
        let (rotated, destroyed, twice) = done(&postgres);
        assert_eq!(twice, 0, "a key was rotated twice");
        (rotated == ROTATIONS && destroyed == DESTRUCTIONS).then_some(())
    });
    // Whoever had the turn last, and whoever looks after it, find nothing more.
    let before = postgres.shows("SELECT changes FROM moments");
    for _ in 0..3 {
        std::thread::sleep(Duration::from_secs(1));
        assert_eq!(done(&postgres), (ROTATIONS, DESTRUCTIONS, 0));
    }
    assert_eq!(postgres.shows("SELECT changes FROM moments"), before, "something was done once more");
    let (name, server) = &servers[0];
    let (_, site) = hosts.iter().find(|(host, _)| host == name).unwrap();
    for n in 0..ROTATIONS {
        let name = format!("r{n}");
        let shown = client(server, site).call(&ShowKey { name: name.as_str().into(), before_version: 0 });
        assert_eq!(shown.unwrap().current_version, 2, "{name}");
    }
    drop(servers);
    first.canis("store verify").ok();
}
