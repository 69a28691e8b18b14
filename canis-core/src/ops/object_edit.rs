//! `object.update`, `object.destroy`.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::intent::Intent;
use crate::keyring::key_record::KeyRecord;
use crate::object::{Content, DestroyObject, KeyFacts, Object, UpdateObject, VALUE_LEN};
use crate::store::{Change, ObjectQuery};
use crate::token::Role;
use canis_proto::{Capability, Error, ErrorCode, Id, Result, Usage};

impl Run for UpdateObject {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.object)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<()> {
        let (application, token) = (caller.application()?, caller.tenant()?);
        let old = keyring.visible(caller, self.object)?;
        let role = keyring.logged_in(caller)?;
        if !(role == Some(Role::So) && differ_in_trust_only(&old.content, &self.content)) {
            keyring.require_login(caller, old.content.needs_login())?;
        }
        refuse_stranger(&old, role)?;
        if old.revision != self.revision {
            return Err(Error::new(ErrorCode::Conflict, "the object was changed meanwhile; read it again"));
        }
        check_change(&old.content, &self.content, role)?;
        let new = Object {
            id: old.id,
            revision: old.revision + 1,
            session: old.session,
            key: old.key,
            content: self.content,
        };
        let noted = keyring.role_of_change(caller, &old, &new)?;
        if new.session.is_some() {
            return application.replace(new);
        }
        let mut changes = keyring.expecting(token, [Change::Put(keyring.object_row(token, &new)?)]);
        changes.extend(noted);
        if let (Some((key, _)), Some(facts)) = (new.key, &new.content.key) {
            changes.extend(keyring.follow(token, key, &new, facts)?);
        }
        keyring.store.commit(&changes)
    }
}

/// Whether the one difference is CKA_TRUSTED of a key: the security officer says that of secret keys, too, which he can
/// neither use nor change otherwise.
fn differ_in_trust_only(old: &Content, new: &Content) -> bool {
    let trusted = new.key.as_ref().is_some_and(|facts| facts.trusted);
    let mut judged = old.clone();
    if let Some(facts) = &mut judged.key {
        facts.trusted = trusted;
    }
    !old.private && judged == *new
}

/// The public half of a key counts for the key's own usage: it is not for everybody to change or destroy.
fn refuse_stranger(object: &Object, role: Option<Role>) -> Result<()> {
    if object.key.is_some() && role.is_none() {
        return Err(Error::new(ErrorCode::LoginRequired, "log in first: the object is half of a key"));
    }
    Ok(())
}

impl Keyring {
    /// The key's own row follows its objects, so that every door sees the same usage and limits.
    fn follow(&self, token: Id, key: Id, changed: &Object, facts: &KeyFacts) -> Result<Option<Change>> {
        let tenant = self.tenant(token)?;
        let row = self.key_by_id(&tenant, key)?;
        let mut usage = facts.usage;
        for other in self.store.objects(&ObjectQuery::of_key(token, key))? {
            if other.id != changed.id {
                let other = self.read_object(&other, Some(&tenant))?;
                usage = usage.with(other.content.key.map_or(Usage::NONE, |f| f.usage));
            }
        }
        let mut record = KeyRecord { usage: usage.bits(), ..row.record.clone() };
        if changed.content.class.is_secret() {
            record.exportable &= facts.extractable;
            record.allow_plaintext_backup &= !facts.sensitive;
        }
        if record == row.record {
            return Ok(None);
        }
        record.updated_at = self.clock.now_micros();
        Ok(Some(Change::Put(self.key_row(&tenant, key, row.revision + 1, &record)?)))
    }
}

/// What may change: PKCS#11 v3.1, section 4.1.2 and the footnotes of section 4.9's attribute tables.
fn check_change(old: &Content, new: &Content, role: Option<Role>) -> Result<()> {
    let refuse =
        |what: &str| Err(Error::new(ErrorCode::AttributeReadOnly, format!("{what} cannot be changed so")));
    if !old.modifiable {
        return refuse("an object with CKA_MODIFIABLE false");
    }
    if old.class != new.class || old.private != new.private {
        return refuse("CKA_CLASS or CKA_PRIVATE");
    }
    if !old.copyable && new.copyable {
        return refuse("CKA_COPYABLE false");
    }
    if old.limits() != new.limits() {
        return refuse("the mechanisms and templates that a key is limited to");
    }
    if old.key.is_some() && old.kept(VALUE_LEN) != new.kept(VALUE_LEN) {
        return refuse("CKA_VALUE_LEN");
    }
    match (&old.key, &new.key) {
        (None, None) if !old.is_trusted() && new.is_trusted() && role != Some(Role::So) => {
            refuse("CKA_TRUSTED")
        }
        (None, None) => Ok(()),
        (Some(old_facts), Some(new_facts)) => {
            if !new.class.possible_usage(new_facts.kind).allows(new_facts.usage) {
                return refuse("a usage that objects of this class and key type cannot have");
            }
            check_facts(old_facts, new_facts, role).map_or(Ok(()), refuse)
        }
        _ => refuse("CKA_KEY_TYPE"),
    }
}

/// The attribute that breaks a rule, if one does.
pub(super) fn check_facts(old: &KeyFacts, new: &KeyFacts, role: Option<Role>) -> Option<&'static str> {
    let rules = [
        (old.kind != new.kind || old.spki != new.spki, "CKA_KEY_TYPE or the public key"),
        (old.local != new.local || old.mechanism != new.mechanism || old.by_api != new.by_api, "CKA_LOCAL"),
        (old.from_kdf != new.from_kdf, "what the key was derived from"),
        (old.always_sensitive != new.always_sensitive, "CKA_ALWAYS_SENSITIVE"),
        (old.never_extractable != new.never_extractable, "CKA_NEVER_EXTRACTABLE"),
        (old.always_authenticate != new.always_authenticate, "CKA_ALWAYS_AUTHENTICATE"),
        (old.sensitive && !new.sensitive, "CKA_SENSITIVE true"),
        (!old.extractable && new.extractable, "CKA_EXTRACTABLE false"),
        (old.wrap_with_trusted && !new.wrap_with_trusted, "CKA_WRAP_WITH_TRUSTED true"),
        (!old.trusted && new.trusted && role != Some(Role::So), "CKA_TRUSTED"),
        (old.usage != new.usage && role == Some(Role::So), "the usage of keys by the security officer"),
    ];
    rules.into_iter().find(|(broken, _)| *broken).map(|(_, what)| what)
}

impl Run for DestroyObject {
    fn resource(&self) -> Resource<'_> {
        Resource::Object(self.object)
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        keyring.intent_on(caller, self.object, Capability::Delete)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<()> {
        let (application, token) = (caller.application()?, caller.tenant()?);
        let object = keyring.visible(caller, self.object)?;
        keyring.require_login(caller, object.content.needs_login())?;
        refuse_stranger(&object, keyring.logged_in(caller)?)?;
        if !object.content.destroyable {
            return Err(Error::new(ErrorCode::OperationNotAllowed, "CKA_DESTROYABLE is false"));
        }
        if object.session.is_some() {
            application.remove(object.id);
            return Ok(());
        }
        match object.key.filter(|_| object.content.class.is_secret()) {
            Some((key, version)) => keyring.destroy_shown(token, key, version, &object),
            None => keyring.store.commit(&[Change::RemoveObject(object.id, object.revision)]),
        }
    }
}
