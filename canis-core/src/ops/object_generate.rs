//! `object.generate`, `object.create`: objects come to be.

use super::create_key::NewMaterial;
use super::object_keep::{NewKey, Origin};
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::seal::fresh_id;
use crate::object::{Class, CreateObject, GenerateObjects, KeyFacts, Object};
use crate::store::Change;
use crate::token::Role;
use canis_proto::{Capability, Error, ErrorCode, Id, Result};

impl Run for GenerateObjects {
    fn resource(&self) -> Resource<'_> {
        Resource::Objects
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<(Id, Option<Id>)> {
        keyring.require_login(caller, true)?;
        let kind = self.kind;
        if self.public.is_some() != kind.is_asymmetric() {
            return Err(Error::invalid("a pair has a public half, a secret key has none"));
        }
        let made = NewMaterial::draw(keyring.provider, kind, self.len)?;
        let new = NewKey::new(keyring.provider, &Origin::Generated, made, self.secret, self.public)?;
        keyring.keep(caller, self.session, new)
    }
}

impl Run for CreateObject {
    fn resource(&self) -> Resource<'_> {
        Resource::Objects
    }

    fn brings(&self) -> Option<usize> {
        Some(self.content.size())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Id> {
        let (application, token) = (caller.application()?, caller.tenant()?);
        let mut content = self.content;
        if content.class == Class::Profile {
            return Err(Error::invalid("profiles are CANIS's own; they are not made"));
        }
        if content.class.is_secret() {
            return Err(Error::new(
                ErrorCode::OperationNotSupported,
                format!("a {} cannot be brought in from outside yet; generate it here", content.class.noun()),
            ));
        }
        if (content.class == Class::PublicKey) != content.key.is_some() {
            return Err(Error::invalid("a public key says what kind of key it is, and no other object does"));
        }
        keyring.require_login(caller, content.private)?;
        if content.is_trusted() && keyring.logged_in(caller)? != Some(Role::So) {
            return Err(Error::new(
                ErrorCode::AttributeReadOnly,
                "only the security officer makes objects trusted",
            ));
        }
        if let Some(facts) = &mut content.key {
            check_public(keyring, facts)?;
        }
        let id = fresh_id(keyring.provider)?;
        keyring.require_by_policy(caller, Capability::Create, Resource::Object(id))?;
        let object = Object { id, revision: 1, session: self.session, key: None, content };
        match self.session {
            Some(_) => application.add(token, object, None)?,
            None => {
                let row = Change::Put(keyring.object_row(token, &object)?);
                keyring.store.commit(&keyring.expecting(token, [row]))?;
            }
        }
        Ok(id)
    }
}

/// A public key from outside: valid, of a usage that public keys can have, and not local.
fn check_public(keyring: &Keyring, facts: &mut KeyFacts) -> Result<()> {
    keyring.provider.keys.public(facts.kind, &facts.spki)?;
    if !Class::PublicKey.possible_usage(facts.kind).allows(facts.usage) {
        return Err(Error::new(
            ErrorCode::OperationNotSupported,
            format!("a public key of type {} cannot be used so", facts.kind),
        ));
    }
    facts.local = false;
    facts.always_sensitive = false;
    facts.never_extractable = false;
    Ok(())
}
