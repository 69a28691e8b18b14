//! Who a connection speaks for.

use crate::share::{Share, Shares};
use canis_core::secret::SecretBytes;
use canis_core::{Caller, Core};
use canis_proto::{Error, ErrorCode, OperationId, Result};
use std::sync::{Arc, OnceLock};

/// By what a connection says who it is.
pub(crate) enum Credential {
    /// Nothing.
    None,
    /// A bearer token.
    Token(SecretBytes),
    /// It came by the Unix socket, from the server's own user or root.
    Administrator,
}

/// A connection's credential, and the caller it turned out to be.
pub(crate) struct Session {
    credential: Credential,
    caller: OnceLock<Caller>,
    share: OnceLock<Arc<Share>>,
}

impl Session {
    /// A connection that showed this, not yet checked.
    pub(crate) fn new(credential: Credential) -> Self {
        Session { credential, caller: OnceLock::new(), share: OnceLock::new() }
    }

    /// Whether there is something to check.
    pub(crate) fn has_credential(&self) -> bool {
        !matches!(self.credential, Credential::None)
    }

    /// Whether the caller is known and no stranger; only then are large frames read.
    pub(crate) fn is_authenticated(&self) -> bool {
        self.caller.get().is_some()
    }

    /// The part of what all share that it takes from: its tenant's as soon as that is known.
    pub(crate) fn share<'a>(&'a self, shares: &'a Shares) -> &'a Arc<Share> {
        match self.caller.get().and_then(Caller::tenant_if_known) {
            Some(tenant) => self.share.get_or_init(|| shares.of(tenant)),
            None => shares.strangers(),
        }
    }

    /// The caller; the token is checked once. Reads the store: not for the runtime's threads.
    ///
    /// # Errors
    /// `unauthenticated`, or `sealed` as long as no token can be checked.
    pub(crate) fn authenticate(&self, core: &Core) -> Result<&Caller> {
        if let Some(caller) = self.caller.get() {
            return Ok(caller);
        }
        let unknown = |why: &str| Error::new(ErrorCode::Unauthenticated, why);
        let caller = match &self.credential {
            Credential::None => {
                return Err(unknown("no token was given; set CANIS_TOKEN or use --token-file"));
            }
            Credential::Token(token) => {
                let text = std::str::from_utf8(token.expose());
                core.authenticate(text.map_err(|_| unknown("the token is not text"))?)?
            }
            Credential::Administrator => core.administrator()?,
        };
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
