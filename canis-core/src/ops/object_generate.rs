//! `object.generate`, `object.create`: objects come to be.

use super::create_key::NewMaterial;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::ready::ReadyKey;
use crate::keyring::record::KeyRecord;
use crate::keyring::seal::fresh_id;
use crate::keyring::tenant::OpenTenant;
use crate::object::{Class, Content, CreateObject, GenerateObjects, KeyFacts, Object};
use crate::store::Change;
use crate::token::Role;
use canis_proto::{Error, ErrorCode, Id, KeyName, KeyState, KeyType, Result, Usage};
use std::sync::Arc;

impl Run for GenerateObjects {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<(Id, Option<Id>)> {
        keyring.require_login(caller, true)?;
        let kind = self.kind;
        if self.public.is_some() != kind.is_asymmetric() {
            return Err(Error::internal("a pair has a public half, a secret key has none"));
        }
        let made = NewMaterial::draw(keyring.provider, kind)?;
        let secret = generated(self.secret, kind, &made.spki)?;
        let public = self.public.map(|content| generated(content, kind, &made.spki)).transpose()?;
        let generated = Generated { kind, made, secret, public };
        match self.session {
            Some(session) => keyring.keep_in_session(caller, session, generated),
            None => keyring.keep_in_token(caller, &generated),
        }
    }
}

struct Generated {
    kind: KeyType,
    made: NewMaterial,
    secret: Content,
    public: Option<Content>,
}

/// Fills in what is computed, and checks that the usage is one the type can have.
fn generated(mut content: Content, kind: KeyType, spki: &[u8]) -> Result<Content> {
    let (class, secret) = (content.class, content.class.is_secret());
    let facts = content.key.as_mut().ok_or_else(|| Error::internal("a key object without facts"))?;
    if !class.possible_usage(kind).allows(facts.usage) {
        return Err(Error::new(
            ErrorCode::OperationNotSupported,
            format!(
                "a key of type {kind} cannot be used to {}",
                facts.usage.names().collect::<Vec<_>>().join(", ")
            ),
        ));
    }
    facts.kind = kind;
    facts.spki = spki.to_vec();
    facts.local = true;
    facts.trusted = false;
    facts.always_sensitive = secret && facts.sensitive;
    facts.never_extractable = secret && !facts.extractable;
    Ok(content)
}

impl Keyring {
    fn keep_in_session(&self, caller: &Caller, session: u64, new: Generated) -> Result<(Id, Option<Id>)> {
        let (application, token) = (caller.application()?, caller.tenant()?);
        let ready = Arc::new(ReadyKey::new(self.provider, new.kind, &new.made.material, None)?);
        let add = |content, ready| -> Result<Id> {
            let id = fresh_id(self.provider)?;
            let object = Object { id, revision: 1, session: Some(session), key: None, content };
            application.add(token, object, ready)?;
            Ok(id)
        };
        let secret = add(new.secret, Some(ready))?;
        let public = new.public.map(|content| add(content, None)).transpose()?;
        Ok((secret, public))
    }

    /// Under its label's name if that is free, else under a name of its own.
    fn keep_in_token(&self, caller: &Caller, new: &Generated) -> Result<(Id, Option<Id>)> {
        let tenant = self.tenant(caller.tenant()?)?;
        let wished = self.free_name(&tenant, &new.secret.label)?;
        match self.keep_named(&tenant, new, wished) {
            // Somebody else took the name since it was looked for.
            Err(e) if e.code == ErrorCode::KeyExists => self.keep_named(&tenant, new, None),
            done => done,
        }
    }

    fn keep_named(
        &self,
        tenant: &OpenTenant,
        new: &Generated,
        name: Option<String>,
    ) -> Result<(Id, Option<Id>)> {
        let now = self.clock.now_micros();
        let key = fresh_id(self.provider)?;
        let facts = new.secret.key.as_ref().ok_or_else(|| Error::internal("a key object without facts"))?;
        let public_usage = new.public.as_ref().and_then(|c| c.key.as_ref()).map_or(Usage::NONE, |f| f.usage);
        let record = KeyRecord {
            name: name.unwrap_or_else(|| format!("p11/{key}")),
            kind: new.kind.number(),
            state: KeyState::Active as u8,
            usage: facts.usage.with(public_usage).bits(),
            current_version: 1,
            min_decryption_version: 1,
            min_encryption_version: 0,
            deletion_allowed: true,
            exportable: facts.extractable,
            allow_plaintext_backup: !facts.sensitive,
            created_at: now,
            updated_at: now,
            deleted_at: None,
        };
        let mut changes = vec![
            tenant.expected(),
            Change::Put(self.key_row(tenant, key, 1, &record)?),
            Change::Put(self.version_row(tenant, key, new.kind, 1, &new.made.material, now)?),
        ];
        let mut add = |content: &Content| -> Result<Id> {
            let content = content.clone();
            let id = fresh_id(self.provider)?;
            let object = Object { id, revision: 1, session: None, key: Some((key, 1)), content };
            changes.push(Change::Put(self.object_row(tenant.id, &object)?));
            Ok(id)
        };
        let secret = add(&new.secret)?;
        let public = new.public.as_ref().map(add).transpose()?;
        self.store.commit(&changes)?;
        Ok((secret, public))
    }

    /// A key made through PKCS#11 takes its label as name if that is a free, valid name.
    fn free_name(&self, tenant: &OpenTenant, label: &[u8]) -> Result<Option<String>> {
        let Some(name) = std::str::from_utf8(label).ok().and_then(|label| KeyName::parse(label).ok()) else {
            return Ok(None);
        };
        let free = self.store.key_by_name(tenant.id, name.as_str())?.is_none();
        Ok(free.then(|| name.to_string()))
    }
}

impl Run for CreateObject {
    fn resource(&self) -> Resource<'_> {
        Resource::Token
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Id> {
        let (application, token) = (caller.application()?, caller.tenant()?);
        let mut content = self.content;
        if content.class.is_secret() {
            return Err(Error::new(
                ErrorCode::OperationNotSupported,
                format!("a {} cannot be brought in from outside yet; generate it here", content.class.noun()),
            ));
        }
        keyring.require_login(caller, content.private)?;
        if content.is_trusted() && application.role(token) != Some(Role::So) {
            return Err(Error::new(
                ErrorCode::AttributeReadOnly,
                "only the security officer makes objects trusted",
            ));
        }
        if let Some(facts) = &mut content.key {
            check_public(keyring, facts)?;
        }
        let id = fresh_id(keyring.provider)?;
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
