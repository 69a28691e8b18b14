//! The only home of plain key bytes: locked into memory, left out of core dumps, wiped when dropped.
//!
//! Unsafe lives here because the kernel's memory calls are unsafe; see each SAFETY line.
#![allow(unsafe_code)] // One of the rooms that may (ARCHITECTURE.md): memory cannot be locked in safe Rust.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use subtle::ConstantTimeEq;
use zeroize::Zeroize;

/// Memory is locked page by page; every secret has pages of its own so that unlocking one frees no other.
const PAGE: usize = 4096;

/// Secret bytes: mlock'ed, excluded from core dumps, wiped on drop. No `Clone`, no way into `Debug`.
pub struct SecretBytes {
    pages: NonNull<u8>,
    len: usize,
    layout: Layout,
}

// SAFETY: the pages are owned by this value alone and reached only through &self / &mut self.
unsafe impl Send for SecretBytes {}
// SAFETY: a shared SecretBytes only gives out shared slices.
unsafe impl Sync for SecretBytes {}

static NOT_LOCKED: AtomicBool = AtomicBool::new(false);

/// Whether some secret could not be locked into memory (RLIMIT_MEMLOCK too small); the server warns about it.
#[must_use]
pub fn some_secret_is_swappable() -> bool {
    NOT_LOCKED.load(Ordering::Relaxed)
}

impl SecretBytes {
    /// `len` zero bytes.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let layout = layout(len);
        // SAFETY: the layout's size is not zero (at least one page).
        let raw = unsafe { alloc_zeroed(layout) };
        let Some(pages) = NonNull::new(raw) else { handle_alloc_error(layout) };
        // SAFETY: the range is ours, page aligned and a whole number of pages; the calls only change how the
        // kernel treats it. Failure leaves usable memory and is reported by `some_secret_is_swappable`.
        unsafe {
            if libc::mlock(raw.cast(), layout.size()) != 0 {
                NOT_LOCKED.store(true, Ordering::Relaxed);
            }
            libc::madvise(raw.cast(), layout.size(), libc::MADV_DONTDUMP);
            // A forked child would hold a copy that is neither locked nor ever wiped; it gets zeros.
            libc::madvise(raw.cast(), layout.size(), libc::MADV_WIPEONFORK);
        }
        SecretBytes { pages, len, layout }
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
        // SAFETY: `pages` holds at least `len` initialised bytes for as long as self lives.
        unsafe { std::slice::from_raw_parts(self.pages.as_ptr(), self.len) }
    }

    /// The bytes, to be written.
    pub fn expose_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `expose`; &mut self makes the access exclusive.
        unsafe { std::slice::from_raw_parts_mut(self.pages.as_ptr(), self.len) }
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
        let (raw, size) = (self.pages.as_ptr(), self.layout.size());
        // SAFETY: `zeroed` allocated these pages with this layout and nothing refers to them any more.
        unsafe {
            libc::madvise(raw.cast(), size, libc::MADV_DODUMP);
            libc::madvise(raw.cast(), size, libc::MADV_KEEPONFORK);
            libc::munlock(raw.cast(), size);
            dealloc(raw, self.layout);
        }
    }
}

/// Whole pages for `len` bytes. More than the address space holds ends the process, as every allocation of that size.
fn layout(len: usize) -> Layout {
    let size = len.max(1).checked_next_multiple_of(PAGE);
    match size.and_then(|size| Layout::from_size_align(size, PAGE).ok()) {
        Some(layout) => layout,
        None => handle_alloc_error(Layout::new::<[u8; PAGE]>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_truncates_and_compares() {
        let mut secret = SecretBytes::copied_from(b"0123456789");
        assert_eq!((secret.len(), secret.is_empty()), (10, false));
        assert!(
            secret.equals(b"0123456789") && !secret.equals(b"0123456780") && !secret.equals(b"012345678")
        );
        secret.expose_mut()[0] = b'x';
        let secret = secret.truncated(3);
        assert_eq!(secret.expose(), b"x12");
        assert!(SecretBytes::zeroed(0).is_empty());
    }
}
