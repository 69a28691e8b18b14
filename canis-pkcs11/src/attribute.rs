//! Attribute values: how bytes of the host become booleans, numbers and dates, and back.

use crate::nested;
use crate::rv::{Result, fail};
use pkcs11_sys::*;
use std::borrow::Cow;

/// An attribute as the host gives it in a template.
#[derive(Clone, Debug)]
pub(crate) struct Attribute<'a> {
    /// Which one.
    pub(crate) kind: CK_ATTRIBUTE_TYPE,
    /// Its bytes, unchecked; a template as one flat run (see [`crate::nested`]).
    pub(crate) value: Cow<'a, [u8]>,
}

/// What the bytes of an attribute mean (section 4.1 and on).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// CK_BBOOL.
    Bool,
    /// CK_ULONG.
    Number,
    /// Bytes of any kind.
    Bytes,
    /// CK_DATE, or nothing.
    Date,
    /// An array of CK_MECHANISM_TYPE.
    Mechanisms,
    /// An array of CK_ATTRIBUTE.
    Template,
}

impl Format {
    /// Checks `value` and gives it the form in which records keep it: numbers as eight bytes, lowest first, so that
    /// a store moves between machines.
    ///
    /// # Errors
    /// CKR_ATTRIBUTE_VALUE_INVALID.
    pub(crate) fn parse(self, value: &[u8]) -> Result<Vec<u8>> {
        match self {
            Format::Bool => boolean(value).map(|b| vec![u8::from(b)]),
            Format::Number => number(value).map(|n| kept(n).to_vec()),
            Format::Bytes => Ok(value.to_vec()),
            Format::Date if value.is_empty() || is_date(value) => Ok(value.to_vec()),
            Format::Date => fail(CKR_ATTRIBUTE_VALUE_INVALID),
            Format::Template => nested::parse(value),
            Format::Mechanisms => {
                let numbers = value.chunks(size_of::<CK_ULONG>()).map(number);
                Ok(numbers.collect::<Result<Vec<_>>>()?.into_iter().flat_map(kept).collect())
            }
        }
    }

    /// The bytes for the host of a value that a record keeps.
    pub(crate) fn show(self, kept: &[u8]) -> Value<'_> {
        match self {
            Format::Bool => Value::from(kept.first().is_some_and(|b| *b != 0)),
            Format::Number => Value::from(kept_number(kept)),
            Format::Bytes | Format::Date => Value::from(kept),
            Format::Template => Value::from(nested::show(kept)),
            Format::Mechanisms => {
                let numbers = kept_numbers(kept).flat_map(CK_ULONG::to_ne_bytes);
                Value::Bytes(Cow::Owned(numbers.collect()))
            }
        }
    }
}

/// The value of an attribute, as bytes for the host.
#[derive(Clone, Debug)]
pub(crate) enum Value<'a> {
    /// A boolean.
    Bool([u8; 1]),
    /// A number.
    Number([u8; size_of::<CK_ULONG>()]),
    /// Anything else.
    Bytes(Cow<'a, [u8]>),
}

impl Value<'_> {
    /// The bytes.
    pub(crate) fn as_slice(&self) -> &[u8] {
        match self {
            Value::Bool(bytes) => bytes,
            Value::Number(bytes) => bytes,
            Value::Bytes(bytes) => bytes,
        }
    }
}

impl From<bool> for Value<'_> {
    fn from(value: bool) -> Self {
        Value::Bool([u8::from(value)])
    }
}

impl From<CK_ULONG> for Value<'_> {
    fn from(value: CK_ULONG) -> Self {
        Value::Number(value.to_ne_bytes())
    }
}

impl<'a> From<&'a [u8]> for Value<'a> {
    fn from(value: &'a [u8]) -> Self {
        Value::Bytes(Cow::Borrowed(value))
    }
}

impl From<Vec<u8>> for Value<'_> {
    fn from(value: Vec<u8>) -> Self {
        Value::Bytes(Cow::Owned(value))
    }
}

/// A CK_BBOOL: one byte, 0 or 1.
pub(crate) fn boolean(value: &[u8]) -> Result<bool> {
    match value {
        [CK_FALSE] => Ok(false),
        [CK_TRUE] => Ok(true),
        _ => fail(CKR_ATTRIBUTE_VALUE_INVALID),
    }
}

/// A CK_ULONG.
pub(crate) fn number(value: &[u8]) -> Result<CK_ULONG> {
    value.try_into().map(CK_ULONG::from_ne_bytes).map_err(|_| CKR_ATTRIBUTE_VALUE_INVALID.into())
}

/// The numbers of an array that a record keeps.
pub(crate) fn kept_numbers(kept: &[u8]) -> impl Iterator<Item = CK_ULONG> + '_ {
    kept.chunks(8).map(kept_number)
}

fn kept(number: CK_ULONG) -> [u8; 8] {
    #[allow(clippy::useless_conversion)] // CK_ULONG has 32 bits on some targets.
    u64::from(number).to_le_bytes()
}

fn kept_number(kept: &[u8]) -> CK_ULONG {
    let value = kept.try_into().map(u64::from_le_bytes).unwrap_or(u64::MAX);
    CK_ULONG::try_from(value).unwrap_or(CK_UNAVAILABLE_INFORMATION)
}

/// `YYYYMMDD` in digits.
fn is_date(value: &[u8]) -> bool {
    value.len() == 8 && value.iter().all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_checked_and_survive_being_kept() {
        for (format, value) in [
            (Format::Bool, vec![1]),
            (Format::Number, CKK_EC.to_ne_bytes().to_vec()),
            (Format::Bytes, b"label".to_vec()),
            (Format::Date, b"20261122".to_vec()),
            (Format::Date, vec![]),
            (
                Format::Mechanisms,
                [CKM_ECDSA, CKM_EDDSA].into_iter().flat_map(CK_ULONG::to_ne_bytes).collect(),
            ),
        ] {
            let kept = format.parse(&value).unwrap();
            assert_eq!(format.show(&kept).as_slice(), value, "{format:?}");
        }
        for (format, value) in [
            (Format::Bool, &[2][..]),
            (Format::Bool, &[]),
            (Format::Bool, &[1, 0]),
            (Format::Number, &[1]),
            (Format::Date, b"2026-11-22"),
            (Format::Mechanisms, &[0; 9]),
        ] {
            assert_eq!(format.parse(value).unwrap_err().rv, CKR_ATTRIBUTE_VALUE_INVALID, "{format:?}");
        }
    }
}
