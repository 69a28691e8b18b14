//! Keys and what they stand on: root keys, open tenants, sealed rows, ready keys.
//!
//! Only `ops` use a [`Keyring`]; the one door to them is [`crate::Core::call`].

use crate::allow::ObjectPlace;
use crate::audit::Log;
use crate::clock::Clock;
use crate::crypto::Provider;
use crate::crypto::decoy::Decoys;
use crate::crypto::xaes::XaesKey;
use crate::jwt::Issuers;
use crate::object::KeyHandle;
use crate::policy::Rules;
use crate::root::HsmHelper;
use crate::secret::SecretBytes;
use crate::store::Store;
use crate::token::TokenInfo;
use canis_proto::{Error, ErrorCode, Id, Result, Usage};
use quick_cache::OptionsBuilder;
use quick_cache::sync::Cache;
use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

pub(crate) mod accumulator;
mod anchor;
pub(crate) mod approval;
pub(crate) mod approval_record;
pub(crate) mod audit_key;
pub(crate) mod backups;
mod brought;
pub(crate) mod change;
mod counted;
pub(crate) mod counts;
mod demands;
pub(crate) mod entry;
pub(crate) mod figures;
mod grace;
pub(crate) mod intent;
pub(crate) mod key;
pub(crate) mod key_record;
pub(crate) mod key_rules;
pub(crate) mod object;
pub(crate) mod pin;
pub(crate) mod policy;
pub(crate) mod policy_record;
pub(crate) mod ready;
pub(crate) mod receipt;
pub(crate) mod record;
pub(crate) mod rekey;
mod renewal;
pub(crate) mod role;
pub(crate) mod roles;
pub(crate) mod root_key;
pub(crate) mod root_record;
mod roots;
pub(crate) mod rows_checked;
mod schedule;
pub(crate) mod seal;
mod sealing;
mod search;
mod spending;
pub(crate) mod standing;
pub(crate) mod store_rows;
pub(crate) mod tenant;
mod together;
mod token_list;
pub(crate) mod uses;
mod wrapping_key;

use approval::Asking;
use counted::{Books, Counted, Counting};
use key::Key;
use object::CachedObject;
use ready::ReadyKey;
use record::StoreFacts;
use seal::{RowSealer, derive_xaes};
use sealing::Sealing;
use search::{Answer, Asked};
use spending::Spending;
use tenant::OpenTenant;
use uses::Uses;

/// How many keys' metadata and ready keys stay in memory; older ones are dropped and wiped.
const CACHED_KEYS: usize = 10_000;

/// The name of the row that describes the store.
pub(crate) const FACTS: &str = "store";

/// Everything that keys stand on. Public in name only: no other crate can get hold of one.
pub struct Keyring {
    pub(crate) store: Arc<dyn Store>,
    books: Arc<Books>,
    pub(crate) memory: anchor::Memory,
    backups: backups::Backups,
    pub(crate) provider: &'static Provider,
    pub(crate) clock: Arc<dyn Clock>,
    facts: StoreFacts,
    root: RwLock<RootState>,
    /// Why the store is sealed, for people.
    reason: Mutex<String>,
    pub(crate) sealing: Sealing,
    open: RwLock<HashMap<Id, Arc<OpenTenant>>>,
    keys: Cache<(Id, String), Arc<Key>>,
    ready: Cache<(Id, u64), Arc<ReadyKey>>,
    objects: Cache<Id, Arc<CachedObject>>,
    handles: Cache<(Id, Usage), Arc<KeyHandle>>,
    pub(crate) places: Cache<Id, Arc<ObjectPlace>>,
    rules: Cache<Vec<(Id, u64)>, Arc<Rules>>,
    roles: Cache<Id, Arc<roles::TenantRoles>>,
    /// Whose JWTs are looked at.
    issuers: RwLock<Arc<Issuers>>,
    searches: Cache<Asked, Arc<Answer>>,
    tokens: Mutex<Option<(u64, Arc<Vec<TokenInfo>>)>>,
    uses: Uses,
    /// How often credentials were changed by this process.
    credentials: AtomicU64,
    /// The moment of credentials since this process has last changed them.
    credentials_since: AtomicU64,
    /// What loads the libraries that requests name.
    hsm_helper: OnceLock<HsmHelper>,
    /// For refusals that must not tell by their time why they are.
    pub(crate) decoys: Decoys,
    /// Whose turn it is among those whose transactions met another one.
    losers: Mutex<()>,
    /// Whose turn it is among those who remove root slots.
    roots: Mutex<()>,
    /// Taken alone by who replaces the root key, and shared by who writes what stands under it.
    root_gate: RwLock<()>,
    /// Grows when the root key begins to be replaced, and when that is over.
    root_turns: AtomicU64,
    /// The audit log, if one is kept.
    pub(crate) log: Option<Arc<Log>>,
    /// Where requests for approval go.
    asking: Asking,
}

/// Whether the root key is at hand.
#[derive(Clone)]
enum RootState {
    /// The store has no root slot: tenants are protected by their PINs alone.
    Rootless,
    /// The root key is absent.
    Sealed,
    /// The keys derived from the root key.
    Open(Arc<RootKeys>),
}

/// What the root key opens; one HKDF label each (docs/storage.md).
pub(crate) struct RootKeys {
    /// The root key itself, for root slots that are added.
    pub(crate) root_key: SecretBytes,
    pub(crate) rows: RowSealer,
    pub(crate) tenant_wrap: XaesKey,
    pub(crate) pin_outer: XaesKey,
}

