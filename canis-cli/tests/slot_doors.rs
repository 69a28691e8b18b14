//! `canis slot …` at its two doors: a store of this machine and a running server say and do the same.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Server, Site, binary, module, run};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const SO_PIN: &str = "so-pin-8765";
const PIN: &str = "user-pin-1234";

/// What is asked, how it ends, and a word that its answer holds.
const SCRIPT: &[(&str, i32, &str)] = &[
    ("list", 0, "default"),
    ("list --json", 0, "tries_left"),
    ("set-pin --token default --pin-file pin", 0, ""),
    ("set-pin --token default --pin-file pin --json", 0, "default"),
    ("set-pin --token absent --pin-file pin", 3, "the labels are: default"),
    ("init --label web --so-pin-file so --pin-file pin", 0, "1\n"),
    ("init --label web --so-pin-file so", 3, "tenant_exists"),
    ("init --label later --so-pin-file so --json", 0, "\"slot\":2"),
    ("list", 0, "not set"),
    // Nobody but the security officer lets a user in where a PIN guards the keys.
    ("set-pin --token later --pin-file pin", 3, "tenant_locked"),
    ("unlock --token later --so-pin-file wrong --pin-file pin", 3, "9 tries"),
    ("list --json", 0, "\"tries_left\":9"),
    ("unlock --token later --so-pin-file so --pin-file pin --json", 0, "later"),
    ("import --token web --pin-file wrong key.pem --label www --id 01", 3, "pin_incorrect"),
    (
        "import --token web --pin-file pin key.pem --certificate other.pem --label www --id 01",
        3,
        "another key's",
    ),
    ("import --token web --pin-file pin weak.pem --label www --id 01", 3, "invalid_key_type"),
    (
        "import --token web --pin-file pin key.pem --certificate cert.pem --label www --id 01",
        0,
        "certificate\n",
    ),
    ("import --token web --pin-file pin key.pem --label again --id 01", 3, "key_exists"),
    ("import --token web --pin-file pin public.pem --label peer --id 02 --json", 0, "[\"public key\"]"),
    ("import --token default --pin-file pin aes --secret aes --label shared --id 03", 0, "secret key\n"),
    ("import --token later --pin-file pin aes --secret aes --label kept --id 04", 0, "secret key\n"),
    ("export --token web --label www", 0, "PUBLIC KEY"),
    ("export --token web --id 01 --type certificate", 0, "BEGIN CERTIFICATE"),
    ("export --token web --id 02 --json", 0, "{\"pem\""),
    ("export --token web --id 02 --format der", 0, ""),
    ("export --token web --label absent", 3, "object_not_found"),
    ("export --token later --pin-file pin --label kept", 3, "key_not_exportable"),
    ("export --token later --pin-file wrong --label kept", 3, "pin_incorrect"),
    ("delete --token web", 3, "holds 1 key, in all 4 objects"),
    ("delete --token later", 3, "holds 1 key, in all 1 object,"),
    ("delete --token default --yes", 3, "belongs to the server"),
    ("delete --token web --so-pin-file wrong --yes", 3, "pin_incorrect"),
    ("delete --token web --so-pin-file so --yes --json", 0, "\"keys\":1"),
    ("init --label web --so-pin-file so", 0, "3\n"),
    ("delete --token web --yes", 0, ""),
    ("list", 0, "later"),
];

/// Where files for the commands are, and the PINs in them.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Desk { folder: tempfile::tempdir().unwrap() };
        for (name, bytes) in
            [("so", SO_PIN.as_bytes()), ("pin", PIN.as_bytes()), ("wrong", b"not the pin"), ("aes", &[7; 32])]
        {
            let path = desk.folder.path().join(name);
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
        }
        let script =
            "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -subj /CN=web -days 2 -out cert.pem
             openssl req -x509 -newkey rsa:2048 -nodes -keyout weak.pem -subj /CN=web -days 2 -out other.pem
             openssl genrsa -out weak.pem 1024
             openssl ecparam -name prime256v1 -genkey -noout | openssl pkey -pubout -out public.pem";
        run(Command::new("sh").args(["-euc", script]).current_dir(desk.folder.path()), b"").ok();
        desk
    }

    /// `canis slot …` without a terminal to ask on, in an environment that `prepare` makes.
    fn slot(&self, arguments: &str, prepare: impl FnOnce(&mut Command)) -> Finished {
        let mut canis = Command::new("setsid");
        canis.arg("-w").arg(binary("canis")).arg("slot").args(arguments.split_whitespace());
        prepare(canis.current_dir(self.folder.path()));
        run(&mut canis, b"")
    }

    fn at_store(&self, site: &Site, arguments: &str) -> Finished {
        self.slot(arguments, |canis| {
            canis.arg("--data").arg(site.data());
        })
    }

    fn at_server(&self, site: &Site, server: &Server, arguments: &str) -> Finished {
        self.slot(arguments, |canis| reach(canis, site, server))
    }
}

