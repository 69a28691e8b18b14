//! kill -9 while a store gets a new root key, or a tenant a new key: it has the old one or the new one, whole, and opens either way.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{KillAt, Site, run};

/// When the slot of the key file was wrapped, which a new root key does anew; the store is whole, and its recipient opens it.
fn wrapped_at(site: &Site) -> i64 {
    let report = site.canis("store verify");
    assert_eq!(report.code, 0, "{} {}", report.text(), report.stderr);
    let listed = site.canis("root list --json").ok();
    let answer: serde_json::Value = serde_json::from_slice(&listed.stdout).unwrap();
    let slots = answer["slots"].as_array().unwrap();
    let opened = site.canis(&format!("root test --recipient-key {}", site.file("safe.pem").display()));
    assert!(slots.len() == 2 && opened.code == 0, "{} {}", opened.text(), opened.stderr);
    slots.iter().find(|slot| slot["kind"] == "keyfile").unwrap()["created_at"].as_i64().unwrap()
}

/// R65, R92: killed before each single write, sync or truncation, the store is whole each time, under the root key of
/// before or the next one, and asking again gives it a new one.
#[test]
fn killed_at_every_write() {
    let site = Site::with_keyfile();
    let [private, public] = ["safe.pem", "safe.pub"].map(|name| site.file(name).display().to_string());
    let pair = ["root", "recipient-key", "--out", &private, "--public-key", &public];
    run(site.command("canis").args(pair), b"").ok();
    site.canis(&format!("root add recipient --public-key {public}")).ok();
    let rotate = format!("root rotate-key --keep keyfile={}", site.file("root.key").display());
    KillAt::built(&site).at_every_call(&site, &rotate, || wrapped_at(&site));
}

/// What the tenant's row is by now.
fn tenant_revision(site: &Site) -> i64 {
    let report = site.canis("store verify");
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
    KillAt::built(&site).at_every_call(&site, "tenant rekey default", || tenant_revision(&site));
    let server = site.start().unsealed();
    assert_eq!(server.canis(&["decrypt", "b"], &sealed.stdout).ok().stdout, b"kept");
    server.stop();
}
