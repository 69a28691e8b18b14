//! One connection from TLS handshake to close: a reader here, a writer task ([`Outbox`]), a task per request.

use crate::budget::Budget;
use crate::frames::{End, FrameReader};
use crate::in_flight::InFlight;
use crate::listener::Server;
use crate::outbox::{Outbox, Permits};
use crate::session::{Credential, Session};
use crate::stream::Streaming;
use crate::tls::Acceptor;
use crate::{limits, local, request};
use canis_core::secret::SecretBytes;
use canis_proto::frame::{ALPN, FrameType, Header, MAX_DATA, MAX_HELLO, MAX_OPEN, MAX_PAYLOAD};
use canis_proto::message::{ClientHello, ServerHello};
use canis_proto::{Cost, Error, ErrorCode, Result};
use std::sync::Arc;
use std::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tracing::{Instrument, info};
use zeroize::Zeroizing;

/// A connection that was accepted.
pub(crate) enum Link {
    /// By TCP; it is to speak TLS.
    Tcp(TcpStream),
    /// By the Unix socket.
    Local(UnixStream),
}

/// Serves one accepted connection until it ends; says why it ended.
pub(crate) async fn serve(server: Arc<Server>, link: Link) -> String {
    let refused = |code, why| Some(Error::new(code, why));
    match link {
        Link::Local(stream) => {
            let known = local::is_administrator(&stream);
            let why = "the server's socket is for its own user and root; connect by TLS with a token";
            let refusal = if known { None } else { refused(ErrorCode::Unauthenticated, why) };
            converse(server, stream, Credential::Administrator, refusal).await
        }
        Link::Tcp(tcp) => {
            let acceptor = server.tls.acceptor();
            let tls = match handshake(&acceptor, tcp).await {
                Ok(tls) => tls,
                Err(why) => return format!("no handshake: {why}"),
            };
            let (credential, refusal) = match acceptor.shown(tls.get_ref().1) {
                Ok(shown) => (shown.map_or(Credential::None, Credential::Certificate), None),
                Err(error) => (Credential::None, Some(error)),
            };
            let speaks_canisp = tls.get_ref().1.alpn_protocol() == Some(ALPN);
            let why = "the client did not offer ALPN `canisp/1`";
            let refusal = if speaks_canisp { refusal } else { refused(ErrorCode::ProtocolError, why) };
            converse(server, tls, credential, refusal).await
        }
    }
}

async fn handshake(acceptor: &Acceptor, tcp: TcpStream) -> Result<TlsStream<TcpStream>, String> {
    tcp.set_nodelay(true).map_err(|error| error.to_string())?;
    let shake = async {
        let mut first = [0];
        if tcp.peek(&mut first).await.is_ok_and(|n| n == 1) && first[0].is_ascii_uppercase() {
            return Err(refuse_plaintext(tcp).await);
        }
        acceptor.tls.accept(tcp).await.map_err(|error| error.to_string())
    };
    timeout(limits::HANDSHAKE, shake).await.map_err(|_| "not finished in time".to_owned())?
}

/// A TLS record starts with a small number, every HTTP method with a capital letter.
async fn refuse_plaintext(mut tcp: TcpStream) -> String {
    const ANSWER: &[u8] =
        b"HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
        This port speaks CANISP over TLS 1.3, not plaintext.\n";
    // Whether the answer arrives is the peer's business.
    let _ = tcp.write_all(ANSWER).await;
    let _ = tcp.shutdown().await;
    let _ = timeout(limits::LINGER, FrameReader::new(tcp).discard_all()).await;
    "plaintext on the TLS port".to_owned()
}

/// Speaks CANISP with a peer that is known by `credential` unless it shows a token, or says why that is not done.
async fn converse<S>(server: Arc<Server>, stream: S, credential: Credential, refusal: Option<Error>) -> String
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (read, write) = tokio::io::split(stream);
    let mut reader = FrameReader::new(read);
    let (outbox, writer) = Outbox::new(write);
    let mut connection = Connection::new(server, outbox);
    let end = match refusal {
        None => connection.run(&mut reader, credential).await,
        Some(error) => End::Refused(error),
    };
    let why = describe(&end);
    let listens = !matches!(end, End::Closed | End::Lost(_));
    connection.close(end).await;
    // The writer ends by its own time-outs.
    let _ = writer.await;
    if listens {
        let _ = timeout(limits::LINGER, reader.discard_all()).await;
    }
    why
}

fn describe(end: &End) -> String {
    match end {
        End::Closed => "closed by the peer".to_owned(),
        End::Lost(why) => format!("lost: {why}"),
        End::Refused(error) | End::GoAway(error) => error.to_string(),
    }
}

struct Connection {
    server: Arc<Server>,
    outbox: Outbox,
    session: Arc<Session>,
    in_flight: Arc<InFlight>,
    budget: Budget,
    since: Instant,
}

