//! The generation page: one counter, mapped by every process that has the store open, that grows with each commit.
//!
//! Looking at it costs a load, so it is looked at for every use of a key. It is a hint: a writer that dies between its
//! commit and the page would leave it behind, so SQLite's own `data_version` is asked as well, once a second. Without
//! the page (no room for it, a read-only directory) `data_version` is asked each time.
#![allow(unsafe_code)] // One of the rooms that may (ARCHITECTURE.md): memory cannot be mapped in safe Rust.

use super::lock_file;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

const SIZE: usize = 4096;

/// The mapped counter. It stays mapped for the life of the process that opened it and in its children.
pub(super) struct GenerationPage {
    counter: NonNull<AtomicU64>,
}

// SAFETY: the page is only reached as an atomic.
unsafe impl Send for GenerationPage {}
// SAFETY: as above.
unsafe impl Sync for GenerationPage {}

impl GenerationPage {
    /// Maps the page beside the store at `path`; makes it if it is missing.
    pub(super) fn open(path: &Path) -> Option<Self> {
        let place = path.with_extension("gen");
        let file = File::options()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .mode(0o600)
            .open(place)
            .ok()?;
        if file.metadata().ok()?.len() < SIZE as u64 {
            // Under the writers' lock, so that nobody clears what another has counted.
            let _lock = lock_file(path).ok()?;
            if file.metadata().ok()?.len() < SIZE as u64 {
                // Written, not only lengthened: a hole in a file on a full disk would end the process at first use.
                file.write_all_at(&[0; SIZE], 0).ok()?;
            }
        }
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: asks for a fresh mapping of an open file, at an address of the kernel's choice.
        let page =
            unsafe { libc::mmap(std::ptr::null_mut(), SIZE, access, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        if page == libc::MAP_FAILED {
            return None;
        }
        Some(GenerationPage { counter: NonNull::new(page.cast())? })
    }

    /// The number now.
    pub(super) fn load(&self) -> u64 {
        self.counter().load(Ordering::Acquire)
    }

    /// Counts a commit.
    pub(super) fn bump(&self) {
        self.counter().fetch_add(1, Ordering::AcqRel);
    }

    fn counter(&self) -> &AtomicU64 {
        // SAFETY: the mapping is page aligned, large enough, and unmapped only when self is dropped. Other processes
        // touch it through atomics of the same size.
        unsafe { self.counter.as_ref() }
    }
}

/// Milliseconds of the kernel's coarse monotonic clock (CLOCK_MONOTONIC_COARSE, some milliseconds behind). It is asked
/// at every use of a key, and the exact one takes five times as long.
pub(super) fn coarse_millis() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a live place for the answer. With a clock that exists, since Linux 2.6.32, the call does not fail.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &mut now) };
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

impl Drop for GenerationPage {
    fn drop(&mut self) {
        // SAFETY: the mapping is ours and nothing refers to it any more.
        unsafe { libc::munmap(self.counter.as_ptr().cast(), SIZE) };
    }
}
