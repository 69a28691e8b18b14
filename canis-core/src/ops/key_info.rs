//! `key.list`, `key.show`, `key.public`: what readers may see of keys.

use crate::caller::Caller;
use crate::core::{Resource, Run};
use crate::keyring::Keyring;
use crate::keyring::ready::ReadyMaterial;
use crate::keyring::record::KeyRecord;
use canis_proto::answer::{KeyInfo, KeyList, PublicKeyInfo, VersionInfo};
use canis_proto::message::{ListKeys, PublicKey, ShowKey};
use canis_proto::{Error, ErrorCode, Id, KeyState, KeyType, Result, Usage};

/// A page stays small enough that many of them at once do not matter; who wants more asks again.
const PAGE: usize = 100;

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
        let mut rows = keyring.store.keys(tenant.id, &self.prefix, &self.after, limit + 1)?;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let read = |row| {
            let key = keyring.read_key(&tenant, row, generation)?;
            Ok(info(key.id, key.kind, key.state, &key.record, Vec::new()))
        };
        Ok(KeyList { keys: rows.iter().map(read).collect::<Result<_>>()?, more })
    }
}

impl Run for ShowKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<KeyInfo> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.key(&tenant, &self.name)?;
        let rows = keyring.store.versions(key.id)?;
        let versions =
            rows.iter().map(|r| VersionInfo { version: r.version, created_at: r.created_at }).collect();
        Ok(info(key.id, key.kind, key.state, &key.record, versions))
    }
}

impl Run for PublicKey<'_> {
    fn resource(&self) -> Resource<'_> {
        Resource::Key(&self.name)
    }

    fn run(self, keyring: &Keyring, caller: &Caller) -> Result<PublicKeyInfo> {
        let tenant = keyring.tenant(caller.tenant()?)?;
        let key = keyring.key(&tenant, &self.name)?;
        if !key.kind.is_asymmetric() {
            return Err(Error::new(
                ErrorCode::OperationNotSupported,
                format!("key `{}` is of type {}, which has no public key", key.record.name, key.kind),
            ));
        }
        let version = if self.version == 0 { key.record.current_version } else { self.version };
        match &keyring.ready(&tenant, &key, version)?.material {
            ReadyMaterial::Pair { private, .. } => Ok(PublicKeyInfo {
                name: key.record.name.clone(),
                version,
                kind: key.kind,
                spki: private.public_spki().to_vec(),
            }),
            ReadyMaterial::Aes { .. } | ReadyMaterial::Generic { .. } => {
                Err(Error::internal("an asymmetric key without a pair"))
            }
        }
    }
}

/// A key's metadata as readers see it.
pub(super) fn info(
    id: Id,
    kind: KeyType,
    state: KeyState,
    record: &KeyRecord,
    versions: Vec<VersionInfo>,
) -> KeyInfo {
    KeyInfo {
        name: record.name.clone(),
        id: id.to_string(),
        kind,
        state,
        usage: Usage::from_bits(record.usage).unwrap_or_default(),
        current_version: record.current_version,
        min_decryption_version: record.min_decryption_version,
        min_encryption_version: record.min_encryption_version,
        deletion_allowed: record.deletion_allowed,
        exportable: record.exportable,
        allow_plaintext_backup: record.allow_plaintext_backup,
        versions,
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}
