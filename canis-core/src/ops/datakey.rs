//! `datakey`: a random key for the caller's own use, encrypted under a key of the store.

use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::keyring::Keyring;
use crate::secret::SecretBytes;
use canis_proto::answer::DataKey;
use canis_proto::message::MakeDataKey;
use canis_proto::{Error, Result, Usage};

/// The lengths of data keys in bytes: from AES-128's key to HMAC-SHA-512's.
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=64;

/// The length of one that nobody has given a length: AES-256's key.
const USUAL: usize = 32;

impl Run for MakeDataKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::default().within(&self.context)
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.ciphertext.len() + answer.plaintext.as_ref().map_or(0, Vec::len))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<DataKey> {
        let length = match usize::try_from(self.length).unwrap_or(usize::MAX) {
            0 => USUAL,
            length if LENGTHS.contains(&length) => length,
            length => {
                let (least, most) = (LENGTHS.start(), LENGTHS.end());
                return Err(Error::invalid(format!("a data key has {least} to {most} bytes, not {length}")));
            }
        };
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.usable(&tenant, &self.name)?;
        keyring.require_cipher(&tenant, &key, (Usage::ENCRYPT, "encrypt"))?;
        let made = SecretBytes::filled(length, |out| keyring.provider.random.fill(out))?;
        let version = key.record.current_version;
        let ciphertext = keyring.encrypt(&tenant, &key, version, made.expose(), &self.context)?;
        Ok(DataKey { ciphertext, plaintext: self.plaintext.then(|| made.expose().to_vec()) })
    }
}
