//! The log: takes lines, and writes them together. Whoever takes an answer away waits until its line is on the disk; nobody
//! else waits. A server has a thread that writes; in other programs whoever made a line writes it.

use super::copies::Copies;
use super::health::{Health, LogFigures, Part};
use super::keys::AuditKeys;
use super::line::Line;
use super::queue::Queue;
use super::settings::{Failure, Scope, Settings};
use super::signing::Signer;
use super::writer::{Place, Writer, own_line};
use crate::clock::Clock;
use crate::crypto::Provider;
use crate::keyring::seal::fresh_id;
use crate::store::{OutboxRow, Store};
use canis_proto::{Blame, Error, ErrorCode, Id, OperationId, Result};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// How long a line waits that nobody hurries.
const UNASKED: Duration = Duration::from_millis(100);

/// How often the head is sealed in the store.
pub(super) const SEAL_MICROS: i64 = 1_000_000;

/// The log of one process over one store.
pub struct Log {
    pub(super) settings: Settings,
    pub(super) place: Place,
    keys: OnceLock<Arc<AuditKeys>>,
    queue: Mutex<Queue>,
    filled: Condvar,
    stopped: Condvar,
    writer: Mutex<Writer>,
    /// How many lines were taken.
    taken: AtomicU64,
    /// How many of them are where an answer's line has to be: on the disk, or with the kernel.
    durable: AtomicU64,
    /// How many changes carried their line.
    changes: AtomicU64,
    health: Health,
    /// Whether more lines come than are written.
    crowded: AtomicBool,
    watcher: OnceLock<Box<dyn Fn() + Send + Sync>>,
    copies: OnceLock<Arc<dyn Copies>>,
    /// What has an HSM sign files, too.
    pub(super) signer: OnceLock<Box<Signer>>,
    /// Whether files wait for it.
    pub(super) unsigned: AtomicBool,
    /// Whether it was looked for what others have left.
    looked: AtomicBool,
}

impl Log {
    pub(crate) fn new(
        settings: Settings,
        store: Arc<dyn Store>,
        provider: &'static Provider,
        clock: Arc<dyn Clock>,
        store_id: Id,
    ) -> Result<Self> {
        let place =
            Place { writer: fresh_id(provider)?, store_id, folder: settings.folder.clone(), store, clock };
        Ok(Log {
            settings,
            place,
            keys: OnceLock::new(),
            queue: Mutex::default(),
            filled: Condvar::new(),
            stopped: Condvar::new(),
            writer: Mutex::default(),
            taken: AtomicU64::new(0),
            durable: AtomicU64::new(0),
            changes: AtomicU64::new(0),
            health: Health::default(),
            crowded: AtomicBool::new(false),
            watcher: OnceLock::new(),
            copies: OnceLock::new(),
            signer: OnceLock::new(),
            unsigned: AtomicBool::new(false),
            looked: AtomicBool::new(false),
        })
    }

    /// The keys, as soon as the store is unsealed.
    pub(crate) fn keys(&self) -> Option<&AuditKeys> {
        self.keys.get().map(|keys| &**keys)
    }

    /// From now on lines are written under these keys.
    pub(crate) fn hold_keys(&self, keys: AuditKeys) {
        // A store that is unsealed twice has the same keys.
        let _ = self.keys.set(Arc::new(keys));
    }

    pub(crate) fn now(&self) -> i64 {
        self.place.clock.now_micros()
    }

    /// Whether an operation has a line even if all goes well.
    pub(crate) fn wants(&self, operation: OperationId) -> bool {
        use OperationId as O;
        let ends = matches!(operation, O::EndApplication | O::EndSession | O::Status);
        self.settings.scope == Scope::All || !(operation.repeats() || ends)
    }

    /// Whether the line of what has ended is written down: of what leaves nothing behind, as objects of a session do, only
    /// where everything is.
    pub(crate) fn keeps<T>(&self, operation: OperationId, line: &Line, result: &Result<T>) -> bool {
        use OperationId as O;
        let login = matches!(operation, O::Login | O::Logout | O::ConfirmUse | O::ChangePin | O::InitUserPin);
        let parts = !line.parts.is_empty();
        self.settings.scope == Scope::All
            || login
            || parts
            || line.change.is_some()
            || result.as_ref().is_err_and(is_denial)
    }

