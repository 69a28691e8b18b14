//! A store that is brought to another place: from `canis.dat` into a database, or back. ADR 0039.
//!
//! Rows are copied as they are; nothing is unsealed. The place that is left and the place that is come to carry a mark until all
//! is done, so that at most one of them is used at any moment, whatever cuts a move short; asking again goes on with it.

mod compare;
mod place;
mod run;

pub use place::Place;
pub use run::{Report, Step, migrate};

use crate::store::{Movable, Stage};
use canis_proto::{Error, ErrorCode, Result};

/// Takes a store that is being moved, or was, for the store all the same. Whoever asks has opened it with a root's credential;
/// `note` says so in its log before anything is done.
///
/// # Errors
/// `operation_not_allowed` for a store that was not moved, `store_moved` for one that has not come as a whole;
/// `store_unavailable`, and those of `note`.
pub fn accept(store: &dyn Movable, note: impl FnOnce() -> Result<()>) -> Result<()> {
    match store.mark()? {
        None => Err(Error::new(
            ErrorCode::OperationNotAllowed,
            "the store was not moved; there is nothing to accept",
        )),
        Some(mark) if mark.stage() == Stage::Arriving => Err(mark.refusal()),
        mark => {
            note()?;
            store.set_mark(mark.as_ref(), None)
        }
    }
}
