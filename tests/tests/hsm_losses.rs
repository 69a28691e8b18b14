//! What is lost around an HSM, and what CANIS does then: the rows of docs/operations.md, and what it measures.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Shim, Site, SoftHsm, run};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const OPERATIONS: &str = include_str!("../../docs/operations.md");

fn written(site: &Site, name: &str, text: &str) -> String {
    let path = site.file(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

fn canis(site: &Site, args: &[&str]) -> Finished {
    run(site.command("canis").args(args), b"")
}

fn data(site: &Site) -> String {
    site.data().display().to_string()
}

/// A second root beside the HSM.
fn add_passphrase(site: &Site) -> String {
    let file = written(site, "passphrase", "kept in a safe elsewhere");
    let args = ["root", "add", "passphrase", "--data", &data(site), "--new-passphrase-file", &file];
    canis(site, &args).ok();
    file
}

/// The HSM is gone for good: the second root opens the store, and its slot is let go.
#[test]
fn another_root_opens_without_the_hsm() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let passphrase = add_passphrase(&site);
    hsm.unplug();
    let data = data(&site);
    let verify = ["store", "verify", "--data", &data, "--passphrase-file", &passphrase];
    canis(&site, &verify).ok();
    canis(&site, &["root", "remove", "hsm", "--data", &data, "--passphrase-file", &passphrase]).ok();
    let listed = canis(&site, &["root", "list", "--data", &data]).ok().text();
    assert!(listed.contains("passphrase") && !listed.contains("hsm"), "{listed}");
}

/// The token was re-initialised: its key is gone and nothing makes a new one by itself; with another root the slot is
/// wrapped anew under a new key.
#[test]
fn a_token_that_was_re_initialised() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let passphrase = add_passphrase(&site);
    fs::remove_dir_all(hsm.tokens()).unwrap();
    fs::create_dir(hsm.tokens()).unwrap();
    hsm.add_token("canis-hsm");
    let server = site.start();
    let reason = server.wait_for("sealed: ");
    assert!(reason.contains("holds no AES key `canis-root`; was it re-initialised?"), "{reason}");
    server.stop();
    let (data, pin) = (data(&site), site.file("hsm.pin").display().to_string());
    canis(
        &site,
        &[
            "root",
            "rotate",
            "hsm",
            "--data",
            &data,
            "--passphrase-file",
            &passphrase,
            "--new-module",
            SoftHsm::MODULE,
            "--token-label",
            "canis-hsm",
            "--new-pin-file",
            &pin,
        ],
    )
    .ok();
    site.start().unsealed().stop();
}

/// The PIN was changed: it is tried once, and the new one opens as soon as its file has it.
#[test]
fn a_pin_that_was_changed() {
    let hsm = SoftHsm::new("canis-hsm");
    let shim = Shim::before(SoftHsm::MODULE);
    let site = Site::with_hsm_through(&hsm, &shim.module());
    let mut tool = site.foreign("pkcs11-tool");
    tool.args(["--module", SoftHsm::MODULE, "--token-label", "canis-hsm", "--login", "--pin", SoftHsm::PIN]);
    run(tool.args(["--change-pin", "--new-pin", "another-pin"]), b"").ok();
    drop(shim.calls());
    let server = site.start();
    let reason = server.wait_for("sealed: ");
    assert!(reason.contains("refuses the PIN; it was tried once"), "{reason}");
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(shim.count("C_Login"), 1);
    server.stop();
    fs::write(site.file("hsm.pin"), "another-pin\n").unwrap();
    site.start().unsealed().stop();
}

/// The PIN can stand in an environment variable that the flag or canis.toml names; the helper does not inherit it.
#[test]
fn a_pin_in_the_environment() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let data = data(&site);
    let test = |name: &str, value: &str| {
        let mut canis = site.command("canis");
        canis.args(["root", "test", "hsm", "--data", &data, "--module", SoftHsm::MODULE]);
        run(canis.args(["--hsm-pin-file", &format!("env:{name}")]).env("CANIS_TEST_PIN", value), b"")
    };
    test("CANIS_TEST_PIN", SoftHsm::PIN).ok();
    assert!(test("CANIS_TEST_PIN", "wrong").stderr.contains("refuses the PIN"));
    let unset = test("CANIS_NO_SUCH", "");
    assert!(unset.code == 3 && unset.stderr.contains("CANIS_NO_SUCH is not set"), "{}", unset.stderr);
}

/// A copy of the store whose original is lost opens with the HSM as the original did.
#[test]
fn the_file_is_lost_and_a_copy_is_there() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let server = site.start().unsealed();
    server.canis(&["key", "create", "k", "--type", "aes256-gcm"], b"").ok();
    let sealed = server.canis(&["encrypt", "k"], b"kept").ok();
    server.stop();
    let store = site.data().join("canis.dat");
    let copy = site.file("copy.dat");
    fs::copy(&store, &copy).unwrap();
    for name in ["canis.dat", "canis.dat-wal", "canis.dat-shm", "canis.gen"] {
        drop(fs::remove_file(site.data().join(name)));
    }
    let none = canis(&site, &["store", "verify", "--data", &data(&site)]);
    assert!(none.code == 3 && none.stderr.contains("there is no store"), "{}", none.stderr);
    fs::copy(&copy, &store).unwrap();
    let server = site.start().unsealed();
    assert_eq!(server.canis(&["decrypt", "k"], &sealed.stdout).ok().stdout, b"kept");
    server.stop();
}

