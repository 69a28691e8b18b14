//! The tokens that sessions are open with, and the counts that decide about logins.

use super::Keeper;
use crate::rv::{Result, fail};
use crate::session::lock;
use canis_core::Caller;
use canis_core::token::TokenInfo;
use canis_proto::Id;
use pkcs11_sys::*;
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// A token that sessions are open with.
pub(crate) struct Token {
    /// Its id.
    pub(crate) id: Id,
    /// Its slot.
    pub(crate) slot: CK_SLOT_ID,
    /// Who this application is to a core in its own process when it works with the token.
    pub(super) caller: Option<Caller>,
}

/// The tokens in use, with the counts that decide about logins.
#[derive(Default)]
pub(crate) struct Opened {
    tokens: Mutex<HashMap<Id, Entry>>,
}

struct Entry {
    token: Arc<Token>,
    read_only: CK_ULONG,
    read_write: CK_ULONG,
    /// The security officer is logged in, or about to be: no R/O sessions then.
    so: bool,
}

impl Opened {
    /// Counts a new session.
    ///
    /// # Errors
    /// CKR_SESSION_READ_WRITE_SO_EXISTS.
    pub(crate) fn add(&self, keeper: &Keeper, info: &TokenInfo, writable: bool) -> Result<Arc<Token>> {
        let mut tokens = lock(&self.tokens);
        let entry = tokens.entry(info.id).or_insert_with(|| Entry {
            token: Arc::new(keeper.token(info)),
            read_only: 0,
            read_write: 0,
            so: false,
        });
        if entry.so && !writable {
            return fail(CKR_SESSION_READ_WRITE_SO_EXISTS);
        }
        *entry.count(writable) += 1;
        Ok(entry.token.clone())
    }

    /// Uncounts a session; says whether it was the token's last.
    pub(crate) fn remove(&self, token: Id, writable: bool) -> bool {
        let mut tokens = lock(&self.tokens);
        let Some(entry) = tokens.get_mut(&token) else { return false };
        let count = entry.count(writable);
        *count = count.saturating_sub(1);
        let last = entry.read_only + entry.read_write == 0;
        if last {
            tokens.remove(&token);
        }
        last
    }

    /// The numbers of R/O and R/W sessions.
    pub(crate) fn counts(&self, token: Id) -> (CK_ULONG, CK_ULONG) {
        lock(&self.tokens).get(&token).map_or((0, 0), |entry| (entry.read_only, entry.read_write))
    }

    /// Whether any session is open.
    pub(crate) fn any(&self, token: Id) -> bool {
        self.counts(token) != (0, 0)
    }

    /// Keeps R/O sessions out while the security officer logs in and is logged in.
    ///
    /// # Errors
    /// CKR_SESSION_READ_ONLY_EXISTS.
    pub(crate) fn reserve_for_so(&self, token: Id) -> Result {
        match lock(&self.tokens).get_mut(&token) {
            Some(entry) if entry.read_only > 0 => fail(CKR_SESSION_READ_ONLY_EXISTS),
            Some(entry) => {
                entry.so = true;
                Ok(())
            }
            None => fail(CKR_SESSION_HANDLE_INVALID),
        }
    }

    /// Lets R/O sessions in again.
    pub(crate) fn release_from_so(&self, token: Id) {
        if let Some(entry) = lock(&self.tokens).get_mut(&token) {
            entry.so = false;
        }
    }
}

impl Entry {
    fn count(&mut self, writable: bool) -> &mut CK_ULONG {
        if writable { &mut self.read_write } else { &mut self.read_only }
    }
}
