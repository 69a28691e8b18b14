//! `canis tenant rekey`: what a tenant holds is there under the new key, and nothing under the old one.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_client::{Client, Config};
use canis_proto::message::{Decrypt, Encrypt, PutEntry};
use canis_tests::{Server, Site, run};
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

fn rekey(server: &Server) -> u64 {
    let done = server.canis(&["tenant", "rekey", "default", "--json"], b"").ok();
    let answer: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(answer["name"], "default");
    answer["rows"].as_u64().unwrap()
}

fn verified(site: &Site) -> String {
    let mut canis = site.command("canis");
    let report = run(canis.args(["store", "verify", "--data"]).arg(site.data()), b"");
    format!("{}{}", report.text(), report.stderr)
}

fn sql(site: &Site, statement: &str) -> String {
    run(Command::new("sqlite3").arg(site.data().join("canis.dat")).arg(statement), b"").ok().text()
}

/// R67, R92: everything that a tenant holds opens after its key was replaced, once and again, before and after a restart: keys and
/// versions of before, entries, the wrapping keys; and what is found by an HMAC is found.
#[test]
fn everything_opens_under_the_new_key() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    server.canis(&["key", "create", "a", "--type", "aes256-gcm"], b"").ok();
    server.canis(&["key", "create", "e", "--type", "ed25519"], b"").ok();
    let first = server.canis(&["encrypt", "a"], b"of version 1").ok();
    server.canis(&["key", "rotate", "a"], b"").ok();
    let second = server.canis(&["encrypt", "a"], b"of version 2").ok();
    let signature = site.file("signature");
    std::fs::write(&signature, server.canis(&["sign", "e"], b"text").ok().stdout).unwrap();
    server.canis(&["kv", "put", "customer", "--generate", "ed25519"], b"").ok();
    let entry = server.canis(&["kv", "get", "customer", "--json"], b"").ok().text();
    let wrapping_keys = |server: &Server| {
        ["rsa-4096", "ml-kem-768-x25519"]
            .map(|kind| server.canis(&["key", "wrapping-key", "--type", kind], b"").ok().text())
    };
    let wrapping = wrapping_keys(&server);
    let holds = |server: &Server| {
        assert_eq!(server.canis(&["decrypt", "a"], &first.stdout).ok().stdout, b"of version 1");
        assert_eq!(server.canis(&["decrypt", "a"], &second.stdout).ok().stdout, b"of version 2");
        let signature = signature.display().to_string();
        server.canis(&["verify", "e", "--signature", &signature], b"text").ok();
        assert_eq!(server.canis(&["kv", "get", "customer", "--json"], b"").ok().text(), entry);
        server.canis(&["sign", "kv:customer"], b"text").ok();
        assert_eq!(wrapping_keys(server), wrapping);
    };
    let rows = rekey(&server);
    assert!(rows >= 8, "two keys, three versions, an entry, two wrapping keys: {rows}");
    holds(&server);
    server.canis(&["key", "rotate", "a"], b"").ok();
    assert!(rekey(&server) > rows);
    server.stop();
    let report = verified(&site);
    assert!(report.contains("whole") && !report.contains("not whole"), "{report}");
    let server = site.start().unsealed();
    holds(&server);
    server.stop();
}

/// A row of before the new key does not open any more, nor does the tenant's own row.
#[test]
fn rows_of_before_are_refused() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    server.canis(&["key", "create", "a", "--type", "aes256-gcm"], b"").ok();
    let sealed = server.canis(&["encrypt", "a"], b"text").ok();
    server.stop();
    let kept = |table: &str, column: &str| sql(&site, &format!("select hex({column}) from {table}"));
    let (material, tenant) = (kept("kms_key_versions", "encrypted_material"), kept("tenants", "sealed"));
    let server = site.start().unsealed();
    rekey(&server);
    server.stop();
    sql(&site, &format!("update kms_key_versions set encrypted_material = x'{}'", material.trim()));
    assert!(verified(&site).contains("kms_key_versions row"), "{}", verified(&site));
    let server = site.start().unsealed();
    let refused = server.canis(&["decrypt", "a"], &sealed.stdout);
    assert!(refused.code == 3 && refused.stderr.contains("(store_tampered)"), "{refused:?}");
    server.stop();
    sql(&site, &format!("update tenants set sealed = x'{}'", tenant.trim()));
    assert!(verified(&site).contains("tenants row"), "{}", verified(&site));
}

