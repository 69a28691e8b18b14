//! Going on with what is in memory while a store that others share is away (ADR 0040).

use super::Keyring;
use crate::{Caller, Core};
use canis_proto::{ErrorCode, Id, Result};
use std::sync::atomic::Ordering;

impl Keyring {
    /// Whether what was read under `generation` about these rows is to be used: nothing has changed since, or what has
    /// cannot be read and need not be heeded yet.
    pub(crate) fn stands(&self, generation: u64, ids: &[Id]) -> bool {
        generation == self.store.generation() || self.store.stands(generation, ids)
    }

    /// What `read` gives; what is `known` where the store turns out to be away and that still stands.
    pub(crate) fn read_or<T>(
        &self,
        known: Option<T>,
        stands: impl Fn(&T) -> bool,
        read: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        match read() {
            Err(error) if error.code == ErrorCode::StoreUnavailable => known.filter(stands).ok_or(error),
            read => read,
        }
    }

    fn credentials_stand(&self, moment: u64) -> bool {
        let now = self.credentials_moment();
        let unheeded = || self.store.unheeded_credentials();
        let since = self.credentials_since.load(Ordering::Acquire);
        moment == now || (moment >= since && unheeded().is_some_and(|changes| now - moment <= changes))
    }
}

impl Core {
    /// A number that grows whenever a credential was made or revoked, or what it may was changed, by this process or by
    /// another server on the same database: who has authenticated somebody before
    /// does it again when it has changed. Costs one load.
    #[must_use]
    pub fn credentials_moment(&self) -> u64 {
        self.keyring.credentials_moment()
    }

    /// Whether a caller that was recognised at this moment of credentials is still to be taken for that: nothing has changed
    /// since, or others have changed what this server cannot read and need not heed yet. Costs a load where nothing has.
    #[must_use]
    pub fn credentials_stand(&self, moment: u64) -> bool {
        self.keyring.credentials_stand(moment)
    }

    /// Whether the store is away, and not for longer than what is in memory goes on without it.
    #[must_use]
    pub fn goes_on_without_store(&self) -> bool {
        self.keyring.store.unheeded_credentials().is_some()
    }

    /// Whether a caller's credential is over by its own word, for which nobody need be asked.
    #[must_use]
    pub fn is_over(&self, caller: &Caller) -> bool {
        caller.is_over(&*self.keyring.clock)
    }
}
