//! Rows as named columns, the same whatever store holds them: what accumulators count and backups carry.
//!
//! A row is the CBOR array of its table's name and a map of its columns. What is absent (`None`) is left out, so that a
//! column that a table gains later changes nothing for rows that have no value in it. PostgreSQL has a column for each of
//! them, by its kind.

use super::{
    AccumulatorRow, EntryRow, KeyRow, MetaRow, ObjectRow, PinRow, PolicyRow, ReceiptRow, RoleRow,
    RootSlotRow, Row, TenantRow, TokenRow, VersionRow,
};
use super::{AuditHeadRow, MoveRow, OutboxRow, UseRow};
use canis_proto::Id;
use canis_proto::value::{Map, Value};

/// What a column holds.
#[cfg(feature = "postgres")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Id,
    Text,
    Bytes,
    Flag,
    /// A number of a list, below 256.
    Small,
    /// A number of 32 bits.
    Number,
    /// A count of 64 bits.
    Count,
    /// Microseconds since 1970-01-01 UTC.
    Time,
}

/// A column of a table.
#[cfg(feature = "postgres")]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Column {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
}

/// A table whose rows are counted; the first column is the primary key.
#[cfg(feature = "postgres")]
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) name: &'static str,
    pub(crate) columns: &'static [Column],
    /// A row of the table from its columns; `None` if they are not the table's.
    pub(crate) row: fn(Map<'_>) -> Option<Row>,
}

/// A row of named columns.
pub(crate) trait Columns: Sized {
    /// The table's name.
    const TABLE: &'static str;
    /// Its columns.
    #[cfg(feature = "postgres")]
    const COLUMNS: &'static [Column];
    /// A row from its columns; `None` if they are not the table's.
    fn of_columns(columns: Map<'_>) -> Option<Self>;
    /// The columns of a row; what is absent is left out.
    fn columns(&self) -> Map<'_>;
}

/// A row that accumulators count.
#[cfg(feature = "postgres")]
pub(crate) trait Counted: Columns {
    /// Its table.
    const COUNTED: Table;
}

/// A column's value.
trait Cell {
    /// What its column holds.
    #[cfg(feature = "postgres")]
    const KIND: Kind;
    /// As CBOR; `None` if it is absent.
    fn value(&self) -> Option<Value<'_>>;
    /// Read back; `None` if the value is not of this type.
    fn read(value: Option<Value<'_>>) -> Option<Self>
    where
        Self: Sized;
}

macro_rules! cells {
    ($($cell:ty => $kind:ident, $write:expr, $read:expr;)+) => {
        $(impl Cell for $cell {
            #[cfg(feature = "postgres")]
            const KIND: Kind = Kind::$kind;
            fn value(&self) -> Option<Value<'_>> { Some(($write)(self)) }
            fn read(value: Option<Value<'_>>) -> Option<Self> { value.and_then($read) }
        })+
    };
}

fn integer<T: TryFrom<i128>>(value: Value<'_>) -> Option<T> {
    match value {
        Value::Integer(v) => T::try_from(v).ok(),
        _ => None,
    }
}

fn bytes(value: Value<'_>) -> Option<Vec<u8>> {
    match value {
        Value::Bytes(v) => Some(v.into_owned()),
        _ => None,
    }
}

fn text(value: Value<'_>) -> Option<String> {
    match value {
        Value::Text(v) => Some(v.into_owned()),
        _ => None,
    }
}

cells! {
    Id => Id, |v: &Id| Value::Bytes(v.0.to_vec().into()), |v| bytes(v).and_then(|v| Id::from_slice(&v));
    String => Text, |v| Value::Text(std::borrow::Cow::Borrowed(v)), text;
    Vec<u8> => Bytes, |v| Value::Bytes(std::borrow::Cow::Borrowed(v)), bytes;
    bool => Flag, |v: &bool| Value::Bool(*v), |v| match v { Value::Bool(v) => Some(v), _ => None };
    u8 => Small, |v: &u8| Value::Integer(i128::from(*v)), integer;
    u32 => Number, |v: &u32| Value::from(*v), integer;
    u64 => Count, |v: &u64| Value::from(*v), integer;
    i64 => Time, |v: &i64| Value::from(*v), integer;
}

impl<T: Cell> Cell for Option<T> {
    #[cfg(feature = "postgres")]
    const KIND: Kind = T::KIND;

    fn value(&self) -> Option<Value<'_>> {
        self.as_ref().and_then(Cell::value)
    }

    fn read(value: Option<Value<'_>>) -> Option<Self> {
        match value {
            None => Some(None),
            value => T::read(value).map(Some),
        }
    }
}

/// The kind of the column that `field` is.
#[cfg(feature = "postgres")]
const fn kind<R, T: Cell>(_field: fn(&R) -> &T) -> Kind {
    T::KIND
}

/// Describes tables: each one's row, its name and its columns.
macro_rules! columns {
    ($($row:ident = $name:literal { $first:ident $($column:ident)+ })+) => {
        $(impl Columns for $row {
            const TABLE: &'static str = $name;
            #[cfg(feature = "postgres")]
            const COLUMNS: &'static [Column] = &[
                Column { name: stringify!($first), kind: kind(|row: &$row| &row.$first) },
                $(Column { name: stringify!($column), kind: kind(|row: &$row| &row.$column) },)+
            ];

            fn of_columns(mut columns: Map<'_>) -> Option<Self> {
                let row = $row {
                    $first: Cell::read(columns.take(stringify!($first)))?,
                    $($column: Cell::read(columns.take(stringify!($column)))?,)+
                };
                columns.iter().next().is_none().then_some(row)
            }

            fn columns(&self) -> Map<'_> {
                Map::new().with_some(stringify!($first), self.$first.value())$(.with_some(stringify!($column), self.$column.value()))+
            }
        })+
    };
}

