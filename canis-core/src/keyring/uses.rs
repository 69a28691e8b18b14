//! How often keys are used: counted in memory, written every few seconds by a server and, by the PKCS#11 module, which has
//! no thread to do it, when a session closes or a key is opened anew. Advisory: a crash loses what was not written. Nothing
//! is decided by them but where AES-GCM with random IVs ends.
//!
//! A host's child after a fork has a keyring of its own: what its parent counted stays the parent's to write.

use super::Keyring;
use super::key::Key;
use crate::audit::note_use;
use crate::clock::Clock;
use crate::object::KeyHandle;
use crate::store::UseRow;
use canis_proto::{Id, Result};
use std::cell::Cell;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// How often the PKCS#11 module writes at most.
const PAUSE_MICROS: i64 = 5_000_000;

/// A key version, and what is known of its uses: how many, and when the last one was.
type Counts = HashMap<(Id, u32), (u64, i64)>;

/// The uses that are not written yet.
#[derive(Default)]
pub(crate) struct Uses {
    waiting: Mutex<Counts>,
    /// Those of keys that are opened through PKCS#11.
    counters: Mutex<HashMap<(Id, u32), Arc<Counter>>>,
    /// How many counters there are; read without the lock.
    counted: AtomicUsize,
    /// When they were written last.
    written: AtomicI64,
}

impl Uses {
    fn waiting(&self) -> MutexGuard<'_, Counts> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn counters(&self) -> MutexGuard<'_, HashMap<(Id, u32), Arc<Counter>>> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, row: &UseRow) {
        let mut waiting = self.waiting();
        let (uses, last) = waiting.entry((row.key_id, row.version)).or_default();
        *uses += row.uses;
        *last = row.last_used_at.max(*last);
    }

    /// Takes what the counters have; those of keys that nobody has open are dropped.
    fn gather(&self) {
        let mut counters = self.counters();
        for ((key_id, version), counter) in &*counters {
            let (uses, last_used_at) = counter.take();
            if uses > 0 {
                self.add(&UseRow { key_id: *key_id, version: *version, uses, last_used_at });
            }
        }
        counters.retain(|_, counter| Arc::strong_count(counter) > 1);
        self.counted.store(counters.len(), Ordering::Relaxed);
    }
}

/// Over how many cache lines the threads that use one key spread.
const STRIPES: usize = 4;
/// So often the time of a use is looked at that takes less than a microsecond.
const LOOK_EVERY: u64 = 64;

thread_local! {
    /// This thread's stripe; `STRIPES` until it has one.
    static MINE: Cell<usize> = const { Cell::new(STRIPES) };
}

#[derive(Default)]
#[repr(align(64))]
struct Stripe(AtomicU64);

/// Counts the uses of one key version through PKCS#11, where a call may take less than the reading of a clock.
#[derive(Default)]
pub(crate) struct Counter {
    stripes: [Stripe; STRIPES],
    last: AtomicI64,
}

impl Counter {
    /// Counts one use. `brief` ones share a look at the clock: the first since the last writing, and then every 64th.
    fn count(&self, clock: &dyn Clock, brief: bool) {
        let mine = MINE.with(|mine| {
            if mine.get() == STRIPES {
                static NEXT: AtomicUsize = AtomicUsize::new(0);
                mine.set(NEXT.fetch_add(1, Ordering::Relaxed) % STRIPES);
            }
            mine.get()
        });
        let before = self.stripes[mine].0.fetch_add(1, Ordering::Relaxed);
        if !brief || before.is_multiple_of(LOOK_EVERY) {
            self.last.store(clock.now_micros(), Ordering::Relaxed);
        }
    }

    fn take(&self) -> (u64, i64) {
        let uses = self.stripes.iter().map(|stripe| stripe.0.swap(0, Ordering::Relaxed)).sum();
        (uses, self.last.load(Ordering::Relaxed))
    }
}

impl Keyring {
    /// Counts one use of a version. Those of entries of the key-value store are not counted.
    pub(crate) fn used(&self, key: &Key, version: u32) {
        if key.is_entry() {
            return;
        }
        note_use(key.id, version);
        let last_used_at = self.clock.now_micros();
        self.uses.add(&UseRow { key_id: key.id, version, uses: 1, last_used_at });
    }

    /// Counts one use of an opened key.
    pub(crate) fn count(&self, key: &KeyHandle) {
        if let Some(counter) = &key.uses {
            counter.count(&*self.clock, !key.facts.kind.is_asymmetric());
        }
    }

    /// The counter of a version that is opened through PKCS#11.
    pub(crate) fn counter(&self, key: Id, version: u32) -> Arc<Counter> {
        let mut counters = self.uses.counters();
        let counter = Arc::clone(counters.entry((key, version)).or_default());
        self.uses.counted.store(counters.len(), Ordering::Relaxed);
        counter
    }

    /// Writes what was counted, if anything was opened and some seconds have passed since the last time. What cannot be
    /// written stays counted; whoever called came for something else.
    pub(crate) fn write_uses_when_due(&self) {
        if self.uses.counted.load(Ordering::Relaxed) == 0 {
            return;
        }
        let (now, written) = (self.clock.now_micros(), self.uses.written.load(Ordering::Relaxed));
        if now.saturating_sub(written) >= PAUSE_MICROS {
            let _ = self.write_uses();
        }
    }

    /// Writes what was counted since the last time.
    ///
    /// # Errors
    /// `store_full`, `store_unavailable`; then it stays counted.
    pub(crate) fn write_uses(&self) -> Result<()> {
        self.uses.gather();
        self.uses.written.store(self.clock.now_micros(), Ordering::Relaxed);
        let waiting = std::mem::take(&mut *self.uses.waiting());
        if waiting.is_empty() {
            return Ok(());
        }
        let row = |((key_id, version), (uses, last_used_at))| UseRow { key_id, version, uses, last_used_at };
        let rows: Vec<UseRow> = waiting.into_iter().map(row).collect();
        // Not under the lock: whoever uses a key does not wait for the disk.
        self.store.count_uses(&rows).inspect_err(|_| rows.iter().for_each(|row| self.uses.add(row)))
    }

    /// The uses of a key by version: those in the store and those that wait here.
    pub(crate) fn uses_of(&self, key: Id) -> Result<HashMap<u32, (u64, i64)>> {
        self.uses.gather();
        let mut found: HashMap<u32, (u64, i64)> =
            self.store.uses(key)?.iter().map(|row| (row.version, (row.uses, row.last_used_at))).collect();
        for ((_, version), (uses, last)) in self.uses.waiting().iter().filter(|((id, _), _)| *id == key) {
            let (all, latest) = found.entry(*version).or_default();
            *all += uses;
            *latest = (*latest).max(*last);
        }
        Ok(found)
    }
}
