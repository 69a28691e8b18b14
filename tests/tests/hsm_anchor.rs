//! The HSM remembers how far a store has come: an older copy of the whole store, put in place of the newer one, is refused.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Shim, Site, SoftHsm, run, write_private};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const FILES: [&str; 4] = ["canis.dat", "canis.dat-wal", "canis.dat-shm", "canis.gen"];

/// The store's files as they lie there now.
fn copied(site: &Site, name: &str) -> PathBuf {
    let copy = site.file(name);
    fs::create_dir(&copy).unwrap();
    move_files(&site.data(), &copy);
    copy
}

/// Puts a copy in place of what is there.
fn put_back(site: &Site, copy: &Path) {
    for name in FILES {
        drop(fs::remove_file(site.data().join(name)));
    }
    move_files(copy, &site.data());
}

fn move_files(from: &Path, to: &Path) {
    for name in FILES {
        if from.join(name).exists() {
            fs::copy(from.join(name), to.join(name)).unwrap();
        }
    }
}

fn canis(site: &Site, args: &[&str]) -> Finished {
    run(site.command("canis").args(args).arg("--data").arg(site.data()), b"")
}

fn make_key(server: &canis_tests::Server, name: &str) {
    server.canis(&["key", "create", name, "--type", "aes256-gcm"], b"").ok();
}

/// Why a server stays sealed here.
fn refusal(site: &Site) -> String {
    let server = site.start();
    let reason = server.wait_for("sealed: ");
    server.stop();
    reason
}

/// What pkcs11-tool is told to do with the token.
fn token(site: &Site, args: &[&str]) -> Finished {
    let mut tool = site.foreign("pkcs11-tool");
    tool.args(["--module", SoftHsm::MODULE, "--token-label", "canis-hsm", "--login", "--pin", SoftHsm::PIN]);
    run(tool.args(args), b"")
}

/// The labels of the anchors in the token.
fn anchors(site: &Site) -> Vec<String> {
    let listed = token(site, &["--list-objects", "--type", "data"]).ok().text();
    let label = |line: &str| line.split('\'').nth(1).map(str::to_owned);
    listed.lines().filter(|line| line.contains("canis-anchor-")).filter_map(label).collect()
}

/// Longer than until the server asks a token again that was not to be had, which takes a minute.
fn until(what: &str, done: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(200);
    while !done() {
        assert!(Instant::now() < end, "{what} did not come about");
        std::thread::sleep(Duration::from_millis(500));
    }
}

fn audit_log(site: &Site) -> String {
    let files = fs::read_dir(site.data().join("audit")).unwrap();
    files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap_or_default()).collect()
}

/// The numbers in a text.
fn numbers(text: &str) -> Vec<u64> {
    let after = |part: &str| part.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok();
    text.split("number ").skip(1).filter_map(after).collect()
}

/// An older copy of the store does not open, whoever opens it; its owner can accept it, which is written down. Then the newer
/// one is the one that does not open.
#[test]
fn an_older_copy_is_refused_until_it_is_accepted() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let server = site.start().unsealed();
    make_key(&server, "kept");
    server.stop();
    let older = copied(&site, "older");
    let server = site.start().unsealed();
    server.canis(&["key", "destroy", "kept", "--yes"], b"");
    make_key(&server, "new");
    server.stop();
    assert_eq!(anchors(&site).len(), 1, "one object is kept");
    let newer = copied(&site, "newer");

    put_back(&site, &older);
    let refused = refusal(&site);
    let [store, remembered] = numbers(&refused)[..] else { panic!("two numbers are named: {refused}") };
    assert!(store < remembered && refused.contains("--accept-rollback"), "{refused}");
    let refused = canis(&site, &["store", "verify"]);
    assert!(refused.code == 3 && refused.stderr.contains("older than"), "{refused:?}");

    let accepted = canis(&site, &["store", "verify", "--accept-rollback"]).ok();
    assert!(accepted.text().contains("whole"), "{accepted:?}");
    assert!(audit_log(&site).contains("\"store.accept-rollback\""), "{}", audit_log(&site));
    let server = site.start().unsealed();
    make_key(&server, "after");
    server.stop();

    put_back(&site, &newer);
    assert!(refusal(&site).contains("older than"));
}

/// Two copies that went on apart have commits of one number: the one that the HSM does not know is refused.
#[test]
fn another_commit_of_the_same_number_is_refused() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let passphrases: Vec<String> = ["one", "two", "three"]
        .map(|name| {
            let path = site.file(name);
            write_private(&path, format!("passphrase number {name}"));
            path.display().to_string()
        })
        .to_vec();
    let add = |file: &str, opener: &[&str]| {
        let args = [&["root", "add", "passphrase", "--new-passphrase-file", file], opener].concat();
        canis(&site, &args).ok();
    };
    add(&passphrases[0], &[]);
    site.start().unsealed().stop();
    let base = copied(&site, "base");
    add(&passphrases[1], &[]);
    site.start().unsealed().stop();
    put_back(&site, &base);
    // By another root, which the HSM knows nothing of.
    add(&passphrases[2], &["--passphrase-file", &passphrases[0]]);
    let refused = refusal(&site);
    assert!(refused.contains("two copies that went on apart"), "{refused}");
    let [store, remembered] = numbers(&refused)[..] else { panic!("two numbers are named: {refused}") };
    assert_eq!(store, remembered);
    // The other root opens it, and says so in the log; what the HSM remembers stays.
    let server = site.start();
    server.wait_for("sealed: ");
    let unseal = ["unseal", "--passphrase-file", &passphrases[0]];
    server.canis(&unseal, b"").ok();
    until("the warning", || server.log().contains("the HSM remembers another store than this one"));
    server.stop();
    assert!(refusal(&site).contains("two copies that went on apart"));
}

