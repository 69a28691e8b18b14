//! Opening the store in the background: as soon as its root can be reached, and never with a credential known wrong.

use crate::{daemon, limits};
use canis_core::Core;
use canis_core::datadir::RootSource;
use canis_proto::{Error, ErrorCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tracing::{info, warn};

/// Unseals `core` with the credential that `source` leads to; retries while the root cannot be reached, until `stop`.
pub(crate) async fn run(core: Arc<Core>, source: Option<RootSource>, mut stop: watch::Receiver<bool>) {
    let Some(source) = source else {
        stay_sealed(
            &core,
            "no root credential is configured: start the server with --passphrase-file, --keyfile or --pin-file",
        );
        return;
    };
    let source = Arc::new(source);
    let mut pause = limits::UNSEAL_RETRY.0;
    loop {
        match attempt(Arc::clone(&core), Arc::clone(&source)).await {
            Ok(()) => {
                info!("unsealed");
                if canis_core::secret::some_secret_is_swappable() {
                    warn!(
                        "some secrets could not be locked into memory; raise RLIMIT_MEMLOCK (systemd: LimitMEMLOCK=)"
                    );
                }
                daemon::say("unsealed");
                return;
            }
            Err(error) if error.code == ErrorCode::RootUnavailable => {
                let reason = format!("{}; the next try is in {} s", error.message, pause.as_secs());
                stay_sealed(&core, &reason);
            }
            // A wrong credential does not become right; three of them lock an HSM's PIN.
            Err(error) => {
                stay_sealed(&core, &error.message);
                return;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => pause = longer(pause),
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

async fn attempt(core: Arc<Core>, source: Arc<RootSource>) -> Result<(), Error> {
    let work = move || source.credential().and_then(|credential| core.unseal(&credential));
    match tokio::task::spawn_blocking(|| on_own_thread(work)).await {
        Ok(Some(result)) => result,
        Ok(None) | Err(_) => {
            Err(Error::internal("unsealing failed unexpectedly; the server's log says more"))
        }
    }
}

/// Runs `work` on a thread that has wholly ended when this returns; `None` if it could not.
///
/// An HSM's library leaves its own state in the thread that calls it. OpenSSL, on which many are built, frees that state
/// when the thread ends and once more when the process does, so that a thread of the pool, which lives as long as the
/// process, would end in a double free now and then.
fn on_own_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    std::thread::Builder::new().name("root".to_owned()).spawn(work).ok()?.join().ok()
}

fn stay_sealed(core: &Core, reason: &str) {
    warn!(reason, "sealed");
    core.set_sealed_reason(reason.to_owned());
    daemon::say(&format!("sealed: {reason}"));
}

fn longer(pause: Duration) -> Duration {
    (pause * 2).min(limits::UNSEAL_RETRY.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_is_bounded() {
        let mut pause = limits::UNSEAL_RETRY.0;
        let seconds: Vec<_> = std::iter::repeat_with(|| {
            let now = pause;
            pause = longer(pause);
            now.as_secs()
        })
        .take(7)
        .collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 30, 30]);
    }
}
