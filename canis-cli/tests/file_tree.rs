//! `canis file encrypt -r` and `decrypt -r`: directories, gone on with where they were interrupted.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::{failure, shared, stdout};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Some files, in more than one group of requests.
fn plant(root: &Path) {
    for (folder, files) in [("a", 300), ("a/b/c", 5), ("d", 2)] {
        let folder = root.join(folder);
        fs::create_dir_all(&folder).unwrap();
        for number in 0..files {
            let path = folder.join(format!("file-{number}"));
            fs::write(&path, format!("{} {number}", folder.display()).repeat(number)).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600 | (number as u32 % 8))).unwrap();
        }
    }
    fs::create_dir(root.join("empty")).unwrap();
    fs::set_permissions(root.join("d"), fs::Permissions::from_mode(0o750)).unwrap();
    symlink("a/file-1", root.join("link")).unwrap();
}

/// Every file and directory with its content and mode.
fn harvest(root: &Path) -> BTreeMap<PathBuf, (Option<Vec<u8>>, u32)> {
    let (mut found, mut folders) = (BTreeMap::new(), vec![root.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let there = fs::symlink_metadata(&path).unwrap();
            let content = there.is_file().then(|| fs::read(&path).unwrap());
            if there.is_dir() {
                folders.push(path.clone());
            }
            if !there.is_symlink() {
                found.insert(path.strip_prefix(root).unwrap().to_owned(), (content, there.mode() & 0o777));
            }
        }
    }
    found
}

fn counts(said: &str) -> [u64; 4] {
    let said: Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    let done = said["encrypted"].as_u64().or(said["decrypted"].as_u64());
    let count = |name: &str| said[name].as_u64().unwrap();
    [done.unwrap(), count("there_already"), count("passed_over"), count("failed")]
}

/// R85: all files come back with their modes; a second run does what is missing or has changed, and nothing else; a damaged file is
/// named and does not keep the others.
#[test]
fn directories_come_back() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    for (name, kind) in [("tree", "aes256-gcm"), ("tree-pair", "x25519")] {
        stdout(&shared.canis(&["key", "create", name, "--type", kind]));
        let path = |part: &str| folder.path().join(format!("{name}-{part}"));
        let (plain, vault, back) = (path("plain"), path("vault"), path("back"));
        plant(&plain);
        let encrypt = ["file", "encrypt", "-r", "--json", "--key", name, text(&plain), text(&vault)];
        assert_eq!(counts(&stdout(&shared.canis(&encrypt))), [307, 0, 1, 0]);
        assert_eq!(counts(&stdout(&shared.canis(&encrypt))), [0, 307, 1, 0]);
        // As if it had been interrupted, and something had changed meanwhile.
        fs::remove_file(vault.join("a/file-7.age")).unwrap();
        fs::write(plain.join("d/file-1"), "changed").unwrap();
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
        fs::File::open(plain.join("d/file-1")).unwrap().set_modified(later).unwrap();
        assert_eq!(counts(&stdout(&shared.canis(&encrypt))), [2, 305, 1, 0]);
        let decrypt = ["file", "decrypt", "-r", "--json", text(&vault), text(&back)];
        let before = fs::read(vault.join("a/file-9.age")).unwrap();
        fs::write(vault.join("a/file-9.age"), &before[..before.len() - 1]).unwrap();
        fs::write(vault.join("d/note.txt"), "none of ours").unwrap();
        let output = shared.canis(&decrypt);
        let error = failure(&output, 3);
        assert!(error.contains("file-9.age") && !back.join("a/file-9").exists(), "{error}");
        assert_eq!(counts(std::str::from_utf8(&output.stdout).unwrap()), [306, 0, 1, 1]);
        fs::write(vault.join("a/file-9.age"), before).unwrap();
        assert_eq!(counts(&stdout(&shared.canis(&decrypt))), [1, 306, 1, 0]);
        let (is, was) = (harvest(&back), harvest(&plain));
        assert_eq!(is.keys().collect::<Vec<_>>(), was.keys().collect::<Vec<_>>());
        assert!(is == was, "contents and modes");
    }
    failure(&shared.canis(&["file", "encrypt", "-r", "--key", "tree", text(folder.path())]), 2);
    let error =
        failure(&shared.canis(&["file", "encrypt", "--key", "tree", text(folder.path()), "/dev/null"]), 3);
    assert!(error.contains("give -r"), "{error}");
}
