//! How it is with an audit log: whether lines can be written, why not, and when some were the last time.

use canis_proto::Result;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// An audit log in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogFigures {
    /// Lines that were taken and are not on the disk yet.
    pub waiting: u64,
    /// When lines were written the last time, in microseconds since 1970-01-01 UTC; 0 if none were.
    pub written_at: i64,
    /// How often writing failed.
    pub failures: u64,
    /// Whether the last try did.
    pub failing: bool,
}

/// What came of the tries to write.
#[derive(Default)]
pub(super) struct Health {
    failing: AtomicBool,
    why: Mutex<String>,
    failures: AtomicU64,
    written_at: AtomicI64,
}

impl Health {
    /// Whether the last try failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    /// Why it did; empty if it did not.
    pub(super) fn why(&self) -> String {
        if !self.is_failing() {
            return String::new();
        }
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes what came of a try.
    pub(super) fn note(&self, done: &Result<()>) {
        if let Err(error) = done {
            *self.why.lock().unwrap_or_else(PoisonError::into_inner) = error.message.clone();
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        self.failing.store(done.is_err(), Ordering::Release);
    }

    /// Lines are on the disk since `now`.
    pub(super) fn wrote(&self, now: i64) {
        self.written_at.store(now, Ordering::Relaxed);
    }

    /// All this, while so many lines wait.
    pub(super) fn figures(&self, waiting: u64) -> LogFigures {
        LogFigures {
            waiting,
            written_at: self.written_at.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
            failing: self.is_failing(),
        }
    }
}
