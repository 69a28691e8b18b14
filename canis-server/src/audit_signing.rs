//! Has the HSM sign the files of the audit log: those that are ended while the server runs, and the last one when it stops.
//! No request waits for it, and no request asks it anything.

use crate::limits;
use canis_core::Core;
use canis_core::audit::{HsmSignature, Log};
use canis_core::datadir::RootSource;
use canis_core::root::HsmHelper;
use canis_proto::{Error, ErrorCode, Result};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Weak};
use std::thread::Builder;
use tokio::time::{Instant, MissedTickBehavior};
use tracing::warn;

/// Lets the HSM that `source` leads to sign the log, if there is one.
pub(crate) fn begin(core: &Arc<Core>, source: Option<&RootSource>) -> Option<Arc<Asked>> {
    let (Some(log), Some(source @ RootSource::Hsm { .. })) = (core.audit(), source) else { return None };
    let asked = Asked { core: Arc::downgrade(core), source: source.clone(), refused: AtomicBool::new(false) };
    let asked = Arc::new(asked);
    let signer = Arc::clone(&asked);
    log.sign_by(move |digest| signer.within(*digest));
    Some(asked)
}

/// Looks again and again for files that wait, until it is aborted.
pub(crate) async fn run(log: Arc<Log>, asked: Arc<Asked>) {
    let mut ticks = tokio::time::interval(limits::ANCHOR);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut not_before, mut told) = (None, false);
    loop {
        ticks.tick().await;
        if asked.core.upgrade().is_none_or(|core| core.is_sealed()) {
            // Whoever unseals the store may have given another PIN.
            asked.refused.store(false, Ordering::Relaxed);
            not_before = None;
            continue;
        }
        if not_before.is_some_and(|time| Instant::now() < time) || !log.waits_for_hsm() {
            continue;
        }
        let own = Arc::clone(&log);
        // One that panics has said so; the next second looks again.
        let Ok(done) = tokio::task::spawn_blocking(move || own.sign_ended()).await else { continue };
        not_before = done.is_err().then(|| Instant::now() + limits::ANCHOR_RETRY);
        if let (Err(error), false) = (&done, told) {
            warn!(%error, "the HSM does not sign the audit log; what it ended is signed by the store's own key until it does");
        }
        told = done.is_err();
    }
}

/// Before the HSM takes note of the store's last commits: its key is made and kept, which is a commit.
pub(crate) async fn last(core: Arc<Core>) {
    let work = move || match (core.audit(), core.has_audit_key()) {
        (Some(log), Ok(false)) => log.meet_hsm(),
        _ => Ok(()),
    };
    // What it cannot do now stands in the last line. An HSM that hangs is given up by who asks it.
    let _ = tokio::task::spawn_blocking(work).await;
}

/// The HSM, and what is known of it.
pub(crate) struct Asked {
    core: Weak<Core>,
    source: RootSource,
    /// The PIN was refused: it is not tried again until the store was opened anew.
    refused: AtomicBool,
}

impl Asked {
    /// Asks, on a thread that nobody waits for any longer than at the server's end.
    fn within(self: &Arc<Self>, digest: [u8; 32]) -> Result<Option<HsmSignature>> {
        let (tell, told) = channel();
        let asked = Arc::clone(self);
        let work = move || {
            // Who has waited long enough is gone.
            let _ = tell.send(asked.ask(&digest));
        };
        let away = |why: &str| Error::new(ErrorCode::RootUnavailable, why);
        if Builder::new().name("audit-hsm".to_owned()).spawn(work).is_err() {
            return Err(away("no thread is to be had that asks the HSM"));
        }
        told.recv_timeout(limits::ROOT_END).unwrap_or_else(|_| {
            Err(away("the HSM did not answer in time; see that its library and token are there"))
        })
    }

    fn ask(&self, digest: &[u8; 32]) -> Result<Option<HsmSignature>> {
        let Some(core) = self.core.upgrade().filter(|core| !core.is_sealed()) else {
            return Err(Error::new(ErrorCode::Sealed, "the store is sealed"));
        };
        if self.refused.load(Ordering::Relaxed) {
            let why = "the HSM has refused its PIN, which is not tried again; give the right one, seal the store and unseal it";
            return Err(Error::new(ErrorCode::RootCredentialWrong, why));
        }
        let signed = core.sign_audit(&self.source.credential(&HsmHelper::this_program())?, digest);
        if signed.as_ref().is_err_and(|error| error.code == ErrorCode::RootCredentialWrong) {
            self.refused.store(true, Ordering::Relaxed);
        }
        signed
    }
}