/// A process that is killed between a commit and its anchor leaves a store that is newer than the anchor: it opens. With
/// enough commits the HSM has taken note before.
#[test]
fn killed_before_the_anchor() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let server = site.start().unsealed();
    until("the first anchor", || anchors(&site).len() == 1);
    make_key(&server, "one");
    server.kill();
    let config = site.data().join("canis.toml");
    let kept = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("anchor_every = 10\n{kept}")).unwrap();
    let server = site.start().unsealed();
    server.canis(&["encrypt", "one"], b"text").ok();
    server.stop();
    let older = copied(&site, "older");

    let shim = Shim::before(SoftHsm::MODULE);
    fs::write(
        &config,
        format!("anchor_every = 10\n{}", kept.replace(SoftHsm::MODULE, &shim.module().display().to_string())),
    )
    .unwrap();
    let server = site.start().unsealed();
    drop(shim.calls());
    make_key(&server, "two");
    std::thread::sleep(Duration::from_millis(1500));
    assert_eq!(shim.count("C_CreateObject"), 0, "one commit is not enough");
    (0..10).for_each(|number| make_key(&server, &format!("more/{number}")));
    until("an anchor after ten commits", || shim.count("C_DestroyObject") > 0);
    server.kill();
    put_back(&site, &older);
    assert!(refusal(&site).contains("older than"));
}

/// A token that remembers nothing (the first use, or made anew with the old key) lets the store open, and remembers it from
/// then on.
#[test]
fn a_token_that_remembers_nothing() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    assert!(anchors(&site).is_empty(), "making a store leaves none");
    site.start().unsealed().stop();
    let label = anchors(&site).remove(0);
    token(&site, &["--delete-object", "--type", "data", "--label", &label]).ok();
    assert!(anchors(&site).is_empty());
    let server = site.start().unsealed();
    until("an anchor", || anchors(&site) == [label.as_str()]);
    server.stop();
}

/// Who has the PIN can write what is called an anchor. It is named, not believed; the owner can have it replaced.
#[test]
fn a_forged_anchor_is_named() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    site.start().unsealed().stop();
    let label = anchors(&site).remove(0);
    let forged = site.file("forged");
    // {"format": 1, "hash": 32 bytes, "mac": 32 bytes, "sequence": 999999}
    let map = [
        &b"\xa4\x63mac\x58\x20"[..],
        &[7; 32],
        b"\x64hash\x58\x20",
        &[7; 32],
        b"\x66format\x01\x68sequence\x1a\x00\x0f\x42\x3f",
    ]
    .concat();
    for (bytes, said) in [
        (map, "says 999999, where the store's last commit is number"),
        (vec![0; 20], "says nothing that can be read"),
    ] {
        fs::write(&forged, bytes).unwrap();
        let write = [
            "--write-object",
            &forged.display().to_string(),
            "--type",
            "data",
            "--label",
            &label,
            "--private",
        ];
        token(&site, &write).ok();
        let refused = refusal(&site);
        assert!(refused.contains(said) && refused.contains("the token's PIN wrote it"), "{refused}");
        canis(&site, &["store", "verify", "--accept-rollback"]).ok();
        assert_eq!(anchors(&site).len(), 1);
        site.start().unsealed().stop();
    }
}

/// A token that is full or takes no objects is warned of; keys are served.
#[test]
fn a_token_that_takes_nothing() {
    let hsm = SoftHsm::new("canis-hsm");
    let shim = Shim::before(SoftHsm::MODULE);
    let site = Site::with_hsm_through(&hsm, &shim.module());
    for code in ["31", "E2"] {
        shim.rule(&format!("C_CreateObject {code}\n"));
        let server = site.start().unsealed();
        until("the warning", || server.log().contains("takes no data object"));
        make_key(&server, &format!("k{code}"));
        server.stop();
        assert!(anchors(&site).is_empty());
    }
    shim.rule("");
    site.start().unsealed().stop();
    assert_eq!(anchors(&site).len(), 1);
}

/// A new root key does not cut the store off from its anchor, which the old one wrote; a copy of before stays refused.
#[test]
fn a_new_root_key_knows_the_anchors_of_the_old_one() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    site.start().unsealed().stop();
    let older = copied(&site, "older");
    let pin = format!("hsm={}", site.file("hsm.pin").display());
    for _ in 0..2 {
        canis(&site, &["root", "rotate-key", "--keep", &pin, "--keep-module", SoftHsm::MODULE]).ok();
    }
    // No server has written an anchor since.
    let server = site.start().unsealed();
    server.stop();
    let newer = copied(&site, "newer");
    put_back(&site, &older);
    let refused = refusal(&site);
    assert!(refused.contains("a copy from before its root key was replaced"), "{refused}");
    put_back(&site, &newer);
    site.start().unsealed().stop();
}
