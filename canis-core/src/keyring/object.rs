//! Object rows: sealed if private, clear and authenticated if public.
//!
//! Public objects must be visible before anybody logs in, so they cannot be sealed under the tenant key. Their row
//! carries two tags: the tenant's MAC (zeros until somebody logged in wrote it) and the store's. The tenant's is
//! checked whenever the tenant is open.

use super::record::ObjectRecord;
use super::seal::{Place, RowSealer};
use super::store_rows::agree;
use super::tenant::OpenTenant;
use super::{Keyring, RootKeys};
use crate::caller::Caller;
use crate::object::{Class, Content, KeyHandle, Object, Since};
use crate::store::{Change, ObjectRow, Row, UNSAID};
use canis_proto::{Family, Id, Result, Usage};
use std::sync::Arc;

const NO_TAG: [u8; 32] = [0; 32];

/// An object that was read and authenticated.
pub(crate) struct CachedObject {
    /// The store's generation before it was read.
    generation: u64,
    /// Whose it is.
    pub(crate) tenant: Id,
    /// The object.
    pub(crate) object: Arc<Object>,
}

fn place(tenant: Id, id: Id, version: u32, revision: u64) -> Place<'static> {
    Place { tenant, table: "objects", row: id, version, kind: "object", revision }
}

impl Keyring {
    /// The row of an object at its revision.
    pub(crate) fn object_row(&self, tenant: Id, object: &Object) -> Result<Row> {
        let content = &object.content;
        content.check_size()?;
        let version = object.key.map_or(0, |(_, version)| version);
        let place = place(tenant, object.id, version, object.revision);
        let record = crate::object::to_record(content, object.key).encode()?;
        let (body, seal) = if content.private {
            (self.tenant(tenant)?.rows.seal(&place, &record)?, Vec::new())
        } else {
            let tag = self.tenant_if_open(tenant).map_or(NO_TAG, |open| open.rows.tag(&place, &record));
            let seal = [tag, self.store_tag(&place, &record)?].concat();
            (record, seal)
        };
        Ok(Row::Object(ObjectRow {
            id: object.id,
            tenant_id: tenant,
            class: content.class as u8,
            private: content.private,
            label: content.label.clone(),
            cka_id: content.id.clone(),
            key_id: object.key.map(|(id, _)| id),
            version,
            family: family_number(content.family()),
            revision: object.revision,
            body,
            seal,
        }))
    }

    /// Reads an object's row; a private one needs the open tenant.
    pub(crate) fn read_object(&self, row: &ObjectRow, open: Option<&OpenTenant>) -> Result<Object> {
        let place = place(row.tenant_id, row.id, row.version, row.revision);
        let record = match (row.private, open) {
            (true, Some(tenant)) => tenant.rows.open(&place, &row.body)?,
            (true, None) => self.tenant(row.tenant_id)?.rows.open(&place, &row.body)?,
            (false, _) => self.check_public(&place, row, open)?,
        };
        let record = ObjectRecord::decode(&record)?;
        let (mut content, key) = crate::object::from_record(record).ok_or_else(|| place.tampered())?;
        // Trust is taken only from what the tenant key has authenticated.
        let proven = row.private || (open.is_some() && !row.seal.starts_with(&NO_TAG));
        if !proven {
            content.distrust();
        }
        agree(&place, "class", &Class::from_number(row.class), &Some(content.class))?;
        agree(&place, "private", &row.private, &content.private)?;
        agree(&place, "label", &row.label, &content.label)?;
        agree(&place, "cka_id", &row.cka_id, &content.id)?;
        agree(&place, "key_id", &row.key_id, &key.map(|(id, _)| id))?;
        if row.family != UNSAID {
            agree(&place, "family", &row.family, &family_number(content.family()))?;
        }
        Ok(Object { id: row.id, revision: row.revision, session: None, key, content })
    }

    /// The object of a row that was just found, from memory if it was read under this generation before.
    pub(crate) fn found_object(
        &self,
        row: &ObjectRow,
        open: Option<&OpenTenant>,
        generation: u64,
    ) -> Result<Arc<Object>> {
        if let Some(cached) = self.cached_object(row.id, generation) {
            return Ok(Arc::clone(&cached.object));
        }
        let object = Arc::new(self.read_object(row, open)?);
        let cached = CachedObject { generation, tenant: row.tenant_id, object: Arc::clone(&object) };
        self.objects.insert(row.id, Arc::new(cached));
        Ok(object)
    }

    /// An object that was read under this generation before.
    pub(crate) fn cached_object(&self, id: Id, generation: u64) -> Option<Arc<CachedObject>> {
        let stands = |cached: &Arc<CachedObject>| {
            let key = cached.object.key.map(|(key, _)| key);
            cached.generation == generation || self.stands(cached.generation, &[id, key.unwrap_or(id)])
        };
        self.objects.get(&id).filter(stands)
    }

    /// The moment, as opened keys remember it.
    pub(crate) fn since(&self, caller: &Caller) -> Result<Since> {
        self.end_wiped_logins(caller.application()?)?;
        self.known_moment(caller)
    }

