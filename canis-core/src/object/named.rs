//! The uses of a key by a request that names it, as CANISP carries them: nothing stays opened between two requests, and
//! each of them is checked in full ([ADR 0018](../../../docs/adr/0018-remote-module.md)).

use super::{CipherScheme, KeyFacts, Object, SignWith, Wanted};
use crate::crypto::SignScheme;
use crate::token::Pin;
use canis_proto::answer::Verified;
use canis_proto::{Error, Id, Operation, OperationId, Usage};
use std::sync::Arc;
use zeroize::Zeroizing;

/// A key and what it is to be opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct NamedKey {
    /// The key's object.
    pub object: Id,
    /// One usage.
    pub usage: Usage,
    /// The mechanism's number, CKM_….
    pub mechanism: u64,
    /// With CKA_ALWAYS_AUTHENTICATE, a number that the application draws for each C_SignInit and its like: the PIN that
    /// is given for it counts for the next use under it, and for no other.
    pub opening: Option<u64>,
}

/// What is said of a key that was opened.
#[derive(Debug)]
pub struct OpenedKey {
    /// What its object says about it.
    pub facts: KeyFacts,
    /// Whether its next use needs [`ConfirmNamed`] first.
    pub wants_pin: bool,
}

/// What a use of a key gave: a signature, a ciphertext, a plaintext.
pub struct Used {
    /// The bytes.
    pub bytes: Zeroizing<Vec<u8>>,
}

/// What a signature signs.
#[derive(Debug, PartialEq, Eq)]
pub struct Recovered {
    /// It; `None` if the signature is wrong.
    pub signed: Option<Vec<u8>>,
}

/// Some of what a search finds.
pub struct FoundPage {
    /// The objects.
    pub objects: Vec<Arc<Object>>,
    /// One error for each row of the store that was refused, naming it; with the first page.
    pub refused: Vec<Error>,
    /// Whether there are more after the last one.
    pub more: bool,
}

operation! {
    /// Opens an object's key for one kind of use, so that it is known before the use whether it can be.
    OpenNamed as OpenKey => OpenedKey {
        /// The key.
        key: NamedKey,
    }
}
operation! {
    /// Gives the user's PIN for the next use of a key with CKA_ALWAYS_AUTHENTICATE.
    ConfirmNamed<'a> as ConfirmUse => () {
        /// The key, with the number of its opening.
        key: NamedKey,
        /// The PIN.
        pin: Pin<'a>,
    }
}
operation! {
    /// Signs with an object's key; its usage is signing or, with RSA, recovering.
    SignNamed<'a> as UseToSign => Used {
        /// The key.
        key: NamedKey,
        /// How.
        scheme: SignWith<'a>,
        /// What the scheme signs.
        input: &'a [u8],
    }
}
operation! {
    /// Verifies with an object's key.
    VerifyNamed<'a> as UseToVerify => Verified {
        /// The key.
        key: NamedKey,
        /// How.
        scheme: SignWith<'a>,
        /// What the scheme signs.
        input: &'a [u8],
        /// The signature.
        signature: &'a [u8],
    }
}
operation! {
    /// Verifies a signature by [`SignScheme::RsaPkcs1`] or [`SignScheme::RsaRaw`] and gives what it signs.
    RecoverNamed<'a> as UseToRecover => Recovered {
        /// The key.
        key: NamedKey,
        /// How.
        scheme: SignScheme,
        /// The signature.
        signature: &'a [u8],
    }
}
operation! {
    /// Encrypts with an object's key.
    EncryptNamed<'a> as UseToEncrypt => Used {
        /// The key.
        key: NamedKey,
        /// How.
        cipher: CipherScheme<'a>,
        /// The plaintext.
        input: &'a [u8],
    }
}
operation! {
    /// Decrypts with an object's key.
    DecryptNamed<'a> as UseToDecrypt => Used {
        /// The key.
        key: NamedKey,
        /// How.
        cipher: CipherScheme<'a>,
        /// The ciphertext.
        input: &'a [u8],
    }
}
operation! {
    /// Finds the objects the caller may see, page by page.
    FindPage<'a> as FindObjects => FoundPage {
        /// Which ones.
        wanted: Wanted<'a>,
        /// The last object of the page before; without it the first page is given.
        after: Option<Id>,
    }
}
operation! {
    /// Destroys the objects of a session (C_CloseSession).
    EndSession => () {
        /// The session, by the number that its objects were made with.
        session: u64,
    }
}
