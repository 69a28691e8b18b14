//! What a value is used for, kept apart: wrapping and unwrapping sensitive keys, or data; MACs, or derivation.

use super::create_key::NewMaterial;
use crate::caller::Caller;
use crate::keyring::Keyring;
use crate::keyring::ready::{ReadyKey, ReadyMaterial};
use crate::keyring::role::{Grant, KnownValue, Roles};
use crate::keyring::tenant::OpenTenant;
use crate::object::{Class, Content, KeyFacts, Object};
use crate::secret::SecretBytes;
use crate::store::Change;
use canis_proto::{Error, ErrorCode, Family, Id, KeyType, Result, Usage};

const MACS: Usage = Usage::SIGN.with(Usage::VERIFY);

/// The usage of data. Everybody can encrypt with a public key, so that counts for secret keys only.
fn data_usage(class: Class) -> Usage {
    match class {
        Class::SecretKey => Usage::ENCRYPT.with(Usage::DECRYPT),
        Class::PrivateKey => Usage::DECRYPT,
        _ => Usage::NONE,
    }
}

/// What a use makes of a value, and what that must not be.
fn roles_of_use(object: &Object, facts: &KeyFacts, usage: Usage) -> Option<(Roles, Roles)> {
    let class = object.content.class;
    if data_usage(class).intersect(usage) != Usage::NONE {
        return Some((Roles::DATA, Roles::KEYS.with(Roles::DERIVES)));
    }
    // Who checks short MACs finds them by trying, and then longer ones byte by byte: that is no less than making them.
    let macs = class == Class::SecretKey && MACS.intersect(usage) != Usage::NONE;
    (macs && facts.stays_inside()).then_some((Roles::MACS, Roles::DERIVES))
}

/// The roles that a key is granted when it is made: those of its usage, if that leaves no choice. One that is granted what
/// excludes each other becomes what it is used for first.
pub(super) fn granted_roles(content: &Content) -> Roles {
    let Some(facts) = &content.key else { return Roles::NONE };
    let secret = content.class == Class::SecretKey;
    let granted = |usage: Usage| facts.usage.intersect(usage) != Usage::NONE;
    let derives = secret && facts.stays_inside() && granted(Usage::DERIVE);
    let keys = granted(Usage::WRAP.with(Usage::UNWRAP));
    let data = granted(data_usage(content.class)) && !keys && !derives;
    let macs = secret && facts.stays_inside() && granted(MACS) && !derives;
    let role = |given, role| if given { role } else { Roles::NONE };
    role(data, Roles::DATA).with(role(macs, Roles::MACS))
}

impl Keyring {
    /// The fingerprint of a new key's value.
    pub(super) fn fingerprint_of(&self, tenant: &OpenTenant, made: &NewMaterial) -> Id {
        if made.spki.is_empty() {
            self.secret_fingerprint(tenant, made.material.expose())
        } else {
            self.pair_fingerprint(tenant, &made.spki)
        }
    }

    /// The fingerprint of the value of an opened key.
    pub(super) fn fingerprint(&self, tenant: &OpenTenant, facts: &KeyFacts, ready: &ReadyKey) -> Result<Id> {
        if let ReadyMaterial::Pair { .. } | ReadyMaterial::Public { .. } = ready.material {
            return Ok(self.pair_fingerprint(tenant, &facts.spki));
        }
        let known = &ready.known.fingerprint;
        match (known.get(), &ready.value) {
            (Some(id), _) => Ok(*id),
            (None, Some(value)) => Ok(*known.get_or_init(|| self.secret_fingerprint(tenant, value.expose()))),
            (None, None) => Err(Error::internal("a ready key without a value or its fingerprint")),
        }
    }

    /// The fingerprint of a generic secret, or of any session's, as HMAC's key.
    pub(super) fn mac_key_of(&self, tenant: &OpenTenant, ready: &ReadyKey) -> Result<Id> {
        let value = ready.value.as_ref().map(SecretBytes::expose);
        let value = value.ok_or_else(|| Error::internal("a generic secret without its value"))?;
        Ok(*ready.known.as_mac_key.get_or_init(|| self.mac_key_fingerprint(tenant, value)))
    }

    /// The roles of a value that is at hand, where they are kept: what concerns PRFs also under the fingerprint as HMAC's
    /// key.
    pub(super) fn grants_for(&self, tenant: &OpenTenant, made: &NewMaterial, roles: Roles) -> Vec<Grant> {
        let mut grants = Vec::new();
        let mut grant = |value, roles| {
            if roles != Roles::NONE {
                grants.push(Grant { value, roles, unless: Roles::NONE });
            }
        };
        let generic = made.kind == KeyType::Generic;
        grant(self.fingerprint_of(tenant, made), if generic { roles.without(Roles::PRF) } else { roles });
        if made.spki.is_empty() {
            grant(self.mac_key_fingerprint(tenant, made.material.expose()), roles.intersect(Roles::PRF));
        }
        grants
    }

