//! The forms of plain values: numbers, texts, bytes, secrets, and what may be absent or repeated.

use super::form::{Form, Place};
use crate::secret::SecretBytes;
use canis_proto::schema::FieldKind;
use canis_proto::value::Value;
use canis_proto::{Id, Result};
use std::borrow::Cow;
use std::sync::Arc;
use zeroize::Zeroizing;

/// The longest secret that is taken from a frame, in bytes: what a key or a PIN may have, with room.
const LONGEST_SECRET: usize = 16 << 10;

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
