//! What happens when the store is sealed or opened while the server runs: what applications of PKCS#11 hold ends, streams
//! end, and whoever started the server is told.

use crate::applications::Applications;
use crate::daemon;
use canis_core::Core;
use rustix::process::{Resource, getrlimit};
use std::sync::{Arc, Once};
use tokio::sync::watch;
use tracing::{info, warn};

/// As much as the secrets of many keys take.
const ENOUGH_LOCKED: &str = "64 MiB";

/// Says so, and what helps, where secrets may reach the swap device.
fn warn_of_swap() {
    if canis_core::secret::some_secret_is_swappable() {
        let limit = getrlimit(Resource::Memlock).current.map_or("no".to_owned(), |bytes| bytes.to_string());
        warn!(
            limit,
            "some secrets could not be locked into memory and may be swapped out; raise RLIMIT_MEMLOCK to \
             {ENOUGH_LOCKED} or more (systemd: LimitMEMLOCK=64M; shell: ulimit -l 65536)"
        );
    }
}

/// Says so once, and what helps, where root can read secrets of this process.
fn warn_of_root() {
    static SAID: Once = Once::new();
    if canis_core::secret::some_secret_is_not_hidden() {
        SAID.call_once(|| {
            warn!(
                "the kernel gave no secret memory (memfd_secret), so root can read the keys of this process; Linux 6.5 \
                 has such, older ones from 5.14 on when booted with secretmem.enable=1; a unit of systemd needs the line \
                 SystemCallFilter=memfd_secret, and room for locked memory"
            );
        });
    }
}

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
            warn_of_swap();
            warn_of_root();
            daemon::say("unsealed");
        }
    });
    receiver
}
