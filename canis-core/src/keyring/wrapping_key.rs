//! The tenant's wrapping key: an RSA-4096 pair under whose public half customers wrap the keys they bring.
//!
//! It is no key of the tenant's list: it has no name, no object and no usage, so that nothing can decrypt with it but an
//! import, and nothing can export it. It stands sealed in a row of its own.

use super::Keyring;
use super::seal::{Place, RowSealer};
use super::tenant::OpenTenant;
use crate::crypto::PrivateKey;
use crate::store::{Change, MetaRow, Row};
use canis_proto::{ErrorCode, Id, KeyType, Result};

/// The size is what key customers are used to; it carries 152 bits of security, more than the 128 that AES-128 needs.
const KIND: KeyType = KeyType::Rsa4096;

fn place(tenant: Id, revision: u64) -> Place<'static> {
    Place { tenant, table: "meta", row: tenant, version: 0, kind: "wrapping-key", revision }
}

impl Keyring {
    /// The wrapping key; made if there is none yet. Takes seconds then.
    ///
    /// # Errors
    /// `store_tampered`, and those of the store.
    pub(crate) fn wrapping_key(&self, tenant: &OpenTenant) -> Result<Box<dyn PrivateKey>> {
        if let Some(key) = self.kept_wrapping_key(tenant)? {
            return Ok(key);
        }
        let material = self.provider.keys.generate(KIND)?;
        let body = tenant.rows.seal(&place(tenant.id, 1), material.expose())?;
        let row = Row::Meta(MetaRow { name: MetaRow::wrapping_key(tenant.id), revision: 1, body });
        match self.store.commit(&[tenant.expected(), Change::Put(row)]) {
            // Somebody else made one meanwhile; that is the one.
            Err(error) if error.code == ErrorCode::Conflict => {}
            done => done?,
        }
        let kept = self.kept_wrapping_key(tenant)?;
        kept.ok_or_else(|| canis_proto::Error::internal("the wrapping key is gone as soon as it was made"))
    }

    /// Its row under another tenant key, if there is one.
    pub(super) fn moved_wrapping_key(&self, tenant: &OpenTenant, to: &RowSealer) -> Result<Option<Change>> {
        let Some(row) = self.store.meta(&MetaRow::wrapping_key(tenant.id))? else { return Ok(None) };
        let body = tenant.rows.moved(to, &place(tenant.id, row.revision), &row.body)?;
        Ok(Some(Change::Reseal(Row::Meta(MetaRow { body, ..row }))))
    }

    /// The wrapping key, if there is one.
    pub(crate) fn kept_wrapping_key(&self, tenant: &OpenTenant) -> Result<Option<Box<dyn PrivateKey>>> {
        let Some(row) = self.store.meta(&MetaRow::wrapping_key(tenant.id))? else { return Ok(None) };
        let material = tenant.rows.open_secret(&place(tenant.id, row.revision), &row.body)?;
        self.provider.keys.private(KIND, material.expose()).map(Some)
    }
}
