//! Ways in which tokens wrap a root key, on two different modules.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Shim, SoftHsm, binary, module, run, write_private};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A module that serves as HSM, and what its tokens' PINs are.
struct Hsm {
    module: PathBuf,
    environment: (&'static str, PathBuf),
    pin: PathBuf,
    dir: tempfile::TempDir,
    _softhsm: Option<SoftHsm>,
}

impl Hsm {
    fn soft(module: PathBuf) -> Self {
        let softhsm = SoftHsm::new("root");
        Hsm::of(module, ("SOFTHSM2_CONF", softhsm.config()), SoftHsm::PIN, Some(softhsm))
    }

    /// The project's own module on a store of its own.
    fn own() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("hsm");
        let hsm = Hsm::of(module(), ("CANIS_DATA", data.clone()), "123456", None);
        let so_pin = hsm.file("so.pin");
        fs::write(&so_pin, "87654321").unwrap();
        let data = hsm.dir.path().join("hsm");
        let hsm = Hsm { environment: ("CANIS_DATA", data.clone()), ..hsm };
        let [data, so_pin, pin] = [&data, &so_pin, &hsm.pin].map(|path| path.display().to_string());
        hsm.canis(&[
            "slot",
            "init",
            "--data",
            &data,
            "--label",
            "root",
            "--so-pin-file",
            &so_pin,
            "--pin-file",
            &pin,
        ])
        .ok();
        hsm
    }

