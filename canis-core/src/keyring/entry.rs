//! Entries of the key-value store: rows ⇄ meaning, and as keys that operations use.
//!
//! An identifier may be a customer's name, so that it stands sealed like the rest. A row is found by an HMAC of it;
//! docs/adr/0013-key-value-store.md says what that means for lists.

use super::Keyring;
use super::key::Key;
use super::key_record::{KeyRecord, Source};
use super::ready::ReadyKey;
use super::record::EntryRecord;
use super::seal::{Place, RowSealer, fresh_id};
use super::tenant::OpenTenant;
use crate::format::{Given, file};
use crate::secret::SecretBytes;
use crate::store::{Change, EntryRow, Row};
use canis_proto::answer::EntryInfo;
use canis_proto::{ENTRY_PREFIX, EntryId, Error, ErrorCode, Id, KeyType, Result, Usage};
use std::sync::Arc;

/// An entry, authenticated; its private half stays sealed.
pub(crate) struct Entry {
    pub(crate) row: EntryRow,
    pub(crate) record: EntryRecord,
    pub(crate) kind: Option<KeyType>,
}

/// What an entry is to hold.
pub(crate) struct NewEntry<'a> {
    pub(crate) id: &'a EntryId,
    pub(crate) name: &'a str,
    pub(crate) public: &'a [u8],
    pub(crate) private: &'a [u8],
    /// The type of the pair that the halves make.
    pub(crate) kind: Option<KeyType>,
}

fn place(tenant: Id, row: Id, kind: &'static str, revision: u64) -> Place<'static> {
    Place { tenant, table: "kv_entries", row, version: 0, kind, revision }
}

fn record_place(row: &EntryRow) -> Place<'static> {
    place(row.tenant_id, row.id, "entry", row.revision)
}

fn private_place(row: &EntryRow) -> Place<'static> {
    place(row.tenant_id, row.id, "private", row.revision)
}

impl Keyring {
    /// What the row of an identifier is found by: the first 16 bytes of an HMAC, whose key only the tenant key opens.
    fn entry_lookup(&self, tenant: &OpenTenant, id: &str) -> Id {
        let tag = self.provider.mac.hmac_sha256(tenant.lookup.expose(), &[&[1], id.as_bytes()]);
        let mut lookup = [0; 16];
        lookup.copy_from_slice(&tag[..16]);
        Id(lookup)
    }

    /// The entry of an identifier, if there is one.
    ///
    /// # Errors
    /// `store_tampered`, and those of the store.
    pub(crate) fn entry_if_there(&self, tenant: &OpenTenant, id: &str) -> Result<Option<Entry>> {
        let row = self.store.entry(tenant.id, self.entry_lookup(tenant, id))?;
        let Some(row) = row else { return Ok(None) };
        let place = record_place(&row);
        let entry = self.read_entry(tenant, row)?;
        if entry.record.identifier == id { Ok(Some(entry)) } else { Err(place.tampered()) }
    }

    /// The entry of an identifier.
    ///
    /// # Errors
    /// `entry_not_found`, and as [`Keyring::entry_if_there`].
    pub(crate) fn entry(&self, tenant: &OpenTenant, id: &str) -> Result<Entry> {
        self.entry_if_there(tenant, id)?.ok_or_else(|| not_found(id))
    }

    /// Opens an entry's row, without the private half.
    pub(crate) fn read_entry(&self, tenant: &OpenTenant, row: EntryRow) -> Result<Entry> {
        let place = record_place(&row);
        if row.tenant_id != tenant.id {
            return Err(place.tampered());
        }
        let record = EntryRecord::decode(&tenant.rows.open(&place, &row.sealed)?)?;
        let kind = match record.kind {
            0 => None,
            number => Some(KeyType::from_number(number).ok_or_else(|| place.tampered())?),
        };
        let found_by = self.entry_lookup(tenant, &record.identifier);
        if row.lookup != found_by || record.has_private == row.private_key.is_empty() {
            return Err(place.tampered());
        }
        Ok(Entry { row, record, kind })
    }

    /// Opens an entry's private half.
    pub(crate) fn open_private(&self, tenant: &OpenTenant, entry: &Entry) -> Result<Option<SecretBytes>> {
        if !entry.record.has_private {
            return Ok(None);
        }
        tenant.rows.open_secret(&private_place(&entry.row), &entry.row.private_key).map(Some)
    }

    /// An entry's row under another tenant key; what finds it stays.
    pub(super) fn moved_entry(tenant: &OpenTenant, to: &RowSealer, mut row: EntryRow) -> Result<Change> {
        row.sealed = tenant.rows.moved(to, &record_place(&row), &row.sealed)?;
        if !row.private_key.is_empty() {
            row.private_key = tenant.rows.moved(to, &private_place(&row), &row.private_key)?;
        }
        Ok(Change::Reseal(Row::Entry(row)))
    }

