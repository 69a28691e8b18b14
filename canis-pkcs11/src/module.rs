//! The module between C_Initialize and C_Finalize.

use crate::api::operation_state::States;
use crate::api::slot_event::SlotEvents;
use crate::config::Settings;
use crate::curve::PointEncoding;
use crate::handles::Handles;
use crate::log::Log;
use crate::rv::{Fail, Result};
use crate::session::Sessions;
use crate::token::{Keeper, Opened};
use canis_core::crypto::{Provider, default_provider};
use canis_proto::KeyType;
use pkcs11_sys::*;

/// Everything the module keeps for its host.
pub(crate) struct Module {
    /// The log.
    pub(crate) log: Log,
    /// The keeper of keys; `None` when there is no store to work on, and then there are no slots.
    pub(crate) keeper: Option<Keeper>,
    /// The open sessions.
    pub(crate) sessions: Sessions,
    /// The tokens they are open with.
    pub(crate) opened: Opened,
    /// The object handles.
    pub(crate) handles: Handles,
    /// The operation states that the host saved.
    pub(crate) states: States,
    /// What the host was told about the slots.
    pub(crate) slot_events: SlotEvents,
    /// The one token that is shown, by its label or serial number; all of them if missing.
    pub(crate) tenant: Option<String>,
    /// Types of keys that searches leave out.
    pub(crate) hidden: Vec<KeyType>,
    /// Whether AES-GCM encrypts with IVs that the module makes only.
    pub(crate) strict_gcm: bool,
    /// How points of Ed25519 and X25519 keys are given out.
    pub(crate) points: PointEncoding,
    /// The policy `legacy`: old ciphers, hashes and ways of wrapping keys.
    pub(crate) legacy: bool,
}

impl Module {
    /// Starts from the settings.
    ///
    /// # Errors
    /// A store that stands there and cannot be read.
    pub(crate) fn open(settings: Settings) -> Result<Module> {
        let log = Log::open(settings.log.as_ref());
        let keeper = Keeper::open(&settings, &log).inspect_err(|fail| report(&log, "C_Initialize", fail))?;
        Ok(Module {
            log,
            keeper,
            sessions: Sessions::new(),
            opened: Opened::default(),
            handles: Handles::default(),
            states: States::default(),
            slot_events: SlotEvents::default(),
            tenant: settings.tenant,
            hidden: settings.hidden,
            strict_gcm: settings.strict_gcm,
            points: settings.points,
            legacy: settings.legacy,
        })
    }

    /// The keeper of keys.
    ///
    /// # Errors
    /// CKR_SLOT_ID_INVALID: without one there are no slots, so whatever the host asks about cannot be.
    pub(crate) fn keeper(&self) -> Result<&Keeper> {
        self.keeper.as_ref().ok_or_else(|| CKR_SLOT_ID_INVALID.into())
    }

    /// Whether keys of this type may come to be here.
    pub(crate) fn allows(&self, kind: KeyType) -> bool {
        self.legacy || !kind.is_legacy()
    }

    /// The cryptography for what needs no key.
    pub(crate) fn provider(&self) -> &'static Provider {
        default_provider()
    }

    /// Before a fork: the keeper lets go of what must not be shared.
    pub(crate) fn pause(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.pause();
        }
    }

    /// After a fork, in the parent.
    pub(crate) fn resume(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.resume();
        }
    }

    /// C_Finalize has begun: calls that wait come back, and what was counted is written.
    pub(crate) fn close(&self) {
        self.slot_events.close();
        if let Some(Err(error)) = self.keeper.as_ref().map(Keeper::close) {
            self.log.line(format_args!("the uses of keys are not written: {error}"));
        }
    }

    /// Logs why a function fails, if there is more to say than its return code.
    pub(crate) fn report(&self, function: &str, fail: &Fail) {
        report(&self.log, function, fail);
    }
}

/// Logs why a function fails, if there is more to say than its return code.
pub(crate) fn report(log: &Log, function: &str, fail: &Fail) {
    if let Some(cause) = &fail.cause {
        log.line(format_args!("{function}: {cause}; the host is told CKR 0x{:x}", fail.rv));
    }
}
