//! Accepting connections, and letting go of them.

use crate::applications::Applications;
use crate::audit::Gate;
use crate::limits;
use crate::link::{self, Link};
use crate::local::LocalListener;
use crate::metrics::Metrics;
use crate::pool::Pool;
use crate::rates::{Lockout, Rates};
use crate::sealing;
use crate::share::Shares;
use crate::tls::Tls;
use canis_core::Core;
use canis_core::policy::Source;
use canis_proto::{Error, ErrorCode, Result};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{Instrument, info, info_span, warn};

/// What every connection shares.
pub(crate) struct Server {
    pub(crate) core: Arc<Core>,
    pub(crate) tls: Tls,
    pub(crate) pool: Pool,
    /// What answers wait for.
    pub(crate) gate: Gate,
    /// The PKCS#11 applications.
    pub(crate) applications: Arc<Applications>,
    /// Bytes of large requests and answers in flight on all connections.
    pub(crate) large: Arc<Semaphore>,
    /// The same of small ones.
    pub(crate) small: Arc<Semaphore>,
    /// What each tenant may take of all this.
    pub(crate) shares: Shares,
    /// Streams of all connections.
    pub(crate) streams: Arc<Semaphore>,
    /// What identities may ask for in a second.
    pub(crate) rates: Arc<Rates>,
    /// Who has shown wrong credentials.
    lockout: Lockout,
    /// What is counted.
    pub(crate) metrics: Arc<Metrics>,
    /// How often the store was sealed.
    sealings: watch::Receiver<u64>,
    drain: watch::Receiver<bool>,
}

impl Server {
    /// A server that drains when `drain` becomes true. Each identity may ask for so many requests a second.
    pub(crate) fn new(
        core: Arc<Core>,
        tls: Tls,
        requests_per_second: Option<u32>,
        drain: watch::Receiver<bool>,
    ) -> Self {
        let processors = std::thread::available_parallelism().map_or(2, usize::from);
        let pool = Pool::new(processors);
        let applications = Applications::new();
        let sealings = sealing::watch(&core, &applications);
        Server {
            gate: Gate::of(core.audit()),
            core,
            tls,
            applications,
            rates: Arc::new(Rates::new(requests_per_second)),
            lockout: Lockout::default(),
            metrics: Arc::new(Metrics::new(processors)),
            sealings,
            large: Arc::new(Semaphore::new(limits::LARGE_BYTES as usize)),
            small: Arc::new(Semaphore::new(limits::SMALL_BYTES as usize)),
            shares: Shares::new(pool.lane_width()),
            streams: Arc::new(Semaphore::new(limits::ALL_STREAMS)),
            pool,
            drain,
        }
    }

    /// Refuses an address from which too many wrong credentials came.
    ///
    /// # Errors
    /// `rate_limited`.
    pub(crate) fn admit(&self, source: Source) -> Result<()> {
        self.lockout.admit(source).inspect_err(|_| self.metrics.locked_out.add(1))
    }

    /// Notes a wrong credential.
    pub(crate) fn note_wrong(&self, source: Source) {
        self.metrics.wrong.add(1);
        self.lockout.wrong(source);
    }

    /// Whether it drains.
    pub(crate) fn is_draining(&self) -> bool {
        *self.drain.borrow()
    }

    /// Waits until the server drains; a vanished sender means the same.
    pub(crate) async fn draining(&self) {
        let _ = self.drain.clone().wait_for(|drain| *drain).await;
    }

    /// Waits until the store is sealed the next time.
    pub(crate) async fn sealed(&self) -> Error {
        let mut sealings = self.sealings.clone();
        sealings.mark_unchanged();
        if sealings.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        Error::new(ErrorCode::Sealed, "the store was sealed meanwhile")
    }

    /// Serves connections until the server drains and they have ended, or the time for that is over.
    pub(crate) async fn accept_all(self: Arc<Self>, listeners: Listeners) {
        let mut connections = JoinSet::new();
        tokio::select! {
            () = self.draining() => {}
            () = self.accept(&listeners, &mut connections) => {}
        }
        drop(listeners);
        while connections.try_join_next().is_some() {}
        info!(connections = connections.len(), "draining");
        let ended = timeout(limits::DRAIN, async { while connections.join_next().await.is_some() {} }).await;
        if ended.is_err() {
            warn!(connections = connections.len(), "not every connection ended in time");
        }
    }

    async fn accept(self: &Arc<Self>, listeners: &Listeners, connections: &mut JoinSet<()>) {
        let slots = Arc::new(Semaphore::new(limits::CONNECTIONS));
        // The semaphore is never closed, so the loop ends only when it is dropped.
        while let Ok(slot) = Arc::clone(&slots).acquire_owned().await {
            let (link, peer) = match listeners.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, mostly: what waits is accepted when others have ended.
                    warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            while connections.try_join_next().is_some() {}
            let (server, metrics) = (Arc::clone(self), Arc::clone(&self.metrics));
            let serve = async move {
                let _open = metrics.link(link.door()).accept();
                info!("connected");
                let why = link::serve(server, link).await;
                info!(why, "disconnected");
                drop(slot);
            };
            connections.spawn(serve.instrument(info_span!("connection", %peer)));
        }
    }
}

/// Where connections come in.
pub(crate) struct Listeners {
    /// By the network.
    pub(crate) tcp: TcpListener,
    /// From this host.
    pub(crate) local: Option<LocalListener>,
    /// From every user of this host.
    pub(crate) peers: Option<LocalListener>,
}

impl Listeners {
    /// The next connection, and who it is, for the log.
    async fn accept(&self) -> std::io::Result<(Link, String)> {
        let by = async |listener: &Option<LocalListener>| match listener {
            Some(listener) => listener.accept().await,
            None => std::future::pending().await,
        };
        tokio::select! {
            tcp = self.tcp.accept() => tcp.map(|(stream, peer)| (Link::Tcp(stream, peer.ip()), peer.to_string())),
            local = by(&self.local) => local.map(|stream| (Link::Local(stream), "local".to_owned())),
            peer = by(&self.peers) => peer.map(|stream| (Link::Peer(stream), "peer".to_owned())),
        }
    }
}
