//! `canis backup`: a store that is lost comes back from one file, for every door.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Site, module, run};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// The store's files are gone, and what lies beside them is still there.
fn lose_store(site: &Site) {
    for name in ["canis.dat", "canis.dat-wal", "canis.dat-shm"] {
        drop(std::fs::remove_file(site.data().join(name)));
    }
}

fn canis(site: &Site, arguments: &[&str]) -> Finished {
    run(site.command("canis").args(arguments), b"")
}

/// Made from a server that serves, restored where the store was lost: keys decrypt, and a token that its PIN alone opens
/// is logged in to by `pkcs11-tool`.
#[test]
fn a_lost_store_comes_back() {
    let site = Site::with_keyfile();
    let path = |name: &str| site.file(name).display().to_string();
    for (name, text) in [("so", "so-pin-8765"), ("pin", "user-pin-1234")] {
        std::fs::write(site.file(name), text).unwrap();
        std::fs::set_permissions(site.file(name), std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let server = site.start().unsealed();
    server.canis(&["key", "create", "k", "--type", "aes256-gcm"], b"").ok();
    let text = server.canis(&["encrypt", "k"], b"kept").ok().text();
    let (so, pin) = (path("so"), path("pin"));
    let init = ["slot", "init", "--label", "desk", "--so-pin-file", &so, "--pin-file", &pin];
    server.canis(&init, b"").ok();
    let file = path("canis.backup");
    let made = server.canis(&["backup", "create", "--to", &file, "--slot", "keyfile"], b"").ok();
    assert!(made.text().contains("rows of store"), "{made:?}");
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    server.stop();
    let key = path("root.key");
    let whole = canis(&site, &["backup", "verify", &file, "--keyfile", &key]).ok();
    assert!(whole.text().starts_with("whole: "), "{whole:?}");

    lose_store(&site);
    let data = site.data().display().to_string();
    canis(&site, &["backup", "restore", &file, "--data", &data, "--keyfile", &key]).ok();
    canis(&site, &["store", "verify", "--data", &data]).ok();
    let mut tool = Command::new("pkcs11-tool");
    tool.env("CANIS_DATA", &data).env("HOME", site.file("")).env_remove("CANIS_PKCS11_CONF");
    tool.arg("--module").arg(module());
    tool.args(["--token-label", "desk", "--login", "--pin", "user-pin-1234"]);
    run(tool.args(["--keypairgen", "--key-type", "EC:prime256v1", "--label", "after"]), b"").ok();
    let server = site.start().unsealed();
    assert_eq!(server.canis(&["decrypt", "k"], text.as_bytes()).ok().text(), "kept");
    // A second restore brings nothing back, since nothing is missing.
    server.stop();
    let again = canis(&site, &["backup", "restore", &file, "--data", &data]).ok();
    assert!(again.text().starts_with("0 of "), "{again:?}");
}

/// A spoilt backup leaves the directory without a store, and a log without its store is not taken for the new one's.
#[test]
fn nothing_comes_of_a_spoilt_backup() {
    let site = Site::with_keyfile();
    let file = site.file("canis.backup").display().to_string();
    let data = site.data().display().to_string();
    canis(&site, &["backup", "create", "--to", &file, "--slot", "keyfile", "--data", &data]).ok();
    let mut bytes = std::fs::read(&file).unwrap();
    lose_store(&site);
    std::fs::write(site.data().join("canis.dat-wal"), b"left over").unwrap();
    let refused = canis(&site, &["backup", "restore", &file, "--data", &data]);
    assert!(refused.code != 0 && refused.stderr.contains("canis.dat-wal"), "{refused:?}");
    lose_store(&site);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let refused = canis(&site, &["backup", "restore", &file, "--data", &data]);
    assert!(refused.code != 0 && refused.stderr.contains("store_tampered"), "{refused:?}");
    assert!(!site.data().join("canis.dat").exists() && !site.data().join("canis.dat.new").exists());
}
