//! Rows that were taken away, added or put back are found, whoever wrote the others and whenever.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod filled;
mod store;

use canis_core::crypto::RUST;
use canis_core::token::ListTokens;
use canis_core::{AcceptStore, Caller, Core, VerifyStore};
use canis_proto::message::{CreateKey, DestroyKey, DisableKey, RotateKey};
use canis_proto::{ErrorCode, Interval, KeyType};
use filled::filled;
use rusqlite::Connection;
use std::path::Path;
use store::{Opened, fresh, open};

/// What a full check refuses.
fn refusals(core: &Core) -> Vec<canis_proto::Error> {
    let tokens = core.call(&Caller::anonymous(), ListTokens).unwrap();
    core.call(&core.owner(tokens[0].id).unwrap(), VerifyStore).unwrap().refused
}

fn edit(path: &Path, sql: &str) {
    let connection = Connection::open(path.join("canis.dat")).unwrap();
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection.execute_batch(sql).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
}

/// A closed copy of the store.
fn copy(from: &Path) -> tempfile::TempDir {
    edit(from, "");
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(from.join("canis.dat"), dir.path().join("canis.dat")).unwrap();
    dir
}

/// Puts rows of an older copy in place of those of today.
fn put_back(old: &Path, new: &Path, sql: &str) {
    let attach = format!("ATTACH '{}' AS old;", old.join("canis.dat").display());
    edit(new, &format!("{attach} {sql}"));
}

/// R64, R67: a row of any table that is deleted is missed, and the table is named.
#[test]
fn a_deleted_row_is_missed() {
    let Opened { dir, core, .. } = filled(&RUST);
    drop(core);
    for table in ["pins", "tokens", "kms_keys", "kms_key_versions", "objects", "meta"] {
        let spoilt = copy(dir.path());
        let last = match table {
            "meta" => "name = 'tls-ca-key'".to_owned(),
            _ => format!("rowid = (SELECT max(rowid) FROM {table})"),
        };
        edit(spoilt.path(), &format!("DELETE FROM {table} WHERE {last}"));
        let found = refusals(&open(spoilt.path(), &RUST));
        let named = |e: &canis_proto::Error| {
            e.code == ErrorCode::StoreTampered
                && e.message.contains(table)
                && e.message.contains("taken away")
        };
        assert!(found.iter().any(named), "{table}: {found:?}");
    }
}