impl Connection {
    fn new(server: Arc<Server>, outbox: Outbox) -> Self {
        Connection {
            budget: Budget::new(Arc::clone(&server)),
            server,
            outbox,
            session: Arc::new(Session::new(Credential::None)),
            in_flight: Arc::default(),
            since: Instant::now(),
        }
    }

    async fn run<R>(&mut self, reader: &mut FrameReader<R>, credential: Credential) -> End
    where
        R: AsyncRead + Unpin,
    {
        if let Err(end) = self.greet(reader, credential).await {
            return end;
        }
        loop {
            if let Err(end) = self.step(reader).await {
                return end;
            }
        }
    }

    /// HELLO both ways. A wrong token ends the connection here; while the store is sealed, none can be checked.
    async fn greet<R>(&mut self, reader: &mut FrameReader<R>, credential: Credential) -> Result<(), End>
    where
        R: AsyncRead + Unpin,
    {
        let payload = timeout(limits::HELLO, read_hello(reader))
            .await
            .map_err(|_| refusal(format!("no HELLO came within {} s", limits::HELLO.as_secs())))??;
        let hello = ClientHello::decode(&payload).map_err(End::Refused)?;
        info!(client = canis_proto::quote(&hello.client), token = hello.token.is_some(), "hello");
        let token = hello.token.as_deref().map(|token| SecretBytes::copied_from(token.as_bytes()));
        self.session = Arc::new(Session::new(token.map_or(credential, Credential::Token)));
        if self.session.has_credential() {
            match self.authenticate().await {
                Err(error) if error.code == ErrorCode::Unauthenticated => {
                    tokio::time::sleep(limits::WRONG_TOKEN).await;
                    return Err(End::Refused(error));
                }
                // Sealed or without its store, the server still says so in answer to `status`.
                Ok(()) | Err(_) => {}
            }
        }
        let hello = ServerHello {
            server: concat!("canis/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_payload: MAX_PAYLOAD,
            max_in_flight: limits::IN_FLIGHT,
            max_streams: limits::STREAMS,
            resumed: None,
        };
        self.outbox.send(FrameType::Hello, 0, &hello.encode(), Permits::new()).await;
        Ok(())
    }

    async fn authenticate(&self) -> Result<()> {
        let (session, core) = (Arc::clone(&self.session), Arc::clone(&self.server.core));
        // Whoever it turns out to be, until then it is a stranger.
        let share = self.server.shares.strangers();
        self.server.pool.run(share, Cost::Short, move || session.authenticate(&core).map(drop)).await
    }

    /// Reads one frame and does what it asks.
    async fn step<R: AsyncRead + Unpin>(&self, reader: &mut FrameReader<R>) -> Result<(), End> {
        let first = self.frame_begins(reader).await?;
        let header = reader.header(first, MAX_PAYLOAD).await?;
        let Header { kind, request: id, .. } = header;
        match kind {
            FrameType::Request | FrameType::Open if id == 0 => Err(refusal("a request has the id 0")),
            FrameType::Request => self.request(reader, header).await,
            FrameType::Open => self.open(reader, header).await,
            FrameType::Data => {
                let bytes = bounded(reader, header, 1, MAX_DATA).await?;
                self.in_flight.data(id, &bytes).map_err(End::Refused)
            }
            FrameType::End => {
                bounded(reader, header, 0, 0).await?;
                self.in_flight.end(id).map_err(End::Refused)
            }
            FrameType::Credit => {
                let bytes = bounded(reader, header, 4, 4).await?;
                let bytes = bytes.first_chunk().copied().map_or(0, u32::from_be_bytes);
                self.in_flight.credit(id, bytes).map_err(End::Refused)
            }
            FrameType::Cancel => {
                bounded(reader, header, 0, 0).await?;
                self.in_flight.cancel(id);
                Ok(())
            }
            FrameType::Ping => {
                let payload = bounded(reader, header, 0, limits::PING).await?;
                self.outbox.send(FrameType::Pong, id, &payload, Permits::new()).await;
                Ok(())
            }
            FrameType::GoAway => Err(End::Closed),
            FrameType::Hello | FrameType::Response | FrameType::Error | FrameType::Pong => {
                Err(refusal(format!("a {kind:?} frame is not for the client to send now")))
            }
        }
    }

    /// Waits for a frame, for the server's end, for the writer's, or for too long.
    async fn frame_begins<R: AsyncRead + Unpin>(&self, reader: &mut FrameReader<R>) -> Result<u8, End> {
        loop {
            let known = self.session.is_authenticated();
            let wait =
                if known { limits::IDLE } else { limits::STRANGER.saturating_sub(self.since.elapsed()) };
            tokio::select! {
                biased;
                () = self.server.draining() => {
                    return Err(End::GoAway(Error::new(ErrorCode::Unavailable, "the server is stopping")));
                }
                () = self.outbox.closed() => return Err(End::Lost("the peer does not read".into())),
                () = tokio::time::sleep(wait), if wait.is_zero() => {}
                first = reader.first_byte() => return first,
                () = tokio::time::sleep(wait) => {}
            }
            if !known && !self.session.is_authenticated() {
                let why = format!("{} s without a token that is known", limits::STRANGER.as_secs());
                return Err(End::GoAway(Error::new(ErrorCode::Unauthenticated, why)));
            }
            if self.budget.is_idle() {
                let why = format!("nothing was asked for {} s", limits::IDLE.as_secs());
                return Err(End::GoAway(Error::new(ErrorCode::Unavailable, why)));
            }
        }
    }

    async fn request<R: AsyncRead + Unpin>(
        &self,
        reader: &mut FrameReader<R>,
        header: Header,
    ) -> Result<(), End> {
        let Header { request: id, length, .. } = header;
        let arrived = tokio::time::Instant::now();
        let cancelled = self.in_flight.request(id).map_err(End::Refused)?;
        if let Err(error) = self.known_if_large(length).await {
            reader.discard(length).await?;
            self.in_flight.answered(id);
            self.outbox.answer(id, Err(error), Permits::new()).await;
            return Ok(());
        }
        let paid = self.budget.pay_for(&self.session, length).await?;
        let payload = reader.payload(length).await?;
        let (server, session, outbox) =
            (Arc::clone(&self.server), Arc::clone(&self.session), self.outbox.clone());
        let (budget, in_flight) = (self.budget.clone(), Arc::clone(&self.in_flight));
        let work = async move {
            let result = request::run(&server, Arc::clone(&session), payload, arrived, cancelled).await;
            let len = result.as_ref().map_or(0, |answer| answer.len());
            // The request is gone from memory; from here on its place in line is paid for by its answer.
            let Ok(permits) = budget.pay_for_answer(&session, paid, len).await else { return };
            in_flight.answered(id);
            outbox.answer(id, result, permits).await;
        };
        tokio::spawn(work.in_current_span());
        Ok(())
    }

    /// OPEN: a stream of its own, for which the frames that follow are gathered by its id.
    async fn open<R: AsyncRead + Unpin>(
        &self,
        reader: &mut FrameReader<R>,
        header: Header,
    ) -> Result<(), End> {
        let Header { request: id, length, .. } = header;
        let inbox = self.in_flight.stream(id).map_err(End::Refused)?;
        if let Err(error) = self.known_if_large(length).await {
            reader.discard(length).await?;
            self.in_flight.answered(id);
            self.outbox.answer(id, Err(error), Permits::new()).await;
            return Ok(());
        }
        let payload = bounded(reader, header, 0, MAX_OPEN).await?;
        let place = vec![self.budget.place().await?];
        let (server, session) = (Arc::clone(&self.server), Arc::clone(&self.session));
        let streaming = Streaming { server, session, inbox, outbox: self.outbox.clone(), id };
        let in_flight = Arc::clone(&self.in_flight);
        let work = async move {
            let (operation, result) = streaming.run(payload).await;
            request::log(operation, &result);
            in_flight.answered(id);
            streaming.outbox.answer(id, result, place).await;
        };
        tokio::spawn(work.in_current_span());
        Ok(())
    }

    /// A stranger's large request is to be read away, not into memory, and still gets a proper answer.
    async fn known_if_large(&self, length: u32) -> Result<()> {
        if length <= MAX_HELLO || self.session.is_authenticated() {
            return Ok(());
        }
        let known = self.authenticate().await;
        known.inspect_err(|error| info!(code = error.code.name(), "large request refused"))
    }

    /// Lets what is in flight be answered and says why it is over.
    async fn close(self, end: End) {
        if let End::GoAway(error) = &end {
            self.outbox.announce(FrameType::GoAway, error).await;
        }
        let over = match &end {
            End::GoAway(error) => error.clone(),
            End::Closed | End::Lost(_) | End::Refused(_) => {
                Error::new(ErrorCode::Unavailable, "the connection ended before the stream did")
            }
        };
        self.in_flight.close(&over);
        self.budget.idle().await;
        if let End::Refused(error) = &end {
            self.outbox.announce(FrameType::Error, error).await;
        }
    }
}

async fn read_hello<R: AsyncRead + Unpin>(reader: &mut FrameReader<R>) -> Result<Zeroizing<Vec<u8>>, End> {
    let first = reader.first_byte().await?;
    let header = reader.header(first, MAX_HELLO).await?;
    if header.kind != FrameType::Hello {
        return Err(refusal("the first frame must be HELLO"));
    }
    reader.payload(header.length).await
}

/// The payload of a frame that has from `least` to `most` bytes.
async fn bounded<R: AsyncRead + Unpin>(
    reader: &mut FrameReader<R>,
    header: Header,
    least: u32,
    most: u32,
) -> Result<Zeroizing<Vec<u8>>, End> {
    if !(least..=most).contains(&header.length) {
        let (kind, length) = (header.kind, header.length);
        return Err(refusal(format!("a {kind:?} frame has {least} to {most} bytes, not {length}")));
    }
    reader.payload(header.length).await
}

fn refusal(why: impl Into<String>) -> End {
    End::Refused(Error::new(ErrorCode::ProtocolError, why))
}
