//! `/metrics` at the HTTP door, for who may read `sys/metrics`. While the store is sealed no credential can be checked: then
//! anybody is told that it is, and no more.

use super::answer::{Answer, Asker, response};
use super::who;
use crate::metrics::{Form, sealed, text};
use crate::request::{Came, Done};
use crate::wiped::Wiped;
use canis_core::ReadMetrics;
use canis_proto::{OperationId, Result};
use hyper::StatusCode;
use hyper::header::ACCEPT;
use hyper::http::request::Parts;
use std::sync::Arc;
use zeroize::Zeroizing;

/// Answers who asks.
pub(crate) async fn answer(asker: &Asker, request: &Parts) -> Result<Answer> {
    let form = Form::accepted(request.headers.get(ACCEPT).and_then(|accept| accept.to_str().ok()));
    if asker.server.core.is_sealed() {
        return Ok(response(StatusCode::OK, form.media_type(), sealed(&asker.server, form).into_bytes()));
    }
    let session = asker.callers.session(&request.headers)?;
    who::known(&asker.server, &session).await?;
    let (server, caller) = (Arc::clone(&asker.server), Arc::clone(&session));
    let (came, _in_flight) = (Came::now(&session), asker.server.metrics.in_flight.enter());
    let id = OperationId::ReadMetrics;
    let work = move || {
        caller.count()?;
        let ask = |caller: &_| server.core.call(caller, ReadMetrics);
        let figures = caller.run(&server.core, id, ask)?;
        Ok(Wiped::from(Zeroizing::new(text(&server, &figures, form).into_bytes())))
    };
    let share = session.share(&asker.server.shares);
    let told = asker.server.pool.run(share, id.row().cost, work).await;
    let done = Done::now(&asker.server, came, Some(id), told);
    let told = asker.server.gate.pass(done).await?;
    Ok(response(StatusCode::OK, form.media_type(), told.to_vec()))
}
