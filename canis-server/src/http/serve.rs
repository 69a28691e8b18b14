//! The listener: HTTP/1.1 and HTTP/2 over TLS 1.3, with the certificate and the clients' CAs of CANISP.

use super::answer::Asker;
use super::who::Callers;
use crate::budget::Budget;
use crate::handshake::handshake;
use crate::limits;
use crate::listener::Server;
use canis_core::policy::Source;
use canis_core::{Door, Origin};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use std::convert::Infallible;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{Instrument, info, info_span, warn};

/// Serves connections until the server drains and they have ended, or the time for that is over.
pub(crate) async fn accept_all(server: Arc<Server>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    tokio::select! {
        () = server.draining() => {}
        () = accept(&server, &listener, &mut connections) => {}
    }
    drop(listener);
    let ended = timeout(limits::DRAIN, async { while connections.join_next().await.is_some() {} }).await;
    if ended.is_err() {
        warn!(connections = connections.len(), "not every HTTP connection ended in time");
    }
}

async fn accept(server: &Arc<Server>, listener: &TcpListener, connections: &mut JoinSet<()>) {
    let slots = Arc::new(Semaphore::new(limits::HTTP_CONNECTIONS));
    // The semaphore is never closed, so the loop ends only when it is dropped.
    while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
        let (tcp, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                // Out of file descriptors, mostly: what waits is accepted when others have ended.
                warn!(%error, "cannot accept a connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        while connections.try_join_next().is_some() {}
        let (server, metrics) = (Arc::clone(server), Arc::clone(&server.metrics));
        let serve = async move {
            let _open = metrics.link(Door::Http).accept();
            info!("connected");
            let why = converse(server, tcp, peer.ip()).await;
            info!(why, "disconnected");
            drop(slot);
        };
        connections.spawn(serve.instrument(info_span!("http", %peer)));
    }
}

/// Speaks HTTP until either side ends it; says why it ended, for the log.
async fn converse(server: Arc<Server>, tcp: TcpStream, peer: IpAddr) -> String {
    let acceptor = server.tls.http_acceptor();
    let tls = match handshake(&acceptor, tcp).await {
        Ok(tls) => tls,
        Err(why) => return format!("no handshake: {why}"),
    };
    let shown = match acceptor.shown(tls.get_ref().1) {
        Ok(shown) => shown,
        Err(error) => return error.to_string(),
    };
    let origin = Origin { door: Door::Http, source: Source::Network(peer.to_canonical()), user: None };
    let asker = Arc::new(Asker {
        callers: Callers::new(origin, shown, &server.rates),
        budget: Budget::new(Arc::clone(&server)),
        server: Arc::clone(&server),
    });
    let service = service_fn(move |request| {
        let asker = Arc::clone(&asker);
        async move { Ok::<_, Infallible>(asker.answer(request).await) }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HTTP_HEAD)
        .max_buf_size(limits::HTTP_BUFFER);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::IN_FLIGHT)
        .max_header_list_size(limits::HTTP_BUFFER as u32)
        .keep_alive_interval(limits::HTTP_HEAD)
        .keep_alive_timeout(limits::HTTP_HEAD);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(tls), service));
    let outcome = tokio::select! {
        outcome = connection.as_mut() => outcome,
        () = server.draining() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    outcome.map_or_else(|error| format!("lost: {error}"), |()| "closed".to_owned())
}
