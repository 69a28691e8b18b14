//! Which token is meant: by label, serial number or PKCS#11 URI, and never by slot number.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, SoftHsm, binary, run, write_private};
use std::path::PathBuf;
use std::process::Command;

struct Two {
    hsm: SoftHsm,
    dir: tempfile::TempDir,
}

impl Two {
    /// Two tokens that have one label.
    fn tokens() -> Self {
        let hsm = SoftHsm::new("twin");
        hsm.add_token("twin");
        let dir = tempfile::tempdir().unwrap();
        write_private(&dir.path().join("pin"), SoftHsm::PIN);
        Two { hsm, dir }
    }

    fn canis(&self, args: &[&str]) -> Finished {
        run(Command::new(binary("canis")).args(args).env("SOFTHSM2_CONF", self.hsm.config()), b"")
    }

    fn pin(&self) -> String {
        self.dir.path().join("pin").display().to_string()
    }

    fn store(&self, name: &str) -> String {
        let path: PathBuf = self.dir.path().join(name);
        path.display().to_string()
    }

    fn init(&self, store: &str, token: &[&str]) -> Finished {
        let (store, pin) = (self.store(store), self.pin());
        let args =
            ["init", "--data", &store, "--root", "hsm", "--module", SoftHsm::MODULE, "--pin-file", &pin];
        self.canis(&[&args[..], token].concat())
    }

    fn serials(&self) -> Vec<String> {
        let shown = self.canis(&["root", "probe", "--json", "--module", SoftHsm::MODULE]).ok();
        let shown: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        let tokens = shown["tokens"].as_array().unwrap();
        tokens.iter().map(|token| token["serial"].as_str().unwrap().to_owned()).collect()
    }
}

/// R90: two tokens of one label are not guessed between: both serial numbers are named, and one of them decides.
#[test]
fn two_tokens_with_one_label() {
    let two = Two::tokens();
    let serials = two.serials();
    let refused = two.init("none", &["--token-label", "twin"]);
    assert_eq!(refused.code, 3);
    assert!(serials.iter().all(|serial| refused.stderr.contains(serial.as_str())), "{}", refused.stderr);
    assert!(refused.stderr.contains("by its serial number"), "{}", refused.stderr);
    two.init("one", &["--token-serial", &serials[0]]).ok();
    two.init("two", &["--token-label", "twin", "--token-serial", &serials[1]]).ok();
    let (one, pin) = (two.store("one"), two.pin());
    let test = ["root", "test", "--data", &one, "--module", SoftHsm::MODULE, "--hsm-pin-file", &pin];
    let opened = two.canis(&test).ok().text();
    assert!(opened.contains(&format!("pkcs11:serial={};object=canis-root", serials[0])), "{opened}");
    let other = two.init("none", &["--token-serial", "0000"]);
    assert!(other.code == 3 && other.stderr.contains("serial number 0000"), "{}", other.stderr);
}

/// R90: a PKCS#11 URI says all of it: token, key, module and the PIN's file; the store keeps token and key alone.
#[test]
fn a_uri_says_everything() {
    let two = Two::tokens();
    let (store, pin) = (two.store("s"), two.pin());
    let uri = format!(
        "pkcs11:token=twin;serial={};model=SoftHSM%20v2;object=my%20key;type=secret-key?module-path={}&pin-source=file:{pin}",
        two.serials()[1],
        SoftHsm::MODULE,
    );
    two.canis(&["init", "--data", &store, "--root", "hsm", "--token-uri", &uri]).ok();
    let listed = two.canis(&["root", "list", "--data", &store]).ok().text();
    assert!(listed.contains("model=SoftHSM%20v2;object=my%20key, aes-gcm"), "{listed}");
    assert!(!listed.contains("module-path") && !listed.contains(&pin), "{listed}");
    // canis.toml has the module and the file, so that a program that is told nothing opens the store.
    two.canis(&["store", "verify", "--data", &store]).ok();
    for (uri, why) in [
        ("pkcs11:slot-id=0", "whose number changes"),
        ("pkcs11:token=twin?pin-value=1", "pin-source"),
        ("twin", "takes a PKCS#11 URI"),
    ] {
        let refused = two.init("none", &["--token-uri", uri]);
        assert!(refused.code == 3 && refused.stderr.contains(why), "{}", refused.stderr);
    }
}
