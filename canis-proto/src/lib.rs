//! Words and bytes of CANISP: ids, key types, operations, frames, error codes. No I/O, no cryptography.
// What a caller or a file can bring about is an error, never a panic.
#![cfg_attr(not(test), warn(clippy::expect_used, clippy::panic, clippy::unreachable, clippy::unimplemented))]

mod aes_gcm;
pub mod answer;
pub mod approval;
pub mod audit;
pub mod backup;
pub mod batch;
pub mod bech32;
mod capability;
mod choices;
pub mod credential;
mod crypt;
mod encapsulation;
mod entry;
mod error;
pub mod fields;
pub mod frame;
mod hello;
mod id;
mod interval;
mod key;
mod key_format;
mod lifecycle;
mod lookup;
pub mod message;
mod name;
pub mod operation;
mod parse;
pub mod policy;
pub mod rekey;
mod repeats;
pub mod role;
pub mod root;
pub mod schema;
pub mod sealing;
mod signature;
pub mod slot;
mod state;
pub mod stream;
pub mod tenant;
pub mod text;
mod transfer;
mod usage;
mod uses;
pub mod value;

pub use capability::{Capabilities, Capability};
pub use choices::{AgreementKdf, HashName, PublicObject, SignatureForm};
pub use entry::{ENTRY_PREFIX, EntryId, MAX_ENTRY_NAME, MAX_HALF, MAX_IDENTIFIER};
pub use error::{Blame, Error, ErrorCode, Result};
pub use id::Id;
pub use interval::Interval;
pub use key::{Family, KeyType};
pub use key_format::KeyFormat;
pub use name::{KeyName, MAX_NAME};
pub use operation::{Cost, Operation, OperationId};
pub use signature::SignatureScheme;
pub use state::KeyState;
pub use usage::Usage;

/// Caller's text made fit to be shown in an error: printable ASCII, at most 80 characters.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut shown: String =
        text.chars().take(80).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    if shown.len() < text.chars().count() {
        shown.push('…');
    }
    shown
}
