//! `key.list`, `key.show`, `key.public`: what readers may see of keys.

use crate::audit::note_use;
use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::key::Key;
use crate::keyring::tenant::OpenTenant;
use crate::store::{KeyRow, VersionRow};
use canis_proto::answer::{KeyInfo, KeyList, PublicKeyInfo, VersionInfo};
use canis_proto::message::{ListKeys, PublicKey, ShowKey};
use canis_proto::{Capability, ENTRY_PREFIX, Error, ErrorCode, KeyState, Result};

/// A page stays small enough that many of them at once do not matter; who wants more asks again.
const PAGE: usize = 100;

/// So many versions are shown of a key at a time.
const VERSIONS: usize = 1000;

impl Run for ListKeys<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Keys
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<KeyList> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let limit = match usize::try_from(self.limit).unwrap_or(PAGE) {
            0 => PAGE,
            asked => asked.min(PAGE),
        };
        let generation = keyring.store.generation();
        let mut rows = keyring.listed(&tenant, caller, (&self.prefix, &self.after), limit + 1)?;
        if self.include_deleted && rows.len() <= limit {
            // Their names sort after all others.
            let (prefix, room) = (format!("~{}", self.prefix), limit + 1 - rows.len());
            rows.extend(keyring.listed(&tenant, caller, (&prefix, &self.after), room)?);
        }
        let more = rows.len() > limit;
        rows.truncate(limit);
        let read = |row| Ok(metadata(&tenant, &keyring.read_key(&tenant, row, generation)?, Vec::new()));
        Ok(KeyList { keys: rows.iter().map(read).collect::<Result<_>>()?, more })
    }
}

impl Run for ShowKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<KeyInfo> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.key_or_tombstone(&tenant, &self.name)?;
        keyring.info_before(&tenant, &key, self.before_version)
    }
}

impl Run for PublicKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn given(answer: &Self::Answer) -> Option<usize> {
        Some(answer.spki.len())
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<PublicKeyInfo> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = match self.name.starts_with(ENTRY_PREFIX) {
            true => keyring.usable(&tenant, &self.name)?,
            false => keyring.key_or_tombstone(&tenant, &self.name)?,
        };
        if !key.kind.is_asymmetric() {
            return Err(Error::new(
                ErrorCode::OperationNotSupported,
                format!("key `{}` is of type {}, which has no public key", key.record.name, key.kind),
            ));
        }
        let version = if self.version == 0 { key.record.current_version } else { self.version };
        note_use(key.id, version);
        if key.state == KeyState::Destroyed {
            return key.left_public(version);
        }
        let spki = keyring.ready(&tenant, &key, version)?.spki()?.to_vec();
        Ok(PublicKeyInfo { name: key.record.name.clone(), version, kind: key.kind, spki })
    }
}

impl Key {
    /// The public key that a destroyed pair has left behind.
    fn left_public(&self, version: u32) -> Result<PublicKeyInfo> {
        let left = self.record.public_keys.iter().find(|(of, _)| *of == version);
        let (_, spki) = left.ok_or_else(|| self.without(version))?;
        Ok(PublicKeyInfo { name: self.name(), version, kind: self.kind, spki: spki.clone() })
    }
}

impl Keyring {
    /// Rows of keys whose names begin so and come after another one: those that the caller may list, at most `room`.
    fn listed(
        &self,
        tenant: &OpenTenant,
        caller: &Caller,
        (prefix, after): (&str, &str),
        room: usize,
    ) -> Result<Vec<KeyRow>> {
        let (mut listed, mut after) = (Vec::new(), after.to_owned());
        loop {
            let rows = self.store.keys(tenant.id, prefix, &after, room)?;
            let last = rows.len() < room;
            for row in rows {
                after.clone_from(&row.name);
                if listed.len() < room && self.shows(caller, Capability::List, Resource::Key(&row.name))? {
                    listed.push(row);
                }
            }
            if last || listed.len() == room {
                return Ok(listed);
            }
        }
    }

    /// A key's metadata as readers see it, with its newest versions.
    pub(super) fn info(&self, tenant: &OpenTenant, key: &Key) -> Result<KeyInfo> {
        self.info_before(tenant, key, 0)
    }

    fn info_before(&self, tenant: &OpenTenant, key: &Key, before: u32) -> Result<KeyInfo> {
        let mut rows = self.store.versions(key.id)?;
        rows.retain(|row| before == 0 || row.version < before);
        rows.drain(..rows.len().saturating_sub(VERSIONS));
        let uses = self.uses_of(key.id)?;
        let shown = |row: &VersionRow| {
            let state = if row.version < key.record.current_version { "rotated" } else { key.state.name() };
            let used = uses.get(&row.version);
            VersionInfo {
                version: row.version,
                created_at: row.created_at,
                state: state.to_owned(),
                uses: used.map_or(0, |(uses, _)| *uses),
                last_used_at: used.map(|(_, at)| *at),
            }
        };
        Ok(KeyInfo {
            uses: Some(uses.values().map(|(uses, _)| uses).sum()),
            last_used_at: uses.values().map(|(_, at)| *at).max(),
            ..metadata(tenant, key, rows.iter().map(shown).collect())
        })
    }
}

fn metadata(tenant: &OpenTenant, key: &Key, versions: Vec<VersionInfo>) -> KeyInfo {
    let record = &key.record;
    KeyInfo {
        name: key.name(),
        id: key.id.to_string(),
        tenant: tenant.id.to_string(),
        kind: key.kind,
        state: key.state,
        usage: key.usage,
        current_version: record.current_version,
        oldest_version: record.oldest_version,
        min_decryption_version: record.min_decryption_version,
        min_encryption_version: record.min_encryption_version,
        deletion_allowed: record.deletion_allowed,
        exportable: record.exportable,
        allow_plaintext_backup: record.allow_plaintext_backup,
        versions,
        revision: key.revision,
        created_at: record.created_at,
        updated_at: record.updated_at,
        deleted_at: record.deleted_at,
        destroy_at: record.destroy_at,
        interval: record.interval(),
        retain_versions: record.retain_versions,
        approvals: (record.approvals > 0).then(|| record.approvals.into()),
        uses: None,
        last_used_at: None,
        next_rotation_at: record.due_at().filter(|_| key.state == KeyState::Active),
    }
}
