//! One request from its payload to its answer's, and what the log says of it.

use crate::asked_as::asked_as;
use crate::dispatch;
use crate::limits;
use crate::listener::Server;
use crate::pool::failed_unexpectedly;
use crate::session::Session;
use crate::wiped::Wiped;
use canis_core::{Core, Door, at_once, for_request, shortly};
use canis_proto::{Blame, Cost, Error, ErrorCode, OperationId, Result};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};
use tracing::{debug, error, info, warn};

/// What came of a request, and what of the audit log is to be on the disk before its answer leaves.
pub(crate) struct Done {
    pub(crate) result: Result<Wiped>,
    pub(crate) receipt: u64,
}

/// A request that has come, and is to be counted when its answer is there.
#[derive(Clone, Copy)]
pub(crate) struct Came {
    door: Door,
    at: std::time::Instant,
}

impl Came {
    /// It came just now.
    pub(crate) fn now(session: &Session) -> Self {
        Came { door: session.door(), at: std::time::Instant::now() }
    }
}

impl Done {
    /// What has come of it just now. The server says how it is even if nothing can be written down, and that nothing can.
    pub(crate) fn now(
        server: &Server,
        came: Came,
        operation: Option<OperationId>,
        result: Result<Wiped>,
    ) -> Self {
        log(operation, &result);
        let code = result.as_ref().err().map(|error| error.code);
        server.metrics.requests.count(operation, came.door, code, came.at.elapsed());
        let told = operation.is_some_and(OperationId::tells_state)
            || result.as_ref().is_err_and(|error| error.code == ErrorCode::AuditUnavailable);
        Done { result, receipt: if told { 0 } else { server.gate.receipt() } }
    }
}

/// The answer to the request in `payload`, if that takes no waiting: its key is in memory, and it is computed in
/// microseconds. `None` says to [`run`] it.
pub(crate) fn run_at_once(server: &Server, session: &Session, payload: &[u8]) -> Option<Done> {
    if payload.len() > limits::LARGE as usize {
        return None;
    }
    let asked = match dispatch::asked(payload) {
        Ok(asked) if asked.operation.may_begin_twice() && asked.deadline != Some(0) => asked,
        Ok(_) | Err(_) => return None,
    };
    let (operation, came) = (asked.operation, Came::now(session));
    // A panic is to stay in its request, as it does on a thread of the pool.
    let answer = || for_request(asked_as(), || dispatch::answer(&server.core, session, asked));
    let work = AssertUnwindSafe(|| at_once(answer));
    let Some(result) = catch_unwind(work).unwrap_or_else(|_| Some(Err(failed_unexpectedly()))) else {
        // It comes again where it may wait, and is counted there.
        session.count_again();
        return None;
    };
    Some(Done::now(server, came, Some(operation), result.map(Wiped::from)))
}

/// Runs the request in `payload`, which began to come at `arrived`, unless it is taken back or its deadline comes before
/// a thread is free for it.
pub(crate) async fn run(
    server: &Server,
    session: Arc<Session>,
    payload: Wiped,
    arrived: Instant,
    cancelled: oneshot::Receiver<()>,
) -> Done {
    let (came, _in_flight) = (Came::now(&session), server.metrics.in_flight.enter());
    let asked = dispatch::asked(&payload).map(|asked| (asked.operation, asked.deadline));
    let name = asked.as_ref().ok().map(|(id, _)| *id);
    let result = match asked {
        Err(error) => Err(error),
        Ok((id, deadline)) => {
            let over = over(cancelled, deadline.map(|limit| arrived + Duration::from_millis(limit.into())));
            run_in_lanes(server, &session, payload, id.row().cost, over).await
        }
    };
    Done::now(server, came, name, result)
}

