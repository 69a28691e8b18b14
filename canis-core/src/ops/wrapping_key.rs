//! `key.wrapping-key`: the public key under which customers wrap the keys they bring.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use canis_proto::Result;
use canis_proto::answer::WrappingKeyInfo;
use canis_proto::message::WrappingKey;

impl Run for WrappingKey {
    fn resource(&self) -> Resource<'_> {
        Resource::Keys
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.spki.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<WrappingKeyInfo> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        Ok(WrappingKeyInfo { spki: keyring.wrapping_key(&tenant, self.kind)?.public_spki().to_vec() })
    }
}
