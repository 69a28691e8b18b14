//! Uses of keys are counted at every door: through PKCS#11 by several threads and across forks, and over CANISP.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Server, Site, module, python, run};
use std::time::{Duration, SystemTime};

const PIN: &str = "pin-of-the-user";

/// Uses and last use of a key's version 1.
fn counted(server: &Server, key: &str) -> (u64, Option<String>) {
    let shown = server.canis(&["key", "versions", key, "--json"], b"").ok().text();
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let version = &shown["versions"][0];
    (version["uses"].as_u64().unwrap(), version["last_used_at"].as_str().map(str::to_owned))
}

/// The script uses the keys through the module as its comment says; then a server on the same store tells.
#[test]
fn uses_through_pkcs11_are_counted_once() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    server.canis(&["key", "create", "signer", "--type", "ecdsa-p256"], b"").ok();
    server.canis(&["key", "create", "data", "--type", "aes256-gcm"], b"").ok();
    server.canis(&["key", "create", "idle", "--type", "ed25519"], b"").ok();
    let signature = server.canis(&["sign", "signer"], b"message").ok().text();
    server.stop();
    let pin_file = site.file("pin");
    std::fs::write(&pin_file, PIN).unwrap();
    let mut set_pin = site.command("canis");
    set_pin.args(["slot", "set-pin", "--token", "default", "--pin-file"]).arg(&pin_file);
    run(set_pin.arg("--data").arg(site.data()), b"").ok();

    let mut script = site.foreign(python());
    script.arg("-B").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/use_counts.py"));
    script.arg(module()).arg(PIN).env("CANIS_DATA", site.data());
    let before = SystemTime::now() - Duration::from_secs(1);
    assert_eq!(run(&mut script, b"").ok().text(), "parent done\n");

    let server = site.start().unsealed();
    let (signed, last) = counted(&server, "signer");
    assert_eq!(signed, 1 + 3 + 2 + 1, "once over CANISP, by the parent, by its child, by the parent");
    assert!(last.is_some_and(|at| at > rfc3339(before)));
    assert_eq!(counted(&server, "data").0, 4 * 25 + 1);
    assert_eq!(counted(&server, "idle"), (0, None));
    server.canis(&["verify", "signer", "--signature", signature.trim()], b"message").ok();
    assert_eq!(counted(&server, "signer").0, 8, "what waits to be written counts, too");
    server.stop();
}

fn rfc3339(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    let mut date = std::process::Command::new("date");
    run(date.args(["-u", "-d", &format!("@{seconds}"), "+%Y-%m-%dT%H:%M:%S"]), b"")
        .ok()
        .text()
        .trim()
        .to_owned()
}
