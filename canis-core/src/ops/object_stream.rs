//! The uses of an opened key with the caller's mechanism, in parts.

use super::object_use::too_small;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::crypto::{CipherStream, MAX_DIGEST};
use crate::keyring::Keyring;
use crate::object::{
    CheckMac, CipherPart, CipherRun, CipherUse, FeedMac, FinishCipher, FinishMac, MacRun, MacUse, Signing,
    StartCipher, StartMac, Verifying,
};
use canis_proto::{Error, Result};
use zeroize::Zeroizing;

impl<U: CipherUse> Run for StartCipher<'_, U> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<CipherRun<U>> {
        let key = keyring.still(caller, self.key, U::USAGE)?;
        let stream = CipherStream::new(key.blocks()?, self.mode, U::DIRECTION)?;
        Ok(CipherRun { stream, used: self.direction })
    }
}

impl<U: CipherUse> Run for CipherPart<'_, U> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn brings(&self) -> Option<usize> {
        Some(self.input.len())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(*answer)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<usize> {
        keyring.still(caller, self.key, U::USAGE)?;
        self.run.stream.update(self.input, self.out)
    }
}

impl<U: CipherUse> Run for FinishCipher<'_, U> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(*answer)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<usize> {
        let key = keyring.still(caller, self.key, U::USAGE)?;
        let done = self.run.stream.finish(self.out)?;
        keyring.count(&key);
        Ok(done)
    }
}

impl<U: MacUse> Run for StartMac<'_, U> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<MacRun<U>> {
        let key = keyring.still(caller, self.key, U::USAGE)?;
        let scheme = self.scheme;
        if !(1..=scheme.with.tag_len()).contains(&scheme.len) {
            return Err(Error::invalid("no tag has that length"));
        }
        let run = key.mac(keyring, scheme.with)?.start()?;
        Ok(MacRun { run, len: scheme.len, used: self.used })
    }
}

impl<U: MacUse> Run for FeedMac<'_, U> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn brings(&self) -> Option<usize> {
        Some(self.input.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<()> {
        keyring.still(caller, self.key, U::USAGE)?;
        self.run.run.update(self.input)
    }
}

impl Run for FinishMac<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(*answer)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<usize> {
        let key = keyring.still(caller, self.key, Signing::USAGE)?;
        let len = self.run.len;
        let out = self.out.get_mut(..len).ok_or_else(too_small)?;
        let mut tag = Zeroizing::new([0; MAX_DIGEST]);
        self.run.run.finish(&mut tag)?;
        out.copy_from_slice(&tag[..len]);
        keyring.count(&key);
        Ok(len)
    }
}

impl Run for CheckMac<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.key.object)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<bool> {
        let key = keyring.still(caller, self.key, Verifying::USAGE)?;
        let valid = self.run.run.verify(self.run.len, self.tag)?;
        keyring.count(&key);
        Ok(valid)
    }
}
