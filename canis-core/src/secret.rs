//! The only home of plain key bytes: locked into memory, left out of core dumps, wiped when dropped.
//!
//! Most secrets are short and many are short-lived (an agreed secret, a session key), so those share regions that are
//! mapped and locked once: a secret takes a slot of one and wipes it when it goes. Long ones have pages of their own.
//! Before and behind each mapping lies a page that nobody can touch, so that running over an end is noticed.
//!
//! Unsafe lives here because the kernel's memory calls are unsafe; see each SAFETY line.
#![allow(unsafe_code)] // One of the rooms that may (ARCHITECTURE.md): memory cannot be locked in safe Rust.

use std::alloc::{Layout, handle_alloc_error};
use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Memory is locked page by page; what has pages of its own frees no other when it is unlocked.
const PAGE: usize = 4096;

/// Secret bytes: mlock'ed, excluded from core dumps, wiped on drop. No `Clone`, no way into `Debug`.
pub struct SecretBytes {
    start: NonNull<u8>,
    len: usize,
    home: Home,
}

/// Where a secret's memory belongs.
enum Home {
    /// A slot of a region.
    Slot(Slot),
    /// A mapping of its own.
    Own(Mapping),
}

// SAFETY: the memory is owned by this value alone and reached only through &self / &mut self.
unsafe impl Send for SecretBytes {}
// SAFETY: a shared SecretBytes only gives out shared slices.
unsafe impl Sync for SecretBytes {}

static NOT_LOCKED: AtomicBool = AtomicBool::new(false);

/// Whether some secret could not be locked into memory (RLIMIT_MEMLOCK too small); the server warns about it.
#[must_use]
pub fn some_secret_is_swappable() -> bool {
    NOT_LOCKED.load(Ordering::Relaxed)
}

/// Whether the process keeps to itself; see [`keep_process_private`].
static PRIVATE: AtomicBool = AtomicBool::new(false);

/// Keeps other processes out of this one: no core dumps, no debugger but root's, and secrets in memory that root cannot
/// read either, where the kernel has such (memfd_secret(2), from Linux 5.14 on). For programs of CANIS, at their start;
/// they must not fork and go on without exec. A library does not do this to its host.
///
/// # Errors
/// What the kernel says; then the process goes on as it was.
pub fn keep_process_private() -> std::io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both take plain numbers and a live structure, and change this process alone.
    let done = unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &raw const none) == 0
            && libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) == 0
    };
    PRIVATE.store(true, Ordering::Relaxed);
    if done { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}

impl SecretBytes {
    /// `len` zero bytes.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        if len <= SLOT
            && let Some((slot, start)) = take_slot()
        {
            return SecretBytes { start, len, home: Home::Slot(slot) };
        }
        match Mapping::of(len, false) {
            Some(pages) => SecretBytes { start: pages.start, len, home: Home::Own(pages) },
            // As every allocation that is too large.
            None => handle_alloc_error(Layout::new::<[u8; PAGE]>()),
        }
    }

    /// A secret made by filling `len` bytes in place.
    pub fn filled<E>(len: usize, fill: impl FnOnce(&mut [u8]) -> Result<(), E>) -> Result<Self, E> {
        let mut secret = SecretBytes::zeroed(len);
        fill(secret.expose_mut())?;
        Ok(secret)
    }

    /// Copies `bytes`; the caller wipes its own.
    #[must_use]
    pub fn copied_from(bytes: &[u8]) -> Self {
        let mut secret = SecretBytes::zeroed(bytes.len());
        secret.expose_mut().copy_from_slice(bytes);
        secret
    }

    /// Takes over `bytes` and wipes them where they were.
    #[must_use]
    pub fn taken_from(mut bytes: Vec<u8>) -> Self {
        let secret = SecretBytes::copied_from(&bytes);
        bytes.zeroize();
        secret
    }

    /// The bytes, for the shortest time possible.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        // SAFETY: `start` leads to at least `len` initialised bytes that are this value's for as long as it lives.
        unsafe { std::slice::from_raw_parts(self.start.as_ptr(), self.len) }
    }

    /// The bytes, to be written.
    pub fn expose_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `expose`; &mut self makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.start.as_ptr(), self.len) }
    }

    /// The first `len` bytes, the rest wiped. For algorithms that learn their output's size last.
    #[must_use]
    pub fn truncated(mut self, len: usize) -> Self {
        if len < self.len {
            self.expose_mut()[len..].zeroize();
            self.len = len;
        }
        self
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Equality in constant time for equal lengths.
    #[must_use]
    pub fn equals(&self, other: &[u8]) -> bool {
        self.expose().ct_eq(other).into()
    }
}

