//! One connection that many tasks share: their requests are in flight at the same time, answers come in any order.

use crate::connector::Connector;
use crate::frames::{self, Frame, Frames, Payload};
use crate::inbox::Unanswered;
use crate::{Config, failure, hello, link, once, tls};
use canis_proto::frame::{FrameType, Header};
use canis_proto::message::{ServerHello, WireAnswer, WireRequest, decode_answer, decode_error};
use canis_proto::{Error, ErrorCode, Result};
use rustls::ClientConfig;
use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use zeroize::{Zeroize, Zeroizing};

/// TLS, or the socket of a server on this host.
type Stream = Box<dyn Duplex>;

trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

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
    /// How long a server may leave a PING unanswered.
    patience: Duration,
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
    /// A PING that has had no answer.
    pinged: Option<Instant>,
}

/// A request that was sent. Who asked may have gone; its place is free only when the answer has come.
struct Place {
    answer: oneshot::Sender<Result<Payload, Unanswered>>,
    _room: OwnedSemaphorePermit,
}

impl AsyncClient {
    /// Connects to the first address that answers, checks the server's certificate and says HELLO.
    ///
    /// # Errors
    /// As [`crate::Client::connect`].
    pub async fn connect(config: &Config) -> Result<AsyncClient> {
        AsyncClient::through(&Connector::new(config)?).await
    }

    /// The same, again and again.
    pub(crate) async fn through(connector: &Connector) -> Result<AsyncClient> {
        let mut last = None;
        for (at, target) in connector.targets() {
            match AsyncClient::open(target, connector.tls()).await {
                Err(error) if error.code == ErrorCode::Unavailable => last = Some(error),
                Err(error) => return Err(error),
                Ok(client) => {
                    connector.answered(at);
                    return Ok(client);
                }
            }
        }
        Err(last.unwrap_or_else(|| Error::invalid("no address is named")))
    }

    async fn open(config: &Config, tls: Option<&Arc<ClientConfig>>) -> Result<AsyncClient> {
        let mut frames = Frames::new();
        let mut stream = within(config, dial(config, tls)).await?;
        let hello = within(config, greet(&mut stream, &mut frames, config)).await?;
        let link = Arc::new(Link {
            addr: config.addr.clone(),
            answer_timeout: config.answer_timeout,
            patience: config.connect_timeout,
            room: Arc::new(Semaphore::new(hello.max_in_flight as usize)),
            hello,
            waiting: Mutex::default(),
            ended: OnceLock::new(),
        });
        let (outbox, queue) = mpsc::channel(QUEUE);
        let (reader, writer) = tokio::io::split(stream);
        tokio::spawn(write_all(queue, writer));
        tokio::spawn(read_all(Arc::clone(&link), outbox.downgrade(), reader, frames));
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

    /// Asks for an operation and waits for its answer, as long as the configuration says. Dropping this future takes the
    /// request back if it has not begun; else it happens.
    ///
    /// # Errors
    /// The server's own error; `too_large` before anything is sent; `deadline_exceeded` if the answer does not come in
    /// time, `unavailable` if the connection is lost: the operation may then have happened or not.
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
        let payload = once::payload(request, false, Some(limit))?;
        decode_answer(&self.exchange(&payload, limit).await?)
    }

    /// Sends a request and waits for its answer.
    pub(crate) async fn exchange(&self, payload: &[u8], limit: Duration) -> Result<Payload, Unanswered> {
        failure::check_size(payload, &self.link.hello).map_err(Unanswered::Refused)?;
        let sent = AtomicBool::new(false);
        match timeout(limit, self.ask(payload, &sent)).await {
            Ok(answer) => answer,
            Err(_) => {
                let sent = sent.load(Ordering::Relaxed);
                self.check();
                Err(Unanswered::Refused(failure::late(&self.link.addr, limit, sent)))
            }
        }
    }

    /// Asks whether the server is there at all.
    fn check(&self) {
        self.link.waiting().pinged.get_or_insert_with(Instant::now);
        // With a full queue the next one who is late asks.
        let _ = self.outbox.try_send(frames::whole(FrameType::Ping, 0, b""));
    }

    /// Whether requests can be asked here.
    pub(crate) fn is_usable(&self) -> bool {
        let silent = |since: Instant| since.elapsed() > self.link.patience;
        if self.link.waiting().pinged.is_some_and(silent) {
            self.link.end(failure::silent(&self.link.addr));
        }
        self.ended().is_none()
    }

