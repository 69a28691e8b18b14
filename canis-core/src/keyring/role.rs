//! Sticky roles of key values: what a value was ever used for, by whatever key, object or process.
//!
//! A key that wraps sensitive keys must not decrypt data, or it would decrypt what it wrapped (Clulow, 2003). The
//! attributes of an object cannot say so: they change, and one value can stand in two objects. So the roles hang on
//! the value itself, under a fingerprint that only the tenant key can make, and are never taken away. Why and how:
//! docs/adr/0007-roles-of-values.md.

use super::Keyring;
use super::record::ValueRoles;
use super::seal::{Place, RowSealer};
use super::tenant::OpenTenant;
use crate::store::{Change, RoleRow, Row};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use zeroize::Zeroizing;

/// How often two processes that give roles to one value at once are let try again.
const RETRIES: usize = 8;

/// A set of roles; the bits are what records carry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Roles(u16);

impl Roles {
    /// None.
    pub(crate) const NONE: Roles = Roles(0);
    /// It was granted the encryption or decryption of data and nothing else, or has done it.
    pub(crate) const DATA: Roles = Roles(1);
    /// It has wrapped or unwrapped a sensitive key.
    pub(crate) const KEYS: Roles = Roles(2);
    /// It was wrapped while it was sensitive: it must not come back as anything else.
    pub(crate) const SENSITIVE: Roles = Roles(4);
    /// The same for CKA_WRAP_WITH_TRUSTED.
    pub(crate) const TRUSTED_ONLY: Roles = Roles(8);
    /// It has made or checked MACs, so that users know what a PRF gives under it.
    pub(crate) const MACS: Roles = Roles(16);
    /// A PRF under it has made keys that are kept.
    pub(crate) const DERIVES: Roles = Roles(32);
    /// `derive` of the API has shown what HKDF makes of it.
    pub(crate) const SHOWN: Roles = Roles(64);
    /// HKDF has made keys of it that are kept.
    pub(crate) const KEEPS: Roles = Roles(128);
    /// All that concerns what PRFs give under it.
    pub(crate) const PRF: Roles = Roles::MACS.with(Roles::DERIVES).with(Roles::SHOWN).with(Roles::KEEPS);
    /// It left as what a KDF cut from a longer run of bytes: no key is made of its bytes.
    pub(crate) const FROM_KDF: Roles = Roles(256);
    /// It left as a key of the API: RSA neither unpadded nor by PKCS#1 v1.5 encryption.
    pub(crate) const OF_API: Roles = Roles(512);
    /// It was a DES key when it was wrapped: one that was stronger must not come back as one.
    pub(crate) const DES: Roles = Roles(1024);

    /// Both.
    pub(crate) const fn with(self, other: Roles) -> Roles {
        Roles(self.0 | other.0)
    }

    /// Whether all of `other` is in it.
    pub(crate) const fn has(self, other: Roles) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether something of `other` is in it.
    pub(crate) const fn meets(self, other: Roles) -> bool {
        self.0 & other.0 != 0
    }

    /// Without those.
    pub(crate) const fn without(self, other: Roles) -> Roles {
        Roles(self.0 & !other.0)
    }

    /// Those that are in both.
    pub(crate) const fn intersect(self, other: Roles) -> Roles {
        Roles(self.0 & other.0)
    }
}

/// Roles that a value is to have from now on.
#[derive(Clone, Copy)]
pub(crate) struct Grant {
    /// Whose.
    pub(crate) value: Id,
    /// Which.
    pub(crate) roles: Roles,
    /// Those that it must not have.
    pub(crate) unless: Roles,
}

/// What a ready key knows of its value, so that most uses need not ask the store.
#[derive(Default)]
pub(crate) struct KnownValue {
    /// The fingerprint, once it was computed.
    pub(crate) fingerprint: OnceLock<Id>,
    /// The fingerprint of a secret as HMAC's key, once it was computed.
    pub(crate) as_mac_key: OnceLock<Id>,
    /// What it is used for. Of a token key that stands in the store, too.
    roles: AtomicU16,
    /// Of a session key: whether whoever has the token can have the value again, by deriving or unwrapping it anew.
    lasting: AtomicBool,
}

impl KnownValue {
    /// What it is used for.
    pub(crate) fn roles(&self) -> Roles {
        Roles(self.roles.load(Ordering::SeqCst))
    }

    /// It has these roles from now on; gives those that are new.
    pub(crate) fn add(&self, roles: Roles) -> Roles {
        roles.without(Roles(self.roles.fetch_or(roles.0, Ordering::SeqCst)))
    }

    /// Takes back what was added and then refused.
    pub(crate) fn take_back(&self, roles: Roles) {
        self.roles.fetch_and(!roles.0, Ordering::SeqCst);
    }

    /// Whether it outlives its session.
    pub(crate) fn is_lasting(&self) -> bool {
        self.lasting.load(Ordering::Acquire)
    }

    /// It does.
    pub(crate) fn set_lasting(&self) {
        self.lasting.store(true, Ordering::Release);
    }
}

fn place(tenant: Id, fingerprint: Id, revision: u64) -> Place<'static> {
    Place { tenant, table: "value_roles", row: fingerprint, version: 0, kind: "roles", revision }
}

impl Keyring {
    /// The fingerprint of the bytes of a secret key, whatever its type.
    pub(crate) fn secret_fingerprint(&self, tenant: &OpenTenant, value: &[u8]) -> Id {
        self.tagged(tenant, &[&[1], value])
    }

