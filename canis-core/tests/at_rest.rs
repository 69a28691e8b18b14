//! What somebody who holds the file can read and change: nothing, and nothing unnoticed.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod store;

use canis_core::crypto::{Keys, PrivateKey, Provider, PublicKey, RUST, Random};
use canis_core::object::{Class, Content, DestroyObject, FindObjects, GenerateObjects, KeyFacts, Wanted};
use canis_core::secret::SecretBytes;
use canis_core::token::{InitUserPin, ListTokens, Login, Role};
use canis_core::{Caller, VerifyStore};
use canis_proto::message::{Encrypt, ShowKey};
use canis_proto::{ErrorCode, KeyType, Result, Usage};
use rusqlite::Connection;
use std::path::Path;
use std::sync::Mutex;
use store::{KEYFILE, Opened, fresh, open};

/// Every key that was drawn in this process.
static DRAWN: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

struct Recording;

impl Random for Recording {
    fn fill(&self, out: &mut [u8]) -> Result<()> {
        RUST.random.fill(out)?;
        // Nonces (24 bytes), salts and ids (16) are public; 32 bytes are a key or a token's secret.
        if out.len() == 32 {
            DRAWN.lock().unwrap().push(out.to_vec());
        }
        Ok(())
    }
}

impl Keys for Recording {
    fn generate(&self, kind: KeyType) -> Result<SecretBytes> {
        let made = RUST.keys.generate(kind)?;
        DRAWN.lock().unwrap().push(made.expose().to_vec());
        Ok(made)
    }

    fn private(&self, kind: KeyType, pkcs8: &[u8]) -> Result<Box<dyn PrivateKey>> {
        RUST.keys.private(kind, pkcs8)
    }

    fn public(&self, kind: KeyType, spki: &[u8]) -> Result<Box<dyn PublicKey>> {
        RUST.keys.public(kind, spki)
    }
}

/// The RustCrypto provider, with every drawn key written down.
static RECORDING: Provider = Provider { random: &Recording, keys: &Recording, ..RUST };

const PIN: &[u8] = b"a known PIN of the user";

/// A store with keys made through the API and through PKCS#11, a token and a PIN.
fn filled() -> Opened {
    let opened = fresh(&RECORDING);
    for (name, kind) in
        [("a", KeyType::Aes256), ("b", KeyType::Aes256), ("p", KeyType::EcdsaP256), ("e", KeyType::Ed25519)]
    {
        opened.create(name, kind);
    }
    let core = &opened.core;
    let token = core.call(&Caller::anonymous(), ListTokens).unwrap()[0].id;
    let pin = SecretBytes::copied_from(PIN);
    core.call(&core.owner(token).unwrap(), InitUserPin { pin: &pin }).unwrap();
    let application = core.application();
    let user = Caller::pkcs11(&application, token);
    core.call(&user, Login { role: Role::User, pin: &pin }).unwrap();
    core.call(&user, generate()).unwrap();
    opened
}

