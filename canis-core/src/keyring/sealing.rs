//! Sealing a store that is open, and what a sealed one is brought before it opens: shares of several people, one at a time.
//!
//! Anybody who reaches the server may try. What a try costs is bounded: so many a second of strangers together, one
//! Argon2id at a time, and at most one split's shares in memory, for a while. Who comes from the store's own host is not
//! held up by strangers.

use super::accumulator::Accountant;
use super::counted::Counting;
use super::tenant::OpenTenant;
use super::{Keyring, ReadyKey, RootKeys, RootState};
use crate::caller::Caller;
use crate::pace::{Pace, Taken};
use crate::root::{Credential, Share, check_share};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant};

/// How long shares wait for the next one, in microseconds.
const PATIENCE: i64 = 15 * 60 * 1_000_000;
/// How often strangers may try what costs little.
const CHEAP: Pace = Pace { burst: 20, every: 200_000 };
/// How often they may try a passphrase, which costs a second and 256 MiB.
const DEAR: Pace = Pace { burst: 3, every: 5_000_000 };
/// How long work that had begun may keep its keys after the store was sealed, before that is said.
const LAST_WORK: Duration = Duration::from_secs(10);

/// What is told whoever runs the core: why the store was sealed, or `None` when it was unsealed.
pub(crate) type Watcher = Box<dyn Fn(Option<&str>) + Send + Sync>;
/// Where the credential is found that a configuration names.
pub(crate) type Configured = Box<dyn Fn() -> Result<Credential> + Send + Sync>;

/// Whether and why a store is sealed, and who is opening it.
pub(crate) struct Sealing {
    /// When the times of tries begin to count.
    since: Instant,
    /// Grows with each sealing: what began to unseal before does not open the store afterwards.
    turns: AtomicU64,
    /// Whether somebody sealed it who does not want it to open by itself.
    by_hand: AtomicBool,
    shares: Mutex<Option<Collected>>,
    tries: Mutex<Tries>,
    /// Held by who computes Argon2id for a stranger.
    dear: Mutex<()>,
    pub(crate) watcher: OnceLock<Watcher>,
    pub(crate) configured: OnceLock<Configured>,
}

impl Default for Sealing {
    fn default() -> Self {
        Sealing {
            since: Instant::now(),
            turns: AtomicU64::new(0),
            by_hand: AtomicBool::new(false),
            shares: Mutex::default(),
            tries: Mutex::default(),
            dear: Mutex::default(),
            watcher: OnceLock::new(),
            configured: OnceLock::new(),
        }
    }
}

#[derive(Default)]
struct Tries {
    cheap: Taken,
    dear: Taken,
}

/// Shares of one split, and how long they are kept.
struct Collected {
    split: Id,
    threshold: u8,
    shares: BTreeMap<u8, Share>,
    until: i64,
}

/// How many shares are there.
pub(crate) struct Progress {
    pub(crate) split: Id,
    pub(crate) given: usize,
    pub(crate) threshold: u8,
    pub(crate) until: i64,
}

impl Sealing {
    /// To be held against another [`Self::turn`] later: whether the store was sealed meanwhile.
    pub(crate) fn turn(&self) -> u64 {
        self.turns.load(Ordering::Acquire)
    }

    /// Lets a try through, or says when there may be another one. What is given back is held as long as it lasts.
    pub(crate) fn admit(&self, caller: &Caller, dear: bool) -> Result<Option<MutexGuard<'_, ()>>> {
        let now = i64::try_from(self.since.elapsed().as_micros()).unwrap_or(i64::MAX);
        let own = caller.is_on_host();
        if !own {
            let mut tries = self.tries.lock().unwrap_or_else(PoisonError::into_inner);
            let Tries { cheap, dear: costly } = &mut *tries;
            let taken = if dear { DEAR.take(costly, now) } else { CHEAP.take(cheap, now) };
            taken.map_err(|wait| Error::rate_limited("too many tries to open this store", wait))?;
        }
        if !dear {
            return Ok(None);
        }
        match self.dear.try_lock() {
            Ok(turn) => Ok(Some(turn)),
            Err(TryLockError::Poisoned(poisoned)) => Ok(Some(poisoned.into_inner())),
            Err(TryLockError::WouldBlock) if own => {
                Ok(Some(self.dear.lock().unwrap_or_else(PoisonError::into_inner)))
            }
            Err(TryLockError::WouldBlock) => {
                Err(Error::rate_limited("somebody else's passphrase is being tried", 1_000_000))
            }
        }
    }

    fn collected(&self, now: i64) -> MutexGuard<'_, Option<Collected>> {
        let mut collected = self.shares.lock().unwrap_or_else(PoisonError::into_inner);
        if collected.as_ref().is_some_and(|kept| kept.until <= now || kept.until > now + PATIENCE) {
            *collected = None;
        }
        collected
    }

    /// Forgets shares, those only whose time is over unless `all`.
    pub(crate) fn forget_shares(&self, all: bool, now: i64) {
        let mut collected = self.collected(now);
        if all {
            *collected = None;
        }
    }

    /// How far the shares that are there have got.
    pub(crate) fn progress(&self, now: i64) -> Option<Progress> {
        self.collected(now).as_ref().map(|kept| Progress {
            split: kept.split,
            given: kept.shares.len(),
            threshold: kept.threshold,
            until: kept.until,
        })
    }
}

