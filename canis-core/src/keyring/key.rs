//! Keys and their versions: rows ⇄ metadata, material ⇄ sealed.

use super::Keyring;
use super::key_record::{KeyRecord, Source};
use super::ready::{ApiKey, ReadyKey};
use super::seal::{Place, RowSealer, fresh_id};
use super::store_rows::agree;
use super::tenant::OpenTenant;
use crate::audit::note_use;
use crate::secret::SecretBytes;
use crate::store::{Change, KeyRow, Row, VersionRow};
use canis_proto::{ENTRY_PREFIX, Error, ErrorCode, Id, KeyState, KeyType, Result, Usage};
use quick_cache::Equivalent;
use std::sync::Arc;

/// A key's metadata, authenticated.
#[derive(Clone)]
pub(crate) struct Key {
    pub(crate) id: Id,
    pub(crate) revision: u64,
    pub(crate) kind: KeyType,
    pub(crate) state: KeyState,
    pub(crate) usage: Usage,
    pub(crate) record: KeyRecord,
    /// Whether it is an entry of the key-value store.
    entry: bool,
    /// The store's generation before the row was read; a later commit makes it stale.
    generation: u64,
}

/// What a key is looked up by: hashes as `(Id, String)` does.
#[derive(Hash)]
struct Named<'a>(Id, &'a str);

impl Equivalent<(Id, String)> for Named<'_> {
    fn equivalent(&self, (tenant, name): &(Id, String)) -> bool {
        self.0 == *tenant && self.1 == name
    }
}

fn place(tenant: Id, id: Id, revision: u64) -> Place<'static> {
    Place { tenant, table: "kms_keys", row: id, version: 0, kind: "key", revision }
}

/// The place of a version; its clear columns are part of it, so that editing one breaks the seal.
fn version_kind(key: Id, kind: KeyType, created_at: i64) -> String {
    format!("{key} {kind} {created_at}")
}

fn version_place<'a>(tenant: Id, row: &VersionRow, columns: &'a str) -> Place<'a> {
    Place { tenant, table: "kms_key_versions", row: row.id, version: row.version, kind: columns, revision: 1 }
}

impl Keyring {
    /// A key of this tenant by its name.
    ///
    /// # Errors
    /// `key_not_found`, `store_tampered`.
    pub(crate) fn key(&self, tenant: &OpenTenant, name: &str) -> Result<Arc<Key>> {
        if name.starts_with(ENTRY_PREFIX) {
            return Err(Error::new(
                ErrorCode::InvalidName,
                format!("`{}` is an entry, and this is for keys only", canis_proto::quote(name)),
            ));
        }
        self.cached_key(tenant, name, |generation| {
            let row = self.store.key_by_name(tenant.id, name)?.filter(|row| row.deleted_at.is_none());
            let Some(row) = row else { return Err(self.absent(tenant, name)) };
            self.read_key(tenant, &row, generation)
        })
    }

    /// What was read under `name` since the last change of the store; `read` is asked if nothing was.
    pub(super) fn cached_key(
        &self,
        tenant: &OpenTenant,
        name: &str,
        read: impl FnOnce(u64) -> Result<Key>,
    ) -> Result<Arc<Key>> {
        let generation = self.store.generation();
        let known = self.keys.get(&Named(tenant.id, name));
        let stands = |key: &Arc<Key>| key.generation == generation || self.stands(key.generation, &[key.id]);
        if let Some(key) = known.clone().filter(&stands) {
            return Ok(key);
        }
        let key = self.read_or(known, stands, || read(generation).map(Arc::new))?;
        self.keys.insert((tenant.id, name.to_owned()), Arc::clone(&key));
        Ok(key)
    }

    /// A key by its name, or a tombstone by what it is called instead.
    ///
    /// # Errors
    /// `key_not_found`, `key_destroyed`, `store_tampered`.
    pub(crate) fn key_or_tombstone(&self, tenant: &OpenTenant, name: &str) -> Result<Arc<Key>> {
        if !name.starts_with('~') {
            return self.key(tenant, name);
        }
        let generation = self.store.generation();
        match self.store.key_by_name(tenant.id, name)? {
            Some(row) => Ok(Arc::new(self.read_key(tenant, &row, generation)?)),
            None => Err(not_found(name)),
        }
    }

    /// Why there is no key of this name.
    fn absent(&self, tenant: &OpenTenant, name: &str) -> Error {
        match self.store.keys(tenant.id, &tombstones_of(name), "", 1) {
            Ok(rows) => match rows.first() {
                Some(row) => Error::new(
                    ErrorCode::KeyDestroyed,
                    format!(
                        "key `{}` was destroyed; what is left of it is `{}`",
                        canis_proto::quote(name),
                        row.name
                    ),
                ),
                None => not_found(name),
            },
            Err(error) => error,
        }
    }

