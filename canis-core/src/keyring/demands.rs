//! What a tenant's policies have others approve, and whether it is approved.

use super::Keyring;
use super::policy::KeptPolicy;
use super::policy_record::TextKind;
use crate::core::Resource;
use crate::policy::{Demand, Policy};
use crate::store::KeyRow;
use canis_proto::{Capability, Id, Result};

impl Keyring {
    /// What a tenant's policies demand, all of them: whoever bears them.
    ///
    /// # Errors
    /// `store_format` for a policy that this CANIS does not understand, for it may demand something.
    pub(crate) fn demanded(&self, tenant: Id, capability: Capability, path: &[u8]) -> Result<Vec<Demand>> {
        let policies = self.demanding(tenant)?;
        Ok(policies.iter().flat_map(|policy| policy.demands(capability, path).cloned()).collect())
    }

    /// The policies of a tenant that demand something.
    pub(super) fn demanding(&self, tenant: Id) -> Result<Vec<Policy>> {
        let texts = self.texts(tenant, TextKind::Policy)?;
        texts.iter().filter(|kept| kept.record.text.contains("approvals")).map(KeptPolicy::rules).collect()
    }

    /// The first of these keys whose destruction the tenant's policies have others approve: it keeps what holds it from being
    /// wiped.
    ///
    /// # Errors
    /// As [`Keyring::run`].
    pub(crate) fn guarded_key<'a>(&self, tenant: Id, keys: &'a [KeyRow]) -> Result<Option<&'a KeyRow>> {
        let policies = self.demanding(tenant)?;
        let guarded = |key: &&KeyRow| {
            let path = Resource::Key(&key.name).path();
            policies.iter().any(|policy| policy.demands(Capability::Delete, &path).next().is_some())
        };
        Ok(keys.iter().find(guarded))
    }
}

/// Whether these, each with the policies that let him approve, are as many as are demanded.
pub(super) fn satisfied(demand: &Demand, given: &[Vec<String>]) -> bool {
    let fits = |policies: &&Vec<String>| {
        demand.approvers.is_empty() || policies.iter().any(|name| demand.approvers.contains(name))
    };
    given.iter().filter(fits).count() >= demand.needed as usize
}
