//! The only home of plain key bytes: locked into memory, left out of core dumps, wiped when dropped.
//!
//! Most secrets are short and many are short-lived (an agreed secret, a session key), so those share regions that are
//! mapped and locked once: a secret takes a slot of one and wipes it when it goes. Long ones have pages of their own.
//! Before and behind each mapping lies a page that nobody can touch, so that running over an end is noticed.
//!
//! Unsafe lives here because the kernel's memory calls are unsafe; see each SAFETY line.
#![allow(unsafe_code)] // One of the rooms that may (ARCHITECTURE.md): memory cannot be locked in safe Rust.

mod mapping;
mod region;
mod stack;

pub(crate) use stack::{wipe_deep_stack, wipe_stack};

use mapping::{Mapping, PAGE};
use region::{SLOT, Slot, take_slot};
use std::alloc::{Layout, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::Ordering;
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

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

/// Whether some secret could not be locked into memory (RLIMIT_MEMLOCK too small); the server warns about it.
#[must_use]
pub fn some_secret_is_swappable() -> bool {
    mapping::NOT_LOCKED.load(Ordering::Relaxed)
}

/// Whether some secret is in memory that root can read, though [`keep_process_private`] asked for better; the server warns
/// about it.
#[must_use]
pub fn some_secret_is_not_hidden() -> bool {
    mapping::NOT_HIDDEN.load(Ordering::Relaxed)
}

/// Keeps other processes out of this one: no core dumps, no debugger but root's, and secrets in memory that root cannot
/// read either, where the kernel has such (memfd_secret(2), from Linux 5.14 on). For programs of CANIS, at their start;
/// they must not fork and go on without exec. A library does not do this to its host.
///
/// # Errors
/// What the kernel says of the first thing that it refuses; the others are done all the same.
pub fn keep_process_private() -> std::io::Result<()> {
    let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let outcome = |result| if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) };
    // SAFETY: takes a plain number and a live structure, and changes this process alone.
    let no_cores = outcome(unsafe { libc::setrlimit(libc::RLIMIT_CORE, &raw const none) });
    // SAFETY: takes plain numbers, and changes this process alone.
    let not_dumpable = outcome(unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) });
    region::PRIVATE.store(true, Ordering::Relaxed);
    no_cores.and(not_dumpable)
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

#[cfg(test)]
mod tests {
    use super::*;
    use region::SLOTS;
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

    /// What the process asks for when the kernel refuses `refused`, as a unit's filter of system calls does.
    fn refusing(refused: &[libc::c_long], child: impl FnOnce() -> bool) -> bool {
        let statement = |code: u32, k: u32, jt| libc::sock_filter { code: code as u16, jt, jf: 0, k };
        let (answer, equal) = (libc::BPF_RET | libc::BPF_K, libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K);
        // The number of the call is the first word of seccomp's data (seccomp(2)).
        let mut filter = vec![statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0)];
        for (number, left) in refused.iter().zip((0..refused.len()).rev()) {
            filter.push(statement(equal, *number as u32, left as u8 + 1));
        }
        filter.push(statement(answer, libc::SECCOMP_RET_ALLOW, 0));
        filter.push(statement(answer, libc::SECCOMP_RET_ERRNO | libc::EPERM as u32, 0));
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        // SAFETY: the child makes system calls, looks at memory of its own and ends; the filter lives until then.
        unsafe {
            let pid = libc::fork();
            if pid == 0 {
                let filtered = libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
                    && libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) == 0;
                libc::_exit(if filtered && child() { 0 } else { 1 });
            }
            let mut status = 0;
            assert_eq!(libc::waitpid(pid, &mut status, 0), pid);
            libc::WIFEXITED(status) && libc::WEXITSTATUS(status) == 0
        }
    }

    /// One thing that the kernel refuses does not keep the others from being done, and is told.
    #[test]
    fn a_refusal_takes_nothing_else_away() {
        assert!(refusing(&[libc::SYS_prlimit64, libc::SYS_setrlimit], || {
            // SAFETY: asks for a number.
            let dumpable = || unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) };
            dumpable() == 1 && keep_process_private().is_err() && dumpable() == 0
        }));
    }

    /// A filter that takes memfd_secret(2) away is noticed, and secrets are kept all the same.
    #[test]
    fn memory_that_is_not_hidden_is_told() {
        assert!(refusing(&[libc::SYS_memfd_secret], || {
            // A region of this child alone: those of its parent are not used here.
            let before = some_secret_is_not_hidden();
            let kept = keep_process_private().is_ok() && SecretBytes::copied_from(&[7; 32]).equals(&[7; 32]);
            !before && kept && some_secret_is_not_hidden()
        }));
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
