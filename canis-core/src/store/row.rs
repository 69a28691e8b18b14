//! The rows of each table. Names of the key tables and their columns are those of the key engine's schema.

use super::audit::OutboxRow;
use canis_proto::Id;

/// A named fact about the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetaRow {
    /// What it is about.
    pub name: String,
    /// Counts changes, from 1.
    pub revision: u64,
    /// The record; sealed if it holds a secret.
    pub body: Vec<u8>,
}

impl MetaRow {
    /// What the names of tenants' wrapping keys begin with; the tenant's id follows, then `/hybrid` of the hybrid one.
    pub const WRAPPING_KEY: &'static str = "wrapping-key/";

    /// The name of the row that holds a tenant's wrapping key. It goes when the tenant is wiped.
    #[must_use]
    pub fn wrapping_key(tenant: Id) -> String {
        format!("{}{tenant}", MetaRow::WRAPPING_KEY)
    }

    /// The same for the tenant's hybrid wrapping key.
    #[must_use]
    pub fn hybrid_wrapping_key(tenant: Id) -> String {
        format!("{}{tenant}/hybrid", MetaRow::WRAPPING_KEY)
    }
}

/// The root key wrapped by one root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootSlotRow {
    /// Its id.
    pub id: Id,
    /// `passphrase`, `keyfile`, `hsm`, `shares` or `recipient`.
    pub kind: String,
    /// Counts changes, from 1.
    pub revision: u64,
    /// The record: parameters, the wrapped key, its commitment.
    pub body: Vec<u8>,
}

/// An isolated set of keys; a token to PKCS#11.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TenantRow {
    /// Its id.
    pub id: Id,
    /// Its name, the token's label; may repeat.
    pub name: String,
    /// The PKCS#11 slot it is seen in; never changes.
    pub slot: u32,
    /// Counts changes, from 1.
    pub revision: u64,
    /// The sealed record.
    pub sealed: Vec<u8>,
}

/// A PIN of a tenant and its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinRow {
    /// Its id.
    pub id: Id,
    /// Whose PIN.
    pub tenant_id: Id,
    /// 1 user, 2 security officer.
    pub role: u8,
    /// Counts changes, from 1.
    pub revision: u64,
    /// The sealed record.
    pub sealed: Vec<u8>,
}

/// A credential: a bearer token, or a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRow {
    /// Its id: the public half of a token, or made of a certificate's key.
    pub id: Id,
    /// The tenant it opens.
    pub tenant_id: Id,
    /// Counts changes, from 1.
    pub revision: u64,
    /// The sealed record.
    pub sealed: Vec<u8>,
}

/// What says who may do what: a policy, or a role that binds identities to policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyRow {
    /// Its id.
    pub id: Id,
    /// Whose it is.
    pub tenant_id: Id,
    /// 1 a policy, 2 a role.
    pub kind: u8,
    /// Unique within tenant and kind.
    pub name: String,
    /// Counts changes, from 1.
    pub revision: u64,
    /// The sealed record.
    pub sealed: Vec<u8>,
}

/// A key. The clear columns serve look-up; the sealed copy is the authority and must agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRow {
    /// Its id.
    pub id: Id,
    /// Whose key.
    pub tenant_id: Id,
    /// Unique within the tenant.
    pub name: String,
    /// The type's name.
    pub key_type: String,
    /// The version that encrypts and signs.
    pub current_version: u32,
    /// The oldest version that may decrypt.
    pub min_decryption_version: u32,
    /// The oldest version that may encrypt; 0 is only the current one.
    pub min_encryption_version: u32,
    /// Whether it may be destroyed.
    pub deletion_allowed: bool,
    /// Whether it may leave, wrapped.
    pub exportable: bool,
    /// Microseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// The last change.
    pub updated_at: i64,
    /// When it was destroyed.
    pub deleted_at: Option<i64>,
    /// The state's name.
    pub state: String,
    /// When something is to be done to it without anybody asking: a rotation, a destruction.
    pub due_at: Option<i64>,
    /// Counts changes, from 1.
    pub revision: u64,
    /// The sealed copy.
    pub sealed: Vec<u8>,
}

/// A version of a key; written once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// Its id.
    pub id: Id,
    /// Whose version.
    pub key_id: Id,
    /// The number, from 1.
    pub version: u32,
    /// The sealed key material.
    pub encrypted_material: Vec<u8>,
    /// Microseconds since 1970-01-01 UTC.
    pub created_at: i64,
}

/// How often a version was used. Advisory: nobody authenticates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UseRow {
    /// Whose version.
    pub key_id: Id,
    /// The version.
    pub version: u32,
    /// How often; what is added when it is written.
    pub uses: u64,
    /// The last time, in microseconds since 1970-01-01 UTC.
    pub last_used_at: i64,
}

/// What PKCS#11 shows: a key half, a certificate, a data object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectRow {
    /// Its id.
    pub id: Id,
    /// Whose object.
    pub tenant_id: Id,
    /// The class's number.
    pub class: u8,
    /// Whether it is seen only after login.
    pub private: bool,
    /// CKA_LABEL.
    pub label: Vec<u8>,
    /// CKA_ID.
    pub cka_id: Vec<u8>,
    /// The key it shows.
    pub key_id: Option<Id>,
    /// The version it shows; 0 without a key.
    pub version: u32,
    /// The number of its key's family, 0 without a key, or [`UNSAID`].
    pub family: u8,
    /// Counts changes, from 1.
    pub revision: u64,
    /// The record: sealed if private, else clear.
    pub body: Vec<u8>,
    /// What authenticates a clear record.
    pub seal: Vec<u8>,
}

