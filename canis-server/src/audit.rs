//! The audit log of a server: its flags, the thread that writes it, and the gate that holds answers back until what they
//! are about is on the disk.

use crate::audit_copy::{Copiers, Target};
use crate::limits;
use crate::request::Done;
use crate::wiped::Wiped;
use canis_core::audit::{Failure, Log, Rotation, SEGMENTS, Scope, Settings, Sync};
use canis_proto::{Error, ErrorCode, Interval, Result};
use clap::{Args, ValueEnum};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::Builder;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Instant, timeout_at};

/// How the audit log is kept.
#[derive(Args)]
pub struct AuditOptions {
    /// What the audit log says: every operation; or changes, logins and denials; or nothing, for measuring only.
    #[arg(long, value_enum, default_value_t = What::All)]
    audit: What,
    /// What happens to requests while the audit log cannot be written.
    #[arg(long, value_enum, default_value_t = OnFailure::Refuse)]
    audit_on_failure: OnFailure,
    /// When a line is on the disk: `soon`, so that only a power cut can take the uses of the last moment from it; or before its
    /// answer leaves, `always`. Lines of changes are on the disk with their change either way.
    #[arg(long, value_enum, default_value_t = When::Soon)]
    audit_sync: When,
    /// Begin another file of the audit log when one has so many MiB.
    #[arg(long, value_name = "MIB", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=1 << 20))]
    audit_file_size: u64,
    /// Begin another file of the audit log when one is so old.
    #[arg(long, value_name = "INTERVAL", default_value = "1d")]
    audit_file_age: Interval,
    /// Send every line of the audit log also here: `stdout`, `syslog`, or `syslog:SOCKET`; may be given several times.
    #[arg(long, value_name = "WHERE")]
    audit_copy: Vec<Target>,
}

/// What the audit log says.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum What {
    All,
    Changes,
    Off,
}

/// What happens while it cannot be written.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum OnFailure {
    Refuse,
    Continue,
}

/// When a line is on the disk.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum When {
    Soon,
    Always,
}

impl AuditOptions {
    /// Where lines are copied to.
    pub(crate) fn copies(&self) -> &[Target] {
        &self.audit_copy
    }

    /// The log's settings, for a server on `dir`; `None` if there is to be none.
    pub(crate) fn settings(&self, dir: &Path) -> Option<Settings> {
        let scope = match self.audit {
            What::All => Scope::All,
            What::Changes => Scope::Changes,
            What::Off => return None,
        };
        let failure = match self.audit_on_failure {
            OnFailure::Refuse => Failure::Refuse,
            OnFailure::Continue => Failure::Continue,
        };
        let micros = if self.audit_file_age.is_never() { i64::MAX } else { self.audit_file_age.micros() };
        let sync = match self.audit_sync {
            When::Soon => Sync::Soon,
            When::Always => Sync::Always,
        };
        let rotation = Rotation { bytes: self.audit_file_size << 20, micros };
        Some(Settings { folder: dir.join(SEGMENTS), scope, failure, sync, rotation, has_thread: true })
    }
}

/// The threads that write and copy the log, as long as the server runs.
pub(crate) struct Writing {
    log: Arc<Log>,
    ended: Receiver<()>,
    copiers: Copiers,
}

impl Writing {
    /// Starts them; `None` without a log.
    pub(crate) fn start(log: Option<&Arc<Log>>, copies: &[Target]) -> std::io::Result<Option<Self>> {
        let Some(log) = log else { return Ok(None) };
        let copiers = Copiers::start(copies)?;
        log.copy_to(copiers.takers());
        let (end, ended) = channel();
        let (own, keeper) = (Arc::clone(log), Arc::clone(log));
        let keeping = Builder::new().name("audit-disk".to_owned()).spawn(move || keeper.keep())?;
        let work = move || {
            own.run();
            let _ = keeping.join();
            let _ = own.end();
            let _ = end.send(());
        };
        Builder::new().name("audit".to_owned()).spawn(work)?;
        Ok(Some(Writing { log: Arc::clone(log), ended, copiers }))
    }

    /// Ends them when everything is written; a disk that does not answer is not waited for.
    pub(crate) fn stop(self) {
        self.log.stop();
        // The HSM may be asked about the last file, and about one that has waited for it.
        let _ = self.ended.recv_timeout(limits::AUDIT + 2 * limits::ROOT_END);
        self.copiers.stop();
    }
}

/// Holds answers back until their lines are on the disk. No thread waits meanwhile.
#[derive(Clone, Default)]
pub(crate) struct Gate {
    log: Option<(Arc<Log>, Arc<Notify>)>,
    refused: Arc<AtomicU64>,
}

impl Gate {
    /// The gate of a log; one that is always open without.
    pub(crate) fn of(log: Option<&Arc<Log>>) -> Self {
        let Some(log) = log else { return Gate::default() };
        let changed = Arc::new(Notify::new());
        let tell = Arc::clone(&changed);
        log.watch(move || tell.notify_waiters());
        Gate { log: Some((Arc::clone(log), changed)), refused: Arc::default() }
    }

    /// What an answer that is made now has to wait for.
    pub(crate) fn receipt(&self) -> u64 {
        self.log.as_ref().map_or(0, |(log, _)| log.receipt())
    }

    /// Waits until the lines up to this receipt are on the disk, or need not be; for a bounded time. `false` says that
    /// they are not.
    pub(crate) async fn opens(&self, receipt: u64) -> bool {
        let Some((log, changed)) = &self.log else { return true };
        let end = Instant::now() + limits::AUDIT;
        let mut yielded = false;
        loop {
            let notified = changed.notified();
            if let Some(settled) = log.settled(receipt) {
                return settled;
            }
            if !yielded {
                // Whoever else has a request here adds its line first: one wake-up and one write are for all of them.
                yielded = true;
                yield_now().await;
                continue;
            }
            log.hurry();
            if timeout_at(end, notified).await.is_err() {
                return false;
            }
        }
    }

    /// What came of a request, once its line is on the disk.
    ///
    /// # Errors
    /// `audit_unavailable`, and those of the request.
    pub(crate) async fn pass(&self, done: Done) -> Result<Wiped> {
        if self.opens(done.receipt).await {
            return done.result;
        }
        self.count_refused();
        Err(unwritten())
    }

    /// Whether the lines up to this receipt are on the disk now.
    pub(crate) fn is_open(&self, receipt: u64) -> bool {
        self.log.as_ref().is_none_or(|(log, _)| log.settled(receipt) == Some(true))
    }

    /// One was told so.
    pub(crate) fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }
}

/// What they are told whose lines cannot be written.
pub(crate) fn unwritten() -> Error {
    let why = "this was asked, and may have happened, but the audit log cannot be written";
    Error::new(ErrorCode::AuditUnavailable, why)
}
