//! A key that is ready for one kind of use, and its uses in one piece.

use super::embedded::{OpenedHere, seat};
use super::keeper::{Keeper, elsewhere};
use super::opened::Token;
use super::remote::{OpenedThere, WantsPin};
use crate::mechanism::Row;
use crate::module::Module;
use crate::rv::{Fail, Instead, Result, fail};
use canis_core::crypto::SignScheme;
use canis_core::object::{
    CipherScheme, Class, ConfirmUse, KeyFacts, KeyHandle, OpenKey, SignWith, UseToDecrypt, UseToEncrypt,
    UseToRecover, UseToSign, UseToVerify,
};
use canis_core::secret::SecretBytes;
use canis_proto::{ErrorCode, Id, Usage};
use pkcs11_sys::*;
use std::sync::Arc;

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

struct Opening {
    key: OpenedKey,
    wanted: Wanted,
    /// The mechanism that was checked against the key.
    mechanism: CK_MECHANISM_TYPE,
}

/// An opened key, as its keeper has it.
pub(super) enum OpenedKey {
    Embedded(OpenedHere),
    Remote(OpenedThere),
}

/// A key that waits for the PIN for its next use.
pub(crate) enum Unconfirmed {
    /// One of the core in this process.
    Embedded(Arc<KeyHandle>),
    /// One of a server.
    Remote(WantsPin),
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
        let keeper = module.keeper()?;
        let shown = keeper.read(token, object).instead(ErrorCode::ObjectNotFound, CKR_KEY_HANDLE_INVALID)?;
        let Some(facts) = &shown.content.key else { return fail(CKR_KEY_HANDLE_INVALID) };
        if mechanism.family != Some(facts.kind.family()) {
            let why = format!("{} is not for a key of type {}", mechanism.name, facts.kind);
            return Err(Fail::explained(CKR_KEY_TYPE_INCONSISTENT, why));
        }
        if !may(shown.content.class, usage) {
            return fail(CKR_KEY_FUNCTION_NOT_PERMITTED);
        }
        let key = keeper
            .open_key(token, object, usage, mechanism, facts.always_authenticate)
            .instead(ErrorCode::ObjectNotFound, CKR_KEY_HANDLE_INVALID)?;
        Ok(ReadyKey(Box::new(Opening { key, wanted, mechanism: mechanism.kind })))
    }

    /// Whether it is the key that is wanted, opened for that use.
    pub(crate) fn is(&self, wanted: Wanted) -> bool {
        self.0.wanted == wanted
    }

    /// Whether each operation must open it anew, because each needs a PIN.
    pub(crate) fn is_for_one_use(&self) -> bool {
        self.facts().always_authenticate
    }

    /// Whether it was checked for this mechanism.
    pub(crate) fn is_for(&self, mechanism: &Row) -> bool {
        self.0.mechanism == mechanism.kind
    }

    /// Whether it may be used as it is: nothing has changed since it was opened, as far as is known here.
    #[inline]
    pub(crate) fn is_current(&self, keeper: &Keeper) -> bool {
        match (self.opened(), keeper) {
            (OpenedKey::Embedded(here), Keeper::Embedded(embedded)) => {
                embedded.core.is_current(&here.caller, &here.key)
            }
            (OpenedKey::Remote(there), Keeper::Remote(remote)) => remote.is_current(there),
            _ => false,
        }
    }

    /// The length of its signatures in bytes; see [`KeyFacts::signature_len`].
    pub(crate) fn signature_len(&self) -> usize {
        self.facts().signature_len()
    }

    /// The length of the blocks that it encrypts in bytes; see [`KeyFacts::block_len`].
    pub(crate) fn block_len(&self) -> usize {
        self.facts().block_len()
    }

    /// What is to be confirmed by a PIN before its next use, if that must be.
    #[inline]
    pub(crate) fn unconfirmed(&self) -> Option<Unconfirmed> {
        match self.opened() {
            OpenedKey::Embedded(here) => {
                here.key.wants_pin().then(|| Unconfirmed::Embedded(Arc::clone(&here.key)))
            }
            OpenedKey::Remote(there) => there.unconfirmed().map(Unconfirmed::Remote),
        }
    }

    /// Signs, in one piece; `out` has room for the signature.
    #[inline]
    pub(crate) fn sign(
        &self,
        keeper: &Keeper,
        scheme: SignWith<'_>,
        input: &[u8],
        out: &mut [u8],
    ) -> canis_proto::Result<usize> {
        match (self.opened(), keeper) {
            (OpenedKey::Embedded(OpenedHere { key, caller }), Keeper::Embedded(embedded)) => {
                embedded.core.call(caller, UseToSign { key, scheme, input, out })
            }
            (OpenedKey::Remote(there), Keeper::Remote(remote)) => remote.sign(there, scheme, input, out),
            _ => Err(elsewhere()),
        }
    }

    /// Whether a signature is right.
    pub(crate) fn verify(
        &self,
        keeper: &Keeper,
        scheme: SignWith<'_>,
        input: &[u8],
        signature: &[u8],
    ) -> canis_proto::Result<bool> {
        match (self.opened(), keeper) {
            (OpenedKey::Embedded(OpenedHere { key, caller }), Keeper::Embedded(embedded)) => {
                embedded.core.call(caller, UseToVerify { key, scheme, input, signature })
            }
            (OpenedKey::Remote(there), Keeper::Remote(remote)) => {
                remote.verify(there, scheme, input, signature)
            }
            _ => Err(elsewhere()),
        }
    }

    /// What a signature signs; `None` if it is wrong.
    pub(crate) fn recover(
        &self,
        keeper: &Keeper,
        scheme: SignScheme,
        signature: &[u8],
    ) -> canis_proto::Result<Option<Vec<u8>>> {
        match (self.opened(), keeper) {
            (OpenedKey::Embedded(OpenedHere { key, caller }), Keeper::Embedded(embedded)) => {
                embedded.core.call(caller, UseToRecover { key, scheme, signature })
            }
            (OpenedKey::Remote(there), Keeper::Remote(remote)) => remote.recover(there, scheme, signature),
            _ => Err(elsewhere()),
        }
    }

    /// Encrypts, in one piece; `out` is as long as [`CipherScheme::encrypted_len`] says.
    #[inline]
    pub(crate) fn encrypt(
        &self,
        keeper: &Keeper,
        cipher: CipherScheme<'_>,
        input: &[u8],
        out: &mut [u8],
    ) -> canis_proto::Result<usize> {
        match (self.opened(), keeper) {
            (OpenedKey::Embedded(OpenedHere { key, caller }), Keeper::Embedded(embedded)) => {
                embedded.core.call(caller, UseToEncrypt { key, cipher, input, out })
            }
            (OpenedKey::Remote(there), Keeper::Remote(remote)) => remote.encrypt(there, cipher, input, out),
            _ => Err(elsewhere()),
        }
    }

    /// Decrypts, in one piece; `out` is as long as [`CipherScheme::decrypted_len`] says.
    #[inline]
    pub(crate) fn decrypt(
        &self,
        keeper: &Keeper,
        cipher: CipherScheme<'_>,
        input: &[u8],
        out: &mut [u8],
    ) -> canis_proto::Result<usize> {
        match (self.opened(), keeper) {
            (OpenedKey::Embedded(OpenedHere { key, caller }), Keeper::Embedded(embedded)) => {
                embedded.core.call(caller, UseToDecrypt { key, cipher, input, out })
            }
            (OpenedKey::Remote(there), Keeper::Remote(remote)) => remote.decrypt(there, cipher, input, out),
            _ => Err(elsewhere()),
        }
    }

    /// The key as its keeper has it.
    #[inline]
    pub(super) fn opened(&self) -> &OpenedKey {
        &self.0.key
    }

    #[inline]
    fn facts(&self) -> &KeyFacts {
        match self.opened() {
            OpenedKey::Embedded(here) => here.key.facts(),
            OpenedKey::Remote(there) => &there.facts,
        }
    }
}

