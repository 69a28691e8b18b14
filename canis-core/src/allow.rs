//! Whether a caller may: its rights against what a request is about. The same for every door, since it stands in the one
//! door to keys; [`crate::Core::call`] asks it, and an operation that needs more than the capability of its row.

use crate::audit::note_rule;
use crate::caller::Caller;
use crate::keyring::Keyring;
use crate::policy::{Asked, OfKey, Rights, Rules, context_of};
use crate::resource::{Facts, Resource};
use canis_proto::{Capability, Error, ErrorCode, Id, KeyType, Result};
use std::borrow::Cow;
use std::sync::Arc;

/// Where an object stands among the resources, and its key's type. Found anew when the store has changed.
pub(crate) struct ObjectPlace {
    generation: u64,
    tenant: Id,
    path: Vec<u8>,
    kind: Option<KeyType>,
}

impl Keyring {
    /// Refuses a caller who lacks `needed` on `resource`. Gives the longest payload in bytes that it is allowed, for
    /// what comes in pieces.
    ///
    /// # Errors
    /// `permission_denied`, which names what was asked for and nothing else; `unauthenticated` for nobody.
    pub(crate) fn require(
        &self,
        caller: &Caller,
        needed: Capability,
        resource: Resource<'_>,
        facts: Facts<'_>,
    ) -> Result<u64> {
        let own = self.allowed(caller, caller.rights(), needed, resource, facts)?;
        let longest = match (own, self.pin_rights(caller)?) {
            (Some(own), Some(most)) => {
                self.allowed(caller, &most, needed, resource, facts)?.map(|most| most.min(own))
            }
            (own, _) => own,
        };
        longest.ok_or_else(|| match caller.tenant() {
            Ok(_) => denied(needed, resource),
            // Nobody yet.
            Err(nobody) => nobody,
        })
    }

    /// The longest payload that these of the caller's rights allow, if they allow it.
    fn allowed(
        &self,
        caller: &Caller,
        rights: &Rights,
        needed: Capability,
        resource: Resource<'_>,
        facts: Facts<'_>,
    ) -> Result<Option<u64>> {
        match rights.rules() {
            None => Ok(rights.capabilities().allows(needed).then_some(u64::MAX)),
            Some(_) if resource.is_many() => Ok(rights.grants_somewhere(needed).then_some(u64::MAX)),
            Some(_) => self.decide(caller, rights, needed, resource, facts),
        }
    }

