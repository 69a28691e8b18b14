//! Bodies of regular files on all cores: each thread takes the next part of the file, reads, seals or opens, and writes it where
//! it belongs. Streams go through [`super::Writer`] and [`super::Reader`].

use super::chunk::{CHUNK, ChunkKey, NONCE, SEALED, plaintext_len};
use super::header::unreadable;
use super::writer::{body_nonce, unwritten};
use super::{FileKey, Header, malformed};
use canis_proto::{Error, Result};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use zeroize::Zeroizing;

/// Chunks that a thread takes at a time: a mebibyte.
const PART: u64 = 16;

/// More threads than this only wait for the disk.
const MOST_THREADS: usize = 16;

/// What is told of the work: so many bytes of plaintext more are done.
pub type Told<'a> = &'a (dyn Fn(u64) + Sync);

/// Encrypts a regular file into an empty one.
///
/// # Errors
/// `invalid_argument` if one of them cannot be read or written, or `input` became shorter meanwhile.
pub fn seal(input: &File, output: &File, header: &Header, key: &FileKey, told: Told<'_>) -> Result<()> {
    let len = input.metadata().map_err(unreadable)?.len();
    let nonce = body_nonce()?;
    let start = [header.as_bytes(), &nonce].concat();
    output.write_all_at(&start, 0).map_err(unwritten)?;
    let place =
        Place { plain: input, sealed: output, start: start.len() as u64, len, key: key.body_key(&nonce)? };
    place.all(&|place, part, room| place.seal(part, room, told))
}

/// Decrypts the body of a regular file, which begins at `start`, into an empty one. Every byte that is written was verified;
/// that all of them are there is known when this ends well.
///
/// # Errors
/// `decryption_failed` if the file was changed or cut; `unsupported_format` if it has no body; `invalid_argument` if one of
/// them cannot be read or written.
pub fn open(input: &File, start: u64, output: Option<&File>, key: &FileKey, told: Told<'_>) -> Result<()> {
    let sealed = input.metadata().map_err(unreadable)?.len().saturating_sub(start);
    let mut nonce = [0; NONCE];
    if sealed < NONCE as u64 {
        return Err(malformed("it ends behind its header"));
    }
    input.read_exact_at(&mut nonce, start).map_err(unreadable)?;
    let len = plaintext_len(sealed)
        .ok_or_else(|| super::damaged("the file was cut or something was put behind it"))?;
    let start = start + NONCE as u64;
    let key = key.body_key(&nonce)?;
    let place = Place { plain: input, sealed: input, start, len, key };
    place.all(&|place, part, room| place.open(part, output, room, told))
}

/// A plaintext and where it stands sealed.
struct Place<'a> {
    plain: &'a File,
    sealed: &'a File,
    /// Where the first chunk begins.
    start: u64,
    /// Bytes of plaintext.
    len: u64,
    key: ChunkKey,
}

/// Buffers of a thread.
#[derive(Default)]
struct Room {
    plain: Zeroizing<Vec<u8>>,
    sealed: Zeroizing<Vec<u8>>,
}

type Work<'a, 'b> = &'b (dyn Fn(&Place<'a>, u64, &mut Room) -> Result<()> + Sync);

impl<'a> Place<'a> {
    fn chunks(&self) -> u64 {
        self.len.div_ceil(CHUNK as u64).max(1)
    }

    /// Does all parts, on as many threads as there are cores and parts.
    fn all(&self, work: Work<'a, '_>) -> Result<()> {
        let parts = self.chunks().div_ceil(PART);
        let cores = thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
        let threads = usize::try_from(parts).unwrap_or(cores).min(cores);
        let (next, stopped, failed) = (AtomicU64::new(0), AtomicBool::new(false), Mutex::new(None));
        let run = || {
            let mut room = Room::default();
            while !stopped.load(Ordering::Relaxed) {
                let part = next.fetch_add(1, Ordering::Relaxed);
                if part >= parts {
                    break;
                }
                if let Err(error) = work(self, part, &mut room) {
                    stopped.store(true, Ordering::Relaxed);
                    failed.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
                }
            }
        };
        if threads == 1 {
            run();
        } else {
            thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(run))));
        }
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// The chunks of a part: number, whether it is the last, and bytes of plaintext.
    fn part(&self, part: u64) -> impl Iterator<Item = (u64, bool, usize)> + use<> {
        let (chunks, len) = (self.chunks(), self.len);
        (part * PART..chunks.min((part + 1) * PART)).map(move |number| {
            let text = (len - number * CHUNK as u64).min(CHUNK as u64);
            (number, number + 1 == chunks, text as usize)
        })
    }

    fn sealed_at(&self, number: u64) -> u64 {
        self.start + number * SEALED as u64
    }

    fn seal(&self, part: u64, room: &mut Room, told: Told<'_>) -> Result<()> {
        let (first, sealed) = (part * PART, &mut room.sealed);
        let mut done = 0;
        sealed.resize(PART as usize * SEALED, 0);
        let mut end = 0;
        for (number, last, len) in self.part(part) {
            let chunk = &mut sealed[end..end + len + super::TAG];
            self.plain.read_exact_at(&mut chunk[..len], number * CHUNK as u64).map_err(shorter)?;
            self.key.seal(number, last, chunk)?;
            end += chunk.len();
            done += len as u64;
        }
        self.sealed.write_all_at(&sealed[..end], self.sealed_at(first)).map_err(unwritten)?;
        told(done);
        Ok(())
    }

    fn open(&self, part: u64, output: Option<&File>, room: &mut Room, told: Told<'_>) -> Result<()> {
        let first = part * PART;
        let (mut text, mut sealed) = (0, 0);
        for (_, _, len) in self.part(part) {
            (text, sealed) = (text + len, sealed + len + super::TAG);
        }
        room.plain.resize(text, 0);
        room.sealed.resize(sealed, 0);
        self.sealed.read_exact_at(&mut room.sealed, self.sealed_at(first)).map_err(shorter)?;
        let (mut from, mut to) = (0, 0);
        for (number, last, len) in self.part(part) {
            let chunk = &room.sealed[from..from + len + super::TAG];
            self.key.open(number, last, chunk, &mut room.plain[to..to + len])?;
            (from, to) = (from + chunk.len(), to + len);
        }
        if let Some(output) = output {
            output.write_all_at(&room.plain, first * CHUNK as u64).map_err(unwritten)?;
        }
        told(text as u64);
        Ok(())
    }
}

fn shorter(error: io::Error) -> Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => Error::invalid("the file became shorter while it was read"),
        _ => unreadable(error),
    }
}