impl Drop for SecretBytes {
    fn drop(&mut self) {
        self.expose_mut().zeroize();
        match &self.home {
            Home::Slot(slot) => slot.give_back(),
            Home::Own(pages) => pages.unmap(),
        }
    }
}

/// Fresh pages between two that nobody can touch.
struct Mapping {
    start: NonNull<u8>,
    /// The length without the guards, whole pages.
    size: usize,
}

impl Mapping {
    /// Room for `len` zero bytes, locked and left out of core dumps; `hidden` asks for memory that even root and the
    /// kernel cannot read, where there is such. `None` when nothing can be mapped.
    fn of(len: usize, hidden: bool) -> Option<Self> {
        let size = len.max(1).checked_next_multiple_of(PAGE)?;
        let whole = size.checked_add(2 * PAGE)?;
        let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
        // SAFETY: asks for addresses of the kernel's choice.
        let guards = unsafe { libc::mmap(null_mut(), whole, libc::PROT_NONE, kind, -1, 0) };
        if guards == libc::MAP_FAILED {
            return None;
        }
        // SAFETY: the second of the pages that were just mapped.
        let start = unsafe { guards.cast::<u8>().add(PAGE) };
        let mapping = Mapping { start: NonNull::new(start)?, size };
        // SAFETY: pages of the mapping, which is ours, without the guards.
        if unsafe { hidden && hide(start, size) || protect(start, size) } {
            return Some(mapping);
        }
        mapping.unmap();
        None
    }

    /// Gives the pages back. What they held has been wiped.
    fn unmap(&self) {
        // SAFETY: `of` mapped these pages together with their guards, and whoever owned them is done with them.
        unsafe { libc::munmap(self.start.as_ptr().sub(PAGE).cast(), self.size + 2 * PAGE) };
    }
}

/// Puts memory of memfd_secret(2) in place of reserved pages: it is mapped here and nowhere else, not even in the
/// kernel's own map, and cannot be swapped. `false` where the kernel or the limit on locked memory says no.
///
/// # Safety
/// The caller owns the `size` bytes at `start`, which are whole pages.
unsafe fn hide(start: *mut u8, size: usize) -> bool {
    let Ok(len) = libc::off_t::try_from(size) else { return false };
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_FIXED);
    // SAFETY: by the caller; the file is ours from its making to its closing, and the mapping keeps its memory.
    unsafe {
        let made = libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC);
        let Ok(file) = libc::c_int::try_from(made) else { return false };
        if file < 0 {
            return false;
        }
        let mapped = libc::ftruncate(file, len) == 0
            && libc::mmap(start.cast(), size, access, kind, file, 0) != libc::MAP_FAILED;
        libc::close(file);
        // A child would share it; it gets nothing there.
        mapped && libc::madvise(start.cast(), size, libc::MADV_DONTFORK) == 0
    }
}

