//! What somebody who holds the file can change: nothing unnoticed.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod filled;
mod store;

use canis_core::crypto::RUST;
use canis_core::secret::SecretBytes;
use canis_core::token::ListTokens;
use canis_core::{Caller, VerifyStore};
use canis_proto::ErrorCode;
use canis_proto::message::{Encrypt, ShowKey};
use filled::filled;
use rusqlite::Connection;
use std::path::Path;
use store::{KEYFILE, Opened, open};

/// Runs SQL on the closed store; how many rows it changed.
fn edit(path: &Path, sql: &str) -> usize {
    let connection = Connection::open(path.join("canis.dat")).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    let changed = connection.execute(sql, []).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    changed
}

/// The errors of a full check; one more for a store that no longer opens at all.
fn refusals(path: &Path) -> Vec<canis_proto::Error> {
    let core = open(path, &RUST);
    let tokens = core.call(&Caller::anonymous(), ListTokens);
    let Ok(tokens) = tokens else { return vec![tokens.unwrap_err()] };
    core.call(&core.owner(tokens[0].id).unwrap(), VerifyStore).unwrap().refused
}

/// A copy of a closed store, to be spoilt.
fn copy(from: &Path) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(from.join("canis.dat"), dir.path().join("canis.dat")).unwrap();
    dir
}

/// A filled store, closed and whole in its one file.
fn closed() -> tempfile::TempDir {
    let Opened { dir, core, .. } = filled(&RUST);
    drop(core);
    edit(dir.path(), "UPDATE meta SET revision = revision");
    assert!(refusals(dir.path()).is_empty(), "an untouched store is whole");
    dir
}

/// R64: flip any byte of any sealed record: the row is refused and named, never read as something else.
#[test]
fn a_flipped_bit_in_any_sealed_record_is_found() {
    let dir = closed();
    let sealed = [
        ("tenants", "sealed"),
        ("pins", "sealed"),
        ("tokens", "sealed"),
        ("kms_keys", "sealed"),
        ("kms_key_versions", "encrypted_material"),
        ("objects", "body"),
        ("meta", "body"),
    ];
    for (table, column) in sealed {
        let rows: Vec<(String, i64)> = {
            let connection = Connection::open(dir.path().join("canis.dat")).unwrap();
            let key = if table == "meta" { "name" } else { "hex(id)" };
            let mut statement =
                connection.prepare(&format!("SELECT {key}, length({column}) FROM {table}")).unwrap();
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
            rows.map(|row| row.unwrap()).filter(|(name, _)| name != "store").collect()
        };
        assert!(!rows.is_empty());
        for (row, len) in rows {
            // First, last and some between: each row costs a store of its own.
            for at in [0, len / 3, len / 2, len - 1].map(|at| usize::try_from(at).unwrap()) {
                let spoilt = copy(dir.path());
                let connection = Connection::open(spoilt.path().join("canis.dat")).unwrap();
                let key = if table == "meta" { "name" } else { "hex(id)" };
                let mut bytes: Vec<u8> = connection
                    .query_row(&format!("SELECT {column} FROM {table} WHERE {key} = ?1"), [&row], |r| {
                        r.get(0)
                    })
                    .unwrap();
                bytes[at] ^= 0x10;
                connection
                    .execute(&format!("UPDATE {table} SET {column} = ?1 WHERE {key} = ?2"), (&bytes, &row))
                    .unwrap();
                drop(connection);
                let found = refusals(spoilt.path());
                assert!(!found.is_empty(), "{table}.{column} of {row}, byte {at} of {len}");
                assert!(
                    found.iter().all(|e| e.code == ErrorCode::StoreTampered && e.message.contains(table)),
                    "{found:?}"
                );
            }
        }
    }
}

/// A root slot that was edited opens nothing.
#[test]
fn a_flipped_bit_in_the_root_slot_opens_nothing() {
    let dir = closed();
    let path = dir.path().join("canis.dat");
    let body: Vec<u8> =
        Connection::open(&path).unwrap().query_row("SELECT body FROM root_slots", [], |r| r.get(0)).unwrap();
    for at in 0..body.len() {
        let mut spoilt = body.clone();
        spoilt[at] ^= 1;
        Connection::open(&path).unwrap().execute("UPDATE root_slots SET body = ?1", [&spoilt]).unwrap();
        let store = std::sync::Arc::new(canis_core::datadir::DataDir::new(dir.path()).open_store().unwrap());
        let clock = std::sync::Arc::new(canis_core::clock::SystemClock);
        let core = canis_core::Core::open(store, &RUST, clock).unwrap();
        let key = canis_core::root::Credential::Keyfile(SecretBytes::copied_from(&KEYFILE));
        assert!(core.unseal(&key).is_err(), "byte {at}");
        assert!(core.is_sealed());
    }
}

