//! How the words of the core stand in CANISP's values. What is a struct here is a map there, an enum is a map whose
//! `is` says which one it is, or a text if it says no more. Every form is listed once and read and written by it.

use crate::secret::SecretBytes;
use canis_proto::fields::Fields;
use canis_proto::schema::{Field, FieldKind};
use canis_proto::value::{Map, Value};
use canis_proto::{Error, Id, Result};
use std::borrow::Cow;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The longest secret that is taken from a frame, in bytes: what a key or a PIN may have, with room.
const LONGEST_SECRET: usize = 16 << 10;

/// Where a value stands.
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// The field, as errors name it.
    pub(crate) field: &'static str,
    /// Whether unknown fields are refused, as in requests, or ignored: a newer server may say more.
    pub(crate) strict: bool,
}

impl Place {
    pub(crate) fn must_be(self, what: &str) -> Error {
        Error::invalid(format!("field `{}` must be {what}", self.field))
    }

    /// The fields of the map that stands here.
    pub(crate) fn fields(self, value: Value<'_>) -> Result<Fields<'_>> {
        match value {
            Value::Map(map) => Ok(Fields::new(self.field, map)),
            _ => Err(self.must_be("a map")),
        }
    }

    /// Nobody took what is left.
    pub(crate) fn finish(self, fields: Fields<'_>) -> Result<()> {
        if self.strict {
            return fields.finish();
        }
        fields.ignore_rest();
        Ok(())
    }
}

/// What can stand in a field.
pub(crate) trait Form<'a>: Sized {
    /// The type of the value.
    const KIND: FieldKind;
    /// Whether the field may be left out.
    const SPARED: bool = false;

    /// The value.
    fn write(&self) -> Value<'_>;

    /// Reads the value.
    fn read(place: Place, value: Value<'a>) -> Result<Self>;

    /// What a field stands for that is not there.
    fn absent(place: Place) -> Result<Self> {
        Err(Error::invalid(format!("field `{}` is missing", place.field)))
    }

    /// Whether it is that, so that the field is left out.
    fn is_absent(&self) -> bool {
        false
    }
}

/// What is a map.
pub(crate) trait Mapped<'a>: Sized {
    /// How it is described.
    const KIND: FieldKind;

    /// Its fields.
    fn to_map(&self) -> Map<'_>;

    /// Reads its fields.
    fn from_fields(fields: &mut Fields<'a>, strict: bool) -> Result<Self>;
}

/// A field as a table's row; only the type of what `of` gives matters.
pub(crate) const fn row<'s, 'a, S: 's, T: Form<'a> + 's, F: Fn(&'s S) -> Option<&'s T>>(
    name: &'static str,
    of: F,
) -> Field {
    std::mem::forget(of);
    Field { name, kind: T::KIND, required: !T::SPARED }
}

/// Adds a field.
pub(crate) fn put<'m, 'a, T: Form<'a>>(map: Map<'m>, field: &'static str, value: &'m T) -> Map<'m> {
    if value.is_absent() { map } else { map.with(field, value.write()) }
}

/// Reads a field.
pub(crate) fn take<'a, T: Form<'a>>(fields: &mut Fields<'a>, place: Place) -> Result<T> {
    match fields.optional::<Value<'a>>(place.field)? {
        Some(value) => T::read(place, value),
        None => T::absent(place),
    }
}

/// Lists the fields of structs.
macro_rules! record {
    ($($type:ident $(<$life:lifetime>)? { $($field:ident),* })+) => {$(
        impl<'a> $crate::wire::form::Mapped<'a> for $type $(<$life>)? {
            const KIND: canis_proto::schema::FieldKind =
                canis_proto::schema::FieldKind::Map(&canis_proto::schema::Shape {
                    name: concat!("P11", stringify!($type)),
                    fields: &[$($crate::wire::form::row(stringify!($field), |it: &Self| Some(&it.$field)),)*],
                    rest: None,
                });

            fn to_map(&self) -> canis_proto::value::Map<'_> {
                let map = canis_proto::value::Map::new();
                $(let map = $crate::wire::form::put(map, stringify!($field), &self.$field);)*
                map
            }

            fn from_fields(
                fields: &mut canis_proto::fields::Fields<'a>,
                strict: bool,
            ) -> canis_proto::Result<Self> {
                Ok(Self { $($field: {
                    let place = $crate::wire::form::Place { field: stringify!($field), strict };
                    $crate::wire::form::take(fields, place)?
                },)* })
            }
        }

        $crate::wire::form::mapped!($type $(<$life>)?);
    )+};
}

