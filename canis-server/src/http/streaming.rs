//! Data of any length, worked on piece by piece while they come, by the streams of CANISP and in the same few buffers
//! whatever their length. What is given back has been authenticated, piece by piece; that it is all there is known at its
//! end only. So an answer that cannot be ended rightly is broken off ([`Broken`]).

use super::answer::{Answer, Asker, response};
use super::body;
use super::outgoing::{Broken, Outgoing};
use crate::asked_as::{asked_as, named_as};
use crate::frames::End;
use crate::inbox::{Buffer, make_room};
use crate::limits;
use crate::listener::Server;
use crate::request::{Came, Done};
use crate::session::Session;
use crate::stream::{self, Step};
use crate::stream_dispatch::{self, Flow};
use crate::wiped::Wiped;
use canis_proto::stream::STREAMED;
use canis_proto::text::{MAX_STREAM_HEADER, STREAM_START};
use canis_proto::value::Map;
use canis_proto::{Error, ErrorCode, OperationId, Result};
use http_body_util::BodyExt;
use hyper::body::{Body, Bytes, Incoming};
use hyper::header::CONTENT_LENGTH;
use hyper::http::request::Parts;
use hyper::{StatusCode, Version};
use std::sync::Arc;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::Instrument;
use zeroize::Zeroizing;

/// How much is worked on at a time.
const PIECE: usize = limits::STREAM_WINDOW as usize / 4;

/// Whether octets are a stream, and what was read of them to see that: ciphertexts say what they are; other data are if
/// they are long or do not say how long they are. An answer in JSON is one piece.
///
/// # Errors
/// Those of the body.
pub(super) async fn is_stream(
    asker: &Asker,
    session: &Session,
    operation: OperationId,
    head: &Parts,
    incoming: &mut Incoming,
) -> Result<(bool, Wiped)> {
    let in_octets = body::wants_raw(&head.headers);
    if !STREAMED.contains(&operation) || gives_data(operation) && !in_octets {
        return Ok((false, Wiped::default()));
    }
    if operation == OperationId::Decrypt {
        let _paid = asker.budget.pay_for(session, limits::LARGE).await.map_err(stopping)?;
        let begun = body::beginning(incoming, STREAM_START.len()).await?;
        return Ok((begun.starts_with(STREAM_START), begun));
    }
    let said = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let said = said.or_else(|| incoming.is_end_stream().then_some(0));
    Ok((said.is_none_or(|length| length > limits::HTTP_WHOLE), Wiped::default()))
}

/// Whether what comes out is data, rather than an answer at the end.
fn gives_data(operation: OperationId) -> bool {
    matches!(operation, OperationId::Encrypt | OperationId::Decrypt)
}

/// A stream at work.
struct Streaming {
    server: Arc<Server>,
    session: Arc<Session>,
    operation: OperationId,
    came: Came,
    /// What works on it; none when it has ended.
    flow: Option<Box<dyn Flow>>,
    incoming: Incoming,
    input: Buffer,
    /// Whether the log has been told what came of it.
    told: bool,
}

/// What a stream came to.
pub(super) enum Streamed {
    /// Data, of which the first are there.
    Data(Answer),
    /// The answer's payload.
    Payload(Wiped),
}

