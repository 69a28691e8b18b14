//! What the service manager is told, if one started this (sd_notify(3)): a line on the datagram socket that `NOTIFY_SOCKET` names.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinHandle;
use tracing::warn;

/// The service manager; nobody, if there is none.
#[derive(Clone)]
pub(crate) struct Manager(Option<Arc<(UnixDatagram, SocketAddr)>>);

impl Manager {
    /// The one that the environment names.
    pub(crate) fn of_environment() -> Self {
        let Some(name) = env::var_os("NOTIFY_SOCKET") else { return Manager(None) };
        let address = match name.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name),
            _ => SocketAddr::from_pathname(&name),
        };
        let socket = UnixDatagram::unbound().and_then(|socket| {
            socket.set_nonblocking(true)?;
            Ok(Arc::new((socket, address?)))
        });
        let socket = socket.inspect_err(|error| warn!(%error, "the service manager cannot be told anything"));
        Manager(socket.ok())
    }

    /// Tells it.
    pub(crate) fn tell(&self, state: &str) {
        let Some(manager) = &self.0 else { return };
        let (socket, address) = &**manager;
        if let Err(error) = socket.send_to_addr(state.as_bytes(), address) {
            warn!(%error, "the service manager was not told {state}");
        }
    }

    /// Tells it again and again that the server lives, as often as it wants (`WATCHDOG_USEC`): that timers run and that a
    /// thread comes free. Aborted with what it gives.
    pub(crate) fn keep_told(&self) -> Option<JoinHandle<()>> {
        self.0.as_ref()?;
        let for_us = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
        let micros =
            env::var("WATCHDOG_USEC").ok()?.parse::<u64>().ok().filter(|micros| for_us && *micros > 0)?;
        let mut ticks = tokio::time::interval(Duration::from_micros(micros / 3));
        let manager = self.clone();
        Some(tokio::spawn(async move {
            loop {
                ticks.tick().await;
                if tokio::task::spawn_blocking(|| ()).await.is_ok() {
                    manager.tell("WATCHDOG=1");
                }
            }
        }))
    }
}
