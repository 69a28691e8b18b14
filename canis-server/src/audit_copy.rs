//! Copies of the audit log for programs that collect lines: the host's syslog, or whoever reads the server's stdout. What
//! proves something is the log itself. No answer waits for a copy; what nobody takes is left out, counted and told.

use crate::limits;
use canis_core::audit::Copies;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;
use syslog::{Facility, Formatter3164, Logger, LoggerBackend};
use tracing::warn;

/// How many bytes of lines wait for their reader at most.
const WAITING: usize = 16 << 20;
/// After a failure, until the next try.
const AGAIN: Duration = Duration::from_secs(1);

/// Where copies go.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Stdout,
    /// The socket on which a syslog listens.
    Syslog(PathBuf),
}

impl FromStr for Target {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "stdout" => Ok(Target::Stdout),
            None if text == "syslog" => Ok(Target::Syslog("/dev/log".into())),
            Some(("syslog", path)) if path.starts_with('/') => Ok(Target::Syslog(path.into())),
            _ => Err("say `stdout`, `syslog`, or `syslog:/PATH/OF/ITS/SOCKET`".to_owned()),
        }
    }
}

/// The copies of one server.
pub(crate) struct Copiers(Vec<(Arc<Waiting>, Receiver<()>)>);

impl Copiers {
    /// Starts a thread for each target.
    pub(crate) fn start(targets: &[Target]) -> io::Result<Self> {
        let start = |target: &Target| {
            let waiting = Arc::new(Waiting::default());
            let (end, ended) = channel();
            let (own, target) = (Arc::clone(&waiting), target.clone());
            Builder::new().name("audit-copy".to_owned()).spawn(move || {
                own.serve(&target);
                let _ = end.send(());
            })?;
            Ok((waiting, ended))
        };
        targets.iter().map(start).collect::<io::Result<_>>().map(Copiers)
    }

    /// Who is to be given the lines.
    pub(crate) fn takers(&self) -> Arc<dyn Copies> {
        Arc::new(Takers(self.0.iter().map(|(waiting, _)| Arc::clone(waiting)).collect()))
    }

    /// Ends them when everything is sent; a reader that does not read is not waited for.
    pub(crate) fn stop(self) {
        for (waiting, _) in &self.0 {
            waiting.lock().stopping = true;
            waiting.filled.notify_all();
        }
        for (_, ended) in &self.0 {
            let _ = ended.recv_timeout(limits::AUDIT);
        }
    }
}

struct Takers(Vec<Arc<Waiting>>);

impl Copies for Takers {
    fn take(&self, lines: &[u8]) {
        self.0.iter().for_each(|waiting| waiting.take(lines));
    }

    fn why(&self) -> String {
        let reasons = self.0.iter().map(|waiting| waiting.lock().why.clone());
        reasons.filter(|why| !why.is_empty()).collect::<Vec<_>>().join("; ")
    }
}

/// Lines that wait for their reader.
#[derive(Default)]
struct Waiting {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    text: Vec<u8>,
    /// How many found no room.
    lost: usize,
    why: String,
    stopping: bool,
}

impl Waiting {
    fn take(&self, lines: &[u8]) {
        let mut state = self.lock();
        if state.text.len() + lines.len() > WAITING {
            state.lost += lines.iter().filter(|byte| **byte == b'\n').count();
        } else {
            state.text.extend_from_slice(lines);
        }
        self.filled.notify_one();
    }

    /// Sends lines as they come, until it is told to stop.
    fn serve(&self, target: &Target) {
        let (mut writer, mut text) = (None, Vec::new());
        loop {
            text.clear();
            {
                let mut state = self.lock();
                while state.text.is_empty() && !state.stopping {
                    state = self.filled.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
                if state.text.is_empty() {
                    return;
                }
                std::mem::swap(&mut state.text, &mut text);
            }
            for line in text.split_inclusive(|byte| *byte == b'\n') {
                while let Err(error) = target.write(&mut writer, line) {
                    writer = None;
                    if !self.waits_after(target, &error) {
                        return;
                    }
                }
                self.recovered(target);
            }
        }
    }

    /// Tells why it failed and waits a little; `false` if there is no time left for another try.
    fn waits_after(&self, target: &Target, error: &io::Error) -> bool {
        let mut state = self.lock();
        if state.why.is_empty() {
            warn!(%error, "the copy of the audit log to {target} fails");
        }
        state.why = format!("{target}: {error}");
        if state.stopping {
            return false;
        }
        drop(self.filled.wait_timeout_while(state, AGAIN, |state| !state.stopping));
        true
    }

    fn recovered(&self, target: &Target) {
        let mut state = self.lock();
        if state.why.is_empty() && state.lost == 0 {
            return;
        }
        state.why.clear();
        let lost = std::mem::take(&mut state.lost);
        warn!("the copy of the audit log to {target} goes on; {lost} lines are missing from it");
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Target::Stdout => f.write_str("stdout"),
            Target::Syslog(path) => write!(f, "the syslog at {}", path.display()),
        }
    }
}

/// What lines are written to.
enum Writer {
    /// Not the standard library's, whose lock whoever says something else there would wait for.
    Stdout(File),
    Syslog(Logger<LoggerBackend, Formatter3164>),
}

impl Target {
    /// Writes one line, which ends in a line feed; opens what it writes to if that is not open.
    fn write(&self, writer: &mut Option<Writer>, line: &[u8]) -> io::Result<()> {
        let writer = match writer {
            Some(writer) => writer,
            None => writer.insert(self.open()?),
        };
        match writer {
            Writer::Stdout(file) => file.write_all(line),
            Writer::Syslog(logger) => {
                let line = String::from_utf8_lossy(line.trim_ascii_end());
                logger.info(line).map_err(io::Error::other)
            }
        }
    }

    fn open(&self) -> io::Result<Writer> {
        match self {
            Target::Stdout => Ok(Writer::Stdout(io::stdout().as_fd().try_clone_to_owned()?.into())),
            Target::Syslog(path) => {
                let formatter = Formatter3164 {
                    facility: Facility::LOG_AUTHPRIV,
                    hostname: None,
                    process: "canis-server".to_owned(),
                    pid: std::process::id(),
                };
                syslog::unix_custom(formatter, path).map(Writer::Syslog).map_err(io::Error::other)
            }
        }
    }
}
