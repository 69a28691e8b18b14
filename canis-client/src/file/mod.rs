//! Encrypted files in the format age v1 (<https://c2sp.org/age>), with keys in CANIS beside age's own.
//!
//! [`Writer`] and [`Reader`] are the adaptors: what is written to one comes out encrypted, what is read from the other is
//! decrypted and verified. [`Recipient`]s wrap a file's key into its header, [`Identity`]s open it. The body never reaches a
//! server; only the file key, 16 bytes, does.

mod armor;
mod body;
mod canis;
mod chunk;
mod draft;
mod exported;
mod header;
mod hpke;
mod hybrid;
mod key;
pub mod plugin;
mod plugin_text;
mod public;
mod reader;
mod recipient;
mod ssh;
mod stanza;
mod writer;
mod x25519;
mod xwing;

pub use armor::{ArmorReader, ArmorWriter, bare, is_armored};
pub use body::{Told, open, seal};
pub use canis::{KeyIdentity, KeyRecipient, KeyStanza};
pub use chunk::{CHUNK, ChunkKey, NONCE, TAG, plaintext_len, sealed_len};
pub use draft::{Draft, sync_all};
pub use exported::ExportedKey;
pub use header::{Header, LONGEST_HEADER};
pub use hybrid::{HybridIdentity, HybridRecipient};
pub use key::FileKey;
pub use plugin_text::{KeyText, identity_text, named_recipient, parse_identity, public_recipient};
pub use public::PublicRecipient;
pub use reader::Reader;
pub use recipient::{Identity, Recipient};
pub use ssh::SshRecipient;
pub use stanza::Stanza;
pub use writer::Writer;
pub use x25519::{X25519Identity, X25519Recipient};

use canis_proto::{Error, ErrorCode};

/// What is no file of age's, or not whole.
fn malformed(why: &str) -> Error {
    Error::new(ErrorCode::UnsupportedFormat, format!("this is no file in the format age v1: {why}"))
}

/// What was changed after it was made.
fn damaged(why: &str) -> Error {
    Error::new(ErrorCode::DecryptionFailed, why)
}
