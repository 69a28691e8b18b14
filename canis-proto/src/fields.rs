//! Reading maps field by field: each of the type that is expected, none left over.

use crate::value::{Map, Value};
use crate::{Error, Id, Result};
use std::borrow::Cow;

/// The fields of a request or answer, taken one by one; what is left at the end is an error.
pub struct Fields<'a> {
    what: &'static str,
    map: Map<'a>,
}

impl<'a> Fields<'a> {
    /// The fields of `map`, which errors call `what`.
    #[must_use]
    pub fn new(what: &'static str, map: Map<'a>) -> Self {
        Fields { what, map }
    }

    /// An optional field.
    ///
    /// # Errors
    /// `invalid_argument` if it is there and of another type.
    pub fn optional<T: FromValue<'a>>(&mut self, key: &str) -> Result<Option<T>> {
        match self.map.take(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match T::from_value(value) {
                Some(value) => Ok(Some(value)),
                None => {
                    Err(Error::invalid(format!("field `{key}` of {} must be {}", self.what, T::EXPECTED)))
                }
            },
        }
    }

    /// Whether a field is there.
    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.map.iter().any(|(name, value)| name == key && *value != Value::Null)
    }

    /// A field that must be there.
    ///
    /// # Errors
    /// `invalid_argument` if it is missing or of another type.
    pub fn required<T: FromValue<'a>>(&mut self, key: &str) -> Result<T> {
        self.optional(key)?
            .ok_or_else(|| Error::invalid(format!("field `{key}` of {} is missing", self.what)))
    }

    /// Refuses fields that nobody took.
    ///
    /// # Errors
    /// `invalid_argument` naming the first of them.
    pub fn finish(self) -> Result<()> {
        match self.map.iter().next() {
            None => Ok(()),
            Some((key, _)) => {
                Err(Error::invalid(format!("{} knows no field `{}`", self.what, crate::quote(key))))
            }
        }
    }

    /// Drops what nobody took: an answer of a newer server may say more.
    pub fn ignore_rest(self) {}
}

/// What a field can be read as.
pub trait FromValue<'a>: Sized {
    /// The type, as errors name it.
    const EXPECTED: &'static str;
    /// The value as this type.
    fn from_value(value: Value<'a>) -> Option<Self>;
}

impl<'a> FromValue<'a> for Value<'a> {
    const EXPECTED: &'static str = "a value";

    fn from_value(value: Value<'a>) -> Option<Self> {
        Some(value)
    }
}

macro_rules! from_value {
    ($($type:ty, $expected:literal, $pattern:pat => $value:expr;)+) => {
        $(impl<'a> FromValue<'a> for $type {
            const EXPECTED: &'static str = $expected;
            fn from_value(value: Value<'a>) -> Option<Self> {
                match value { $pattern => $value, _ => None }
            }
        })+
    };
}
from_value! {
    bool, "true or false", Value::Bool(v) => Some(v);
    u16, "an integer from 0 to 65535", Value::Integer(v) => v.try_into().ok();
    u32, "an integer from 0 to 2^32-1", Value::Integer(v) => v.try_into().ok();
    u64, "an integer from 0 to 2^64-1", Value::Integer(v) => v.try_into().ok();
    i64, "a signed 64-bit integer", Value::Integer(v) => v.try_into().ok();
    Cow<'a, str>, "text", Value::Text(v) => Some(v);
    String, "text", Value::Text(v) => Some(v.into_owned());
    Cow<'a, [u8]>, "bytes", Value::Bytes(v) => Some(v);
    Vec<u8>, "bytes", Value::Bytes(v) => Some(v.into_owned());
    Vec<Value<'a>>, "an array", Value::Array(v) => Some(v);
    Map<'a>, "a map", Value::Map(v) => Some(v);
    Id, "the 16 bytes of an id", Value::Bytes(v) => Id::from_slice(&v);
}
