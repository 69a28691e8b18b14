//! Tokens as the module keeps them: which are in use, and the keys that are ready in them.

use crate::mechanism::Row;
use crate::module::Module;
use crate::rv::{Fail, Instead, Result, fail};
use crate::session::lock;
use canis_core::object::{Class, KeyHandle, OpenKey, ReadObject};
use canis_core::token::TokenInfo;
use canis_core::{Caller, Core};
use canis_proto::{ErrorCode, Id, Usage};
use pkcs11_sys::*;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex};

mod embedded;

pub(crate) use embedded::Keeper;

/// A token that sessions are open with.
pub(crate) struct Token {
    /// Its id in the core.
    pub(crate) id: Id,
    /// Its slot.
    pub(crate) slot: CK_SLOT_ID,
    /// Who this application is to the core when it works with the token.
    pub(crate) caller: Caller,
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
            token: Arc::new(Token { id: info.id, slot: info.slot.into(), caller: keeper.caller(info.id) }),
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

/// Which key, and what for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wanted {
    /// Its handle.
    pub(crate) handle: CK_OBJECT_HANDLE,
    /// One usage.
    pub(crate) usage: Usage,
}

/// A key opened for one kind of use. It moves between the session and the operations at every call, so it is a pointer;
/// the memory is used again with it.
pub(crate) struct ReadyKey(Box<Opening>);

/// What such a key is.
pub(crate) struct Opening {
    /// The key.
    pub(crate) key: Arc<KeyHandle>,
    /// Who uses it; a copy of its own, so that threads share no reference count while they work.
    pub(crate) caller: Caller,
    wanted: Wanted,
    /// The mechanism that was checked against the key.
    mechanism: CK_MECHANISM_TYPE,
}

impl Deref for ReadyKey {
    type Target = Opening;

    fn deref(&self) -> &Opening {
        &self.0
    }
}

impl ReadyKey {
    /// Opens a key for a mechanism.
    ///
    /// # Errors
    /// CKR_KEY_HANDLE_INVALID, CKR_KEY_TYPE_INCONSISTENT, CKR_KEY_FUNCTION_NOT_PERMITTED, CKR_USER_NOT_LOGGED_IN, or
    /// CKR_MECHANISM_INVALID when CKA_ALLOWED_MECHANISMS leaves the mechanism out.
    pub(crate) fn open(module: &Module, token: &Token, wanted: Wanted, mechanism: &Row) -> Result<ReadyKey> {
        let Wanted { handle, usage } = wanted;
        let object = module.handles.object(token.id, handle).map_err(|_| CKR_KEY_HANDLE_INVALID)?;
        let core = &module.keeper()?.core;
        let shown = core
            .call(&token.caller, ReadObject { object })
            .instead(ErrorCode::ObjectNotFound, CKR_KEY_HANDLE_INVALID)?;
        let Some(facts) = &shown.content.key else { return fail(CKR_KEY_HANDLE_INVALID) };
        if mechanism.family != Some(facts.kind.family()) {
            let why = format!("{} is not for a key of type {}", mechanism.name, facts.kind);
            return Err(Fail::explained(CKR_KEY_TYPE_INCONSISTENT, why));
        }
        if !may(shown.content.class, usage) {
            return fail(CKR_KEY_FUNCTION_NOT_PERMITTED);
        }
        #[allow(clippy::useless_conversion)] // CK_ULONG has 32 bits on some targets.
        let opened = OpenKey { object, usage, mechanism: u64::from(mechanism.kind) };
        let key =
            core.call(&token.caller, opened).instead(ErrorCode::ObjectNotFound, CKR_KEY_HANDLE_INVALID)?;
        let opening = Opening { key, caller: token.caller.clone(), wanted, mechanism: mechanism.kind };
        Ok(ReadyKey(Box::new(opening)))
    }

    /// Whether it is the key that is wanted, opened for that use.
    pub(crate) fn is(&self, wanted: Wanted) -> bool {
        self.wanted == wanted
    }

    /// Whether each operation must open it anew, because each needs a PIN.
    pub(crate) fn is_for_one_use(&self) -> bool {
        self.key.facts().always_authenticate
    }

    /// Whether it was checked for this mechanism.
    pub(crate) fn is_for(&self, mechanism: &Row) -> bool {
        self.mechanism == mechanism.kind
    }

    /// Whether it may be used as it is: nothing has changed since it was opened.
    pub(crate) fn is_current(&self, core: &Core) -> bool {
        core.is_current(&self.caller, &self.key)
    }
}

/// Whether objects of a class can have the usage at all: public keys have no CKA_SIGN, private keys no CKA_VERIFY.
fn may(class: Class, usage: Usage) -> bool {
    let own = [Usage::SIGN, Usage::DECRYPT].contains(&usage);
    match class {
        Class::PublicKey | Class::PrivateKey if usage == Usage::RECOVER => true,
        Class::SecretKey => true,
        Class::PrivateKey => own,
        Class::PublicKey => !own,
        Class::Data | Class::Certificate | Class::Profile => false,
    }
}
