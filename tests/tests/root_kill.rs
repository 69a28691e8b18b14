//! kill -9 while a store gets a new root key, or a tenant a new key: it has the old one or the new one, whole, and opens either way.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Site, run};
use std::path::Path;
use std::process::Command;

/// `canis` on the site's directory.
fn canis(site: &Site, arguments: &str, prepare: impl FnOnce(&mut Command)) -> Finished {
    let mut command = site.command("canis");
    command.args(arguments.split_whitespace()).arg("--data").arg(site.data());
    prepare(&mut command);
    run(&mut command, b"")
}

/// When the slot of the key file was wrapped, which a new root key does anew; the store is whole.
fn wrapped_at(site: &Site) -> i64 {
    let report = canis(site, "store verify", |_| ());
    assert_eq!(report.code, 0, "{} {}", report.text(), report.stderr);
    let listed = canis(site, "root list --json", |_| ()).ok();
    let answer: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(answer["slots"].as_array().unwrap().len(), 1);
    answer["slots"][0]["created_at"].as_i64().unwrap()
}

fn built(site: &Site) -> std::path::PathBuf {
    let library = site.file("kill_at.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/root_kill/kill_at.c");
    run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]), b"").ok();
    library
}

fn rotate_until(site: &Site, library: &Path, call: usize) -> Finished {
    let kept = format!("root rotate-key --keep keyfile={}", site.file("root.key").display());
    canis(site, &kept, |command| {
        command.env("LD_PRELOAD", library).env("KILL_AT", call.to_string());
    })
}

/// R65, R92: killed before each single write, sync or truncation, the store is whole each time, under the root key of
/// before or the next one, and asking again gives it a new one.
#[test]
fn killed_at_every_write() {
    let site = Site::with_keyfile();
    let library = built(&site);
    let (mut before, mut stayed, mut moved) = (wrapped_at(&site), 0, 0);
    for call in 1.. {
        let ended = rotate_until(&site, &library, call);
        let now = wrapped_at(&site);
        if ended.code == 0 {
            assert!(now > before, "one that ended well did nothing");
            break;
        }
        assert_eq!(ended.code, -1, "{}", ended.stderr);
        stayed += usize::from(now == before);
        moved += usize::from(now > before);
        before = now;
    }
    assert!(stayed > 5 && moved > 0, "{stayed} kills before the commit and {moved} after it");
}

/// What the tenant's row is by now.
fn tenant_revision(site: &Site) -> i64 {
    let report = canis(site, "store verify", |_| ());
    assert_eq!(report.code, 0, "{} {}", report.text(), report.stderr);
    let store = rusqlite::Connection::open(site.data().join("canis.dat")).unwrap();
    store.query_row("SELECT revision FROM tenants", [], |row| row.get(0)).unwrap()
}

/// R65, R92: the same for a tenant that gets a new key: the old one or the next one, and all its keys open under it.
#[test]
fn killed_at_every_write_of_a_tenant() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    for name in ["a", "b", "c"] {
        server.canis(&["key", "create", name, "--type", "aes256-gcm"], b"").ok();
    }
    let sealed = server.canis(&["encrypt", "b"], b"kept").ok();
    server.stop();
    let library = built(&site);
    let (mut before, mut stayed, mut moved) = (tenant_revision(&site), 0, 0);
    for call in 1.. {
        let ended = canis(&site, "tenant rekey default", |command| {
            command.env("LD_PRELOAD", &library).env("KILL_AT", call.to_string());
        });
        let now = tenant_revision(&site);
        if ended.code == 0 {
            assert!(now > before, "one that ended well did nothing");
            break;
        }
        assert_eq!(ended.code, -1, "{}", ended.stderr);
        stayed += usize::from(now == before);
        moved += usize::from(now > before);
        before = now;
    }
    assert!(stayed > 5 && moved > 0, "{stayed} kills before the commit and {moved} after it");
    let server = site.start().unsealed();
    assert_eq!(server.canis(&["decrypt", "b"], &sealed.stdout).ok().stdout, b"kept");
    server.stop();
}