    /// The same without a look at what other processes have done. A key that was opened in this moment was opened after
    /// such a look.
    pub(crate) fn known_moment(&self, caller: &Caller) -> Result<Since> {
        let epoch = caller.application()?.epoch();
        Ok(Since { token: caller.tenant()?, generation: self.store.generation(), epoch })
    }

    /// A key that was opened for this use before, if nothing has changed since.
    pub(crate) fn opened(&self, object: Id, usage: Usage, since: Since) -> Option<Arc<KeyHandle>> {
        self.handles.get(&(object, usage)).filter(|opened| self.is_still(opened, since))
    }

    /// Whether a key that was opened before is as it would be if it were opened at this moment.
    pub(crate) fn is_still(&self, opened: &KeyHandle, now: Since) -> bool {
        let Since { token, generation, epoch } = opened.since;
        let same = (token, epoch) == (now.token, now.epoch);
        same && (generation == now.generation
            || self.stands(generation, &[opened.object, opened.of.map_or(opened.object, |(key, _)| key)]))
    }

    /// Keeps an opened key for the next time.
    pub(crate) fn keep_opened(&self, object: Id, opened: &Arc<KeyHandle>) {
        self.handles.insert((object, opened.usage), Arc::clone(opened));
    }

    fn check_public(&self, place: &Place<'_>, row: &ObjectRow, open: Option<&OpenTenant>) -> Result<Vec<u8>> {
        let Some((by_tenant, by_store)) = row.seal.split_first_chunk::<32>() else {
            return Err(place.tampered());
        };
        let secret = Class::from_number(row.class).is_some_and(Class::is_secret);
        let fits = match open {
            // Objects that show a key or hold a secret are written by users who are logged in, and so with the tenant's
            // tag; the store's alone would let the file's owner plant one.
            Some(_) if *by_tenant == NO_TAG && (secret || row.key_id.is_some()) => false,
            Some(tenant) if *by_tenant != NO_TAG => tenant.rows.tag_fits(place, &row.body, by_tenant),
            _ => {
                let tag = self.store_tag(place, &row.body)?;
                subtle::ConstantTimeEq::ct_eq(&tag[..], by_store).into()
            }
        };
        if fits { Ok(row.body.clone()) } else { Err(place.tampered()) }
    }
}

/// An object's row under another tenant key: sealed anew if it is private, else with the tenant's tag anew where it has one.
pub(super) fn moved(tenant: &OpenTenant, to: &RowSealer, mut row: ObjectRow) -> Result<Option<Change>> {
    let place = place(row.tenant_id, row.id, row.version, row.revision);
    if row.private {
        row.body = tenant.rows.moved(to, &place, &row.body)?;
    } else {
        let (tenants, stores) = row.seal.split_at_checked(NO_TAG.len()).ok_or_else(|| place.tampered())?;
        if tenants == NO_TAG {
            return Ok(None);
        }
        if !tenant.rows.tag_fits(&place, &row.body, tenants) {
            return Err(place.tampered());
        }
        row.seal = [&to.tag(&place, &row.body), stores].concat();
    }
    Ok(Some(Change::Reseal(Row::Object(row))))
}

/// A public object's row with the store's tag of another root key; `None` for one whose tag does not fit the old one,
/// which stays refused.
pub(super) fn retagged(row: ObjectRow, old: &RootKeys, new: &RootKeys) -> Option<ObjectRow> {
    if !tagged_by(&row, old) {
        return None;
    }
    let place = place(row.tenant_id, row.id, row.version, row.revision);
    let (tenants, _) = row.seal.split_at_checked(NO_TAG.len())?;
    let seal = [tenants, &new.rows.tag(&place, &row.body)].concat();
    Some(ObjectRow { seal, ..row })
}

/// Whether a public object's row has the store's tag of this root key.
pub(super) fn tagged_by(row: &ObjectRow, keys: &RootKeys) -> bool {
    let place = place(row.tenant_id, row.id, row.version, row.revision);
    let stores = row.seal.split_at_checked(NO_TAG.len());
    stores.is_some_and(|(_, stores)| keys.rows.tag_fits(&place, &row.body, stores))
}

/// The number of a family in the clear column (docs/storage.md, section 7).
pub(crate) const fn family_number(family: Option<Family>) -> u8 {
    match family {
        None => 0,
        Some(Family::Aes) => 1,
        Some(Family::Rsa) => 2,
        Some(Family::Ec) => 3,
        Some(Family::Edwards) => 4,
        Some(Family::Montgomery) => 5,
        Some(Family::Generic) => 6,
        Some(Family::Des) => 7,
        Some(Family::TripleDes) => 8,
        Some(Family::MlDsa) => 9,
        Some(Family::MlKem) => 10,
        Some(Family::SlhDsa) => 11,
        Some(Family::Hybrid) => 12,
    }
}

impl Content {
    /// The family of its key.
    pub(crate) fn family(&self) -> Option<Family> {
        self.key.as_ref().map(|facts| facts.kind.family())
    }

    /// Whether only a logged-in user may see or use it.
    pub(crate) fn needs_login(&self) -> bool {
        self.private || self.class.is_secret()
    }
}
