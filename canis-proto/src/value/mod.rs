//! The values of CANISP: a deterministic subset of CBOR (RFC 8949, section 4.2.1).
//!
//! Integers of 64 bits, byte strings, text strings, arrays, maps with text keys, booleans and null; lengths definite,
//! heads minimal, map keys sorted and unique. There is exactly one encoding of a value. The reader borrows from the
//! frame, takes no memory that the input does not pay for, and refuses everything else.

use crate::{Error, ErrorCode, Result};
use reader::Reader;
use std::borrow::Cow;

mod reader;

/// How deep arrays and maps may nest.
pub const MAX_DEPTH: usize = 16;
/// How many values one message may hold in all.
pub const MAX_ITEMS: usize = 65_536;

/// One value. Not `Debug` outside tests: it may hold a user's plaintext.
#[derive(Clone, PartialEq, Eq)]
#[cfg_attr(test, derive(Debug))]
pub enum Value<'a> {
    /// Nothing.
    Null,
    /// True or false.
    Bool(bool),
    /// An integer from -2^63 to 2^64 - 1.
    Integer(i128),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// UTF-8 text.
    Text(Cow<'a, str>),
    /// An ordered list.
    Array(Vec<Value<'a>>),
    /// Named values.
    Map(Map<'a>),
}

/// Named values; kept in the order of their encoded keys.
#[derive(Clone, PartialEq, Eq, Default)]
#[cfg_attr(test, derive(Debug))]
pub struct Map<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

impl<'a> Map<'a> {
    /// An empty map.
    #[must_use]
    pub fn new() -> Self {
        Map(Vec::new())
    }

    /// The map with `key` set to `value`; a second value under one key replaces the first.
    #[must_use]
    pub fn with(mut self, key: impl Into<Cow<'a, str>>, value: impl Into<Value<'a>>) -> Self {
        let (key, value) = (key.into(), value.into());
        match self.0.binary_search_by(|(k, _)| order(k, &key)) {
            Ok(at) => self.0[at].1 = value,
            Err(at) => self.0.insert(at, (key, value)),
        }
        self
    }

    /// The map with `key` set if there is a value.
    #[must_use]
    pub fn with_some(self, key: &'a str, value: Option<impl Into<Value<'a>>>) -> Self {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// The value under `key`, taken out.
    pub fn take(&mut self, key: &str) -> Option<Value<'a>> {
        let at = self.0.binary_search_by(|(k, _)| order(k, key)).ok()?;
        Some(self.0.remove(at).1)
    }

    /// The entries, in the order of their encoded keys.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value<'a>)> {
        self.0.iter().map(|(k, v)| (k.as_ref(), v))
    }

    /// The entries themselves, in the same order.
    pub fn into_entries(self) -> impl Iterator<Item = (Cow<'a, str>, Value<'a>)> {
        self.0.into_iter()
    }

    /// The same, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Map<'static> {
        Map(self.0.into_iter().map(|(k, v)| (Cow::Owned(k.into_owned()), v.into_owned())).collect())
    }

    /// The encoded form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = encoder(longest_map(self));
        write_map(&mut encoder, self);
        encoder.into_writer()
    }

    /// Reads one map that is the whole of `bytes`.
    ///
    /// # Errors
    /// `protocol_error` saying which rule the bytes break.
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        match Value::decode(bytes)? {
            Value::Map(map) => Ok(map),
            _ => Err(broken("a map was expected")),
        }
    }
}

/// The order of encoded text keys: the head holds the length, so shorter comes first (RFC 8949, section 4.2.1).
fn order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.as_bytes().cmp(b.as_bytes()))
}

macro_rules! value_from {
    ($($from:ty => $make:expr;)+) => {
        $(impl<'a> From<$from> for Value<'a> { fn from(v: $from) -> Self { ($make)(v) } })+
    };
}
value_from! {
    bool => Value::Bool;
    u16 => |v| Value::Integer(i128::from(v));
    u32 => |v| Value::Integer(i128::from(v));
    u64 => |v| Value::Integer(i128::from(v));
    i64 => |v| Value::Integer(i128::from(v));
    &'a str => |v| Value::Text(Cow::Borrowed(v));
    String => |v| Value::Text(Cow::Owned(v));
    &'a [u8] => |v| Value::Bytes(Cow::Borrowed(v));
    Vec<u8> => |v| Value::Bytes(Cow::Owned(v));
    Map<'a> => Value::Map;
    Vec<Value<'a>> => Value::Array;
}

impl<'a> Value<'a> {
    /// The same, borrowing nothing.
    #[must_use]
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Null => Value::Null,
            Value::Bool(v) => Value::Bool(v),
            Value::Integer(v) => Value::Integer(v),
            Value::Bytes(v) => Value::Bytes(Cow::Owned(v.into_owned())),
            Value::Text(v) => Value::Text(Cow::Owned(v.into_owned())),
            Value::Array(items) => Value::Array(items.into_iter().map(Value::into_owned).collect()),
            Value::Map(map) => Value::Map(map.into_owned()),
        }
    }

    /// The encoded form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = encoder(longest(self));
        write(&mut encoder, self);
        encoder.into_writer()
    }

    /// Reads one value that is the whole of `bytes`.
    ///
    /// # Errors
    /// `protocol_error` saying which rule the bytes break.
    pub fn decode(bytes: &'a [u8]) -> Result<Self> {
        let mut reader = Reader { rest: bytes, items: 0 };
        let value = reader.value(0)?;
        if !reader.rest.is_empty() {
            return Err(broken("bytes follow the value"));
        }
        Ok(value)
    }
}

