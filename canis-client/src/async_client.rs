//! One connection that many tasks share: their requests are in flight at the same time, answers come in any order.

use crate::{Config, failure, hello, tls};
use canis_proto::frame::{self, FrameType, HEADER, Header};
use canis_proto::message::{
    ServerHello, WireAnswer, WireRequest, decode_answer, decode_error, encode_request,
};
use canis_proto::{Error, ErrorCode, Result};
use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use zeroize::{Zeroize, Zeroizing};

type Payload = Zeroizing<Vec<u8>>;
type Tls = TlsStream<TcpStream>;

/// Frames that wait for the writer; so many may be in flight anyway.
const QUEUE: usize = 256;
/// Up to so many bytes are written at once.
const TOGETHER: usize = 64 << 10;

/// A connection to a server that proved itself and accepted our HELLO. A clone is the same connection, which is closed
/// when the last one is dropped.
#[derive(Clone)]
pub struct AsyncClient {
    link: Arc<Link>,
    outbox: mpsc::Sender<Payload>,
}

struct Link {
    addr: String,
    hello: ServerHello,
    answer_timeout: Duration,
    /// How many more requests the server takes.
    room: Arc<Semaphore>,
    waiting: Mutex<Waiting>,
    /// Why no further request can be asked here.
    ended: OnceLock<Error>,
}

#[derive(Default)]
struct Waiting {
    last_request: u32,
    answers: HashMap<u32, Place>,
}

/// A request that was sent. Who asked may have gone; its place is free only when the answer has come.
struct Place {
    answer: oneshot::Sender<Result<Payload>>,
    _room: OwnedSemaphorePermit,
}

impl AsyncClient {
    /// Connects, checks the server's certificate and says HELLO.
    ///
    /// # Errors
    /// As [`crate::Client::connect`].
    pub async fn connect(config: &Config) -> Result<AsyncClient> {
        let mut stream = within(config, handshake(config)).await?;
        let hello = within(config, greet(&mut stream, config)).await?;
        let link = Arc::new(Link {
            addr: config.addr.clone(),
            answer_timeout: config.answer_timeout,
            room: Arc::new(Semaphore::new(hello.max_in_flight as usize)),
            hello,
            waiting: Mutex::default(),
            ended: OnceLock::new(),
        });
        let (outbox, queue) = mpsc::channel(QUEUE);
        let (reader, writer) = tokio::io::split(stream);
        tokio::spawn(write_all(queue, writer));
        tokio::spawn(read_all(Arc::clone(&link), outbox.downgrade(), reader));
        Ok(AsyncClient { link, outbox })
    }

    /// What the server said of itself.
    #[must_use]
    pub fn server(&self) -> &ServerHello {
        &self.link.hello
    }

    /// Why this connection takes no more requests, if it does not: it broke, or the server stops.
    #[must_use]
    pub fn ended(&self) -> Option<&Error> {
        self.link.ended.get()
    }

    /// Asks for an operation and waits for its answer, as long as the configuration says. Dropping this future takes
    /// nothing back: the operation may happen.
    ///
    /// # Errors
    /// The server's own error; `too_large` before anything is sent; `unavailable` if the connection is lost or the
    /// answer does not come in time: the operation may then have happened or not.
    pub async fn call<'a, R>(&self, request: &R) -> Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        self.call_within(self.link.answer_timeout, request).await
    }

    /// The same with a time of its own.
    ///
    /// # Errors
    /// As [`AsyncClient::call`].
    pub async fn call_within<'a, R>(&self, limit: Duration, request: &R) -> Result<R::Answer>
    where
        R: WireRequest<'a>,
        R::Answer: WireAnswer,
    {
        let payload = Zeroizing::new(encode_request(request));
        failure::check_size(&payload, &self.link.hello)?;
        let late = |_| {
            let message =
                format!("the server at {} did not answer within {} ms", self.link.addr, limit.as_millis());
            Error::new(ErrorCode::Unavailable, message)
        };
        let answer = timeout(limit, self.exchange(&payload)).await.map_err(late)??;
        decode_answer(&answer)
    }

    async fn exchange(&self, payload: &[u8]) -> Result<Payload> {
        let gone = || self.link.gone();
        let room = Arc::clone(&self.link.room).acquire_owned().await.map_err(|_| gone())?;
        // From here to the sending nothing waits: a dropped future leaves no place for an answer that never comes.
        let queue = self.outbox.reserve().await.map_err(|_| gone())?;
        let (request, answer) = self.link.expect(room)?;
        queue.send(Zeroizing::new(frame::frame(FrameType::Request, request, payload)));
        answer.await.map_err(|_| gone())?
    }
}

impl Link {
    /// A free request id, and where its answer will come.
    fn expect(&self, room: OwnedSemaphorePermit) -> Result<(u32, oneshot::Receiver<Result<Payload>>)> {
        let (answer, comes) = oneshot::channel();
        let mut waiting = self.waiting();
        // Under the lock, so that whoever ends the connection finds every place.
        if let Some(ended) = self.ended.get() {
            return Err(ended.clone());
        }
        loop {
            // Zero is the connection's own id.
            waiting.last_request = waiting.last_request.checked_add(1).unwrap_or(1);
            if !waiting.answers.contains_key(&waiting.last_request) {
                break;
            }
        }
        let request = waiting.last_request;
        waiting.answers.insert(request, Place { answer, _room: room });
        Ok((request, comes))
    }

