//! `mac` with the current version of a generic secret, `verify-mac` with the one in the MAC.

use super::decrypt::made_by;
use super::digest::hash_of;
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::crypto::{Hash, MAX_DIGEST, MacRun};
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::role::Roles;
use crate::keyring::tenant::OpenTenant;
use crate::object::mechanism;
use canis_proto::answer::{MacMade, Verified};
use canis_proto::message::{Mac, VerifyMac};
use canis_proto::text::Sealed;
use canis_proto::{Error, ErrorCode, Family, Result, Usage};
use subtle::ConstantTimeEq;

impl Run for Mac<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.message.len())
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.mac.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<MacMade> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.key(&tenant, &self.name)?;
        makes_macs(&key)?;
        let hash = hash_of(self.hash);
        keyring.require_by(&tenant, &key, (Usage::SIGN, "make MACs"), mechanism::of_hmac(hash))?;
        let version = key.record.current_version;
        let bytes = keyring.hmac(&tenant, &key, version, hash, &self.message)?;
        let name = key.record.name.clone();
        Ok(MacMade { mac: Sealed { name, version, bytes }.to_text() })
    }
}

impl Run for VerifyMac<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn facts(&self) -> Facts<'_> {
        Facts::payload(self.message.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Verified> {
        let sealed = Sealed::parse(&self.mac)?;
        made_by(&sealed, &self.name, "MAC")?;
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.key(&tenant, &self.name)?;
        makes_macs(&key)?;
        let hash = hash_of(self.hash);
        keyring.require_by(&tenant, &key, (Usage::VERIFY, "check MACs"), mechanism::of_hmac(hash))?;
        key.allow_old(sealed.version)?;
        let made = keyring.hmac(&tenant, &key, sealed.version, hash, &self.message)?;
        // Of one length or it is wrong: a MAC that was cut short is not accepted.
        Ok(Verified { valid: made.ct_eq(&sealed.bytes).into() })
    }
}

pub(super) fn makes_macs(key: &Key) -> Result<()> {
    if key.kind.family() == Family::Generic {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::OperationNotSupported,
        format!(
            "key `{}` is of type {}, which makes no MACs; a `generic` key does",
            key.record.name, key.kind
        ),
    ))
}

impl Keyring {
    /// A MAC by a version of `key`, to be computed in parts.
    pub(super) fn hmac_run(
        &self,
        tenant: &OpenTenant,
        key: &Key,
        version: u32,
        hash: Hash,
    ) -> Result<Box<dyn MacRun>> {
        let ready = self.ready(tenant, key, version)?;
        self.claim_to_show(tenant, key, &ready, (Roles::MACS, Roles::DERIVES))?;
        let mac = ready.hmac(self.provider, hash)?;
        mac.ok_or_else(|| Error::internal("a generic secret without its value"))?.start()
    }

    fn hmac(
        &self,
        tenant: &OpenTenant,
        key: &Key,
        version: u32,
        hash: Hash,
        message: &[u8],
    ) -> Result<Vec<u8>> {
        let mut run = self.hmac_run(tenant, key, version, hash)?;
        let mut tag = [0; MAX_DIGEST];
        run.update(message)?;
        let len = run.finish(&mut tag)?;
        self.used(key, version);
        Ok(tag[..len].to_vec())
    }
}
