//! JSON as it comes (RFC 8259), into the values that operations take. Stricter than most readers: a name may stand once
//! only, because two readers would not agree which of two counts, and there are no fractions.

use canis_proto::value::{Map, Value};
use canis_proto::{Error, Result};
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A value of JSON: texts are texts, also where bytes are meant.
pub(crate) struct Json(pub(crate) Value<'static>);

/// Reads the object that is the whole of `text`; nothing at all is an empty one.
///
/// # Errors
/// `invalid_argument` with line and column.
pub(crate) fn object(text: &[u8]) -> Result<Map<'static>> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    let read: serde_json::Result<Json> = serde_json::from_slice(text);
    match read.map_err(|error| Error::invalid(format!("the body is not JSON that is taken here: {error}")))? {
        Json(Value::Map(map)) => Ok(map),
        Json(_) => Err(Error::invalid("the body must be a JSON object")),
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Json)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value<'static>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, an integer, true, false, null, an array or an object")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Value::from(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Value::from(value))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Value::Text(text.to_owned().into()))
    }

    fn visit_string<E>(self, text: String) -> Result<Self::Value, E> {
        Ok(Value::Text(text.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut all = Vec::new();
        while let Some(Json(item)) = items.next_element()? {
            all.push(item);
        }
        Ok(Value::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Self::Value, A::Error> {
        let mut map = Map::new();
        while let Some((name, Json(value))) = fields.next_entry::<String, Json>()? {
            if map.take(&name).is_some() {
                return Err(A::Error::custom(format_args!(
                    "`{}` stands there twice",
                    canis_proto::quote(&name)
                )));
            }
            map = map.with(name, value);
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strictly() {
        let refused =
            ["{\"a\":1,\"a\":2}", "{\"a\":1.5}", "[]", "{", "{} {}", "{\"a\":\"\u{1}\"}", "\u{feff}{}"];
        for text in refused {
            assert!(object(text.as_bytes()).is_err(), "{text}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(object(deep.as_bytes()).is_err(), "too deep");
        let good = object(b" {\"b\": [true, null, -1], \"a\": {\"c\": \"\\u00e9\"}} ").unwrap();
        assert_eq!(good.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["a", "b"]);
        assert!(object(b" \r\n").unwrap().iter().next().is_none());
    }
}
