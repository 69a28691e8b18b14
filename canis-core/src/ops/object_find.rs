//! `object.find`, `object.read`: what an application may see.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::object::{Class, Content, FindObjects, Found, Object, ReadObject, profile, profiles};
use crate::store::ObjectQuery;
use crate::token::Role;
use canis_proto::{Capability, Error, ErrorCode, Id, Result};
use std::sync::Arc;

impl Run for FindObjects<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Objects
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Found> {
        let (application, token) = (caller.application()?, caller.tenant()?);
        let private = keyring.logged_in(caller)? == Some(Role::User);
        let (open, generation) = (keyring.tenant_if_open(token), keyring.store.generation());
        let mut found = Found { objects: Vec::new(), refused: Vec::new() };
        let fits = |object: &Arc<Object>| (private || !object.content.private) && self.wanted.fits(object);
        for row in keyring.rows(token, &self.wanted, generation)?.iter().filter(|row| private || !row.private)
        {
            match keyring.found_object(row, open.as_deref(), generation) {
                Ok(object) if fits(&object) => found.objects.push(object),
                Ok(_) => {}
                Err(damaged) if is_damage(&damaged) => found.refused.push(damaged),
                Err(error) => return Err(error),
            }
        }
        found.objects.extend(application.objects(token).into_iter().filter(fits));
        if keyring.tells_paths_apart(caller)? {
            let objects = std::mem::take(&mut found.objects);
            for object in objects {
                if keyring.shows(caller, Capability::Read, Resource::Object(object.id))? {
                    found.objects.push(object);
                }
            }
        }
        if self.wanted.class == Some(Class::Profile) {
            found.objects.extend(profiles(token).filter(fits));
        }
        Ok(found)
    }
}

/// Whether it is the row that is at fault, and no other row suffers from it.
fn is_damage(error: &Error) -> bool {
    matches!(error.code, ErrorCode::StoreTampered | ErrorCode::StoreFormat)
}

impl Run for ReadObject {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.object)
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.content.size())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Arc<Object>> {
        keyring.visible(caller, self.object)
    }
}

impl Keyring {
    /// An object that the caller may see.
    ///
    /// # Errors
    /// `object_not_found`, also for a private object while the user is not logged in.
    pub(super) fn visible(&self, caller: &Caller, id: Id) -> Result<Arc<Object>> {
        let (application, token) = (caller.application()?, caller.tenant()?);
        let private = self.logged_in(caller)? == Some(Role::User);
        let hidden =
            || Error::new(ErrorCode::ObjectNotFound, "there is no such object, or it needs the user's login");
        if let Some(found) = application.object(token, id) {
            let visible = private || !found.object.content.private;
            return if visible { self.as_its_origin_allows(token, found.object) } else { Err(hidden()) };
        }
        let generation = self.store.generation();
        if let Some(cached) = self.cached_object(id, generation) {
            let visible = cached.tenant == token && (private || !cached.object.content.private);
            return if visible { Ok(Arc::clone(&cached.object)) } else { Err(hidden()) };
        }
        if let Some(profile) = profile(token, id) {
            return Ok(profile);
        }
        let row = self.store.object(id)?.filter(|row| row.tenant_id == token && (private || !row.private));
        let row = row.ok_or_else(hidden)?;
        self.found_object(&row, self.tenant_if_open(token).as_deref(), generation)
    }

    /// A session's copy of a token key as it may be seen and used now: what its origin has lost since, it has lost.
    fn as_its_origin_allows(&self, token: Id, copy: Arc<Object>) -> Result<Arc<Object>> {
        let (Some((key, version)), Some(facts)) = (copy.key, &copy.content.key) else { return Ok(copy) };
        let query = ObjectQuery { class: Some(copy.content.class as u8), ..ObjectQuery::of_key(token, key) };
        let (open, generation) = (self.tenant_if_open(token), self.store.generation());
        let mut now = facts.clone();
        for row in self.store.objects(&query)?.iter().filter(|row| row.version == version) {
            if let Some(origin) = &self.found_object(row, open.as_deref(), generation)?.content.key {
                now.usage = now.usage.intersect(origin.usage);
                now.sensitive |= origin.sensitive;
                now.extractable &= origin.extractable;
                now.wrap_with_trusted |= origin.wrap_with_trusted;
                now.trusted &= origin.trusted;
            }
        }
        if now == *facts {
            return Ok(copy);
        }
        let content = Content { key: Some(now), ..copy.content.clone() };
        Ok(Arc::new(Object { content, ..Object::clone(&copy) }))
    }

    /// Refuses what needs the user's login: private objects, and secret keys whatever their CKA_PRIVATE says.
    pub(super) fn require_login(&self, caller: &Caller, needed: bool) -> Result<()> {
        if needed && self.logged_in(caller)? != Some(Role::User) {
            return Err(Error::new(ErrorCode::LoginRequired, "log in as user first"));
        }
        Ok(())
    }
}

impl Class {
    /// How errors call it.
    pub(super) fn noun(self) -> &'static str {
        match self {
            Class::Data => "data object",
            Class::Certificate => "certificate",
            Class::PublicKey => "public key",
            Class::PrivateKey => "private key",
            Class::SecretKey => "secret key",
            Class::Profile => "profile",
        }
    }
}