fn reach(canis: &mut Command, site: &Site, server: &Server) {
    canis.env("CANIS_ADDR", server.addr()).env("CANIS_TOKEN", &site.token).env("CANIS_CACERT", server.ca());
}

/// What was said, without the ids that no two stores share.
fn said(finished: &Finished) -> (i32, String, String) {
    let mut text = finished.text();
    if text.starts_with("{\"slots\"") {
        let mut json: Value = serde_json::from_str(&text).unwrap();
        json["slots"].as_array_mut().unwrap().iter_mut().for_each(|slot| slot["id"] = Value::Null);
        text = json.to_string();
    }
    (finished.code, text, finished.stderr.clone())
}

/// Every command says the same at both doors, ends alike, and leaves the same behind; and PINs leave no trace in the
/// server's log.
#[test]
fn both_doors_answer_alike() {
    let desk = Desk::new();
    let (alone, served) = (Site::with_keyfile(), Site::with_keyfile());
    let server = served.start().unsealed();
    for (arguments, code, word) in SCRIPT {
        let here = desk.at_store(&alone, arguments);
        let there = desk.at_server(&served, &server, arguments);
        assert_eq!(said(&here), said(&there), "{arguments}");
        assert_eq!(here.code, *code, "{arguments}: {here:?}");
        let told = here.text() + &here.stderr;
        assert!(told.contains(word), "{arguments}: {told}");
    }
    let log = server.log();
    assert!(log.contains("slot.unlock"), "it logs what was asked: {log}");
    assert!(!log.contains(PIN) && !log.contains(SO_PIN) && !log.contains("not the pin"), "{log}");
    server.stop();
    for site in [&alone, &served] {
        for (token, label) in [("default", "shared"), ("later", "kept")] {
            let mut tool = site.foreign("pkcs11-tool");
            tool.arg("--module").arg(module()).args(["--token-label", token, "--login", "--pin", PIN]);
            let shown = run(tool.args(["--list-objects"]).current_dir(desk.folder.path()), b"").ok().text();
            assert!(shown.contains(&format!("label:      {label}")), "{shown}");
        }
    }
}

/// Wrong PINs at the server count as at the module, wait and lock; the security officer's PIN unlocks.
#[test]
fn tries_at_the_server_count() {
    let desk = Desk::new();
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let slot = |arguments: &str| desk.at_server(&site, &server, arguments);
    slot("init --label web --so-pin-file so --pin-file pin").ok();
    for left in (5..10).rev() {
        let refused = slot("export --token web --pin-file wrong --label x");
        assert!(refused.stderr.contains(&format!("{left} tries are left")), "{refused:?}");
    }
    let early = slot("export --token web --pin-file pin --label x");
    assert!(early.stderr.contains("pin_delayed"), "{early:?}");
    slot("unlock --token web --so-pin-file so --pin-file pin").ok();
    assert!(slot("export --token web --pin-file pin --label x").stderr.contains("object_not_found"));
    // Who shows no token, or a wrong one, tries no PIN.
    for token in ["", "canis_wrong"] {
        let stranger = desk.slot("export --token web --pin-file wrong --label x", |canis| {
            reach(canis, &site, &server);
            canis.env("CANIS_TOKEN", token);
        });
        assert!(stranger.code == 3 && stranger.stderr.contains("unauthenticated"), "{stranger:?}");
    }
    let slots: Value = serde_json::from_slice(&slot("list --json").ok().stdout).unwrap();
    assert_eq!(slots["slots"][1]["user_pin"]["tries_left"], 10);
}

