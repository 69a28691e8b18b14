//! Between JSON and the values of CANISP, by the tables of what operations take and give: bytes are base64 (RFC 4648,
//! section 4), what a key may be used for is a list of words, everything else stands as it is.

use super::problem;
use base64ct::{Base64, Encoding};
use canis_proto::schema::{Choice, Field, FieldKind, arguments, described};
use canis_proto::value::{Map, Value};
use canis_proto::{Error, OperationId, Result, Usage, quote};
use serde_json::{Value as Json, json};

/// The arguments in `given`, as an operation takes them.
///
/// # Errors
/// `invalid_argument` naming the field.
pub(crate) fn taken(fields: &[Field], given: Map<'static>) -> Result<Map<'static>> {
    let mut map = Map::new();
    for (name, value) in given.into_entries() {
        let Some(field) = fields.iter().find(|field| field.name == name) else {
            return Err(unknown(&name, fields));
        };
        map = map.with(field.name, value_of(field.name, &field.kind, value)?);
    }
    Ok(map)
}

fn unknown(name: &str, fields: &[Field]) -> Error {
    let known: Vec<_> = fields.iter().map(|field| field.name).collect();
    let known = match known[..] {
        [] => "nothing".to_owned(),
        _ => known.join(", "),
    };
    Error::invalid(format!("there is no argument `{}`; known here: {known}", quote(name)))
}

fn value_of(name: &str, kind: &FieldKind, value: Value<'static>) -> Result<Value<'static>> {
    let refused = |what: &str| Error::invalid(format!("`{name}` must be {what}"));
    match (kind, value) {
        (_, Value::Null) => Ok(Value::Null),
        (FieldKind::Bool, value @ Value::Bool(_))
        | (FieldKind::Integer | FieldKind::Signed, value @ Value::Integer(_))
        | (FieldKind::Text | FieldKind::Word(_), value @ Value::Text(_)) => Ok(value),
        (FieldKind::Bytes, Value::Text(text)) => match Base64::decode_vec(&text) {
            Ok(bytes) => Ok(Value::from(bytes)),
            Err(_) => Err(refused("base64 with padding (RFC 4648, section 4)")),
        },
        (FieldKind::Usage, Value::Array(words)) => usage(&words).ok_or_else(|| refused(&usage_words())),
        (FieldKind::Array(kind), Value::Array(items)) => {
            let items = items.into_iter().map(|item| value_of(name, kind, item));
            items.collect::<Result<_>>().map(Value::Array)
        }
        // What a new root key keeps are slots as `root.rotate` takes them.
        (FieldKind::AnyMap, Value::Map(map)) if name == "keep" => {
            taken(arguments(OperationId::RotateRoot), map).map(Value::Map)
        }
        (FieldKind::AnyMap, Value::Map(map)) => operation(map).map(Value::Map),
        (FieldKind::Map(shape), Value::Map(map)) => {
            let fields: Vec<Field> = [shape.fields, shape.rest.map_or(&[][..], |rest| rest.fields)].concat();
            taken(&fields, map).map(Value::Map)
        }
        (kind, _) => Err(refused(&word_for(kind))),
    }
}

/// An operation of a batch: `op`, and its arguments. A key may be called `key`, too.
fn operation(mut map: Map<'static>) -> Result<Map<'static>> {
    let Some(Value::Text(name)) = map.take("op") else {
        return Err(Error::invalid("an operation of a batch says in `op` what it is"));
    };
    if let Some(key) = map.take("key") {
        map = map.with("name", key);
    }
    let taken = match OperationId::from_name(&name) {
        Some(id) => taken(arguments(id), map)?,
        // The batch refuses it, so that it has an error of its own.
        None => Map::new(),
    };
    Ok(taken.with("op", Value::Text(name)))
}

fn usage(words: &[Value<'static>]) -> Option<Value<'static>> {
    let each = |word: &Value<'static>| match word {
        Value::Text(word) => Usage::from_name(word),
        _ => None,
    };
    let all = words.iter().try_fold(Usage::NONE, |all, word| each(word).map(|one| all.with(one)))?;
    Some(Value::from(u32::from(all.bits())))
}

fn usage_words() -> String {
    format!("a list of {}", Usage::ALL.names().collect::<Vec<_>>().join(", "))
}

fn word_for(kind: &FieldKind) -> String {
    match kind {
        FieldKind::Bool => "true or false".to_owned(),
        FieldKind::Integer | FieldKind::Signed => "an integer".to_owned(),
        FieldKind::Text => "text".to_owned(),
        FieldKind::Word(words) => format!("one of {}", (words.all)().join(", ")),
        FieldKind::Bytes | FieldKind::Encoded(_) => "base64 with padding (RFC 4648, section 4)".to_owned(),
        FieldKind::Usage => usage_words(),
        FieldKind::Array(_) | FieldKind::Numbered => "an array".to_owned(),
        FieldKind::AnyMap | FieldKind::Map(_) | FieldKind::Choice(_) => "an object".to_owned(),
    }
}

/// What an operation has answered. `args` are what it was asked with: a batch's results are told by its operations.
pub(crate) fn given(id: OperationId, args: &Map<'_>, answer: &Map<'_>) -> Json {
    match (id, described(id).map(|described| described.answer)) {
        (OperationId::Batch, _) => batch(args, answer),
        (_, Some(FieldKind::Map(shape))) => {
            object(shape.fields, shape.rest.map_or(&[][..], |rest| rest.fields), answer)
        }
        _ => object(&[], &[], answer),
    }
}

fn object(fields: &[Field], rest: &[Field], map: &Map<'_>) -> Json {
    let shown = map.iter().map(|(name, value)| {
        let field = fields.iter().chain(rest).find(|field| field.name == name);
        (name.to_owned(), shown(field.map(|field| &field.kind), value))
    });
    Json::Object(shown.collect())
}

/// A value as its kind says, or as it is where nothing is said.
fn shown(kind: Option<&FieldKind>, value: &Value<'_>) -> Json {
    match (kind, value) {
        (Some(FieldKind::Usage), Value::Integer(bits)) => {
            let usage = u8::try_from(*bits).ok().and_then(Usage::from_bits).unwrap_or(Usage::NONE);
            usage.names().collect()
        }
        (Some(FieldKind::Array(kind)), Value::Array(items)) => {
            items.iter().map(|item| shown(Some(kind), item)).collect()
        }
        (Some(FieldKind::Map(shape)), Value::Map(map)) if shape.name == "Error" => problem::within(map),
        (Some(FieldKind::Map(shape)), Value::Map(map)) => {
            object(shape.fields, shape.rest.map_or(&[][..], |rest| rest.fields), map)
        }
        (Some(FieldKind::Choice(choice)), Value::Map(map)) => object(fields_of(choice, map), &[], map),
        (_, Value::Map(map)) => object(&[], &[], map),
        (_, Value::Array(items)) => items.iter().map(|item| shown(None, item)).collect(),
        (_, Value::Null) => Json::Null,
        (_, Value::Bool(value)) => json!(value),
        (_, Value::Integer(number)) => {
            u64::try_from(*number).map_or_else(|_| json!(*number as i64), |n| json!(n))
        }
        (_, Value::Bytes(bytes)) => json!(Base64::encode_string(bytes)),
        (_, Value::Text(text)) => json!(text),
    }
}

fn fields_of(choice: &Choice, map: &Map<'_>) -> &'static [Field] {
    let is = map.iter().find_map(|(name, value)| match value {
        Value::Text(word) if name == "is" => Some(word.as_ref()),
        _ => None,
    });
    let kind = choice.kinds.iter().find(|(word, _)| Some(*word) == is);
    kind.map_or(&[], |(_, fields)| fields)
}

fn batch(args: &Map<'_>, answer: &Map<'_>) -> Json {
    let (operations, results) = (list(args, "operations"), list(answer, "results"));
    let results = results.iter().zip(operations).map(|(result, asked)| match (result, asked) {
        (Value::Map(result), Value::Map(asked)) => outcome(asked, result),
        _ => Json::Null,
    });
    json!({"results": results.collect::<Vec<_>>()})
}

fn list<'a, 'b>(map: &'a Map<'b>, wanted: &str) -> &'a [Value<'b>] {
    map.iter()
        .find_map(|(name, value)| match value {
            Value::Array(items) if name == wanted => Some(&items[..]),
            _ => None,
        })
        .unwrap_or_default()
}

fn outcome(asked: &Map<'_>, result: &Map<'_>) -> Json {
    let id = asked.iter().find_map(|(name, value)| match value {
        Value::Text(op) if name == "op" => OperationId::from_name(op),
        _ => None,
    });
    let shown = result.iter().map(|(name, value)| {
        let value = match (name, value, id) {
            ("result", Value::Map(answer), Some(id)) => given(id, &Map::new(), answer),
            ("error", Value::Map(error), _) => problem::within(error),
            (_, value, _) => shown(None, value),
        };
        (name.to_owned(), value)
    });
    Json::Object(shown.collect())
}
