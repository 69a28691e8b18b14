//! The key-value store through the real `canis` program and server; halves are made and judged by openssl.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::{Shared, failure, shared, stdout};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

fn json(shared: &Shared, args: &[&str]) -> Value {
    serde_json::from_str(&stdout(&shared.canis(&[args, &["--json"]].concat()))).unwrap()
}

fn openssl(args: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// An RSA pair of openssl's in two files.
fn pair(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
    let (private, public) = (dir.join(format!("{name}.key")), dir.join(format!("{name}.pub")));
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out", text(&private)]);
    openssl(&["pkey", "-in", text(&private), "-pubout", "-out", text(&public)]);
    (private, public)
}

/// R73, R74: what was put comes back byte by byte; the private half only when it is asked for.
#[test]
fn put_get_list_delete() {
    let shared = shared();
    let dir = tempfile::tempdir().unwrap();
    let (private, public) = pair(dir.path(), "a");
    let id = "cli/kunde ä:1";
    let put = |name: &str, more: &[&str]| {
        let files = ["--public-key-file", text(&public), "--private-key-file", text(&private)];
        shared.canis(&[&["kv", "put", id, "--name", name, "--json"], &files[..], more].concat())
    };
    let made: Value = serde_json::from_str(&stdout(&put("Alice", &["--revision", "0"]))).unwrap();
    assert_eq!(
        (&made["name"], &made["type"], &made["has_private"]),
        (&"Alice".into(), &"rsa-2048".into(), &true.into())
    );
    assert!(failure(&put("Bob", &["--revision", "0"]), 3).contains("conflict"));
    stdout(&put("Bob", &["--revision", &made["revision"].to_string()]));

    let shown = json(&shared, &["kv", "get", id]);
    assert_eq!(shown["public_key"], fs::read_to_string(&public).unwrap());
    assert_eq!((&shown["name"], shown.get("private_key")), (&"Bob".into(), None));
    let shown = json(&shared, &["kv", "get", id, "--private"]);
    assert_eq!(shown["private_key"], fs::read_to_string(&private).unwrap());
    let people = stdout(&shared.canis(&["kv", "get", id]));
    assert!(people.contains("BEGIN PUBLIC KEY") && !people.contains("PRIVATE"), "{people}");
    let out = dir.path().join("out.key");
    let written = stdout(&shared.canis(&["kv", "get", id, "--private-out", text(&out)]));
    assert!(!written.contains("PRIVATE"), "{written}");
    assert_eq!(fs::read(&out).unwrap(), fs::read(&private).unwrap());
    assert_eq!(fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);

    stdout(&shared.canis(&["kv", "put", "cli/other\u{1b}[31m"]));
    let listed = json(&shared, &["kv", "list", "--prefix", "cli/"]);
    let ids: Vec<_> = listed.as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
    assert_eq!(ids, [id, "cli/other\u{1b}[31m"]);
    assert!(!stdout(&shared.canis(&["kv", "list"])).contains('\u{1b}'), "escapes reach the terminal");

    let gone = shared.canis(&["kv", "delete", id, "--revision", &made["revision"].to_string()]);
    assert!(failure(&gone, 3).contains("conflict"));
    stdout(&shared.canis(&["kv", "delete", id]));
    assert!(failure(&shared.canis(&["kv", "get", id]), 3).contains("entry_not_found"));
}

/// R76: a pair in the store is used where it is, and openssl agrees with what it does.
#[test]
fn pairs_work_with_openssl() {
    let shared = shared();
    let dir = tempfile::tempdir().unwrap();
    let (private, public) = pair(dir.path(), "brought");
    let (brought, drawn) = ("use/brought 1", "use/drawn 2");
    let files = ["--public-key-file", text(&public), "--private-key-file", text(&private)];
    stdout(&shared.canis(&[&["kv", "put", brought], &files[..]].concat()));
    stdout(&shared.canis(&["kv", "put", drawn, "--generate", "ecdsa-p256"]));

    let sealed = stdout(&shared.canis_with_stdin(&["encrypt", "kv:use/brought 1"], b"file"));
    assert!(sealed.starts_with("canis:v1:kv%3Ause/brought%201:1:"), "{sealed}");
    let opened = shared.canis_with_stdin(&["decrypt", "kv:use/brought 1"], sealed.as_bytes());
    assert_eq!(opened.stdout, b"file");

    let (key, message, signature) = (dir.path().join("pub"), dir.path().join("text"), dir.path().join("sig"));
    fs::write(&message, b"signed").unwrap();
    stdout(&shared.canis(&["kv", "get", drawn, "--public-out", text(&key)]));
    let raw = shared.canis_with_stdin(&["sign", "kv:use/drawn 2", "--raw"], b"signed");
    fs::write(&signature, &raw.stdout).unwrap();
    let verdict =
        openssl(&["dgst", "-sha256", "-verify", text(&key), "-signature", text(&signature), text(&message)]);
    assert_eq!(verdict, b"Verified OK\n");
    assert_eq!(
        stdout(&shared.canis(&["key", "public", "kv:use/drawn 2"])),
        fs::read_to_string(&key).unwrap()
    );

    // Two halves of two pairs, and a private half that a passphrase locks.
    let (other, _) = pair(dir.path(), "other");
    let mixed = ["--public-key-file", text(&public), "--private-key-file", text(&other)];
    let refused = shared.canis(&[&["kv", "put", "use/mixed"], &mixed[..]].concat());
    assert!(failure(&refused, 3).contains("not of one pair"));
    let locked = dir.path().join("locked");
    openssl(&["pkey", "-in", text(&private), "-aes256", "-passout", "pass:secret", "-out", text(&locked)]);
    let halves = ["--public-key-file", text(&public), "--private-key-file", text(&locked), "--json"];
    let kept: Value =
        serde_json::from_str(&stdout(&shared.canis(&[&["kv", "put", "use/locked"], &halves[..]].concat())))
            .unwrap();
    assert_eq!(kept["type"], Value::Null);
    assert!(failure(&shared.canis_with_stdin(&["sign", "kv:use/locked"], b"x"), 3).contains("just bytes"));
}