impl Keeper {
    /// Opens a key; `anew` if each of its uses wants a PIN.
    fn open_key(
        &self,
        token: &Token,
        object: Id,
        usage: Usage,
        mechanism: &Row,
        anew: bool,
    ) -> canis_proto::Result<OpenedKey> {
        #[allow(clippy::useless_conversion)] // CK_ULONG has 32 bits on some targets.
        let mechanism = u64::from(mechanism.kind);
        match self {
            Keeper::Embedded(embedded) => {
                let caller = seat(token)?;
                let key = embedded.core.call(caller, OpenKey { object, usage, mechanism })?;
                Ok(OpenedKey::Embedded(OpenedHere { key, caller: caller.clone() }))
            }
            Keeper::Remote(remote) => {
                remote.open_key(token.id, object, usage, mechanism, anew).map(OpenedKey::Remote)
            }
        }
    }

    /// Gives the user's PIN for a key's next use.
    pub(crate) fn confirm(
        &self,
        token: &Token,
        wanting: &Unconfirmed,
        pin: &SecretBytes,
    ) -> canis_proto::Result<()> {
        match (self, wanting) {
            (Keeper::Embedded(embedded), Unconfirmed::Embedded(key)) => {
                embedded.call(token, ConfirmUse { key, pin })
            }
            (Keeper::Remote(remote), Unconfirmed::Remote(wanting)) => remote.confirm(token.id, wanting, pin),
            _ => Err(elsewhere()),
        }
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
