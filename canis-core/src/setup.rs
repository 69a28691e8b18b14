//! Making a store: the first rows, written in one transaction.

use crate::caller::Caller;
use crate::clock::Clock;
use crate::core::Core;
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
use canis_proto::{Capabilities, Error, ErrorCode, Id, Result};
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

impl Core {
    /// The secret of this name that [`create`] was given to keep, such as the key of the server's CA, for the store's own host.
    /// The audit log says for which `event`, and has said so before the secret is given.
    ///
    /// # Errors
    /// `permission_denied` for anybody but who brought a root's credential into this process; `sealed`, `store_tampered`,
    /// `store_unavailable`, `audit_unavailable`.
    pub fn kept_secret(&self, caller: &Caller, name: &str, event: &str) -> Result<Option<SecretBytes>> {
        if !caller.is_owner() {
            return Err(Error::new(ErrorCode::PermissionDenied, "what the store keeps is for its own host"));
        }
        let kept = self.keyring.kept_secret(name);
        self.note(caller, event, &kept.as_ref().map(drop).map_err(Clone::clone))?;
        kept
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::default_provider;
    use crate::root::Credential;

    /// What the store keeps is for whoever brought a root's credential into this process, and for nobody before that.
    #[test]
    fn kept_for_the_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (dir, kept) = (DataDir::new(folder.path()), SecretBytes::copied_from(b"a key of a CA"));
        let key = || SecretBytes::copied_from(&[7; 32]);
        let clock = || Arc::new(SystemClock);
        let root = NewRoot::Keyfile { key: key() };
        create(&dir, root, &[("ca", &kept)], default_provider(), clock()).map(drop).unwrap();
        let core = Core::open(Arc::new(dir.open_store().unwrap()), default_provider(), clock()).unwrap();
        let code = |caller: &Caller| core.kept_secret(caller, "ca", "test").map(drop).unwrap_err().code;
        assert_eq!(code(&core.operator()), ErrorCode::PermissionDenied, "sealed: nobody is its owner yet");
        core.unseal(&Credential::Keyfile(key())).unwrap();
        for stranger in [Caller::anonymous(), Caller::timer()] {
            assert_eq!(code(&stranger), ErrorCode::PermissionDenied);
        }
        let opened = core.kept_secret(&core.operator(), "ca", "test").unwrap().unwrap();
        assert!(opened.equals(kept.expose()));
        assert!(core.kept_secret(&core.operator(), "another", "test").unwrap().is_none());
    }
}
