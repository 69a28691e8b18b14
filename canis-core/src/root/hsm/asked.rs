//! How often HSMs were asked, and how that went. Counted for the whole process: helpers come and go.

use canis_proto::{ErrorCode, Result};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

/// What this process has asked of HSMs, in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HsmFigures {
    /// How often something was asked.
    pub calls: u64,
    /// How often that failed, for whatever reason.
    pub errors: u64,
    /// How long all that took, in microseconds.
    pub micros: u64,
    /// Whether the HSM could be reached the last time.
    pub reached: bool,
}

static CALLS: AtomicU64 = AtomicU64::new(0);
static ERRORS: AtomicU64 = AtomicU64::new(0);
static MICROS: AtomicU64 = AtomicU64::new(0);
static REACHED: AtomicBool = AtomicBool::new(false);

/// What was counted so far.
#[must_use]
pub fn hsm_figures() -> HsmFigures {
    HsmFigures {
        calls: CALLS.load(Ordering::Relaxed),
        errors: ERRORS.load(Ordering::Relaxed),
        micros: MICROS.load(Ordering::Relaxed),
        reached: REACHED.load(Ordering::Relaxed),
    }
}

/// Asks by `ask`, and counts that.
pub(super) fn counted<T>(ask: impl FnOnce() -> Result<T>) -> Result<T> {
    let began = Instant::now();
    let answer = ask();
    let micros = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
    CALLS.fetch_add(1, Ordering::Relaxed);
    MICROS.fetch_add(micros, Ordering::Relaxed);
    ERRORS.fetch_add(u64::from(answer.is_err()), Ordering::Relaxed);
    // A wrong PIN is an answer, too.
    let away = answer.as_ref().is_err_and(|error| error.code == ErrorCode::RootUnavailable);
    REACHED.store(!away, Ordering::Relaxed);
    answer
}