/// Runs the request in the lane of its operation. What would compute for a second there, as it does by keys of some types, is
/// given up, and begun again in the long lane: nothing short waits behind it.
async fn run_in_lanes(
    server: &Server,
    session: &Arc<Session>,
    payload: Wiped,
    cost: Cost,
    over: impl Future<Output = Error>,
) -> Result<Wiped> {
    let (mut over, share) = (pin!(over), session.share(&server.shares));
    let answer = |payload: &Wiped, core: &Core, session: &Session| {
        dispatch::answer(core, session, dispatch::asked(payload)?).map(Wiped::from)
    };
    let payload = if cost == Cost::Short {
        let (core, session) = (Arc::clone(&server.core), Arc::clone(session));
        let work = move || match shortly(|| answer(&payload, &core, &session)) {
            Some(answer) => answer.map(Ok),
            None => {
                session.count_again();
                Ok(Err(payload))
            }
        };
        match server.pool.run_unless(over.as_mut(), share, Cost::Short, work).await? {
            Ok(answer) => return Ok(answer),
            Err(payload) => payload,
        }
    } else {
        payload
    };
    let (core, session) = (Arc::clone(&server.core), Arc::clone(session));
    let work = move || answer(&payload, &core, &session);
    server.pool.run_unless(over, share, Cost::Long, work).await
}

/// Why the request is not to begin any more.
async fn over(cancelled: oneshot::Receiver<()>, deadline: Option<Instant>) -> Error {
    let Some(deadline) = deadline else { return taken_back(cancelled).await };
    tokio::select! {
        biased;
        error = taken_back(cancelled) => error,
        () = sleep_until(deadline) => Error::new(
            ErrorCode::DeadlineExceeded,
            "the deadline came before the server was free for the request; it has not happened",
        ),
    }
}

async fn taken_back(cancelled: oneshot::Receiver<()>) -> Error {
    if cancelled.await.is_err() {
        std::future::pending::<()>().await;
    }
    Error::new(ErrorCode::Cancelled, "the client took the request back; it has not happened")
}

/// Says what came of a request or a stream.
fn log<T>(operation: Option<OperationId>, result: &Result<T>) {
    let operation = operation.map_or("?", |id| id.row().name);
    let Err(failed) = result else {
        debug!(operation, "answered");
        return;
    };
    let code = failed.code.name();
    match failed.code.blame() {
        Blame::Bug => error!(operation, code, message = failed.message, "request failed"),
        Blame::Store | Blame::Root => warn!(operation, code, message = failed.message, "request failed"),
        _ => info!(operation, code, "request refused"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzzing::peer;
    use crate::fuzzing::tests::door;
    use crate::session::Credential;
    use canis_core::secret::SecretBytes;
    use canis_proto::message::{Encrypt, ShowKey, Terms, encode_request, encode_request_on};

    /// R95: once its caller and its key are known, a request is answered where it was read, which asks nothing of the
    /// store: neither for the key nor for the credential. What waits, is large or comes too late is not.
    #[test]
    fn a_key_at_hand_is_used_where_the_request_was_read() {
        let folder = tempfile::tempdir().unwrap();
        let door = door(folder.path());
        let token = SecretBytes::copied_from(door.token.as_bytes());
        let session = Session::new(peer(Credential::Token(token, None)));
        let tried =
            |payload: &[u8]| run_at_once(&door.server, &session, payload).map(|done| done.result.is_ok());
        let waited = |payload: &[u8]| {
            let asked = dispatch::asked(payload).unwrap();
            dispatch::answer(&door.server.core, &session, asked).map(drop).unwrap();
        };
        let encrypt = Encrypt::new("a", &b"plain"[..]);
        let payload = encode_request(&encrypt);
        assert_eq!(tried(&payload), None, "neither caller nor key is known");
        (0..2).for_each(|_| waited(&payload));
        assert_eq!(tried(&payload), Some(true));
        let show = encode_request(&ShowKey { name: "a".into(), before_version: 0 });
        let large = encode_request(&Encrypt::new("a", vec![7; limits::LARGE as usize]));
        for payload in [&show, &large] {
            waited(payload);
            assert_eq!(tried(payload), None);
        }
        let late = Terms { deadline: Some(0), ..Terms::default() };
        assert_eq!(tried(&encode_request_on(&encrypt, late)), None);
        assert_eq!(tried(b"nothing"), None);
        assert_eq!(tried(&payload), Some(true));
    }
}
