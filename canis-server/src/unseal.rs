//! Opening the store in the background: as soon as its root can be reached, and never with a credential known wrong nor
//! after somebody has sealed it on purpose. And sealing it, if that is wished, when its HSM has gone.

use crate::{daemon, limits};
use canis_core::Core;
use canis_core::datadir::RootSource;
use canis_core::root::{HsmHelper, HsmLoss};
use canis_proto::{Error, ErrorCode};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::warn;

/// Unseals `core` with the credential that `source` leads to; retries while the root cannot be reached, until `stop`.
pub(crate) async fn run(
    core: Arc<Core>,
    source: Option<RootSource>,
    loss: HsmLoss,
    mut stop: watch::Receiver<bool>,
) {
    let Some(source) = source.map(Arc::new) else {
        stay_sealed(
            &core,
            "no root credential is configured: bring one with `canis unseal`, or start the server with \
             --passphrase-file, --keyfile or --pin-file",
        );
        tokio::select! {
            () = seal_when_replaced_ever(&core) => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
        return;
    };
    let work = async {
        loop {
            open(&core, &source).await;
            let gone = async {
                if let (RootSource::Hsm { .. }, HsmLoss::SealAfter(span)) = (&*source, loss)
                    && seal_when_gone(&core, &source, Duration::from_secs(span.seconds())).await
                {
                    return;
                }
                std::future::pending().await
            };
            tokio::select! {
                () = gone => {}
                () = seal_when_replaced(&core) => {}
            }
        }
    };
    tokio::select! {
        () = work => {}
        _ = stop.wait_for(|stop| *stop) => {}
    }
}

/// Tries until the store is open, or is not to be opened so.
async fn open(core: &Arc<Core>, source: &Arc<RootSource>) {
    let mut pause = limits::UNSEAL_RETRY.0;
    while core.is_sealed() && core.unseals_itself() {
        match attempt(core, source, |core, credential| core.unseal_by_itself(credential)).await {
            Ok(()) => return,
            // Somebody was faster, with another root.
            Err(_) if !core.is_sealed() || !core.unseals_itself() => return,
            Err(error) if error.code == ErrorCode::RootUnavailable => {
                let reason = format!("{}; the next try is in {} s", error.message, pause.as_secs());
                stay_sealed(core, &reason);
            }
            // A wrong credential does not become right; three of them lock an HSM's PIN.
            Err(error) => return stay_sealed(core, &error.message),
        }
        tokio::time::sleep(pause).await;
        pause = longer(pause);
    }
}

/// Seals the store when another server has given it a new root key: whoever opens it again has that one.
async fn seal_when_replaced(core: &Arc<Core>) {
    loop {
        tokio::time::sleep(limits::DUE).await;
        if core.is_sealed() {
            continue;
        }
        let looking = Arc::clone(core);
        let replaced = tokio::task::spawn_blocking(move || looking.root_key_was_replaced()).await;
        // A store that cannot be asked is asked again.
        if let Ok(Ok(true)) = replaced {
            let core = Arc::clone(core);
            let reason = "another server has given the store a new root key; this one opens it again";
            // It was sealed by somebody else meanwhile, or is now.
            let _ = tokio::task::spawn_blocking(move || core.seal(reason)).await;
            return;
        }
    }
}

/// The same for a server that people open.
async fn seal_when_replaced_ever(core: &Arc<Core>) {
    loop {
        seal_when_replaced(core).await;
    }
}

/// Looks for the HSM now and then while the store is open, and seals the store when the HSM was away for so long; `false`
/// if it cannot be looked for any more.
async fn seal_when_gone(core: &Arc<Core>, source: &Arc<RootSource>, patience: Duration) -> bool {
    let mut gone: Option<Instant> = None;
    loop {
        tokio::time::sleep(limits::ROOT_CHECK.min(patience)).await;
        if core.is_sealed() {
            gone = None;
            continue;
        }
        match attempt(core, source, Core::test_root).await {
            Ok(()) => gone = None,
            Err(error) if error.code == ErrorCode::RootUnavailable => {
                let since = *gone.get_or_insert_with(Instant::now);
                warn!(%error, "the HSM that opened the store cannot be reached");
                if since.elapsed() < patience {
                    continue;
                }
                let reason =
                    format!("the HSM was away for {} s: {}", since.elapsed().as_secs(), error.message);
                let core = Arc::clone(core);
                // It was sealed by somebody else meanwhile, or is now.
                let _ = tokio::task::spawn_blocking(move || core.seal(reason)).await;
                return true;
            }
            // What is wrong with the credential must not be tried again and again.
            Err(error) => {
                warn!(%error, "the HSM is not looked for any more");
                return false;
            }
        }
    }
}

async fn attempt(
    core: &Arc<Core>,
    source: &Arc<RootSource>,
    ask: fn(&Core, &canis_core::root::Credential) -> Result<(), Error>,
) -> Result<(), Error> {
    let (core, source) = (Arc::clone(core), Arc::clone(source));
    let work =
        move || source.credential(&HsmHelper::this_program()).and_then(|credential| ask(&core, &credential));
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(Error::internal("unsealing failed unexpectedly; the server's log says more")),
    }
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