/// Tokens that are made at one moment get slots of their own; none wipes another, and no label is given twice.
#[test]
fn tokens_made_at_one_moment() {
    let desk = Desk::new();
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let made: Vec<Finished> = std::thread::scope(|scope| {
        let labels = ["a", "b", "c", "a"];
        let make = |label: &'static str| {
            let (desk, site, server) = (&desk, &site, &server);
            scope.spawn(move || {
                desk.at_server(site, server, &format!("init --label {label} --so-pin-file so"))
            })
        };
        let running: Vec<_> = labels.into_iter().map(make).collect();
        running.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let mut slots: Vec<_> = made.iter().filter(|one| one.code == 0).map(Finished::text).collect();
    slots.sort();
    assert_eq!(slots, ["1\n", "2\n", "3\n"]);
    assert!(made.iter().any(|one| one.stderr.contains("tenant_exists")));
    assert_eq!(desk.at_server(&site, &server, "list").ok().text().lines().count(), 5);
}

/// `--data` of a directory that a server holds leads to that server, and to no other.
#[test]
fn a_held_directory_leads_to_its_server() {
    let desk = Desk::new();
    let (site, other) = (Site::with_keyfile(), Site::with_keyfile());
    let (server, stranger) = (site.start().unsealed(), other.start().unsealed());
    let held = |arguments: &str, at: &Server, token: &str| {
        desk.slot(arguments, |canis| {
            canis.arg("--data").arg(site.data()).env("CANIS_ADDR", at.addr()).env("CANIS_TOKEN", token);
        })
    };
    assert_eq!(held("init --label web --so-pin-file so", &server, &site.token).ok().text(), "1\n");
    assert!(desk.at_server(&site, &server, "list").ok().text().contains("web"));
    // Its own CA is the one that counts, unless another is named.
    let refused = held("list", &stranger, &other.token);
    assert!(refused.code == 3 && refused.stderr.contains("held by a running canis-server"), "{refused:?}");
    let refused = desk.slot("delete --token default --yes", |canis| {
        reach(canis, &other, &stranger);
        canis.arg("--data").arg(site.data());
    });
    assert!(refused.code == 3 && refused.stderr.contains("keeps another store"), "{refused:?}");
    let refused = held("list", &server, "");
    assert!(refused.code == 3 && refused.stderr.contains("unauthenticated"), "{refused:?}");
    // A root's credential opens stores, not servers.
    let wrong = desk.at_server(&site, &server, "list --keyfile pin");
    assert_eq!(wrong.code, 2, "{wrong:?}");
    server.stop();
    assert!(held("list", &stranger, "").ok().text().contains("web"));
}

/// An import that breaks off leaves nothing: no half of a pair, no key without its certificate.
#[test]
fn a_broken_off_import_leaves_nothing() {
    let desk = Desk::new();
    let site = Site::with_keyfile();
    desk.at_store(&site, "init --label web --so-pin-file so --pin-file pin").ok();
    let store = rusqlite::Connection::open(site.data().join("canis.dat")).unwrap();
    let rows = || -> (u32, u32, u32) {
        let count = |table: &str| {
            store.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
        };
        (count("kms_keys"), count("kms_key_versions"), count("objects"))
    };
    // The certificate comes last, and the store does not take it.
    let refuse = "CREATE TRIGGER refuse BEFORE INSERT ON objects WHEN NEW.class = 1 BEGIN SELECT RAISE(ABORT, 'no'); END";
    store.execute_batch(refuse).unwrap();
    let import = "import --token web --pin-file pin key.pem --certificate cert.pem --label www --id 01";
    assert_eq!(desk.at_store(&site, import).code, 3);
    assert_eq!(rows(), (0, 0, 0));
    store.execute_batch("DROP TRIGGER refuse").unwrap();
    // Killed at any moment it has happened, or it has not.
    let began = std::time::Instant::now();
    desk.at_store(&site, import).ok();
    let whole = began.elapsed();
    assert_eq!(rows(), (1, 1, 3));
    let mut expected = 1;
    for moment in 1..=10 {
        let id = format!("a{moment:x}");
        let mut canis = Command::new(binary("canis"));
        canis.args([
            "slot",
            "import",
            "--token",
            "web",
            "--pin-file",
            "pin",
            "key.pem",
            "--certificate",
            "cert.pem",
        ]);
        canis.args(["--label", "k", "--id", &id, "--data"]).arg(site.data()).current_dir(desk.folder.path());
        let mut child = canis.stdout(std::process::Stdio::null()).spawn().unwrap();
        std::thread::sleep(whole * moment / 10);
        drop(child.kill());
        child.wait().unwrap();
        let (keys, versions, objects) = rows();
        assert!(keys == expected || keys == expected + 1, "{keys} after {expected}");
        assert_eq!((versions, objects), (keys, 3 * keys));
        expected = keys;
    }
}
