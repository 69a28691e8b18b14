//! Messages in parts with an object's key: ciphers that give their output as they go, and MACs.
//!
//! A run holds the expanded key, but every part of it is asked of the core with the opened key again, so that a logout
//! or a change of the key ends it.

use super::{KeyHandle, MacScheme};
use crate::crypto::{self, BlockMode, CipherStream, Direction};
use canis_proto::{Operation, OperationId, Usage};
use std::marker::PhantomData;

/// A direction of a cipher: [`Encrypting`] or [`Decrypting`].
pub trait CipherUse {
    /// The operation it is part of.
    const ID: OperationId;
    /// What the key must be opened for.
    const USAGE: Usage;
    /// Which way data goes.
    const DIRECTION: Direction;
}

/// Encryption in parts.
pub struct Encrypting;
/// Decryption in parts.
pub struct Decrypting;

impl CipherUse for Encrypting {
    const ID: OperationId = OperationId::UseToEncrypt;
    const USAGE: Usage = Usage::ENCRYPT;
    const DIRECTION: Direction = Direction::Encrypt;
}

impl CipherUse for Decrypting {
    const ID: OperationId = OperationId::UseToDecrypt;
    const USAGE: Usage = Usage::DECRYPT;
    const DIRECTION: Direction = Direction::Decrypt;
}

/// What a MAC is computed for: [`Signing`] or [`Verifying`].
pub trait MacUse {
    /// The operation it is part of.
    const ID: OperationId;
    /// What the key must be opened for.
    const USAGE: Usage;
}

/// A MAC to be given out.
pub struct Signing;
/// A MAC to be compared.
pub struct Verifying;

impl MacUse for Signing {
    const ID: OperationId = OperationId::UseToSign;
    const USAGE: Usage = Usage::SIGN;
}

impl MacUse for Verifying {
    const ID: OperationId = OperationId::UseToVerify;
    const USAGE: Usage = Usage::VERIFY;
}

/// A message being encrypted or decrypted.
pub struct CipherRun<U> {
    pub(crate) stream: CipherStream,
    pub(crate) used: PhantomData<U>,
}

impl<U> CipherRun<U> {
    /// How many bytes the next part gives for an input of `len` bytes.
    #[must_use]
    pub fn update_len(&self, len: usize) -> usize {
        self.stream.update_len(len)
    }

    /// The most bytes that the end gives now.
    #[must_use]
    pub fn finish_len(&self) -> usize {
        self.stream.finish_len()
    }
}

/// A message whose MAC is being computed.
pub struct MacRun<U> {
    pub(crate) run: Box<dyn crypto::MacRun>,
    pub(crate) len: usize,
    pub(crate) used: PhantomData<U>,
}

macro_rules! requests {
    ($($(#[doc = $doc:literal])+ $name:ident<$bound:ident> => $answer:ty { $($(#[doc = $fdoc:literal])+ $field:ident: $type:ty,)* })+) => {$(
        $(#[doc = $doc])+
        pub struct $name<'a, U> { $($(#[doc = $fdoc])+ pub $field: $type,)* }

        impl<U: $bound> Operation for $name<'_, U> {
            const ID: OperationId = U::ID;
            type Answer = $answer;
        }
    )+};
}

requests! {
    /// Begins a message.
    StartCipher<CipherUse> => CipherRun<U> {
        /// The key, opened for this direction.
        key: &'a KeyHandle,
        /// The mode.
        mode: BlockMode,
        /// The direction.
        direction: PhantomData<U>,
    }
    /// Takes more of it.
    CipherPart<CipherUse> => usize {
        /// The key it was begun with.
        key: &'a KeyHandle,
        /// The message.
        run: &'a mut CipherRun<U>,
        /// The next part.
        input: &'a [u8],
        /// At least [`CipherRun::update_len`] bytes.
        out: &'a mut [u8],
    }
    /// Ends it.
    FinishCipher<CipherUse> => usize {
        /// The key it was begun with.
        key: &'a KeyHandle,
        /// The message.
        run: &'a mut CipherRun<U>,
        /// At least [`CipherRun::finish_len`] bytes.
        out: &'a mut [u8],
    }
    /// Begins a message to be authenticated.
    StartMac<MacUse> => MacRun<U> {
        /// The key, opened for signing or verifying.
        key: &'a KeyHandle,
        /// Which MAC.
        scheme: MacScheme,
        /// What it is for.
        used: PhantomData<U>,
    }
    /// Takes more of it.
    FeedMac<MacUse> => () {
        /// The key it was begun with.
        key: &'a KeyHandle,
        /// The message.
        run: &'a mut MacRun<U>,
        /// The next part.
        input: &'a [u8],
    }
}

/// Ends a message and gives its tag.
pub struct FinishMac<'a> {
    /// The key it was begun with.
    pub key: &'a KeyHandle,
    /// The message.
    pub run: &'a mut MacRun<Signing>,
    /// At least the scheme's length in bytes.
    pub out: &'a mut [u8],
}

impl Operation for FinishMac<'_> {
    const ID: OperationId = Signing::ID;
    type Answer = usize;
}

/// Ends a message and says whether its tag is right; the right one is not told.
pub struct CheckMac<'a> {
    /// The key it was begun with.
    pub key: &'a KeyHandle,
    /// The message.
    pub run: &'a mut MacRun<Verifying>,
    /// The tag to compare with, in constant time.
    pub tag: &'a [u8],
}

impl Operation for CheckMac<'_> {
    const ID: OperationId = Verifying::ID;
    type Answer = bool;
}
