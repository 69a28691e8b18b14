//! The tenant's wrapping keys, under whose public halves customers wrap the keys they bring: an RSA-4096 pair and a hybrid one,
//! each made when it is first asked for.
//!
//! They are no keys of the tenant's list: they have no name, no object and no usage, so that nothing can decrypt with them but an
//! import, and nothing can export them. Each stands sealed in a row of its own.

use super::Keyring;
use super::seal::{Place, RowSealer};
use super::tenant::OpenTenant;
use crate::crypto::PrivateKey;
use crate::store::{Change, MetaRow, Row};
use canis_proto::{Error, ErrorCode, Id, KeyType, Result};

/// What is fixed for one of them.
struct Sort {
    kind: KeyType,
    /// What its row is sealed as.
    sealed_as: &'static str,
    row: fn(Id) -> String,
}

/// The hybrid one first: to see that a wrapping is not for it costs least.
const SORTS: [Sort; 2] = [
    Sort {
        kind: KeyType::MlKem768X25519,
        sealed_as: "hybrid-wrapping-key",
        row: MetaRow::hybrid_wrapping_key,
    },
    // The size is what key customers are used to; it carries 152 bits of security, more than the 128 that AES-128 needs.
    Sort { kind: KeyType::Rsa4096, sealed_as: "wrapping-key", row: MetaRow::wrapping_key },
];

impl Sort {
    fn of(kind: KeyType) -> Result<&'static Sort> {
        SORTS.iter().find(|sort| sort.kind == kind).ok_or_else(|| {
            let message =
                format!("there is no wrapping key of type {kind}; take rsa-4096 or ml-kem-768-x25519");
            Error::new(ErrorCode::InvalidKeyType, message)
        })
    }

    fn place(&self, tenant: Id, revision: u64) -> Place<'static> {
        Place { tenant, table: "meta", row: tenant, version: 0, kind: self.sealed_as, revision }
    }
}

impl Keyring {
    /// The wrapping key of this type; made if there is none yet. Takes seconds then, if it is RSA.
    ///
    /// # Errors
    /// `invalid_key_type` for a type that none is of; `store_tampered`, and those of the store.
    pub(crate) fn wrapping_key(&self, tenant: &OpenTenant, kind: KeyType) -> Result<Box<dyn PrivateKey>> {
        let sort = Sort::of(kind)?;
        if let Some(key) = self.kept_wrapping_key(tenant, sort)? {
            return Ok(key);
        }
        let material = self.provider.keys.generate(kind)?;
        let body = tenant.rows.seal(&sort.place(tenant.id, 1), material.expose())?;
        let row = Row::Meta(MetaRow { name: (sort.row)(tenant.id), revision: 1, body });
        match self.store.commit(&[tenant.expected(), Change::Put(row)]) {
            // Somebody else made one meanwhile; that is the one.
            Err(error) if error.code == ErrorCode::Conflict => {}
            done => done?,
        }
        let kept = self.kept_wrapping_key(tenant, sort)?;
        kept.ok_or_else(|| Error::internal("the wrapping key is gone as soon as it was made"))
    }

    /// Their rows under another tenant key.
    pub(super) fn moved_wrapping_keys(&self, tenant: &OpenTenant, to: &RowSealer) -> Result<Vec<Change>> {
        let mut moved = Vec::new();
        for sort in &SORTS {
            let Some(row) = self.store.meta(&(sort.row)(tenant.id))? else { continue };
            let body = tenant.rows.moved(to, &sort.place(tenant.id, row.revision), &row.body)?;
            moved.push(Change::Reseal(Row::Meta(MetaRow { body, ..row })));
        }
        Ok(moved)
    }

    /// Those that there are.
    pub(crate) fn wrapping_keys(&self, tenant: &OpenTenant) -> Result<Vec<(KeyType, Box<dyn PrivateKey>)>> {
        let mut kept = Vec::new();
        for sort in &SORTS {
            kept.extend(self.kept_wrapping_key(tenant, sort)?.map(|key| (sort.kind, key)));
        }
        Ok(kept)
    }

    fn kept_wrapping_key(&self, tenant: &OpenTenant, sort: &Sort) -> Result<Option<Box<dyn PrivateKey>>> {
        let Some(row) = self.store.meta(&(sort.row)(tenant.id))? else { return Ok(None) };
        let material = tenant.rows.open_secret(&sort.place(tenant.id, row.revision), &row.body)?;
        self.provider.keys.private(sort.kind, material.expose()).map(Some)
    }
}
