//! `/v1/sys/health`: whether the server can be asked for keys, for load balancers, which look at the status alone. It has the
//! fields and the query of Vault's, too, so that what was set up for that goes on.

use super::answer::{Answer, document, empty};
use crate::listener::Server;
use hyper::StatusCode;
use serde_json::json;
use std::time::SystemTime;

/// How the server is: 200 if keys can be used, else 503 and a word that says why not. `activecode` and `sealedcode` in the
/// query ask for another status. A store of CANIS is always initialised, and there is no standby; so 429, 472, 473 and 501
/// are never given.
pub(crate) fn answer(server: &Server, query: Option<&str>) -> Answer {
    let sealed = server.core.is_sealed();
    let unwritten = server.core.audit().is_some_and(|log| log.refuses());
    let (usual, state, word) = match (server.is_draining(), sealed, unwritten) {
        (true, _, _) => (StatusCode::SERVICE_UNAVAILABLE, "stopping", ""),
        (_, true, _) => (StatusCode::SERVICE_UNAVAILABLE, "sealed", "sealedcode"),
        (_, _, true) => (StatusCode::SERVICE_UNAVAILABLE, "audit_unavailable", ""),
        _ => (StatusCode::OK, "ready", "activecode"),
    };
    let mut query = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    let asked = query.find(|(name, _)| name == word && !word.is_empty());
    let asked = asked.map(|(_, code)| code.parse().ok().and_then(|code| StatusCode::from_u16(code).ok()));
    let status = match asked {
        None => usual,
        Some(Some(code)) if code.as_u16() >= 200 => code,
        Some(_) => StatusCode::BAD_REQUEST,
    };
    // These have no body (RFC 9110, section 6.4.1).
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return empty(status);
    }
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    document(
        status,
        json!({"state": state, "sealed": sealed, "initialized": true, "standby": false, "performance_standby": false,
            "replication_performance_mode": "disabled", "replication_dr_mode": "disabled", "server_time_utc": now,
            "version": env!("CARGO_PKG_VERSION")}),
    )
}
