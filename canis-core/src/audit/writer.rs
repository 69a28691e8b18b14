//! Who writes the lines: chains them, keeps the files, and seals how far the chain goes in the store.

use super::chain::Chain;
use super::files::Segment;
use super::head::Head;
use super::keys::AuditKeys;
use super::line::Line;
use super::log::{Log, SEAL_MICROS};
use super::queue::Queue;
use super::settings::Sync;
use super::signing::{ByHsm, Ended, WAITING, told};
use crate::caller::Caller;
use crate::clock::Clock;
use crate::core::Resource;
use crate::store::Store;
use canis_proto::{Error, ErrorCode, Id, Result};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// What a log is about and where it is.
pub(super) struct Place {
    /// The writer: another one for every process.
    pub(super) writer: Id,
    pub(super) store_id: Id,
    pub(super) folder: PathBuf,
    pub(super) store: Arc<dyn Store>,
    pub(super) clock: Arc<dyn Clock>,
}

/// How far a log has got at one moment.
pub(super) struct Mark {
    pub(super) file: File,
    pub(super) path: PathBuf,
    pub(super) chain: Chain,
    pub(super) files: u32,
    /// Changes whose lines are among them.
    pub(super) written: Vec<u64>,
}

/// The writer's part of the log.
#[derive(Default)]
pub(super) struct Writer {
    chain: Chain,
    segment: Option<Segment>,
    files: u32,
    /// Lines that are to be written next.
    lines: Queue,
    /// Changes whose lines are on the disk, and which the store need not keep.
    written: Vec<u64>,
    /// The last line that the store knows of, and since when.
    sealed: Option<(u64, i64)>,
    /// Since when the store cannot be told.
    untold: Option<i64>,
    /// Files that were ended and that an HSM is to sign.
    pub(super) unsigned: Vec<Ended>,
    out: Vec<u8>,
}

impl Writer {
    pub(super) fn holds_lines(&self) -> bool {
        !self.lines.ends.is_empty()
    }

    /// Takes what waits.
    pub(super) fn hold(&mut self, queue: &mut Queue) {
        std::mem::swap(&mut self.lines.text, &mut queue.text);
        std::mem::swap(&mut self.lines.ends, &mut queue.ends);
        std::mem::swap(&mut self.lines.lost, &mut queue.lost);
    }

    /// Makes sure that there is a file.
    pub(super) fn ready(&mut self, log: &Log) -> Result<()> {
        if self.segment.is_some() {
            return Ok(());
        }
        let mut chain = self.chain;
        self.out.clear();
        self.begin(log, &mut chain)?;
        self.append(log, chain)
    }

    /// Writes the lines that it holds; says how many. On an error it holds them still.
    pub(super) fn write(&mut self, log: &Log) -> Result<u64> {
        self.out.clear();
        let mut chain = self.chain;
        let now = log.now();
        if let Some(segment) = &self.segment {
            if segment.is_gone() {
                self.segment = None;
            } else if segment.is_full(log.settings.rotation, now) {
                self.close(log, None)?;
                self.out.clear();
                chain = self.chain;
            }
        }
        if self.segment.is_none() {
            self.begin(log, &mut chain)?;
        }
        let mut from = 0;
        for (end, _) in &self.lines.ends {
            if *end > from {
                chain.append(log.keys(), &self.lines.text[from..*end], &mut self.out)?;
            }
            from = *end;
        }
        if self.lines.lost > 0 {
            let mut line = own_line("audit.lost", log.keys());
            line.number("lines", self.lines.lost);
            chain.append(log.keys(), &line.end::<()>(&Ok(()), now).body, &mut self.out)?;
        }
        self.append(log, chain)?;
        self.written.extend(self.lines.ends.iter().filter_map(|(_, change)| *change));
        let lines = self.lines.ends.len() as u64;
        self.lines.text.clear();
        self.lines.ends.clear();
        self.lines.lost = 0;
        Ok(lines)
    }

    /// Writes `out`, after which the chain is this.
    fn append(&mut self, log: &Log, chain: Chain) -> Result<()> {
        self.append_to(log, chain, log.settings.sync == Sync::Always)
    }

    fn append_to(&mut self, log: &Log, chain: Chain, sync: bool) -> Result<()> {
        if self.sealed.is_none() && log.keys().is_some() {
            // Before the first line stands in the file, the store knows that there is one.
            self.seal(log, false)?;
        }
        let Some(segment) = &mut self.segment else { return Err(Error::internal("no audit file is open")) };
        if let Err(error) = segment.append(&self.out, sync) {
            let error = failed(&segment.path, &error);
            if segment.is_empty() {
                // The line that begins it is still to be written.
                segment.remove();
                self.segment = None;
                self.files -= 1;
            }
            return Err(error);
        }
        self.chain = chain;
        log.copy(&self.out);
        Ok(())
    }