    /// The fingerprint of a secret as HMAC's key, which HMAC fills up with zeros: those at the end make no difference
    /// (RFC 2104, section 2).
    pub(crate) fn mac_key_fingerprint(&self, tenant: &OpenTenant, value: &[u8]) -> Id {
        let zeros = value.iter().rev().take_while(|byte| **byte == 0).count();
        self.tagged(tenant, &[&[4], &value[..value.len() - zeros]])
    }

    /// The fingerprint of both halves of a key pair.
    pub(crate) fn pair_fingerprint(&self, tenant: &OpenTenant, spki: &[u8]) -> Id {
        self.tagged(tenant, &[&[2], spki])
    }

    /// HMAC-SHA-256, cut to an id's 16 bytes: without the key nobody can look for two values with one fingerprint.
    fn tagged(&self, tenant: &OpenTenant, parts: &[&[u8]]) -> Id {
        let tag = self.provider.mac.hmac_sha256(tenant.values.expose(), parts);
        let mut id = [0; 16];
        id.copy_from_slice(&tag[..16]);
        Id(id)
    }

    /// Bytes that stand in for a key that could not be unwrapped, where an error would be an oracle: the same for the
    /// same ciphertext, IV and length, and nobody can foretell them. Were they the same for two of those, the key that
    /// was unwrapped rightly would be the one that differs.
    pub(crate) fn stand_in(
        &self,
        tenant: &OpenTenant,
        unwrapper: Id,
        (iv, wrapped): (&[u8], &[u8]),
        out: &mut [u8],
    ) {
        let lengths = [out.len() as u64, iv.len() as u64].map(u64::to_be_bytes);
        for (number, chunk) in (0u32..).zip(out.chunks_mut(32)) {
            let parts: [&[u8]; 6] =
                [&[3], &number.to_be_bytes(), &unwrapper.0, lengths.as_flattened(), iv, wrapped];
            let block = Zeroizing::new(self.provider.mac.hmac_sha256(tenant.values.expose(), &parts));
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }

    /// The roles of a value, with the revision of their row, 0 without one.
    ///
    /// # Errors
    /// `store_tampered`.
    pub(crate) fn value_roles(&self, tenant: &OpenTenant, value: Id) -> Result<(Roles, u64)> {
        match self.store.role(value)? {
            Some(row) => Ok((self.read_role(tenant, &row)?, row.revision)),
            None => Ok((Roles::NONE, 0)),
        }
    }

    /// Opens a row of roles.
    pub(crate) fn read_role(&self, tenant: &OpenTenant, row: &RoleRow) -> Result<Roles> {
        let place = place(tenant.id, row.id, row.revision);
        if row.tenant_id != tenant.id {
            return Err(place.tampered());
        }
        Ok(Roles(ValueRoles::decode(&tenant.rows.open(&place, &row.sealed)?)?.roles))
    }

    /// A row of roles under another tenant key; its name stays.
    pub(super) fn moved_role(tenant: &OpenTenant, to: &RowSealer, row: RoleRow) -> Result<Change> {
        let sealed = tenant.rows.moved(to, &place(tenant.id, row.id, row.revision), &row.sealed)?;
        Ok(Change::Reseal(Row::Role(RoleRow { sealed, ..row })))
    }

    /// Gives values roles, all or none. Gives `false`, and nothing else, if a value has one that it must not have.
    pub(crate) fn grant(&self, tenant: &OpenTenant, grants: &[Grant]) -> Result<bool> {
        for _ in 0..RETRIES {
            let mut changes = vec![tenant.expected()];
            for (value, (roles, unless)) in by_value(grants) {
                let (had, revision) = self.value_roles(tenant, value)?;
                if had.meets(unless) {
                    return Ok(false);
                }
                changes.extend(self.role_row(tenant, value, had, revision, roles)?);
            }
            if changes.len() == 1 {
                return Ok(true);
            }
            match self.store.commit(&changes) {
                Err(e) if e.code == ErrorCode::Conflict => {}
                done => return done.map(|()| true),
            }
        }
        Err(Error::new(ErrorCode::Conflict, "others keep changing what these keys are used for; try again"))
    }

    /// What a transaction holds that gives a value roles; nothing if it has them.
    pub(crate) fn role_change(&self, tenant: &OpenTenant, value: Id, roles: Roles) -> Result<Option<Change>> {
        let (had, revision) = self.value_roles(tenant, value)?;
        self.role_row(tenant, value, had, revision, roles)
    }

    fn role_row(
        &self,
        tenant: &OpenTenant,
        value: Id,
        had: Roles,
        revision: u64,
        roles: Roles,
    ) -> Result<Option<Change>> {
        if had.has(roles) {
            return Ok(None);
        }
        let revision = revision + 1;
        let record = ValueRoles { roles: had.with(roles).0 }.encode()?;
        let sealed = tenant.rows.seal(&place(tenant.id, value, revision), &record)?;
        Ok(Some(Change::Put(Row::Role(RoleRow { id: value, tenant_id: tenant.id, revision, sealed }))))
    }
}

/// Grants by value: one key may wrap itself.
fn by_value(grants: &[Grant]) -> BTreeMap<Id, (Roles, Roles)> {
    let mut values = BTreeMap::new();
    for grant in grants {
        let (roles, unless) = values.entry(grant.value).or_insert((Roles::NONE, Roles::NONE));
        *roles = roles.with(grant.roles);
        *unless = unless.with(grant.unless);
    }
    values
}
