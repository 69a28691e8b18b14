//! Encrypts what is written to it.

use super::chunk::{CHUNK, ChunkKey, NONCE, SEALED, TAG};
use super::{FileKey, Header, Recipient};
use aws_lc_rs::rand;
use canis_proto::{Error, Result};
use std::io::{self, Write};
use zeroize::Zeroizing;

/// Encrypts what is written to it and writes that on. In constant memory; [`Writer::finish`] must follow, or nobody can read
/// to the file's end.
pub struct Writer<W> {
    inner: W,
    key: ChunkKey,
    number: u64,
    /// Plaintext of the chunk that is being filled, and room for its tag.
    chunk: Zeroizing<Vec<u8>>,
}

impl<W: Write> Writer<W> {
    /// Begins a file for `recipients`: wraps a new file key for each, and writes the header.
    ///
    /// # Errors
    /// `invalid_argument` without a recipient or if `inner` cannot be written to; what a recipient fails with.
    pub fn new(inner: W, recipients: &[&dyn Recipient]) -> Result<Self> {
        let key = FileKey::random()?;
        let stanzas = recipients.iter().map(|recipient| recipient.wrap(&key)).collect::<Result<Vec<_>>>()?;
        if stanzas.is_empty() {
            return Err(Error::invalid("a file must be for somebody: name a key or a recipient"));
        }
        Writer::with_header(inner, &Header::new(stanzas, &key)?, &key)
    }

    /// Begins a file with a header that was made for `key`.
    ///
    /// # Errors
    /// `invalid_argument` if `inner` cannot be written to.
    pub fn with_header(mut inner: W, header: &Header, key: &FileKey) -> Result<Self> {
        let nonce = body_nonce()?;
        inner.write_all(header.as_bytes()).and_then(|()| inner.write_all(&nonce)).map_err(unwritten)?;
        let chunk = Zeroizing::new(Vec::with_capacity(SEALED));
        Ok(Writer { inner, key: key.body_key(&nonce)?, number: 0, chunk })
    }

    /// Writes the last chunk and gives back what was written to. Nothing is flushed or synchronised.
    ///
    /// # Errors
    /// `invalid_argument` if `inner` cannot be written to.
    pub fn finish(mut self) -> Result<W> {
        self.flush_chunk(true).map_err(unwritten)?;
        Ok(self.inner)
    }

    fn flush_chunk(&mut self, last: bool) -> io::Result<()> {
        let len = self.chunk.len();
        self.chunk.resize(len + TAG, 0);
        self.key.seal(self.number, last, &mut self.chunk).map_err(io::Error::other)?;
        self.inner.write_all(&self.chunk)?;
        self.number += 1;
        self.chunk.clear();
        Ok(())
    }
}

impl<W: Write> Write for Writer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // Only more shows that a full chunk was not the last.
        if self.chunk.len() == CHUNK && !bytes.is_empty() {
            self.flush_chunk(false)?;
        }
        let taken = bytes.len().min(CHUNK - self.chunk.len());
        self.chunk.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// What fills no chunk stays here.
    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The nonce of a new body.
pub(super) fn body_nonce() -> Result<[u8; NONCE]> {
    let mut nonce = [0; NONCE];
    rand::fill(&mut nonce).map_err(|_| Error::internal("the system gives no random bytes"))?;
    Ok(nonce)
}

/// What writing fails with; an error of ours that went through `std::io` comes out again.
pub(super) fn unwritten(error: io::Error) -> Error {
    match error.downcast::<Error>() {
        Ok(ours) => ours,
        Err(error) => Error::invalid(format!("the output cannot be written: {error}")),
    }
}
