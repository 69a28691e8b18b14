//! `policy.…`: the policies of a tenant, and what they decide. Nobody writes into a policy more than he may himself, nor
//! takes a denial out of one that stands in his own way.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::intent::Intent;
use crate::keyring::policy::KeptPolicy;
use crate::keyring::policy_record::{PolicyRecord, TextKind};
use crate::keyring::roles::KeptRole;
use crate::policy::{Policy, Rights, Rules};
use canis_proto::policy::{
    DeletePolicy, GetPolicy, ListPolicies, PolicyDeleted, PolicyInfo, PolicyList, PolicyText, PutPolicy,
    check_policy_name,
};
use canis_proto::{Capabilities, Capability, Error, ErrorCode, Id, Result, quote};
use std::sync::Arc;

impl Run for PutPolicy<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Policy(&self.name)
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        let intent = Intent::of(Capability::Admin, self, &["name", "text", "revision", "force"]);
        let new = Policy::read(&self.text)?;
        keyring.lowering(caller, &self.name, &new, intent).map(Some)
    }

    fn brings(&self) -> Option<usize> {
        Some(self.text.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<PolicyInfo> {
        check_policy_name(&self.name)?;
        let new = Policy::read(&self.text)?;
        let tenant = caller.tenant()?;
        let old = keyring.policy_if_there(tenant, &self.name)?;
        expect(TextKind::Policy, &self.name, old.as_ref(), self.revision)?;
        let given = rights_of(&self.name, &new);
        keyring.may_give(caller, &given)?;
        if let Some(old) = &old {
            keyring.may_lift(caller, old, &given)?;
        }
        if !self.force {
            keyring.keep_an_administrator(tenant, &self.name, &new)?;
        }
        let updated_at = keyring.clock.now_micros();
        let record =
            PolicyRecord { name: self.name.clone().into_owned(), text: self.text.into_owned(), updated_at };
        let revision = keyring.write_text(tenant, TextKind::Policy, old.as_ref(), &record)?;
        Ok(PolicyInfo { name: record.name, revision, rules: count(&new), updated_at })
    }
}

impl Run for GetPolicy<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Policy(&self.name)
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.text.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<PolicyText> {
        let KeptPolicy { revision, record, .. } = keyring.policy(caller.tenant()?, &self.name)?;
        Ok(PolicyText { name: record.name, revision, text: record.text, updated_at: record.updated_at })
    }
}

impl Run for ListPolicies<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("policies")
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<PolicyList> {
        let kept = keyring.texts(caller.tenant()?, TextKind::Policy)?;
        let told = |kept: &KeptPolicy| {
            let (name, updated_at) = (kept.record.name.clone(), kept.record.updated_at);
            // One that is not understood is there all the same.
            let rules = kept.rules().map_or(0, |policy| count(&policy));
            PolicyInfo { name, revision: kept.revision, rules, updated_at }
        };
        let wanted = kept.iter().filter(|kept| kept.record.name.starts_with(&*self.prefix));
        Ok(PolicyList { policies: wanted.map(told).collect() })
    }
}

impl Run for DeletePolicy<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Policy(&self.name)
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        let intent = Intent::of(Capability::Admin, self, &["name", "revision", "force"]);
        let nothing = Policy::read("")?;
        keyring.lowering(caller, &self.name, &nothing, intent).map(Some)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<PolicyDeleted> {
        let tenant = caller.tenant()?;
        let old = keyring.policy(tenant, &self.name)?;
        expect(TextKind::Policy, &self.name, Some(&old), self.revision)?;
        let bearers = keyring.bearers_of(tenant, &self.name)?;
        if !self.force && bearers > 0 {
            let why = format!(
                "policy `{}` is named by {bearers} credentials and roles; revoke them first, or say --force, and they are \
                 forbidden everything until it is there again",
                quote(&self.name)
            );
            return Err(Error::new(ErrorCode::OperationNotAllowed, why));
        }
        if bearers > 0 {
            // Where it is named and gone it forbids everything; but somebody may write a milder one in its place.
            keyring.may_lift(caller, &old, &Rights::everywhere(Capabilities::NONE))?;
        }
        keyring.remove_policy(&old)?;
        Ok(PolicyDeleted { name: self.name.into_owned() })
    }
}