    /// Begins the next file with a line that says what it continues.
    fn begin(&mut self, log: &Log, chain: &mut Chain) -> Result<()> {
        let (place, now) = (&log.place, log.now());
        let segment = Segment::create(&place.folder, place.writer, self.files + 1, now);
        self.segment = Some(segment.map_err(|error| failed(&place.folder, &error))?);
        self.files += 1;
        let mut line = own_line("audit.begin", log.keys());
        line.text("store", &place.store_id);
        line.text("writer", &place.writer);
        line.number("file", self.files.into());
        line.hex("after", &chain.mac);
        if let Some(keys) = log.keys() {
            line.hex("public", keys.public());
        }
        chain.append(log.keys(), &line.end::<()>(&Ok(()), now).body, &mut self.out)
    }

    /// The file that is written now, as if it were ended here.
    pub(super) fn as_it_is(&self) -> Option<Ended> {
        self.segment.as_ref().map(|segment| Ended { file: self.files, sha256: segment.digest() })
    }

    /// Ends the file with a line that signs it; by the HSM, too, if that was asked about the file as it is.
    fn close(&mut self, log: &Log, by_hsm: Option<ByHsm>) -> Result<()> {
        let Some(segment) = &self.segment else { return Ok(()) };
        self.out.clear();
        let (mut chain, digest) = (self.chain, segment.digest());
        let mut line = own_line("audit.close", log.keys());
        line.hex("sha256", &digest);
        if let Some(keys) = log.keys() {
            line.hex("signature", &keys.sign(&digest)?);
        }
        let ended = Ended { file: self.files, sha256: digest };
        let by_hsm = by_hsm.filter(|(asked, _)| *asked == ended);
        let waits = by_hsm.is_none() && log.signer.get().is_some() && self.unsigned.len() < WAITING;
        match by_hsm {
            Some((_, Ok(signed))) => told(&mut line, &signed),
            Some((_, Err(refusal))) => line.text("hsm_away", &refusal.message),
            None => {}
        }
        chain.append(log.keys(), &line.end::<()>(&Ok(()), log.now()).body, &mut self.out)?;
        self.append_to(log, chain, true)?;
        self.segment = None;
        // Only now: a line that could not be written is tried again.
        if waits {
            self.unsigned.push(ended);
            log.unsigned.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Ends the chain.
    pub(super) fn end(&mut self, log: &Log, by_hsm: Option<ByHsm>) -> Result<()> {
        if self.segment.is_none() {
            return Ok(());
        }
        self.close(log, by_hsm)?;
        self.seal(log, true)
    }

    /// Seals how far the chain goes, if that has grown, it is time, and there is no thread for it.
    pub(super) fn seal_when_due(&mut self, log: &Log) -> Result<()> {
        if log.settings.has_thread {
            return Ok(());
        }
        let due = if self.sealed.is_none() { self.chain.seq > 0 } else { self.is_due(log.now()) };
        if due { self.seal(log, false) } else { Ok(()) }
    }

    /// How far the log has got, for who takes it to the disk.
    pub(super) fn mark(&self) -> Result<Option<Mark>> {
        let Some(segment) = &self.segment else { return Ok(None) };
        let file = segment.handle().map_err(|error| failed(&segment.path, &error))?;
        let path = segment.path.clone();
        Ok(Some(Mark { file, path, chain: self.chain, files: self.files, written: self.written.clone() }))
    }

    /// How many lines were written.
    pub(super) fn lines(&self) -> u64 {
        self.chain.seq
    }

    /// Whether the store should be told how far the log has got. It is told of the first line before that is written.
    pub(super) fn is_due(&self, now: i64) -> bool {
        self.sealed.is_some_and(|(seq, at)| seq < self.chain.seq && now.saturating_sub(at) >= SEAL_MICROS)
    }

    /// The store was told of this mark.
    pub(super) fn told(&mut self, mark: &Mark, now: i64) {
        // Others are only added behind them.
        self.written.drain(..mark.written.len().min(self.written.len()));
        self.sealed = Some((mark.chain.seq, now));
        self.untold = None;
    }

    /// The store could not be told; whether that has been so for less than this time.
    pub(super) fn untold_within(&mut self, long: Duration, now: i64) -> bool {
        let long = i64::try_from(long.as_micros()).unwrap_or(i64::MAX);
        now.saturating_sub(*self.untold.get_or_insert(now)) < long
    }

    fn seal(&mut self, log: &Log, ended: bool) -> Result<()> {
        let Some(keys) = log.keys() else { return Ok(()) };
        let store = &log.place.store;
        let row = Head::of(&self.chain, self.files, ended, store.host()).row(keys, log.place.writer)?;
        store.seal_audit(&row, &self.written)?;
        self.written.clear();
        self.sealed = Some((self.chain.seq, log.now()));
        Ok(())
    }
}

/// A line of the log about itself.
pub(super) fn own_line(operation: &str, keys: Option<&AuditKeys>) -> Line {
    Line::begin(keys, &Caller::timer(), operation, Resource::System)
}

pub(super) fn failed(path: &Path, error: &std::io::Error) -> Error {
    Error::new(ErrorCode::AuditUnavailable, format!("{}: {error}", path.display()))
}
