//! `key.rotate`: a key gets a new version, and the objects that show it to PKCS#11.

use super::create_key::{NewMaterial, key_identifier};
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::change::KeyChange;
use crate::keyring::key::Key;
use crate::keyring::key_record::{KeyRecord, Source};
use crate::keyring::key_rules::refuse_legacy;
use crate::keyring::seal::fresh_id;
use crate::keyring::tenant::OpenTenant;
use crate::object::{Content, KeyFacts, Object};
use crate::store::{Change, ObjectQuery};
use canis_proto::answer::Rotated;
use canis_proto::message::RotateKey;
use canis_proto::text::MAX_VERSION;
use canis_proto::{Capability, Error, ErrorCode, KeyState, KeyType, Result};
use std::ops::Range;
use std::sync::Arc;

impl Run for RotateKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<Rotated> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let find = || keyring.key(&tenant, &self.name);
        let answer = |record: &KeyRecord, version, retires: Range<u32>| Rotated {
            name: record.name.clone(),
            version,
            retires: retires.collect(),
            preview: self.preview,
        };
        if self.preview {
            let key = find()?;
            refuse_rotation(&key)?;
            let retires = keyring.retired_by_rotation(&tenant, &key)?;
            return Ok(answer(&key.record, key.record.current_version + 1, retires));
        }
        let done = keyring.rotate(&tenant, find, |_| true)?;
        let Rotation { key, retired } = done.ok_or_else(|| Error::internal("a rotation was not wanted"))?;
        Ok(answer(&key.record, key.record.current_version, retired))
    }
}

fn refuse_rotation(key: &Key) -> Result<()> {
    if key.record.source == Source::PublicHalf {
        return Err(Error::new(
            ErrorCode::OperationNotAllowed,
            format!(
                "key `{}` is a public half alone; import its next version, as its owner makes it",
                key.record.name
            ),
        ));
    }
    refuse_version(key)
}

/// Whether the key can have another version.
pub(super) fn refuse_version(key: &Key) -> Result<()> {
    let KeyRecord { name, current_version, .. } = &key.record;
    refuse_legacy(key.kind)?;
    if key.state != KeyState::Active {
        return Err(Error::new(
            ErrorCode::OperationNotAllowed,
            format!("key `{name}` is {}; only an active key gets a new version", key.state),
        ));
    }
    if *current_version >= MAX_VERSION {
        return Err(Error::new(
            ErrorCode::OperationNotAllowed,
            format!("key `{name}` has as many versions as a key can have; make a new key"),
        ));
    }
    Ok(())
}

/// Material that becomes the next version.
pub(super) struct NextVersion {
    /// The material.
    pub(super) made: NewMaterial,
    /// Whether it was drawn here.
    pub(super) local: bool,
}

/// A rotation that was made.
pub(super) struct Rotation {
    /// The key as it is now.
    pub(super) key: Arc<Key>,
    /// The versions whose material is gone.
    pub(super) retired: Range<u32>,
}

impl Keyring {
    /// Rotates the key that `find` gives, if `wanted` still holds for it when that is written.
    pub(super) fn rotate(
        &self,
        tenant: &OpenTenant,
        find: impl Fn() -> Result<Arc<Key>>,
        wanted: impl Fn(&Key) -> bool,
    ) -> Result<Option<Rotation>> {
        let key = find()?;
        if wanted(&key) {
            refuse_rotation(&key)?;
        }
        // Drawn once, however often the change must be computed anew: RSA keys take seconds.
        let next = NextVersion { made: self.draw_again(tenant, &key)?, local: true };
        let fits = |key: &Key| {
            if wanted(key) { refuse_rotation(key).map(|()| true) } else { Ok(false) }
        };
        self.add_version(tenant, find, fits, &next)
    }

    /// Gives the key that `find` gives a next version, if it `fits` when that is written.
    pub(super) fn add_version(
        &self,
        tenant: &OpenTenant,
        find: impl Fn() -> Result<Arc<Key>>,
        fits: impl Fn(&Key) -> Result<bool>,
        next: &NextVersion,
    ) -> Result<Option<Rotation>> {
        let mut retired = None;
        let key = self.change_key(tenant, find, |key| {
            retired = None;
            if !fits(key)? {
                return Ok(key.record.clone().into());
            }
            let retires = self.retired_by_rotation(tenant, key)?;
            retired = Some(retires.clone());
            self.rotation(tenant, key, next, retires)
        })?;
        if retired.as_ref().is_some_and(|range| !range.is_empty()) {
            self.forget_keys();
            self.purge();
        }
        Ok(retired.map(|retired| Rotation { key, retired }))
    }

