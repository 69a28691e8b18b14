//! One request from its payload to its answer's, and what the log says of it.

use crate::dispatch;
use crate::listener::Server;
use crate::session::Session;
use canis_proto::{Blame, Error, ErrorCode, OperationId, Result};
use std::sync::Arc;
use tokio::sync::oneshot;
use tracing::{debug, error, info, warn};
use zeroize::Zeroizing;

/// Runs the request in `payload`, unless it is taken back before a thread is free for it.
pub(crate) async fn run(
    server: &Server,
    session: Arc<Session>,
    payload: Zeroizing<Vec<u8>>,
    cancelled: oneshot::Receiver<()>,
) -> Result<Zeroizing<Vec<u8>>> {
    let operation = dispatch::operation(&payload);
    let name = operation.as_ref().ok().copied();
    let core = Arc::clone(&server.core);
    let result = match operation {
        Err(error) => Err(error),
        // The one operation that needs neither store nor key: it answers even when every thread is busy.
        Ok(OperationId::Status) if session.is_authenticated() => dispatch::answer(&core, &session, &payload),
        Ok(id) => {
            let work = move || dispatch::answer(&core, &session, &payload);
            server.pool.run_unless(taken_back(cancelled), id.row().cost, work).await
        }
    };
    log(name, &result);
    result
}

async fn taken_back(cancelled: oneshot::Receiver<()>) -> Error {
    if cancelled.await.is_err() {
        std::future::pending::<()>().await;
    }
    Error::new(ErrorCode::Cancelled, "the client took the request back; it has not happened")
}

/// Says what came of a request or a stream.
pub(crate) fn log<T>(operation: Option<OperationId>, result: &Result<T>) {
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
