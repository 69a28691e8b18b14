//! The life of the server: lock, store, TLS, listen, unseal, serve, drain.

use crate::anchor::Anchors;
use crate::args::Options;
use crate::audit::Writing;
use crate::listener::{Listeners, Server};
use crate::local::LocalListener;
use crate::pool::Pool;
use crate::service::Manager;
use crate::tls::{ClientTrust, Tls};
use crate::{audit_signing, http, limits, metrics, timer, unseal};
use canis_core::clock::SystemClock;
use canis_core::datadir::{DataDir, IssuerSource, Span, StoreFlags, TlsConfig};
use canis_core::root::HsmHelper;
use canis_core::{Core, default_provider};
use canis_proto::{Error, ErrorCode, Result};
use rustix::process::{Resource, getrlimit, setrlimit};
use std::io::Write;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::Builder;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::{error, info, warn};

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps the server from starting: another one on the same directory, no store, no certificate, no port.
pub fn run(options: Options) -> Result<()> {
    let dir = DataDir::new(options.data);
    let _lock = dir.lock()?;
    let config = dir.read_config()?;
    let database = StoreFlags { url: options.store, ..StoreFlags::default() }.over(config.store.clone())?;
    let store = dir.open_store_at_hand(database.as_ref())?;
    let mut core = Core::open(store, default_provider(), Arc::new(SystemClock))?;
    if let Some(settings) = options.audit.settings(dir.path()) {
        core = core.audited(settings)?;
    }
    let core = Arc::new(core);
    core.set_hsm_helper(HsmHelper::this_program());
    if !core.has_root() {
        return Err(Error::new(
            ErrorCode::StoreFormat,
            format!(
                "the store in {} has no root: it was made by the PKCS#11 module for itself; `canis init` makes one for a server",
                dir.path().display()
            ),
        ));
    }
    let clients = client_trust(options.client_ca, options.require_client_certificate, config.tls.as_ref())?;
    let tls = Tls::new(DataDir::new(dir.path()), clients)?;
    let issuers = Trusted([options.jwks, config.jwt.clone()].concat());
    issuers.read_into(&core)?;
    let socket = options.socket.or(config.socket.clone());
    allow_many_files();
    let requests = options.requests_per_second.or(config.requests_per_second).map(NonZeroU32::get);
    let loss = options.on_hsm_loss.or(config.on_hsm_loss).unwrap_or_default();
    let writing = Writing::start(core.audit(), options.audit.copies())
        .map_err(|error| Error::internal(format!("cannot start the audit log's thread: {error}")))?;
    core.note_own("server.start")?;
    let anchor_every = config.anchor_every;
    let config_metrics = config.metrics;
    let check_rows_every = config.check_rows_every.map_or(limits::ROWS.1, Span::length);
    let source = config.root_source(options.root.flags())?;
    let anchors = Anchors::of(&core, source.as_ref(), anchor_every);
    let signs = audit_signing::begin(&core, source.as_ref());
    if let Some(source) = source.clone() {
        core.configure_root(move || source.credential(&HsmHelper::this_program()));
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(Pool::threads())
        .build()
        .map_err(|error| Error::internal(format!("cannot start the runtime: {error}")))?;
    let core_at_end = Arc::clone(&core);
    let outcome = runtime.block_on(async {
        let signals = Signals::new()?;
        let local = LocalListener::bind(&dir)
            .inspect_err(|error| warn!(%error, "there is no socket for this host's own programs"));
        let peers = socket.map(LocalListener::bind_for_all).transpose()?;
        let tcp = listen("", "--listen", options.listen).await?;
        let listeners = Listeners { tcp, local: local.ok(), peers };
        let http = match options.http {
            Some(address) => Some(listen(" for HTTP", "--http", address).await?),
            None => None,
        };
        let metrics = match options.metrics.or(config_metrics) {
            Some(address) => Some(metrics::listen(address).await?),
            None => None,
        };
        let (drain, drained) = watch::channel(false);
        let server = Server::new(Arc::clone(&core), tls, requests, drained.clone());
        let unsealing = tokio::spawn(unseal::run(Arc::clone(&core), source, loss, drained));
        let applications = Arc::clone(&server.applications);
        let anchoring = anchors.clone().map(|anchors| tokio::spawn(anchors.run()));
        let signed = core.audit().cloned().zip(signs.clone());
        let signing = signed.map(|(log, asked)| tokio::spawn(audit_signing::run(log, asked)));
        // What a process that was killed had deleted may stand in the log still.
        let left = Arc::clone(&core);
        drop(tokio::task::spawn_blocking(move || left.purge()));
        let timers = [
            tokio::spawn(timer::run(Arc::clone(&core), Arc::clone(&server.metrics))),
            tokio::spawn(timer::count(Arc::clone(&core))),
            tokio::spawn(timer::check_rows(Arc::clone(&core), check_rows_every)),
            tokio::spawn(timer::end_applications(Arc::clone(&core), applications)),
        ];
        serve(server, Doors { listeners, http, metrics }, (signals, issuers), &drain).await;
        // Its helper process ends by itself when this process does; an HSM that hangs is not waited for.
        let _ = tokio::time::timeout(limits::ROOT_END, unsealing).await;
        timers.iter().chain(&anchoring).chain(&signing).for_each(tokio::task::JoinHandle::abort);
        // The last seconds' counts; they are advisory, so that a full disk does not keep the server from stopping.
        let counted = Arc::clone(&core);
        let _ = tokio::task::spawn_blocking(move || counted.write_uses()).await;
        if signs.is_some() {
            audit_signing::last(core).await;
        }
        if let Some(anchors) = anchors {
            anchors.last().await;
        }
        Ok(())
    });
    core_at_end.note_own("server.stop")?;
    if let Some(writing) = writing {
        writing.stop();
    }
    close(core_at_end);
    // A thread may still wait for an HSM; the process does not wait for it.
    runtime.shutdown_background();
    outcome
}

/// Leaves `canis.dat` whole by itself: whoever copies a stopped server's store copies everything. Threads that end with the
/// process would keep it open, so that this is not left to the last of them. A call that does not end is not waited for.
fn close(core: Arc<Core>) {
    let (end, ended) = channel();
    let closing = Builder::new().name("close".to_owned()).spawn(move || {
        core.close();
        let _ = end.send(());
    });
    if closing.is_err() || ended.recv_timeout(limits::CLOSE).is_err() {
        warn!(
            "the store was still in use at the end; the last changes are in `canis.dat-wal`, which belongs to it"
        );
    }
}

/// Which client certificates are asked for: as the flags say, else as `canis.toml` does. What either requires is required.
pub(crate) fn client_trust(
    flag: Option<PathBuf>,
    required: bool,
    config: Option<&TlsConfig>,
) -> Result<Option<ClientTrust>> {
    let required = required || config.is_some_and(|config| config.require_client_certificate);
    match flag.or_else(|| config.map(|config| config.client_ca.clone())) {
        Some(authorities) => Ok(Some(ClientTrust { authorities, required })),
        None if required => Err(Error::invalid(
            "--require-client-certificate needs the CAs of clients; give --client-ca, or name them in canis.toml",
        )),
        None => Ok(None),
    }
}

/// Where the server listens.
struct Doors {
    listeners: Listeners,
    http: Option<TcpListener>,
    metrics: Option<TcpListener>,
}

async fn serve(
    server: Server,
    doors: Doors,
    (mut signals, issuers): (Signals, Trusted),
    drain: &watch::Sender<bool>,
) {
    let Doors { listeners, http, metrics } = doors;
    let server = Arc::new(server);
    let mut serving = JoinSet::new();
    serving.spawn(Arc::clone(&server).accept_all(listeners));
    if let Some(http) = http {
        serving.spawn(http::accept_all(Arc::clone(&server), http));
    }
    if let Some(metrics) = metrics {
        serving.spawn(metrics::accept_all(Arc::clone(&server), metrics));
    }
    let manager = Manager::of_environment();
    let lives = manager.keep_told();
    manager.tell("READY=1");
    loop {
        tokio::select! {
            _ = signals.terminate.recv() => break info!("SIGTERM"),
            _ = signals.interrupt.recv() => break info!("SIGINT"),
            _ = signals.hangup.recv() => {
                manager.tell("RELOADING=1");
                match server.tls.reload() {
                    Ok(()) => info!("SIGHUP: new connections get the certificate that is there now"),
                    Err(error) => error!(%error, "SIGHUP: the certificate stays as it was"),
                }
                if let Err(error) = issuers.read_into(&server.core) {
                    error!(%error, "SIGHUP: the keys of issuers stay as they were");
                }
                manager.tell("READY=1");
            }
        }
    }
    manager.tell("STOPPING=1");
    drain.send_replace(true);
    // They end by their own deadlines.
    serving.join_all().await;
    if let Some(lives) = lives {
        lives.abort();
    }
}

/// Whose JSON Web Tokens are taken.
struct Trusted(Vec<IssuerSource>);

impl Trusted {
    /// Reads their keys, which count from then on.
    fn read_into(&self, core: &Core) -> Result<()> {
        let issuers: Vec<_> = self.0.iter().map(IssuerSource::read).collect::<Result<_>>()?;
        core.set_issuers(&issuers)
    }
}

/// Every connection is a file: as many are asked for as the host allows. Where that is fewer, connections wait.
fn allow_many_files() {
    let mut files = getrlimit(Resource::Nofile);
    let wanted = limits::CONNECTIONS as u64 + limits::OTHER_FILES;
    let allowed = files.maximum.map_or(wanted, |most| most.min(wanted));
    files.current = files.current.map(|now| now.max(allowed));
    if let Err(error) = setrlimit(Resource::Nofile, files) {
        warn!(%error, "the limit of open files stays as it was");
    }
}

pub(crate) async fn listen(what_for: &str, flag: &str, address: SocketAddr) -> Result<TcpListener> {
    let failed = |error: std::io::Error| {
        Error::new(
            ErrorCode::Unavailable,
            format!("cannot listen on {address}: {error}; choose another {flag}"),
        )
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    info!(%address, "listening{what_for}");
    say(&format!("listening{what_for} on {address}"));
    Ok(listener)
}

/// What the server is told by its host.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        let wait =
            |kind| signal(kind).map_err(|error| Error::internal(format!("cannot wait for signals: {error}")));
        let (terminate, interrupt) = (wait(SignalKind::terminate())?, wait(SignalKind::interrupt())?);
        Ok(Signals { terminate, interrupt, hangup: wait(SignalKind::hangup())? })
    }
}

/// One line on stdout for whoever started the server. A closed stdout is no reason to stop serving.
pub(crate) fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