    fn of(
        module: PathBuf,
        environment: (&'static str, PathBuf),
        pin: &str,
        softhsm: Option<SoftHsm>,
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pin");
        write_private(&file, pin);
        Hsm { module, environment, pin: file, dir, _softhsm: softhsm }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn canis(&self, args: &[&str]) -> Finished {
        let mut canis = Command::new(binary("canis"));
        run(canis.args(args).env(self.environment.0, &self.environment.1), b"")
    }

    /// Makes a store whose root wraps by `mechanism`, or by the best there is.
    fn init(&self, store: &Path, mechanism: &str, more: &[&str]) -> Finished {
        let [store, module, pin] = [store, &self.module, &self.pin].map(|path| path.display().to_string());
        let mut args =
            vec!["init", "--data", &store, "--root", "hsm", "--module", &module, "--pin-file", &pin];
        if !mechanism.is_empty() {
            args.extend(["--wrap-mechanism", mechanism]);
        }
        self.canis(&[&args[..], more].concat())
    }

    /// Opens a store by the HSM.
    fn opens(&self, store: &Path) -> Finished {
        let [store, module, pin] = [store, &self.module, &self.pin].map(|path| path.display().to_string());
        self.canis(&["root", "test", "--data", &store, "--module", &module, "--hsm-pin-file", &pin])
    }

    /// Makes a store, opens it, and says how its slot is described.
    fn round(&self, mechanism: &str) -> String {
        let store = self.file(&format!("store-{mechanism}"));
        let label = format!("key-{mechanism}");
        self.init(&store, mechanism, &["--token-label", "root", "--key-label", &label]).ok();
        let opened = self.opens(&store).ok().text();
        let verified = self.canis(&["store", "verify", "--data", &store.display().to_string()]);
        assert_eq!(verified.code, 0, "{}", verified.stderr);
        opened
    }
}

/// R92: each mechanism of SoftHSM2 wraps and opens; what it lists and cannot do is refused with its reason, and nothing is made.
#[test]
fn softhsm_by_each_mechanism() {
    let hsm = Hsm::soft(SoftHsm::MODULE.into());
    for mechanism in ["aes-gcm", "aes-key-wrap-pad", "aes-key-wrap", "rsa-oaep-sha1"] {
        let opened = hsm.round(mechanism);
        assert!(opened.contains(&format!("object=key-{mechanism}, {mechanism}")), "{opened}");
    }
    assert!(hsm.round("").contains("aes-gcm"), "the best is chosen");
    let store = hsm.file("none");
    let refused = hsm.init(&store, "rsa-oaep-sha512", &["--token-label", "root"]);
    assert!(refused.code == 3 && refused.stderr.contains("rsa-oaep-sha512:"), "{}", refused.stderr);
    assert!(!store.join("canis.dat").exists());
    let unknown = hsm.init(&store, "rot13", &["--token-label", "root"]);
    assert!(unknown.code == 2 && unknown.stderr.contains("aes-key-wrap-pad"), "{}", unknown.stderr);
}

/// R92: the project's own module is the HSM of another store, by each mechanism that it has.
#[test]
fn the_own_module_as_hsm() {
    let hsm = Hsm::own();
    for mechanism in ["aes-gcm", "aes-key-wrap-pad", "aes-key-wrap", "rsa-oaep-sha512", "rsa-oaep-sha256"] {
        let opened = hsm.round(mechanism);
        assert!(opened.contains(mechanism), "{opened}");
    }
}

/// R92: an HSM that takes no IV but its own: the one that it wrote is the one that is stored.
#[test]
fn the_hsms_own_iv_is_read_back() {
    let shim = Shim::before(SoftHsm::MODULE);
    let hsm = Hsm::soft(shim.module());
    shim.rule("C_EncryptInit own-iv");
    let opened = hsm.round("aes-gcm");
    assert!(opened.contains("aes-gcm"), "{opened}");
    let mut sqlite = Command::new("sqlite3");
    sqlite.arg(hsm.file("store-aes-gcm").join("canis.dat")).arg("select hex(body) from root_slots");
    let slot = run(&mut sqlite, b"").ok().text();
    assert!(slot.contains(&"C5".repeat(12)), "the nonce is the HSM's: {slot}");
    shim.rule("");
    hsm.opens(&hsm.file("store-aes-gcm")).ok();
}

/// The slot's wrapped key is bound to its place whatever the mechanism: taken over into another store it opens nothing.
#[test]
fn a_slot_belongs_to_its_store() {
    let hsm = Hsm::soft(SoftHsm::MODULE.into());
    let sql = |store: &Path, text: &str| {
        let mut sqlite = Command::new("sqlite3");
        run(sqlite.arg(store.join("canis.dat")).arg(text), b"").ok().text()
    };
    for mechanism in ["aes-gcm", "aes-key-wrap-pad", "rsa-oaep-sha1"] {
        let [one, two] = ["one", "two"].map(|name| hsm.file(&format!("{mechanism}-{name}")));
        let label = format!("key-{mechanism}");
        for store in [&one, &two] {
            hsm.init(store, mechanism, &["--token-label", "root", "--key-label", &label]).ok();
        }
        let read = "select hex(id), hex(body), revision from root_slots";
        let slot = sql(&one, read);
        let fields: Vec<&str> = slot.trim().split('|').collect();
        sql(&two, &format!("update root_slots set id = x'{}', body = x'{}'", fields[0], fields[1]));
        let refused = hsm.opens(&two);
        assert_eq!(refused.code, 3, "{mechanism}: {}", refused.text());
    }
}

/// R92: what a token can do is found out without leaving anything in it.
#[test]
fn a_probe_leaves_nothing_behind() {
    let shim = Shim::before(SoftHsm::MODULE);
    let hsm = Hsm::soft(shim.module());
    let [module, pin] = [&hsm.module, &hsm.pin].map(|path| path.display().to_string());
    let probe = |more: &[&str]| {
        hsm.canis(&[&["root", "probe", "--json", "--module", &module], more].concat()).ok().text()
    };
    let tokens: serde_json::Value = serde_json::from_str(&probe(&[])).unwrap();
    assert_eq!(tokens["tokens"][0]["label"], "root");
    assert_eq!(tokens["tokens"][0]["model"], "SoftHSM v2");
    assert_eq!(tokens["mechanisms"].as_array().unwrap().len(), 0);

    let listed: serde_json::Value = serde_json::from_str(&probe(&["--token-label", "root"])).unwrap();
    assert_eq!(listed["mechanisms"][0]["works"], serde_json::Value::Null);
    assert_eq!(shim.count("C_Login"), 0, "no PIN, no login");

    let tried = probe(&["--token-label", "root", "--pin-file", &pin]);
    let tried: serde_json::Value = serde_json::from_str(&tried).unwrap();
    assert_eq!(tried["chosen"], "aes-gcm");
    let works = |name: &str| {
        let all = tried["mechanisms"].as_array().unwrap();
        all.iter().find(|verdict| verdict["mechanism"] == name).unwrap()["works"].clone()
    };
    assert_eq!((works("aes-key-wrap"), works("rsa-oaep-sha1")), (true.into(), true.into()));
    assert_eq!(works("rsa-oaep-sha512"), false);
    assert_eq!(shim.count("C_Login"), 1);
    let mut tool = Command::new("pkcs11-tool");
    tool.args(["--module", SoftHsm::MODULE, "--token-label", "root", "--login", "--pin", SoftHsm::PIN, "-O"]);
    let objects = run(tool.env(hsm.environment.0, &hsm.environment.1), b"").ok().text();
    assert!(!objects.contains("Object"), "{objects}");
}
