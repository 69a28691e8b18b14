//! An HSM as a root: SoftHSM2, what it lacks and what it refuses.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod root;

use canis_core::root::{HsmHelper, NewRoot, TokenName};
use canis_proto::ErrorCode;
use canis_tests::SoftHsm;
use root::{contract, create, helper, hsm, hsm_credential, open, secret};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

/// The HSM's tests run in a process of their own, because SoftHSM2 finds its tokens by an environment variable.
fn in_hsm_process(name: &str, test: impl FnOnce()) {
    if std::env::var_os("SOFTHSM2_CONF").is_some() {
        return test();
    }
    let hsm = SoftHsm::new("canis-root");
    hsm.add_token("other");
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", name, "--nocapture"])
        .env("SOFTHSM2_CONF", hsm.config())
        .env("TOKENS", hsm.tokens());
    let output = canis_tests::run(&mut child, b"").ok();
    assert!(output.text().contains("1 passed"), "{}", output.text());
}

/// R90, R92: the root key wrapped by an AES key inside SoftHSM2.
#[test]
fn softhsm() {
    in_hsm_process("softhsm", || {
        // The wrong PIN is tried once only: a real HSM would lock.
        contract(hsm("canis-root", SoftHsm::PIN), &|| hsm_credential(SoftHsm::PIN), &|| {
            hsm_credential("wrong-pin")
        });
    });
}

/// R90: every way the HSM can be missing is told apart, and nothing is made.
#[test]
fn softhsm_missing() {
    in_hsm_process("softhsm_missing", || {
        let dir = tempfile::tempdir().unwrap();
        let refused = |root| create(dir.path(), root).unwrap_err();
        let no_token = refused(hsm("nowhere", SoftHsm::PIN));
        assert!(
            no_token.code == ErrorCode::RootUnavailable && no_token.message.contains("`nowhere`"),
            "{no_token}"
        );
        let pin = refused(hsm("canis-root", "wrong-pin"));
        assert_eq!(pin.code, ErrorCode::RootCredentialWrong, "{pin}");
        let no_module = refused(NewRoot::Hsm {
            helper: helper(),
            module: "/nonexistent.so".into(),
            name: Box::new(TokenName::labelled("canis-root", "k")),
            mechanism: None,
            pin: secret(b"1234"),
        });
        assert!(
            no_module.code == ErrorCode::RootUnavailable && no_module.message.contains("/nonexistent.so"),
            "{no_module}"
        );
        let no_library = refused(NewRoot::Hsm {
            helper: helper(),
            module: "/bin/true".into(),
            name: Box::new(TokenName::labelled("canis-root", "k")),
            mechanism: None,
            pin: secret(b"1234"),
        });
        assert_eq!(no_library.code, ErrorCode::RootUnavailable, "{no_library}");
        assert!(std::fs::read_dir(dir.path()).unwrap().all(|f| f.unwrap().file_name() == "canis.dat.lock"));
        // The store made, its token gone.
        create(dir.path(), hsm("canis-root", SoftHsm::PIN)).unwrap();
        let tokens = std::path::PathBuf::from(std::env::var_os("TOKENS").unwrap());
        std::fs::rename(&tokens, tokens.with_extension("away")).unwrap();
        std::fs::create_dir(&tokens).unwrap();
        let gone = open(dir.path()).unseal(&hsm_credential(SoftHsm::PIN)).unwrap_err();
        assert!(gone.code == ErrorCode::RootUnavailable && gone.message.contains("`canis-root`"), "{gone}");
    });
}

/// R92: the HSM's key is AES-256, a token object, sensitive and never extractable, and it is made once.
#[test]
fn softhsm_key_attributes() {
    in_hsm_process("softhsm_key_attributes", || {
        for _ in 0..2 {
            let dir = tempfile::tempdir().unwrap();
            create(dir.path(), hsm("canis-root", SoftHsm::PIN)).unwrap();
        }
        let mut tool = std::process::Command::new("pkcs11-tool");
        tool.args([
            "--module",
            SoftHsm::MODULE,
            "--token-label",
            "canis-root",
            "--login",
            "--pin",
            SoftHsm::PIN,
        ]);
        let listed = canis_tests::run(tool.args(["--list-objects", "--type", "secrkey"]), b"").ok().text();
        assert_eq!(listed.matches("Secret Key Object").count(), 1, "{listed}");
        assert!(listed.contains("AES length 32") && listed.contains("canis-root"), "{listed}");
        assert!(listed.contains("sensitive, always sensitive, never extractable"), "{listed}");
    });
}

/// A key that is there already under the label is used only if it is as good as one made by CANIS.
#[test]
fn softhsm_weak_key() {
    in_hsm_process("softhsm_weak_key", || {
        let mut tool = std::process::Command::new("pkcs11-tool");
        tool.args([
            "--module",
            SoftHsm::MODULE,
            "--token-label",
            "canis-root",
            "--login",
            "--pin",
            SoftHsm::PIN,
        ]);
        tool.args(["--keygen", "--key-type", "AES:16", "--label", "canis-root", "--extractable"]);
        canis_tests::run(&mut tool, b"").ok();
        let dir = tempfile::tempdir().unwrap();
        let refused = create(dir.path(), hsm("canis-root", SoftHsm::PIN)).unwrap_err();
        assert!(refused.message.contains("not an AES-256 key"), "{refused}");
    });
}

/// A helper that ends, one that says nothing, and a program that is none are told apart.
#[test]
fn what_is_no_helper_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let store = tempfile::tempdir().unwrap();
    let told = |name: &str, does: &str, deadline: u64| {
        let program = dir.path().join(name);
        std::fs::write(&program, format!("#!/bin/sh\n{does}\n")).unwrap();
        std::fs::set_permissions(&program, Permissions::from_mode(0o700)).unwrap();
        let root = NewRoot::Hsm {
            helper: HsmHelper::new(&program).within(Duration::from_secs(deadline)),
            module: SoftHsm::MODULE.into(),
            name: Box::new(TokenName::labelled("t", "k")),
            mechanism: None,
            pin: secret(b"1234"),
        };
        let refused = create(store.path(), root).unwrap_err();
        assert_eq!(refused.code, ErrorCode::RootUnavailable, "{refused}");
        assert!(refused.message.contains(&program.display().to_string()), "{refused}");
        refused.message
    };
    let ends = told("ends", "exit 7", 60);
    assert!(ends.ends_with("it ended at once (exit code 7)"), "{ends}");
    let silent = told("silent", "exec sleep 600", 1);
    assert!(silent.ends_with("it said nothing within 1 s"), "{silent}");
    let other = told("other", "printf '\\0\\0\\0\\1x' >&0", 60);
    assert!(other.ends_with("it is no helper of this version of CANIS"), "{other}");
}
