//! Backups: a store's rows in one encrypted file, as they stood at one moment.
//!
//! A backup holds rows as the store has them, sealed under keys of their own, so that nothing in it can do more than in the
//! store. Around them stands a key that the root key gives, and the root slot that leads to the root key, in the header.

mod check;
mod chunks;
mod merge;
mod restore;

pub use check::{BackupFacts, verify};
pub(crate) use chunks::{Header, Sealer};
pub use merge::{Merged, RestoreBackup};
pub use restore::restore;
