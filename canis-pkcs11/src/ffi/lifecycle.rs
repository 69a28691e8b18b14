//! C_Initialize to C_Finalize: the one module of the process, and who is inside it.
//!
//! The module is reached by a pointer without a lock. Calls count themselves in and out, on counters of their own cache
//! lines, which the first threads have for themselves and later ones share; C_Finalize takes the pointer away, waits for those inside and only then drops the module. After a
//! fork the child finds the pointer but not the mark (`fork`), and leaves the parent's module where it is.

use super::entry::{guarded, is_inside};
use super::fork;
use crate::module::Module;
use crate::rv::{Fail, Result, fail};
use crate::session::lock;
use pkcs11_sys::*;
use std::cell::{Cell, UnsafeCell};
use std::ops::Deref;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Held by C_Initialize, C_Finalize and forks: one of them at a time.
static CHANGING: Mutex<()> = Mutex::new(());

/// The module, or null.
static CURRENT: AtomicPtr<Module> = AtomicPtr::new(null_mut());

/// The module that stands aside while a thread forks, else null.
static FORKING: AtomicPtr<Module> = AtomicPtr::new(null_mut());

/// The counters that have one thread each, never another: only that thread writes, so leaving is a plain store.
const OWN: usize = 64;
/// The counters over which all further threads spread.
const SHARED: usize = 16;

/// How many calls are inside.
static INSIDE: [Stripe; OWN + SHARED] = [const { Stripe(AtomicUsize::new(0)) }; OWN + SHARED];

#[repr(align(128))]
struct Stripe(AtomicUsize);

thread_local! {
    /// The place of this thread's counter; `usize::MAX` until it has one.
    static MINE: Cell<usize> = const { Cell::new(usize::MAX) };
}

thread_local! {
    /// Whether this thread is opening the module and so holds CHANGING. An HSM's library that forks a helper then comes
    /// back to `before_fork`, which must not wait for the lock that its own thread holds.
    static OPENING: Cell<bool> = const { Cell::new(false) };
}

/// The time in which OPENING is set; it ends with the value, also by a panic.
struct Opening;

impl Opening {
    fn begin() -> Self {
        OPENING.set(true);
        Opening
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        OPENING.set(false);
    }
}

/// How long C_Finalize waits for calls in other threads. The standard forbids such calls; a host that makes one that never
/// ends must still get its answer, and then the module is leaked.
const TO_END: Duration = Duration::from_secs(2);

/// How long a fork waits for calls in other threads: longer than a busy disk or another process's transaction holds one up.
/// Then it goes on, since what takes so long is the making of a large RSA key, or a server that does not answer. The store's
/// own calls are waited for all the same (`Module::pause`), so what such a child may find taken is a lock of AWS-LC's, which
/// is held for less than a microsecond at a time. POSIX promises the child of a threaded process less than that: nothing
/// but async-signal-safe functions (fork, APPLICATION USAGE).
const TO_FORK: Duration = Duration::from_secs(10);

/// A call inside the module.
pub(super) struct Inside {
    module: *const Module,
    place: usize,
}

impl Deref for Inside {
    type Target = Module;

    fn deref(&self) -> &Module {
        // SAFETY: the pointer was current after this call was counted in, and C_Finalize drops the module only when
        // everybody has been counted out.
        unsafe { &*self.module }
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        let calls = &INSIDE[self.place].0;
        if self.place < OWN {
            calls.store(calls.load(Ordering::Relaxed).saturating_sub(1), Ordering::Release);
        } else {
            calls.fetch_sub(1, Ordering::Release);
        }
    }
}

/// Enters the module if it is initialised in this process; waits while another thread forks.
pub(super) fn enter() -> Option<Inside> {
    loop {
        if !fork::is_marked() {
            return None;
        }
        let place = my_place();
        INSIDE[place].0.fetch_add(1, Ordering::SeqCst);
        // Looked at after counting in, so that C_Finalize and forks either see the count or are seen here.
        let inside = Inside { module: CURRENT.load(Ordering::SeqCst), place };
        if !inside.module.is_null() {
            return Some(inside);
        }
        drop(inside);
        if FORKING.load(Ordering::SeqCst).is_null() {
            return None;
        }
        drop(lock(&CHANGING));
    }
}

