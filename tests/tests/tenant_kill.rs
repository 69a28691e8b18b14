//! kill -9 while a tenant is destroyed: it is there whole, or gone with its key, and nothing in between.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{KillAt, Site};
use rusqlite::Connection;
use serde_json::Value;

/// The sealed column that holds the tenant's key.
fn sealed(site: &Site) -> Vec<u8> {
    let store = Connection::open(site.data().join("canis.dat")).unwrap();
    store.query_row("SELECT sealed FROM tenants WHERE name = 'doomed'", [], |row| row.get(0)).unwrap()
}

fn on_disk(site: &Site, wanted: &[u8]) -> bool {
    ["canis.dat", "canis.dat-wal"].iter().any(|name| {
        let bytes = std::fs::read(site.data().join(name)).unwrap_or_default();
        bytes.windows(wanted.len()).any(|window| window == wanted)
    })
}

/// R65: killed before each single write, sync or truncation of a `tenant delete`, the store is whole, and the tenant there or
/// gone; gone, and once a server has started, neither the file nor its log holds the tenant's sealed key.
#[test]
fn killed_at_every_write() {
    let site = Site::with_keyfile();
    let killer = KillAt::built(&site);
    let (mut stayed, mut went, mut left) = (0, 0, 0);
    let mut call = 1;
    loop {
        let made = site.canis("tenant create doomed --json").ok();
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let id = made["tenant"]["id"].as_str().unwrap();
        let key = sealed(&site);
        assert!(on_disk(&site, &key[1..40]));
        // Killed earlier it is there, and killed again a little later.
        let ended = loop {
            let ended = killer.canis(&site, "tenant delete doomed --yes", call);
            let listed = site.canis("tenant list --json").ok();
            let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
            let there = listed["tenants"].as_array().unwrap().iter().any(|tenant| tenant["id"] == id);
            call += 1;
            if !there {
                break ended;
            }
            assert_eq!(ended.code, -1, "{}", ended.stderr);
            stayed += 1;
        };
        let report = site.canis("store verify");
        assert_eq!(report.code, 0, "{} {}", report.text(), report.stderr);
        if ended.code == 0 {
            assert!(!on_disk(&site, &key[1..40]), "one that ended well left the key");
            break;
        }
        went += 1;
        left += usize::from(on_disk(&site, &key[1..40]));
        let server = site.start().unsealed();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while on_disk(&site, &key[1..40]) {
            assert!(std::time::Instant::now() < until, "the server leaves the key in the log");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        server.stop();
    }
    assert!(
        stayed > 3 && went > 0,
        "{stayed} kills before the commit, {went} after it; {left} left the key in the log"
    );
}
