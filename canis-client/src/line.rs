//! One connection that threads share, without a thread of its own. Whoever waits for an answer reads for all: he takes
//! the reading end, gives what is not his to its asker, and leaves the reading end to another when his own has come.

use crate::frames::{self, Frame, Frames, Payload};
use crate::inbox::{Inbox, Unanswered};
use crate::link::Link;
use crate::wire::Wire;
use crate::{Config, failure, hello, once};
use canis_proto::Result;
use canis_proto::frame::FrameType;
use canis_proto::message::{ServerHello, WireAnswer, WireRequest, decode_answer, decode_error};
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A connection that was quiet for so long is looked at before it is used.
const QUIET: Duration = Duration::from_secs(1);

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// A connection to a server that proved itself and accepted our HELLO.
pub struct Line {
    addr: String,
    hello: ServerHello,
    answer_timeout: Duration,
    /// How long a server may leave a PING unanswered.
    patience: Duration,
    wire: Wire,
    inbox: Mutex<Inbox>,
}

/// How long a call may take.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    pub(crate) whole: Duration,
    pub(crate) deadline: Instant,
}

impl Limit {
    /// From now on; no call waits longer than a year.
    pub(crate) fn of(whole: Duration) -> Self {
        Limit { whole, deadline: Instant::now() + whole.min(YEAR) }
    }

    /// Until when a request is sent again.
    pub(crate) fn patience(self, retry_for: Duration) -> Instant {
        Limit::of(retry_for).deadline.min(self.deadline)
    }
}

impl Line {
    /// Says HELLO on a stream.
    pub(crate) fn greet(mut link: Link, config: &Config) -> Result<Line> {
        let mut frames = Frames::new();
        let hello = hello::greet(&mut link, &mut frames, config)?;
        Ok(Line {
            addr: config.addr.clone(),
            answer_timeout: config.answer_timeout,
            patience: config.connect_timeout,
            wire: Wire::new(link, frames),
            inbox: Mutex::new(Inbox::new(hello.max_in_flight)),
            hello,
        })
    }

    /// What the server said of itself.
    #[must_use]
    pub fn server(&self) -> &ServerHello {
        &self.hello
    }

    /// The server's address.
    #[must_use]
    pub fn addr(&self) -> &str {
        &self.addr
    }

    /// Asks for an operation on this connection and no other, and waits for its answer.
    ///
    /// # Errors
    /// The server's own error; `too_large` before anything is sent; `deadline_exceeded` if the answer does not come in
    /// time, `unavailable` if the connection is lost: the operation may then have happened or not.
    pub fn call<'a, R>(&self, request: &R) -> Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        let payload = once::payload(request, false, Some(self.answer_timeout))?;
        decode_answer(&self.exchange(&payload, Limit::of(self.answer_timeout))?)
    }

    /// Sends a request and waits for its answer.
    pub(crate) fn exchange(&self, payload: &[u8], limit: Limit) -> Result<Payload, Unanswered> {
        failure::check_size(payload, &self.hello).map_err(Unanswered::Refused)?;
        let (Limit { whole: limit, deadline }, addr) = (limit, &self.addr);
        let wake = Arc::new(Condvar::new());
        let Some(place) = self.wait(&wake, true, deadline, |inbox| inbox.place(&wake)) else {
            return Err(Unanswered::Refused(failure::late(addr, limit, false)));
        };
        let request = place?;
        self.send(FrameType::Request, request, payload);
        if let Some(answer) = self.wait(&wake, false, deadline, |inbox| inbox.take(request)) {
            return answer;
        }
        self.take_back(request);
        Err(Unanswered::Refused(failure::late(addr, limit, true)))
    }

    /// Whether requests can be asked here; looks for what came while nobody waited.
    pub(crate) fn is_usable(&self) -> bool {
        let mut inbox = self.inbox();
        if !inbox.reading && inbox.heard.elapsed() > QUIET {
            inbox.reading = true;
            drop(inbox);
            let came = self.wire.look();
            inbox = self.inbox();
            inbox.reading = false;
            if let Some(came) = came {
                inbox = self.hear(inbox, came);
            }
            inbox.pass_on();
        }
        if inbox.pinged.is_some_and(|since| since.elapsed() > self.patience) {
            inbox.end(failure::silent(&self.addr));
        }
        inbox.ended.is_none()
    }

    /// Ends the connection; whoever waits is told so.
    pub(crate) fn close(&self) {
        self.inbox().lose(failure::closed(&self.addr));
        self.wire.shut();
    }

    /// Takes a request back that nobody waits for any more. If the server does not answer a PING either, the connection
    /// is not used much longer.
    fn take_back(&self, request: u32) {
        let mut inbox = self.inbox();
        inbox.abandon(request);
        inbox.pinged.get_or_insert_with(Instant::now);
        drop(inbox);
        self.send(FrameType::Cancel, request, b"");
        self.send(FrameType::Ping, 0, b"");
    }

    fn send(&self, kind: FrameType, request: u32, payload: &[u8]) {
        let Err(error) = self.wire.send(&frames::whole(kind, request, payload)) else { return };
        // A server that closed may have said why; whoever reads finds that, or the end. One that stands still says nothing.
        if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
            self.inbox().lose(failure::lost(&self.addr, &error));
            self.wire.shut();
        }
    }

    /// Waits until `done` finds something, reading for all if nobody else does.
    fn wait<T>(
        &self,
        wake: &Arc<Condvar>,
        for_place: bool,
        deadline: Instant,
        mut done: impl FnMut(&mut Inbox) -> Option<T>,
    ) -> Option<T> {
        let mut inbox = self.inbox();
        if let Some(found) = done(&mut inbox) {
            return Some(found);
        }
        inbox.join(wake, for_place);
        let found = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break None;
            }
            if inbox.reading {
                let woken = wake.wait_timeout(inbox, left);
                inbox = woken.unwrap_or_else(PoisonError::into_inner).0;
            } else {
                inbox.reading = true;
                drop(inbox);
                let came = self.wire.read(left);
                inbox = self.inbox();
                inbox.reading = false;
                inbox = self.hear(inbox, came);
            }
            if let Some(found) = done(&mut inbox) {
                break Some(found);
            }
        };
        inbox.leave(wake);
        found
    }

    /// Hands out what was read.
    fn hear<'a>(
        &'a self,
        mut inbox: MutexGuard<'a, Inbox>,
        came: io::Result<Result<Vec<Frame>>>,
    ) -> MutexGuard<'a, Inbox> {
        let came = match came {
            Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                return inbox;
            }
            Err(error) => Err(failure::lost(&self.addr, &error)),
            Ok(came) => came,
        };
        (inbox.heard, inbox.pinged) = (Instant::now(), None);
        let taken = came.and_then(|frames| frames.into_iter().try_for_each(|frame| take(&mut inbox, frame)));
        if let Err(error) = taken {
            inbox.lose(error);
            self.wire.shut();
        }
        inbox
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes a frame of the server.
fn take(inbox: &mut Inbox, (header, payload): Frame) -> Result<()> {
    match header.kind {
        FrameType::Response => inbox.deliver(&header, Ok(payload)),
        FrameType::Error if header.request != 0 => inbox.deliver(&header, Err(decode_error(&payload))),
        FrameType::Error => Err(decode_error(&payload)),
        FrameType::GoAway => {
            inbox.end(decode_error(&payload));
            Ok(())
        }
        FrameType::Pong => Ok(()),
        _ => Err(hello::unexpected(&header)),
    }
}