/// A destroyed key's rows put back from an older copy, whole and sealed as they were, are found; so is a rotation undone.
#[test]
fn rows_of_an_older_copy_are_found() {
    let Opened { dir, core, caller, .. } = fresh(&RUST);
    for name in ["gone", "turned"] {
        core.call(&caller, CreateKey::new(name, KeyType::Aes256)).unwrap();
    }
    let old = copy(dir.path());
    core.call(&caller, RotateKey { name: "turned".into(), preview: false }).unwrap();
    core.call(&caller, DisableKey { name: "gone".into() }).unwrap();
    core.call(&caller, DestroyKey { name: "gone".into(), delay: Interval::NEVER }).unwrap();
    assert_eq!(refusals(&core), []);
    drop(core);

    let raised = copy(dir.path());
    put_back(
        old.path(),
        raised.path(),
        "DELETE FROM kms_keys WHERE deleted_at IS NOT NULL;
         INSERT INTO kms_keys SELECT * FROM old.kms_keys WHERE name = 'gone';
         INSERT INTO kms_key_versions SELECT v.* FROM old.kms_key_versions v JOIN old.kms_keys k ON k.id = v.key_id
         WHERE k.name = 'gone'",
    );
    let core = open(raised.path(), &RUST);
    let found = refusals(&core);
    let row: String = Connection::open(raised.path().join("canis.dat"))
        .unwrap()
        .query_row(
            "SELECT lower(hex(v.id)) FROM kms_key_versions v JOIN kms_keys k ON k.id = v.key_id WHERE k.name = 'gone'",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert!(
        found.iter().any(|e| e.message.replace('-', "").contains(&format!("kms_key_versions row {row}"))),
        "one row that is too many is named: {found:?}"
    );
    assert!(
        found.iter().any(|e| e.message.contains("kms_keys") && e.message.contains("older copy")),
        "{found:?}"
    );

    // Writing on does not make it good.
    let caller = core.administrator().unwrap();
    core.call(&caller, CreateKey::new("later", KeyType::Aes256)).unwrap();
    assert_eq!(refusals(&core).len(), found.len());

    let turned = copy(dir.path());
    put_back(
        old.path(),
        turned.path(),
        "DELETE FROM kms_keys WHERE name = 'turned'; INSERT INTO kms_keys SELECT * FROM old.kms_keys WHERE name = 'turned'",
    );
    assert!(refusals(&open(turned.path(), &RUST)).iter().any(|e| e.message.contains("kms_keys")));

    // Nor do the accumulators of then, of one tenant or of all.
    for which in ["hex(id) <> '00000000000000000000000000000000'", "true"] {
        let spoilt = copy(dir.path());
        let sql = format!(
            "DELETE FROM accumulators WHERE {which}; INSERT INTO accumulators SELECT * FROM old.accumulators WHERE {which}"
        );
        put_back(old.path(), spoilt.path(), &sql);
        assert!(!refusals(&open(spoilt.path(), &RUST)).is_empty(), "{which}");
    }
}

/// A PIN's counter put back, which the PIN's own row cannot show, is found.
#[test]
fn an_older_count_of_wrong_pins_is_found() {
    let Opened { dir, core, .. } = filled(&RUST);
    let old = copy(dir.path());
    let token = core.call(&Caller::anonymous(), ListTokens).unwrap()[0].id;
    let application = core.application();
    let wrong = canis_core::secret::SecretBytes::copied_from(b"not the PIN");
    let login = canis_core::token::Login { role: canis_core::token::Role::User, pin: (&wrong).into() };
    core.call(&Caller::pkcs11(&application, token), login).unwrap_err();
    drop(core);
    let spoilt = copy(dir.path());
    put_back(old.path(), spoilt.path(), "DELETE FROM pins; INSERT INTO pins SELECT * FROM old.pins");
    let found = refusals(&open(spoilt.path(), &RUST));
    assert!(found.iter().any(|e| e.message.contains("pins")), "{found:?}");
}

/// Without its accumulators a store is read, but nothing is written to it; they are not made anew in silence.
#[test]
fn accumulators_cannot_be_taken_away() {
    let Opened { dir, core, .. } = filled(&RUST);
    drop(core);
    for sql in [
        "DELETE FROM accumulators",
        "DELETE FROM accumulators; DELETE FROM meta WHERE name = 'root-key'",
        "DROP TABLE accumulators; DELETE FROM meta WHERE name = 'root-key'",
        "UPDATE accumulators SET sealed = zeroblob(60)",
        "UPDATE accumulators SET revision = revision + 1",
        "UPDATE meta SET body = zeroblob(60) WHERE name = 'root-key'",
    ] {
        let spoilt = copy(dir.path());
        edit(spoilt.path(), sql);
        let core = open(spoilt.path(), &RUST);
        let found = refusals(&core);
        assert!(found.iter().any(|e| e.code == ErrorCode::StoreTampered), "{sql}: {found:?}");
        let caller = core.administrator().unwrap();
        let refused = core.call(&caller, CreateKey::new("n", KeyType::Aes256)).map(|_| ()).unwrap_err();
        assert_eq!(refused.code, ErrorCode::StoreTampered, "{sql}: {refused}");
        // Unless its owner takes it as it stands.
        assert_eq!(core.call(&caller, AcceptStore).unwrap_err().code, ErrorCode::OperationNotAllowed);
        core.call(&core.operator(), AcceptStore).unwrap();
        core.call(&caller, CreateKey::new("n", KeyType::Aes256)).unwrap();
        drop(core);
        assert_eq!(refusals(&open(spoilt.path(), &RUST)), [], "{sql}");
    }
}

/// Several cores on one file, writing at once: the sums stay right.
#[test]
fn many_writers_keep_the_sums() {
    let Opened { dir, core, .. } = fresh(&RUST);
    let cores: Vec<Core> = (0..3).map(|_| open(dir.path(), &RUST)).collect();
    std::thread::scope(|scope| {
        for (n, core) in cores.iter().enumerate() {
            scope.spawn(move || {
                let caller = core.administrator().unwrap();
                for k in 0..8 {
                    let name = format!("k{n}-{k}");
                    core.call(&caller, CreateKey::new(name.clone(), KeyType::Aes256)).unwrap();
                    core.call(&caller, RotateKey { name: name.clone().into(), preview: false }).unwrap();
                    if k % 2 == 0 {
                        core.call(&caller, DisableKey { name: name.clone().into() }).unwrap();
                        core.call(&caller, DestroyKey { name: name.into(), delay: Interval::NEVER }).unwrap();
                    }
                }
            });
        }
    });
    assert_eq!(refusals(&core), []);
}
