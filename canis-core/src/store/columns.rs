//! Rows as named columns, the same whatever store holds them: what accumulators count.
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
}

macro_rules! cells {
    ($($cell:ty => $value:expr;)+) => {
        $(impl Cell for $cell {
            fn value(&self) -> Option<Value<'_>> { Some(($value)(self)) }
        })+
    };
}

cells! {
    Id => |v: &Id| Value::Bytes(v.0.to_vec().into());
    String => |v| Value::Text(std::borrow::Cow::Borrowed(v));
    Vec<u8> => |v| Value::Bytes(std::borrow::Cow::Borrowed(v));
    bool => |v: &bool| Value::Bool(*v);
    u8 => |v: &u8| Value::Integer(i128::from(*v));
    u32 => |v: &u32| Value::from(*v);
    u64 => |v: &u64| Value::from(*v);
    i64 => |v: &i64| Value::from(*v);
}

impl<T: Cell> Cell for Option<T> {
    fn value(&self) -> Option<Value<'_>> {
        self.as_ref().and_then(Cell::value)
    }
}

/// Describes the tables: the number that accumulators know a table by (never used twice), its row and its columns.
macro_rules! tables {
    ($($number:literal $variant:ident($row:ident) = $name:literal { $first:ident $($column:ident)+ })+) => {
        $(impl $row {
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
