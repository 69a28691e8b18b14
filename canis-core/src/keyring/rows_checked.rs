//! What the last comparison of a store's rows with their accumulators came to, for those who ask how the store is.

use super::Keyring;
use crate::Core;
use canis_proto::{Error, ErrorCode, Result};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A comparison in numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowsFigures {
    /// When it ended, in microseconds since 1970-01-01 UTC.
    pub at: i64,
    /// How many tables other hands have changed.
    pub changed: u64,
}

/// The last comparison; nobody has made one until there is a time.
#[derive(Default)]
pub(crate) struct LastCheck(Mutex<Last>);

#[derive(Default)]
struct Last {
    at: Option<i64>,
    found: Vec<Error>,
    /// What the audit log was told of, as far as it was found again since.
    told: Vec<Error>,
}

impl LastCheck {
    fn last(&self) -> MutexGuard<'_, Last> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what was found; whether there is something that was not told yet.
    fn keep(&self, at: i64, found: &[Error]) -> bool {
        let mut last = self.last();
        last.told.retain(|error| found.contains(error));
        (last.at, last.found) = (Some(at), found.to_vec());
        found.iter().any(|error| !last.told.contains(error))
    }

    fn figures(&self) -> Option<RowsFigures> {
        let last = self.last();
        let changed = u64::try_from(last.found.len()).unwrap_or(u64::MAX);
        last.at.map(|at| RowsFigures { at, changed })
    }
}

impl Keyring {
    /// One error for each difference between accumulators and rows, and whether one of them is to be told: [`Self::rows_told`].
    ///
    /// # Errors
    /// `sealed`; `store_unavailable`.
    pub(crate) fn check_rows(&self) -> Result<(Vec<Error>, bool)> {
        let found = match self.compare_rows() {
            // The accumulators themselves were spoilt.
            Err(error) if error.code == ErrorCode::StoreTampered => vec![error],
            compared => compared?,
        };
        let is_news = self.books.checked.keep(self.clock.now_micros(), &found);
        Ok((found, is_news))
    }

    /// The audit log has a line about what was found last.
    pub(crate) fn rows_told(&self) {
        let mut last = self.books.checked.last();
        last.told = last.found.clone();
    }

    /// How the last comparison went.
    pub(crate) fn rows_figures(&self) -> Option<RowsFigures> {
        self.books.checked.figures()
    }

    /// What is wrong with the store's rows, for anybody: whose they are is not said. Empty if nothing is known.
    pub(crate) fn rows_why(&self) -> String {
        match self.rows_figures() {
            Some(RowsFigures { changed: 1.., .. }) => {
                "rows were changed by other hands; `canis store verify` names them".to_owned()
            }
            _ => String::new(),
        }
    }
}

impl Core {
    /// Compares the accumulators with the rows that there are: one error for each table that other hands changed. Reads
    /// the whole store, as it stands at one moment. What is new among them is noted in the audit log.
    ///
    /// # Errors
    /// `sealed`; `store_unavailable`.
    pub fn check_rows(&self) -> Result<Vec<Error>> {
        let (mut found, is_news) = self.keyring.check_rows()?;
        if is_news {
            match self.note_own("store.rows-changed") {
                Ok(()) => self.keyring.rows_told(),
                // It is told by the next comparison.
                Err(error) => found.push(error),
            }
        }
        Ok(found)
    }
}
