//! Who a connection speaks for.

use canis_core::secret::SecretBytes;
use canis_core::{Caller, Core};
use canis_proto::{Error, ErrorCode, OperationId, Result};
use std::sync::OnceLock;

/// A connection's credential, and the caller it turned out to be.
pub(crate) struct Session {
    token: Option<SecretBytes>,
    caller: OnceLock<Caller>,
}

impl Session {
    /// A connection that showed `token`, not yet checked.
    pub(crate) fn new(token: Option<&str>) -> Self {
        let token = token.map(|t| SecretBytes::copied_from(t.as_bytes()));
        Session { token, caller: OnceLock::new() }
    }

    /// Whether the caller is known and no stranger; only then are large frames read.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.caller.get().is_some()
    }

    /// The caller; the token is checked once. Reads the store: not for the runtime's threads.
    ///
    /// # Errors
    /// `unauthenticated`, or `sealed` as long as no token can be checked.
    pub(crate) fn authenticate(&self, core: &Core) -> Result<&Caller> {
        if let Some(caller) = self.caller.get() {
            return Ok(caller);
        }
        let Some(token) = &self.token else {
            return Err(Error::new(
                ErrorCode::Unauthenticated,
                "no token was given; set CANIS_TOKEN or use --token-file",
            ));
        };
        let text = std::str::from_utf8(token.expose())
            .map_err(|_| Error::new(ErrorCode::Unauthenticated, "the token is not text"))?;
        let caller = core.authenticate(text)?;
        Ok(self.caller.get_or_init(|| caller))
    }

    /// Runs `work` as the caller. What a stranger may ask is not refused because the store is sealed.
    pub(crate) fn run<T>(
        &self,
        core: &Core,
        operation: OperationId,
        work: impl FnOnce(&Caller) -> Result<T>,
    ) -> Result<T> {
        match self.authenticate(core) {
            Ok(caller) => work(caller),
            Err(_) if operation.row().capability.is_none() => work(&Caller::anonymous()),
            Err(error) => Err(error),
        }
    }
}
