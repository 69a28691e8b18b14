//! The audit log: one line for every operation and every denial, written before the answer leaves.
//!
//! [`crate::Core::call`] makes the lines, a [`Log`] chains and writes them, `verify` reads them again. The lines of one
//! process are one chain ([`chain`]); its files are segments. What a change's transaction carries of its line
//! ([`outbox`]) is there after a crash, too. ADR 0027 says why it is so.

mod call;
mod chain;
mod copies;
mod core;
mod disk;
mod files;
mod head;
mod health;
mod keys;
mod line;
mod log;
mod outbox;
mod queue;
mod read;
mod recover;
mod search;
mod settings;
mod signing;
mod stream;
mod verify;
mod writer;

pub use crate::keyring::audit_key::HsmSignature;
pub use call::Open;
pub(crate) use call::{Recorder, note_number, note_rule, note_text, note_use, part};
pub use copies::Copies;
pub(crate) use core::secret_row;
pub use files::{Rotation, SEGMENTS};
pub use health::LogFigures;
pub use line::rfc3339;
pub use log::Log;
pub(crate) use outbox::Audited;
pub use read::Broken;
pub(crate) use search::{Wanted, search};
pub use settings::{Failure, Scope, Settings, Sync};
pub(crate) use stream::Written;
pub use verify::AuditReport;