/// Lists the variants of enums, by the name that stands in `is`, with their fields. A variant with one nameless field
/// gives it a name here.
macro_rules! choice {
    ($($type:ident $(<$life:lifetime>)? {
        $($kind:literal => $variant:ident $(($one:ident))? $({ $($field:ident),* })?;)+
    })+) => {$(
        impl<'a> $crate::wire::form::Mapped<'a> for $type $(<$life>)? {
            const KIND: canis_proto::schema::FieldKind =
                canis_proto::schema::FieldKind::Choice(&canis_proto::schema::Choice {
                    name: concat!("P11", stringify!($type)),
                    kinds: &[$(($kind, &[
                        $($crate::wire::form::row(stringify!($one), |it: &Self| match it {
                            Self::$variant($one) => Some($one),
                            #[allow(unreachable_patterns)] // of an enum with one variant
                            _ => None,
                        }),)?
                        $($($crate::wire::form::row(stringify!($field), |it: &Self| match it {
                            Self::$variant { $field, .. } => Some($field),
                            #[allow(unreachable_patterns)] // of an enum with one variant
                            _ => None,
                        }),)*)?
                    ]),)+],
                });

            fn to_map(&self) -> canis_proto::value::Map<'_> {
                match self {
                    $(Self::$variant $(($one))? $({ $($field),* })? => {
                        let map = canis_proto::value::Map::new().with("is", $kind);
                        $(let map = $crate::wire::form::put(map, stringify!($one), $one);)?
                        $($(let map = $crate::wire::form::put(map, stringify!($field), $field);)*)?
                        map
                    })+
                }
            }

            fn from_fields(
                fields: &mut canis_proto::fields::Fields<'a>,
                strict: bool,
            ) -> canis_proto::Result<Self> {
                let kind: std::borrow::Cow<'_, str> = fields.required("is")?;
                let mut take = $crate::wire::form::Taking { fields, strict };
                Ok(match &*kind {
                    $($kind => Self::$variant
                        $((take.field(stringify!($one))?))?
                        $({ $($field: take.field(stringify!($field))?),* })?,)+
                    other => {
                        let (what, other) = (stringify!($type), canis_proto::quote(other));
                        return Err(canis_proto::Error::invalid(format!("`{other}` is no {what} that is known here")));
                    }
                })
            }
        }

        $crate::wire::form::mapped!($type $(<$life>)?);
    )+};
}

/// A map as a value.
macro_rules! mapped {
    ($type:ident $(<$life:lifetime>)?) => {
        impl<'a> $crate::wire::form::Form<'a> for $type $(<$life>)? {
            const KIND: canis_proto::schema::FieldKind = <Self as $crate::wire::form::Mapped<'a>>::KIND;

            fn write(&self) -> canis_proto::value::Value<'_> {
                canis_proto::value::Value::Map($crate::wire::form::Mapped::to_map(self))
            }

            fn read(
                place: $crate::wire::form::Place,
                value: canis_proto::value::Value<'a>,
            ) -> canis_proto::Result<Self> {
                let mut fields = place.fields(value)?;
                let read = $crate::wire::form::Mapped::from_fields(&mut fields, place.strict)?;
                place.finish(fields)?;
                Ok(read)
            }
        }
    };
}

