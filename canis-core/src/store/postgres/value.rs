//! Columns as PostgreSQL carries them, in its binary format.

use crate::store::columns::{Column, Columns, Kind};
use bytes::{BufMut, BytesMut};
use canis_proto::value::{Map, Value};
use canis_proto::{Error, ErrorCode, Id, Result};
use std::borrow::Cow;
use tokio_postgres::Row as Found;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type};

type Failure = Box<dyn std::error::Error + Sync + Send>;

/// Microseconds from 1970-01-01, from where our times count, to 2000-01-01, from where PostgreSQL's do.
const EPOCH: i64 = 946_684_800_000_000;

/// A value on its way to the database.
pub(super) struct Param<'a> {
    kind: Kind,
    value: Option<Value<'a>>,
}

impl std::fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Nothing of what is written gets into messages.
        write!(f, "a value of kind {:?}", self.kind)
    }
}

impl<'a> Param<'a> {
    pub(super) fn id(id: &'a Id) -> Self {
        Param { kind: Kind::Id, value: Some(Value::Bytes(Cow::Borrowed(&id.0))) }
    }

    pub(super) fn text(text: &'a str) -> Self {
        Param { kind: Kind::Text, value: Some(Value::Text(Cow::Borrowed(text))) }
    }

    pub(super) fn bytes(bytes: &'a [u8]) -> Self {
        Param { kind: Kind::Bytes, value: Some(Value::Bytes(Cow::Borrowed(bytes))) }
    }

    pub(super) fn flag(flag: bool) -> Self {
        Param { kind: Kind::Flag, value: Some(Value::Bool(flag)) }
    }

    pub(super) fn small(number: u8) -> Self {
        Param { kind: Kind::Small, value: Some(Value::Integer(number.into())) }
    }

    pub(super) fn number(number: u32) -> Self {
        Param { kind: Kind::Number, value: Some(Value::Integer(number.into())) }
    }

    /// Counts never come near the sign; what does is no row's.
    pub(super) fn count(count: u64) -> Self {
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        Param { kind: Kind::Count, value: Some(Value::Integer(count.into())) }
    }

    pub(super) fn time(micros: i64) -> Self {
        Param { kind: Kind::Time, value: Some(Value::Integer(micros.into())) }
    }

    /// The columns of a row, in the order of its table's.
    pub(super) fn row(columns: &[Column], mut row: Map<'a>) -> Vec<Self> {
        columns.iter().map(|column| Param { kind: column.kind, value: row.take(column.name) }).collect()
    }

    fn sql_type(&self) -> Type {
        match self.kind {
            Kind::Id => Type::UUID,
            Kind::Text => Type::TEXT,
            Kind::Bytes => Type::BYTEA,
            Kind::Flag => Type::BOOL,
            Kind::Small => Type::INT2,
            Kind::Number => Type::INT4,
            Kind::Count => Type::INT8,
            Kind::Time => Type::TIMESTAMPTZ,
        }
    }

    /// Parameters as the client takes them: with their types, so that nothing has to be prepared.
    pub(super) fn typed<'p>(params: &'p [Param<'a>]) -> Vec<(&'p (dyn ToSql + Sync), Type)>
    where
        'a: 'p,
    {
        params.iter().map(|param| (param as &(dyn ToSql + Sync), param.sql_type())).collect()
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> std::result::Result<IsNull, Failure> {
        let Some(value) = &self.value else { return Ok(IsNull::Yes) };
        match (value, self.kind) {
            (Value::Bytes(bytes), _) => out.put_slice(bytes),
            (Value::Text(text), _) => out.put_slice(text.as_bytes()),
            (Value::Bool(flag), _) => out.put_u8((*flag).into()),
            (Value::Integer(number), Kind::Small) => out.put_i16(i16::try_from(*number)?),
            (Value::Integer(number), Kind::Number) => out.put_i32(i32::try_from(*number)?),
            (Value::Integer(number), Kind::Count) => out.put_i64(i64::try_from(*number)?),
            (Value::Integer(number), Kind::Time) => {
                let time = i64::try_from(*number)?.checked_sub(EPOCH).ok_or("a time before all times")?;
                out.put_i64(time);
            }
            _ => return Err("a value that no column holds".into()),
        }
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    tokio_postgres::types::to_sql_checked!();
}

/// A value as it came from the database.
struct Raw<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Raw<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> std::result::Result<Self, Failure> {
        Ok(Raw(raw))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

impl Raw<'_> {
    fn value(&self, kind: Kind) -> Option<Value<'_>> {
        let raw = self.0;
        Some(match kind {
            Kind::Id | Kind::Bytes => Value::Bytes(Cow::Borrowed(raw)),
            Kind::Text => Value::Text(Cow::Borrowed(std::str::from_utf8(raw).ok()?)),
            Kind::Flag => Value::Bool(raw == [1]),
            Kind::Small => Value::Integer(i16::from_be_bytes(raw.try_into().ok()?).into()),
            Kind::Number => Value::Integer(i32::from_be_bytes(raw.try_into().ok()?).into()),
            Kind::Count => Value::Integer(i64::from_be_bytes(raw.try_into().ok()?).into()),
            Kind::Time => Value::Integer(i64::from_be_bytes(raw.try_into().ok()?).checked_add(EPOCH)?.into()),
        })
    }
}

/// A row that was found, by whatever reads its columns.
///
/// # Errors
/// `store_tampered` for what is no row of the table: nothing but other hands writes such.
pub(super) fn read<T>(
    table: &str,
    columns: &[Column],
    of_columns: impl FnOnce(Map<'_>) -> Option<T>,
    found: &Found,
) -> Result<T> {
    let mut raw = Vec::with_capacity(columns.len());
    for at in 0..columns.len() {
        raw.push(found.try_get::<_, Option<Raw<'_>>>(at).map_err(|_| unreadable(table))?);
    }
    let mut map = Map::new();
    for (column, raw) in columns.iter().zip(&raw) {
        if let Some(raw) = raw {
            map = map.with(column.name, raw.value(column.kind).ok_or_else(|| unreadable(table))?);
        }
    }
    of_columns(map).ok_or_else(|| unreadable(table))
}

/// The same for a row of a known type.
pub(super) fn read_row<T: Columns>(found: &Found) -> Result<T> {
    read(T::TABLE, T::COLUMNS, T::of_columns, found)
}

/// `a, b, c`
pub(super) fn list(columns: &[Column]) -> String {
    columns.iter().map(|column| column.name).collect::<Vec<_>>().join(", ")
}

/// `$1, $2, …`
pub(super) fn marks(count: usize) -> String {
    (1..=count).map(|n| format!("${n}")).collect::<Vec<_>>().join(", ")
}

fn unreadable(table: &str) -> Error {
    Error::new(ErrorCode::StoreTampered, format!("a row of {table} in the database cannot be read"))
}