fn my_place() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    if MINE.get() == usize::MAX {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        MINE.set(if number < OWN { number } else { OWN + number % SHARED });
    }
    MINE.get()
}

/// Initialises the module that `open` makes. Of several threads that try, one does and the others are told so.
///
/// # Errors
/// CKR_CRYPTOKI_ALREADY_INITIALIZED, or what `open` fails with.
pub(super) fn start(open: impl FnOnce() -> Result<Module>) -> Result {
    let _changing = lock(&CHANGING);
    if fork::is_marked() && !CURRENT.load(Ordering::SeqCst).is_null() {
        return fail(CKR_CRYPTOKI_ALREADY_INITIALIZED);
    }
    // What a parent left here is not ours to drop: its files and locks belong to it.
    if CURRENT.swap(null_mut(), Ordering::SeqCst).is_null()
        && INSIDE.iter().all(|s| s.0.load(Ordering::SeqCst) == 0)
    {
        lock(&ABANDONED).drain(..).for_each(Abandoned::drop_module);
    }
    let opening = Opening::begin();
    let module = Box::new(open()?);
    drop(opening);
    fork::mark()?;
    CURRENT.store(Box::into_raw(module), Ordering::SeqCst);
    Ok(())
}

/// Ends the module.
///
/// # Errors
/// CKR_CRYPTOKI_NOT_INITIALIZED.
pub(super) fn stop() -> Result {
    let _changing = lock(&CHANGING);
    if !fork::is_marked() {
        return fail(CKR_CRYPTOKI_NOT_INITIALIZED);
    }
    let module = CURRENT.swap(null_mut(), Ordering::SeqCst);
    fork::unmark();
    if module.is_null() {
        return fail(CKR_CRYPTOKI_NOT_INITIALIZED);
    }
    let mut abandoned = lock(&ABANDONED);
    let ended = Abandoned(module);
    ended.module().close();
    abandoned.push(ended);
    if at_most_inside(|| 0, TO_END) {
        abandoned.drain(..).for_each(Abandoned::drop_module);
    }
    Ok(())
}

/// Modules whose C_Finalize could not wait for a call to end. They live until nobody is inside any more, and forks go on
/// pausing their stores.
static ABANDONED: Mutex<Vec<Abandoned>> = Mutex::new(Vec::new());

struct Abandoned(*mut Module);

// SAFETY: the module is shared by all threads anyway; the pointer is used under CHANGING only.
unsafe impl Send for Abandoned {}

impl Abandoned {
    fn module(&self) -> &Module {
        // SAFETY: the pointer came from Box::into_raw in `start`, and `drop_module` takes the value.
        unsafe { &*self.0 }
    }

    /// Nobody may be inside, and the module must not be current.
    fn drop_module(self) {
        // SAFETY: as in `module`; this value was the last to know the pointer.
        drop(unsafe { Box::from_raw(self.0) });
    }
}

/// Waits until no more calls than that are inside; whether it came to that in time.
fn at_most_inside(expected: impl Fn() -> usize, patience: Duration) -> bool {
    let start = Instant::now();
    while INSIDE.iter().map(|stripe| stripe.0.load(Ordering::SeqCst)).sum::<usize>() > expected() {
        if start.elapsed() > patience {
            return false;
        }
        std::thread::sleep(Duration::from_micros(50));
    }
    true
}

