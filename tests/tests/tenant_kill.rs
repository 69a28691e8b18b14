//! kill -9 while a tenant is destroyed: it is there whole, or gone with its key, and nothing in between.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Site, run};
use rusqlite::Connection;
use serde_json::Value;
use std::path::Path;
use std::process::Command;

/// `canis` on the site's directory.
fn canis(site: &Site, arguments: &str, prepare: impl FnOnce(&mut Command)) -> Finished {
    let mut command = site.command("canis");
    command.args(arguments.split_whitespace()).arg("--data").arg(site.data());
    prepare(&mut command);
    run(&mut command, b"")
}

fn built(site: &Site) -> std::path::PathBuf {
    let library = site.file("kill_at.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/root_kill/kill_at.c");
    run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]), b"").ok();
    library
}

fn delete(site: &Site, library: &Path, call: usize) -> Finished {
    canis(site, "tenant delete doomed --yes", |command| {
        command.env("LD_PRELOAD", library).env("KILL_AT", call.to_string());
    })
}

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
    let library = built(&site);
    let (mut stayed, mut went, mut left) = (0, 0, 0);
    let mut call = 1;
    loop {
        let made = canis(&site, "tenant create doomed --json", |_| ()).ok();
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        let id = made["tenant"]["id"].as_str().unwrap();
        let key = sealed(&site);
        assert!(on_disk(&site, &key[1..40]));
        // Killed earlier it is there, and killed again a little later.
        let ended = loop {
            let ended = delete(&site, &library, call);
            let listed = canis(&site, "tenant list --json", |_| ()).ok();
            let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
            let there = listed["tenants"].as_array().unwrap().iter().any(|tenant| tenant["id"] == id);
            call += 1;
            if !there {
                break ended;
            }
            assert_eq!(ended.code, -1, "{}", ended.stderr);
            stayed += 1;
        };
        let report = canis(&site, "store verify", |_| ());
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
