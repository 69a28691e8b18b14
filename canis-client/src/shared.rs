//! One connection for all threads of a program, made when it is first needed and anew when it was lost.

use crate::connector::Connector;
use crate::frames::Payload;
use crate::inbox::Unanswered;
use crate::line::{Limit, Line};
use crate::{Config, once};
use canis_proto::message::{WireAnswer, WireRequest, decode_answer};
use canis_proto::{Error, ErrorCode, Result};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// What is done on each new connection before anything else.
type Welcome = dyn Fn(&Line) -> Result<()> + Send + Sync;

/// A connection that threads share, to the first of the configured servers that answers. Requests of all threads are in
/// flight at the same time. It starts no thread: whoever waits for an answer reads for all.
pub struct Shared {
    connector: Connector,
    welcome: Option<Box<Welcome>>,
    slot: Mutex<Slot>,
    changed: Condvar,
}

/// How often things began anew.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Connections made.
    pub connections: u64,
    /// Connections at which the server did not know the application (any more): its logins and session objects of before
    /// are gone.
    pub applications: u64,
}

#[derive(Default)]
struct Slot {
    line: Option<Arc<Line>>,
    /// Whether a thread is connecting; the others wait for what comes of it.
    connecting: bool,
    /// Tries to connect that have ended, and how the last one failed.
    tries: u64,
    failed: Option<Error>,
    standing: Standing,
}

impl Shared {
    /// Nothing is connected yet.
    ///
    /// # Errors
    /// `invalid_argument` for certificates or a key of no use.
    pub fn new(config: &Config) -> Result<Shared> {
        let connector = Connector::new(config)?;
        Ok(Shared { connector, welcome: None, slot: Mutex::default(), changed: Condvar::new() })
    }

    /// The same, but `welcome` is called with each new connection before any other request goes over it; whether the
    /// server knew the application stands in [`Line::server`]. Where it fails, the connection is not used.
    #[must_use]
    pub fn with_welcome(self, welcome: impl Fn(&Line) -> Result<()> + Send + Sync + 'static) -> Shared {
        Shared { welcome: Some(Box::new(welcome)), ..self }
    }

    /// How often things began anew up to now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.slot().standing
    }

    /// Asks for an operation and waits for its answer, as long as the configuration says.
    ///
    /// # Errors
    /// The server's own error; `too_large` before anything is sent; `deadline_exceeded` if the answer does not come in
    /// time; `unavailable` if no server can be reached or the connection is lost. What may be sent twice (a change is
    /// recognised, and happens once) is sent again before that, for as long as the configuration says; anything else may have
    /// happened or not.
    pub fn call<'a, R>(&self, request: &R) -> Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        self.call_within(self.connector.config().answer_timeout, request)
    }

    /// The same with a time of its own, for all that it takes.
    ///
    /// # Errors
    /// As [`Shared::call`].
    pub fn call_within<'a, R>(&self, limit: Duration, request: &R) -> Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        let asked = once::Asked::new(request, limit)?;
        decode_answer(&self.ask(&asked, Limit::of(limit))?)
    }

    /// Connects if there is no connection, so that a failure of what is asked next tells something else: it may have
    /// happened.
    ///
    /// # Errors
    /// As [`Shared::call`]; nothing was asked for.
    pub fn reach(&self) -> Result<()> {
        let config = self.connector.config();
        let limit = Limit::of(config.answer_timeout);
        let patience = limit.patience(config.retry_for);
        loop {
            match self.line(limit.deadline) {
                Err(error)
                    if error.code == ErrorCode::Unavailable && Instant::now() + once::PAUSE <= patience =>
                {
                    std::thread::sleep(once::PAUSE);
                }
                reached => return reached.map(drop),
            }
        }
    }

    fn ask(&self, asked: &once::Asked, limit: Limit) -> Result<Payload> {
        let patience = limit.patience(self.connector.config().retry_for);
        loop {
            let line = self.line(limit.deadline).map_err(Unanswered::NotSent);
            match line.and_then(|line| line.exchange(&asked.payload, limit)) {
                Ok(answer) => return Ok(answer),
                Err(unanswered) => asked.again(unanswered, patience)?,
            }
            std::thread::sleep(once::PAUSE);
        }
    }

    /// Ends the connection, if there is one; the next call makes another. Before a fork no other thread may be calling:
    /// then nothing of TLS is left for the child to copy.
    pub fn disconnect(&self) {
        let line = self.slot().line.take();
        if let Some(line) = line {
            line.close();
        }
    }

    /// The connection, made if need be. No lock is held meanwhile: other threads wait for this one's try, no longer than
    /// they want to.
    fn line(&self, deadline: Instant) -> Result<Arc<Line>> {
        let mut slot = self.usable();
        let tries = slot.tries;
        while slot.line.is_none() && slot.connecting {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let addr = &self.connector.config().addr;
                return Err(Error::new(ErrorCode::DeadlineExceeded, format!("cannot reach {addr} in time")));
            }
            let woken = self.changed.wait_timeout(slot, left);
            slot = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
        match (&slot.line, &slot.failed) {
            (Some(line), _) => return Ok(Arc::clone(line)),
            (None, Some(failed)) if slot.tries != tries => return Err(failed.clone()),
            _ => slot.connecting = true,
        }
        drop(slot);
        let made = self.connect();
        let mut slot = self.slot();
        (slot.connecting, slot.tries) = (false, slot.tries + 1);
        self.changed.notify_all();
        slot.failed = made.as_ref().err().cloned();
        let line = made?;
        slot.standing.connections += 1;
        slot.standing.applications += u64::from(line.server().resumed != Some(true));
        slot.line = Some(Arc::clone(&line));
        Ok(line)
    }

    fn connect(&self) -> Result<Arc<Line>> {
        let line = self.connector.connect(Line::greet)?;
        if let Some(welcome) = &self.welcome {
            welcome(&line)?;
        }
        Ok(Arc::new(line))
    }

    /// The slot, without a connection that has ended.
    fn usable(&self) -> MutexGuard<'_, Slot> {
        let line = self.slot().line.clone();
        let ended = line.filter(|line| !line.is_usable());
        let mut slot = self.slot();
        if let (Some(ended), Some(line)) = (ended, &slot.line)
            && Arc::ptr_eq(&ended, line)
        {
            slot.line = None;
        }
        slot
    }

    fn slot(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
