//! Decrypts what is read through it.

use super::chunk::{CHUNK, ChunkKey, NONCE, SEALED, TAG};
use super::header::unreadable;
use super::{FileKey, Header, Identity, damaged, malformed};
use canis_proto::{Error, Result};
use std::io::{self, Read};
use zeroize::Zeroizing;

/// Decrypts what is read through it, in constant memory. Every byte that comes out was verified; that the file is whole shows
/// at its end, which comes only then.
pub struct Reader<R> {
    inner: R,
    key: ChunkKey,
    number: u64,
    /// The chunk as it stands in the file, and after it the first byte of the next.
    chunk: Vec<u8>,
    /// The plaintext that is being read out, and how much of it was taken.
    plain: Zeroizing<Vec<u8>>,
    at: usize,
    finished: bool,
    /// What follows the chunk that is being read out, if that is no chunk.
    ends_wrongly: Option<Error>,
    /// Nothing comes out after an error.
    failed: bool,
}

impl<R: Read> Reader<R> {
    /// Reads the header, has an identity open the file key, and checks the header with it.
    ///
    /// # Errors
    /// As [`Header::read`] and [`Header::open`].
    pub fn new(mut inner: R, identities: &[&dyn Identity]) -> Result<Self> {
        let header = Header::read(&mut inner)?;
        let key = header.open(identities)?;
        Reader::after_header(inner, &key)
    }

    /// Reads on behind a header that was checked with `key`.
    ///
    /// # Errors
    /// `unsupported_format` if there is no body; `invalid_argument` if it cannot be read.
    pub fn after_header(mut inner: R, key: &FileKey) -> Result<Self> {
        let mut nonce = [0; NONCE];
        inner.read_exact(&mut nonce).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => malformed("it ends behind its header"),
            _ => unreadable(error),
        })?;
        Ok(Reader {
            inner,
            key: key.body_key(&nonce)?,
            number: 0,
            chunk: Vec::with_capacity(SEALED + 1),
            plain: Zeroizing::new(Vec::with_capacity(CHUNK)),
            at: 0,
            finished: false,
            ends_wrongly: None,
            failed: false,
        })
    }

    /// Reads and opens the next chunk.
    fn fill(&mut self) -> Result<()> {
        let room = SEALED + 1 - self.chunk.len();
        self.inner.by_ref().take(room as u64).read_to_end(&mut self.chunk).map_err(unreadable)?;
        let sealed = &self.chunk[..self.chunk.len().min(SEALED)];
        let more = self.chunk.len() > SEALED;
        let len = sealed.len().checked_sub(TAG);
        let len = len.ok_or_else(|| damaged("the file ends too early: its last chunk is missing"))?;
        (self.at, self.finished) = (0, !more);
        self.plain.resize(len, 0);
        if let Err(error) = self.key.open(self.number, !more, sealed, &mut self.plain) {
            // Its text is good, but not its place: it is the last and something follows, or the last one is missing.
            let is_other = more || sealed.len() == SEALED;
            if !is_other || self.key.open(self.number, more, sealed, &mut self.plain).is_err() {
                return Err(error);
            }
            (self.finished, self.ends_wrongly) = (false, Some(wrong_end(more)));
        }
        if !more {
            ChunkKey::check_last(self.number, len)?;
        }
        self.chunk.drain(..sealed.len());
        self.number += 1;
        Ok(())
    }

    fn next(&mut self) -> Result<()> {
        self.ends_wrongly.take().map_or_else(|| self.fill(), Err)
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.failed {
            return Err(io::Error::other(damaged("nothing can be read behind what did not verify")));
        }
        while self.at == self.plain.len() && !self.finished && !out.is_empty() {
            self.next().map_err(|error| {
                (self.failed, self.at) = (true, 0);
                self.plain.clear();
                io::Error::other(error)
            })?;
        }
        let taken = out.len().min(self.plain.len() - self.at);
        out[..taken].copy_from_slice(&self.plain[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

fn wrong_end(more: bool) -> Error {
    damaged(match more {
        true => "the file was changed: something follows its last chunk",
        false => "the file ends too early: its last chunk is missing",
    })
}
