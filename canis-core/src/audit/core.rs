//! What a core does about its log.

use super::call::Recorder;
use super::keys::AuditKeys;
use super::log::Log;
use super::outbox::Audited;
use super::settings::Settings;
use super::signing::HsmKeys;
use super::verify::{AuditReport, verify};
use crate::caller::Caller;
use crate::core::{Core, Resource};
use crate::crypto::Provider;
use crate::keyring::seal::fresh_key;
use crate::keyring::store_rows::{fact_place, sealed_fact};
use crate::keyring::{Keyring, RootKeys};
use crate::secret::SecretBytes;
use crate::store::{Change, Row, Store};
use canis_proto::{ErrorCode, OperationId, Result};
use sha2::{Digest, Sha256};
use std::path::Path;
use std::sync::Arc;

/// The name of the row that holds the log's secret.
const SECRET: &str = "audit";

/// The row of a store's new secret.
pub(crate) fn secret_row(provider: &'static Provider, keys: &RootKeys) -> Result<Row> {
    sealed_fact(keys, SECRET, &fresh_key(provider)?)
}

/// The secret of a store that has one.
fn secret_there(store: &dyn Store, keys: &RootKeys) -> Result<Option<SecretBytes>> {
    let row = store.meta(SECRET)?;
    row.map(|row| keys.rows.open_secret(&fact_place(SECRET, row.revision), &row.body)).transpose()
}

impl Core {
    /// The same core, which writes down what it is asked.
    ///
    /// # Errors
    /// Those of the store.
    pub fn audited(mut self, settings: Settings) -> Result<Self> {
        let keyring = &mut self.keyring;
        let (store, clock) = (Arc::clone(&keyring.store), Arc::clone(&keyring.clock));
        let log = Arc::new(Log::new(settings, store, keyring.provider, clock, keyring.store_id())?);
        keyring.store = Arc::new(Audited { store: Arc::clone(&keyring.store), log: Arc::clone(&log) });
        keyring.log = Some(Arc::clone(&log));
        if !keyring.is_sealed() {
            keyring.key_the_log();
        }
        self.recorder = Some(Recorder::new(log));
        Ok(self)
    }

    /// The log, if there is one.
    #[must_use]
    pub fn audit(&self) -> Option<&Arc<Log>> {
        self.recorder.as_ref().map(|recorder| &recorder.log)
    }

    /// Notes that somebody with a credential at hand unsealed the store, or did not.
    pub(crate) fn audit_unsealing(&self, result: Result<()>) -> Result<()> {
        let Some(recorder) = &self.recorder else { return result };
        recorder.note(&Caller::timer(), "store.unseal", Resource::System, &result)?;
        result
    }

    /// Notes what happened that is no operation: that a server started, that somebody was let in or was not.
    ///
    /// # Errors
    /// `audit_unavailable`, where lines are written by whoever makes them.
    pub fn note(&self, caller: &Caller, event: &str, result: &Result<()>) -> Result<()> {
        match &self.recorder {
            Some(recorder) => recorder.note(caller, event, Resource::System, result),
            None => Ok(()),
        }
    }

    /// Notes what came of an operation that is done elsewhere.
    ///
    /// # Errors
    /// As [`Core::note`].
    pub fn note_operation(&self, caller: &Caller, operation: OperationId, result: &Result<()>) -> Result<()> {
        self.note(caller, operation.row().name, result)
    }

    /// Notes what the keeper itself has come to.
    ///
    /// # Errors
    /// As [`Core::note`].
    pub fn note_own(&self, event: &str) -> Result<()> {
        self.note(&Caller::timer(), event, &Ok(()))
    }

    /// Notes that an answer was given once more.
    pub(crate) fn audit_again(&self, caller: &Caller, operation: OperationId) -> Result<()> {
        match &self.recorder {
            Some(recorder) => recorder.note_again(caller, operation),
            None => Ok(()),
        }
    }
}

impl Keyring {
    /// Reads the log that is in `folder` again.
    pub(crate) fn verify_audit(&self, folder: &Path) -> Result<AuditReport> {
        if let Some(log) = &self.log {
            // What waits is to be found. If it cannot be written, what is there can be read all the same.
            let _ = log.flush();
        }
        let check = |public: &[u8], digest: &[u8; 32], signature: &[u8]| {
            self.is_signed_by_hsm(public, digest, signature)
        };
        let hsm = HsmKeys { store: self.store_id(), publics: self.audit_hsm_keys()?, check: &check };
        verify(&*self.store, &self.audit_keys()?, &hsm, folder)
    }

    /// From now on lines have a key; also when the store is sealed again, so that what is asked then is vouched for.
    pub(crate) fn key_the_log(&self) {
        let Some(log) = self.log.as_ref().filter(|log| log.keys().is_none()) else { return };
        match self.audit_keys() {
            Ok(keys) => log.hold_keys(keys),
            Err(error) => log.fail(&error),
        }
    }

    /// The same with a root key that is not held yet, so that whoever finds the store open finds the log keyed. One whose
    /// secret is still to be drawn is keyed when it can be written.
    pub(crate) fn key_the_log_by(&self, root: &RootKeys) {
        let Some(log) = self.log.as_ref().filter(|log| log.keys().is_none()) else { return };
        let Ok(Some(secret)) = secret_there(&*self.store, root) else { return };
        if let Ok(keys) = AuditKeys::new(self.provider, &secret) {
            log.hold_keys(keys);
        }
    }

    /// The keys of the log. Their secret is drawn when it is first needed, and stays.
    pub(crate) fn audit_keys(&self) -> Result<AuditKeys> {
        let secret = if self.has_root() { self.audit_secret()? } else { self.no_secret() };
        AuditKeys::new(self.provider, &secret)
    }

    fn audit_secret(&self) -> Result<SecretBytes> {
        let keys = self.root_keys()?;
        if let Some(secret) = secret_there(&*self.store, &keys)? {
            return Ok(secret);
        }
        match self.store.commit(&[Change::Put(secret_row(self.provider, &keys)?)]) {
            Ok(()) => self.audit_secret(),
            // Another process was first.
            Err(error) if error.code == ErrorCode::Conflict => self.audit_secret(),
            Err(error) => Err(error),
        }
    }

    /// What a store without a root has in its place: anybody could make it.
    fn no_secret(&self) -> SecretBytes {
        let digest = Sha256::new().chain_update("canis/v1/audit").chain_update(self.store_id().as_bytes());
        SecretBytes::copied_from(&digest.finalize())
    }
}
