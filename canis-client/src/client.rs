//! One connection: HELLO, then one request at a time.

use crate::connector::Connector;
use crate::frames::{self, Frames, Payload};
use crate::link::Link;
use crate::{Config, failure, hello, once};
use canis_proto::frame::{FrameType, Header};
use canis_proto::message::{ServerHello, WireAnswer, WireRequest, changes, decode_answer, decode_error};
use canis_proto::{Error, ErrorCode, Result};
use std::sync::Arc;
use std::time::Instant;

/// A connection to a server that proved itself and accepted our HELLO.
pub struct Client {
    stream: Link,
    frames: Frames,
    addr: String,
    /// For connecting anew.
    connector: Arc<Connector>,
    hello: ServerHello,
    last_request: u32,
    /// Why no further request can be asked here.
    ended: Option<Error>,
}

impl Client {
    /// Connects, checks the server's certificate and says HELLO.
    ///
    /// # Errors
    /// `unavailable` if the server cannot be reached, `unauthenticated` if one side does not accept the other,
    /// `protocol_error` if what answers is no CANIS server. The text says which, and what to do.
    pub fn connect(config: &Config) -> Result<Client> {
        Client::through(Arc::new(Connector::new(config)?))
    }

    fn through(connector: Arc<Connector>) -> Result<Client> {
        let (stream, frames, hello, addr) = connector.connect(|mut stream, config| {
            let mut frames = Frames::new();
            let hello = hello::greet(&mut stream, &mut frames, config)?;
            let limited = stream.set_read_timeout(config.answer_timeout);
            limited.map_err(|error| failure::lost(&config.addr, &error))?;
            Ok((stream, frames, hello, config.addr.clone()))
        })?;
        Ok(Client { stream, frames, addr, connector, hello, last_request: 0, ended: None })
    }

    /// What the server said of itself.
    #[must_use]
    pub fn server(&self) -> &ServerHello {
        &self.hello
    }

    /// Asks for an operation and waits for its answer.
    ///
    /// # Errors
    /// The server's own error; `too_large` before anything is sent; `unavailable` if the connection is lost. A change
    /// is then sent again for as long as the configuration says, and happens once; when that is in vain, or for
    /// a batch that is not atomic, it may have happened or not.
    pub fn call<'a, R>(&mut self, request: &R) -> Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        let is_change = changes(R::ID, &request.to_map());
        let payload = once::payload(request, is_change, None)?;
        failure::check_size(&payload, &self.hello)?;
        let answer = self.exchange(FrameType::Request, FrameType::Response, &payload);
        match answer {
            Err(lost) if is_change && lost.code == ErrorCode::Unavailable && self.ended.is_some() => {
                decode_answer(&self.ask_again(lost, &payload)?)
            }
            answer => decode_answer(&answer?),
        }
    }

    /// Sends a change that carries an idempotency key again, over a new connection, until it is answered or patience ends.
    fn ask_again(&mut self, mut lost: Error, payload: &[u8]) -> Result<Payload> {
        let end = Instant::now() + self.connector.config().retry_for;
        while Instant::now() < end {
            std::thread::sleep(once::PAUSE);
            lost = match Client::through(Arc::clone(&self.connector)) {
                Ok(again) => {
                    *self = again;
                    match self.exchange(FrameType::Request, FrameType::Response, payload) {
                        Err(error) if error.code == ErrorCode::Unavailable && self.ended.is_some() => error,
                        answered => return answered,
                    }
                }
                Err(error) if error.code == ErrorCode::Unavailable => error,
                Err(error) => return Err(error),
            };
        }
        Err(lost)
    }

    /// Asks whether the server is there.
    ///
    /// # Errors
    /// `unavailable` if it is not.
    pub fn ping(&mut self) -> Result<()> {
        self.exchange(FrameType::Ping, FrameType::Pong, b"").map(drop)
    }

    fn exchange(&mut self, ask: FrameType, answer: FrameType, payload: &[u8]) -> Result<Payload> {
        let request = self.ask(ask, payload)?;
        let (header, payload) = self.next_frame()?;
        match header {
            Header { kind, request: id, .. } if kind == answer && id == request => Ok(payload),
            Header { kind: FrameType::Error, request: id, .. } if id == request => {
                Err(decode_error(&payload))
            }
            _ => Err(self.unexpected(&header)),
        }
    }

    /// Sends a frame with an id of its own.
    pub(crate) fn ask(&mut self, kind: FrameType, payload: &[u8]) -> Result<u32> {
        if let Some(ended) = &self.ended {
            return Err(ended.clone());
        }
        // Zero is the connection's own id.
        self.last_request = self.last_request.checked_add(1).unwrap_or(1);
        self.tell(kind, self.last_request, payload)?;
        Ok(self.last_request)
    }

    /// Sends a frame.
    pub(crate) fn tell(&mut self, kind: FrameType, request: u32, payload: &[u8]) -> Result<()> {
        let Err(error) = frames::write(&mut self.stream, kind, request, payload) else { return Ok(()) };
        // The server may have said why before it closed.
        let reason = loop {
            match self.next_frame() {
                Ok((Header { kind: FrameType::Error, .. }, payload)) => break decode_error(&payload),
                Ok(_) => {}
                Err(reason) => break reason,
            }
        };
        let lost = || failure::lost(&self.addr, &error);
        let why = if reason.code == ErrorCode::Unavailable { lost() } else { reason };
        Err(self.end(why))
    }

    /// The next frame that is not about the connection itself.
    pub(crate) fn next_frame(&mut self) -> Result<(Header, Payload)> {
        loop {
            let (header, payload) = match self.frames.read(&mut self.stream) {
                Ok(Ok(frame)) => frame,
                Ok(Err(error)) => return Err(self.end(error)),
                Err(error) => {
                    let lost = self.ended.clone().unwrap_or_else(|| failure::lost(&self.addr, &error));
                    return Err(self.end(lost));
                }
            };
            match header {
                Header { kind: FrameType::Error, request: 0, .. } => {
                    return Err(self.end(decode_error(&payload)));
                }
                // What is in flight will still be answered; only new requests are refused from now on.
                Header { kind: FrameType::GoAway, .. } => self.ended = Some(decode_error(&payload)),
                Header { kind: FrameType::Ping, request: id, .. } => {
                    frames::write(&mut self.stream, FrameType::Pong, id, &payload)
                        .map_err(|error| failure::lost(&self.addr, &error))?;
                }
                _ => return Ok((header, payload)),
            }
        }
    }

    /// Whether nothing can be asked here any more.
    pub(crate) fn has_ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Ends the connection over a frame that nothing asked for.
    pub(crate) fn unexpected(&mut self, header: &Header) -> Error {
        self.end(hello::unexpected(header))
    }

    /// Remembers why the connection is of no use any more.
    fn end(&mut self, error: Error) -> Error {
        self.ended = Some(error.clone());
        error
    }
}

impl Drop for Client {
    /// Tells the server that this end is no accident.
    fn drop(&mut self) {
        self.stream.close();
    }
}
