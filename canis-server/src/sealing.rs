//! What happens when the store is sealed or opened while the server runs: what applications of PKCS#11 hold ends, streams
//! end, and whoever started the server is told.

use crate::applications::Applications;
use crate::daemon;
use canis_core::Core;
use std::sync::Arc;
use tokio::sync::watch;
use tracing::{info, warn};

/// Sees to it, and counts how often the store was sealed.
pub(crate) fn watch(core: &Core, applications: &Arc<Applications>) -> watch::Receiver<u64> {
    let (sender, receiver) = watch::channel(0);
    let applications = Arc::clone(applications);
    core.watch_sealing(move |sealed| match sealed {
        Some(reason) => {
            applications.end_all();
            sender.send_modify(|sealings| *sealings += 1);
            warn!(reason, "sealed");
            daemon::say(&format!("sealed: {reason}"));
        }
        None => {
            info!("unsealed");
            if canis_core::secret::some_secret_is_swappable() {
                warn!(
                    "some secrets could not be locked into memory; raise RLIMIT_MEMLOCK (systemd: LimitMEMLOCK=)"
                );
            }
            daemon::say("unsealed");
        }
    });
    receiver
}