    /// Whether policies say something of the caller, so that not all paths are the same to it.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn tells_paths_apart(&self, caller: &Caller) -> Result<bool> {
        Ok(caller.rights().rules().is_some() || self.pin_rights(caller)?.is_some())
    }

    /// Refuses who is not the store's operator, as if the capability had not been granted: others need not know what there is.
    ///
    /// # Errors
    /// As [`Keyring::require`].
    pub(crate) fn require_operator(&self, caller: &Caller, resource: Resource<'_>) -> Result<()> {
        if self.operates(caller)? {
            return Ok(());
        }
        caller.tenant().and_then(|_| Err(denied(Capability::Admin, resource)))
    }

    /// The same for a caller of whom policies say something. To others every path is the same, and what was asked of them
    /// holds for this one too.
    ///
    /// # Errors
    /// As [`Keyring::require`].
    pub(crate) fn require_by_policy(
        &self,
        caller: &Caller,
        needed: Capability,
        resource: Resource<'_>,
    ) -> Result<()> {
        self.require_by_policy_for(caller, needed, resource, Facts::default())
    }

    /// The same with the facts of what is asked.
    ///
    /// # Errors
    /// As [`Keyring::require`].
    pub(crate) fn require_by_policy_for(
        &self,
        caller: &Caller,
        needed: Capability,
        resource: Resource<'_>,
        facts: Facts<'_>,
    ) -> Result<()> {
        match self.tells_paths_apart(caller)? {
            false => Ok(()),
            true => self.require(caller, needed, resource, facts).map(drop),
        }
    }

    /// Whether one of many is there for the caller.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn shows(&self, caller: &Caller, needed: Capability, resource: Resource<'_>) -> Result<bool> {
        debug_assert!(!resource.is_many(), "what may be done to some of many is no answer for one");
        let shown = |rights: &Rights| -> Result<bool> {
            Ok(self.allowed(caller, rights, needed, resource, Facts::default())?.is_some())
        };
        let most = self.pin_rights(caller)?;
        Ok(shown(caller.rights())? && most.as_ref().map_or(Ok(true), shown)?)
    }

    fn decide(
        &self,
        caller: &Caller,
        rights: &Rights,
        needed: Capability,
        resource: Resource<'_>,
        facts: Facts<'_>,
    ) -> Result<Option<u64>> {
        let mut key = facts.key_type.map_or(OfKey::None, OfKey::Type);
        let path = match resource {
            Resource::Object(id) => {
                let place = self.object_place(caller, id)?;
                key = place.kind.map_or(key, OfKey::Type);
                Cow::Owned(place.path.clone())
            }
            _ => Cow::Owned(resource.path()),
        };
        if let (Resource::Key(name), OfKey::None, true) =
            (resource, key, rights.rules().is_some_and(Rules::asks_for_key))
        {
            key = self.kind_of(caller, name)?;
        }
        let decision = rights.decide(&Asked {
            capability: needed,
            path: &path,
            key,
            payload: facts.payload,
            context: context_of(needed, key, facts.context),
            now_micros: self.clock.now_micros(),
            source: caller.origin().source,
        });
        if let Some(rule) = decision.rule {
            note_rule(rule, decision.allowed);
        }
        Ok(decision.allowed.then_some(decision.longest))
    }

    /// The type of the key of this name, for conditions.
    pub(crate) fn kind_of(&self, caller: &Caller, name: &str) -> Result<OfKey> {
        let tenant = self.tenant(caller.tenant()?)?;
        let key = if name.starts_with('~') {
            self.key_or_tombstone(&tenant, name)
        } else {
            self.usable(&tenant, name)
        };
        match key {
            Ok(key) => Ok(OfKey::Type(key.kind)),
            Err(error) if error.code.blame() == canis_proto::Blame::Caller => Ok(OfKey::Absent),
            Err(error) if error.code == ErrorCode::KeyDestroyed => Ok(OfKey::Absent),
            Err(error) => Err(error),
        }
    }

    /// The path that rules know a resource by.
    ///
    /// # Errors
    /// Those of the store.
    pub(crate) fn path_of(&self, caller: &Caller, resource: Resource<'_>) -> Result<Vec<u8>> {
        match resource {
            Resource::Object(id) => Ok(self.object_place(caller, id)?.path.clone()),
            _ => Ok(resource.path()),
        }
    }

    /// Where an object stands: with its key, or by itself if it shows none. The label says nothing about that.
    fn object_place(&self, caller: &Caller, id: Id) -> Result<Arc<ObjectPlace>> {
        let tenant = caller.tenant()?;
        let of_session = caller.application().ok().and_then(|application| application.object(tenant, id));
        if let Some(found) = of_session {
            let kind = found.object.content.key.as_ref().map(|facts| facts.kind);
            let path = match found.object.key {
                Some((key, _)) => self.key_path(tenant, key)?.map(|(path, _)| path),
                None => None,
            };
            let path = path.unwrap_or_else(|| Resource::Object(id).path());
            return Ok(Arc::new(ObjectPlace { generation: 0, tenant, path, kind }));
        }
        let generation = self.store.generation();
        let known = self.places.get(&id);
        if let Some(known) =
            known.filter(|place| self.stands(place.generation, &[id]) && place.tenant == tenant)
        {
            return Ok(known);
        }
        // Another tenant's object is not there.
        let row = self.store.object(id)?.filter(|row| row.tenant_id == tenant);
        let of_key = match row.and_then(|row| row.key_id) {
            Some(key) => self.key_path(tenant, key)?,
            None => None,
        };
        let (path, kind) = match of_key {
            Some((path, kind)) => (path, kind),
            None => (Resource::Object(id).path(), None),
        };
        let place = Arc::new(ObjectPlace { generation, tenant, path, kind });
        self.places.insert(id, Arc::clone(&place));
        Ok(place)
    }

    /// The path and type of a key, by its row's clear columns: its tenant may be locked. A row that was changed by other
    /// hands is refused when the key is opened.
    fn key_path(&self, tenant: Id, key: Id) -> Result<Option<(Vec<u8>, Option<KeyType>)>> {
        let row = self.store.key(key)?.filter(|row| row.tenant_id == tenant);
        Ok(row.map(|row| (Resource::Key(&row.name).path(), row.key_type.parse().ok())))
    }
}

/// What a denied caller gets to know.
fn denied(needed: Capability, resource: Resource<'_>) -> Error {
    Error::new(ErrorCode::PermissionDenied, format!("you lack the capability `{needed}` on {resource}"))
}
