//! The file of a backup: what stands before the header, the header, and sealed chunks of rows.
//!
//! Each chunk is sealed by XAES-256-GCM under a key of this one file, with the header's hash, the chunk's number and whether it is
//! the last as associated data. Why this is safe here: so a chunk that is left out, doubled, moved, of another file, or a
//! file that was cut off does not open, and neither does a header that was changed.

use crate::crypto::xaes::{self, XaesKey};
use crate::crypto::{Hash, MAX_DIGEST, Provider};
use crate::keyring::seal::xaes_key;
use crate::secret::SecretBytes;
use crate::store::{RootSlotRow, Row};
use canis_proto::fields::Fields;
use canis_proto::value::{Map, Value};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::io::{Read, Write};

/// What every backup begins with; the last byte is the format.
const MAGIC: &[u8; 8] = b"CANISBK\x01";
/// Plaintext of a full chunk.
const CHUNK: usize = 64 * 1024;
/// No header is longer.
const LONGEST_HEADER: usize = 64 * 1024;
/// No row is longer.
const LONGEST_ROW: usize = 64 * 1024 * 1024;
/// Of the byte before a chunk.
const MORE: u8 = 0;
const LAST: u8 = 1;

/// What a backup says before it is opened. Nobody vouches for it until the first chunk has opened.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) store: Id,
    pub(crate) made_at: i64,
    /// How many commits the store had seen.
    pub(crate) sequence: u64,
    /// What the file's key is derived with.
    pub(crate) salt: [u8; 16],
    /// What the keys of the accumulators are derived with.
    pub(crate) counted: [u8; 16],
    /// What leads to the root key.
    pub(crate) slot: RootSlotRow,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let slot = Map::new()
            .with("id", &self.slot.id.0[..])
            .with("kind", self.slot.kind.as_str())
            .with("revision", self.slot.revision)
            .with("body", self.slot.body.as_slice());
        Map::new()
            .with("store", &self.store.0[..])
            .with("made_at", self.made_at)
            .with("sequence", self.sequence)
            .with("salt", &self.salt[..])
            .with("counted", &self.counted[..])
            .with("slot", slot)
            .encode()
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let mut fields = Fields::new("a backup's header", Map::decode(bytes).ok()?);
        let mut slot = Fields::new("a backup's root slot", fields.required::<Map<'_>>("slot").ok()?);
        let id = |fields: &mut Fields<'_>, name: &str| {
            fields.required::<Vec<u8>>(name).ok().and_then(|bytes| <[u8; 16]>::try_from(bytes).ok())
        };
        let header = Header {
            store: Id(id(&mut fields, "store")?),
            made_at: fields.required("made_at").ok()?,
            sequence: fields.required("sequence").ok()?,
            salt: id(&mut fields, "salt")?,
            counted: id(&mut fields, "counted")?,
            slot: RootSlotRow {
                id: Id(id(&mut slot, "id")?),
                kind: slot.required("kind").ok()?,
                revision: slot.required("revision").ok()?,
                body: slot.required("body").ok()?,
            },
        };
        (fields.finish().is_ok() && slot.finish().is_ok()).then_some(header)
    }
}

/// The key of one file.
struct FileKey {
    key: XaesKey,
    header: [u8; 32],
    chunk: u64,
}

impl FileKey {
    fn new(
        provider: &'static Provider,
        root_key: &SecretBytes,
        header: &Header,
        encoded: &[u8],
    ) -> Result<Self> {
        let key = SecretBytes::filled(32, |out| {
            provider.kdf.hkdf_sha256(root_key.expose(), &header.salt, b"canis/v1/backup", out)
        })?;
        let mut digest = [0; MAX_DIGEST];
        provider.digest.hash(Hash::Sha256, encoded, &mut digest);
        let header = std::array::from_fn(|at| digest[at]);
        Ok(FileKey { key: xaes_key(provider, &key)?, header, chunk: 0 })
    }

    /// What the next chunk is bound to.
    fn next(&mut self, last: bool) -> Vec<u8> {
        let bound = Value::Array(vec![
            Value::from("canis/v1/backup"),
            Value::from(&self.header[..]),
            Value::from(self.chunk),
            Value::from(last),
        ]);
        self.chunk += 1;
        bound.encode()
    }
}

/// Writes a backup.
pub(crate) struct Sealer<W> {
    key: FileKey,
    waiting: Vec<u8>,
    to: W,
}

impl<W: Write> Sealer<W> {
    /// Begins a file.
    pub(crate) fn new(
        provider: &'static Provider,
        root_key: &SecretBytes,
        header: &Header,
        mut to: W,
    ) -> Result<Self> {
        let encoded = header.encode();
        let key = FileKey::new(provider, root_key, header, &encoded)?;
        let length = u32::try_from(encoded.len()).map_err(|_| Error::internal("a header is too long"))?;
        let start = [MAGIC, &length.to_be_bytes()[..], &encoded].concat();
        to.write_all(&start).map_err(|e| unwritten(&e))?;
        Ok(Sealer { key, waiting: Vec::with_capacity(2 * CHUNK), to })
    }

    /// Writes a row and whose accumulator counts it.
    pub(crate) fn row(&mut self, scope: Id, row: &Row) -> Result<()> {
        let row = row.encode();
        let length = u32::try_from(row.len() + 16).map_err(|_| Error::internal("a row is too long"))?;
        self.waiting.extend(length.to_be_bytes());
        self.waiting.extend(scope.0);
        self.waiting.extend(row);
        while self.waiting.len() > CHUNK {
            let rest = self.waiting.split_off(CHUNK);
            self.chunk(false)?;
            self.waiting = rest;
        }
        Ok(())
    }

