//! A core beside others at one store: what other processes change, forks, and the end.

use crate::core::Core;
use canis_proto::Result;

impl Core {
    /// Makes what was deleted unreadable, in case whoever deleted it did not get so far. What cannot be done now is done by
    /// a later commit.
    pub fn purge(&self) {
        self.keyring.purge();
    }

    /// Looks whether another process changed the store.
    ///
    /// # Errors
    /// `store_unavailable`.
    pub fn poll(&self) -> Result<()> {
        self.keyring.store.poll()
    }

    /// The end: waits for store calls in flight, lets go of the store's files, which folds its log into `canis.dat`, and keeps
    /// whoever calls afterwards waiting.
    pub fn close(&self) {
        self.keyring.store.pause();
    }

    /// Before fork: waits for store calls in flight, lets go of the store's files, blocks new calls.
    pub fn pause_for_fork(&self) {
        self.keyring.store.pause();
    }

    /// After fork, in the parent. The child forgets the core without dropping it.
    pub fn resume_after_fork(&self) {
        self.keyring.store.resume();
    }
}
