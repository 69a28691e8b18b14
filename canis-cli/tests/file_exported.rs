//! `canis file decrypt --exported-key`: files open without a server for who may have the private key.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::{Shared, failure, program, shared, stdout};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const CONTENT: &[u8] = b"name,salary\n";

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// `canis` with nothing that leads to a server.
fn offline(args: &[&str]) -> Output {
    let mut command = Command::new(program("canis"));
    for name in ["CANIS_ADDR", "CANIS_CACERT", "CANIS_TOKEN", "CANIS_CLIENT_CERT", "CANIS_CLIENT_KEY"] {
        command.env_remove(name);
    }
    command.args(args).output().unwrap()
}

/// Makes a key that may leave, and a file for it; gives the file and the key.
fn sealed_and_exported(shared: &Shared, folder: &Path, name: &str, kind: &str) -> (PathBuf, PathBuf) {
    let usage = if kind.starts_with("ecdsa") { &["--usage", "derive"][..] } else { &[] };
    let create = ["key", "create", name, "--type", kind, "--exportable", "--allow-plaintext-backup"];
    stdout(&shared.canis(&[&create[..], usage].concat()));
    let (plain, sealed, exported) = (folder.join("plain"), folder.join(name), folder.join("exported"));
    fs::write(&plain, CONTENT).unwrap();
    stdout(&shared.canis(&["file", "encrypt", "--key", name, text(&plain), text(&sealed)]));
    let _ = fs::remove_file(&exported);
    stdout(&shared.canis(&["key", "export", name, "--format", "pkcs8", "--out", text(&exported)]));
    (sealed, exported)
}

/// R82: an exported private key opens the files of its version, and no others, where there is no server.
#[test]
fn exported_keys_open_files() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    for kind in ["rsa-2048", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "x25519"] {
        let name = format!("leaves-{kind}");
        let (sealed, exported) = sealed_and_exported(&shared, folder.path(), &name, kind);
        let open =
            |sealed: &Path| offline(&["file", "decrypt", "--exported-key", text(&exported), text(sealed)]);
        assert_eq!(open(&sealed).stdout, CONTENT, "{kind}");
        stdout(&shared.canis(&["key", "rotate", &name]));
        stdout(&shared.canis(&["file", "rewrap", text(&sealed)]));
        let refused = open(&sealed);
        assert!(
            refused.stdout.is_empty() && !refused.status.success(),
            "{kind}: another version's key opens it"
        );
    }
}

/// What stock age encrypted for the public key of an X25519 key opens, too.
#[test]
fn an_exported_x25519_key_is_an_identity_of_age() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    let (_, exported) = sealed_and_exported(&shared, folder.path(), "leaves-for-age", "x25519");
    let recipient = stdout(&shared.canis(&["file", "recipient", "--plain", "leaves-for-age"]));
    let (plain, sealed) = (folder.path().join("plain"), folder.path().join("age"));
    let age = ["-r", recipient.trim(), "-o", text(&sealed), text(&plain)];
    assert!(Command::new("age").args(age).status().unwrap().success());
    let opened = offline(&["file", "decrypt", "--exported-key", text(&exported), text(&sealed)]);
    assert_eq!(opened.stdout, CONTENT);
}

/// A key that opens no files is refused by what it is; what is no key, too.
#[test]
fn other_keys_are_refused() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    let (sealed, _) = sealed_and_exported(&shared, folder.path(), "leaves-not", "x25519");
    let create = ["key", "create", "leaves-and-signs", "--type", "ed25519", "--exportable"];
    stdout(&shared.canis(&[&create[..], &["--allow-plaintext-backup"]].concat()));
    let signs = folder.path().join("signs");
    let export = ["key", "export", "leaves-and-signs", "--format", "pkcs8", "--out", text(&signs)];
    stdout(&shared.canis(&export));
    let open =
        |key: &Path| failure(&offline(&["file", "decrypt", "--exported-key", text(key), text(&sealed)]), 3);
    assert!(open(&signs).contains("this private key is none of them"));
    assert!(open(&sealed).contains("cannot read the exported key"));
    assert!(open(&folder.path().join("plain")).contains("no private key in PEM"));
}
