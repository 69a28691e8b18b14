//! Words and bytes of CANISP: ids, key types, operations, frames, error codes. No I/O, no cryptography.

mod error;
mod id;
mod key;
mod name;

pub use error::{Blame, Error, ErrorCode, Result};
pub use id::Id;
pub use key::{Family, KeyState, KeyType, Usage};
pub use name::{KeyName, MAX_NAME};

/// Caller's text made fit to be shown in an error: printable ASCII, at most 80 characters.
#[must_use]
pub fn quote(text: &str) -> String {
    let mut shown: String = text.chars().take(80).map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    if shown.len() < text.chars().count() {
        shown.push('…');
    }
    shown
}
