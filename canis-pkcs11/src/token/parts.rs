//! Messages in parts with a ready key: ciphers that give their output as they go, and MACs.

use super::embedded::OpenedHere;
use super::keeper::Keeper;
use super::key::{OpenedKey, ReadyKey};
use canis_core::crypto::BlockMode;
use canis_core::object::{
    CheckMac, CipherPart, CipherRun, CipherUse, FeedMac, FinishCipher, FinishMac, MacRun, MacScheme, MacUse,
    Signing, StartCipher, StartMac, Verifying,
};
use canis_proto::Result;
use std::marker::PhantomData;

/// A message being encrypted or decrypted.
pub(crate) enum CipherParts<U> {
    /// By the core in this process.
    Embedded(Box<CipherRun<U>>),
}

impl<U: CipherUse> CipherParts<U> {
    /// Begins a message.
    pub(crate) fn start(keeper: &Keeper, key: &ReadyKey, mode: BlockMode) -> Result<Self> {
        match (key.opened(), keeper) {
            (OpenedKey::Embedded(OpenedHere { key, caller }), Keeper::Embedded(embedded)) => {
                let start = StartCipher { key, mode, direction: PhantomData };
                Ok(CipherParts::Embedded(Box::new(embedded.core.call(caller, start)?)))
            }
        }
    }

    /// How many bytes the next part gives for an input of `len` bytes.
    pub(crate) fn update_len(&self, len: usize) -> usize {
        match self {
            CipherParts::Embedded(run) => run.update_len(len),
        }
    }

    /// The most bytes that the end gives now.
    pub(crate) fn finish_len(&self) -> usize {
        match self {
            CipherParts::Embedded(run) => run.finish_len(),
        }
    }

    /// Takes more of it; gives [`Self::update_len`] bytes.
    pub(crate) fn update(
        &mut self,
        keeper: &Keeper,
        key: &ReadyKey,
        input: &[u8],
        out: &mut [u8],
    ) -> Result<usize> {
        match (self, key.opened(), keeper) {
            (
                CipherParts::Embedded(run),
                OpenedKey::Embedded(OpenedHere { key, caller }),
                Keeper::Embedded(embedded),
            ) => embedded.core.call(caller, CipherPart { key, run, input, out }),
        }
    }

    /// Ends it; gives [`Self::finish_len`] bytes or fewer.
    pub(crate) fn finish(&mut self, keeper: &Keeper, key: &ReadyKey, out: &mut [u8]) -> Result<usize> {
        match (self, key.opened(), keeper) {
            (
                CipherParts::Embedded(run),
                OpenedKey::Embedded(OpenedHere { key, caller }),
                Keeper::Embedded(embedded),
            ) => embedded.core.call(caller, FinishCipher { key, run, out }),
        }
    }
}

/// A message whose MAC is being computed.
pub(crate) enum MacParts<U> {
    /// By the core in this process.
    Embedded(MacRun<U>),
}

impl<U: MacUse> MacParts<U> {
    /// Begins a message.
    pub(crate) fn start(keeper: &Keeper, key: &ReadyKey, scheme: MacScheme) -> Result<Self> {
        match (key.opened(), keeper) {
            (OpenedKey::Embedded(OpenedHere { key, caller }), Keeper::Embedded(embedded)) => {
                let start = StartMac { key, scheme, used: PhantomData };
                Ok(MacParts::Embedded(embedded.core.call(caller, start)?))
            }
        }
    }

    /// Takes more of it.
    pub(crate) fn update(&mut self, keeper: &Keeper, key: &ReadyKey, input: &[u8]) -> Result<()> {
        match (self, key.opened(), keeper) {
            (
                MacParts::Embedded(run),
                OpenedKey::Embedded(OpenedHere { key, caller }),
                Keeper::Embedded(embedded),
            ) => embedded.core.call(caller, FeedMac { key, run, input }),
        }
    }
}

impl MacParts<Signing> {
    /// Ends the message and gives its tag.
    pub(crate) fn finish(&mut self, keeper: &Keeper, key: &ReadyKey, out: &mut [u8]) -> Result<usize> {
        match (self, key.opened(), keeper) {
            (
                MacParts::Embedded(run),
                OpenedKey::Embedded(OpenedHere { key, caller }),
                Keeper::Embedded(embedded),
            ) => embedded.core.call(caller, FinishMac { key, run, out }),
        }
    }
}

impl MacParts<Verifying> {
    /// Ends the message and says whether its tag is right.
    pub(crate) fn check(&mut self, keeper: &Keeper, key: &ReadyKey, tag: &[u8]) -> Result<bool> {
        match (self, key.opened(), keeper) {
            (
                MacParts::Embedded(run),
                OpenedKey::Embedded(OpenedHere { key, caller }),
                Keeper::Embedded(embedded),
            ) => embedded.core.call(caller, CheckMac { key, run, tag }),
        }
    }
}
