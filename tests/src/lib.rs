//! The harness: starts one real thing each, in a directory of its own, and stops it when dropped.

mod built;
mod run;
mod softhsm;

pub use built::{binary, module};
pub use run::{Finished, run};
pub use softhsm::SoftHsm;
