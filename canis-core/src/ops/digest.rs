//! `hash` and `random`: what needs no key.

use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::{Hash, MAX_DIGEST};
use crate::keyring::Keyring;
use canis_proto::answer::{Digest, RandomBytes};
use canis_proto::message::{HashData, Random};
use canis_proto::{Error, HashName, Result};

/// The most random bytes that one request gets.
const MOST_RANDOM: usize = 65_536;

/// The hash function of this name.
pub(super) fn hash_of(name: HashName) -> Hash {
    match name {
        HashName::Sha256 => Hash::Sha256,
        HashName::Sha384 => Hash::Sha384,
        HashName::Sha512 => Hash::Sha512,
        HashName::Sha3_256 => Hash::Sha3_256,
        HashName::Sha3_384 => Hash::Sha3_384,
        HashName::Sha3_512 => Hash::Sha3_512,
    }
}

impl Run for HashData<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("hash")
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.data.len())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.digest.len())
    }

    fn run(self, keyring: &Keyring, _: &Caller) -> Result<Digest> {
        let mut digest = [0; MAX_DIGEST];
        let len = keyring.provider.digest.hash(hash_of(self.hash), &self.data, &mut digest);
        Ok(Digest { digest: digest[..len].to_vec() })
    }
}

impl Run for Random {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("random")
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.bytes.len())
    }

    fn run(self, keyring: &Keyring, _: &Caller) -> Result<RandomBytes> {
        let length = usize::try_from(self.length).unwrap_or(usize::MAX);
        if !(1..=MOST_RANDOM).contains(&length) {
            return Err(Error::invalid(format!(
                "1 to {MOST_RANDOM} random bytes are given at a time, not {length}"
            )));
        }
        let mut bytes = vec![0; length];
        keyring.provider.random.fill(&mut bytes)?;
        Ok(RandomBytes { bytes })
    }
}
