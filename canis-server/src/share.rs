//! What one tenant may take of what all share: threads, streams, bytes in flight. A tenant that asks for more waits for
//! itself; others find their part free. Who is not known yet shares one part with all strangers.

use crate::limits;
use canis_proto::{Cost, Id};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use tokio::sync::Semaphore;

/// One tenant's part.
pub(crate) struct Share {
    /// Bytes of small requests and answers in flight.
    pub(crate) small: Arc<Semaphore>,
    /// Bytes of large ones.
    pub(crate) large: Arc<Semaphore>,
    /// Streams.
    pub(crate) streams: Arc<Semaphore>,
    short: Semaphore,
    long: Semaphore,
}

impl Share {
    /// A part in lanes that are so wide. It may fill a lane that nobody else uses; where others wait, at most so much
    /// of it stands before each of them.
    pub(crate) fn new(lane: usize) -> Self {
        Share {
            small: Arc::new(Semaphore::new(limits::TENANT_SMALL_BYTES as usize)),
            large: Arc::new(Semaphore::new(limits::TENANT_LARGE_BYTES as usize)),
            streams: Arc::new(Semaphore::new(limits::TENANT_STREAMS)),
            short: Semaphore::new(lane),
            long: Semaphore::new(lane),
        }
    }

    /// Its part of a lane of the pool.
    pub(crate) fn lane(&self, cost: Cost) -> &Semaphore {
        match cost {
            Cost::Short => &self.short,
            Cost::Long => &self.long,
        }
    }
}

/// Everybody's part.
pub(crate) struct Shares {
    lane: usize,
    strangers: Arc<Share>,
    tenants: Mutex<HashMap<Id, Weak<Share>>>,
}

impl Shares {
    /// Parts in lanes that are so wide.
    pub(crate) fn new(lane: usize) -> Self {
        Shares { lane, strangers: Arc::new(Share::new(lane)), tenants: Mutex::default() }
    }

    /// The part that strangers share.
    pub(crate) fn strangers(&self) -> &Arc<Share> {
        &self.strangers
    }

    /// A tenant's part: the same for all its connections, and forgotten with the last of them.
    pub(crate) fn of(&self, tenant: Id) -> Arc<Share> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(share) = tenants.get(&tenant).and_then(Weak::upgrade) {
            return share;
        }
        tenants.retain(|_, share| share.strong_count() > 0);
        let share = Arc::new(Share::new(self.lane));
        tenants.insert(tenant, Arc::downgrade(&share));
        share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All connections of a tenant have one part, no two tenants the same, and what is over is forgotten.
    #[test]
    fn one_part_for_each_tenant() {
        let shares = Shares::new(4);
        let (one, again, other) = (shares.of(Id([1; 16])), shares.of(Id([1; 16])), shares.of(Id([2; 16])));
        assert!(Arc::ptr_eq(&one, &again) && !Arc::ptr_eq(&one, &other));
        drop((one, again));
        shares.of(Id([3; 16]));
        let known: Vec<_> = shares.tenants.lock().unwrap().keys().copied().collect();
        assert!(!known.contains(&Id([1; 16])) && known.contains(&Id([2; 16])), "{known:?}");
    }
}
