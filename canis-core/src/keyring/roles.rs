//! Roles: rows ⇄ meaning, kept while nothing changes; and the issuers of JWTs that they are about.

use super::Keyring;
use super::policy_record::TextKind;
use crate::caller::Caller;
use crate::identity::{Role, Seen};
use crate::jwt::{Claims, Issuer, Issuers};
use crate::policy::Rights;
use crate::token;
use canis_proto::{Capabilities, Error, ErrorCode, Id, Result};
use std::sync::{Arc, PoisonError};

/// A role that was read.
pub(crate) struct KeptRole {
    /// Its name.
    pub(crate) name: String,
    /// What it says.
    pub(crate) role: Role,
}

/// The roles of a tenant as the store had them at one moment.
pub(crate) struct TenantRoles {
    generation: u64,
    /// By their names.
    pub(crate) roles: Vec<KeptRole>,
    /// Whether there are others that this CANIS does not understand.
    unknown: bool,
    /// What PKCS#11 applications may at most, if roles say so.
    pins: Option<Rights>,
}

impl TenantRoles {
    /// Those that are about whoever is seen.
    pub(crate) fn about<'a>(&'a self, seen: &'a Seen<'_>) -> impl Iterator<Item = &'a KeptRole> {
        self.roles.iter().filter(move |kept| kept.role.fits(seen))
    }

    /// Refuses to let anybody in while there is a role that is not understood: it may be there to deny.
    ///
    /// # Errors
    /// `unauthenticated`.
    pub(crate) fn refuse_unknown(&self) -> Result<()> {
        let why = "this tenant has a role that this server does not understand, perhaps a newer one's, and it may deny; \
                   update the server, or write that role anew";
        if self.unknown { Err(Error::new(ErrorCode::Unauthenticated, why)) } else { Ok(()) }
    }
}

impl Keyring {
    /// A tenant's roles. Found anew when the store has changed. While there is one that this CANIS does not understand,
    /// nobody comes in by roles and nothing goes through PKCS#11: it may be there to narrow.
    ///
    /// # Errors
    /// `store_tampered`, and those of the store.
    pub(crate) fn roles_of(&self, tenant: Id) -> Result<Arc<TenantRoles>> {
        let generation = self.store.generation();
        if let Some(kept) = self.roles.get(&tenant).filter(|kept| self.stands(kept.generation, &[])) {
            return Ok(kept);
        }
        let (mut roles, mut unknown) = (Vec::new(), false);
        for kept in self.texts(tenant, TextKind::Role)? {
            match Role::read(&kept.record.text) {
                Ok(role) => roles.push(KeptRole { name: kept.record.name, role }),
                Err(_) => unknown = true,
            }
        }
        let pins = match unknown {
            true => Some(Rights::everywhere(Capabilities::NONE)),
            false => self.combined(tenant, roles.iter().filter(|kept| kept.role.is_of_pins()))?,
        };
        let kept = Arc::new(TenantRoles { generation, roles, unknown, pins });
        self.roles.insert(tenant, Arc::clone(&kept));
        Ok(kept)
    }

    /// What several roles of a tenant give together; `None` if there are none.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn combined<'a>(
        &self,
        tenant: Id,
        roles: impl Iterator<Item = &'a KeptRole>,
    ) -> Result<Option<Rights>> {
        let (mut own, mut policies, mut any) = (Capabilities::NONE, Vec::new(), false);
        for KeptRole { role, .. } in roles {
            any = true;
            own = own.and(role.capabilities);
            policies.extend(role.policies.iter().cloned());
        }
        policies.sort();
        policies.dedup();
        any.then(|| self.rights(tenant, own, &policies)).transpose()
    }

    /// What the caller may at most because it came through PKCS#11, if roles narrow that. A security officer is not
    /// narrowed: who makes and wipes the token could take a role's place.
    ///
    /// # Errors
    /// As above.
    pub(crate) fn pin_rights(&self, caller: &Caller) -> Result<Option<Rights>> {
        let Some((application, tenant)) = caller.at_pkcs11() else { return Ok(None) };
        let pins = self.roles_of(tenant)?.pins.clone();
        Ok(pins.filter(|_| application.role(tenant) != Some(token::Role::So)))
    }

    /// See [`crate::Core::set_issuers`].
    pub(crate) fn set_issuers(&self, issuers: &[Issuer]) -> Result<()> {
        let read = Arc::new(Issuers::read(self.provider, issuers)?);
        *self.issuers.write().unwrap_or_else(PoisonError::into_inner) = read;
        self.credentials_changed();
        Ok(())
    }

    /// What a JWT says, if it is good now.
    pub(crate) fn jwt_claims(&self, token: &str) -> Option<Claims> {
        let issuers = Arc::clone(&self.issuers.read().unwrap_or_else(PoisonError::into_inner));
        issuers.claims(self.provider, token, self.clock.now_micros())
    }
}
