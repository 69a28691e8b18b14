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

/// A part of the work that may fail by itself.
#[derive(Clone, Copy)]
pub(super) enum Part {
    /// Handing lines to the kernel, and to the disk where each waits for it.
    Writing,
    /// Taking to the disk what was handed over.
    Disk,
}

/// What came of the tries to write.
#[derive(Default)]
pub(super) struct Health {
    failing: AtomicBool,
    /// Why each part failed; empty if it did not.
    why: Mutex<[String; 2]>,
    failures: AtomicU64,
    written_at: AtomicI64,
}

impl Health {
    /// Whether the last try of some part failed.
    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    /// Why it did; empty if it did not.
    pub(super) fn why(&self) -> String {
        if !self.is_failing() {
            return String::new();
        }
        let why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        why.iter().find(|why| !why.is_empty()).cloned().unwrap_or_default()
    }

    /// Notes what came of a part: the log fails as long as one of them does.
    pub(super) fn note(&self, part: Part, done: &Result<()>) {
        let why = done.as_ref().err().map(|error| error.message.clone()).unwrap_or_default();
        if !why.is_empty() {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        let mut all = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        all[part as usize] = why;
        self.failing.store(all.iter().any(|why| !why.is_empty()), Ordering::Release);
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