    /// Material of the same kind and length as the current version's.
    fn draw_again(&self, tenant: &OpenTenant, key: &Key) -> Result<NewMaterial> {
        let value = match key.kind {
            KeyType::Generic => self.ready(tenant, key, key.record.current_version)?.value_len(),
            _ => 0,
        };
        NewMaterial::draw(self.provider, key.kind, value)
    }

    /// The versions whose material the next rotation destroys. A key that must not be destroyed keeps them all, and so does
    /// one whose destruction others have to approve: nobody has been asked.
    fn retired_by_rotation(&self, tenant: &OpenTenant, key: &Key) -> Result<Range<u32>> {
        let KeyRecord { oldest_version: oldest, retain_versions: retained, .. } = key.record;
        let none = oldest..oldest;
        if retained == 0 || !key.record.deletion_allowed || key.record.approvals > 0 {
            return Ok(none);
        }
        let path = Resource::Key(&key.record.name).path();
        if !self.demanded(tenant.id, Capability::Delete, &path)?.is_empty() {
            return Ok(none);
        }
        Ok(oldest..oldest.max((key.record.current_version + 2).saturating_sub(retained)))
    }

    fn rotation(
        &self,
        tenant: &OpenTenant,
        key: &Key,
        next: &NextVersion,
        retires: Range<u32>,
    ) -> Result<KeyChange> {
        let (old, now) = (&key.record, self.clock.now_micros());
        let version = old.current_version + 1;
        let mut record = KeyRecord { current_version: version, oldest_version: retires.end, ..old.clone() };
        record.rotated_at(now);
        let row = self.version_row(tenant, key.id, key.kind, version, &next.made.material, now)?;
        let mut further = vec![Change::Put(row)];
        further.extend(retires.clone().map(|retired| Change::RemoveVersion(key.id, retired)));
        for row in self.store.objects(&ObjectQuery::of_key(tenant.id, key.id))? {
            if retires.contains(&row.version) {
                further.push(Change::RemoveObject(row.id, row.revision));
            } else if row.version == old.current_version {
                let shown = self.read_object(&row, Some(tenant))?;
                further.extend(self.objects_rotate(tenant, key, &shown, next)?);
            }
        }
        Ok(KeyChange { record, further })
    }

    /// The new version's object takes the label over from the one before, unless somebody has chosen that label, and
    /// has a CKA_ID of its own.
    fn objects_rotate(
        &self,
        tenant: &OpenTenant,
        key: &Key,
        shown: &Object,
        next: &NextVersion,
    ) -> Result<Vec<Change>> {
        let KeyRecord { name, current_version: old, .. } = &key.record;
        let new = Object {
            id: fresh_id(self.provider)?,
            revision: 1,
            session: None,
            key: Some((key.id, old + 1)),
            content: self.next_content(key, &shown.content, next)?,
        };
        let mut changes = vec![Change::Put(self.object_row(tenant.id, &new)?)];
        if shown.content.label == name.as_bytes() {
            let label = format!("{name}@{old}").into_bytes();
            let content = Content { label, ..shown.content.clone() };
            let older = Object { revision: shown.revision + 1, content, ..shown.clone() };
            changes.push(Change::Put(self.object_row(tenant.id, &older)?));
        }
        Ok(changes)
    }

    fn next_content(&self, key: &Key, old: &Content, next: &NextVersion) -> Result<Content> {
        let NextVersion { made, local } = next;
        let id = if made.spki.is_empty() {
            // Both halves of a pair derive theirs from the public key; a secret key has one object.
            fresh_id(self.provider)?.0.to_vec()
        } else {
            key_identifier(self.provider, &made.spki)
        };
        let facts = old.key.as_ref().map(|facts| KeyFacts {
            local: *local,
            // The security officer trusted a value, not whatever somebody else brings later.
            trusted: *local && facts.trusted,
            always_sensitive: *local && facts.sensitive && old.class.is_secret(),
            never_extractable: *local && !facts.extractable && old.class.is_secret(),
            spki: made.spki.clone(),
            ..facts.clone()
        });
        let label = key.record.name.clone().into_bytes();
        let mut content = Content { label, id, key: facts, ..old.clone() };
        if made.spki.is_empty() {
            content.note_next_secret(self.provider, key.kind, made.material.expose())?;
        }
        Ok(content)
    }
}
