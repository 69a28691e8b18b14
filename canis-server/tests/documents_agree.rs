//! What documents say is missing is missing, and what they say they say once.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use canis_proto::KeyType;
use canis_proto::operation::{OperationId, TABLE};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Where people look for what there is not, beside the documents that say what there is.
const PROMISES: [&str; 4] = ["README.md", "SECURITY.md", "CHANGELOG.md", "docs/threat-model.md"];

/// How words of people begin, and the operation that they are about.
const WORDS: &[(&str, &str)] = &[
    ("AES-GCM", "aes-gcm.encrypt"),
    ("approv", "approval.approve"),
    ("audit", "audit.verify"),
    ("backup", "backup.create"),
    ("batch", "batch"),
    ("derivation", "derive"),
    ("encapsulat", "encapsulate"),
    ("export", "key.export"),
    ("import", "key.import"),
    ("key-value", "kv.put"),
    ("metric", "metrics.read"),
    ("polic", "policy.put"),
    ("revo", "credential.revoke"),
    ("rewrap", "rewrap"),
    ("role", "role.put"),
    ("rotat", "key.rotate"),
    ("tenant", "tenant.create"),
];

/// The same of what is no operation, and the file that holds it.
const PARTS: &[(&str, &str)] = &[
    ("PostgreSQL", "canis-core/src/store/postgres/mod.rs"),
    ("HTTP", "canis-server/src/http/routes.rs"),
    ("Vault", "canis-server/src/http/vault/routes.rs"),
    ("replayed", "canis-core/src/keyring/accumulator.rs"),
    ("rolled-back", "canis-core/src/keyring/anchor.rs"),
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The sentences that say that something is not there: with "yet" or "planned", and all under "Known limits" that begin with
/// "No".
fn denials(text: &str) -> Vec<String> {
    let flowing = text.replace("\n- ", ".\n- ").split_whitespace().collect::<Vec<_>>().join(" ");
    let limits = flowing.find("### Known limits").unwrap_or(flowing.len());
    let mut start = 0;
    let mut found = Vec::new();
    for sentence in flowing.split_inclusive(". ") {
        let low = sentence.to_lowercase();
        let words = || low.split(|c: char| !c.is_alphanumeric());
        let says = words().any(|word| word == "yet" || word == "planned");
        if says || (start >= limits && words().any(|word| word == "no")) {
            found.push(sentence.to_owned());
        }
        start += sentence.len();
    }
    found
}

/// Nothing of the table of operations, no type of keys and no part of the code is said to be missing.
fn contradictions(text: &str) -> Vec<String> {
    let post_quantum = KeyType::ALL.iter().any(|kind| kind.name().starts_with("ml-"));
    let of_keys = KeyType::ALL.iter().map(|kind| kind.name()).chain(post_quantum.then_some("post-quantum"));
    let there: Vec<&str> =
        WORDS.iter().map(|row| row.0).chain(PARTS.iter().map(|row| row.0)).chain(of_keys).collect();
    let names = |sentence: &str| {
        let mut words = sentence.split(|c: char| !c.is_alphanumeric() && c != '-');
        words.any(|word| there.iter().any(|begin| word.to_lowercase().starts_with(&begin.to_lowercase())))
    };
    denials(text).into_iter().filter(|sentence| names(sentence)).collect()
}

#[test]
fn what_is_said_to_be_missing_is_missing() {
    for (word, name) in WORDS {
        assert!(OperationId::from_name(name).is_some(), "{word}: there is no operation {name}");
    }
    for (word, file) in PARTS {
        assert!(root().join(file).is_file(), "{word}: there is no {file}");
    }
    for name in PROMISES {
        assert_eq!(contradictions(&read(name)), [""; 0], "{name} says that this is missing");
    }
}

/// Each group of operations has a word here, but for those that are called by what every sentence speaks of.
#[test]
fn every_group_of_operations_has_its_word() {
    let common = ["application", "key", "object", "operator", "root", "slot", "store", "token"];
    for row in TABLE {
        let Some((group, _)) = row.name.split_once('.') else { continue };
        let known = WORDS.iter().any(|(_, name)| name.split('.').next() == Some(group));
        assert!(known || common.contains(&group), "{}: no word leads to `{group}`", row.name);
    }
}

/// Lists as they once stood, which nobody noticed.
#[test]
fn lists_that_are_overtaken_are_found() {
    let lists = [
        "Files in the format of age. Not\nyet: moving a store into PostgreSQL, approvals by several people, post-quantum keys.",
        "- No detection yet of deleted or replayed rows or of a rolled-back store file. No policies on paths, no\n  revocation of tokens yet.",
        "### Known limits\n\n- No PostgreSQL.\n- See `docs/threat-model.md`.",
    ];
    for list in lists {
        assert!(!contradictions(list).is_empty(), "{list}");
    }
    let true_ones =
        ["CANIS 0.1.0 is being made and not released yet. Policies are there.", "No address for mail."];
    for said in true_ones {
        assert_eq!(contradictions(said), [""; 0]);
    }
}

/// No long line of prose stands twice in a document: that is what is left when two versions of a paragraph were joined badly.
#[test]
fn no_line_stands_twice() {
    for path in documents() {
        let mut seen = BTreeMap::new();
        let (mut fenced, text) = (false, fs::read_to_string(&path).unwrap());
        for (number, line) in text.lines().enumerate() {
            fenced ^= line.trim_start().starts_with("```");
            let prose = !fenced && !line.starts_with('|') && line.len() >= 40;
            if let Some(before) = seen.insert(line.trim(), number + 1).filter(|_| prose) {
                panic!("{}: line {} is line {before} again: {line}", path.display(), number + 1);
            }
        }
    }
}

fn documents() -> Vec<PathBuf> {
    let markdown = |folder: &str| {
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|it| it == "md")).collect::<Vec<_>>()
    };
    ["", "docs", "docs/adr"].map(markdown).concat()
}
