//! The life of the server: lock, store, TLS, listen, unseal, serve, drain.

use crate::args::Options;
use crate::listener::Server;
use crate::pool::Pool;
use crate::{limits, timer, tls, unseal};
use canis_core::clock::SystemClock;
use canis_core::datadir::DataDir;
use canis_core::{Core, default_provider};
use canis_proto::{Error, ErrorCode, Result};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tracing::info;

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps the server from starting: another one on the same directory, no store, no certificate, no port.
pub fn run(options: Options) -> Result<()> {
    let dir = DataDir::new(options.data);
    let _lock = dir.lock()?;
    let core = Arc::new(Core::open(Arc::new(dir.open_store()?), default_provider(), Arc::new(SystemClock))?);
    if !core.has_root() {
        return Err(Error::new(
            ErrorCode::StoreFormat,
            format!(
                "the store in {} has no root: it was made by the PKCS#11 module for itself; `canis init` makes one for a server",
                dir.path().display()
            ),
        ));
    }
    let tls = tls::acceptor(&dir)?;
    let source = dir.read_config()?.root_source(options.root.flags())?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .max_blocking_threads(Pool::threads())
        .build()
        .map_err(|error| Error::internal(format!("cannot start the runtime: {error}")))?;
    let outcome = runtime.block_on(async {
        let stop = [stop_signal(SignalKind::terminate())?, stop_signal(SignalKind::interrupt())?];
        let listener = listen(options.listen).await?;
        let (drain, drained) = watch::channel(false);
        let unsealing = tokio::spawn(unseal::run(Arc::clone(&core), source, drained.clone()));
        let timers =
            [tokio::spawn(timer::run(Arc::clone(&core))), tokio::spawn(timer::count(Arc::clone(&core)))];
        serve(Server::new(Arc::clone(&core), tls, drained), listener, stop, &drain).await;
        // A library in the middle of a call does not like its process to end; one that hangs is not waited for.
        let _ = tokio::time::timeout(limits::ROOT_END, unsealing).await;
        timers.iter().for_each(tokio::task::JoinHandle::abort);
        // The last seconds' counts; they are advisory, so that a full disk does not keep the server from stopping.
        let _ = tokio::task::spawn_blocking(move || core.write_uses()).await;
        Ok(())
    });
    // A thread may still wait for an HSM; the process does not wait for it.
    runtime.shutdown_background();
    outcome
}

async fn serve(server: Server, listener: TcpListener, mut stop: [Signal; 2], drain: &watch::Sender<bool>) {
    let serving = tokio::spawn(Arc::new(server).accept_all(listener));
    let [terminate, interrupt] = &mut stop;
    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM"),
        _ = interrupt.recv() => info!("SIGINT"),
    }
    drain.send_replace(true);
    // It ends by its own deadline.
    let _ = serving.await;
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    let failed = |error: std::io::Error| {
        Error::new(
            ErrorCode::Unavailable,
            format!("cannot listen on {address}: {error}; choose another --listen"),
        )
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    info!(%address, "listening");
    say(&format!("listening on {address}"));
    Ok(listener)
}

fn stop_signal(kind: SignalKind) -> Result<Signal> {
    signal(kind).map_err(|error| Error::internal(format!("cannot wait for signals: {error}")))
}

/// One line on stdout for whoever started the server. A closed stdout is no reason to stop serving.
pub(crate) fn say(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}
