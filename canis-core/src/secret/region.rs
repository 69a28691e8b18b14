//! Regions of slots for short secrets, mapped and locked once.

use super::mapping::Mapping;
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering};

/// Whether the process keeps to itself; see [`super::keep_process_private`].
pub(super) static PRIVATE: AtomicBool = AtomicBool::new(false);

/// What a slot holds: the private key of every curve in PKCS#8, and all symmetric keys but the longest.
pub(super) const SLOT: usize = 256;
/// Slots of a region: one for each bit of a word. The first holds the region's mark.
pub(super) const SLOTS: usize = 64;
/// How many regions there can be; secrets beyond them have pages of their own.
const REGIONS: usize = 1024;

/// Slots that were mapped and locked together. Regions stay for as long as the process lives, and are found without a
/// lock, so that a fork in another thread leaves none held in the child.
struct Region {
    /// Null until the region is mapped.
    start: AtomicPtr<u8>,
    /// A bit for each slot that is taken.
    taken: AtomicU64,
}

static POOL: [Region; REGIONS] =
    [const { Region { start: AtomicPtr::new(null_mut()), taken: AtomicU64::new(1) } }; REGIONS];

/// No region below this one has a free slot, as far as is known.
static FIRST: AtomicUsize = AtomicUsize::new(0);

/// A taken slot.
pub(super) struct Slot {
    region: usize,
    number: u32,
}

impl Slot {
    /// Its bytes are zero again.
    pub(super) fn give_back(&self) {
        POOL[self.region].taken.fetch_and(!(1 << self.number), Ordering::Release);
        FIRST.fetch_min(self.region, Ordering::Relaxed);
    }
}

/// A slot of zero bytes; `None` when all are taken or no more memory can be mapped.
pub(super) fn take_slot() -> Option<(Slot, NonNull<u8>)> {
    for (number, region) in POOL.iter().enumerate().skip(FIRST.load(Ordering::Relaxed)) {
        let Some(start) = region.opened()? else { continue };
        let free = |taken: u64| (taken != u64::MAX).then(|| taken | (taken + 1));
        if let Ok(before) = region.taken.fetch_update(Ordering::Acquire, Ordering::Relaxed, free) {
            FIRST.store(number, Ordering::Relaxed);
            let slot = before.trailing_ones();
            // SAFETY: a region has room for SLOTS slots, and the number of a bit is below that.
            return Some((Slot { region: number, number: slot }, unsafe { start.add(slot as usize * SLOT) }));
        }
    }
    None
}

impl Region {
    /// Its memory, mapped if it is not yet; `None` inside for one that a parent process left, which is not locked here.
    /// `None` outside when nothing can be mapped.
    fn opened(&self) -> Option<Option<NonNull<u8>>> {
        let start = match NonNull::new(self.start.load(Ordering::Acquire)) {
            Some(start) => start,
            None => self.open()?,
        };
        // SAFETY: the first slot is only ever reached as this atomic; regions are never unmapped.
        let marked = unsafe { AtomicU8::from_ptr(start.as_ptr()) }.load(Ordering::Relaxed) == 1;
        Some(marked.then_some(start))
    }

    fn open(&self) -> Option<NonNull<u8>> {
        let mine = Mapping::of(SLOTS * SLOT, PRIVATE.load(Ordering::Relaxed))?;
        let start = mine.start;
        // SAFETY: the pages are ours. The mark is gone in a child, where they are zero.
        unsafe { start.write(1) };
        match self.start.compare_exchange(null_mut(), start.as_ptr(), Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Some(start),
            Err(other) => {
                // Another thread was first, so nobody has seen these pages.
                mine.unmap();
                NonNull::new(other)
            }
        }
    }
}
