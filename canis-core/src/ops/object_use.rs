//! `object.open` and the uses of an opened key with the caller's mechanism.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::crypto::{GCM_TAG, GcmKey, PrivateKey, PublicKey};
use crate::keyring::Keyring;
use crate::keyring::ready::{ReadyKey, ReadyMaterial};
use crate::object::{
    CipherScheme, HandleKey, KeyHandle, Object, OpenKey, UseToDecrypt, UseToEncrypt, UseToSign, UseToVerify,
};
use canis_proto::{Error, ErrorCode, Id, KeyState, Result, Usage};
use std::ops::Deref;
use std::sync::Arc;

impl Run for OpenKey {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.object)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Arc<KeyHandle>> {
        let since = keyring.since(caller)?;
        if let Some(opened) = keyring.opened(self.object, self.usage, since) {
            return Ok(opened);
        }
        let object = keyring.visible(caller, self.object)?;
        let Some(facts) = object.content.key.clone() else {
            return Err(Error::new(ErrorCode::ObjectNotFound, "the object is no key"));
        };
        keyring.require_login(caller, object.content.needs_login())?;
        if !facts.usage.allows(self.usage) {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                format!("this {} is not to be used to {}", object.content.class.noun(), verb(self.usage)),
            ));
        }
        let key = keyring.handle_key(caller, &object, self.usage)?;
        if let HandleKey::Ready(ready) = &key {
            keyring.use_value(caller, &object, ready, self.usage)?;
        }
        let opened = Arc::new(KeyHandle { object: self.object, facts, usage: self.usage, key, since });
        if object.session.is_none() {
            keyring.keep_opened(self.object, &opened);
        }
        Ok(opened)
    }
}

fn verb(usage: Usage) -> String {
    usage.names().collect::<Vec<_>>().join(" or ")
}

impl Keyring {
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
        key.require(usage, &verb(usage))?;
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
        let (Some((key, _)), Some(tenant)) = (object.key, self.tenant_if_open(token)) else { return Ok(()) };
        let key = self.key_by_id(&tenant, key)?;
        match key.state {
            KeyState::Destroyed => Ok(()),
            _ => key.require(usage, &verb(usage)),
        }
    }
}

/// A key that may be used now: the handle that was opened, or a newer one.
enum Still<'a> {
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
    fn still<'a>(&self, caller: &Caller, key: &'a KeyHandle, usage: Usage) -> Result<Still<'a>> {
        if key.usage != usage {
            return Err(Error::new(ErrorCode::OperationNotAllowed, "the key was opened for another use"));
        }
        if self.since(caller)? == key.since {
            return Ok(Still::Same(key));
        }
        OpenKey { object: key.object, usage }.run(self, caller).map(Still::Anew)
    }
}

impl KeyHandle {
    fn private(&self) -> Result<&dyn PrivateKey> {
        match &self.key {
            HandleKey::Ready(ready) => match &**ready {
                ReadyKey { material: ReadyMaterial::Pair { private, .. }, .. } => Ok(&**private),
                ReadyKey { .. } => Err(unfit()),
            },
            HandleKey::Public(_) => Err(unfit()),
        }
    }

    fn public(&self) -> Result<&dyn PublicKey> {
        match &self.key {
            HandleKey::Public(public) => Ok(&**public),
            HandleKey::Ready(_) => Err(unfit()),
        }
    }

    fn gcm(&self) -> Result<&dyn GcmKey> {
        match &self.key {
            HandleKey::Ready(ready) => match &ready.material {
                ReadyMaterial::Aes { gcm, .. } => Ok(&**gcm),
                ReadyMaterial::Pair { .. } | ReadyMaterial::Generic { .. } => Err(unfit()),
            },
            HandleKey::Public(_) => Err(unfit()),
        }
    }
}

fn unfit() -> Error {
    Error::new(ErrorCode::OperationNotSupported, "the key is not of the kind the mechanism needs")
}

impl Run for UseToSign<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<usize> {
        let key = keyring.still(caller, self.key, Usage::SIGN)?;
        key.private()?.sign(self.scheme, self.input, self.out)
    }
}

impl Run for UseToVerify<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<bool> {
        let key = keyring.still(caller, self.key, Usage::VERIFY)?;
        key.public()?.verify(self.scheme, self.input, self.signature)
    }
}

impl Run for UseToEncrypt<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<usize> {
        let key = keyring.still(caller, self.key, Usage::ENCRYPT)?;
        match self.cipher {
            CipherScheme::AesGcm { iv, aad } => {
                let needed = self.input.len() + GCM_TAG;
                let out = self.out.get_mut(..needed).ok_or_else(too_small)?;
                let (ciphertext, tag) = out.split_at_mut(self.input.len());
                let tag = tag.try_into().map_err(|_| too_small())?;
                key.gcm()?.seal(iv, aad, self.input, ciphertext, tag)?;
                Ok(needed)
            }
            CipherScheme::RsaOaep(oaep) => {
                let ciphertext = key.public()?.encrypt_oaep(oaep, self.input)?;
                self.out.get_mut(..ciphertext.len()).ok_or_else(too_small)?.copy_from_slice(&ciphertext);
                Ok(ciphertext.len())
            }
        }
    }
}

impl Run for UseToDecrypt<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<usize> {
        let key = keyring.still(caller, self.key, Usage::DECRYPT)?;
        match self.cipher {
            CipherScheme::AesGcm { iv, aad } => {
                let short =
                    || Error::new(ErrorCode::DecryptionFailed, "the ciphertext is shorter than its tag");
                let (ciphertext, tag) = self.input.split_last_chunk::<GCM_TAG>().ok_or_else(short)?;
                let plaintext = self.out.get_mut(..ciphertext.len()).ok_or_else(too_small)?;
                key.gcm()?.open(iv, aad, ciphertext, tag, plaintext)?;
                Ok(ciphertext.len())
            }
            CipherScheme::RsaOaep(oaep) => key.private()?.decrypt_oaep(oaep, self.input, self.out),
        }
    }
}

fn too_small() -> Error {
    Error::invalid("the output buffer is too small")
}