    /// Refuses a use to a value that had one that excludes it; any other has this one from now on. What stands in the
    /// store is not asked for again: such roles exclude each other there.
    pub(super) fn use_value(
        &self,
        caller: &Caller,
        object: &Object,
        ready: &ReadyKey,
        usage: Usage,
    ) -> Result<()> {
        let Some(facts) = &object.content.key else { return Ok(()) };
        let Some((roles, unless)) = roles_of_use(object, facts, usage) else { return Ok(()) };
        let on_token = object.key.is_some();
        if on_token && ready.known.roles().has(roles) {
            return Ok(());
        }
        let tenant = self.tenant(caller.tenant()?)?;
        let value = match (roles, facts.kind.family()) {
            (Roles::MACS, Family::Generic) => self.mac_key_of(&tenant, ready)?,
            _ => self.fingerprint(&tenant, facts, ready)?,
        };
        if self.claim(caller, &tenant, (on_token, &ready.known), Grant { value, roles, unless })? {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::OperationNotAllowed,
            if roles == Roles::MACS {
                "sensitive keys were derived by HMAC or CMAC under the key, or another one of the same value; its MACs \
                 would tell what they are"
            } else {
                "the key, or another one of the same value, has wrapped or unwrapped sensitive keys, or they were \
                 derived from it; it is not used for data any more"
            },
        ))
    }

    /// Gives the value of an opened key, `known`, a role from now on, with the store if the token keeps the key. `false`
    /// if it, or another key of the same value, has one that it must not have.
    pub(super) fn claim(
        &self,
        caller: &Caller,
        tenant: &OpenTenant,
        (on_token, known): (bool, &KnownValue),
        grant: Grant,
    ) -> Result<bool> {
        if on_token {
            let free = self.grant(tenant, &[grant])?;
            if free {
                known.add(grant.roles);
            }
            return Ok(free);
        }
        // It ends with the session, and a store that is written for every session's key would be slow. Said first, looked
        // then: of two uses at once that exclude each other one at least sees the other.
        let new = known.add(grant.roles);
        let free = self.is_free(caller, tenant, known, (grant, new));
        if !matches!(free, Ok(true)) {
            known.take_back(new);
        }
        free
    }

    /// The same of a session's key, which has said what it is to be.
    fn is_free(
        &self,
        caller: &Caller,
        tenant: &OpenTenant,
        known: &KnownValue,
        (grant, new): (Grant, Roles),
    ) -> Result<bool> {
        let Grant { value, roles, unless } = grant;
        let taken = known.roles().meets(unless)
            || (new != Roles::NONE && self.session_has(caller, tenant, value, unless)?);
        if taken {
            return Ok(false);
        }
        // Another process can have this value, too; how often it is a base is nothing against how often it makes MACs.
        if known.is_lasting() && roles.meets(Roles::DERIVES.with(Roles::KEEPS)) {
            return self.grant(tenant, &[grant]);
        }
        Ok(!self.value_roles(tenant, value)?.0.meets(unless))
    }

    /// Whether a value is for data, as far as the store and this application's session keys say.
    pub(super) fn is_data(&self, caller: &Caller, tenant: &OpenTenant, value: Id) -> Result<bool> {
        Ok(self.value_roles(tenant, value)?.0.has(Roles::DATA)
            || self.session_has(caller, tenant, value, Roles::DATA)?)
    }

    /// Whether a session key of this application has the value and one of the roles.
    fn session_has(&self, caller: &Caller, tenant: &OpenTenant, value: Id, roles: Roles) -> Result<bool> {
        for (object, ready) in caller.application()?.ready_keys(tenant.id, roles) {
            let Some(facts) = &object.content.key else { continue };
            let secret = ready.value.is_some() && !facts.kind.is_asymmetric();
            if self.fingerprint(tenant, facts, &ready)? == value
                || (secret && self.mac_key_of(tenant, &ready)? == value)
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What a session's key knows of its value.
    pub(super) fn known_in_session(&self, caller: &Caller, object: &Object) -> Result<Roles> {
        let kept = caller.application()?.object(caller.tenant()?, object.id);
        Ok(kept.and_then(|kept| kept.ready).map_or(Roles::NONE, |ready| ready.known.roles()))
    }

    /// What a session's key is for is known beyond its session once there is a copy of it.
    pub(super) fn hand_on_roles(&self, caller: &Caller, source: &Object, made: &NewMaterial) -> Result<()> {
        let roles = self.known_in_session(caller, source)?;
        if roles == Roles::NONE {
            return Ok(());
        }
        let tenant = self.tenant(caller.tenant()?)?;
        self.grant(&tenant, &self.grants_for(&tenant, made, roles)).map(|_| ())
    }

    /// What a change of usage says about the value: what was granted once counts, though it be taken away.
    pub(super) fn role_of_change(
        &self,
        caller: &Caller,
        old: &Object,
        new: &Object,
    ) -> Result<Option<Change>> {
        let usage = |object: &Object| object.content.key.as_ref().map(|facts| facts.usage);
        let data = [old, new].into_iter().any(|object| granted_roles(&object.content).has(Roles::DATA));
        if usage(old) == usage(new) || !data {
            return Ok(None);
        }
        let token = caller.tenant()?;
        let Some((key, version)) = old.key else {
            if let Some(ready) = caller.application()?.object(token, old.id).and_then(|kept| kept.ready) {
                ready.known.add(Roles::DATA);
            }
            return Ok(None);
        };
        let Some(facts) = &old.content.key else { return Ok(None) };
        let tenant = self.tenant(token)?;
        let key = self.key_by_id(&tenant, key)?;
        let ready = self.ready(&tenant, &key, version)?;
        self.role_change(&tenant, self.fingerprint(&tenant, facts, &ready)?, Roles::DATA)
    }
}
