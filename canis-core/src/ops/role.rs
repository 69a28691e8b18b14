//! `role.…`: whom a tenant lets in, and by which policies. Nobody gives by a role more than he has, nor takes away one
//! that stands in his own way.

use super::policy::expect;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::identity::{Binding, Role};
use crate::keyring::Keyring;
use crate::keyring::intent::Intent;
use crate::keyring::policy::KeptPolicy;
use crate::keyring::policy_record::{PolicyRecord, TextKind};
use crate::policy::Rights;
use canis_proto::policy::check_policy_name;
use canis_proto::role::{DeleteRole, GetRole, ListRoles, PutRole, RoleDeleted, RoleInfo, RoleList, RoleText};
use canis_proto::{Capabilities, Capability, Error, ErrorCode, Id, Result};

impl Run for PutRole<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Role(&self.name)
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        let tenant = keyring.tenant_meant(caller, &self.tenant)?;
        Ok(Some(
            Intent::of(Capability::Admin, self, &["name", "text", "tenant", "revision"]).in_tenant(tenant),
        ))
    }

    fn brings(&self) -> Option<usize> {
        Some(self.text.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<RoleInfo> {
        check_policy_name(&self.name)?;
        let tenant = keyring.tenant_meant(caller, &self.tenant)?;
        let new = Role::read(&self.text)?;
        for name in &new.policies {
            keyring.policy(tenant, name)?;
        }
        let old = keyring.text_if_there(tenant, TextKind::Role, &self.name)?;
        expect(TextKind::Role, &self.name, old.as_ref(), self.revision)?;
        keyring.may_let_in(caller, tenant, &new)?;
        let given = keyring.rights(tenant, new.capabilities, &new.policies)?;
        keyring.may_give(caller, &given)?;
        if let Some(old) = &old {
            keyring.may_end(caller, tenant, old, Some((&new, &given)))?;
        }
        let updated_at = keyring.clock.now_micros();
        let record = PolicyRecord { name: self.name.into_owned(), text: self.text.into_owned(), updated_at };
        let revision = keyring.write_text(tenant, TextKind::Role, old.as_ref(), &record)?;
        Ok(told(&record, revision, &new))
    }
}

impl Run for GetRole<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Role(&self.name)
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.text.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<RoleText> {
        let tenant = keyring.tenant_meant(caller, &self.tenant)?;
        let KeptPolicy { revision, record, .. } = keyring.text(tenant, TextKind::Role, &self.name)?;
        Ok(RoleText { name: record.name, revision, text: record.text, updated_at: record.updated_at })
    }
}

impl Run for ListRoles<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Part("roles")
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<RoleList> {
        let kept = keyring.texts(keyring.tenant_meant(caller, &self.tenant)?, TextKind::Role)?;
        let wanted = kept.iter().filter(|kept| kept.record.name.starts_with(&*self.prefix));
        // One that is not understood is there all the same.
        let nothing =
            || Role { policies: Vec::new(), capabilities: Capabilities::NONE, bindings: Vec::new() };
        let line = |kept: &KeptPolicy| {
            told(&kept.record, kept.revision, &Role::read(&kept.record.text).unwrap_or_else(|_| nothing()))
        };
        Ok(RoleList { roles: wanted.map(line).collect() })
    }
}

impl Run for DeleteRole<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Role(&self.name)
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        let tenant = keyring.tenant_meant(caller, &self.tenant)?;
        Ok(Some(Intent::of(Capability::Admin, self, &["name", "tenant", "revision"]).in_tenant(tenant)))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<RoleDeleted> {
        let tenant = keyring.tenant_meant(caller, &self.tenant)?;
        let old = keyring.text(tenant, TextKind::Role, &self.name)?;
        expect(TextKind::Role, &self.name, Some(&old), self.revision)?;
        keyring.may_end(caller, tenant, &old, None)?;
        keyring.remove_policy(&old)?;
        Ok(RoleDeleted { name: self.name.into_owned() })
    }
}

fn told(record: &PolicyRecord, revision: u64, role: &Role) -> RoleInfo {
    let mut binds: Vec<_> = role.bindings.iter().map(|binding| Binding::name(binding).to_owned()).collect();
    binds.dedup();
    RoleInfo {
        name: record.name.clone(),
        revision,
        binds,
        policies: role.policies.clone(),
        updated_at: record.updated_at,
    }
}

impl Keyring {
    /// Refuses a role that is about callers of the whole server, written by who decides over a tenant only.
    fn may_let_in(&self, caller: &Caller, tenant: Id, role: &Role) -> Result<()> {
        if !role.lets_in() || caller.is_on_host() || self.first_tenant().ok() == Some(tenant) {
            return Ok(());
        }
        let why = "whose certificate, user or JWT stands for a caller of this tenant is said on the server's own host only, \
                   by its socket";
        Err(Error::new(ErrorCode::PermissionDenied, why))
    }

    /// Refuses to take away what a role denies, if the caller may not do that: whoever the role is about may have more
    /// without it. In place of it stands `new`, which counts where it is about the same callers.
    fn may_end(
        &self,
        caller: &Caller,
        tenant: Id,
        old: &KeptPolicy,
        new: Option<(&Role, &Rights)>,
    ) -> Result<()> {
        let nothing = Rights::everywhere(Capabilities::NONE);
        // What this CANIS does not understand is replaced by who may do anything.
        let Ok(role) = Role::read(&old.record.text) else {
            return self.may_give(caller, &Rights::everywhere(Capabilities::ALL));
        };
        // What PINs may is bounded by their roles: without one, nothing bounds it.
        let bounds = |role: &Role| role.is_of_pins();
        if bounds(&role)
            && !new.is_some_and(|(new, _)| bounds(new))
            && !self.others_bound_pins(tenant, old)?
        {
            self.may_give(caller, &Rights::everywhere(Capabilities::ALL))?;
        }
        let before = self.rights(tenant, role.capabilities, &role.policies)?;
        let after = match new {
            Some((new, given)) if new.bindings == role.bindings => given,
            _ => &nothing,
        };
        self.may_lift_rights(caller, &before, after)
    }

    /// Whether there is another role that says what the tenant's PINs may.
    fn others_bound_pins(&self, tenant: Id, than: &KeptPolicy) -> Result<bool> {
        let roles = self.roles_of(tenant)?;
        Ok(roles.roles.iter().any(|kept| kept.name != than.record.name && kept.role.is_of_pins()))
    }
}
