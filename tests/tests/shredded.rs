//! What was destroyed is gone, and the audit log shows that it was, and who used it before.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::Site;
use serde_json::Value;
use sha2::{Digest, Sha256};

/// R89: a subject's data is shredded by destroying its key: the log proves which sealed material went, none of it is left in any file,
/// and what the key was used for comes out by its name.
#[test]
fn a_destroyed_key_is_proved_gone() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    server.canis(&["key", "create", "subjects/7", "--type", "aes256-gcm"], b"").ok();
    server.canis(&["key", "rotate", "subjects/7"], b"").ok();
    let sealed = server.canis(&["encrypt", "subjects/7"], b"what is known of them").ok().stdout;
    server.canis(&["decrypt", "subjects/7"], &sealed).ok();
    server.canis(&["key", "disable", "subjects/7"], b"").ok();

    let store = rusqlite::Connection::open(site.data().join("canis.dat")).unwrap();
    let mut rows = store.prepare("SELECT encrypted_material FROM kms_key_versions ORDER BY version").unwrap();
    let materials: Vec<Vec<u8>> = rows.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    drop(rows);
    drop(store);
    let material = materials.iter().max_by_key(|one| one.len()).unwrap();
    assert_eq!(materials.len(), 2, "the keys of the server itself lie elsewhere");
    let digest: String =
        Sha256::digest(materials.concat()).iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(lies_in(&site, material), "what is looked for can be found");

    server.canis(&["key", "destroy", "subjects/7"], b"").ok();
    assert!(server.canis(&["decrypt", "subjects/7"], &sealed).stderr.contains("key_destroyed"));
    for one in &materials {
        assert!(!lies_in(&site, one), "sealed material is left");
    }
    let found = server.canis(&["audit", "search", "--key", "subjects/7"], b"").ok().text();
    let lines: Vec<Value> = found.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let done = |name: &str| lines.iter().filter(|line| line["op"] == name && line["result"] == "ok").count();
    assert_eq!((done("encrypt"), done("decrypt"), done("key.destroy")), (1, 1, 1), "{found}");
    let proof = lines.iter().find(|line| line["op"] == "key.destroy").unwrap();
    assert_eq!(
        (&proof["destroyed_versions"], &proof["destroyed_sha256"]),
        (&2.into(), &digest.into()),
        "{proof}"
    );
    server.canis(&["audit", "verify"], b"").ok();
    server.stop();
}

/// Whether the bytes stand in a file of the data directory.
fn lies_in(site: &Site, bytes: &[u8]) -> bool {
    let finder = memchr::memmem::Finder::new(bytes);
    let mut folders = vec![site.data()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() && finder.find(&std::fs::read(entry.path()).unwrap()).is_some() {
                return true;
            }
        }
    }
    false
}
