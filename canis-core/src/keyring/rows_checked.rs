//! What the last comparison of a store's rows with their accumulators came to, for those who ask how the store is.

use super::Keyring;
use canis_proto::{Error, ErrorCode, Result};
use std::sync::{Mutex, PoisonError};

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
pub(crate) struct LastCheck(Mutex<Option<(i64, Vec<Error>)>>);

impl LastCheck {
    /// Keeps what was found; whether there is something that was not known before.
    fn keep(&self, at: i64, found: &[Error]) -> bool {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = last.as_ref().map_or(&[][..], |(_, known)| known);
        let is_news = found.iter().any(|error| !known.contains(error));
        *last = Some((at, found.to_vec()));
        is_news
    }

    fn figures(&self) -> Option<RowsFigures> {
        let last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = |found: &Vec<Error>| u64::try_from(found.len()).unwrap_or(u64::MAX);
        last.as_ref().map(|(at, found)| RowsFigures { at: *at, changed: changed(found) })
    }
}

impl Keyring {
    /// One error for each difference between accumulators and rows, and whether one of them is new.
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
