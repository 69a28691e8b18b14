//! `canis file rewrap` and `info`: after a rotation only headers change, and what is torn away is mended.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::{Shared, failure, shared, stdout};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

const LEN: usize = 150_000;

fn content() -> Vec<u8> {
    (0..LEN as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A file for a new key.
fn sealed(shared: &Shared, folder: &Path, key: &str, kind: &str) -> PathBuf {
    stdout(&shared.canis(&["key", "create", key, "--type", kind]));
    let (plain, sealed) = (folder.join("plain"), folder.join(format!("{key}.age")));
    fs::write(&plain, content()).unwrap();
    stdout(&shared.canis(&["file", "encrypt", "--key", key, text(&plain), text(&sealed)]));
    sealed
}

fn rewrap(shared: &Shared, args: &[&str]) -> String {
    let said = stdout(&shared.canis(&[&["file", "rewrap", "--json"], args].concat()));
    let said: Value = serde_json::from_str(&said).unwrap();
    said["rewrapped"].as_str().unwrap().to_owned()
}

fn opens(shared: &Shared, path: &Path) -> bool {
    let opened = shared.canis(&["file", "decrypt", text(path)]);
    assert_eq!(opened.status.success(), opened.stdout == content());
    opened.status.success()
}

/// The body, and what file it is.
fn body(path: &Path) -> (Vec<u8>, u64) {
    let bytes = fs::read(path).unwrap();
    let start = bytes.windows(4).position(|w| w == b"--- ").unwrap() + 48;
    (bytes[start..].to_vec(), fs::metadata(path).unwrap().ino())
}

/// R86: after a rotation the header names the new version, in the same file and before the same body; then the old version can go,
/// and who kept the old header has nothing. Ten rotations more make the version a digit longer.
#[test]
fn only_the_header_changes() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    for kind in ["aes256-gcm", "rsa-2048", "x25519"] {
        let key = format!("rewrap-{kind}");
        let path = sealed(&shared, folder.path(), &key, kind);
        let (old, before) = (fs::read(&path).unwrap(), body(&path));
        assert_eq!(rewrap(&shared, &[text(&path)]), "unchanged");
        for _ in 0..10 {
            stdout(&shared.canis(&["key", "rotate", &key]));
        }
        assert!(opens(&shared, &path), "older versions still open");
        assert_eq!(rewrap(&shared, &[text(&path)]), "header");
        assert!(body(&path) == before && fs::read(&path).unwrap() != old, "{kind}");
        stdout(&shared.canis(&["key", "update", &key, "--min-decryption-version", "11"]));
        assert!(opens(&shared, &path));
        let info = stdout(&shared.canis(&["file", "info", text(&path)]));
        assert!(info.contains(&format!("key {key}, version 11: opens the file")), "{info}");
        fs::write(&path, old).unwrap();
        assert!(!opens(&shared, &path), "{kind}");
        let info = stdout(&shared.canis(&["file", "info", "--json", text(&path)]));
        let info: Value = serde_json::from_str(&info).unwrap();
        assert_eq!(info["recipients"][0]["opens"], false);
        assert_eq!(info["recipients"][0]["version"], 1);
        assert_eq!(info["plaintext_bytes"], LEN);
    }
}

/// Recipients come and go. What does not fit into the header makes the file anew, with its mode; nobody is left out by mistake.
#[test]
fn recipients_come_and_go() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    let path = sealed(&shared, folder.path(), "comes", "aes256-gcm");
    stdout(&shared.canis(&["key", "create", "goes", "--type", "rsa-4096"]));
    assert_eq!(rewrap(&shared, &["--key", "goes", text(&path)]), "copied");
    stdout(&shared.canis(&["file", "decrypt", "--verify", "--key", "goes", text(&path)]));
    assert_eq!(rewrap(&shared, &["--remove", "goes", text(&path)]), "header");
    failure(&shared.canis(&["file", "decrypt", "--verify", "--key", "goes", text(&path)]), 3);
    assert!(opens(&shared, &path));
    let before = fs::read(&path).unwrap();
    let error = failure(&shared.canis(&["file", "rewrap", "--remove", "comes", text(&path)]), 3);
    assert!(error.contains("nobody would be left") && fs::read(&path).unwrap() == before, "{error}");
    let error = failure(&shared.canis(&["file", "rewrap", text(&folder.path().join("plain"))]), 3);
    assert!(error.contains("age v1"), "{error}");
}

/// A header that was half written when the machine failed is mended by the next run, from the journal; a journal of another file
/// of that name is not used.
#[test]
fn torn_headers_are_mended() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    let path = sealed(&shared, folder.path(), "torn", "aes256-gcm");
    let good = fs::read(&path).unwrap();
    let start = good.len() - body(&path).0.len();
    let journal = folder.path().join(".torn.age.canis-rewrap");
    fs::write(&journal, [&good[start..start + 16], &good[..start]].concat()).unwrap();
    let mut torn = good.clone();
    torn[60..start].fill(b'?');
    fs::write(&path, &torn).unwrap();
    let error = failure(&shared.canis(&["file", "decrypt", text(&path), "/dev/null"]), 3);
    failure(&shared.canis(&["file", "decrypt", "--verify", text(&path)]), 3);
    assert!(error.contains("rewrap"), "{error}");
    assert_eq!(rewrap(&shared, &[text(&path)]), "unchanged");
    assert!(fs::read(&path).unwrap() == good && !journal.exists());
    let mut foreign = [&good[start..start + 16], &good[..start]].concat();
    foreign[3] ^= 1;
    fs::write(&journal, foreign).unwrap();
    fs::write(&path, &torn).unwrap();
    failure(&shared.canis(&["file", "rewrap", text(&path)]), 3);
    assert!(fs::read(&path).unwrap() == torn && !journal.exists());
}

/// R86: what a rewrap takes does not grow with the file: a terabyte (of nothing: the body is a hole) in the time of a small one.
#[test]
fn size_does_not_matter() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    let path = sealed(&shared, folder.path(), "vast", "aes256-gcm");
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(1 << 40).unwrap();
    let used = fs::metadata(&path).unwrap().blocks();
    stdout(&shared.canis(&["key", "rotate", "vast"]));
    let begun = std::time::Instant::now();
    assert_eq!(rewrap(&shared, &[text(&path)]), "header");
    assert!(begun.elapsed().as_secs() < 20, "a busy machine needs no hour either: {:?}", begun.elapsed());
    assert_eq!(fs::metadata(&path).unwrap().len(), 1 << 40);
    assert!(fs::metadata(&path).unwrap().blocks() < used + 64, "nothing was copied");
}
