//! One stream from OPEN to its answer: input comes by the [`Inbox`], the core works on it piece by piece on the pool's
//! threads, output goes out as far as the peer's credit reaches. Two buffers of input and one of output, and as much
//! again that waits to be written, are all that it holds.

use crate::inbox::{Buffer, Inbox, make_room};
use crate::limits;
use crate::listener::Server;
use crate::outbox::{Outbox, Permits};
use crate::request::{Came, Done};
use crate::session::Session;
use crate::stream_dispatch::{self, Flow};
use crate::wiped::Wiped;
use canis_proto::frame::{FrameType, MAX_DATA};
use canis_proto::stream::decode_open;
use canis_proto::{Cost, Error, ErrorCode, OperationId, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use zeroize::Zeroizing;

const WINDOW: usize = limits::STREAM_WINDOW as usize;

/// What a buffer of input may give beyond its own length: a chunk that was held back, tags, and a first line.
pub(crate) const BEYOND: usize = 2 * MAX_DATA as usize;

/// A stream, and where it belongs.
pub(crate) struct Streaming {
    pub(crate) server: Arc<Server>,
    pub(crate) session: Arc<Session>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) outbox: Outbox,
    pub(crate) id: u32,
}

/// What came of a piece of input.
pub(crate) enum Step {
    More(Box<dyn Flow>),
    Answer(Zeroizing<Vec<u8>>),
}

impl Streaming {
    /// What came of the stream that the OPEN in `payload` asks for.
    pub(crate) async fn done(&self, payload: Wiped) -> Done {
        let (came, _in_flight) = (Came::now(&self.session), self.server.metrics.in_flight.enter());
        let (operation, result) = self.run(payload).await;
        Done::now(&self.server, came, operation, result)
    }

    /// The operation that the OPEN in `payload` asks for, and what came of it.
    async fn run(&self, payload: Wiped) -> (Option<OperationId>, Result<Wiped>) {
        let (operation, credit, deadline) = match decode_open(&payload) {
            Ok(open) => (open.operation, open.credit, open.deadline),
            Err(error) => return (None, Err(error)),
        };
        let work = async {
            self.inbox.credit(credit)?;
            self.flow(operation, payload).await
        };
        let work = async {
            match deadline {
                None => work.await,
                Some(limit) => {
                    let over = || {
                        Error::new(ErrorCode::DeadlineExceeded, "the stream's deadline came before its end")
                    };
                    timeout(Duration::from_millis(limit.into()), work).await.unwrap_or_else(|_| Err(over()))
                }
            }
        };
        // What a stream works with is gone with it.
        let result = tokio::select! {
            result = work => result,
            sealed = self.server.sealed() => Err(sealed),
        };
        (Some(operation), result.map(Wiped::from))
    }

    async fn flow(&self, operation: OperationId, payload: Wiped) -> Result<Zeroizing<Vec<u8>>> {
        let share = self.session.share(&self.server.shares);
        let _places = tokio::select! {
            places = places(&self.server, &self.session) => places?,
            why = self.inbox.over() => return Err(why),
        };
        let (core, session) = (Arc::clone(&self.server.core), Arc::clone(&self.session));
        let begin = move || stream_dispatch::begin(&core, &session, &payload);
        let mut flow = self.server.pool.run(share, operation.row().cost, begin).await?;
        self.grant(limits::STREAM_WINDOW).await;
        let (mut input, mut out) = (Buffer::default(), Buffer::default());
        let unwritten = Arc::new(Semaphore::new(WINDOW));
        let mut taken = 0;
        loop {
            let more = self.inbox.next(&mut input).await?;
            taken += input.len() as u32;
            // Credit goes back in large pieces; the peer still has three quarters of it meanwhile.
            if more && taken >= limits::STREAM_WINDOW / 4 {
                self.grant(std::mem::take(&mut taken)).await;
            }
            let step;
            (step, input, out) =
                advance(&self.server, &self.session, operation, flow, (input, out), more).await?;
            self.send(&out, &unwritten).await?;
            out.clear();
            match step {
                Step::More(next) => flow = next,
                Step::Answer(answer) => return Ok(answer),
            }
        }
    }

    /// Lets the peer send `bytes` more.
    async fn grant(&self, bytes: u32) {
        self.inbox.grant(bytes);
        self.outbox.send(FrameType::Credit, self.id, &bytes.to_be_bytes(), Permits::new()).await;
    }

    /// Sends `bytes` in DATA frames, as the peer takes them; `unwritten` bounds what waits to be written.
    async fn send(&self, mut bytes: &[u8], unwritten: &Arc<Semaphore>) -> Result<()> {
        while !bytes.is_empty() {
            let part = self.inbox.spend(bytes.len().min(MAX_DATA as usize)).await?;
            let (now, later) = bytes.split_at(part);
            let permit = Arc::clone(unwritten).acquire_many_owned(part as u32).await;
            let permit = permit.map_err(|_| Error::internal("the limits are closed"))?;
            self.outbox.send(FrameType::Data, self.id, now, permit.into()).await;
            bytes = later;
        }
        Ok(())
    }
}

/// Waits for a stream's place among those of its tenant and of all.
///
/// # Errors
/// None but bugs.
pub(crate) async fn places(server: &Server, session: &Session) -> Result<[OwnedSemaphorePermit; 2]> {
    let closed = |_| Error::internal("the limits are closed");
    let of_tenant =
        Arc::clone(&session.share(&server.shares).streams).acquire_owned().await.map_err(closed)?;
    let of_server = Arc::clone(&server.streams).acquire_owned().await.map_err(closed)?;
    Ok([of_tenant, of_server])
}

/// Works on the first of two buffers, which is input, and appends what comes out to the second; on a thread of the pool. The
/// stream ends unless there is `more`.
///
/// # Errors
/// Those of the stream.
pub(crate) async fn advance(
    server: &Server,
    session: &Arc<Session>,
    operation: OperationId,
    mut flow: Box<dyn Flow>,
    (mut input, mut out): (Buffer, Buffer),
    more: bool,
) -> Result<(Step, Buffer, Buffer)> {
    let (core, share) = (Arc::clone(&server.core), session.share(&server.shares));
    let session = Arc::clone(session);
    let cost = if !more && flow.ends_slowly() { Cost::Long } else { operation.row().cost };
    let work = move || {
        make_room(&mut out, input.len() + BEYOND);
        flow.update(&input, &mut out)?;
        input.clear();
        let step = match more {
            true => Step::More(flow),
            false => Step::Answer(flow.finish(&core, &session, &mut out)?),
        };
        Ok((step, input, out))
    };
    server.pool.run(share, cost, work).await
}