/// Answers a request whose data are `begun` and whatever comes behind. The status is told with the first piece: what is
/// refused before it is refused as everything else is.
///
/// # Errors
/// Those of the stream up to its first output.
pub(super) async fn answer(
    asker: &Asker,
    session: &Arc<Session>,
    (operation, args): (OperationId, Map<'static>),
    version: Version,
    begun: &[u8],
    incoming: Incoming,
) -> Result<Streamed> {
    let place = asker.budget.place().await.map_err(stopping)?;
    let places = stream::places(&asker.server, session).await?;
    let mut streaming = Streaming {
        server: Arc::clone(&asker.server),
        session: Arc::clone(session),
        operation,
        came: Came::now(session),
        flow: None,
        incoming,
        input: Zeroizing::new(begun.to_vec()),
        told: false,
    };
    let first = match gives_data(operation) && version < Version::HTTP_11 {
        // Its bodies end with the connection, so that a broken one looks whole (RFC 9112, section 8).
        true => Err(Error::new(ErrorCode::OperationNotSupported, "streams need HTTP/1.1 or HTTP/2")),
        false => streaming.begin(args).await,
    };
    let first = match first {
        Ok(first) => first,
        Err(error) => {
            let refused = (!streaming.told).then(|| streaming.done(Err(error.clone())));
            body::discard(streaming.incoming).await;
            return match refused {
                Some(refused) => asker.server.gate.pass(refused).await.map(Streamed::Payload),
                None => Err(error),
            };
        }
    };
    if !gives_data(operation) {
        return Ok(Streamed::Payload(first));
    }
    let (sender, pieces) = mpsc::channel(1);
    let work = async move {
        let _in_flight = (place, places);
        if streaming.rest(first, &sender).await.is_err() {
            let _ = sender.send(Err(Broken)).await;
        }
    };
    tokio::spawn(named_as(asked_as(), work.in_current_span()));
    Ok(Streamed::Data(response(StatusCode::OK, body::OCTETS, Outgoing::Pieces(pieces))))
}

impl Streaming {
    fn done(&self, result: Result<Wiped>) -> Done {
        Done::now(&self.server, self.came, Some(self.operation), result)
    }

    /// Begins it, and works until there is something to give: data, or the answer.
    async fn begin(&mut self, args: Map<'static>) -> Result<Wiped> {
        let server = Arc::clone(&self.server);
        let work = async {
            let args = match self.operation {
                OperationId::Decrypt => args.with("header", self.first_line().await?),
                _ => args,
            };
            let open = Map::new().with("op", self.operation.row().name).with("args", args);
            let payload = Zeroizing::new(open.encode());
            let (core, session) = (Arc::clone(&self.server.core), Arc::clone(&self.session));
            let begin = move || stream_dispatch::begin(&core, &session, &payload);
            let share = self.session.share(&self.server.shares);
            self.flow = Some(self.server.pool.run(share, self.operation.row().cost, begin).await?);
            self.piece().await
        };
        tokio::select! {
            first = work => first,
            sealed = server.sealed() => Err(sealed),
        }
    }

    /// Takes the first line off a streamed ciphertext.
    async fn first_line(&mut self) -> Result<String> {
        let end = loop {
            if let Some(end) = self.input.iter().position(|byte| *byte == b'\n') {
                break end;
            }
            let before = self.input.len();
            if before > MAX_STREAM_HEADER || !self.fill(before + 1).await? {
                return Err(Error::invalid("the ciphertext's first line does not end"));
            }
        };
        let rest = Zeroizing::new(self.input.split_off(end + 1));
        let line = std::mem::replace(&mut self.input, rest);
        let line = String::from_utf8(line[..end].to_vec());
        line.map_err(|_| Error::invalid("the ciphertext's first line is not text"))
    }

    /// Gives the first piece and all others, as fast as they are taken. The log says how that ended, and the audit log.
    async fn rest(&mut self, first: Wiped, sender: &mpsc::Sender<Result<Bytes, Broken>>) -> Result<()> {
        let server = Arc::clone(&self.server);
        let all = async {
            let mut piece = first;
            loop {
                let sent = timeout(limits::STREAM_IDLE, sender.send(Ok(Bytes::from_owner(piece)))).await;
                sent.map_err(|_| stood_still())?.map_err(|_| gone())?;
                if self.flow.is_none() {
                    return Ok(());
                }
                piece = self.piece().await?;
            }
        };
        let result = tokio::select! {
            biased;
            () = sender.closed() => Err(gone()),
            sealed = server.sealed() => Err(sealed),
            result = all => result,
        };
        result.inspect_err(|error| {
            if !self.told {
                drop(self.done(Err(error.clone())));
            }
        })
    }

    /// The next that there is to give; it may be nothing at the end only. The last is held back until what the audit
    /// log says of the stream is on the disk. Of a stream that gives no data, the answer.
    async fn piece(&mut self) -> Result<Wiped> {
        while let Some(flow) = self.flow.take() {
            let more = self.fill(PIECE).await?;
            // What is given away takes all of its room with it.
            let out = Zeroizing::new(Vec::with_capacity(self.input.len() + stream::BEYOND));
            let buffers = (std::mem::take(&mut self.input), out);
            let _in_flight = self.server.metrics.in_flight.enter();
            let advanced =
                stream::advance(&self.server, &self.session, self.operation, flow, buffers, more).await?;
            let (step, input, out) = advanced;
            self.input = input;
            match step {
                Step::More(next) => self.flow = Some(next),
                Step::Answer(answer) => {
                    self.told = true;
                    let answer = self.server.gate.pass(self.done(Ok(Wiped::from(answer)))).await?;
                    return Ok(if gives_data(self.operation) { out.into() } else { answer });
                }
            }
            if !out.is_empty() {
                return Ok(out.into());
            }
        }
        Ok(Wiped::default())
    }

    /// Reads until there are so many bytes to work on, or all; says whether there may be more.
    async fn fill(&mut self, wanted: usize) -> Result<bool> {
        while self.input.len() < wanted {
            let next =
                timeout(limits::STREAM_IDLE, self.incoming.frame()).await.map_err(|_| stood_still())?;
            let Some(frame) = next else {
                // A connection that was dropped ends its body, too.
                let missing = self.incoming.size_hint().lower() > 0;
                return if missing { Err(body::broke_off()) } else { Ok(false) };
            };
            if let Ok(data) = frame.map_err(|_| body::broke_off())?.into_data() {
                make_room(&mut self.input, data.len());
                self.input.extend_from_slice(&data);
            }
        }
        Ok(true)
    }
}

fn gone() -> Error {
    Error::new(ErrorCode::Cancelled, "the client has gone before the stream's end")
}

fn stood_still() -> Error {
    let why = format!("the stream stood still for {} s", limits::STREAM_IDLE.as_secs());
    Error::new(ErrorCode::DeadlineExceeded, why)
}

fn stopping(_: End) -> Error {
    Error::new(ErrorCode::Unavailable, "the server is stopping")
}