    /// The row that takes the place of `old`, or that of a new entry, and what is told of it.
    pub(crate) fn entry_row(
        &self,
        tenant: &OpenTenant,
        old: Option<&Entry>,
        new: &NewEntry<'_>,
    ) -> Result<(Row, EntryInfo)> {
        // Times as revisions never come back, not even when an entry is deleted and made anew.
        let now = self.clock.now_micros();
        let now = old.map_or(now, |old| now.max(old.record.updated_at + 1));
        let record = EntryRecord {
            identifier: new.id.to_string(),
            name: new.name.to_owned(),
            public_key: new.public.to_vec(),
            kind: new.kind.map_or(0, KeyType::number),
            has_private: !new.private.is_empty(),
            created_at: old.map_or(now, |old| old.record.created_at),
            updated_at: now,
        };
        let mut row = EntryRow {
            id: old.map_or_else(|| fresh_id(self.provider), |old| Ok(old.row.id))?,
            tenant_id: tenant.id,
            lookup: self.entry_lookup(tenant, new.id.as_str()),
            revision: old.map_or(1, |old| old.row.revision + 1),
            sealed: Vec::new(),
            private_key: Vec::new(),
        };
        row.sealed = tenant.rows.seal(&record_place(&row), &record.encode()?)?;
        if record.has_private {
            row.private_key = tenant.rows.seal(&private_place(&row), new.private)?;
        }
        let info = info(&record, new.kind);
        Ok((Row::Entry(row), info))
    }

    /// What operations use under `name`: a key, or an entry as `kv:<identifier>`.
    ///
    /// # Errors
    /// As [`Keyring::key`]; `entry_not_found`; `operation_not_supported` for an entry that is no key pair.
    pub(crate) fn usable(&self, tenant: &OpenTenant, name: &str) -> Result<Arc<Key>> {
        let Some(id) = name.strip_prefix(ENTRY_PREFIX) else { return self.key(tenant, name) };
        self.cached_key(tenant, name, |generation| {
            let entry = self.entry(tenant, id)?;
            entry.as_key(name, generation).ok_or_else(|| no_pair(name))
        })
    }

    /// The pair of an entry, parsed; `material` of the ready key is the entry's, not kept anywhere else.
    pub(super) fn ready_entry(&self, tenant: &OpenTenant, key: &Key) -> Result<ReadyKey> {
        let id = key.record.name.strip_prefix(ENTRY_PREFIX).unwrap_or_default();
        let entry = self.entry(tenant, id)?;
        if (entry.row.id, entry.row.revision) != (key.id, key.revision) {
            return Err(Error::new(ErrorCode::Conflict, "the entry was just replaced; try again"));
        }
        match self.open_private(tenant, &entry)? {
            Some(private) => match parse(self, private.expose()) {
                Some(Given::Private { parts, .. }) => {
                    let (kind, material) = parts.into_material()?;
                    ReadyKey::new(self.provider, kind, material, None)
                }
                _ => Err(no_pair(&key.record.name)),
            },
            None => match parse(self, &entry.record.public_key) {
                Some(Given::Public(parts)) => ReadyKey::of_public(self.provider, key.kind, &parts.to_spki()?),
                _ => Err(no_pair(&key.record.name)),
            },
        }
    }
}

/// A half in any form that CANIS reads; what a passphrase would have to open is just bytes.
pub(crate) fn parse(keyring: &Keyring, half: &[u8]) -> Option<Given> {
    let locked = || Err(Error::invalid("a half with a passphrase is not opened here"));
    file::read(keyring.provider, None, half, &mut { locked }).ok()
}

impl Entry {
    /// What is told of it.
    pub(crate) fn info(&self) -> EntryInfo {
        info(&self.record, self.kind)
    }

    /// The row's id and revision, for its removal.
    pub(crate) fn place(&self) -> (Id, u64) {
        (self.row.id, self.row.revision)
    }

    /// What its row is found by.
    pub(crate) fn lookup(&self) -> Id {
        self.row.lookup
    }

    /// What callers name this state of it by.
    pub(crate) fn revision(&self) -> u64 {
        u64::try_from(self.record.updated_at).unwrap_or_default()
    }

    /// The entry as an active key of one version, if its halves are a pair, or one is the half of one.
    fn as_key(&self, name: &str, generation: u64) -> Option<Key> {
        let kind = self.kind?;
        let (source, usage) = match self.record.has_private {
            true => (Source::Outside, kind.default_usage()),
            false => (Source::PublicHalf, kind.default_usage().intersect(Usage::PUBLIC)),
        };
        let record = KeyRecord::new(name.to_owned(), kind, usage, self.record.created_at);
        Some(Key::of_entry(self.row.id, self.row.revision, kind, KeyRecord { source, ..record }, generation))
    }
}

fn info(record: &EntryRecord, kind: Option<KeyType>) -> EntryInfo {
    EntryInfo {
        id: record.identifier.clone(),
        name: record.name.clone(),
        kind,
        has_private: record.has_private,
        revision: u64::try_from(record.updated_at).unwrap_or_default(),
        created_at: record.created_at,
        updated_at: record.updated_at,
    }
}

/// There is no entry of this identifier.
pub(crate) fn not_found(id: &str) -> Error {
    Error::new(ErrorCode::EntryNotFound, format!("there is no entry `{}`", canis_proto::quote(id)))
}

fn no_pair(name: &str) -> Error {
    Error::new(
        ErrorCode::OperationNotSupported,
        format!(
            "`{}` holds no key pair that CANIS reads; its halves are just bytes",
            canis_proto::quote(name)
        ),
    )
}