    /// Refuses what cannot be written down.
    ///
    /// # Errors
    /// `audit_unavailable`.
    pub(crate) fn check(&self, operation: OperationId) -> Result<()> {
        if operation.tells_state() || !self.wants(operation) {
            return Ok(());
        }
        if self.settings.failure == Failure::Refuse && self.crowded.load(Ordering::Relaxed) {
            let why =
                "more comes than the audit log's disk takes, so nothing new is begun for a moment; ask again";
            return Err(Error::new(ErrorCode::AuditUnavailable, why));
        }
        if !self.refuses() {
            return Ok(());
        }
        // Where nobody else does, whoever comes tries whether it can be written again.
        if !self.settings.has_thread && self.flush().is_ok() {
            return Ok(());
        }
        Err(self.unavailable())
    }

    /// Whether requests are refused for now.
    pub fn refuses(&self) -> bool {
        self.health.is_failing() && self.settings.failure == Failure::Refuse
    }

    /// The error of those who are refused.
    #[must_use]
    pub fn unavailable(&self) -> Error {
        Error::new(
            ErrorCode::AuditUnavailable,
            format!("the audit log cannot be written, so nothing is done: {}", self.why()),
        )
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        &self.settings.folder
    }

    /// Why no line can be written; empty if it can.
    #[must_use]
    pub fn why(&self) -> String {
        self.health.why()
    }

    /// Takes a line. Where nobody else writes it, it is on the disk when this returns.
    ///
    /// # Errors
    /// `audit_unavailable`, where nobody else writes it.
    pub(crate) fn take(&self, lines: impl IntoIterator<Item = Line>) -> Result<()> {
        if !self.settings.has_thread {
            self.look_after_others();
        }
        {
            let mut queue = self.queue();
            for line in lines {
                queue.push(line);
                if queue.is_crowded() {
                    self.crowded.store(true, Ordering::Relaxed);
                }
                self.taken.fetch_add(1, Ordering::AcqRel);
            }
        }
        // Its thread is woken by who waits for it, so that one write takes all that a connection has asked at once.
        if self.settings.has_thread {
            return Ok(());
        }
        match self.flush() {
            Err(_) if self.settings.failure == Failure::Refuse => Err(self.unavailable()),
            _ => Ok(()),
        }
    }

    /// The line of a change, to be written in its transaction.
    pub(super) fn change_row(&self, line: &mut Line) -> Result<Option<OutboxRow>> {
        let Some(keys) = self.keys() else { return Ok(None) };
        let number = *line.change.get_or_insert_with(|| self.changes.fetch_add(1, Ordering::AcqRel) + 1);
        if number == 1 || !self.settings.has_thread {
            // Before there is a change of this writer, there is its file: who finds the one without the other must not
            // take this process for one that has ended.
            self.writer().ready(self)?;
        }
        let body = line.begun(self.now());
        let sealed = keys.seal("outbox", self.place.writer, number, &body)?;
        Ok(Some(OutboxRow { writer: self.place.writer, number, sealed }))
    }

    /// How it is with the log, in numbers.
    #[must_use]
    pub fn figures(&self) -> LogFigures {
        self.health.figures(self.receipt().saturating_sub(self.durable.load(Ordering::Acquire)))
    }

    /// How many lines were taken so far: what was taken before this moment is on the disk when [`Log::settled`] says so.
    #[must_use]
    pub fn receipt(&self) -> u64 {
        self.taken.load(Ordering::Acquire)
    }

    /// Whether answers may leave whose lines are among the first `receipt`: `Some(false)` if the lines cannot be written
    /// and nothing may be done without; `None` if that is not known yet.
    #[must_use]
    pub fn settled(&self, receipt: u64) -> Option<bool> {
        if self.durable.load(Ordering::Acquire) >= receipt {
            return Some(true);
        }
        self.health.is_failing().then_some(self.settings.failure == Failure::Continue)
    }

    /// Has lines written now that somebody waits for; others are written a moment later.
    pub fn hurry(&self) {
        self.filled.notify_one();
    }

    /// Calls `watcher` whenever what [`Log::settled`] says may have changed.
    pub fn watch(&self, watcher: impl Fn() + Send + Sync + 'static) {
        let _ = self.watcher.set(Box::new(watcher));
    }

