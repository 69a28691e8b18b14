//! One connection: HELLO, then one request at a time.

use crate::tls::Stream;
use crate::{Config, failure, frames, hello, tls};
use canis_proto::frame::{FrameType, Header};
use canis_proto::message::{
    ServerHello, WireAnswer, WireRequest, decode_answer, decode_error, encode_request,
};
use canis_proto::{Error, ErrorCode, Result};
use std::time::Duration;
use zeroize::Zeroizing;

/// A connection to a server that proved itself and accepted our HELLO.
pub struct Client {
    stream: Stream,
    addr: String,
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
        let mut stream = tls::connect(config)?;
        let hello = greet(&mut stream, config)?;
        set_read_timeout(&stream, config.answer_timeout, &config.addr)?;
        Ok(Client { stream, addr: config.addr.clone(), hello, last_request: 0, ended: None })
    }

    /// What the server said of itself.
    #[must_use]
    pub fn server(&self) -> &ServerHello {
        &self.hello
    }

    /// Asks for an operation and waits for its answer.
    ///
    /// # Errors
    /// The server's own error; `too_large` before anything is sent; `unavailable` if the connection is lost: the
    /// operation may then have happened or not.
    pub fn call<'a, R>(&mut self, request: &R) -> Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        let payload = Zeroizing::new(encode_request(request));
        failure::check_size(&payload, &self.hello)?;
        let answer = self.exchange(FrameType::Request, FrameType::Response, &payload)?;
        decode_answer(&answer)
    }

    /// Asks whether the server is there.
    ///
    /// # Errors
    /// `unavailable` if it is not.
    pub fn ping(&mut self) -> Result<()> {
        self.exchange(FrameType::Ping, FrameType::Pong, b"").map(drop)
    }

    fn exchange(&mut self, ask: FrameType, answer: FrameType, payload: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
        if let Some(ended) = &self.ended {
            return Err(ended.clone());
        }
        // Zero is the connection's own id.
        self.last_request = self.last_request.checked_add(1).unwrap_or(1);
        let request = self.last_request;
        if let Err(error) = frames::write(&mut self.stream, ask, request, payload) {
            // The server may have said why before it closed.
            let reason = self.wait_for(request, answer).err().filter(|e| e.code != ErrorCode::Unavailable);
            return Err(self.end(reason.unwrap_or_else(|| failure::lost(&self.addr, &error))));
        }
        self.wait_for(request, answer)
    }

    /// Reads frames until the answer to `request` comes.
    fn wait_for(&mut self, request: u32, answer: FrameType) -> Result<Zeroizing<Vec<u8>>> {
        loop {
            let (header, payload) = match frames::read(&mut self.stream) {
                Ok(Ok(frame)) => frame,
                Ok(Err(error)) => return Err(self.end(error)),
                Err(error) => {
                    let lost = self.ended.clone().unwrap_or_else(|| failure::lost(&self.addr, &error));
                    return Err(self.end(lost));
                }
            };
            match header {
                Header { kind, request: id, .. } if kind == answer && id == request => return Ok(payload),
                Header { kind: FrameType::Error, request: id, .. } if id == request => {
                    return Err(decode_error(&payload));
                }
                Header { kind: FrameType::Error, request: 0, .. } => {
                    return Err(self.end(decode_error(&payload)));
                }
                // What is in flight will still be answered; only new requests are refused from now on.
                Header { kind: FrameType::GoAway, .. } => self.ended = Some(decode_error(&payload)),
                Header { kind: FrameType::Ping, request: id, .. } => {
                    frames::write(&mut self.stream, FrameType::Pong, id, &payload)
                        .map_err(|error| failure::lost(&self.addr, &error))?;
                }
                _ => return Err(self.end(hello::unexpected(&header))),
            }
        }
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
        self.stream.conn.send_close_notify();
        // The connection is closed either way.
        let _ = self.stream.conn.write_tls(&mut self.stream.sock);
    }
}

fn greet(stream: &mut Stream, config: &Config) -> Result<ServerHello> {
    let lost = |error: std::io::Error| failure::lost(&config.addr, &error);
    let written = frames::write(stream, FrameType::Hello, 0, &hello::payload(config));
    // A server that refuses may close before it has read everything: its reason counts more than our write error.
    let (header, payload) = match (frames::read(stream), written) {
        (Ok(frame), _) => frame?,
        (Err(_), Err(error)) | (Err(error), Ok(())) => return Err(lost(error)),
    };
    hello::read(&header, &payload)
}

fn set_read_timeout(stream: &Stream, timeout: Duration, addr: &str) -> Result<()> {
    stream.sock.set_read_timeout(Some(timeout)).map_err(|error| failure::lost(addr, &error))
}
