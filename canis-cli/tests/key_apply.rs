//! `canis key apply`: keys as a file has them, through the real `canis` program and a real server.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::{Shared, failure, shared, stdout};
use serde_json::Value;

fn json(shared: &Shared, args: &[&str]) -> Value {
    serde_json::from_str(&stdout(&shared.canis(&[args, &["--json"]].concat()))).unwrap()
}

fn refused(shared: &Shared, args: &[&str], code: &str) {
    let error = failure(&shared.canis(args), 3);
    assert!(error.contains(code), "{args:?}: {error}");
}

/// R30: a file of keys is applied once; again it changes nothing; a dry run tells the difference and does nothing.
#[test]
fn apply() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.yaml");
    let write = |days: u32, more: &str| {
        let text = format!(
            "keys:\n  - name: life/apply/a\n    type: aes256-gcm\n    rotation: {{interval: {days}d, retain_versions: 10}}\n  \
             - name: life/apply/b\n    type: generic\n    usage: [derive]\n    deletion_allowed: false\n{more}"
        );
        std::fs::write(&file, text).unwrap();
    };
    let apply =
        |more: &[&str]| shared.canis(&[&["key", "apply", "-f", file.to_str().unwrap()], more].concat());
    write(30, "");
    let told = stdout(&apply(&["--dry-run"]));
    assert!(told.contains("life/apply/a would be created") && told.contains("+ type: generic"), "{told}");
    refused(&shared, &["key", "show", "life/apply/a"], "key_not_found");
    assert!(stdout(&apply(&[])).contains("life/apply/b created"));
    let shown = json(&shared, &["key", "show", "life/apply/a"]);
    assert_eq!(
        (&shown["rotation"]["interval"], &shown["rotation"]["retain_versions"]),
        (&"30d".into(), &10.into())
    );
    assert_eq!(stdout(&apply(&[])), "life/apply/a unchanged\nlife/apply/b unchanged\n");
    assert_eq!(json(&shared, &["key", "show", "life/apply/a"]), shown, "not even updated_at moves");
    write(7, "    rotation: {enabled: false}\n");
    let told = stdout(&apply(&["--dry-run"]));
    assert!(
        told.contains("~ rotation.interval: 30d -> 1w") && told.contains("life/apply/b unchanged"),
        "{told}"
    );
    assert_eq!(json(&shared, &["key", "show", "life/apply/a"]), shown);
    stdout(&apply(&[]));
    assert_eq!(json(&shared, &["key", "show", "life/apply/a"])["rotation"]["interval"], "1w");
    // What cannot be is refused before anything is changed.
    write(1, "  - name: life/apply/c\n    type: foo\n");
    assert!(failure(&apply(&[]), 3).contains("invalid_key_type"));
    write(1, "    exportable: true\n    typo: 1\n");
    assert!(failure(&apply(&[]), 3).contains("typo"));
    std::fs::write(&file, "name: life/apply/a\ntype: ed25519\n").unwrap();
    assert!(failure(&apply(&[]), 3).contains("cannot be changed"));
    assert_eq!(json(&shared, &["key", "show", "life/apply/a"])["rotation"]["interval"], "1w");
}

/// R30: how many others have to approve is a key's configuration, too; to lower it waits for them, and a dry run asks nobody.
#[test]
fn apply_takes_approvals() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.yaml");
    let apply = |approvals: u32, more: &[&str]| {
        std::fs::write(&file, format!("name: eyes\ntype: aes256-gcm\napprovals: {approvals}\n")).unwrap();
        shared.canis(&[&["key", "apply", "-f", file.to_str().unwrap()], more].concat())
    };
    assert!(stdout(&apply(2, &[])).contains("eyes created"));
    assert_eq!(json(&shared, &["key", "show", "eyes"])["approvals"], 2);
    assert_eq!(stdout(&apply(2, &[])), "eyes unchanged\n");
    let told = stdout(&apply(0, &["--dry-run"]));
    assert!(
        told.starts_with("eyes would wait for approvals\n") && told.contains("~ approvals: 2 -> 0"),
        "{told}"
    );
    let told: serde_json::Value = serde_json::from_slice(&apply(0, &["--dry-run", "--json"]).stdout).unwrap();
    assert_eq!(told["keys"][0]["action"], "would wait for approvals");
    let waiting = || json(&shared, &["approval", "list", "--waiting"]).as_array().unwrap().len();
    assert_eq!(waiting(), 0);
    assert!(failure(&apply(0, &[]), 3).contains("approval_required"));
    assert_eq!(waiting(), 1);
    assert_eq!(json(&shared, &["key", "show", "eyes"])["approvals"], 2);
}

/// R30: a dry run foresees every refusal, with the key's name; what cannot be applied whole is not applied at all.
#[test]
fn apply_is_all_or_nothing() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys.yaml");
    let apply = |text: &str, more: &[&str]| {
        std::fs::write(&file, text).unwrap();
        shared.canis(&[&["key", "apply", "-f", file.to_str().unwrap()], more].concat())
    };
    stdout(&apply("keys: [{name: whole/a, type: aes256-gcm}, {name: whole/b, type: aes256-gcm}]", &[]));
    let before: Vec<_> = ["whole/a", "whole/b"].map(|name| json(&shared, &["key", "show", name])).into();
    for (text, refusals) in [
        ("{name: whole/b, type: aes256-gcm, exportable: true}", &["attribute_read_only", "whole/b"][..]),
        ("{name: whole/b, type: aes256-gcm, allow_plaintext_backup: true}", &["attribute_read_only"]),
        ("{name: whole/b, type: aes256-gcm, min_decryption_version: 2}", &["current version"]),
        ("{name: whole/b, type: aes256-gcm, rotation: {interval: 5m}}", &["every 1h at most"]),
        ("{name: whole/new, type: aes256-gcm, min_encryption_version: 3}", &["whole/new", "current one"]),
        ("{name: whole/new, type: generic, length: 5000}", &["whole/new", "not 5000"]),
        ("{name: whole/new, type: ed25519, usage: [encrypt]}", &["whole/new"]),
        ("{name: whole//new, type: ed25519}", &["whole//new", "invalid_name"]),
        (
            "{name: whole/b, type: aes256-gcm, exportable: true}, {name: whole/new, type: generic, length: 5000}",
            &["whole/b: ", "whole/new: "],
        ),
    ] {
        // The first key could be changed, and a new one made.
        let text = format!(
            "keys: [{{name: whole/a, type: aes256-gcm, deletion_allowed: false}}, {{name: whole/c, type: ed25519}}, {text}]"
        );
        for more in [&["--dry-run"][..], &[]] {
            let error = failure(&apply(&text, more), 3);
            for word in refusals {
                assert!(error.contains(word), "{text}: {error}");
            }
        }
    }
    let after: Vec<_> = ["whole/a", "whole/b"].map(|name| json(&shared, &["key", "show", name])).into();
    assert_eq!(before, after, "not even updated_at moves");
    for name in ["whole/c", "whole/new"] {
        refused(&shared, &["key", "show", name], "key_not_found");
    }
}
