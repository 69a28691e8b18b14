//! `policy.explain`: what is decided for a credential, and by which rule. It asks the same rules in the same way as the
//! one door does, so that it cannot say anything else.

use super::credential::no_credential;
use crate::caller::Caller;
use crate::core::{Facts, Resource, Run};
use crate::identity::Role;
use crate::keyring::Keyring;
use crate::keyring::policy_record::TextKind;
use crate::keyring::roles::KeptRole;
use crate::policy::{Asked, OfKey, Rights, Source, context_of};
use canis_proto::policy::{ExplainPolicy, Explained};
use canis_proto::{Capabilities, Capability, Error, Id, Result, quote};

/// Before the names of roles, where no credential is asked about.
const BY_ROLES: &str = "role:";

impl Run for ExplainPolicy<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("policies")
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Explained> {
        caller.tenant()?;
        let rights = keyring.rights_of(caller, &self)?;
        let source =
            match &*self.source {
                "" => caller.origin().source,
                "local" => Source::Local,
                address => Source::Network(address.parse().map_err(|_| {
                    Error::invalid(format!("`{}` is no address, nor `local`", quote(address)))
                })?),
            };
        let key = keyring.key_meant(caller, &self)?;
        let decision = rights.decide(&Asked {
            capability: self.capability,
            path: self.path.as_bytes(),
            key,
            payload: self.payload,
            context: context_of(self.capability, key, self.context.as_deref()),
            now_micros: keyring.clock.now_micros(),
            source,
        });
        Ok(Explained {
            allowed: decision.allowed,
            why: decision.to_string(),
            policy: decision.rule.map(|rule| rule.policy.to_owned()),
            line: decision.rule.and_then(|rule| rule.line.try_into().ok()),
            rule: decision.rule.map(|rule| rule.path.to_owned()),
        })
    }
}

impl Keyring {
    /// The rights that are asked about: the caller's own are told him, another's to administrators.
    fn rights_of(&self, caller: &Caller, request: &ExplainPolicy<'_>) -> Result<Rights> {
        if request.who.is_empty() {
            return Ok(caller.rights().clone());
        }
        self.require(caller, Capability::Admin, request.resource(), Facts::default())?;
        if let Some(names) = request.who.strip_prefix(BY_ROLES) {
            return self.rights_by_roles(caller.tenant()?, names);
        }
        let row = self.credential_named(caller, &request.who)?.ok_or_else(|| no_credential(&request.who))?;
        let record = self.read_token(&row)?;
        self.rights(row.tenant_id, Capabilities::from_bits(record.capabilities), &record.policies)
    }

    /// The rights of whoever comes in by these roles, whose names have commas between.
    fn rights_by_roles(&self, tenant: Id, names: &str) -> Result<Rights> {
        let read = |name: &str| {
            let kept = self.text(tenant, TextKind::Role, name)?;
            Ok(KeptRole { role: Role::read(&kept.record.text)?, name: kept.record.name })
        };
        let roles = names.split(',').map(read).collect::<Result<Vec<_>>>()?;
        Ok(self.combined(tenant, roles.iter())?.unwrap_or_else(|| Rights::everywhere(Capabilities::NONE)))
    }

    /// The key that is asked about: of the type that is said, or of the one that the path leads to.
    fn key_meant(&self, caller: &Caller, request: &ExplainPolicy<'_>) -> Result<OfKey> {
        match (request.key_type, request.path.strip_prefix("kms/keys/")) {
            (Some(kind), _) => Ok(OfKey::Type(kind)),
            (None, Some(name)) => self.kind_of(caller, name),
            (None, None) => Ok(OfKey::None),
        }
    }
}
