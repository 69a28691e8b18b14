//! Messages in parts with a ready key: ciphers that give their output as they go, and MACs.

use super::embedded::OpenedHere;
use super::keeper::{Keeper, elsewhere};
use super::key::{OpenedKey, ReadyKey};
use super::remote::RemoteMac;
use canis_core::crypto::{BlockMode, CipherStream};
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
    /// Block by block at a server.
    Remote(Box<CipherStream>),
}

impl<U: CipherUse> CipherParts<U> {
    /// Begins a message.
    pub(crate) fn start(keeper: &Keeper, key: &ReadyKey, mode: BlockMode) -> Result<Self> {
        match (key.opened(), keeper) {
            (OpenedKey::Embedded(OpenedHere { key, caller }), Keeper::Embedded(embedded)) => {
                let start = StartCipher { key, mode, direction: PhantomData };
                Ok(CipherParts::Embedded(Box::new(embedded.core.call(caller, start)?)))
            }
            (OpenedKey::Remote(there), Keeper::Remote(remote)) => {
                Ok(CipherParts::Remote(Box::new(remote.start_cipher::<U>(there, mode)?)))
            }
            _ => Err(elsewhere()),
        }
    }

    /// How many bytes the next part gives for an input of `len` bytes.
    pub(crate) fn update_len(&self, len: usize) -> usize {
        match self {
            CipherParts::Embedded(run) => run.update_len(len),
            CipherParts::Remote(stream) => stream.update_len(len),
        }
    }

    /// The most bytes that the end gives now.
    pub(crate) fn finish_len(&self) -> usize {
        match self {
            CipherParts::Embedded(run) => run.finish_len(),
            CipherParts::Remote(stream) => stream.finish_len(),
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
            (CipherParts::Remote(stream), ..) => stream.update(input, out),
            _ => Err(elsewhere()),
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
            (CipherParts::Remote(stream), ..) => stream.finish(out),
            _ => Err(elsewhere()),
        }
    }
}

/// A message whose MAC is being computed.
pub(crate) enum MacParts<U> {
    /// By the core in this process.
    Embedded(MacRun<U>),
    /// Kept, to be sent in one.
    Remote(RemoteMac),
}

impl<U: MacUse> MacParts<U> {
    /// Begins a message.
    pub(crate) fn start(keeper: &Keeper, key: &ReadyKey, scheme: MacScheme) -> Result<Self> {
        match (key.opened(), keeper) {
            (OpenedKey::Embedded(OpenedHere { key, caller }), Keeper::Embedded(embedded)) => {
                let start = StartMac { key, scheme, used: PhantomData };
                Ok(MacParts::Embedded(embedded.core.call(caller, start)?))
            }
            (OpenedKey::Remote(_), Keeper::Remote(_)) => Ok(MacParts::Remote(RemoteMac::new(scheme))),
            _ => Err(elsewhere()),
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
            (MacParts::Remote(mac), ..) => mac.update(input),
            _ => Err(elsewhere()),
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
            (MacParts::Remote(mac), OpenedKey::Remote(there), Keeper::Remote(remote)) => {
                mac.finish(remote, there, out)
            }
            _ => Err(elsewhere()),
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
            (MacParts::Remote(mac), OpenedKey::Remote(there), Keeper::Remote(remote)) => {
                mac.check(remote, there, tag)
            }
            _ => Err(elsewhere()),
        }
    }
}
