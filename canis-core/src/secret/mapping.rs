//! Pages of the kernel for secrets: between guards, locked, left out of dumps, in hidden memory where that is wanted.

use std::ptr::{NonNull, null_mut};
use std::sync::atomic::{AtomicBool, Ordering};

/// Memory is locked page by page; what has pages of its own frees no other when it is unlocked.
pub(super) const PAGE: usize = 4096;

/// Whether some pages could not be locked.
pub(super) static NOT_LOCKED: AtomicBool = AtomicBool::new(false);

/// Whether some pages that were to be hidden are not.
pub(super) static NOT_HIDDEN: AtomicBool = AtomicBool::new(false);

/// Fresh pages between two that nobody can touch.
pub(super) struct Mapping {
    pub(super) start: NonNull<u8>,
    /// The length without the guards, whole pages.
    size: usize,
}

impl Mapping {
    /// Room for `len` zero bytes, locked and left out of core dumps; `hidden` asks for memory that even root and the
    /// kernel cannot read, where there is such. `None` when nothing can be mapped.
    pub(super) fn of(len: usize, hidden: bool) -> Option<Self> {
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
        if hidden {
            // SAFETY: pages of the mapping, which is ours, without the guards.
            match unsafe { hide(start, size) } {
                Some(true) => return Some(mapping),
                Some(false) => NOT_HIDDEN.store(true, Ordering::Relaxed),
                // Another thread may have its memory there by now: nothing of it is given back.
                None => return None,
            }
        }
        // SAFETY: as above.
        if unsafe { protect(start, size) } {
            return Some(mapping);
        }
        mapping.unmap();
        None
    }

    /// Gives the pages back. What they held has been wiped.
    pub(super) fn unmap(&self) {
        // SAFETY: `of` mapped these pages together with their guards, and whoever owned them is done with them.
        unsafe { libc::munmap(self.start.as_ptr().sub(PAGE).cast(), self.size + 2 * PAGE) };
    }
}

/// Puts memory of memfd_secret(2) in place of reserved pages: it is mapped here and nowhere else, not even in the
/// kernel's own map, and cannot be swapped. `false` where the kernel, a filter of system calls or the limit on locked
/// memory says no, which [`super::some_secret_is_not_hidden`] reports; the pages are reserved as before. `None` when they
/// are gone.
///
/// # Safety
/// The caller owns the `size` bytes at `start`, which are whole pages.
unsafe fn hide(start: *mut u8, size: usize) -> Option<bool> {
    let Ok(len) = libc::off_t::try_from(size) else { return Some(false) };
    let access = libc::PROT_READ | libc::PROT_WRITE;
    // SAFETY: by the caller; the file is ours from its making to its closing, and the mapping keeps its memory.
    unsafe {
        let made = libc::syscall(libc::SYS_memfd_secret, libc::O_CLOEXEC);
        let Ok(file) = libc::c_int::try_from(made) else { return Some(false) };
        if file < 0 {
            return Some(false);
        }
        // First elsewhere: a mapping that the limit refuses would take the reserved pages away all the same.
        let mapped = match libc::ftruncate(file, len) {
            0 => libc::mmap(null_mut(), size, access, libc::MAP_SHARED, file, 0),
            _ => libc::MAP_FAILED,
        };
        libc::close(file);
        if mapped == libc::MAP_FAILED {
            return Some(false);
        }
        let place = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        if libc::mremap(mapped, size, size, place, start) == libc::MAP_FAILED {
            libc::munmap(mapped, size);
            return None;
        }
        // A child would share it; it gets nothing there.
        Some(libc::madvise(start.cast(), size, libc::MADV_DONTFORK) == 0)
    }
}

/// Makes reserved pages usable and locks them, and keeps them out of core dumps and forked children: a child would hold a
/// copy that is neither locked nor ever wiped; it gets zeros. What cannot be locked is reported by
/// [`super::some_secret_is_swappable`]. `false` when there is no memory.
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Running over either end of a secret's pages is an end of the process, not of somebody else's secret.
    #[test]
    fn pages_that_nobody_can_touch_lie_around() {
        let secret = super::super::SecretBytes::zeroed(2 * PAGE);
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
}