type Encoder = minicbor::Encoder<Vec<u8>>;

/// An encoder with room for `bytes`: one that grew would leave pieces of what may be a PIN or a key behind.
fn encoder(bytes: usize) -> Encoder {
    minicbor::Encoder::new(Vec::with_capacity(bytes))
}

/// The longest head of a value, in bytes (RFC 8949, section 3).
const HEAD: usize = 9;

/// At least as many bytes as the encoded value has.
fn longest(value: &Value<'_>) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Integer(_) => HEAD,
        Value::Bytes(v) => HEAD + v.len(),
        Value::Text(v) => HEAD + v.len(),
        Value::Array(items) => HEAD + items.iter().map(longest).sum::<usize>(),
        Value::Map(map) => longest_map(map),
    }
}

fn longest_map(map: &Map<'_>) -> usize {
    HEAD + map.0.iter().map(|(key, value)| HEAD + key.len() + longest(value)).sum::<usize>()
}

/// Writing into a Vec cannot fail (its error type is `Infallible`), hence the dropped results.
fn write(encoder: &mut Encoder, value: &Value<'_>) {
    match value {
        Value::Null => drop(encoder.null()),
        Value::Bool(v) => drop(encoder.bool(*v)),
        Value::Integer(v) => match (u64::try_from(*v), i64::try_from(*v)) {
            (Ok(v), _) => drop(encoder.u64(v)),
            (_, Ok(v)) => drop(encoder.i64(v)),
            // Values out of range cannot be decoded or built from the integer types above.
            _ => drop(encoder.null()),
        },
        Value::Bytes(v) => drop(encoder.bytes(v)),
        Value::Text(v) => drop(encoder.str(v)),
        Value::Array(items) => {
            drop(encoder.array(items.len() as u64));
            items.iter().for_each(|item| write(encoder, item));
        }
        Value::Map(map) => write_map(encoder, map),
    }
}

fn write_map(encoder: &mut Encoder, map: &Map<'_>) {
    drop(encoder.map(map.0.len() as u64));
    for (key, value) in &map.0 {
        drop(encoder.str(key));
        write(encoder, value);
    }
}

fn broken(rule: &str) -> Error {
    Error::new(ErrorCode::ProtocolError, format!("the message is not CANISP: {rule}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn any_value() -> impl Strategy<Value = Value<'static>> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            proptest::collection::vec(any::<u8>(), 0..40).prop_map(Value::from),
            ".{0,20}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 64, 8, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..8).prop_map(Value::Array),
                proptest::collection::btree_map(".{0,8}", inner, 0..8).prop_map(|entries| {
                    Value::Map(entries.into_iter().fold(Map::new(), |map, (k, v)| map.with(k, v)))
                }),
            ]
        })
    }

    proptest! {
        /// R77: every value, nested as it may be, comes back as it was sent.
        #[test]
        fn round_trip(value in any_value()) {
            let bytes = value.encode();
            prop_assert!(Value::decode(&bytes).unwrap() == value && bytes.len() <= longest(&value));
        }

        /// One value, one encoding: what decodes at all encodes to the very same bytes.
        #[test]
        fn canonical(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(value) = Value::decode(&bytes) {
                prop_assert_eq!(value.encode(), bytes);
            }
        }

        /// minicbor, a decoder of other hands, reads what is written here.
        #[test]
        fn minicbor_agrees(value in any_value()) {
            let bytes = value.encode();
            let mut decoder = minicbor::Decoder::new(&bytes);
            prop_assert!(decoder.skip().is_ok() && decoder.position() == bytes.len());
        }
    }

    #[test]
    fn refuses_what_is_lax() {
        for (bytes, why) in [
            (&[0x18, 0x17][..], "non-minimal integer"),
            (&[0x19, 0x00, 0xff], "non-minimal 16-bit integer"),
            (&[0x9f, 0xff], "indefinite array"),
            (&[0xc0, 0x00], "tag"),
            (&[0xfb, 0, 0, 0, 0, 0, 0, 0, 0], "float"),
            (&[0xf8, 0x20], "simple value"),
            (&[0xf7], "undefined"),
            (&[0x61, 0xff], "text that is not UTF-8"),
            (&[0xa1, 0x01, 0x01], "integer key"),
            (&[0xa2, 0x61, b'a', 0, 0x61, b'a', 0], "doubled key"),
            (&[0xa2, 0x61, b'b', 0, 0x61, b'a', 0], "keys out of order"),
            (&[0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "2^64 items"),
            (&[0x5b, 0, 0, 1, 0, 0, 0, 0, 0], "a terabyte of bytes"),
            (&[0x00, 0x00], "trailing byte"),
            (&[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "-2^64"),
            (&[], "nothing"),
        ] {
            assert!(Value::decode(bytes).is_err(), "{why} passed");
        }
        assert!(Value::decode(&[0x81; 100]).is_err(), "depth");
    }
}
