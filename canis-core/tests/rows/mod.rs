//! Stores of every kind, and rows with something in every column.
#![allow(dead_code)] // each test file uses its own part

#[cfg(feature = "postgres")]
use canis_core::datadir::StoreConfig;
use canis_core::store::at_hand::AtHand;
use canis_core::store::memory::MemoryStore;
#[cfg(feature = "postgres")]
use canis_core::store::postgres::PostgresStore;
use canis_core::store::sqlite::SqliteStore;
use canis_core::store::{Change, KeyRow, ObjectRow, Row, Store, TenantRow, VersionRow};
use canis_proto::Id;

/// Runs `test` on a fresh store of each kind.
pub(crate) fn on_every_store(test: impl Fn(&dyn Store)) {
    test(&MemoryStore::new());
    test(&AtHand(MemoryStore::new()));
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("canis.dat");
    SqliteStore::create(&path, &[], None).unwrap();
    test(&SqliteStore::open(&path).unwrap());
    #[cfg(feature = "postgres")]
    test(&database().1);
}

/// An empty store in a PostgreSQL of its own.
#[cfg(feature = "postgres")]
pub(crate) fn database() -> (canis_tests::Postgres, PostgresStore) {
    let postgres = canis_tests::Postgres::start();
    let config = StoreConfig { url: postgres.url(), ..StoreConfig::default() };
    PostgresStore::create(&config, &[], None).unwrap();
    let store = PostgresStore::open(&config, postgres.folder()).unwrap();
    (postgres, store)
}

pub(crate) fn id(n: u8) -> Id {
    Id([n; 16])
}

pub(crate) fn tenant(n: u8) -> Change {
    let (id, slot) = (id(n), u32::from(n));
    Change::Put(Row::Tenant(TenantRow { id, name: format!("t{n}"), slot, revision: 1, sealed: vec![n] }))
}

pub(crate) fn key(n: u8, tenant_id: Id, name: &str) -> KeyRow {
    KeyRow {
        id: id(n),
        tenant_id,
        name: name.into(),
        key_type: "aes256-gcm".into(),
        current_version: 1,
        min_decryption_version: 1,
        min_encryption_version: 0,
        deletion_allowed: true,
        exportable: false,
        created_at: -5,
        updated_at: i64::MAX,
        deleted_at: None,
        state: "active".into(),
        due_at: None,
        revision: 1,
        sealed: vec![0, 255],
    }
}

pub(crate) fn version(n: u8, key_id: Id, version: u32) -> Change {
    let row = VersionRow { id: id(n), key_id, version, encrypted_material: vec![n], created_at: 1 };
    Change::Put(Row::Version(row))
}

pub(crate) fn object(n: u8, tenant_id: Id, label: &[u8]) -> ObjectRow {
    ObjectRow {
        id: id(n),
        tenant_id,
        class: n % 5,
        private: n.is_multiple_of(2),
        label: label.into(),
        cka_id: vec![n],
        key_id: (n > 10).then_some(id(1)),
        version: 0,
        family: n % 3,
        revision: 1,
        body: vec![1, 2, 3],
        seal: vec![],
    }
}