    /// Gives an answer to whoever waits for it.
    fn answer(&self, header: &Header, answer: Result<Payload>) -> Result<()> {
        let place = self.waiting().answers.remove(&header.request);
        let place = place.ok_or_else(|| hello::unexpected(header))?;
        // Who asked may not wait any more.
        let _ = place.answer.send(answer);
        Ok(())
    }

    /// No further request is taken; those in flight may still be answered.
    fn end(&self, error: Error) {
        let _waiting = self.waiting();
        // The first reason counts.
        let _ = self.ended.set(error);
    }

    /// Nothing comes any more.
    fn lose(&self, error: Error) {
        self.end(error.clone());
        self.room.close();
        for (_, place) in std::mem::take(&mut self.waiting().answers) {
            let _ = place.answer.send(Err(error.clone()));
        }
    }

    fn gone(&self) -> Error {
        let closed = || failure::lost(&self.addr, &io::ErrorKind::ConnectionReset.into());
        self.ended.get().cloned().unwrap_or_else(closed)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn within<T>(config: &Config, work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = |_| failure::unreachable(config, &io::ErrorKind::TimedOut.into());
    timeout(config.connect_timeout, work).await.map_err(late)?
}

async fn handshake(config: &Config) -> Result<Tls> {
    let (name, tls) = (tls::server_name(config)?, tls::client_config(config)?);
    let tcp = TcpStream::connect(config.host_and_port()).await;
    let tcp = tcp.and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp));
    let tcp = tcp.map_err(|error| failure::unreachable(config, &error))?;
    let stream = TlsConnector::from(Arc::new(tls)).connect(name, tcp).await;
    stream.map_err(|error| failure::handshake(config, &error))
}

async fn greet(stream: &mut Tls, config: &Config) -> Result<ServerHello> {
    let lost = |error: io::Error| failure::lost(&config.addr, &error);
    let ours = Zeroizing::new(frame::frame(FrameType::Hello, 0, &hello::payload(config)));
    let written = write(stream, &ours).await;
    // A server that refuses may close before it has read everything: its reason counts more than our write error.
    let (header, payload) = match (read(stream).await, written) {
        (Ok(frame), _) => frame?,
        (Err(_), Err(error)) | (Err(error), Ok(())) => return Err(lost(error)),
    };
    hello::read(&header, &payload)
}

/// Writes what is queued until every client is dropped, then says close_notify. Small frames that wait go together.
async fn write_all(mut queue: mpsc::Receiver<Payload>, mut stream: WriteHalf<Tls>) {
    let mut together = Zeroizing::new(Vec::with_capacity(TOGETHER));
    while let Some(mut frame) = queue.recv().await {
        while together.len() + frame.len() <= TOGETHER {
            together.extend_from_slice(&frame);
            frame.clear();
            let Ok(next) = queue.try_recv() else { break };
            frame = next;
        }
        // The reader learns why it failed.
        if write(&mut stream, &together).await.is_err() || write(&mut stream, &frame).await.is_err() {
            return;
        }
        together.as_mut_slice().zeroize();
        together.clear();
    }
    // The connection is closed either way.
    let _ = stream.shutdown().await;
}

/// Reads frames until the connection ends.
async fn read_all(link: Arc<Link>, outbox: mpsc::WeakSender<Payload>, stream: ReadHalf<Tls>) {
    let mut stream = BufReader::with_capacity(TOGETHER, stream);
    loop {
        let (header, payload) = match read(&mut stream).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(error)) => return link.lose(error),
            Err(error) => {
                return link
                    .lose(link.ended.get().cloned().unwrap_or_else(|| failure::lost(&link.addr, &error)));
            }
        };
        let known = match header.kind {
            FrameType::Response => link.answer(&header, Ok(payload)),
            FrameType::Error if header.request != 0 => link.answer(&header, Err(decode_error(&payload))),
            FrameType::Error => Err(decode_error(&payload)),
            FrameType::GoAway => {
                link.end(decode_error(&payload));
                Ok(())
            }
            FrameType::Ping => {
                if let Some(outbox) = outbox.upgrade() {
                    let pong = Zeroizing::new(frame::frame(FrameType::Pong, header.request, &payload));
                    // If nothing is written any more, nothing will be read soon.
                    let _ = outbox.send(pong).await;
                }
                Ok(())
            }
            _ => Err(hello::unexpected(&header)),
        };
        if let Err(error) = known {
            return link.lose(error);
        }
    }
}

async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    stream.write_all(bytes).await?;
    stream.flush().await
}

/// Reads a whole frame; the outer error is the stream's, the inner one the frame's.
async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Result<(Header, Payload)>> {
    let mut header = [0; HEADER];
    stream.read_exact(&mut header).await?;
    let header = match Header::decode(&header, frame::MAX_PAYLOAD) {
        Ok(header) => header,
        Err(error) => return Ok(Err(error)),
    };
    let mut payload = Zeroizing::new(vec![0; header.length as usize]);
    stream.read_exact(&mut payload).await?;
    Ok(Ok((header, payload)))
}
