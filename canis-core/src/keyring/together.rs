//! Several operations as one transaction: they run on a draft, which is committed at the end.

use super::approval::Asking;
use super::sealing::Sealing;
use super::spending::Spending;
use super::uses::Uses;
use super::{Keyring, RootState, cache};
use crate::audit::{Audited, Recorder};
use crate::core::Core;
use crate::crypto::decoy::Decoys;
use crate::store::Store;
use crate::store::draft::Draft;
use canis_proto::{Error, ErrorCode, Result};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// How often the work is done anew because somebody else changed what it had read.
const TRIES: usize = 100;

/// What a draft keeps in memory while it lasts.
const CACHED: usize = 64;

impl Core {
    /// Runs `work` on a core whose changes are made together when it is done: all of them, or none if it fails. It is
    /// run anew if somebody else was faster. To be used for changes only: uses of keys are not counted in it.
    ///
    /// # Errors
    /// Those of `work`; `conflict` if others are always faster; those of the store.
    pub fn together<T>(&self, mut work: impl FnMut(&Core) -> Result<T>) -> Result<T> {
        let _steady = self.keyring.steady_root()?;
        let (mut waited, mut taken, mut tries) = (None, false, 0);
        loop {
            tries += 1;
            let draft = Arc::new(Draft::over(Arc::clone(&self.keyring.store)));
            let core = self.drafted(&draft, self.keyring.asking.of_draft(&self.keyring.store));
            let settle = |failed: Option<&Error>| match &self.recorder {
                Some(recorder) => recorder.settle(core.recorder.as_ref(), failed),
                None => Ok(()),
            };
            let done = match work(&core) {
                Ok(done) => done,
                Err(error) => {
                    settle(Some(&error))?;
                    return Err(error);
                }
            };
            match draft.commit_all() {
                Ok(purge) => {
                    settle(None)?;
                    if purge {
                        self.keyring.forget_keys();
                        self.keyring.purge();
                    }
                    return Ok(done);
                }
                // Whoever lost once waits for its turn, so that slow work is not done for nothing again and again.
                // A name that was free was taken meanwhile: the work says so, or finds that it was done elsewhere.
                Err(error)
                    if (error.code == ErrorCode::Conflict && tries < TRIES)
                        || (error.code == ErrorCode::KeyExists && !std::mem::replace(&mut taken, true)) =>
                {
                    waited.get_or_insert_with(|| {
                        self.keyring.losers.lock().unwrap_or_else(PoisonError::into_inner)
                    });
                }
                Err(error) => {
                    settle(Some(&error))?;
                    return Err(error);
                }
            }
        }
    }
}

impl Core {
    /// Runs `work` as [`Core::together`] does, and then makes none of its changes: says what it would come to now.
    ///
    /// # Errors
    /// Those of `work`.
    pub fn rehearse<T>(&self, work: impl FnOnce(&Core) -> Result<T>) -> Result<T> {
        let draft = Arc::new(Draft::over(Arc::clone(&self.keyring.store)));
        let core = self.drafted(&draft, Asking::Not);
        let done = work(&core);
        if let Some(recorder) = &self.recorder {
            recorder.rehearsed(core.recorder.as_ref())?;
        }
        done
    }

    /// The same core over a draft.
    fn drafted(&self, draft: &Arc<Draft>, asking: Asking) -> Core {
        let recorder = self.recorder.as_ref().map(Recorder::of_draft);
        let spending: Arc<dyn Store> = Arc::new(Spending(Arc::<Draft>::clone(draft)));
        let store: Arc<dyn Store> = match &recorder {
            Some(recorder) => Arc::new(Audited { store: spending, log: Arc::clone(&recorder.log) }),
            None => spending,
        };
        Core { keyring: self.keyring.drafted(store, asking), recorder }
    }
}

impl Keyring {
    /// The same keyring over a draft: root and open tenants are shared, what is cached is not.
    fn drafted(&self, store: Arc<dyn Store>, asking: Asking) -> Keyring {
        let root: RootState = self.root_state();
        let open = self.open.read().unwrap_or_else(PoisonError::into_inner).clone();
        Keyring {
            books: Arc::clone(&self.books),
            memory: super::anchor::Memory::default(),
            backups: super::backups::Backups::default(),
            facts: self.facts.clone(),
            root: RwLock::new(root),
            reason: Mutex::new(self.sealed_reason()),
            sealing: Sealing::default(),
            open: RwLock::new(open),
            keys: cache(CACHED),
            ready: cache(CACHED),
            objects: cache(CACHED),
            handles: cache(CACHED),
            places: cache(CACHED),
            rules: cache(CACHED),
            roles: cache(CACHED),
            issuers: RwLock::default(),
            searches: cache(CACHED),
            tokens: Mutex::new(None),
            uses: Uses::default(),
            credentials: AtomicU64::new(self.credentials_moment()),
            credentials_since: AtomicU64::new(self.credentials_moment()),
            hsm_helper: self.hsm_helper.clone(),
            decoys: Decoys::default(),
            losers: Mutex::new(()),
            roots: Mutex::new(()),
            root_gate: RwLock::new(()),
            root_turns: AtomicU64::new(0),
            log: self.log.clone(),
            asking,
            store,
            provider: self.provider,
            clock: Arc::clone(&self.clock),
        }
    }
}