    async fn ask(&self, payload: &[u8], sent: &AtomicBool) -> Result<Payload, Unanswered> {
        let not_sent = || Unanswered::NotSent(self.link.gone());
        let room = Arc::clone(&self.link.room).acquire_owned().await.map_err(|_| not_sent())?;
        // From here to the sending nothing waits: a dropped future leaves no place for an answer that never comes.
        let queue = self.outbox.reserve().await.map_err(|_| not_sent())?;
        let (request, answer) = self.link.expect(room).map_err(Unanswered::NotSent)?;
        queue.send(frames::whole(FrameType::Request, request, payload));
        sent.store(true, Ordering::Relaxed);
        let mut asked = Asked { outbox: &self.outbox, request, answered: false };
        let answer = answer.await;
        asked.answered = true;
        answer.map_err(|_| Unanswered::Lost(self.link.gone()))?
    }
}

/// A request that is taken back when nobody waits for it any more.
struct Asked<'a> {
    outbox: &'a mpsc::Sender<Payload>,
    request: u32,
    answered: bool,
}

impl Drop for Asked<'_> {
    fn drop(&mut self) {
        if !self.answered {
            // Where there is no room for it, the answer comes and is dropped.
            let _ = self.outbox.try_send(frames::whole(FrameType::Cancel, self.request, b""));
        }
    }
}

impl Link {
    /// A free request id, and where its answer will come.
    fn expect(
        &self,
        room: OwnedSemaphorePermit,
    ) -> Result<(u32, oneshot::Receiver<Result<Payload, Unanswered>>)> {
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
        let _ = place.answer.send(answer.map_err(Unanswered::Refused));
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
            let _ = place.answer.send(Err(Unanswered::Lost(error.clone())));
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

async fn dial(config: &Config, tls: Option<&Arc<ClientConfig>>) -> Result<Stream> {
    let unreachable = |error| failure::unreachable(config, &error);
    if let Some(path) = config.socket() {
        let path = link::socket_in(&path);
        return Ok(Box::new(UnixStream::connect(path).await.map_err(unreachable)?));
    }
    let (name, tls) = (tls::server_name(config)?, tls.ok_or_else(|| Error::internal("no TLS was prepared"))?);
    let tcp = TcpStream::connect(config.host_and_port()).await;
    let tcp = tcp.and_then(|tcp| tcp.set_nodelay(true).map(|()| tcp)).map_err(unreachable)?;
    let stream = TlsConnector::from(Arc::clone(tls)).connect(name, tcp).await;
    Ok(Box::new(stream.map_err(|error| failure::handshake(config, &error))?))
}

async fn greet(stream: &mut Stream, frames: &mut Frames, config: &Config) -> Result<ServerHello> {
    let lost = |error: io::Error| failure::lost(&config.addr, &error);
    let written = write(stream, &hello::ours(config)).await;
    // A server that refuses may close before it has read everything: its reason counts more than our write error.
    let (header, payload) = match (read(stream, frames).await, written) {
        (Ok(frame), _) => frame?,
        (Err(_), Err(error)) | (Err(error), Ok(())) => return Err(lost(error)),
    };
    hello::read(&header, &payload)
}

/// Writes what is queued until every client is dropped, then says close_notify. Small frames that wait go together.
async fn write_all(mut queue: mpsc::Receiver<Payload>, mut stream: WriteHalf<Stream>) {
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
async fn read_all(
    link: Arc<Link>,
    outbox: mpsc::WeakSender<Payload>,
    mut stream: ReadHalf<Stream>,
    mut frames: Frames,
) {
    loop {
        let (header, payload) = match read(&mut stream, &mut frames).await {
            Ok(Ok(frame)) => frame,
            Ok(Err(error)) => return link.lose(error),
            Err(error) => {
                return link
                    .lose(link.ended.get().cloned().unwrap_or_else(|| failure::lost(&link.addr, &error)));
            }
        };
        link.waiting().pinged = None;
        let known = match header.kind {
            FrameType::Pong => Ok(()),
            FrameType::Response => link.answer(&header, Ok(payload)),
            FrameType::Error if header.request != 0 => link.answer(&header, Err(decode_error(&payload))),
            FrameType::Error => Err(decode_error(&payload)),
            FrameType::GoAway => {
                link.end(decode_error(&payload));
                Ok(())
            }
            FrameType::Ping => {
                if let Some(outbox) = outbox.upgrade() {
                    let pong = frames::whole(FrameType::Pong, header.request, &payload);
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
async fn read(stream: &mut (impl AsyncRead + Unpin), frames: &mut Frames) -> io::Result<Result<Frame>> {
    loop {
        if let Some(frame) = frames.next().transpose() {
            return Ok(frame);
        }
        match stream.read(frames.room()).await? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => frames.came(count),
        }
    }
}
