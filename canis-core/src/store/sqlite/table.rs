//! How each row type stands in its table; the SQL is made from the list of columns.

use crate::store::Row as AnyRow;
use crate::store::{
    AccumulatorRow, AuditHeadRow, EntryRow, KeyRow, MetaRow, MoveRow, ObjectRow, OutboxRow, PinRow,
    PolicyRow, ReceiptRow, RoleRow, RootSlotRow, TenantRow, TokenRow, UseRow, VersionRow,
};
use canis_proto::Id;
use rusqlite::types::Value;
use rusqlite::{Result, Row};

/// A row type's table.
pub(super) trait Table: Columns + Clone {
    /// The row as one of any table.
    fn into_row(self) -> AnyRow;
}

/// How a row stands in its table.
pub(super) trait Columns: Sized {
    /// The table's name.
    const NAME: &'static str;
    /// Its columns; the first is the primary key.
    const COLUMNS: &'static [&'static str];
    /// The row, its columns in that order.
    fn read(row: &Row<'_>) -> Result<Self>;
    /// The values, in that order.
    fn values(&self) -> Vec<Value>;
    /// The revision the row takes; tables whose rows are written once have always 1.
    fn revision(&self) -> u64;
}

fn id(row: &Row<'_>, at: usize) -> Result<Id> {
    row.get::<_, [u8; 16]>(at).map(Id)
}

fn blob(id: Id) -> Value {
    Value::Blob(id.as_bytes().to_vec())
}

/// SQLite's integers are signed; revisions never come near the sign.
fn number(value: u64) -> Value {
    Value::Integer(i64::try_from(value).unwrap_or(i64::MAX))
}

/// Describes a table: `column: (how to read it, how to write it)` in the order of the columns.
macro_rules! table {
    ($row:ident, $name:literal, $revision:expr, { $($field:ident: $read:expr, $write:expr;)+ }) => {
        impl Columns for $row {
            const NAME: &'static str = $name;
            const COLUMNS: &'static [&'static str] = &[$(stringify!($field)),+];

            fn read(row: &Row<'_>) -> Result<Self> {
                let mut at = 0..;
                let mut next = move || at.next().unwrap_or_default();
                Ok($row { $($field: $read(row, next())?,)+ })
            }

            fn values(&self) -> Vec<Value> {
                vec![$($write(self.$field.clone())),+]
            }

            fn revision(&self) -> u64 {
                $revision(self)
            }
        }
    };
}

/// Which rows accumulators count, and backups carry.
macro_rules! counted {
    ($($variant:ident($row:ident),)+) => {
        $(impl Table for $row {
            fn into_row(self) -> AnyRow { AnyRow::$variant(self) }
        })+
    };
}

counted! {
    Meta(MetaRow),
    RootSlot(RootSlotRow),
    Tenant(TenantRow),
    Pin(PinRow),
    Token(TokenRow),
    Policy(PolicyRow),
    Key(KeyRow),
    Version(VersionRow),
    Object(ObjectRow),
    Role(RoleRow),
    Entry(EntryRow),
    Receipt(ReceiptRow),
    Accumulator(AccumulatorRow),
}

fn get<T: rusqlite::types::FromSql>(row: &Row<'_>, at: usize) -> Result<T> {
    row.get(at)
}

/// SQLite has no unsigned integers; a negative revision is a row of other hands.
fn counter(row: &Row<'_>, at: usize) -> Result<u64> {
    let value: i64 = row.get(at)?;
    u64::try_from(value).map_err(|_| rusqlite::Error::IntegralValueOutOfRange(at, value))
}

fn optional_id(row: &Row<'_>, at: usize) -> Result<Option<Id>> {
    Ok(row.get::<_, Option<[u8; 16]>>(at)?.map(Id))
}

fn optional_blob(id: Option<Id>) -> Value {
    id.map_or(Value::Null, blob)
}