fn login(site: &Site, data: &Path, pin: &str) -> Finished {
    let mut tool = site.foreign("pkcs11-tool");
    tool.arg("--module").arg(canis_tests::module()).args(["--token-label", "vault", "--login", "--pin", pin]);
    run(tool.args(["--list-objects", "--type", "secrkey"]).env("CANIS_DATA", data), b"")
}

/// R92: PINs of tenants are worth nothing without the HSM: a copied store and the right PIN open nothing, not even when the
/// root slots are taken out of the copy; with the HSM they do.
#[test]
fn a_copied_store_and_the_right_pin_open_nothing() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let (so_pin, pin) = (written(&site, "so.pin", "87654321"), written(&site, "user.pin", "123456"));
    let make = ["slot", "init", "--data", &data(&site), "--label", "vault", "--so-pin-file", &so_pin];
    canis(&site, &[&make[..], &["--pin-file", &pin]].concat()).ok();
    let mut tool = site.foreign("pkcs11-tool");
    tool.arg("--module").arg(canis_tests::module()).args([
        "--token-label",
        "vault",
        "--login",
        "--pin",
        "123456",
    ]);
    run(tool.args(["--keygen", "--key-type", "AES:32", "--label", "treasure"]), b"").ok();
    let copy: PathBuf = site.file("copy");
    let rootless: PathBuf = site.file("rootless");
    for stolen in [&copy, &rootless] {
        fs::create_dir(stolen).unwrap();
        for file in ["canis.dat", "canis.toml"] {
            fs::copy(site.data().join(file), stolen.join(file)).unwrap();
        }
    }
    let mut sqlite = Command::new("sqlite3");
    run(sqlite.arg(rootless.join("canis.dat")).arg("delete from root_slots"), b"").ok();
    assert!(login(&site, &copy, "123456").ok().text().contains("treasure"), "with the HSM it opens");
    hsm.unplug();
    for stolen in [&copy, &rootless] {
        let refused = login(&site, stolen, "123456");
        assert!(refused.code != 0 && !refused.text().contains("treasure"), "{}", refused.text());
    }
    hsm.plug();
    assert!(login(&site, &copy, "123456").ok().text().contains("treasure"), "with the HSM it opens");
    assert_ne!(login(&site, &rootless, "123456").code, 0);
}

/// R95: what an unsealing costs an HSM, and that nothing else asks it. docs/operations.md has the number.
#[test]
fn calls_of_the_hsm_are_counted() {
    let hsm = SoftHsm::new("canis-hsm");
    let shim = Shim::before(SoftHsm::MODULE);
    let site = Site::with_hsm_through(&hsm, &shim.module());
    // From the first start on the HSM remembers the store's last commit. Its helpers have ended with the server: they write
    // where it writes, which is read to the end.
    site.start().unsealed().stop();
    drop(shim.calls());
    let server = site.start().unsealed();
    // The helper lets go of the library after it has answered.
    let (mut calls, patience) = (shim.calls(), Instant::now() + Duration::from_secs(60));
    while calls.last().is_none_or(|last| last != "C_Finalize") {
        assert!(Instant::now() < patience, "the library is not let go of: {calls:?}");
        std::thread::sleep(Duration::from_millis(20));
        calls.extend(shim.calls());
    }
    let said = format!("{} calls of its library, one of them C_Login", calls.len());
    assert!(OPERATIONS.contains(&said), "docs/operations.md does not say `{said}`: {calls:?}");
    assert_eq!(calls.iter().filter(|call| *call == "C_Login").count(), 1);
    server.canis(&["key", "create", "a", "--type", "aes256-gcm"], b"").ok();
    server.canis(&["key", "create", "e", "--type", "ed25519"], b"").ok();
    for _ in 0..10 {
        let sealed = server.canis(&["encrypt", "a"], b"text").ok();
        server.canis(&["decrypt", "a"], &sealed.stdout).ok();
        server.canis(&["sign", "e"], b"text").ok();
    }
    server.canis(&["key", "rotate", "a"], b"").ok();
    assert_eq!(shim.calls(), [""; 0], "no operation asks the HSM");
    server.stop();
}

/// Every row of the table of losses names tests that there are.
#[test]
fn every_row_names_a_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let rows: Vec<&str> =
        OPERATIONS.lines().filter(|line| line.starts_with("| ") && line.contains(".rs")).collect();
    assert!(rows.len() >= 15, "{}", rows.len());
    for row in rows {
        let shown = row.rsplit('|').nth(1).unwrap();
        // A file, tests in it, another file, tests in that.
        let (mut file, mut text, mut named) = ("", String::new(), 0);
        for part in shown.split('`').skip(1).step_by(2) {
            if part.ends_with(".rs") {
                assert!(file.is_empty() || named > 0, "no test of {file} is named: {row}");
                (file, named) = (part, 0);
                text = fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
            } else {
                assert!(text.contains(&format!("\nfn {part}(")), "{file} has no test {part}");
                named += 1;
            }
        }
        assert!(named > 0, "no test is named: {row}");
    }
}