fn generate() -> GenerateObjects {
    let facts = KeyFacts {
        kind: KeyType::EcdsaP256,
        usage: Usage::SIGN,
        trusted: false,
        sensitive: true,
        always_sensitive: false,
        extractable: false,
        never_extractable: false,
        local: false,
        always_authenticate: false,
        wrap_with_trusted: false,
        by_api: false,
        from_kdf: false,
        mechanism: 0x1040,
        spki: Vec::new(),
    };
    let secret = Content {
        class: Class::PrivateKey,
        private: true,
        modifiable: true,
        copyable: true,
        destroyable: true,
        label: b"signer".to_vec(),
        id: vec![1],
        key: Some(facts.clone()),
        attributes: vec![(0x101, b"a subject".to_vec())],
    };
    let public_facts = KeyFacts { usage: Usage::VERIFY, sensitive: false, extractable: true, ..facts };
    let public =
        Content { class: Class::PublicKey, private: false, key: Some(public_facts), ..secret.clone() };
    GenerateObjects { kind: KeyType::EcdsaP256, len: 0, session: None, secret, public: Some(public) }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

/// R10, R64, R92: no key, PIN or token stands in any file of the store, nor a useful part of one.
#[test]
fn no_secret_is_readable_in_the_files() {
    let opened = filled();
    let mut secrets = DRAWN.lock().unwrap().clone();
    assert_eq!(secrets.len(), 8, "root key, tenant key, token, four API keys and one of PKCS#11 were drawn");
    secrets.extend([
        PIN.to_vec(),
        KEYFILE.to_vec(),
        opened.token.clone().into_bytes(),
        b"the CA's private key".to_vec(),
    ]);
    let files: Vec<_> = std::fs::read_dir(opened.dir.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(files.iter().any(|f| f.ends_with("canis.dat-wal")), "the log is among the files: {files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        for secret in &secrets {
            // A PKCS#8 P-256 key ends in the public key; its private scalar starts at byte 36 (RFC 5915).
            let part = if secret.len() > 100 { &secret[36..52] } else { &secret[secret.len() - 16..] };
            let found = contains(&bytes, secret) || contains(&bytes, part);
            assert!(!found, "{} holds a secret of {} bytes", file.display(), secret.len());
        }
    }
    // The search itself works: a name that stands in clear is found.
    let found = |file: &str| contains(&std::fs::read(opened.dir.path().join(file)).unwrap(), b"ecdsa-p256");
    assert!(found("canis.dat") || found("canis.dat-wal"));
}

/// R19: a destroyed key's material is gone from every file, its tombstone stays, and its name is free.
#[test]
fn destroyed_material_is_gone() {
    let opened = filled();
    let core = &opened.core;
    let token = core.call(&Caller::anonymous(), ListTokens).unwrap()[0].id;
    let application = core.application();
    let user = Caller::pkcs11(&application, token);
    core.call(&user, Login { role: Role::User, pin: &SecretBytes::copied_from(PIN) }).unwrap();
    let find = |class| FindObjects {
        wanted: Wanted { class: Some(class), label: Some(b"signer"), ..Wanted::default() },
    };
    let object = core.call(&user, find(Class::PrivateKey)).unwrap().objects[0].id;
    let material: Vec<u8> = {
        let sql = "SELECT v.encrypted_material FROM kms_key_versions v JOIN kms_keys k ON k.id = v.key_id
                   WHERE k.name = 'signer'";
        Connection::open(opened.dir.path().join("canis.dat"))
            .unwrap()
            .query_row(sql, [], |r| r.get(0))
            .unwrap()
    };
    let stands = || {
        let files =
            std::fs::read_dir(opened.dir.path()).unwrap().map(|e| std::fs::read(e.unwrap().path()).unwrap());
        files
            .filter(|bytes| {
                contains(bytes, &material[..32]) || contains(bytes, &material[material.len() - 32..])
            })
            .count()
    };
    assert!(stands() > 0);
    core.call(&user, DestroyObject { object }).unwrap();
    assert_eq!(stands(), 0, "the sealed material is still in a file");
    let state: (String, Option<i64>) = Connection::open(opened.dir.path().join("canis.dat"))
        .unwrap()
        .query_row("SELECT state, deleted_at FROM kms_keys WHERE name LIKE '~%'", [], |r| {
            Ok((r.get(0)?, r.get(1)?))
        })
        .unwrap();
    assert!(state.0 == "destroyed" && state.1.is_some());
    assert!(core.call(&user, find(Class::PrivateKey)).unwrap().objects.is_empty());
    opened.create("signer", KeyType::Aes256);
}

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
    let core = open(path, &RECORDING);
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
    let Opened { dir, core, .. } = filled();
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
        let core = canis_core::Core::open(store, &RECORDING, clock).unwrap();
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
    let opened = filled();
    let Opened { dir, core, token, .. } = opened;
    drop(core);
    edit(dir.path(), "UPDATE kms_keys SET exportable = 1 WHERE name = 'a'");
    edit(dir.path(), "UPDATE kms_key_versions SET encrypted_material = (SELECT encrypted_material FROM kms_key_versions
         WHERE key_id = (SELECT id FROM kms_keys WHERE name = 'a')) WHERE key_id = (SELECT id FROM kms_keys WHERE name = 'b')");
    let core = open(dir.path(), &RECORDING);
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
