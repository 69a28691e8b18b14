//! The body of a file: a nonce, then chunks of 64 KiB, each sealed with ChaCha20-Poly1305 (RFC 8439) under its number and
//! whether it is the last (age v1, "Payload").
//!
//! Why that is safe: the key is of this file and this nonce alone, and no number occurs twice in it. What is cut, moved or
//! joined has another number, or no last chunk.

use super::damaged;
use aws_lc_rs::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use canis_proto::{Error, Result};

/// Bytes of plaintext in every chunk but the last.
pub const CHUNK: usize = 64 << 10;

/// Bytes that a chunk is longer by once it is sealed.
pub const TAG: usize = 16;

/// Bytes of the nonce that a body begins with.
pub const NONCE: usize = 16;

/// Bytes of a full chunk as it stands in the file.
pub(super) const SEALED: usize = CHUNK + TAG;

/// Seals and opens the chunks of one body, in any order and on any thread.
pub struct ChunkKey(LessSafeKey);

impl ChunkKey {
    pub(super) fn new(key: &[u8; 32]) -> Result<ChunkKey> {
        let key = UnboundKey::new(&CHACHA20_POLY1305, key);
        key.map(|key| ChunkKey(LessSafeKey::new(key)))
            .map_err(|_| Error::internal("the cipher refuses a key of 32 bytes"))
    }

    /// Seals a chunk in place; `chunk` has room for the tag at its end. Each number once only.
    ///
    /// # Errors
    /// `internal`.
    pub fn seal(&self, number: u64, last: bool, chunk: &mut [u8]) -> Result<()> {
        let failed = || Error::internal("a chunk cannot be sealed");
        let len = chunk.len().checked_sub(TAG).ok_or_else(failed)?;
        let (text, room) = chunk.split_at_mut(len);
        let tag = self.0.seal_in_place_separate_tag(nonce(number, last), Aad::empty(), text);
        room.copy_from_slice(tag.map_err(|_| failed())?.as_ref());
        Ok(())
    }

    /// Opens a chunk into `out`, which has room for its plaintext: all of it but the tag.
    ///
    /// # Errors
    /// `decryption_failed` if it was changed, or belongs elsewhere; nothing of it is in `out` then.
    pub fn open(&self, number: u64, last: bool, chunk: &[u8], out: &mut [u8]) -> Result<()> {
        let (text, tag) = chunk.split_at(chunk.len().saturating_sub(TAG));
        let opened = self.0.open_separate_gather(nonce(number, last), Aad::empty(), text, tag, out);
        opened.map_err(|_| {
            let end = if last { ", its last, or what follows is missing," } else { "" };
            damaged(&format!("the file was damaged or changed: chunk {number}{end} does not verify"))
        })
    }

    /// Whether a chunk that opened as the last may be empty: only if there is nothing else.
    pub(super) fn check_last(number: u64, len: usize) -> Result<()> {
        if number > 0 && len == 0 {
            return Err(damaged("the file was changed: its last chunk is empty"));
        }
        Ok(())
    }
}

/// Eleven bytes of number and one that tells the last.
fn nonce(number: u64, last: bool) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[3..11].copy_from_slice(&number.to_be_bytes());
    nonce[11] = u8::from(last);
    Nonce::assume_unique_for_key(nonce)
}

/// Bytes of a body, its nonce included, whose plaintext has so many.
#[must_use]
pub fn sealed_len(plaintext: u64) -> u64 {
    let chunks = plaintext.div_ceil(CHUNK as u64).max(1);
    NONCE as u64 + plaintext + chunks * TAG as u64
}

/// Bytes of plaintext in a body of so many, its nonce included; `None` if no body is so long.
#[must_use]
pub fn plaintext_len(sealed: u64) -> Option<u64> {
    let sealed = sealed.checked_sub(NONCE as u64)?;
    let chunks = sealed.div_ceil(SEALED as u64).max(1);
    let plaintext = sealed.checked_sub(chunks * TAG as u64)?;
    (sealed_len(plaintext) == sealed + NONCE as u64).then_some(plaintext)
}