/// Makes reserved pages usable and locks them, and keeps them out of core dumps and forked children: a child would hold a
/// copy that is neither locked nor ever wiped; it gets zeros. What cannot be locked is reported by
/// [`some_secret_is_swappable`]. `false` when there is no memory.
///
/// # Safety
/// The caller owns the `size` bytes at `start`, which are whole pages.
unsafe fn protect(start: *mut u8, size: usize) -> bool {
    // SAFETY: by the caller; the calls only change how the kernel treats the range.
    unsafe {
        if libc::mprotect(start.cast(), size, libc::PROT_READ | libc::PROT_WRITE) != 0 {
            return false;
        }
        if libc::mlock(start.cast(), size) != 0 {
            NOT_LOCKED.store(true, Ordering::Relaxed);
        }
        libc::madvise(start.cast(), size, libc::MADV_DONTDUMP);
        libc::madvise(start.cast(), size, libc::MADV_WIPEONFORK);
    }
    true
}

/// What a slot holds: the private key of every curve in PKCS#8, and all symmetric keys but the longest.
const SLOT: usize = 256;
/// Slots of a region: one for each bit of a word. The first holds the region's mark.
const SLOTS: usize = 64;
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
struct Slot {
    region: usize,
    number: u32,
}

impl Slot {
    /// Its bytes are zero again.
    fn give_back(&self) {
        POOL[self.region].taken.fetch_and(!(1 << self.number), Ordering::Release);
        FIRST.fetch_min(self.region, Ordering::Relaxed);
    }
}