/// R67: rows cannot be swapped between keys, nor between tables' rows of any kind.
#[test]
fn swapped_records_are_found() {
    let dir = closed();
    for (table, column) in [
        ("kms_key_versions", "encrypted_material"),
        ("kms_key_versions", "key_id"),
        ("kms_keys", "sealed"),
        ("objects", "body"),
        ("pins", "sealed"),
    ] {
        let spoilt = copy(dir.path());
        if table == "pins" {
            // One PIN only: its record moved to the other role.
            edit(spoilt.path(), "UPDATE pins SET role = 3 - role");
        } else {
            let rowid = |n| format!("(SELECT rowid FROM {table} ORDER BY rowid LIMIT 1 OFFSET {n})");
            let of = |n| format!("(SELECT {column} FROM {table} WHERE rowid = {})", rowid(n));
            let sql = format!(
                "WITH pair(a, b) AS (SELECT {}, {}) UPDATE {table} SET {column} =
                 CASE rowid WHEN {} THEN (SELECT b FROM pair) ELSE (SELECT a FROM pair) END
                 WHERE rowid IN ({}, {})",
                of(0),
                of(1),
                rowid(0),
                rowid(0),
                rowid(1)
            );
            // UNIQUE(key_id, version) stands in the way of swapping two keys' versions in one step.
            if column == "key_id" {
                edit(spoilt.path(), "UPDATE kms_key_versions SET version = version + 5 WHERE rowid = 1");
            }
            assert_eq!(edit(spoilt.path(), &sql), 2, "{table}.{column}");
        }
        let found = refusals(spoilt.path());
        assert!(!found.is_empty(), "{table}.{column}");
        assert!(
            found.iter().all(|e| e.code == ErrorCode::StoreTampered && e.message.contains(table)),
            "{found:?}"
        );
    }
}

/// R67, R55: clear columns serve look-up only; one that was edited is named, and its key is not used.
#[test]
fn edited_columns_are_named() {
    let dir = closed();
    for (table, column, value) in [
        ("kms_keys", "exportable", "1"),
        ("kms_keys", "state", "'disabled'"),
        ("kms_keys", "current_version", "2"),
        ("kms_keys", "min_decryption_version", "0"),
        ("kms_keys", "min_encryption_version", "1"),
        ("kms_keys", "deletion_allowed", "0"),
        ("kms_keys", "key_type", "'rsa-2048'"),
        ("kms_keys", "created_at", "1"),
        ("kms_keys", "updated_at", "1"),
        ("kms_keys", "deleted_at", "1"),
        ("kms_keys", "name", "'other/' || name"),
        ("kms_keys", "revision", "revision + 1"),
        ("kms_key_versions", "created_at", "1"),
        ("kms_key_versions", "version", "9"),
        ("objects", "label", "x'41'"),
        ("objects", "cka_id", "x'41'"),
        ("objects", "private", "1 - private"),
        ("objects", "class", "0"),
        ("objects", "version", "7"),
        ("tenants", "name", "'other'"),
        ("tenants", "slot", "7"),
        ("tokens", "tenant_id", "x'00112233445566778899aabbccddeeff'"),
        ("pins", "role", "2"),
    ] {
        let spoilt = copy(dir.path());
        assert!(edit(spoilt.path(), &format!("UPDATE {table} SET {column} = {value}")) > 0);
        let found = refusals(spoilt.path());
        if (table, column) == ("tokens", "tenant_id") {
            // The token is nobody's now: it opens nothing.
            continue;
        }
        assert!(!found.is_empty(), "{table}.{column}");
        assert!(
            found.iter().all(|e| e.code == ErrorCode::StoreTampered && e.message.contains(table)),
            "{found:?}"
        );
        let named = [
            ("kms_keys", "revision"),
            ("kms_key_versions", ""),
            ("objects", "private"),
            ("objects", "version"),
            ("pins", "role"),
        ];
        if !named.iter().any(|(t, c)| *t == table && (c.is_empty() || *c == column)) {
            assert!(found[0].message.contains(&format!("column {column} ")), "{}", found[0]);
        }
    }
}

/// The refusal holds where it counts: at use.
#[test]
fn an_edited_key_is_not_used() {
    let opened = filled(&RUST);
    let Opened { dir, core, token, .. } = opened;
    drop(core);
    edit(dir.path(), "UPDATE kms_keys SET exportable = 1 WHERE name = 'a'");
    edit(dir.path(), "UPDATE kms_key_versions SET encrypted_material = (SELECT encrypted_material FROM kms_key_versions
         WHERE key_id = (SELECT id FROM kms_keys WHERE name = 'a')) WHERE key_id = (SELECT id FROM kms_keys WHERE name = 'b')");
    let core = open(dir.path(), &RUST);
    let caller = core.authenticate(&token).unwrap();
    let shown = core.call(&caller, ShowKey { name: "a".into(), before_version: 0 }).map(|_| ()).unwrap_err();
    assert!(shown.code == ErrorCode::StoreTampered && shown.message.contains("exportable"), "{shown}");
    for name in ["a", "b"] {
        let request =
            Encrypt { name: name.into(), plaintext: b"x"[..].into(), context: (&b""[..]).into(), version: 0 };
        let used = core.call(&caller, request).map(|_| ()).unwrap_err();
        assert_eq!(used.code, ErrorCode::StoreTampered, "{name}");
    }
    core.call(&caller, ShowKey { name: "p".into(), before_version: 0 }).map(|_| ()).unwrap();
}
