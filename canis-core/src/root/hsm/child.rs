//! A helper that runs: one process of ours, on the other end of a socket pair, that has a vendor's library loaded.
//!
//! In a host of the PKCS#11 module the process's children may be waited for by others, or by nobody (SIGCHLD ignored);
//! whoever took the end of ours away, it is gone, and no signal is sent to a number that may be another's by then.

use super::wire;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How long one that is asked to end may take; its library may have to log out at a machine far away.
const END: Duration = Duration::from_secs(2);

/// How often its end is looked for while an answer is awaited: a process that the library started may keep the socket open.
const LOOK: Duration = Duration::from_millis(100);

/// Why there was no answer.
pub(super) enum Lost {
    /// It ended by itself, in the way that is said.
    Ended(String),
    /// It was silent until the deadline, and was killed.
    Silent,
    /// It does not speak as a helper does.
    Strange,
}

/// A running helper.
pub(super) struct Running {
    child: Child,
    line: UnixStream,
    /// When it last answered.
    pub(super) used: Instant,
}

impl Running {
    /// Starts `program` and waits until it says that it is a helper.
    ///
    /// # Errors
    /// What the system says if it cannot be started; inside, what became of it.
    pub(super) fn start(
        program: &OsStr,
        argument: &str,
        hidden: &[String],
        quiet: bool,
        deadline: Duration,
    ) -> io::Result<Result<Self, Lost>> {
        let (line, theirs) = UnixStream::pair()?;
        let mut command = Command::new(program);
        command.arg(argument).stdin(Stdio::from(OwnedFd::from(theirs))).stdout(Stdio::null());
        if quiet {
            command.stderr(Stdio::null());
        }
        for name in hidden {
            command.env_remove(name);
        }
        let child = command.spawn()?;
        // The command keeps the other end of the pair until it is dropped.
        drop(command);
        let mut running = Running { child, line, used: Instant::now() };
        Ok(match running.read(Instant::now() + deadline) {
            Ok(greeting) if wire::is_greeting(&greeting) => Ok(running),
            Ok(_) => Err(Lost::Strange),
            Err(lost) => Err(lost),
        })
    }

    /// Sends a request and waits for the answer.
    pub(super) fn ask(&mut self, request: &[u8], deadline: Duration) -> Result<Zeroizing<Vec<u8>>, Lost> {
        let end = Instant::now() + deadline;
        let written = self
            .line
            .set_write_timeout(Some(deadline))
            .and_then(|()| wire::write_frame(&mut self.line, request));
        if let Err(error) = written {
            return Err(self.why(&error));
        }
        let answer = self.read(end)?;
        self.used = Instant::now();
        Ok(answer)
    }

    fn read(&mut self, end: Instant) -> Result<Zeroizing<Vec<u8>>, Lost> {
        let read = wire::read_frame(&mut Until { running: self, end });
        match read {
            Ok(Some(frame)) => Ok(frame),
            Ok(None) => Err(self.ended()),
            Err(error) => Err(self.why(&error)),
        }
    }

    fn why(&mut self, error: &io::Error) -> Lost {
        match error.kind() {
            io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                self.kill();
                Lost::Silent
            }
            io::ErrorKind::InvalidData => Lost::Strange,
            _ => self.ended(),
        }
    }

    /// How it ended, after a moment's wait for that.
    fn ended(&mut self) -> Lost {
        let status = self.wait(END);
        self.kill();
        Lost::Ended(match status {
            Some(status) => match (status.signal(), status.code()) {
                (Some(signal), _) => format!("signal {signal}"),
                (None, code) => format!("exit code {}", code.unwrap_or_default()),
            },
            None => "unknown how".to_owned(),
        })
    }

    /// Whether it runs, as far as this process may know.
    fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    fn wait(&mut self, patience: Duration) -> Option<std::process::ExitStatus> {
        let end = Instant::now() + patience;
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) => return Some(status),
                // Somebody else has waited for it: it is gone.
                Err(_) => return None,
                Ok(None) if Instant::now() >= end => return None,
                Ok(None) => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }

    /// Kills it unless it is gone. What the kernel does not let die is left to the kernel.
    fn kill(&mut self) {
        if self.runs() {
            drop(self.child.kill());
            self.wait(END);
        }
    }
}

/// It is asked to end by the end of the line.
impl Drop for Running {
    fn drop(&mut self) {
        drop(self.line.shutdown(std::net::Shutdown::Both));
        if self.wait(END).is_none() {
            self.kill();
        }
    }
}

/// Reads from a helper until a moment, or until it is gone.
struct Until<'a> {
    running: &'a mut Running,
    end: Instant,
}

impl Read for Until<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let left = self.end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let gone = !self.running.runs();
            self.running.line.set_read_timeout(Some(left.min(LOOK)))?;
            match self.running.line.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock && gone => return Ok(0),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
                read => return read,
            }
        }
    }
}
