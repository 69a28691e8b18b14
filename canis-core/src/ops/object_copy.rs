//! `object.copy`: a copy that promises no less than the original.

use super::create_key::NewMaterial;
use super::object_edit::check_facts;
use super::object_export::Leave;
use super::object_keep::{NewKey, Origin};
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::intent::Intent;
use crate::keyring::seal::fresh_id;
use crate::object::{Content, CopyObject, Object};
use crate::store::Change;
use crate::token::Role;
use canis_proto::{Capability, Error, ErrorCode, Id, Result};

impl Run for CopyObject {
    fn resource(&self) -> Resource<'_> {
        Resource::Objects
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        // A session's copy has no material of its own: every use asks the key.
        if self.session.is_some() {
            return Ok(None);
        }
        let intent = keyring.intent_on(caller, self.object, Capability::Export)?;
        let path = keyring.path_of(caller, Resource::Object(self.object))?;
        Ok(intent.map(|intent| intent.at(path)))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Id> {
        let (application, token) = (caller.application()?, caller.tenant()?);
        keyring.require_by_policy(caller, Capability::Read, Resource::Object(self.object))?;
        let source = keyring.visible(caller, self.object)?;
        let mut content = self.content;
        keyring.require_login(caller, source.content.needs_login() || content.private)?;
        let role = keyring.logged_in(caller)?;
        check_copy(&source.content, &content, role)?;
        if role != Some(Role::So) {
            content.distrust();
        }
        if content.class.is_secret() {
            return keyring.copy_key(caller, &source, self.session, content);
        }
        // A session's copy of a public half goes on following its key; the token's stands alone.
        let key = source.key.filter(|_| self.session.is_some());
        let id = fresh_id(keyring.provider)?;
        let object = Object { id, revision: 1, session: self.session, key, content };
        if self.session.is_some() {
            application.add(token, object, None)?;
        } else {
            let row = Change::Put(keyring.object_row(token, &object)?);
            keyring.store.commit(&keyring.expecting(token, [row]))?;
        }
        Ok(id)
    }
}

impl Keyring {
    fn copy_key(
        &self,
        caller: &Caller,
        source: &Object,
        session: Option<u64>,
        content: Content,
    ) -> Result<Id> {
        let Some(facts) = &source.content.key else {
            return Err(Error::internal("a key object without facts"));
        };
        if session.is_none() || source.key.is_none() {
            // It gets a path of its own, where other rules may hold than for the key that it is.
            self.require_by_policy(caller, Capability::Export, Resource::Object(source.id))?;
        }
        let (kind, material) = self.material(caller, source, Leave::Inside)?;
        let made = NewMaterial { kind, material, spki: facts.spki.clone() };
        self.hand_on_roles(caller, source, &made)?;
        let new = NewKey::new(self.provider, &Origin::Copied(facts.clone()), made, content, None)?;
        match (session, source.key) {
            // It has no material of its own: every use asks the key's row, its state and its usage.
            (Some(session), Some(key)) => self.keep_reference(caller, session, key, new),
            _ => self.keep(caller, session, new).map(|(id, _)| id),
        }
    }
}

/// What a copy may differ in: PKCS#11 v3.1, section 5.7.2. It may lose rights, never gain any.
fn check_copy(old: &Content, new: &Content, role: Option<Role>) -> Result<()> {
    let refuse =
        |what: &str| Err(Error::new(ErrorCode::AttributeReadOnly, format!("a copy cannot change {what}")));
    if !old.copyable {
        return Err(Error::new(ErrorCode::OperationNotAllowed, "CKA_COPYABLE is false"));
    }
    if old.class != new.class || (old.private && !new.private) {
        return refuse("CKA_CLASS, nor CKA_PRIVATE to false");
    }
    if old.limits() != new.limits() {
        return refuse("the mechanisms and templates that the key is limited to");
    }
    match (&old.key, &new.key) {
        (None, None) if !old.is_trusted() && new.is_trusted() && role != Some(Role::So) => {
            refuse("CKA_TRUSTED")
        }
        (None, None) => Ok(()),
        (Some(was), Some(is)) if !was.usage.allows(is.usage) => {
            refuse(&format!("the usage from {:?} to more", was.usage.names().collect::<Vec<_>>()))
        }
        (Some(was), Some(is)) => check_facts(was, is, role).map_or(Ok(()), refuse),
        _ => refuse("CKA_KEY_TYPE"),
    }
}
