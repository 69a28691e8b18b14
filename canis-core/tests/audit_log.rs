//! The audit log: every call has its line, and nobody changes, removes or reorders one unseen.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use crate::audit::{Kept, lines_of};
use canis_core::audit::Failure;
use canis_core::{Caller, Core};
use canis_proto::audit::{AuditVerified, VerifyAudit};
use canis_proto::message::{CreateKey, Decrypt, Encrypt, RotateKey, ShowKey};
use canis_proto::{ErrorCode, KeyType, Result};
use std::fs;

mod audit;
mod store;

fn verified(kept: &Kept) -> AuditVerified {
    kept.core.call(&kept.caller, VerifyAudit).unwrap()
}

fn use_a_little(kept: &Kept) {
    let call = |request| kept.core.call(&kept.caller, request).map(drop);
    call(CreateKey::new("a", KeyType::Aes256)).unwrap();
    let made = kept.core.call(&kept.caller, Encrypt::new("a", &b"top secret text"[..])).unwrap();
    let back = kept.core.call(&kept.caller, Decrypt::new("a", made.ciphertext.as_str())).unwrap();
    assert_eq!(&back.plaintext[..], b"top secret text");
    let denied = kept.core.call(&Caller::anonymous(), ShowKey { name: "a".into(), before_version: 0 });
    assert_eq!(denied.map(drop).unwrap_err().code, ErrorCode::Unauthenticated);
}

/// R87, R88: who, what, on what, with which version, and what came of it; denials too; nothing secret.
#[test]
fn every_call_has_its_line() {
    let kept = Kept::new(Failure::Refuse);
    use_a_little(&kept);
    let lines = lines_of(&kept.folder());
    let told: Vec<(&str, &str, &str)> = lines
        .iter()
        .map(|line| {
            (line["op"].as_str().unwrap(), line["on"].as_str().unwrap(), line["result"].as_str().unwrap())
        })
        .collect();
    assert_eq!(
        told[1..],
        [
            ("key.create", "kms/keys/a", "ok"),
            ("encrypt", "kms/keys/a", "ok"),
            ("decrypt", "kms/keys/a", "ok"),
            ("key.show", "kms/keys/a", "unauthenticated"),
        ]
    );
    let encrypted = &lines[2];
    assert_eq!(encrypted["who"], kept.caller.credential().to_string());
    assert_eq!(
        (&encrypted["by"], &encrypted["version"], &encrypted["in"]),
        (&"token".into(), &1.into(), &15.into())
    );
    let text = fs::read_to_string(kept.only_file()).unwrap();
    for secret in ["top secret", &kept.token] {
        assert!(!text.contains(secret));
    }
    let report = verified(&kept);
    assert_eq!((report.broken, report.files), (Vec::new(), 1));
}