/// Lists the names of enums that say no more.
macro_rules! words {
    ($($type:ident { $($word:literal => $variant:path,)+ })+) => {$(
        impl<'a> $crate::wire::form::Form<'a> for $type {
            const KIND: canis_proto::schema::FieldKind =
                canis_proto::schema::FieldKind::Word(&canis_proto::schema::Words {
                    name: concat!("P11", stringify!($type)),
                    all: || vec![$($word,)+],
                });

            fn write(&self) -> canis_proto::value::Value<'_> {
                canis_proto::value::Value::from(match self { $($variant => $word,)+ })
            }

            fn read(
                place: $crate::wire::form::Place,
                value: canis_proto::value::Value<'a>,
            ) -> canis_proto::Result<Self> {
                match &value {
                    $(canis_proto::value::Value::Text(word) if *word == $word => Ok($variant),)+
                    _ => Err(place.must_be(concat!("one of" $(, " ", $word)+))),
                }
            }
        }
    )+};
}

pub(crate) use {choice, mapped, record, words};

/// Reads the fields of one variant.
pub(crate) struct Taking<'f, 'a> {
    pub(crate) fields: &'f mut Fields<'a>,
    pub(crate) strict: bool,
}

impl<'a> Taking<'_, 'a> {
    pub(crate) fn field<T: Form<'a>>(&mut self, field: &'static str) -> Result<T> {
        take(self.fields, Place { field, strict: self.strict })
    }
}

macro_rules! numbers {
    ($($type:ty, $expected:literal;)+) => {$(
        impl<'a> Form<'a> for $type {
            const KIND: FieldKind = FieldKind::Integer;

            fn write(&self) -> Value<'_> {
                Value::Integer(i128::from(*self))
            }

            fn read(place: Place, value: Value<'a>) -> Result<Self> {
                match value {
                    Value::Integer(number) => number.try_into().map_err(|_| place.must_be($expected)),
                    _ => Err(place.must_be($expected)),
                }
            }
        }
    )+};
}
numbers! {
    u16, "an integer from 0 to 65535";
    u32, "an integer from 0 to 2^32-1";
    u64, "an integer from 0 to 2^64-1";
}

/// A length. None is larger than what fits into 32 bits.
impl<'a> Form<'a> for usize {
    const KIND: FieldKind = FieldKind::Integer;

    fn write(&self) -> Value<'_> {
        Value::from(u32::try_from(*self).unwrap_or(u32::MAX))
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        usize::try_from(u32::read(place, value)?).map_err(|_| place.must_be("a length"))
    }
}

impl<'a> Form<'a> for bool {
    const KIND: FieldKind = FieldKind::Bool;
    const SPARED: bool = true;

    fn write(&self) -> Value<'_> {
        Value::Bool(*self)
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        match value {
            Value::Bool(value) => Ok(value),
            _ => Err(place.must_be("true or false")),
        }
    }

    fn absent(_: Place) -> Result<Self> {
        Ok(false)
    }

    fn is_absent(&self) -> bool {
        !self
    }
}

impl<'a> Form<'a> for Id {
    const KIND: FieldKind = FieldKind::Bytes;

    fn write(&self) -> Value<'_> {
        Value::from(&self.0[..])
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        <[u8; 16]>::read(place, value).map(Id)
    }
}

impl<'a> Form<'a> for String {
    const KIND: FieldKind = FieldKind::Text;

    fn write(&self) -> Value<'_> {
        Value::from(self.as_str())
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        match value {
            Value::Text(text) => Ok(text.into_owned()),
            _ => Err(place.must_be("text")),
        }
    }
}

impl<'a> Form<'a> for &'a str {
    const KIND: FieldKind = FieldKind::Text;

    fn write(&self) -> Value<'_> {
        Value::from(*self)
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        match value {
            Value::Text(Cow::Borrowed(text)) => Ok(text),
            _ => Err(place.must_be("text")),
        }
    }
}

