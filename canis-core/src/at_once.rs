//! Work on threads that must not wait: those on which a server reads and writes for all its connections; and on those that
//! may wait for the store, but not for a signature that takes a second, because what is short waits behind them.
//!
//! The first run an operation within [`at_once`], the others within [`shortly`]. Whatever would make a thread wait asks
//! [`may_wait`] first: the store ([`crate::store::at_hand`]), and what computes for milliseconds; what computes for longer asks
//! [`may_compute`]. Where one was refused, there is no answer, even if the operation went on without it, and the whole is run
//! again on a thread that may. Operations look before they change anything, so that one which was refused has left no trace.

use canis_proto::{Error, Family, KeyType, Result};
use std::cell::Cell;

thread_local! {
    static THREAD: Cell<State> = const { Cell::new(State::MayCompute) };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    MayCompute,
    MayWait,
    MustNot,
    Refused,
}

/// Puts the thread back as it was, whatever happens meanwhile.
struct Until(State);

impl Drop for Until {
    fn drop(&mut self) {
        THREAD.set(self.0);
    }
}

/// What `work` gives if it can be done from memory and in microseconds; `None` if it would have had to wait.
pub fn at_once<T>(work: impl FnOnce() -> T) -> Option<T> {
    run_as(State::MustNot, work)
}

/// What `work` gives if it takes milliseconds to compute, however long it waits for the store; `None` if it would have taken
/// longer.
pub fn shortly<T>(work: impl FnOnce() -> T) -> Option<T> {
    run_as(State::MayWait, work)
}

fn run_as<T>(state: State, work: impl FnOnce() -> T) -> Option<T> {
    let _until = Until(THREAD.replace(state));
    let done = work();
    (THREAD.get() == state).then_some(done)
}

/// Whether something was refused on this thread, so that nobody will see what it does now.
pub(crate) fn was_refused() -> bool {
    THREAD.get() == State::Refused
}

/// To be asked before waiting.
///
/// # Errors
/// `internal` on a thread that must not wait; nobody gets to see it.
pub(crate) fn may_wait() -> Result<()> {
    allowed(matches!(THREAD.get(), State::MayWait | State::MayCompute))
}

/// To be asked before a key of this type makes a signature: SLH-DSA hashes for up to a second.
///
/// # Errors
/// As [`may_wait`].
pub(crate) fn may_compute(kind: KeyType) -> Result<()> {
    allowed(kind.family() != Family::SlhDsa || THREAD.get() == State::MayCompute)
}

fn allowed(it_is: bool) -> Result<()> {
    if it_is {
        return Ok(());
    }
    THREAD.set(State::Refused);
    Err(Error::internal("this is to be run where it may wait"))
}

/// To be asked before a request is signed: RSA takes as long as hundreds of others, SLH-DSA far longer.
///
/// # Errors
/// As [`may_wait`].
pub(crate) fn may_sign(kind: KeyType) -> Result<()> {
    may_decrypt(kind)?;
    may_compute(kind)
}

/// To be asked before a request is decrypted.
///
/// # Errors
/// As [`may_wait`].
pub(crate) fn may_decrypt(kind: KeyType) -> Result<()> {
    if kind.family() == Family::Rsa { may_wait() } else { Ok(()) }
}

/// To be asked before a signature is verified, which takes SLH-DSA as long as a signature takes RSA.
///
/// # Errors
/// As [`may_wait`].
pub(crate) fn may_verify(kind: KeyType) -> Result<()> {
    if kind.family() == Family::SlhDsa { may_wait() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_has_no_answer() {
        assert_eq!(may_wait(), Ok(()));
        assert_eq!(at_once(|| 7), Some(7));
        assert_eq!(at_once(|| may_wait().unwrap_or(())), None, "even if it went on without");
        assert_eq!(at_once(|| may_sign(KeyType::Rsa2048).is_ok()), None);
        assert_eq!(at_once(|| may_sign(KeyType::EcdsaP256).is_ok()), Some(true));
        assert_eq!(at_once(|| may_verify(KeyType::Rsa2048).is_ok()), Some(true));
        assert_eq!(may_wait(), Ok(()));
    }

    /// What may wait for the store does not make others wait for a signature of a second.
    #[test]
    fn slow_signatures_are_refused_where_short_work_runs() {
        let slow = KeyType::SlhDsaSha2256s;
        assert_eq!((shortly(|| may_sign(slow)), shortly(|| may_verify(slow))), (None, Some(Ok(()))));
        assert_eq!((at_once(|| may_sign(slow)), at_once(|| may_verify(slow))), (None, None));
        assert_eq!((shortly(|| may_sign(KeyType::Rsa4096)), shortly(may_wait)), (Some(Ok(())), Some(Ok(()))));
        assert_eq!((may_sign(slow), may_compute(slow)), (Ok(()), Ok(())));
    }

    #[test]
    fn a_panic_leaves_the_thread_as_it_was() {
        let failed = std::panic::catch_unwind(|| at_once(|| panic!("on purpose")));
        assert!(failed.is_err());
        assert_eq!(may_wait(), Ok(()));
    }
}
