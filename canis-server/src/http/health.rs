//! `/v1/sys/health`: whether the server can be asked for keys, for load balancers, which look at the status alone.

use super::answer::{Answer, document};
use crate::listener::Server;
use hyper::StatusCode;
use serde_json::json;

/// How the server is: 200 if keys can be used, else 503 and a word that says why not.
pub(crate) fn answer(server: &Server) -> Answer {
    let sealed = server.core.is_sealed();
    let unwritten = server.core.audit().is_some_and(|log| log.refuses());
    let (status, state) = match (server.is_draining(), sealed, unwritten) {
        (true, _, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping"),
        (_, true, _) => (StatusCode::SERVICE_UNAVAILABLE, "sealed"),
        (_, _, true) => (StatusCode::SERVICE_UNAVAILABLE, "audit_unavailable"),
        _ => (StatusCode::OK, "ready"),
    };
    document(status, json!({"state": state, "sealed": sealed, "version": env!("CARGO_PKG_VERSION")}))
}
