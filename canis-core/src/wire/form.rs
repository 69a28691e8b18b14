//! How the words of the core stand in CANISP's values. What is a struct here is a map there, an enum is a map whose
//! `is` says which one it is, or a text if it says no more. Every form is listed once and read and written by it.
//! Those of plain values are in `plain`.

use canis_proto::fields::Fields;
use canis_proto::schema::{Field, FieldKind};
use canis_proto::value::{Map, Value};
use canis_proto::{Error, Result};

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