    /// From now on every line is copied.
    pub fn copy_to(&self, copies: Arc<dyn Copies>) {
        let _ = self.copies.set(copies);
    }

    /// Why copies do not get where they are sent; empty if they do.
    #[must_use]
    pub fn copies_why(&self) -> String {
        self.copies.get().map_or_else(String::new, |copies| copies.why())
    }

    /// Copies lines that are on the disk.
    pub(super) fn copy(&self, lines: &[u8]) {
        if let Some(copies) = self.copies.get() {
            copies.take(lines);
        }
    }

    /// Writes lines as they come, and seals the head, until [`Log::stop`]. For a thread of its own.
    pub fn run(&self) {
        loop {
            let wait = {
                let queue = self.queue();
                if queue.stopping && queue.ends.is_empty() {
                    return;
                }
                if queue.ends.is_empty() || self.health.is_failing() {
                    let waited = self.filled.wait_timeout(queue, UNASKED);
                    let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
                    queue.stopping && self.health.is_failing()
                } else {
                    false
                }
            };
            self.look_after_others();
            // What goes wrong is told by `why`; the next turn tries again.
            let _ = self.flush();
            if wait {
                return;
            }
        }
    }

    /// Ends [`Log::run`] when what waits is written, if that can be done.
    pub fn stop(&self) {
        self.queue().stopping = true;
        self.filled.notify_all();
        self.stopped.notify_all();
    }

    /// Waits as long, or until [`Log::stop`]; says whether it was that.
    pub(super) fn waited_for_stop(&self, long: Duration) -> bool {
        let waited = self.stopped.wait_timeout_while(self.queue(), long, |queue| !queue.stopping);
        let (queue, _) = waited.unwrap_or_else(PoisonError::into_inner);
        queue.stopping
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// Why it could not be written; it waits on.
    pub fn flush(&self) -> Result<()> {
        let mut writer = self.writer();
        let mut done = Ok(());
        loop {
            if !writer.holds_lines() {
                writer.hold(&mut self.queue());
                self.crowded.store(false, Ordering::Relaxed);
            }
            if !writer.holds_lines() {
                break;
            }
            match writer.write(self) {
                Ok(lines) => {
                    self.durable.fetch_add(lines, Ordering::AcqRel);
                    self.health.wrote(self.now());
                }
                Err(error) => {
                    done = Err(error);
                    break;
                }
            }
            self.note(Part::Writing, &done);
        }
        let done = done.and_then(|()| writer.seal_when_due(self));
        drop(writer);
        self.note(Part::Writing, &done);
        done
    }

    /// Writes what waits and ends the chain: nothing comes after.
    ///
    /// # Errors
    /// As [`Log::flush`].
    pub fn end(&self) -> Result<()> {
        // What failed stands in the last line.
        let _ = self.sign_ended();
        self.flush()?;
        let last = self.writer().as_it_is();
        let by_hsm = last.and_then(|last| Some((last, self.ask_hsm(last)?)));
        self.writer().end(self, by_hsm)
    }

    /// Says that nothing can be written, for this reason.
    pub(crate) fn fail(&self, error: &Error) {
        self.note(Part::Writing, &Err(error.clone()));
    }

    /// Writes down what processes have left that were killed, once.
    fn look_after_others(&self) {
        if self.keys().is_none() || self.looked.swap(true, Ordering::AcqRel) {
            return;
        }
        if let Err(error) = self.recover() {
            let mut line = own_line("audit.recover", self.keys());
            line.text("broken", &error.message);
            let _ = self.take([line.end(&Err::<(), _>(error), self.now())]);
        }
    }

    /// Notes what came of a part of the work.
    pub(super) fn note(&self, part: Part, done: &Result<()>) {
        self.health.note(part, done);
        if let Some(watcher) = self.watcher.get() {
            watcher();
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        // Where a thread writes it ends the log. Else this is the end; what it cannot write is looked after by the next.
        if !self.settings.has_thread {
            let _ = self.end();
        }
    }
}

/// Whether an error says that somebody may not do what he asked.
pub(crate) fn is_denial(error: &Error) -> bool {
    error.code.blame() == Blame::Policy
}
