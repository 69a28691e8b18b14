//! A plain listener for metrics alone, for those who let Prometheus in by the network rather than by a token. On this
//! machine only: what it says is for nobody else, and nobody is asked who he is.

use super::{Form, text};
use crate::daemon;
use crate::limits;
use crate::listener::Server;
use canis_proto::{Error, Result};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, ALLOW, CONTENT_TYPE, HOST, HeaderMap, HeaderValue};
use hyper::http::uri::Authority;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{debug, warn};

/// Refuses an address that others than this machine can reach.
///
/// # Errors
/// `invalid_argument`.
pub(crate) fn for_this_machine(address: SocketAddr) -> Result<()> {
    if address.ip().is_loopback() {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "--metrics {address} would tell the network; name an address of this machine, as 127.0.0.1:9743, or \
         let Prometheus ask at --http with a token that may read sys/metrics"
    )))
}

/// Listens.
///
/// # Errors
/// As above; `unavailable`.
pub(crate) async fn listen(address: SocketAddr) -> Result<TcpListener> {
    for_this_machine(address)?;
    daemon::listen(" for metrics", "--metrics", address).await
}

/// Serves until the server drains. Nobody is waited for then.
pub(crate) async fn accept_all(server: Arc<Server>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    tokio::select! {
        () = server.draining() => {}
        () = accept(&server, &listener, &mut connections) => {}
    }
}

async fn accept(server: &Arc<Server>, listener: &TcpListener, connections: &mut JoinSet<()>) {
    loop {
        while connections.len() >= limits::METRICS_CONNECTIONS {
            connections.join_next().await;
        }
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((tcp, _)) => drop(connections.spawn(converse(Arc::clone(server), tcp))),
            Err(error) => {
                warn!(%error, "cannot accept a connection for metrics");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn converse(server: Arc<Server>, tcp: TcpStream) {
    let service = service_fn(move |request| {
        let server = Arc::clone(&server);
        async move { Ok::<_, Infallible>(answer(server, &request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HTTP_HEAD)
        .max_buf_size(limits::METRICS_BUFFER)
        .serve_connection(TokioIo::new(tcp), service);
    match timeout(limits::METRICS, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "a connection for metrics was lost"),
        Err(_) => debug!("a connection for metrics lasted too long"),
    }
}

async fn answer(server: Arc<Server>, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    if !is_for_this_machine(request.headers()) {
        *response.status_mut() = StatusCode::MISDIRECTED_REQUEST;
        return response;
    }
    if request.uri().path() != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
        return response;
    }
    if !matches!(request.method(), &Method::GET | &Method::HEAD) {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return response;
    }
    let form = Form::accepted(request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()));
    let told = tokio::task::spawn_blocking(move || text(&server, &server.core.figures(), form));
    match told.await {
        Ok(text) => {
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(form.media_type()));
            *response.body_mut() = Full::new(Bytes::from(text));
        }
        Err(_) => *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR,
    }
    response
}

/// Whether the host that is asked for is this machine. A page in somebody's browser here that was made to believe that its own
/// host has this address asks for another one.
fn is_for_this_machine(headers: &HeaderMap) -> bool {
    let Some(host) = headers.get(HOST) else { return true };
    let Ok(host) = Authority::try_from(host.as_bytes()) else { return false };
    let name = host.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost") || address.is_ok_and(|address| address.is_loopback())
}