    /// A key by its id; destroyed ones too.
    pub(crate) fn key_by_id(&self, tenant: &OpenTenant, id: Id) -> Result<Key> {
        let generation = self.store.generation();
        let row = self.store.key(id)?.filter(|row| row.tenant_id == tenant.id);
        let row = row.ok_or_else(|| Error::new(ErrorCode::KeyNotFound, format!("there is no key {id}")))?;
        self.read_key(tenant, &row, generation)
    }

    /// Opens a key's row and compares every clear column with the sealed copy.
    pub(crate) fn read_key(&self, tenant: &OpenTenant, row: &KeyRow, generation: u64) -> Result<Key> {
        let place = place(tenant.id, row.id, row.revision);
        let record = KeyRecord::decode(&tenant.rows.open(&place, &row.sealed)?)?;
        let kind = KeyType::from_number(record.kind).ok_or_else(|| place.tampered())?;
        let state = KeyState::from_number(record.state).ok_or_else(|| place.tampered())?;
        let usage = Usage::from_bits(record.usage).ok_or_else(|| place.tampered())?;
        let clear = clear_columns(tenant.id, row.id, row.revision, &record, kind, state);
        agree(&place, "tenant_id", &row.tenant_id, &clear.tenant_id)?;
        agree(&place, "name", &row.name, &clear.name)?;
        agree(&place, "key_type", &row.key_type, &clear.key_type)?;
        agree(&place, "current_version", &row.current_version, &clear.current_version)?;
        agree(&place, "min_decryption_version", &row.min_decryption_version, &clear.min_decryption_version)?;
        agree(&place, "min_encryption_version", &row.min_encryption_version, &clear.min_encryption_version)?;
        agree(&place, "deletion_allowed", &row.deletion_allowed, &clear.deletion_allowed)?;
        agree(&place, "exportable", &row.exportable, &clear.exportable)?;
        agree(&place, "created_at", &row.created_at, &clear.created_at)?;
        agree(&place, "updated_at", &row.updated_at, &clear.updated_at)?;
        agree(&place, "deleted_at", &row.deleted_at, &clear.deleted_at)?;
        agree(&place, "state", &row.state, &clear.state)?;
        agree(&place, "due_at", &row.due_at, &clear.due_at)?;
        Ok(Key { id: row.id, revision: row.revision, kind, state, usage, record, entry: false, generation })
    }

    /// The row of a key at `revision`.
    pub(crate) fn key_row(
        &self,
        tenant: &OpenTenant,
        id: Id,
        revision: u64,
        record: &KeyRecord,
    ) -> Result<Row> {
        let bug = || Error::internal("a key record with unknown numbers was about to be written");
        let kind = KeyType::from_number(record.kind).ok_or_else(bug)?;
        let state = KeyState::from_number(record.state).ok_or_else(bug)?;
        note_use(id, record.current_version);
        let mut row = clear_columns(tenant.id, id, revision, record, kind, state);
        row.sealed = tenant.rows.seal(&place(tenant.id, id, revision), &record.encode()?)?;
        Ok(Row::Key(row))
    }

    /// The row of a new version.
    pub(crate) fn version_row(
        &self,
        tenant: &OpenTenant,
        key: Id,
        kind: KeyType,
        version: u32,
        material: &SecretBytes,
        now: i64,
    ) -> Result<Row> {
        let id = fresh_id(self.provider)?;
        let columns = version_kind(key, kind, now);
        let place = Place {
            tenant: tenant.id,
            table: "kms_key_versions",
            row: id,
            version,
            kind: &columns,
            revision: 1,
        };
        let encrypted_material = tenant.rows.seal(&place, material.expose())?;
        Ok(Row::Version(VersionRow { id, key_id: key, version, encrypted_material, created_at: now }))
    }

    /// A version of a key, ready for use.
    ///
    /// # Errors
    /// `version_not_found`, `version_retired`, `store_tampered`.
    pub(crate) fn ready(&self, tenant: &OpenTenant, key: &Key, version: u32) -> Result<Arc<ReadyKey>> {
        // Before the cache: another process may have retired it.
        key.still_has(version)?;
        let cached = (key.id, key.generation_of(version));
        if let Some(ready) = self.ready.get(&cached) {
            return Ok(ready);
        }
        if key.entry {
            let ready = Arc::new(self.ready_entry(tenant, key)?);
            self.ready.insert(cached, Arc::clone(&ready));
            return Ok(ready);
        }
        let material = self.version_material(tenant, key, version)?;
        let api = Some(ApiKey::new(tenant, key, version));
        let secret = (!key.kind.is_asymmetric()).then(|| self.secret_fingerprint(tenant, material.expose()));
        let ready = Arc::new(match key.record.source {
            Source::PublicHalf => ReadyKey::of_public(self.provider, key.kind, material.expose())?,
            Source::Here | Source::Outside => ReadyKey::new(self.provider, key.kind, material, api)?,
        });
        if let Some(fingerprint) = secret {
            ready.known.fingerprint.get_or_init(|| fingerprint);
        }
        self.ready.insert(cached, Arc::clone(&ready));
        Ok(ready)
    }

