//! Forks: noticed at every call for the price of reading one byte, and survived by the store.

use super::lifecycle;
use crate::rv::{Result, fail};
use pkcs11_sys::*;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU8, Ordering};

/// A page that the kernel fills with zeros in a child (MADV_WIPEONFORK, Linux 4.14). Its first byte is 1 in the process
/// that called C_Initialize, and in no other.
static PAGE: AtomicPtr<AtomicU8> = AtomicPtr::new(null_mut());

/// Whether this is the process that marked itself, and not a child of it.
pub(super) fn is_marked() -> bool {
    let page = PAGE.load(Ordering::Acquire);
    // SAFETY: the pointer is null or the start of a page that is never unmapped.
    !page.is_null() && unsafe { (*page).load(Ordering::Relaxed) } == 1
}

/// Marks this process. Called under the lifecycle lock.
///
/// # Errors
/// CKR_HOST_MEMORY if there is no page for it, or no room for the fork handlers.
pub(super) fn mark() -> Result {
    register_handlers()?;
    if PAGE.load(Ordering::Acquire).is_null() {
        PAGE.store(map_page()?, Ordering::Release);
    }
    set(1);
    Ok(())
}

/// Takes the mark away.
pub(super) fn unmark() {
    set(0);
}

fn set(value: u8) {
    let page = PAGE.load(Ordering::Acquire);
    if !page.is_null() {
        // SAFETY: as in `is_marked`.
        unsafe { (*page).store(value, Ordering::Release) };
    }
}

fn map_page() -> Result<*mut AtomicU8> {
    const SIZE: usize = 4096;
    let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    // SAFETY: asks for fresh memory at an address of the kernel's choice.
    let page = unsafe { libc::mmap(null_mut(), SIZE, access, kind, -1, 0) };
    if page == libc::MAP_FAILED {
        return fail(CKR_HOST_MEMORY);
    }
    // SAFETY: the page is ours. On a kernel without this advice the handler for the child does the same.
    unsafe { libc::madvise(page, SIZE, libc::MADV_WIPEONFORK) };
    Ok(page.cast())
}

/// Registers the handlers once in a process; children inherit them. The library is never unloaded (build.rs), so they
/// stay where they are.
fn register_handlers() -> Result {
    static REGISTERED: AtomicBool = AtomicBool::new(false);
    if REGISTERED.load(Ordering::Acquire) {
        return Ok(());
    }
    // SAFETY: the three functions take no arguments, do not unwind and live as long as the process.
    if unsafe { libc::pthread_atfork(Some(prepare), Some(parent), Some(child)) } != 0 {
        return fail(CKR_HOST_MEMORY);
    }
    REGISTERED.store(true, Ordering::Release);
    Ok(())
}

/// Before a fork: the store lets go of its files. A child that opened SQLite's file again while the parent holds it
/// could lose commits of the parent.
extern "C" fn prepare() {
    lifecycle::before_fork();
}

extern "C" fn parent() {
    lifecycle::after_fork_in_parent();
}

extern "C" fn child() {
    unmark();
    lifecycle::after_fork_in_child();
}
