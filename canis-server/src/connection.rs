//! One connection from TLS handshake to close: a reader here, which also answers what it can at once, a writer task
//! ([`Outbox`]), a task for each request that has to wait.

use crate::budget::{Budget, Paid};
use crate::frames::{End, FrameReader};
use crate::in_flight::InFlight;
use crate::listener::Server;
use crate::outbox::{Outbox, Permits};
use crate::request::{Came, Done};
use crate::session::{Credential, Peer, Session};
use crate::stream::Streaming;
use crate::wiped::Wiped;
use crate::{limits, request};
use canis_core::Origin;
use canis_core::secret::SecretBytes;
use canis_proto::frame::{FrameType, Header, MAX_DATA, MAX_HELLO, MAX_OPEN, MAX_PAYLOAD};
use canis_proto::message::{ClientHello, ServerHello};
use canis_proto::{Cost, Error, ErrorCode, Result};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep, timeout};
use tracing::{Instrument, info};

/// Speaks CANISP with a peer, whose credential counts unless it shows a token; or says why that is not done.
pub(crate) async fn converse<S>(server: Arc<Server>, stream: S, peer: Peer, refusal: Option<Error>) -> String
where
    S: AsyncRead + AsyncWrite + Send + 'static,
{
    let (read, write) = tokio::io::split(stream);
    let mut reader = FrameReader::new(read);
    let (outbox, writer) = Outbox::new(write, server.gate.clone());
    let mut connection = Connection::new(server, outbox, peer.origin);
    let end = match refusal {
        None => connection.run(&mut reader, peer).await,
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
    /// When something came last.
    heard: Instant,
}

impl Connection {
    fn new(server: Arc<Server>, outbox: Outbox, origin: Origin) -> Self {
        Connection {
            budget: Budget::new(Arc::clone(&server)),
            server,
            outbox,
            session: Arc::new(Session::new(Peer { credential: Credential::None, origin })),
            in_flight: Arc::default(),
            since: Instant::now(),
            heard: Instant::now(),
        }
    }

    async fn run<R>(&mut self, reader: &mut FrameReader<R>, peer: Peer) -> End
    where
        R: AsyncRead + Unpin,
    {
        if let Err(end) = self.greet(reader, peer).await {
            return end;
        }
        let (server, outbox) = (Arc::clone(&self.server), self.outbox.clone());
        let (mut draining, mut closed) = (pin!(server.draining()), pin!(outbox.closed()));
        let mut patience = pin!(sleep(self.patience()));
        loop {
            let next = tokio::select! {
                biased;
                () = &mut draining => Err(End::GoAway(Error::new(ErrorCode::Unavailable, "the server is stopping"))),
                () = &mut closed => Err(End::Lost("the peer does not read".into())),
                more = reader.more() => self.turn(reader, more).await,
                () = &mut patience => self.is_patient(),
            };
            if let Err(end) = next {
                return end;
            }
            if patience.is_elapsed() {
                patience.as_mut().reset(Instant::now() + self.patience());
            }
        }
    }

    /// HELLO both ways. A wrong token ends the connection here; while the store is sealed, none can be checked.
    async fn greet<R>(&mut self, reader: &mut FrameReader<R>, peer: Peer) -> Result<(), End>
    where
        R: AsyncRead + Unpin,
    {
        let payload = timeout(limits::HELLO, read_hello(reader))
            .await
            .map_err(|_| refusal(format!("no HELLO came within {} s", limits::HELLO.as_secs())))??;
        let hello = ClientHello::decode(&payload).map_err(End::Refused)?;
        info!(client = canis_proto::quote(&hello.client), token = hello.token.is_some(), "hello");
        let token = hello.token.as_deref().map(|token| SecretBytes::copied_from(token.as_bytes()));
        let credential = peer.credential.unless_token(token);
        let session = Session::new(Peer { credential, ..peer }).counted(&self.server.rates);
        self.session = Arc::new(match &hello.application {
            Some(secret) => session.naming(secret, &self.server.applications),
            None => session,
        });
        if self.session.has_credential() {
            let source = self.session.source();
            self.server.admit(source).map_err(End::Refused)?;
            match self.authenticate().await {
                Err(error) if error.code == ErrorCode::Unauthenticated => {
                    self.server.note_wrong(source);
                    tokio::time::sleep(limits::WRONG_TOKEN).await;
                    return Err(End::Refused(error));
                }
                Err(error) if error.code == ErrorCode::LimitReached => return Err(End::Refused(error)),
                // Sealed or without its store, the server still says so in answer to `status`.
                Ok(()) | Err(_) => {}
            }
        }
        let hello = ServerHello {
            server: concat!("canis/", env!("CARGO_PKG_VERSION")).to_owned(),
            max_payload: MAX_PAYLOAD,
            max_in_flight: limits::IN_FLIGHT,
            max_streams: limits::STREAMS,
            resumed: self.session.resumed(),
        };
        self.outbox.send(FrameType::Hello, 0, &hello.encode(), Permits::new()).await;
        Ok(())
    }

    async fn authenticate(&self) -> Result<()> {
        let (session, core) = (Arc::clone(&self.session), Arc::clone(&self.server.core));
        // Whoever it turns out to be, until then it is a stranger.
        let share = self.server.shares.strangers();
        self.server.pool.run(share, Cost::Short, move || session.begin(&core)).await
    }

    /// Does what has come together asks for, and then lets others have their turn.
    async fn turn<R>(&mut self, reader: &mut FrameReader<R>, more: Result<(), End>) -> Result<(), End>
    where
        R: AsyncRead + Unpin,
    {
        more?;
        self.heard = Instant::now();
        while reader.holds_more() {
            self.step(reader).await?;
            if self.heard.elapsed() > limits::TURN {
                tokio::task::yield_now().await;
                return Ok(());
            }
        }
        Ok(())
    }

    /// Reads one frame and does what it asks.
    async fn step<R: AsyncRead + Unpin>(&self, reader: &mut FrameReader<R>) -> Result<(), End> {
        let first = reader.first_byte().await?;
        let header = reader.header(first, MAX_PAYLOAD).await?;
        let Header { kind, request: id, .. } = header;
        match kind {
            FrameType::Request | FrameType::Open if id == 0 => Err(refusal("a request has the id 0")),
            FrameType::Request => self.request(reader, header).await,
            FrameType::Open => self.open(reader, header).await,
            FrameType::Data => {
                let bytes = reader.bounded(header, 1, MAX_DATA).await?;
                self.in_flight.data(id, &bytes).map_err(End::Refused)
            }
            FrameType::End => {
                reader.bounded(header, 0, 0).await?;
                self.in_flight.end(id).map_err(End::Refused)
            }
            FrameType::Credit => {
                let bytes = reader.bounded(header, 4, 4).await?;
                let bytes = bytes.first_chunk().copied().map_or(0, u32::from_be_bytes);
                self.in_flight.credit(id, bytes).map_err(End::Refused)
            }
            FrameType::Cancel => {
                reader.bounded(header, 0, 0).await?;
                self.in_flight.cancel(id);
                Ok(())
            }
            FrameType::Ping => {
                let payload = reader.bounded(header, 0, limits::PING).await?;
                self.outbox.send(FrameType::Pong, id, &payload, Permits::new()).await;
                Ok(())
            }
            FrameType::GoAway => Err(End::Closed),
            FrameType::Hello | FrameType::Response | FrameType::Error | FrameType::Pong => {
                Err(refusal(format!("a {kind:?} frame is not for the client to send now")))
            }
        }
    }

    /// How long nothing may come from now on.
    fn patience(&self) -> Duration {
        match self.session.is_authenticated() {
            false => limits::STRANGER.saturating_sub(self.since.elapsed()),
            true if self.budget.is_idle() => limits::IDLE.saturating_sub(self.heard.elapsed()),
            true => limits::IDLE,
        }
    }

    /// Whether there is any patience left.
    fn is_patient(&self) -> Result<(), End> {
        let why = match (self.patience().is_zero(), self.session.is_authenticated()) {
            (false, _) => return Ok(()),
            (true, false) => {
                let why = format!("{} s without a token that is known", limits::STRANGER.as_secs());
                Error::new(ErrorCode::Unauthenticated, why)
            }
            (true, true) => {
                let why = format!("nothing was asked for {} s", limits::IDLE.as_secs());
                Error::new(ErrorCode::Unavailable, why)
            }
        };
        Err(End::GoAway(why))
    }

    async fn request<R: AsyncRead + Unpin>(
        &self,
        reader: &mut FrameReader<R>,
        header: Header,
    ) -> Result<(), End> {
        let Header { request: id, length, .. } = header;
        let arrived = self.heard;
        self.in_flight.check_free(id).map_err(End::Refused)?;
        if let Err(error) = self.known_if_large(length).await {
            reader.discard(length).await?;
            self.refuse(id, error).await;
            return Ok(());
        }
        let paid = self.budget.pay_for(&self.session, length).await?;
        let run_at_once = |payload: &[u8]| request::run_at_once(&self.server, &self.session, payload);
        let tried = reader.at_hand(length).map(run_at_once);
        if let Some(Some(result)) = tried {
            reader.pass(length);
            return self.answer(id, result, paid).await;
        }
        let payload = reader.payload(length).await?;
        if tried.is_none()
            && let Some(result) = run_at_once(&payload)
        {
            return self.answer(id, result, paid).await;
        }
        let cancelled = self.in_flight.request(id).map_err(End::Refused)?;
        let (server, session, outbox) =
            (Arc::clone(&self.server), Arc::clone(&self.session), self.outbox.clone());
        let (budget, in_flight) = (self.budget.clone(), Arc::clone(&self.in_flight));
        let work = async move {
            let done = request::run(&server, Arc::clone(&session), payload, arrived, cancelled).await;
            let len = done.result.as_ref().map_or(0, |answer| answer.len());
            // The request is gone from memory; from here on its place in line is paid for by its answer.
            let Ok(permits) = budget.pay_for_answer(&session, paid, len).await else { return };
            in_flight.answered(id);
            outbox.answer(id, done, permits).await;
        };
        tokio::spawn(work.in_current_span());
        Ok(())
    }

    async fn refuse(&self, id: u32, error: Error) {
        let done = Done::now(&self.server, Came::now(&self.session), None, Err(error));
        self.outbox.answer(id, done, Permits::new()).await;
    }

    async fn answer(&self, id: u32, done: Done, paid: Paid) -> Result<(), End> {
        let len = done.result.as_ref().map_or(0, |answer| answer.len());
        let permits = self.budget.pay_for_answer(&self.session, paid, len).await?;
        self.outbox.answer(id, done, permits).await;
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
            self.refuse(id, error).await;
            return Ok(());
        }
        let payload = reader.bounded(header, 0, MAX_OPEN).await?;
        let place = self.budget.place().await?.into();
        let (server, session) = (Arc::clone(&self.server), Arc::clone(&self.session));
        let streaming = Streaming { server, session, inbox, outbox: self.outbox.clone(), id };
        let in_flight = Arc::clone(&self.in_flight);
        let work = async move {
            let done = streaming.done(payload).await;
            in_flight.answered(id);
            streaming.outbox.answer(id, done, place).await;
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

async fn read_hello<R: AsyncRead + Unpin>(reader: &mut FrameReader<R>) -> Result<Wiped, End> {
    let first = reader.first_byte().await?;
    let header = reader.header(first, MAX_HELLO).await?;
    if header.kind != FrameType::Hello {
        return Err(refusal("the first frame must be HELLO"));
    }
    reader.payload(header.length).await
}

fn refusal(why: impl Into<String>) -> End {
    End::Refused(Error::new(ErrorCode::ProtocolError, why))
}