    /// A version's material.
    ///
    /// # Errors
    /// As [`Keyring::ready`].
    pub(crate) fn version_material(
        &self,
        tenant: &OpenTenant,
        key: &Key,
        version: u32,
    ) -> Result<SecretBytes> {
        key.still_has(version)?;
        let row = self.store.version(key.id, version)?.ok_or_else(|| key.without(version))?;
        self.open_version(tenant, key, &row)
    }

    /// Opens the material in a version's row.
    pub(crate) fn open_version(
        &self,
        tenant: &OpenTenant,
        key: &Key,
        row: &VersionRow,
    ) -> Result<SecretBytes> {
        let columns = version_kind(row.key_id, key.kind, row.created_at);
        tenant.rows.open_secret(&version_place(tenant.id, row, &columns), &row.encrypted_material)
    }

    /// A key's row and those of its versions under another tenant key.
    pub(super) fn moved_key(&self, tenant: &OpenTenant, to: &RowSealer, row: KeyRow) -> Result<Vec<Change>> {
        let key = self.read_key(tenant, &row, 0)?;
        let sealed = tenant.rows.moved(to, &place(tenant.id, row.id, row.revision), &row.sealed)?;
        let mut changes = Vec::new();
        for version in self.store.versions(row.id)? {
            let columns = version_kind(row.id, key.kind, version.created_at);
            let place = version_place(tenant.id, &version, &columns);
            let encrypted_material = tenant.rows.moved(to, &place, &version.encrypted_material)?;
            changes.push(Change::Restore(Row::Version(VersionRow { encrypted_material, ..version })));
        }
        changes.push(Change::Reseal(Row::Key(KeyRow { sealed, ..row })));
        Ok(changes)
    }

    /// Forgets every key, object and handle in memory; the last use that still runs wipes them.
    pub(crate) fn forget_keys(&self) {
        self.handles.clear();
        self.objects.clear();
        self.keys.clear();
        self.ready.clear();
    }
}

fn clear_columns(tenant: Id, id: Id, revision: u64, r: &KeyRecord, kind: KeyType, state: KeyState) -> KeyRow {
    KeyRow {
        id,
        tenant_id: tenant,
        name: shown_name(r, id),
        key_type: kind.name().to_owned(),
        current_version: r.current_version,
        min_decryption_version: r.min_decryption_version,
        min_encryption_version: r.min_encryption_version,
        deletion_allowed: r.deletion_allowed,
        exportable: r.exportable,
        created_at: r.created_at,
        updated_at: r.updated_at,
        deleted_at: r.deleted_at,
        state: state.name().to_owned(),
        due_at: r.due_at(),
        revision,
        sealed: Vec::new(),
    }
}

/// Destroying frees the name; what the tombstone is called instead can be found by it (ADR 0010).
fn shown_name(record: &KeyRecord, id: Id) -> String {
    if record.deleted_at.is_some() {
        return format!("{}{id}", tombstones_of(&record.name));
    }
    record.name.clone()
}

/// What the tombstones of keys with this name are called, up to their ids. No name of a key starts like it.
fn tombstones_of(name: &str) -> String {
    format!("~{name}~")
}

fn not_found(name: &str) -> Error {
    Error::new(ErrorCode::KeyNotFound, format!("there is no key named `{}`", canis_proto::quote(name)))
}

impl Key {
    /// An entry of the key-value store as a key: active, with one version.
    pub(super) fn of_entry(id: Id, revision: u64, kind: KeyType, record: KeyRecord, generation: u64) -> Self {
        let usage = Usage::from_bits(record.usage).unwrap_or_default();
        Key { id, revision, kind, state: KeyState::Active, usage, record, entry: true, generation }
    }

    /// Whether it is an entry of the key-value store.
    pub(crate) fn is_entry(&self) -> bool {
        self.entry
    }

    /// What tells the material of a version from all others of this id: an entry's is replaced in place.
    fn generation_of(&self, version: u32) -> u64 {
        if self.entry { self.revision } else { u64::from(version) }
    }

    /// The key as it stands after `record` was written in its place.
    pub(super) fn followed_by(&self, record: KeyRecord) -> Option<Self> {
        Some(Key {
            id: self.id,
            revision: self.revision + 1,
            kind: self.kind,
            state: KeyState::from_number(record.state)?,
            usage: Usage::from_bits(record.usage)?,
            record,
            entry: self.entry,
            generation: self.generation,
        })
    }

    /// What the key is called: its name, or what its tombstone is called instead.
    pub(crate) fn name(&self) -> String {
        shown_name(&self.record, self.id)
    }
}
