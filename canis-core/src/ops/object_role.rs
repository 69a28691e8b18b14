//! What a value is used for, kept apart: wrapping and unwrapping sensitive keys, or data.

use super::create_key::NewMaterial;
use crate::caller::Caller;
use crate::keyring::Keyring;
use crate::keyring::ready::{ReadyKey, ReadyMaterial};
use crate::keyring::role::{Grant, Roles};
use crate::keyring::tenant::OpenTenant;
use crate::object::{Class, Content, KeyFacts, Object};
use crate::store::Change;
use canis_proto::{Error, ErrorCode, Id, Result, Usage};

/// The usage of data. Everybody can encrypt with a public key, so that counts for secret keys only.
fn data_usage(class: Class) -> Usage {
    match class {
        Class::SecretKey => Usage::ENCRYPT.with(Usage::DECRYPT),
        Class::PrivateKey => Usage::DECRYPT,
        _ => Usage::NONE,
    }
}

/// Whether a key is granted the use of data and no use of keys: then its value is for data from now on. One that is
/// granted both becomes what it is used for first.
pub(super) fn is_for_data(content: &Content) -> bool {
    let keys = Usage::WRAP.with(Usage::UNWRAP);
    let usage = content.key.as_ref().map_or(Usage::NONE, |facts| facts.usage);
    let data = usage.intersect(data_usage(content.class));
    data != Usage::NONE && usage.intersect(keys) == Usage::NONE
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

    /// Refuses the use of data to a value that has wrapped or unwrapped sensitive keys; any other is for data from now
    /// on. What stands in the store is not asked for again: the two roles exclude each other there.
    pub(super) fn use_value(
        &self,
        caller: &Caller,
        object: &Object,
        ready: &ReadyKey,
        usage: Usage,
    ) -> Result<()> {
        let (class, Some(facts)) = (object.content.class, &object.content.key) else { return Ok(()) };
        let on_token = object.key.is_some();
        if data_usage(class).intersect(usage) == Usage::NONE || (on_token && ready.known.is_data()) {
            return Ok(());
        }
        let tenant = self.tenant(caller.tenant()?)?;
        let value = self.fingerprint(&tenant, facts, ready)?;
        let free = if on_token {
            self.grant(&tenant, &[Grant { value, roles: Roles::DATA, unless: Roles::KEYS }])?
        } else {
            // It ends with the session, and a store that is written for every session's key would be slow.
            !self.value_roles(&tenant, value)?.0.has(Roles::KEYS)
        };
        if !free {
            return Err(Error::new(
                ErrorCode::OperationNotAllowed,
                "the key, or another one of the same value, has wrapped or unwrapped sensitive keys; \
                 it is not used for data any more",
            ));
        }
        ready.known.set_data();
        Ok(())
    }

    /// Whether a value is for data, as far as the store and this application's session keys say.
    pub(super) fn is_data(&self, caller: &Caller, tenant: &OpenTenant, value: Id) -> Result<bool> {
        if self.value_roles(tenant, value)?.0.has(Roles::DATA) {
            return Ok(true);
        }
        for (object, ready) in caller.application()?.ready_keys(tenant.id) {
            let Some(facts) = object.content.key.as_ref().filter(|_| ready.known.is_data()) else { continue };
            if self.fingerprint(tenant, facts, &ready)? == value {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A session's key that is for data is known as such beyond its session once there is a copy of it.
    pub(super) fn hand_on_role(&self, caller: &Caller, source: &Object, made: &NewMaterial) -> Result<()> {
        let token = caller.tenant()?;
        let kept = caller.application()?.object(token, source.id).and_then(|kept| kept.ready);
        if !kept.is_some_and(|ready| ready.known.is_data()) {
            return Ok(());
        }
        let tenant = self.tenant(token)?;
        let value = self.fingerprint_of(&tenant, made);
        self.grant(&tenant, &[Grant { value, roles: Roles::DATA, unless: Roles::NONE }]).map(|_| ())
    }

    /// What a change of usage says about the value: what was granted once counts, though it be taken away.
    pub(super) fn role_of_change(
        &self,
        caller: &Caller,
        old: &Object,
        new: &Object,
    ) -> Result<Option<Change>> {
        let usage = |object: &Object| object.content.key.as_ref().map(|facts| facts.usage);
        let data = is_for_data(&old.content) || is_for_data(&new.content);
        if usage(old) == usage(new) || !data {
            return Ok(None);
        }
        let token = caller.tenant()?;
        let Some((key, version)) = old.key else {
            if let Some(ready) = caller.application()?.object(token, old.id).and_then(|kept| kept.ready) {
                ready.known.set_data();
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