/// The same for tables that accumulators count, with the number that they know each by (never used twice).
macro_rules! tables {
    ($($number:literal $variant:ident($row:ident) = $name:literal { $first:ident $($column:ident)+ })+) => {
        columns! { $($row = $name { $first $($column)+ })+ }

        $(#[cfg(feature = "postgres")]
        impl Counted for $row {
            const COUNTED: Table = Table {
                name: $name,
                columns: $row::COLUMNS,
                row: |columns| $row::of_columns(columns).map(Row::$variant),
            };
        })+

        impl Row {
            /// The number of its table.
            pub(crate) fn table_number(&self) -> u8 {
                match self { $(Row::$variant(_) => $number,)+ }
            }

            /// The name of its table.
            #[must_use]
            pub fn table(&self) -> &'static str {
                match self { $(Row::$variant(_) => $name,)+ }
            }

            /// What it is called in messages: its id, or its name where it has no id.
            pub(crate) fn name(&self) -> String {
                match self { $(Row::$variant(row) => row.$first.to_string(),)+ }
            }

            /// Its table.
            #[cfg(feature = "postgres")]
            pub(crate) fn counted(&self) -> Table {
                match self { $(Row::$variant(_) => $row::COUNTED,)+ }
            }

            /// The revision it takes; rows that are written once have always 1.
            #[cfg(feature = "postgres")]
            pub(crate) fn revision(&self) -> u64 {
                Cell::read(self.columns().take("revision")).unwrap_or(1)
            }

            /// Its columns.
            pub(crate) fn columns(&self) -> Map<'_> {
                match self { $(Row::$variant(row) => row.columns(),)+ }
            }

            /// The row as bytes: equal rows have equal bytes, and no others.
            pub(crate) fn encode(&self) -> Vec<u8> {
                Value::Array(vec![Value::from(self.table()), Value::Map(self.columns())]).encode()
            }
        }

        impl Row {
            /// Reads all of `bytes`; `None` for what is no row that this CANIS knows.
            pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
                let Ok(Value::Array(parts)) = Value::decode(bytes) else { return None };
                let Ok([Value::Text(table), Value::Map(columns)]) = <[Value<'_>; 2]>::try_from(parts) else {
                    return None;
                };
                match table.as_ref() {
                    $($name => $row::of_columns(columns).map(Row::$variant),)+
                    _ => None,
                }
            }
        }

        /// The name of a table.
        pub(crate) fn table_name(number: u8) -> &'static str {
            match number { $($number => $name,)+ _ => "unknown" }
        }
    };
}

tables! {
    1 Meta(MetaRow) = "meta" { name revision body }
    2 RootSlot(RootSlotRow) = "root_slots" { id kind revision body }
    3 Tenant(TenantRow) = "tenants" { id name slot revision sealed }
    4 Pin(PinRow) = "pins" { id tenant_id role revision sealed }
    5 Token(TokenRow) = "tokens" { id tenant_id revision sealed }
    6 Key(KeyRow) = "kms_keys" {
        id tenant_id name key_type current_version min_decryption_version min_encryption_version deletion_allowed
        exportable created_at updated_at deleted_at state due_at revision sealed
    }
    7 Version(VersionRow) = "kms_key_versions" { id key_id version encrypted_material created_at }
    8 Object(ObjectRow) = "objects" {
        id tenant_id class private label cka_id key_id version family revision body seal
    }
    9 Role(RoleRow) = "value_roles" { id tenant_id revision sealed }
    10 Entry(EntryRow) = "kv_entries" { id tenant_id lookup revision sealed private_key }
    11 Receipt(ReceiptRow) = "idempotency" { id tenant_id expires_at sealed }
    12 Accumulator(AccumulatorRow) = "accumulators" { id revision sealed }
    13 Policy(PolicyRow) = "policies" { id tenant_id kind name revision sealed }
}

// Nobody counts these: they are advisory, or have a chain of their own.
columns! {
    UseRow = "key_uses" { key_id version uses last_used_at }
    OutboxRow = "outbox" { writer number sealed }
    AuditHeadRow = "audit_heads" { writer ended sealed }
    MoveRow = "moves" { id store state other arrived }
}