    /// Ends the file, and gives back what it was written to.
    pub(crate) fn finish(mut self) -> Result<W> {
        self.chunk(true)?;
        self.to.flush().map_err(|e| unwritten(&e))?;
        Ok(self.to)
    }

    fn chunk(&mut self, last: bool) -> Result<()> {
        let bound = self.key.next(last);
        let sealed = self.key.key.seal_to_vec(&bound, &self.waiting)?;
        let length = u32::try_from(sealed.len()).map_err(|_| Error::internal("a chunk is too long"))?;
        let flag = if last { LAST } else { MORE };
        let chunk = [&[flag], &length.to_be_bytes()[..], &sealed].concat();
        self.to.write_all(&chunk).map_err(|e| unwritten(&e))
    }
}

/// Reads a backup.
pub(crate) struct Opener<R> {
    pub(crate) header: Header,
    encoded: Vec<u8>,
    from: R,
}

impl<R: Read> Opener<R> {
    /// Reads as far as it can be read without a key.
    pub(crate) fn new(mut from: R) -> Result<Self> {
        let mut start = [0; 12];
        from.read_exact(&mut start).map_err(|e| unread(&e))?;
        let (magic, length) = start.split_at(8);
        if magic[..7] != MAGIC[..7] {
            return Err(damaged("it is no backup of CANIS"));
        }
        if magic != MAGIC {
            return Err(Error::new(
                ErrorCode::StoreFormat,
                format!("the backup has format {}; this CANIS reads format {}", magic[7], MAGIC[7]),
            ));
        }
        let length = length.try_into().map_or(usize::MAX, |length| u32::from_be_bytes(length) as usize);
        if length > LONGEST_HEADER {
            return Err(damaged("its header is too long"));
        }
        let mut encoded = vec![0; length];
        from.read_exact(&mut encoded).map_err(|e| unread(&e))?;
        let header = Header::decode(&encoded).ok_or_else(|| damaged("its header is not understood"))?;
        Ok(Opener { header, encoded, from })
    }

    /// Hands every row to `visit`. Only when this returns without an error were they all of the backup.
    pub(crate) fn rows(
        mut self,
        provider: &'static Provider,
        root_key: &SecretBytes,
        visit: &mut dyn FnMut(Id, Row) -> Result<()>,
    ) -> Result<()> {
        let mut key = FileKey::new(provider, root_key, &self.header, &self.encoded)?;
        let mut waiting = Vec::new();
        loop {
            let last = self.chunk(&mut key, &mut waiting)?;
            let mut rest = &waiting[..];
            while let Some((scope, row, after)) = first_row(rest)? {
                visit(scope, row)?;
                rest = after;
            }
            let taken = waiting.len() - rest.len();
            waiting.drain(..taken);
            if last {
                break;
            }
        }
        let more = self.from.read(&mut [0]).map_err(|e| unread(&e))?;
        if waiting.is_empty() && more == 0 { Ok(()) } else { Err(damaged("something follows its end")) }
    }

    fn chunk(&mut self, key: &mut FileKey, to: &mut Vec<u8>) -> Result<bool> {
        let mut head = [0; 5];
        self.from.read_exact(&mut head).map_err(|e| unread(&e))?;
        let [flag, length @ ..] = head;
        let length = u32::from_be_bytes(length) as usize;
        let plain = xaes::plaintext_len(length).filter(|plain| *plain <= CHUNK && flag <= LAST);
        let plain = plain.ok_or_else(|| damaged("a chunk has no possible length"))?;
        let mut sealed = vec![0; length];
        self.from.read_exact(&mut sealed).map_err(|e| unread(&e))?;
        let start = to.len();
        to.resize(start + plain, 0);
        let bound = key.next(flag == LAST);
        key.key.open_from_slice(&bound, &sealed, &mut to[start..]).map_err(|_| {
            damaged("a chunk was changed, moved or cut off, or the root key is not that of the backup")
        })?;
        Ok(flag == LAST)
    }
}

/// The first row of what is there, and what follows it; `None` if it is not whole yet.
fn first_row(bytes: &[u8]) -> Result<Option<(Id, Row, &[u8])>> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*length) as usize;
    if length > LONGEST_ROW {
        return Err(damaged("a row is too long"));
    }
    let Some((record, after)) = rest.split_at_checked(length) else { return Ok(None) };
    let read =
        record.split_first_chunk::<16>().and_then(|(scope, row)| Some((Id(*scope), Row::decode(row)?)));
    let (scope, row) = read.ok_or_else(|| {
        Error::new(
            ErrorCode::StoreFormat,
            "the backup holds a row that this CANIS does not know; use a newer one",
        )
    })?;
    Ok(Some((scope, row, after)))
}

pub(super) fn damaged(why: &str) -> Error {
    Error::new(ErrorCode::StoreTampered, format!("the backup is not whole: {why}; nothing of it was taken"))
}

fn unread(error: &std::io::Error) -> Error {
    match error.kind() {
        std::io::ErrorKind::UnexpectedEof => damaged("it was cut off"),
        _ => Error::new(ErrorCode::StoreUnavailable, format!("the backup cannot be read: {error}")),
    }
}

fn unwritten(error: &std::io::Error) -> Error {
    let full = error.kind() == std::io::ErrorKind::StorageFull;
    let code = if full { ErrorCode::StoreFull } else { ErrorCode::StoreUnavailable };
    Error::new(code, format!("the backup cannot be written: {error}"))
}