/// Bytes of a frame, which stay where they are.
impl<'a> Form<'a> for &'a [u8] {
    const KIND: FieldKind = FieldKind::Bytes;
    const SPARED: bool = true;

    fn write(&self) -> Value<'_> {
        Value::from(*self)
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        match value {
            Value::Bytes(Cow::Borrowed(bytes)) => Ok(bytes),
            _ => Err(place.must_be("bytes")),
        }
    }

    fn absent(_: Place) -> Result<Self> {
        Ok(&[])
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl<'a> Form<'a> for Vec<u8> {
    const KIND: FieldKind = FieldKind::Bytes;
    const SPARED: bool = true;

    fn write(&self) -> Value<'_> {
        Value::from(self.as_slice())
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        match value {
            Value::Bytes(bytes) => Ok(bytes.into_owned()),
            _ => Err(place.must_be("bytes")),
        }
    }

    fn absent(_: Place) -> Result<Self> {
        Ok(Vec::new())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl<'a, const LEN: usize> Form<'a> for [u8; LEN] {
    const KIND: FieldKind = FieldKind::Bytes;

    fn write(&self) -> Value<'_> {
        Value::from(&self[..])
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        match &value {
            Value::Bytes(bytes) => <[u8; LEN]>::try_from(&**bytes).ok(),
            _ => None,
        }
        .ok_or_else(|| place.must_be(&format!("{LEN} bytes")))
    }
}

impl<'a, const LEN: usize> Form<'a> for &'a [u8; LEN] {
    const KIND: FieldKind = FieldKind::Bytes;

    fn write(&self) -> Value<'_> {
        Value::from(&self[..])
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        let bytes = <&'a [u8]>::read(place, value)?;
        bytes.try_into().map_err(|_| place.must_be(&format!("{LEN} bytes")))
    }
}

impl<'a> Form<'a> for SecretBytes {
    const KIND: FieldKind = FieldKind::Bytes;

    fn write(&self) -> Value<'_> {
        Value::from(self.expose())
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        secret(place, &value).map(SecretBytes::copied_from)
    }
}

impl<'a> Form<'a> for Zeroizing<Vec<u8>> {
    const KIND: FieldKind = FieldKind::Bytes;

    fn write(&self) -> Value<'_> {
        Value::from(self.as_slice())
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        match &value {
            Value::Bytes(bytes) => Ok(Zeroizing::new(bytes.to_vec())),
            _ => Err(place.must_be("bytes")),
        }
    }
}

fn secret<'v>(place: Place, value: &'v Value<'_>) -> Result<&'v [u8]> {
    match value {
        Value::Bytes(bytes) if bytes.len() <= LONGEST_SECRET => Ok(bytes),
        _ => Err(place.must_be(&format!("at most {LONGEST_SECRET} bytes"))),
    }
}

impl<'a, T: Form<'a>> Form<'a> for Option<T> {
    const KIND: FieldKind = T::KIND;
    const SPARED: bool = true;

    fn write(&self) -> Value<'_> {
        self.as_ref().map_or(Value::Null, T::write)
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        T::read(place, value).map(Some)
    }

    fn absent(_: Place) -> Result<Self> {
        Ok(None)
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<'a, T: Form<'a>> Form<'a> for Arc<T> {
    const KIND: FieldKind = T::KIND;

    fn write(&self) -> Value<'_> {
        T::write(self)
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        T::read(place, value).map(Arc::new)
    }
}

impl<'a, T: Form<'a>> Form<'a> for Vec<T> {
    const KIND: FieldKind = FieldKind::Array(&T::KIND);
    const SPARED: bool = true;

    fn write(&self) -> Value<'_> {
        Value::Array(self.iter().map(T::write).collect())
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        match value {
            Value::Array(items) => items.into_iter().map(|item| T::read(place, item)).collect(),
            _ => Err(place.must_be("an array")),
        }
    }

    fn absent(_: Place) -> Result<Self> {
        Ok(Vec::new())
    }

    fn is_absent(&self) -> bool {
        self.is_empty()
    }
}

impl<'a, T: Form<'a> + Clone> Form<'a> for Cow<'a, [T]> {
    const KIND: FieldKind = FieldKind::Array(&T::KIND);

    fn write(&self) -> Value<'_> {
        Value::Array(self.iter().map(T::write).collect())
    }

    fn read(place: Place, value: Value<'a>) -> Result<Self> {
        Vec::read(place, value).map(Cow::Owned)
    }
}
