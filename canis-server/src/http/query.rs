//! Arguments in the query of a path, as the table of arguments says what they are.

use canis_proto::schema::{Field, FieldKind};
use canis_proto::value::{Map, Value};
use canis_proto::{Error, Result, quote};

/// The arguments, still as JSON would have them: bytes are base64. A name may stand twice where a list is taken.
///
/// # Errors
/// `invalid_argument` naming the argument.
pub(crate) fn arguments(fields: &[Field], query: Option<&str>) -> Result<Map<'static>> {
    let mut map = Map::new();
    for (name, text) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
        let kind = fields.iter().find(|field| field.name == name).map(|field| field.kind);
        let before = map.take(&name);
        let value = match (kind, before) {
            (Some(FieldKind::Array(item)), before) => listed(before, value(&name, item, &text)?),
            (Some(FieldKind::Usage), before) => listed(before, value(&name, &FieldKind::Text, &text)?),
            (_, Some(_)) => {
                return Err(Error::invalid(format!("`{}` stands in the query twice", quote(&name))));
            }
            (Some(kind), None) => value(&name, &kind, &text)?,
            // The table refuses it by name.
            (None, None) => Value::Null,
        };
        map = map.with(name.into_owned(), value);
    }
    Ok(map)
}

fn listed(before: Option<Value<'static>>, value: Value<'static>) -> Value<'static> {
    match before {
        Some(Value::Array(mut items)) => {
            items.push(value);
            Value::Array(items)
        }
        _ => Value::Array(vec![value]),
    }
}

fn value(name: &str, kind: &FieldKind, text: &str) -> Result<Value<'static>> {
    let refused = |what: &str| Error::invalid(format!("`{name}` in the query must be {what}"));
    match kind {
        FieldKind::Bool => match text {
            "true" | "1" | "" => Ok(Value::from(true)),
            "false" | "0" => Ok(Value::from(false)),
            _ => Err(refused("true or false")),
        },
        FieldKind::Integer => text.parse::<u64>().map(Value::from).map_err(|_| refused("an integer from 0")),
        FieldKind::Signed => text.parse::<i64>().map(Value::from).map_err(|_| refused("an integer")),
        FieldKind::Text | FieldKind::Word(_) | FieldKind::Bytes => Ok(Value::Text(text.to_owned().into())),
        _ => Err(refused("sent in a body of JSON by POST instead")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use canis_proto::OperationId;
    use canis_proto::schema;

    #[test]
    fn typed_by_the_table() {
        let fields = schema::arguments(OperationId::ListKeys);
        let map = arguments(fields, Some("prefix=a%2Fb+c&limit=7&include_deleted")).unwrap();
        let all: Vec<_> = map.into_entries().collect();
        let text = Value::Text("a/b c".into());
        let expected =
            [("limit", Value::from(7u64)), ("prefix", text), ("include_deleted", Value::from(true))];
        assert!(all.iter().zip(expected).all(|((a, b), (c, d))| a == c && *b == d));
        for wrong in ["limit=-1", "limit=x", "include_deleted=maybe", "prefix=a&prefix=b"] {
            assert!(arguments(fields, Some(wrong)).is_err(), "{wrong}");
        }
    }
}
