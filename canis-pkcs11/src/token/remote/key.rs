//! Keys that a server uses: each use names the key and says what to do, and is checked there in full.

use super::Remote;
use canis_core::crypto::SignScheme;
use canis_core::object::{
    CipherScheme, ConfirmNamed, DecryptNamed, EncryptNamed, KeyFacts, NamedKey, OpenNamed, RecoverNamed,
    SignNamed, SignWith, Used, VerifyNamed,
};
use canis_core::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, Id, Result, Usage};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A key that was opened at a server, so that it is known what it can do.
pub(crate) struct OpenedThere {
    /// What the server said of it.
    pub(in crate::token) facts: KeyFacts,
    pub(super) token: Id,
    pub(super) key: NamedKey,
    /// Whether a PIN was given for its next use.
    confirmed: Arc<AtomicBool>,
    /// How often this host had changed something before.
    changes: u64,
}

/// A key that waits for the PIN for its next use.
pub(crate) struct WantsPin {
    key: NamedKey,
    confirmed: Arc<AtomicBool>,
}

impl OpenedThere {
    /// What is to be confirmed by a PIN before the next use, if that must be.
    pub(in crate::token) fn unconfirmed(&self) -> Option<WantsPin> {
        let wanted = self.facts.always_authenticate && !self.confirmed.load(Ordering::Acquire);
        wanted.then(|| WantsPin { key: self.key, confirmed: Arc::clone(&self.confirmed) })
    }

    /// A use takes the PIN that was given.
    fn spend(&self) {
        if self.facts.always_authenticate {
            self.confirmed.store(false, Ordering::Release);
        }
    }
}

impl Remote {
    /// Opens a key; `anew` if each use of it wants a PIN.
    pub(in crate::token) fn open_key(
        &self,
        token: Id,
        object: Id,
        usage: Usage,
        mechanism: u64,
        anew: bool,
    ) -> Result<OpenedThere> {
        let changes = self.door.known.changes();
        let opening = anew.then(|| self.next_opening());
        let key = NamedKey { object, usage, mechanism, opening };
        let facts = self.call(token, OpenNamed { key })?.facts;
        Ok(OpenedThere { facts, token, key, confirmed: Arc::default(), changes })
    }

    /// Whether nothing has changed here since it was opened. What others have changed is told by its use.
    pub(in crate::token) fn is_current(&self, key: &OpenedThere) -> bool {
        key.changes == self.door.known.changes()
    }

    pub(in crate::token) fn confirm(&self, token: Id, wanting: &WantsPin, pin: &SecretBytes) -> Result<()> {
        self.call(token, ConfirmNamed { key: wanting.key, pin: pin.into() })?;
        wanting.confirmed.store(true, Ordering::Release);
        Ok(())
    }

    pub(in crate::token) fn sign(
        &self,
        key: &OpenedThere,
        scheme: SignWith<'_>,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<usize> {
        key.spend();
        put(&used(self.call(key.token, SignNamed { key: key.key, scheme, input }))?, out)
    }

    pub(in crate::token) fn verify(
        &self,
        key: &OpenedThere,
        scheme: SignWith<'_>,
        input: &[u8],
        signature: &[u8],
    ) -> Result<bool> {
        Ok(used(self.call(key.token, VerifyNamed { key: key.key, scheme, input, signature }))?.valid)
    }

    pub(in crate::token) fn recover(
        &self,
        key: &OpenedThere,
        scheme: SignScheme,
        signature: &[u8],
    ) -> Result<Option<Vec<u8>>> {
        Ok(used(self.call(key.token, RecoverNamed { key: key.key, scheme, signature }))?.signed)
    }

    pub(in crate::token) fn encrypt(
        &self,
        key: &OpenedThere,
        cipher: CipherScheme<'_>,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<usize> {
        put(&used(self.call(key.token, EncryptNamed { key: key.key, cipher, input }))?, out)
    }

    pub(in crate::token) fn decrypt(
        &self,
        key: &OpenedThere,
        cipher: CipherScheme<'_>,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<usize> {
        key.spend();
        put(&used(self.call(key.token, DecryptNamed { key: key.key, cipher, input }))?, out)
    }
}

/// The outcome of a use. A key that is gone is told here, not when an operation with it is begun.
pub(super) fn used<T>(outcome: Result<T>) -> Result<T> {
    outcome.map_err(|error| match error.code {
        ErrorCode::ObjectNotFound => Error::new(ErrorCode::KeyNotFound, error.message),
        _ => error,
    })
}

/// Puts what the server gave where the host wants it.
pub(super) fn put(used: &Used, out: &mut [u8]) -> Result<usize> {
    let len = used.bytes.len();
    let space = out.get_mut(..len);
    space
        .ok_or_else(|| Error::internal("the server gave more than there can be"))?
        .copy_from_slice(&used.bytes);
    Ok(len)
}
