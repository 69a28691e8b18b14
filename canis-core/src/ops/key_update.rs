//! `key.update`: a key's configuration.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::change::KeyChange;
use crate::keyring::intent::Intent;
use crate::keyring::key::Key;
use crate::keyring::key_record::KeyRecord;
use crate::keyring::tenant::OpenTenant;
use crate::object::Object;
use crate::store::{Change, ObjectQuery};
use canis_proto::answer::KeyInfo;
use canis_proto::approval::MAX_APPROVALS;
use canis_proto::message::{UpdateKey, WireRequest};
use canis_proto::{Capability, Error, ErrorCode, Result};

impl Run for UpdateKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn intent(&self, keyring: &Keyring, caller: &Caller) -> Result<Option<Intent>> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.key(&tenant, &self.name)?;
        let before = key.record.approvals;
        let fewer = self.approvals.is_some_and(|wanted| wanted < before.into());
        let told = UpdateKey::FIELDS.iter().map(|field| field.name).collect::<Vec<_>>();
        let intent = Intent::of(Capability::Update, self, &told).bound_to(key.id);
        Ok(Some(intent.by_at_least(if fewer { before } else { 0 })))
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<KeyInfo> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.change_key(
            &tenant,
            || keyring.key(&tenant, &self.name),
            |key| {
                expect_revision(key, self.revision)?;
                let record = updated(&key.record, &self, keyring.clock.now_micros())?;
                let further = keyring.objects_follow(&tenant, key, &record)?;
                Ok(KeyChange { record, further })
            },
        )?;
        keyring.info(&tenant, &key)
    }
}

/// Who changes what he has read wants nobody to have changed it since.
fn expect_revision(key: &Key, expected: Option<u64>) -> Result<()> {
    match expected {
        Some(expected) if expected != key.revision => Err(Error::new(
            ErrorCode::Conflict,
            format!(
                "key `{}` has revision {}, not {expected}; read it again and change that",
                key.record.name, key.revision
            ),
        )),
        _ => Ok(()),
    }
}

fn updated(old: &KeyRecord, request: &UpdateKey<'_>, now: i64) -> Result<KeyRecord> {
    let mut record = old.clone();
    record.deletion_allowed = request.deletion_allowed.unwrap_or(old.deletion_allowed);
    record.exportable = only_off(old, "exportable", old.exportable, request.exportable)?;
    let plaintext =
        only_off(old, "allow_plaintext_backup", old.allow_plaintext_backup, request.allow_plaintext_backup)?;
    record.allow_plaintext_backup = plaintext && record.exportable;
    record.min_decryption_version = request.min_decryption_version.unwrap_or(old.min_decryption_version);
    record.min_encryption_version = request.min_encryption_version.unwrap_or(old.min_encryption_version);
    check_limits(&record)?;
    if let Some(interval) = request.interval {
        record.rotate_every(interval, now)?;
    }
    if let Some(versions) = request.retain_versions {
        record.retain(versions)?;
    }
    if let Some(approvals) = request.approvals {
        record.approvals =
            u8::try_from(approvals).ok().filter(|_| approvals <= MAX_APPROVALS).ok_or_else(|| {
                Error::invalid(format!("`approvals` of a key is from 0 to {MAX_APPROVALS}, not {approvals}"))
            })?;
    }
    Ok(record)
}

/// R55: what lets a key out is given when it is made, or never.
fn only_off(record: &KeyRecord, what: &str, old: bool, asked: Option<bool>) -> Result<bool> {
    match asked {
        Some(true) if !old => Err(Error::new(
            ErrorCode::AttributeReadOnly,
            format!(
                "`{what}` of key `{}` can be set only when the key is made; later only switched off",
                record.name
            ),
        )),
        asked => Ok(asked.unwrap_or(old)),
    }
}

/// R36: a version that encrypts must be one that decrypts.
fn check_limits(record: &KeyRecord) -> Result<()> {
    let KeyRecord { name, current_version, min_decryption_version, min_encryption_version, .. } = record;
    if !(1..=*current_version).contains(min_decryption_version) {
        return Err(Error::invalid(format!(
            "min_decryption_version of key `{name}` must be from 1 to {current_version}, the current version; not \
             {min_decryption_version}"
        )));
    }
    if min_encryption_version > current_version {
        return Err(Error::invalid(format!(
            "min_encryption_version of key `{name}` must be from 0 (only the current one) to {current_version}; not \
             {min_encryption_version}"
        )));
    }
    if *min_encryption_version > 0 && min_encryption_version < min_decryption_version {
        return Err(Error::invalid(format!(
            "min_encryption_version {min_encryption_version} of key `{name}` is below its min_decryption_version \
             {min_decryption_version}: what such a version encrypts could not be decrypted"
        )));
    }
    Ok(())
}

impl Keyring {
    /// What lets a key out is the same through PKCS#11: CKA_EXTRACTABLE is exportable, CKA_SENSITIVE false is
    /// allow_plaintext_backup.
    fn objects_follow(&self, tenant: &OpenTenant, key: &Key, record: &KeyRecord) -> Result<Vec<Change>> {
        let (old, new) = (&key.record, record);
        if (old.exportable, old.allow_plaintext_backup) == (new.exportable, new.allow_plaintext_backup) {
            return Ok(Vec::new());
        }
        let mut changes = Vec::new();
        for row in self.store.objects(&ObjectQuery::of_key(tenant.id, key.id))? {
            let object = self.read_object(&row, Some(tenant))?;
            let Some(facts) = object.content.key.clone().filter(|_| object.content.class.is_secret()) else {
                continue;
            };
            let mut content = object.content.clone();
            content.key = Some(crate::object::KeyFacts {
                extractable: facts.extractable && new.exportable,
                sensitive: facts.sensitive || !new.allow_plaintext_backup,
                ..facts
            });
            let changed = Object { revision: object.revision + 1, content, ..object };
            changes.push(Change::Put(self.object_row(tenant.id, &changed)?));
        }
        Ok(changes)
    }
}
