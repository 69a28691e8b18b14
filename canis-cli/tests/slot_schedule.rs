//! Schedules of keys that a PIN guards: what fell due while the token was closed happens when it is opened, at a real
//! server and in a real module.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_core::clock::Clock;
use canis_core::datadir::DataDir;
use canis_core::root::Credential;
use canis_core::secret::SecretBytes;
use canis_core::token::{ListTokens, Login, Role};
use canis_core::{Caller, Core, default_provider};
use canis_proto::KeyType;
use canis_proto::message::CreateKey;
use canis_tests::{Site, module, run};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

const PIN: &str = "user-pin-1234";

/// A clock five hours behind the machine's.
struct Behind;

impl Clock for Behind {
    fn now_micros(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        i64::try_from(now).unwrap() - 5 * 3_600_000_000
    }
}

/// A key of the token `guarded` that should have rotated twice by now.
fn make_overdue(site: &Site, name: &str) {
    let store = Arc::new(DataDir::new(site.data()).open_store().unwrap());
    let core = Core::open(store, default_provider(), Arc::new(Behind)).unwrap();
    let keyfile = std::fs::read(site.file("root.key")).unwrap();
    core.unseal(&Credential::Keyfile(SecretBytes::copied_from(&keyfile))).unwrap();
    let tokens = core.call(&Caller::anonymous(), ListTokens).unwrap();
    let token = tokens.iter().find(|token| token.label == "guarded").unwrap().id;
    let caller = Caller::pkcs11(&core.application(), token);
    let pin = SecretBytes::copied_from(PIN.as_bytes());
    core.call(&caller, Login { role: Role::User, pin: (&pin).into() }).unwrap();
    let request = CreateKey { interval: "2h".parse().unwrap(), ..CreateKey::new(name, KeyType::Ed25519) };
    core.call(&caller, request).map(drop).unwrap();
}

fn version(site: &Site, name: &str) -> u32 {
    let store = rusqlite::Connection::open(site.data().join("canis.dat")).unwrap();
    let sql = "SELECT current_version FROM kms_keys WHERE name = ?1";
    store.query_row(sql, [name], |row| row.get(0)).unwrap()
}

/// R25: the server's timer passes a closed token by; the request that brings its PIN has the rotation done before it is
/// answered, once. So does C_Login of a program that has the module loaded.
#[test]
fn a_login_makes_up_for_what_fell_due() {
    let site = Site::with_keyfile();
    std::fs::write(site.file("pin"), PIN).unwrap();
    let pin = site.file("pin").display().to_string();
    let mut init = site.command("canis");
    init.args(["slot", "init", "--label", "guarded", "--so-pin-file", &pin, "--pin-file", &pin, "--data"]);
    run(init.arg(site.data()), b"").ok();

    make_overdue(&site, "served");
    let server = site.start().unsealed();
    let export = || {
        let asked = ["slot", "export", "--token", "guarded", "--label", "served", "--pin-file", &pin];
        server.canis(&asked, b"").ok().text()
    };
    // Longer than the timer takes to come by.
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(version(&site, "served"), 1);
    let rotated = export();
    assert_eq!(version(&site, "served"), 2, "two were missed, one makes up for them");
    assert_eq!(export(), rotated, "the label leads to the new version");
    assert_eq!(version(&site, "served"), 2);
    assert!(!server.log().contains("failed"), "{}", server.log());
    server.stop();

    make_overdue(&site, "loaded");
    let list = || {
        let mut tool = site.foreign("pkcs11-tool");
        tool.arg("--module").arg(module()).args(["--token-label", "guarded", "--login", "--pin", PIN]);
        run(tool.arg("--list-objects").current_dir(site.file("")), b"").ok().text()
    };
    let shown = list();
    assert!(shown.contains("label:      loaded\n") && shown.contains("label:      loaded@1\n"), "{shown}");
    assert_eq!(version(&site, "loaded"), 2);
    list();
    assert_eq!(version(&site, "loaded"), 2);
}