/// A slot of zero bytes; `None` when all are taken or no more memory can be mapped.
fn take_slot() -> Option<(Slot, NonNull<u8>)> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn keeps_truncates_and_compares() {
        for pad in [0, SLOT] {
            let text = [&b"0123456789"[..], &vec![b'.'; pad]].concat();
            let mut secret = SecretBytes::copied_from(&text);
            assert_eq!((secret.len(), secret.is_empty()), (10 + pad, false));
            let mut other = text.clone();
            other[9] = b'0';
            assert!(secret.equals(&text) && !secret.equals(&other) && !secret.equals(&text[1..]));
            secret.expose_mut()[0] = b'x';
            let secret = secret.truncated(3);
            assert_eq!(secret.expose(), b"x12");
        }
        assert!(SecretBytes::zeroed(0).is_empty());
    }

    /// Slots are used again; what was in them must be gone, also behind a secret that was cut short.
    #[test]
    fn a_new_secret_is_zero_and_nobody_elses() {
        for round in 0..50 {
            let mut held: Vec<_> = (0..200).map(|_| SecretBytes::zeroed(SLOT)).collect();
            assert!(held.iter().all(|secret| secret.expose().iter().all(|byte| *byte == 0)));
            let places: BTreeMap<_, _> =
                held.iter().map(|s| (s.expose().as_ptr() as usize, s.len())).collect();
            let ends = places.iter().zip(places.keys().skip(1));
            assert!(ends.into_iter().all(|((start, len), next)| start + len <= *next), "{places:x?}");
            assert_eq!(places.len(), held.len());
            for secret in &mut held {
                secret.expose_mut().fill(round as u8 | 1);
            }
            drop(held.into_iter().map(|secret| secret.truncated(round)).collect::<Vec<_>>());
        }
    }

    #[test]
    fn threads_share_the_slots() {
        std::thread::scope(|scope| {
            for number in 1..=4u8 {
                scope.spawn(move || {
                    for len in (0..2000).map(|round| round % SLOT) {
                        let held = [len, SLOT, len / 2].map(|len| {
                            let mut secret = SecretBytes::zeroed(len);
                            assert!(secret.expose().iter().all(|byte| *byte == 0));
                            secret.expose_mut().fill(number);
                            secret
                        });
                        let whole = |secret: &SecretBytes| secret.expose().iter().all(|byte| *byte == number);
                        assert!(held.iter().all(whole));
                    }
                });
            }
        });
    }

    /// The flags of the mapping that an address is in, as proc(5) describes VmFlags.
    fn flags(at: *const u8) -> String {
        let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
        let mut inside = false;
        for line in maps.lines() {
            if let Some((from, to)) = line.split(' ').next().and_then(|range| range.split_once('-')) {
                let bound = |text| usize::from_str_radix(text, 16).unwrap_or(0);
                inside = (bound(from)..bound(to)).contains(&(at as usize));
            }
            if let (true, Some(flags)) = (inside, line.strip_prefix("VmFlags:")) {
                return flags.to_owned();
            }
        }
        panic!("no mapping has the address")
    }

    /// Left out of core dumps (dd), zero in children (wf), and locked (lo) where the limit allows it.
    #[test]
    fn the_kernel_knows_what_is_secret() {
        for len in [32, SLOT, SLOT + 1, 3 * PAGE] {
            let secret = SecretBytes::zeroed(len);
            let flags = flags(secret.expose().as_ptr());
            for flag in ["dd", "wf"] {
                assert!(flags.split(' ').any(|one| one == flag), "{len}: {flags}");
            }
            assert!(some_secret_is_swappable() || flags.split(' ').any(|one| one == "lo"), "{len}: {flags}");
        }
    }

    /// Running over either end of a secret's pages is an end of the process, not of somebody else's secret.
    #[test]
    fn pages_that_nobody_can_touch_lie_around() {
        let secret = SecretBytes::zeroed(2 * PAGE);
        let (before, behind) = (secret.expose().as_ptr().wrapping_sub(1), secret.expose().as_ptr_range().end);
        for guard in [before, behind] {
            // SAFETY: the child reads one byte of its own address space, or ends by it.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: as above; the child is gone afterwards either way.
                unsafe { libc::_exit(i32::from(guard.read_volatile())) };
            }
            let mut status = 0;
            // SAFETY: a live place for the answer.
            assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
            assert!(libc::WIFSIGNALED(status) && libc::WTERMSIG(status) == libc::SIGSEGV, "{status:x}");
        }
    }

    /// What is hidden is there for this process and for no reader of its memory, root or not.
    #[test]
    fn hidden_memory_is_read_by_nobody_else() {
        use std::io::{Read, Seek, SeekFrom};
        let Some(hidden) = Mapping::of(PAGE, true) else { panic!("no memory") };
        // SAFETY: a page that is ours.
        unsafe { hidden.start.write(7) };
        let mut memory = std::fs::File::open("/proc/self/mem").unwrap();
        memory.seek(SeekFrom::Start(hidden.start.as_ptr().addr() as u64)).unwrap();
        let read = memory.read_exact(&mut [0]);
        // SAFETY: as above.
        assert_eq!(unsafe { hidden.start.read() }, 7);
        hidden.unmap();
        // SAFETY: asks whether there is such memory, and closes it.
        let there = unsafe { libc::close(libc::syscall(libc::SYS_memfd_secret, 0) as libc::c_int) } == 0;
        assert_eq!(read.is_err(), there, "{read:?}");
    }

    /// A child finds zeros where the parent's secrets are, and its own are in memory that is its own.
    #[test]
    fn a_child_has_none_of_the_parents_secrets() {
        let parents = SecretBytes::copied_from(&[7; 32]);
        // SAFETY: the child only takes memory from the kernel, looks at it and ends.
        let child = unsafe { libc::fork() };
        if child == 0 {
            let mut own = SecretBytes::zeroed(32);
            own.expose_mut().fill(9);
            let apart =
                own.expose().as_ptr().addr().abs_diff(parents.expose().as_ptr().addr()) >= SLOTS * SLOT;
            let good = parents.expose() == [0; 32] && own.expose() == [9; 32] && apart;
            // SAFETY: ends the child without running anything of the test.
            unsafe { libc::_exit(if good { 0 } else { 1 }) };
        }
        let mut status = 0;
        // SAFETY: a live place for the answer.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!((libc::WIFEXITED(status), libc::WEXITSTATUS(status)), (true, 0));
        assert!(parents.equals(&[7; 32]));
    }
}