impl Keyring {
    /// Takes one share. With the last that is needed the store opens.
    pub(crate) fn give_share(&self, share: Share, reset: bool) -> Result<()> {
        let slots = self.store.root_slots()?;
        let threshold = check_share(self.provider, self.store_id(), &slots, &share)?;
        let now = self.clock.now_micros();
        let whole = {
            let mut collected = self.sealing.collected(now);
            if reset {
                *collected = None;
            }
            if let Some(kept) = collected.as_ref().filter(|kept| kept.split != share.split) {
                return Err(Error::new(
                    ErrorCode::RootCredentialWrong,
                    format!(
                        "share {} is of split {}, and {} of {} of split {} are there; `canis unseal --reset` forgets those",
                        share.index,
                        share.split,
                        kept.shares.len(),
                        kept.threshold,
                        kept.split
                    ),
                ));
            }
            let split = share.split;
            let kept = collected.get_or_insert_with(|| Collected {
                split,
                threshold,
                shares: BTreeMap::new(),
                until: now,
            });
            kept.shares.insert(share.index, share);
            kept.until = now.saturating_add(PATIENCE);
            let enough = kept.shares.len() >= usize::from(threshold);
            if enough { collected.take() } else { None }
        };
        match whole {
            Some(kept) => self.unseal(&Credential::Shares(kept.shares.into_values().collect())),
            None => Ok(()),
        }
    }

    /// Unseals unless somebody has sealed the store on purpose; for who does it unasked.
    pub(crate) fn unseal_by_itself(&self, credential: &Credential) -> Result<()> {
        let turn = self.sealing.turn();
        if self.sealing.by_hand.load(Ordering::Acquire) {
            return Err(self.sealed_error());
        }
        self.unseal_at(turn, credential, false).map(drop)
    }

    /// Forgets shares whose time is over.
    pub(crate) fn forget_late_shares(&self) {
        self.sealing.forget_shares(false, self.clock.now_micros());
    }

    /// Whether the store may be unsealed without anybody asking for it.
    pub(crate) fn unseals_itself(&self) -> bool {
        !self.sealing.by_hand.load(Ordering::Acquire)
    }

    /// Holds a root key that was found at `turn`, unless the store was sealed since.
    pub(super) fn open_root(&self, keys: RootKeys, counting: Counting, turn: u64) -> Result<()> {
        self.key_the_log_by(&keys);
        {
            let mut root = self.root.write().unwrap_or_else(PoisonError::into_inner);
            if self.sealing.turn() != turn {
                return Err(Error::new(ErrorCode::Sealed, "the store was sealed meanwhile; unseal it again"));
            }
            *root = RootState::Open(keys.into());
            self.books.set(counting);
        }
        self.sealing.by_hand.store(false, Ordering::Release);
        self.sealing.forget_shares(true, self.clock.now_micros());
        self.set_sealed_reason(String::new());
        self.credentials_changed();
        self.key_the_log();
        // Last: who is told may stop the server, and nothing is to be written after that.
        self.tell_watcher(None);
        Ok(())
    }

    /// Forgets the root key and all that it has opened. `by_hand`: not to be undone unasked. Says whether everything that
    /// held a key is gone.
    pub(crate) fn seal(&self, reason: String, by_hand: bool) -> Result<bool> {
        let held = self.held(&self.root_keys()?);
        self.sealing.by_hand.store(by_hand, Ordering::Release);
        self.set_sealed_reason(reason.clone());
        {
            let mut root = self.root.write().unwrap_or_else(PoisonError::into_inner);
            self.sealing.turns.fetch_add(1, Ordering::AcqRel);
            *root = RootState::Sealed;
            self.books.set(Counting::Refused(self.sealed_error()));
        }
        self.sealing.forget_shares(true, self.clock.now_micros());
        self.credentials_changed();
        self.tell_watcher(Some(&reason));
        Ok(self.forget_all(&held))
    }

    fn tell_watcher(&self, sealed: Option<&str>) {
        if let Some(watcher) = self.sealing.watcher.get() {
            watcher(sealed);
        }
    }

    /// What holds keys now.
    fn held(&self, keys: &Arc<RootKeys>) -> Held {
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner);
        Held {
            root: Arc::downgrade(keys),
            counting: match self.books.counting() {
                Counting::By(accountant) => Arc::downgrade(&accountant),
                Counting::Not | Counting::Refused(_) => Weak::new(),
            },
            tenants: open.values().map(Arc::downgrade).collect(),
            ready: self.ready.iter().map(|(_, ready)| Arc::downgrade(&ready)).collect(),
        }
    }

    /// Forgets, and waits for those who still work with what they had been given. Until the last of them has ended one may
    /// still put something into a cache.
    fn forget_all(&self, held: &Held) -> bool {
        let end = Instant::now() + LAST_WORK;
        loop {
            self.open.write().unwrap_or_else(PoisonError::into_inner).clear();
            *self.tokens.lock().unwrap_or_else(PoisonError::into_inner) = None;
            self.searches.clear();
            self.forget_keys();
            if held.are_gone() {
                return true;
            }
            if Instant::now() > end {
                return false;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// What held keys when the store was sealed.
struct Held {
    root: Weak<RootKeys>,
    counting: Weak<Accountant>,
    tenants: Vec<Weak<OpenTenant>>,
    ready: Vec<Weak<ReadyKey>>,
}

impl Held {
    fn are_gone(&self) -> bool {
        self.root.strong_count() == 0
            && self.counting.strong_count() == 0
            && self.tenants.iter().all(|tenant| tenant.strong_count() == 0)
            && self.ready.iter().all(|ready| ready.strong_count() == 0)
    }
}