/// Who uses keys while the tenant key is replaced notices nothing; who writes waits.
#[test]
fn nobody_notices() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    for n in 0..40 {
        server.canis(&["key", "create", &format!("k/{n}"), "--type", "aes256-gcm"], b"").ok();
    }
    let config = || {
        let ca = std::fs::read(server.ca()).unwrap();
        Config { token: Some(site.token.clone().into()), ..Config::new(server.addr(), ca, "ca.pem") }
    };
    let (over, uses) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for start in [0, 20] {
            let (over, uses) = (&over, &uses);
            scope.spawn(move || {
                let mut client = Client::connect(&config()).unwrap();
                for n in (start..).take_while(|_| !over.load(Ordering::Relaxed)) {
                    let name = format!("k/{}", n % 40);
                    let sealed = client.call(&Encrypt::new(name.as_str(), b"x".as_slice())).unwrap();
                    let opened = client.call(&Decrypt::new(name.as_str(), sealed.ciphertext)).unwrap();
                    assert_eq!(opened.plaintext[..], b"x"[..]);
                    uses.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        scope.spawn(|| {
            let mut client = Client::connect(&config()).unwrap();
            for n in (0..).take_while(|_| !over.load(Ordering::Relaxed)) {
                let id = format!("entry {}", n % 10);
                let request = PutEntry {
                    id: id.as_str().into(),
                    name: "".into(),
                    public_key: b"of somebody"[..].into(),
                    private_key: b"a secret"[..].into(),
                    generate: None,
                    revision: None,
                };
                client.call(&request).unwrap();
            }
        });
        for _ in 0..5 {
            rekey(&server);
            std::thread::sleep(Duration::from_millis(50));
        }
        over.store(true, Ordering::Relaxed);
    });
    assert!(uses.load(Ordering::Relaxed) > 20);
    server.stop();
    let report = verified(&site);
    assert!(report.contains("whole") && !report.contains("not whole"), "{report}");
}

/// A token that its PINs guard gets a new key by both of them, in a store with a root and in one without: PINs and objects are as they
/// were, the row of before opens nothing. With one PIN missing or wrong nothing is changed, and a wrong one counts.
#[test]
fn a_token_that_pins_guard() {
    for (site, rooted) in [(Site::with_keyfile(), true), (Site::without_store(), false)] {
        let file = |name: &str, text: &str| {
            std::fs::write(site.file(name), text).unwrap();
            site.file(name).display().to_string()
        };
        let (so, user, wrong) = (file("so", "87654321"), file("user", "12345678"), file("wrong", "11111111"));
        let slot = |arguments: &[&str]| {
            let mut canis = site.command("canis");
            run(canis.arg("slot").args(arguments).arg("--data").arg(site.data()), b"")
        };
        let rekey = |arguments: &[&str]| {
            let mut canis = site.command("canis");
            let asked = canis.args(["tenant", "rekey", "vault"]).args(arguments);
            run(asked.arg("--data").arg(site.data()), b"")
        };
        slot(&["init", "--label", "vault", "--so-pin-file", &so, "--pin-file", &user]).ok();
        let secret = file("secret", &"k".repeat(32));
        let import = |label: &str, id: &str, pin: &str| {
            let key = ["import", &secret, "--secret", "aes", "--token", "vault", "--label", label];
            slot(&[&key[..], &["--id", id, "--pin-file", pin]].concat())
        };
        import("first", "01", &user).ok();
        let tenant = sql(&site, "select hex(sealed) from tenants where name = 'vault'");

        for (arguments, code, says) in [
            (&[][..], "tenant_locked", "--so-pin-file"),
            (&["--so-pin-file", &so][..], "tenant_locked", "--pin-file"),
            (&["--so-pin-file", &so, "--pin-file", &wrong][..], "pin_incorrect", "9 tries are left"),
            (&["--so-pin-file", &wrong, "--pin-file", &user][..], "pin_incorrect", "9 tries are left"),
        ] {
            let refused = rekey(arguments);
            assert!(refused.code != 0 && refused.stderr.contains(&format!("({code})")), "{refused:?}");
            assert!(refused.stderr.contains(says), "{refused:?}");
        }
        assert_eq!(sql(&site, "select hex(sealed) from tenants where name = 'vault'"), tenant);

        for id in ["02", "03"] {
            rekey(&["--so-pin-file", &so, "--pin-file", &user]).ok();
            let there = import("first", "01", &user);
            assert!(there.stderr.contains("(key_exists)"), "{there:?}");
            import("second", id, &user).ok();
        }
        let report = verified(&site);
        let whole = report.contains("whole") && !report.contains("not whole");
        assert!(whole || !rooted, "{report}");
        slot(&["unlock", "--token", "vault", "--so-pin-file", &so, "--pin-file", &wrong]).ok();
        import("by the new PIN", "04", &wrong).ok();

        let update = format!("update tenants set sealed = x'{}' where name = 'vault'", tenant.trim());
        sql(&site, &update);
        let refused = import("by the old key", "05", &wrong);
        assert!(refused.code == 3 && refused.stderr.contains("(store_tampered)"), "{refused:?}");
    }
}

/// At a server: the token's PINs decide, whosever administrator brings them, and a tenant that the root opens asks for none.
#[test]
fn pins_at_a_server() {
    let site = Site::with_keyfile();
    let pin = site.file("pin");
    std::fs::write(&pin, "87654321").unwrap();
    let pin = pin.display().to_string();
    let server = site.start().unsealed();
    server.canis(&["slot", "init", "--label", "vault", "--so-pin-file", &pin, "--pin-file", &pin], b"").ok();
    let pins = ["--so-pin-file", &pin, "--pin-file", &pin];
    let refused = server.canis(&["tenant", "rekey", "vault"], b"");
    assert!(refused.code == 3 && refused.stderr.contains("(tenant_locked)"), "{refused:?}");
    server.canis(&[&["tenant", "rekey", "vault"][..], &pins].concat(), b"").ok();
    let refused = server.canis(&[&["tenant", "rekey", "default"][..], &pins].concat(), b"");
    assert!(refused.code == 3 && refused.stderr.contains("without them"), "{refused:?}");
    rekey(&server);
    server.stop();
}
