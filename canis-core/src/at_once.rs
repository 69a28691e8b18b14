//! Work on threads that must not wait: those on which a server reads and writes for all its connections.
//!
//! Such a thread runs an operation within [`at_once`]. Whatever would make it wait asks [`may_wait`] first: the store
//! ([`crate::store::at_hand`]), and what computes for long. Where one was refused, there is no answer, even if the
//! operation went on without it, and the whole is run again on a thread that may wait. Operations look before they
//! change anything, so that one which was refused has left no trace.

use canis_proto::{Error, Family, KeyType, Result};
use std::cell::Cell;

thread_local! {
    static THREAD: Cell<State> = const { Cell::new(State::MayWait) };
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
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
    let _until = Until(THREAD.replace(State::MustNot));
    let done = work();
    (THREAD.get() == State::MustNot).then_some(done)
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
    if THREAD.get() == State::MayWait {
        return Ok(());
    }
    THREAD.set(State::Refused);
    Err(Error::internal("this is to be run where it may wait"))
}

/// To be asked before a private operation: RSA takes as long as hundreds of others.
///
/// # Errors
/// As [`may_wait`].
pub(crate) fn may_take_long(kind: KeyType) -> Result<()> {
    if kind.family() == Family::Rsa { may_wait() } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_refused_has_no_answer() {
        assert_eq!(may_wait(), Ok(()));
        assert_eq!(at_once(|| 7), Some(7));
        assert_eq!(at_once(|| may_wait().unwrap_or(())), None, "even if it went on without");
        assert_eq!(at_once(|| may_take_long(KeyType::Rsa2048).is_ok()), None);
        assert_eq!(at_once(|| may_take_long(KeyType::EcdsaP256).is_ok()), Some(true));
        assert_eq!(may_wait(), Ok(()));
    }

    #[test]
    fn a_panic_leaves_the_thread_as_it_was() {
        let failed = std::panic::catch_unwind(|| at_once(|| panic!("on purpose")));
        assert!(failed.is_err());
        assert_eq!(may_wait(), Ok(()));
    }
}
