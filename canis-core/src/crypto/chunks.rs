//! The body of a streamed ciphertext (`canis:s1`): chunks of 64 KiB, each sealed by AES-256-GCM under one message's key.
//!
//! A chunk's nonce is its index and whether it is the last (the STREAM construction of Hoang, Reyhanitabar, Rogaway and
//! Vizár, as age has it). Why this is safe here: the key is drawn for one message, so that no nonce meets another; a
//! chunk that was moved, left out, doubled or taken from another message does not open where it stands; and where the
//! body is cut, the chunk before the cut was not sealed as the last. Written over the seam, so both providers have it.

use super::refusal::decryption_failed;
use super::{GCM_NONCE, GCM_TAG, GcmKey, Provider};
use canis_proto::{Error, ErrorCode, Result};
use zeroize::Zeroizing;

/// The plaintext of every chunk but the last, in bytes.
pub const CHUNK: usize = 64 << 10;

/// The most chunks of a message: 2⁴⁸ bytes, well below where one AES-GCM key would tell itself from chance.
const MOST_CHUNKS: u64 = 1 << 32;

/// The key of one message, and the place in it.
struct Place {
    key: Box<dyn GcmKey>,
    next: u64,
}

impl Place {
    fn new(provider: &'static Provider, key: &[u8; 32]) -> Result<Self> {
        Ok(Place { key: provider.cipher.aes_gcm(key)?, next: 0 })
    }

    /// The nonce of the next chunk: 3 zero bytes, its index (64 bits, big endian), 1 for the last or 0.
    fn step(&mut self, last: bool) -> Result<[u8; GCM_NONCE]> {
        if self.next >= MOST_CHUNKS {
            return Err(Error::new(ErrorCode::TooLarge, "one message has at most 2^48 bytes; begin another"));
        }
        let mut nonce = [0; GCM_NONCE];
        nonce[3..11].copy_from_slice(&self.next.to_be_bytes());
        nonce[11] = u8::from(last);
        self.next += 1;
        Ok(nonce)
    }
}

/// Seals a message. A chunk leaves when a byte after it is known: until then it may be the last.
pub struct Sealer {
    place: Place,
    held: Zeroizing<Vec<u8>>,
}

impl Sealer {
    /// A message under a key of its own.
    ///
    /// # Errors
    /// As of the provider.
    pub fn new(provider: &'static Provider, key: &[u8; 32]) -> Result<Self> {
        Ok(Sealer { place: Place::new(provider, key)?, held: Zeroizing::new(Vec::with_capacity(CHUNK)) })
    }

    /// Takes more of the plaintext; appends what is sealed to `out`.
    ///
    /// # Errors
    /// `too_large` for a message of more than 2⁴⁸ bytes.
    pub fn update(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        gather(&mut self.held, CHUNK, input, |chunk| seal(&mut self.place, false, chunk, out))
    }

    /// Seals the last chunk. Nothing may follow it.
    ///
    /// # Errors
    /// As [`Sealer::update`].
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        seal(&mut self.place, true, &self.held, out)
    }
}

fn seal(place: &mut Place, last: bool, chunk: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let nonce = place.step(last)?;
    let at = out.len();
    out.resize(at + chunk.len() + GCM_TAG, 0);
    let mut tag = [0; GCM_TAG];
    let (ciphertext, end) = out[at..].split_at_mut(chunk.len());
    place.key.seal(&nonce, &[], chunk, ciphertext, &mut tag)?;
    end.copy_from_slice(&tag);
    Ok(())
}

/// Opens a message. No byte of a chunk leaves before all of it has been verified.
pub struct Opener {
    place: Place,
    held: Vec<u8>,
}

impl Opener {
    /// A message under a key of its own.
    ///
    /// # Errors
    /// As of the provider.
    pub fn new(provider: &'static Provider, key: &[u8; 32]) -> Result<Self> {
        Ok(Opener { place: Place::new(provider, key)?, held: Vec::with_capacity(CHUNK + GCM_TAG) })
    }

    /// Takes more of the body; appends what is verified to `out`.
    ///
    /// # Errors
    /// `decryption_failed` for a chunk that is not the next one of this message; nothing of it is in `out` then.
    pub fn update(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<()> {
        gather(&mut self.held, CHUNK + GCM_TAG, input, |chunk| open(&mut self.place, false, chunk, out))
    }

    /// Opens the last chunk; only now the message is known to be whole. Nothing may follow it.
    ///
    /// # Errors
    /// As [`Opener::update`]; also for a body that was cut, or goes on behind its end.
    pub fn finish(&mut self, out: &mut Vec<u8>) -> Result<()> {
        // Only an empty message ends with an empty chunk: one message, one form.
        if self.held.len() == GCM_TAG && self.place.next > 0 {
            return Err(decryption_failed());
        }
        open(&mut self.place, true, &self.held, out)
    }
}

fn open(place: &mut Place, last: bool, chunk: &[u8], out: &mut Vec<u8>) -> Result<()> {
    let (ciphertext, tag) = chunk.split_last_chunk::<GCM_TAG>().ok_or_else(decryption_failed)?;
    let nonce = place.step(last)?;
    let at = out.len();
    out.resize(at + ciphertext.len(), 0);
    let opened = place.key.open(&nonce, &[], ciphertext, tag, &mut out[at..]);
    if opened.is_err() {
        out.truncate(at);
    }
    opened
}

/// Fills `held` up to `whole` bytes and gives it to `each` as soon as more follow.
fn gather(
    held: &mut Vec<u8>,
    whole: usize,
    mut input: &[u8],
    mut each: impl FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    while !input.is_empty() {
        if held.len() == whole {
            each(held)?;
            held.clear();
        }
        let (taken, rest) = input.split_at(input.len().min(whole - held.len()));
        held.extend_from_slice(taken);
        input = rest;
    }
    Ok(())
}
