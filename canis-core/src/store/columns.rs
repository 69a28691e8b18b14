//! Rows as named columns, the same whatever store holds them: what accumulators count and backups carry.
//!
//! A row is the CBOR array of its table's name and a map of its columns. What is absent (`None`) is left out, so that a
//! column that a table gains later changes nothing for rows that have no value in it.

use super::{
    AccumulatorRow, EntryRow, KeyRow, MetaRow, ObjectRow, PinRow, PolicyRow, ReceiptRow, RoleRow,
    RootSlotRow, Row, TenantRow, TokenRow, VersionRow,
};
use canis_proto::Id;
use canis_proto::value::{Map, Value};

/// A column's value.
trait Cell {
    /// As CBOR; `None` if it is absent.
    fn value(&self) -> Option<Value<'_>>;
    /// Read back; `None` if the value is not of this type.
    fn read(value: Option<Value<'_>>) -> Option<Self>
    where
        Self: Sized;
}

macro_rules! cells {
    ($($cell:ty => $write:expr, $read:expr;)+) => {
        $(impl Cell for $cell {
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
    Id => |v: &Id| Value::Bytes(v.0.to_vec().into()), |v| bytes(v).and_then(|v| Id::from_slice(&v));
    String => |v| Value::Text(std::borrow::Cow::Borrowed(v)), text;
    Vec<u8> => |v| Value::Bytes(std::borrow::Cow::Borrowed(v)), bytes;
    bool => |v: &bool| Value::Bool(*v), |v| match v { Value::Bool(v) => Some(v), _ => None };
    u8 => |v: &u8| Value::Integer(i128::from(*v)), integer;
    u32 => |v: &u32| Value::from(*v), integer;
    u64 => |v: &u64| Value::from(*v), integer;
    i64 => |v: &i64| Value::from(*v), integer;
}

impl<T: Cell> Cell for Option<T> {
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

/// Describes the tables: the number that accumulators know a table by (never used twice), its row and its columns.
macro_rules! tables {
    ($($number:literal $variant:ident($row:ident) = $name:literal { $first:ident $($column:ident)+ })+) => {
        $(impl $row {
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

            /// The row as bytes: equal rows have equal bytes, and no others.
            pub(crate) fn encode(&self) -> Vec<u8> {
                let columns = match self { $(Row::$variant(row) => row.columns(),)+ };
                Value::Array(vec![Value::from(self.table()), Value::Map(columns)]).encode()
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
