//! `key.destroy`, `key.cancel-destroy`: a key's material goes, now or later; a tombstone stays.

use crate::audit::{note_number, note_text};
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::change::KeyChange;
use crate::keyring::intent::Intent;
use crate::keyring::key::Key;
use crate::keyring::key_record::KeyRecord;
use crate::keyring::tenant::OpenTenant;
use crate::object::Object;
use crate::store::{Change, ObjectQuery, VersionRow};
use canis_proto::answer::KeyInfo;
use canis_proto::message::{CancelDestroyKey, DestroyKey};
use canis_proto::{Capability, Error, ErrorCode, Id, KeyState, Result};
use sha2::{Digest, Sha256};
use std::sync::Arc;

impl Run for DestroyKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.key(&tenant, &self.name)?;
        refuse_destroying(&key)?;
        let intent = Intent::of(Capability::Delete, self, &["name", "delay"]).bound_to(key.id);
        Ok(Some(intent.by_at_least(key.record.approvals)))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<KeyInfo> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let find = || keyring.key(&tenant, &self.name);
        let key = if self.delay.is_never() {
            keyring.destroy(&tenant, find, |_| true)?
        } else {
            keyring.change_key(&tenant, find, |key| {
                refuse_destroying(key)?;
                let at = keyring.clock.now_micros().saturating_add(self.delay.micros());
                Ok(KeyRecord { destroy_at: Some(at), ..key.record.clone() }.into())
            })?
        };
        keyring.info(&tenant, &key)
    }
}

impl Run for CancelDestroyKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<KeyInfo> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let find = || keyring.key(&tenant, &self.name);
        let key = keyring.change_key(&tenant, find, |key| {
            Ok(KeyRecord { destroy_at: None, ..key.record.clone() }.into())
        })?;
        keyring.info(&tenant, &key)
    }
}

/// What is destroyed, so that the audit log can show later what it was (docs/audit.md).
#[derive(PartialEq, Eq)]
struct Gone {
    versions: u64,
    /// Of their sealed material, one after the other.
    sha256: [u8; 32],
}

impl Gone {
    fn note(&self) {
        note_number("destroyed_versions", self.versions);
        note_text("destroyed_sha256", &base16ct::lower::encode_string(&self.sha256));
    }
}

/// Only a disabled key that may be destroyed is.
fn refuse_destroying(key: &Key) -> Result<()> {
    let name = &key.record.name;
    refuse_undeletable(key)?;
    if key.state.may_become(KeyState::Destroyed) {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::OperationNotAllowed,
        format!("key `{name}` is {}; only a disabled key is destroyed, so disable it first", key.state),
    ))
}

/// R22: a key that must not be destroyed is not.
pub(super) fn refuse_undeletable(key: &Key) -> Result<()> {
    if key.record.deletion_allowed {
        return Ok(());
    }
    Err(Error::new(
        ErrorCode::OperationNotAllowed,
        format!("key `{}` must not be destroyed: deletion_allowed is off", key.record.name),
    ))
}

impl Keyring {
    /// Destroys the disabled key that `find` gives with everything that shows it, if `wanted` still holds for it when
    /// that is written.
    pub(super) fn destroy(
        &self,
        tenant: &OpenTenant,
        find: impl Fn() -> Result<Arc<Key>>,
        wanted: impl Fn(&Key) -> bool,
    ) -> Result<Arc<Key>> {
        let found = find()?;
        let gone = self.sealed_versions(found.id, |_| true)?;
        if wanted(&found) && refuse_destroying(&found).is_ok() {
            gone.note();
        }
        let destroyed = self.change_key(tenant, find, |key| {
            if !wanted(key) {
                return Ok(key.record.clone().into());
            }
            refuse_destroying(key)?;
            self.refuse_other_versions(key.id, |_| true, &gone)?;
            let mut change = self.tombstone(tenant, key)?;
            for row in self.store.objects(&ObjectQuery::of_key(tenant.id, key.id))? {
                change.further.push(Change::RemoveObject(row.id, row.revision));
            }
            Ok(change)
        })?;
        self.forget_keys();
        self.purge();
        Ok(destroyed)
    }