/// What one value of keys was used for; several keys may have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleRow {
    /// The value's fingerprint, made under a key of the tenant.
    pub id: Id,
    /// Whose keys have the value.
    pub tenant_id: Id,
    /// Counts changes, from 1.
    pub revision: u64,
    /// The sealed record.
    pub sealed: Vec<u8>,
}

/// An entry of the key-value store. Nothing of it is readable but whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// Its id; another one if the entry is deleted and made anew.
    pub id: Id,
    /// Whose entry.
    pub tenant_id: Id,
    /// Made of the identifier under a key of the tenant; unique within the tenant.
    pub lookup: Id,
    /// Counts changes, from 1.
    pub revision: u64,
    /// The sealed record.
    pub sealed: Vec<u8>,
    /// The sealed private half; empty if there is none.
    pub private_key: Vec<u8>,
}

/// What was answered to a change that carried an idempotency key; written once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceiptRow {
    /// Made of caller and idempotency key under a key of the tenant.
    pub id: Id,
    /// Whose change.
    pub tenant_id: Id,
    /// From when on it is forgotten, in microseconds since 1970-01-01 UTC.
    pub expires_at: i64,
    /// The sealed record.
    pub sealed: Vec<u8>,
}

/// What every other row of a tenant, or of the store, comes to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccumulatorRow {
    /// The tenant; [`Id::STORE`] is the store's.
    pub id: Id,
    /// Counts changes, from 1; the store's counts commits.
    pub revision: u64,
    /// The sealed record.
    pub sealed: Vec<u8>,
}

/// The family of rows that were written before the column was there.
pub const UNSAID: u8 = 255;

/// Which objects are asked for; what is `None` is not looked at.
#[derive(Clone, Copy, Debug)]
pub struct ObjectQuery<'a> {
    /// Whose objects.
    pub tenant: Id,
    /// The class's number.
    pub class: Option<u8>,
    /// CKA_LABEL.
    pub label: Option<&'a [u8]>,
    /// CKA_ID.
    pub cka_id: Option<&'a [u8]>,
    /// The key they show.
    pub key_id: Option<Id>,
    /// The number of their keys' family; rows that do not say are among the answers.
    pub family: Option<u8>,
}

impl<'a> ObjectQuery<'a> {
    /// Every object of a tenant.
    #[must_use]
    pub fn all(tenant: Id) -> Self {
        ObjectQuery { tenant, class: None, label: None, cka_id: None, key_id: None, family: None }
    }

    /// The objects that show a key.
    #[must_use]
    pub fn of_key(tenant: Id, key: Id) -> Self {
        ObjectQuery { key_id: Some(key), ..ObjectQuery::all(tenant) }
    }
}

/// A row of any table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Row {
    /// `meta`
    Meta(MetaRow),
    /// `root_slots`
    RootSlot(RootSlotRow),
    /// `tenants`
    Tenant(TenantRow),
    /// `pins`
    Pin(PinRow),
    /// `tokens`
    Token(TokenRow),
    /// `policies`
    Policy(PolicyRow),
    /// `kms_keys`
    Key(KeyRow),
    /// `kms_key_versions`
    Version(VersionRow),
    /// `objects`
    Object(ObjectRow),
    /// `value_roles`
    Role(RoleRow),
    /// `kv_entries`
    Entry(EntryRow),
    /// `idempotency`
    Receipt(ReceiptRow),
    /// `accumulators`
    Accumulator(AccumulatorRow),
}

/// One change of a transaction. Revision 1 inserts; a higher one replaces the row of the revision before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Writes a row.
    Put(Row),
    /// Writes a row in place of one of the same revision: what it says stays, what it is sealed under changes.
    Reseal(Row),
    /// Fails the transaction unless the tenant still has this revision: what was sealed under a tenant key must not be
    /// written when the tenant was wiped meanwhile and has another key.
    ExpectTenant(Id, u64),
    /// Fails the transaction unless the accumulator of this tenant has this revision (0: there is none): nothing that it counts was
    /// changed since it was read. For stores whose commits are counted.
    ExpectUnchanged(Id, u64),
    /// Fails the transaction if the tenant has more keys by now than that, those that were destroyed not counted.
    AtMostKeys(Id, u64),
    /// Writes the audit line of this transaction, in place of the same operation's if it is there.
    NoteLine(OutboxRow),
    /// Removes a root slot that has this revision.
    RemoveRootSlot(Id, u64),
    /// Removes an object that has this revision.
    RemoveObject(Id, u64),
    /// Removes an entry that has this revision.
    RemoveEntry(Id, u64),
    /// Removes a credential that has this revision.
    RemoveToken(Id, u64),
    /// Removes a policy or role that has this revision.
    RemovePolicy(Id, u64),
    /// Removes every receipt, of any tenant, that expires at this moment or before.
    ForgetReceipts(i64),
    /// Removes every version of a key.
    RemoveVersions(Id),
    /// Removes one version of a key, if it is there.
    RemoveVersion(Id, u32),
    /// Removes every key, version, object, role, entry and receipt of a tenant and its user PIN, leaving no tombstones: when a token is
    /// initialised anew.
    WipeTenant(Id),
    /// Removes a tenant that has this revision, its PINs, policies and its bearers' tokens; what it holds goes by
    /// [`Change::WipeTenant`] before.
    RemoveTenant(Id, u64),
    /// Writes a row as a backup has it, in place of one with its id if there is one.
    Restore(Row),
    /// The same for a row that the accumulators still count, because it went behind their back.
    PutBack(Row),
    /// Makes the accumulators anew, of all rows that are there when the other changes are made. Without a ledger nothing
    /// comes of it.
    Recount,
}