/// The lifecycle lock, held from before a fork until after it.
struct Held(UnsafeCell<Option<MutexGuard<'static, ()>>>);

// SAFETY: only the thread that holds CHANGING touches the cell: the forking one, and its copy in the child.
unsafe impl Sync for Held {}

static HELD: Held = Held(UnsafeCell::new(None));

/// Keeps calls out and waits for those inside: what one of them holds when the process is copied, nobody lets go of in the
/// child. AWS-LC takes a lock for each random number, for example, and the child wants it for its first one.
pub(super) fn before_fork() {
    if OPENING.get() {
        return;
    }
    let guard = lock(&CHANGING);
    let module = if fork::is_marked() { CURRENT.load(Ordering::SeqCst) } else { null_mut() };
    if !module.is_null() {
        FORKING.store(module, Ordering::SeqCst);
        CURRENT.store(null_mut(), Ordering::SeqCst);
        // A call may fork itself, by a function of its host's; one that waits for a slot event holds nothing.
        let own = usize::from(is_inside());
        // SAFETY: only `stop` drops the module, and it needs CHANGING.
        let module = unsafe { &*module };
        at_most_inside(|| own + module.slot_events.asleep(), TO_FORK);
    }
    with_forking(Module::pause);
    lock(&ABANDONED).iter().for_each(|abandoned| abandoned.module().pause());
    // SAFETY: this thread holds CHANGING.
    unsafe { *HELD.0.get() = Some(guard) };
}

pub(super) fn after_fork_in_parent() {
    with_forking(Module::resume);
    lock(&ABANDONED).iter().for_each(|abandoned| abandoned.module().resume());
    let module = FORKING.load(Ordering::SeqCst);
    if !module.is_null() {
        CURRENT.store(module, Ordering::SeqCst);
        FORKING.store(null_mut(), Ordering::SeqCst);
    }
    release();
}

pub(super) fn after_fork_in_child() {
    // They are the parent's to drop, and so is the module.
    lock(&ABANDONED).clear();
    FORKING.store(null_mut(), Ordering::SeqCst);
    // The threads that were inside do not exist here.
    for stripe in &INSIDE {
        stripe.0.store(0, Ordering::SeqCst);
    }
    release();
}

fn release() {
    // SAFETY: the thread that forked took the lock in `before_fork` and holds it still, in the child as well.
    drop(unsafe { (*HELD.0.get()).take() });
}

/// Runs `f` on the module that stands aside, if there is one. CHANGING is held, so it stays.
fn with_forking(f: impl FnOnce(&Module)) {
    guarded(|| {
        let module = FORKING.load(Ordering::SeqCst);
        if !module.is_null() {
            // SAFETY: only `stop` drops the module, and it needs CHANGING.
            f(unsafe { &*module });
        }
        CKR_OK
    });
}

/// Whether the host runs with more rights than its user (set-user-id and the like), so that its environment must not
/// be trusted.
pub(super) fn host_is_privileged() -> bool {
    // SAFETY: reads a value that the kernel gave the process.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// The return code of a result that no module has reported.
pub(super) fn code(result: Result) -> CK_RV {
    result.map_or_else(|Fail { rv, .. }| rv, |()| CKR_OK)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An HSM's library may fork a helper while C_Initialize unseals the store by it.
    #[test]
    fn a_fork_while_the_module_opens_does_not_wait_for_itself() {
        let refused = start(|| {
            before_fork();
            after_fork_in_parent();
            fail(CKR_TOKEN_NOT_PRESENT)
        });
        assert_eq!(refused.unwrap_err().rv, CKR_TOKEN_NOT_PRESENT);
        before_fork();
        after_fork_in_parent();
        assert!(CHANGING.try_lock().is_ok(), "the lock was given back");
    }

    /// R93: a child inherits no lock that a call in another thread has just taken.
    #[test]
    fn a_fork_waits_for_calls_and_calls_wait_for_it() {
        start(|| Module::open(crate::config::Settings::of_a_privileged_host())).unwrap();
        let (entered, fork) = std::sync::mpsc::channel();
        let left = std::sync::atomic::AtomicBool::new(false);
        let (waiting, waiter) = std::sync::mpsc::channel();
        std::thread::scope(|threads| {
            threads.spawn(|| {
                let inside = enter().unwrap();
                entered.send(()).unwrap();
                std::thread::sleep(Duration::from_millis(100));
                left.store(true, Ordering::SeqCst);
                drop(inside);
            });
            fork.recv().unwrap();
            before_fork();
            assert!(left.load(Ordering::SeqCst), "it was inside when the process was copied");
            threads.spawn(move || waiting.send(enter().is_some()));
            let early = waiter.recv_timeout(Duration::from_millis(100));
            assert!(early.is_err(), "a call went in during the fork");
            after_fork_in_parent();
            assert!(waiter.recv().unwrap(), "it goes in afterwards");
        });
        stop().unwrap();
    }
}