impl RootKeys {
    pub(crate) fn new(provider: &'static Provider, root_key: SecretBytes) -> Result<Self> {
        Ok(RootKeys {
            rows: RowSealer::new(provider, &root_key)?,
            tenant_wrap: derive_xaes(provider, &root_key, "canis/v1/tenant-wrap")?,
            pin_outer: derive_xaes(provider, &root_key, "canis/v1/pin-outer")?,
            root_key,
        })
    }
}

/// A cache whose number of shards is given: asked for none, the crate counts the processors, for which the standard
/// library reads the process's cgroup, and that alone takes longer than opening the store.
fn cache<K: Eq + Hash, V: Clone>(capacity: usize) -> Cache<K, V> {
    const SHARDS: usize = 16;
    let options = OptionsBuilder::new()
        .shards(SHARDS)
        .estimated_items_capacity(capacity)
        .weight_capacity(capacity as u64)
        .build();
    match options {
        Ok(options) => {
            Cache::with_options(options, Default::default(), Default::default(), Default::default())
        }
        Err(_) => Cache::new(capacity),
    }
}

impl Keyring {
    /// Looks at the store; nothing of it is opened yet.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        provider: &'static Provider,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let row = store.meta(FACTS)?.ok_or_else(|| {
            Error::new(
                ErrorCode::StoreFormat,
                "the store does not say what it is; was `canis init` interrupted?",
            )
        })?;
        let root = if store.root_slots()?.is_empty() { RootState::Rootless } else { RootState::Sealed };
        let counting = match root {
            RootState::Rootless => Counting::Not,
            _ => Counting::Refused(Error::new(ErrorCode::Sealed, "the store was not unsealed yet")),
        };
        let books = Arc::new(Books::new(counting));
        let store: Arc<dyn Store> = Arc::new(Counted::over(store, Arc::clone(&books)));
        let store: Arc<dyn Store> = Arc::new(Spending(store));
        Ok(Keyring {
            books,
            memory: anchor::Memory::default(),
            backups: backups::Backups::default(),
            facts: StoreFacts::decode(&row.body)?,
            root: RwLock::new(root),
            reason: Mutex::new("the store was not unsealed yet".into()),
            sealing: Sealing::default(),
            open: RwLock::default(),
            keys: cache(CACHED_KEYS),
            ready: cache(CACHED_KEYS),
            objects: cache(CACHED_KEYS),
            handles: cache(CACHED_KEYS),
            places: cache(CACHED_KEYS),
            rules: cache(policy::KEPT),
            roles: cache(policy::KEPT),
            issuers: RwLock::default(),
            searches: cache(search::KEPT),
            tokens: Mutex::new(None),
            uses: Uses::default(),
            credentials: AtomicU64::new(0),
            credentials_since: AtomicU64::new(0),
            hsm_helper: OnceLock::new(),
            decoys: Decoys::default(),
            losers: Mutex::new(()),
            roots: Mutex::new(()),
            root_gate: RwLock::new(()),
            root_turns: AtomicU64::new(0),
            log: None,
            asking: Asking::Here,
            store,
            provider,
            clock,
        })
    }

    /// The store's id.
    pub(crate) fn store_id(&self) -> Id {
        Id(self.facts.id)
    }

    /// Whether there is a root at all.
    pub(crate) fn has_root(&self) -> bool {
        !matches!(self.root_state(), RootState::Rootless)
    }

    /// Whether the root key is absent though there is a root.
    pub(crate) fn is_sealed(&self) -> bool {
        matches!(self.root_state(), RootState::Sealed)
    }

    /// Why it is sealed.
    pub(crate) fn sealed_reason(&self) -> String {
        self.reason.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Says why it is sealed.
    pub(crate) fn set_sealed_reason(&self, reason: String) {
        *self.reason.lock().unwrap_or_else(PoisonError::into_inner) = reason;
    }

    /// Holds the root's keys from now on.
    pub(crate) fn hold_root(&self, keys: RootKeys) {
        *self.root.write().unwrap_or_else(PoisonError::into_inner) = RootState::Open(Arc::new(keys));
        self.set_sealed_reason(String::new());
    }

    /// Holds them in place of others, unless the store was sealed since `turn`.
    fn swap_root(&self, keys: Arc<RootKeys>, counting: Counting, turn: u64) {
        let mut root = self.root.write().unwrap_or_else(PoisonError::into_inner);
        if self.sealing.turn() == turn {
            *root = RootState::Open(keys);
            self.books.set(counting);
        }
    }

    /// The root's keys.
    ///
    /// # Errors
    /// `sealed`, with the reason; `operation_not_allowed` in a store without a root.
    pub(crate) fn root_keys(&self) -> Result<Arc<RootKeys>> {
        match self.root_state() {
            RootState::Open(keys) => Ok(keys),
            RootState::Sealed => Err(self.sealed_error()),
            RootState::Rootless => Err(Error::new(
                ErrorCode::OperationNotAllowed,
                "this store has no root: the PKCS#11 module made it for itself",
            )),
        }
    }

    /// A number that grows whenever credentials were changed, by this process or, where the store tells, by others. Two
    /// loads.
    pub(crate) fn credentials_moment(&self) -> u64 {
        self.credentials.load(Ordering::Acquire).wrapping_add(self.store.credentials())
    }

    /// Credentials were changed.
    pub(crate) fn credentials_changed(&self) {
        // Before the moment itself moves, so that nobody takes what was for what is.
        self.credentials_since.fetch_max(self.credentials_moment().wrapping_add(1), Ordering::AcqRel);
        self.credentials.fetch_add(1, Ordering::Release);
    }

    fn root_state(&self) -> RootState {
        self.root.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn sealed_error(&self) -> Error {
        Error::new(ErrorCode::Sealed, format!("the store is sealed: {}", self.sealed_reason()))
    }
}