table!(MetaRow, "meta", |r: &MetaRow| r.revision, {
    name: get, Value::Text;
    revision: counter, number;
    body: get, Value::Blob;
});
table!(RootSlotRow, "root_slots", |r: &RootSlotRow| r.revision, {
    id: id, blob;
    kind: get, Value::Text;
    revision: counter, number;
    body: get, Value::Blob;
});
table!(TenantRow, "tenants", |r: &TenantRow| r.revision, {
    id: id, blob;
    name: get, Value::Text;
    slot: get, Value::from;
    revision: counter, number;
    sealed: get, Value::Blob;
});
table!(PinRow, "pins", |r: &PinRow| r.revision, {
    id: id, blob;
    tenant_id: id, blob;
    role: get, Value::from;
    revision: counter, number;
    sealed: get, Value::Blob;
});
table!(TokenRow, "tokens", |r: &TokenRow| r.revision, {
    id: id, blob;
    tenant_id: id, blob;
    revision: counter, number;
    sealed: get, Value::Blob;
});
table!(PolicyRow, "policies", |r: &PolicyRow| r.revision, {
    id: id, blob;
    tenant_id: id, blob;
    kind: get, Value::from;
    name: get, Value::Text;
    revision: counter, number;
    sealed: get, Value::Blob;
});
table!(KeyRow, "kms_keys", |r: &KeyRow| r.revision, {
    id: id, blob;
    tenant_id: id, blob;
    name: get, Value::Text;
    key_type: get, Value::Text;
    current_version: get, Value::from;
    min_decryption_version: get, Value::from;
    min_encryption_version: get, Value::from;
    deletion_allowed: get, Value::from;
    exportable: get, Value::from;
    created_at: get, Value::from;
    updated_at: get, Value::from;
    deleted_at: get, Value::from;
    state: get, Value::Text;
    due_at: get, Value::from;
    revision: counter, number;
    sealed: get, Value::Blob;
});
table!(VersionRow, "kms_key_versions", |_: &VersionRow| 1, {
    id: id, blob;
    key_id: id, blob;
    version: get, Value::from;
    encrypted_material: get, Value::Blob;
    created_at: get, Value::from;
});
table!(UseRow, "key_uses", |_: &UseRow| 1, {
    key_id: id, blob;
    version: get, Value::from;
    uses: counter, number;
    last_used_at: get, Value::from;
});
table!(ObjectRow, "objects", |r: &ObjectRow| r.revision, {
    id: id, blob;
    tenant_id: id, blob;
    class: get, Value::from;
    private: get, Value::from;
    label: get, Value::Blob;
    cka_id: get, Value::Blob;
    key_id: optional_id, optional_blob;
    version: get, Value::from;
    family: get, Value::from;
    revision: counter, number;
    body: get, Value::Blob;
    seal: get, Value::Blob;
});
table!(RoleRow, "value_roles", |r: &RoleRow| r.revision, {
    id: id, blob;
    tenant_id: id, blob;
    revision: counter, number;
    sealed: get, Value::Blob;
});
table!(EntryRow, "kv_entries", |r: &EntryRow| r.revision, {
    id: id, blob;
    tenant_id: id, blob;
    lookup: id, blob;
    revision: counter, number;
    sealed: get, Value::Blob;
    private_key: get, Value::Blob;
});
table!(ReceiptRow, "idempotency", |_: &ReceiptRow| 1, {
    id: id, blob;
    tenant_id: id, blob;
    expires_at: get, Value::from;
    sealed: get, Value::Blob;
});
table!(AccumulatorRow, "accumulators", |r: &AccumulatorRow| r.revision, {
    id: id, blob;
    revision: counter, number;
    sealed: get, Value::Blob;
});
table!(OutboxRow, "outbox", |_: &OutboxRow| 1, {
    writer: id, blob;
    number: counter, number;
    sealed: get, Value::Blob;
});
table!(AuditHeadRow, "audit_heads", |_: &AuditHeadRow| 1, {
    writer: id, blob;
    ended: get, Value::from;
    sealed: get, Value::Blob;
});
table!(MoveRow, "moves", |_: &MoveRow| 1, {
    id: id, blob;
    store: id, blob;
    state: get, Value::Text;
    other: get, Value::Text;
    arrived: counter, number;
});
