//! Making a store: the first rows, written in one transaction.

use crate::clock::Clock;
use crate::crypto::{Provider, selftest};
use crate::datadir::DataDir;
use crate::keyring::accumulator::Accountant;
use crate::keyring::record::StoreFacts;
use crate::keyring::root_record::RootKeyFacts;
use crate::keyring::seal::{fresh_id, fresh_key};
use crate::keyring::store_rows::sealed_fact;
use crate::keyring::tenant::{Protection, new_tenant};
use crate::keyring::{FACTS, Keyring, RootKeys};
use crate::ops::authenticate::NewCredential;
use crate::root::{NewRoot, new_slot};
use crate::secret::SecretBytes;
use crate::store::memory::MemoryStore;
use crate::store::sqlite::SqliteStore;
use crate::store::{Change, Ledger, MetaRow, Row, Store};
use canis_proto::{Capabilities, Id, Result};
use std::sync::Arc;

/// The tenant that every store with a root starts with.
pub const DEFAULT_TENANT: &str = "default";

/// What `canis init` has to show.
pub struct Created {
    /// The store's id.
    pub store: Id,
    /// The first token, text. It is kept nowhere else.
    pub token: SecretBytes,
}

/// Makes the store of `dir` under a new root, with the tenant `default` and one token for it.
///
/// `secrets` are named bytes to keep sealed, such as the private key of the server's CA. The file appears whole or
/// not at all.
///
/// # Errors
/// `store_exists`, `store_full`, `store_unavailable`, and those of the root.
pub fn create(
    dir: &DataDir,
    root: NewRoot,
    secrets: &[(&str, &SecretBytes)],
    provider: &'static Provider,
    clock: Arc<dyn Clock>,
) -> Result<Created> {
    dir.refuse_existing_store()?;
    create_by(root, secrets, provider, clock, |first, ledger| {
        SqliteStore::create(&dir.store_path(), first, Some(ledger))
    })
}

/// The same in a database.
///
/// # Errors
/// As above.
#[cfg(feature = "postgres")]
pub fn create_in(
    database: &crate::datadir::StoreConfig,
    root: NewRoot,
    secrets: &[(&str, &SecretBytes)],
    provider: &'static Provider,
    clock: Arc<dyn Clock>,
) -> Result<Created> {
    create_by(root, secrets, provider, clock, |first, ledger| {
        crate::store::postgres::PostgresStore::create(database, first, Some(ledger))
    })
}

fn create_by(
    root: NewRoot,
    secrets: &[(&str, &SecretBytes)],
    provider: &'static Provider,
    clock: Arc<dyn Clock>,
    write: impl FnOnce(&[Change], &dyn Ledger) -> Result<()>,
) -> Result<Created> {
    selftest::run(provider)?;
    let (store, facts) = facts(provider, &*clock)?;
    let root_key = fresh_key(provider)?;
    let slot = new_slot(provider, store, root, &root_key, clock.now_micros())?;
    let keys = RootKeys::new(provider, root_key)?;
    let mut salt = [0; 16];
    provider.random.fill(&mut salt)?;
    let accountant = Accountant::new(provider, &keys, &salt)?;
    let root_key_facts = RootKeyFacts { number: 1, created_at: clock.now_micros(), counted: Some(salt) };
    // Rows are sealed by a keyring, and a keyring stands on a store: the rows gather in memory first.
    let draft: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let mut first = vec![Change::Put(facts), Change::Put(Row::RootSlot(slot))];
    draft.commit(&first)?;
    first.push(Change::Put(Keyring::root_key_fact(&keys, 1, &root_key_facts)?));
    let tenant = new_tenant(provider, Some(&keys), DEFAULT_TENANT, 0, Protection::Root, clock.now_micros())?;
    for (name, secret) in secrets {
        first.push(Change::Put(sealed_fact(&keys, name, secret)?));
    }
    first.push(Change::Put(crate::audit::secret_row(provider, &keys)?));
    let keyring = Keyring::new(draft, provider, clock)?;
    keyring.hold_root(keys);
    first.push(Change::Put(keyring.tenant_row(tenant.id, 1, &tenant.record)?));
    let first_token =
        NewCredential { name: "the first", capabilities: Capabilities::ALL, ..NewCredential::default() };
    let (row, token) = keyring.new_token(tenant.id, &first_token)?;
    first.push(Change::Put(Row::Token(row)));
    first.push(Change::Recount);
    write(&first, &accountant)?;
    Ok(Created { store, token })
}

/// Makes a store without a root, as the PKCS#11 module does in an empty directory: each token is protected by its
/// PINs alone.
///
/// # Errors
/// `store_exists`, `store_full`, `store_unavailable`.
pub(crate) fn create_rootless(dir: &DataDir, provider: &'static Provider, clock: &dyn Clock) -> Result<()> {
    let (_, facts) = facts(provider, clock)?;
    SqliteStore::create(&dir.store_path(), &[Change::Put(facts)], None)
}

fn facts(provider: &'static Provider, clock: &dyn Clock) -> Result<(Id, Row)> {
    let id = fresh_id(provider)?;
    let body = StoreFacts { id: id.0, created_at: clock.now_micros() }.encode()?;
    Ok((id, Row::Meta(MetaRow { name: FACTS.to_owned(), revision: 1, body })))
}