fn edit(kept: &Kept, edit: impl FnOnce(&mut Vec<String>)) -> AuditVerified {
    let file = kept.only_file();
    let mut lines: Vec<String> = fs::read_to_string(&file).unwrap().lines().map(str::to_owned).collect();
    edit(&mut lines);
    fs::write(&file, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    kept.verified_by_another()
}

/// Whatever is done to lines that the store knows of is found, and the first broken place is named.
#[test]
fn what_is_done_to_lines_is_found() {
    type Edit = fn(&mut Vec<String>);
    let cases: [(&str, Edit, &str); 6] = [
        ("edited", |lines| lines[2] = lines[2].replace("encrypt", "decrypt"), "line 3: its MAC does not fit"),
        ("removed", |lines| drop(lines.remove(1)), "line 2: line 2 is missing"),
        ("swapped", |lines| lines.swap(1, 2), "line 2: line 2 is missing"),
        ("truncated", |lines| lines.truncate(3), "lines 4 to "),
        ("doubled", |lines| lines.insert(2, lines[1].clone()), "line 3: line 3 is missing"),
        ("added", |lines| lines.push(lines[1].clone()), "is missing or not where it belongs"),
    ];
    for (what, change, why) in cases {
        let kept = Kept::new(Failure::Refuse);
        use_a_little(&kept);
        assert_eq!(verified(&kept).broken, Vec::<String>::new(), "{what}");
        kept.end();
        let report = edit(&kept, change);
        assert_eq!(report.broken.len(), 1, "{what}: {:?}", report.broken);
        assert!(report.broken[0].contains(why), "{what}: {:?}", report.broken);
    }
}

/// A file that is gone, an older copy of it, a file of another store in its place, a renamed one.
#[test]
fn what_is_done_to_files_is_found() {
    let other = Kept::new(Failure::Refuse);
    use_a_little(&other);
    other.end();
    let foreign = fs::read(other.only_file()).unwrap();
    type Change<'a> = &'a dyn Fn(&std::path::Path, &[u8]);
    let cases: [(&str, Change<'_>, &str); 4] = [
        ("removed", &|file, _| fs::remove_file(file).unwrap(), "every file of the writer"),
        ("older", &|file, older| fs::write(file, older).unwrap(), "the store knows that they were written"),
        ("foreign", &|file, _| fs::write(file, &foreign).unwrap(), "its MAC does not fit"),
        (
            "renamed",
            &|file, _| fs::rename(file, file.to_str().unwrap().replace("000001", "000002")).unwrap(),
            "file 1 of this writer is missing",
        ),
    ];
    for (what, change, why) in cases {
        let kept = Kept::new(Failure::Refuse);
        use_a_little(&kept);
        let older = fs::read(kept.only_file()).unwrap();
        use_again(&kept).unwrap();
        kept.end();
        change(&kept.only_file(), &older);
        let report = kept.verified_by_another();
        assert_eq!(report.broken.len(), 1, "{what}: {:?}", report.broken);
        assert!(report.broken[0].contains(why), "{what}: {:?}", report.broken);
    }
}

fn use_again(kept: &Kept) -> Result<()> {
    kept.core.call(&kept.caller, Encrypt::new("a", &b"more"[..])).map(drop)
}

/// A file whose lines all are there but which is removed from the store's rows is found, too.
#[test]
fn a_writer_that_the_store_does_not_know() {
    let kept = Kept::new(Failure::Refuse);
    use_a_little(&kept);
    kept.end();
    let store = rusqlite::Connection::open(kept.dir.path().join("canis.dat")).unwrap();
    assert_eq!(store.execute("DELETE FROM audit_heads", []).unwrap(), 1);
    let report = kept.verified_by_another();
    assert!(report.broken[0].contains("the store does not know this writer"), "{:?}", report.broken);
}

/// Files end at their size, each signed, and one chain goes through them.
#[test]
fn files_are_rotated() {
    let kept = Kept::rotating(2000);
    use_a_little(&kept);
    (0..40).for_each(|_| use_again(&kept).unwrap());
    assert!(kept.files().len() > 5);
    let names: Vec<_> = kept.files().iter().map(|path| path.file_name().unwrap().to_owned()).collect();
    let report = verified(&kept);
    assert_eq!((report.broken, report.files), (Vec::new(), names.len() as u64));
    kept.end();
    fs::remove_file(&kept.files()[2]).unwrap();
    let report = kept.verified_by_another();
    assert!(report.broken[0].contains("file 3 of this writer is missing"), "{:?}", report.broken);
}

/// While no line can be written nothing is done, unless that was chosen; and it goes on when it can be written again.
#[test]
fn nothing_is_done_unwritten() {
    for (failure, code) in [(Failure::Refuse, Some(ErrorCode::AuditUnavailable)), (Failure::Continue, None)] {
        let kept = Kept::new(failure);
        use_a_little(&kept);
        // The folder is a file now, and the file that was written is gone.
        let folder = kept.folder();
        fs::remove_dir_all(&folder).unwrap();
        fs::write(&folder, b"").unwrap();
        let before = kept.core.audit().unwrap().why();
        assert_eq!(before, "");
        for _ in 0..2 {
            assert_eq!(use_again(&kept).err().map(|error| error.code), code);
        }
        assert!(!kept.core.audit().unwrap().why().is_empty());
        fs::remove_file(&folder).unwrap();
        use_again(&kept).unwrap();
        assert_eq!(kept.core.audit().unwrap().why(), "");
        let report = verified(&kept);
        assert!(report.broken[0].contains("file 1 of this writer is missing"), "{:?}", report.broken);
    }
}

/// R87: a transaction that always meets another one leaves lines all the same, which say that nothing came of it.
#[test]
fn who_always_loses_has_lines() {
    let kept = Kept::new(Failure::Refuse);
    kept.core.call(&kept.caller, CreateKey::new("a", KeyType::Aes256)).map(drop).unwrap();
    let rotate = |core: &Core| {
        core.call(&kept.caller, RotateKey { name: "a".into(), preview: false }).map(|done| done.version)
    };
    let mut tries = 0;
    let lost = kept.core.together(|draft| {
        tries += 1;
        rotate(draft)?;
        rotate(&kept.core)
    });
    assert_eq!(lost.unwrap_err().code, ErrorCode::Conflict);
    let lines = lines_of(&kept.folder());
    let rotations: Vec<_> = lines.iter().filter(|line| line["op"] == "key.rotate").collect();
    assert_eq!(rotations.len(), tries + 1, "one for each that won, one for the one that lost");
    let undone: Vec<_> = rotations.iter().filter(|line| line["undone"] == true).collect();
    assert_eq!(undone.len(), 1);
    assert_eq!(undone[0]["because"], "conflict");
}