/// The rights of one policy alone.
fn rights_of(name: &str, policy: &Policy) -> Rights {
    Rights::new(Capabilities::NONE, Some(Arc::new(Rules::of([(name, policy)]))))
}

fn count(policy: &Policy) -> u32 {
    u32::try_from(policy.len()).unwrap_or(u32::MAX)
}

/// Refuses a policy or role of another revision than the caller has seen.
pub(super) fn expect(
    kind: TextKind,
    name: &str,
    there: Option<&KeptPolicy>,
    wanted: Option<u64>,
) -> Result<()> {
    let now = there.map_or(0, |there| there.revision);
    if wanted.is_none_or(|wanted| wanted == now) {
        return Ok(());
    }
    let (kind, name) = (kind.name(), quote(name));
    let why = match now {
        0 => format!("there is no {kind} `{name}` any more; write it as a new one"),
        _ => format!("{kind} `{name}` has revision {now} by now; read it again"),
    };
    Err(Error::new(ErrorCode::Conflict, why))
}

impl Keyring {
    /// The same, which those have to approve whose approvals policy `name` demands now and would no longer as `new`.
    fn lowering(&self, caller: &Caller, name: &str, new: &Policy, mut intent: Intent) -> Result<Intent> {
        if let Some(old) = self.policy_if_there(caller.tenant()?, name)? {
            // One that this CANIS does not understand is replaced by who may do anything; see below.
            let lost = old.rules().map(|old| old.lowered(new).into_iter().cloned().collect::<Vec<_>>());
            intent.demands.extend(lost.unwrap_or_default());
        }
        Ok(intent)
    }

    /// Refuses a text that denies less than the one before, if the caller may not do what it denied.
    fn may_lift(&self, caller: &Caller, old: &KeptPolicy, new: &Rights) -> Result<()> {
        // What this CANIS does not understand is replaced by who may do anything.
        let old = match old.rules() {
            Ok(policy) => rights_of(&old.record.name, &policy),
            Err(_) => return self.may_give(caller, &Rights::everywhere(Capabilities::ALL)),
        };
        self.may_lift_rights(caller, &old, new)
    }

    /// The same of rights.
    ///
    /// # Errors
    /// `permission_denied`.
    pub(super) fn may_lift_rights(&self, caller: &Caller, old: &Rights, new: &Rights) -> Result<()> {
        caller.rights().may_lift(old, new).map_err(|lacked| {
            let why = format!(
                "you cannot lift a denial of what you lack yourself: `{}` on \"{}\"",
                lacked.capability, lacked.path
            );
            Error::new(ErrorCode::PermissionDenied, why)
        })
    }

    /// How many credentials and roles name the policy.
    fn bearers_of(&self, tenant: Id, policy: &str) -> Result<usize> {
        let names = |role: &&KeptRole| role.role.policies.iter().any(|name| name == policy);
        let mut bearers = self.roles_of(tenant)?.roles.iter().filter(names).count();
        for row in self.store.tokens(tenant)? {
            bearers += usize::from(self.read_token(&row)?.policies.iter().any(|name| name == policy));
        }
        Ok(bearers)
    }

    /// Refuses a change of a policy after which no credential of the tenant can change policies any more, if one can now.
    fn keep_an_administrator(&self, tenant: Id, changed: &str, new: &Policy) -> Result<()> {
        let (mut now, mut then, path) = (false, false, Resource::Policy(changed).path());
        for row in self.store.tokens(tenant)? {
            let record = self.read_token(&row)?;
            if record.expires_at.is_some_and(|end| end <= self.clock.now_micros()) {
                continue;
            }
            let own = Capabilities::from_bits(record.capabilities);
            let administers = |rights: &Rights| rights.always_allow(Capability::Admin, &path);
            now |= administers(&self.rights(tenant, own, &record.policies)?);
            then |= administers(&self.rights_with(tenant, own, &record.policies, (changed, new))?);
        }
        if then || !now {
            return Ok(());
        }
        let why = format!(
            "after that no credential could change policy `{}` any more, only this host's administrator; say --force \
             if that is meant",
            quote(changed)
        );
        Err(Error::new(ErrorCode::OperationNotAllowed, why))
    }
}