    /// Destroys what a private or secret object shows: an older version, or with the last version the key, which then
    /// goes from Active through Disabled to Destroyed in one step. The public half stays, alone.
    pub(super) fn destroy_shown(&self, token: Id, key: Id, version: u32, object: &Object) -> Result<()> {
        let tenant = self.tenant(token)?;
        let find = || self.key_by_id(&tenant, key).map(Arc::new);
        let shown = |one: &VersionRow| one.version == version;
        let gone = self.sealed_versions(key, shown)?;
        gone.note();
        self.change_key(&tenant, find, |key| {
            refuse_undeletable(key)?;
            self.refuse_other_versions(key.id, shown, &gone)?;
            let mut change = if version < key.record.current_version {
                let further = vec![Change::RemoveVersion(key.id, version)];
                KeyChange { record: key.record.clone(), further }
            } else {
                self.refuse_while_older(key)?;
                self.tombstone(&tenant, key)?
            };
            change.further.push(Change::RemoveObject(object.id, object.revision));
            Ok(change)
        })?;
        self.forget_keys();
        self.purge();
        Ok(())
    }

    /// The versions of a key that are about to go, as the store has them.
    fn sealed_versions(&self, key: Id, goes: impl Fn(&VersionRow) -> bool) -> Result<Gone> {
        let mut hash = Sha256::new();
        let mut versions = 0;
        for row in self.store.versions(key)?.into_iter().filter(goes) {
            hash.update(&row.encrypted_material);
            versions += 1;
        }
        Ok(Gone { versions, sha256: hash.finalize().into() })
    }

    /// What the audit log says is what goes.
    fn refuse_other_versions(&self, key: Id, goes: impl Fn(&VersionRow) -> bool, gone: &Gone) -> Result<()> {
        if self.sealed_versions(key, goes)? == *gone {
            return Ok(());
        }
        let why = "the key's versions were changed at the same time, so it was not destroyed; ask again";
        Err(Error::new(ErrorCode::Conflict, why))
    }

    /// Whoever destroys the object of the current version does not name the older ones, on which data may hang.
    fn refuse_while_older(&self, key: &Key) -> Result<()> {
        let versions = self.store.versions(key.id)?;
        if versions.iter().all(|row| row.version == key.record.current_version) {
            return Ok(());
        }
        Err(Error::new(
            ErrorCode::OperationNotAllowed,
            format!(
                "this is the current version of key `{}`, which has older ones; destroy those first, or all of them \
                 with `canis key destroy`",
                key.record.name
            ),
        ))
    }

    /// The material of every version goes; what can be known of the key by everybody stays.
    pub(super) fn tombstone(&self, tenant: &OpenTenant, key: &Key) -> Result<KeyChange> {
        let now = self.clock.now_micros();
        let record = KeyRecord {
            state: KeyState::Destroyed as u8,
            deleted_at: Some(now),
            rotation: None,
            destroy_at: None,
            public_keys: self.public_keys(tenant, key)?,
            ..key.record.clone()
        };
        Ok(KeyChange { record, further: vec![Change::RemoveVersions(key.id)] })
    }

    fn public_keys(&self, tenant: &OpenTenant, key: &Key) -> Result<Vec<(u32, Vec<u8>)>> {
        if !key.kind.is_asymmetric() {
            return Ok(Vec::new());
        }
        let public = |version| match self.ready(tenant, key, version) {
            Ok(ready) => Ok(Some((version, ready.spki()?.to_vec()))),
            // Destroyed before, through the object that showed it; or nothing that could be believed.
            Err(error) if matches!(error.code, ErrorCode::VersionRetired | ErrorCode::StoreTampered) => {
                Ok(None)
            }
            Err(error) => Err(error),
        };
        (key.record.oldest_version..=key.record.current_version)
            .map(public)
            .filter_map(Result::transpose)
            .collect()
    }
}
