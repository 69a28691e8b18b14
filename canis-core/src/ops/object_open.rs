//! `object.open`: a key is opened for one kind of use, and looked at again at every use.

use crate::audit::note_use;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::object::{HandleKey, KeyHandle, NO_MECHANISM, Object, OpenKey};
use canis_proto::{Error, ErrorCode, Id, KeyState, Result, Usage};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

impl Run for OpenKey {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.object)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Arc<KeyHandle>> {
        keyring.open_key(caller, self.object, self.usage, &[self.mechanism])
    }
}

/// Notes which key's version is meant, for the audit log; keys of sessions are none of the store's.
fn note_use_of(key: Option<(Id, u32)>) {
    if let Some((key, version)) = key {
        note_use(key, version);
    }
}

fn verb(usage: Usage) -> String {
    usage.names().collect::<Vec<_>>().join(" or ")
}

impl Keyring {
    /// Opens an object's key for one kind of use by a mechanism with one or more names.
    pub(super) fn open_key(
        &self,
        caller: &Caller,
        object: Id,
        usage: Usage,
        mechanisms: &[u64],
    ) -> Result<Arc<KeyHandle>> {
        let since = self.since(caller)?;
        if let Some(opened) = self.opened(object, usage, since) {
            return Ok(opened);
        }
        let id = object;
        let object = self.visible(caller, id)?;
        let Some(facts) = object.content.key.clone() else {
            return Err(Error::new(ErrorCode::ObjectNotFound, "the object is no key"));
        };
        self.require_login(caller, object.content.needs_login())?;
        if !facts.usage.allows(usage) {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                format!("this {} is not to be used to {}", object.content.class.noun(), verb(usage)),
            ));
        }
        object.content.allow_mechanism(mechanisms)?;
        if facts.always_authenticate && ![Usage::SIGN, Usage::DECRYPT, Usage::RECOVER].contains(&usage) {
            return Err(Error::new(
                ErrorCode::LoginRequired,
                format!("no PIN can be given to {} with a key that wants one for each use", verb(usage)),
            ));
        }
        let key = self.handle_key(caller, &object, usage)?;
        if let HandleKey::Ready(ready) = &key {
            self.use_value(caller, &object, ready, usage)?;
        }
        // One that wants a PIN for each use is nobody else's: the PIN is given for this handle. One that is limited was
        // looked at for these mechanisms.
        let shared = object.session.is_none() && !facts.always_authenticate && !object.content.is_limited();
        let mechanism = mechanisms.first().copied().unwrap_or(NO_MECHANISM);
        let confirmed = AtomicBool::new(false);
        let uses = object.key.map(|(key, version)| self.counter(key, version));
        let of = object.key;
        note_use_of(of);
        let opened =
            Arc::new(KeyHandle { object: id, of, facts, usage, mechanism, key, since, confirmed, uses });
        // The store was asked for the key anyway.
        self.write_uses_when_due();
        if shared {
            self.keep_opened(id, &opened);
        }
        Ok(opened)
    }

    fn handle_key(&self, caller: &Caller, object: &Object, usage: Usage) -> Result<HandleKey> {
        let token = caller.tenant()?;
        let facts =
            object.content.key.as_ref().ok_or_else(|| Error::internal("a key object without facts"))?;
        if !object.content.class.is_secret() {
            self.check_public_half(token, object, usage)?;
            return Ok(HandleKey::Public(self.provider.keys.public(facts.kind, &facts.spki)?));
        }
        let Some((key, version)) = object.key else {
            let kept = caller.application()?.object(token, object.id).and_then(|o| o.ready);
            let gone = || Error::new(ErrorCode::ObjectNotFound, "the session key is gone");
            return Ok(HandleKey::Ready(kept.ok_or_else(gone)?));
        };
        let tenant = self.tenant(token)?;
        let key = self.key_by_id(&tenant, key)?;
        key.require_attended(usage, &verb(usage))?;
        key.allow_version(usage, version)?;
        if key.kind != facts.kind {
            return Err(Error::new(
                ErrorCode::StoreTampered,
                format!("object {} shows another kind of key", object.id),
            ));
        }
        Ok(HandleKey::Ready(self.ready(&tenant, &key, version)?))
    }

    /// A public half follows its key's state, as far as it can be read: not while the tenant is locked. When the
    /// private half was destroyed the public one stands alone.
    fn check_public_half(&self, token: Id, object: &Object, usage: Usage) -> Result<()> {
        let (Some((key, version)), Some(tenant)) = (object.key, self.tenant_if_open(token)) else {
            return Ok(());
        };
        let key = self.key_by_id(&tenant, key)?;
        match key.state {
            KeyState::Destroyed => Ok(()),
            _ => {
                key.require_attended(usage, &verb(usage))?;
                key.allow_version(usage, version)
            }
        }
    }
}

/// A key that may be used now: the handle that was opened, or a newer one.
pub(super) enum Still<'a> {
    Same(&'a KeyHandle),
    Anew(Arc<KeyHandle>),
}

impl Deref for Still<'_> {
    type Target = KeyHandle;

    fn deref(&self) -> &KeyHandle {
        match self {
            Still::Same(key) => key,
            Still::Anew(key) => key,
        }
    }
}

impl Keyring {
    /// The key for one use. If anything has changed since it was opened it is opened again, so that a logout, a
    /// destruction or a change of usage also ends operations that began before.
    pub(super) fn still<'a>(&self, caller: &Caller, key: &'a KeyHandle, usage: Usage) -> Result<Still<'a>> {
        if key.usage != usage {
            return Err(Error::new(ErrorCode::OperationNotAllowed, "the key was opened for another use"));
        }
        note_use_of(key.of);
        key.take_confirmation()?;
        if self.is_still(key, self.since(caller)?) {
            return Ok(Still::Same(key));
        }
        self.open_key(caller, key.object, usage, &[key.mechanism]).map(Still::Anew)
    }
}
