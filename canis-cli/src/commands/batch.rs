//! `canis batch`: a file of operations in JSON, all in one request.

use crate::args::Connection;
use crate::use_args::Batch;
use crate::{connect, files, show};
use base64ct::{Base64, Encoding};
use canis_proto::schema::{FieldKind, arguments};
use canis_proto::value::{Map, Value};
use canis_proto::{Error, OperationId, Result, message};
use serde_json::{Value as Json, json};
use std::process::ExitCode;

/// What the program ends with if an operation failed.
const SOME_FAILED: u8 = 1;

pub(crate) fn run(connection: &Connection, args: &Batch) -> Result<ExitCode> {
    let bytes = files::read(args.input.as_deref())?;
    let file: Json = serde_json::from_slice(&bytes)
        .map_err(|error| Error::invalid(format!("this is no JSON: {error}")))?;
    let (operations, atomic) = parse(&file)?;
    let request = message::Batch { operations, atomic: atomic || args.atomic, preview: false };
    let answer = connect::open(connection)?.call(&request)?;
    let all_done = answer.results.iter().all(Result::is_ok);
    let results: Vec<Json> = answer.results.iter().map(outcome).collect();
    show::json(&json!({"results": results}))?;
    Ok(if all_done { ExitCode::SUCCESS } else { ExitCode::from(SOME_FAILED) })
}

/// `{"operations": […], "atomic": bool}`, or the array alone.
fn parse(file: &Json) -> Result<(Vec<Map<'_>>, bool)> {
    let (operations, atomic) = match file {
        Json::Array(operations) => (Some(operations), Some(false)),
        Json::Object(fields)
            if fields.keys().all(|name| ["operations", "atomic"].contains(&name.as_str())) =>
        {
            let atomic = fields.get("atomic").map_or(Some(false), Json::as_bool);
            (fields.get("operations").and_then(Json::as_array), atomic)
        }
        _ => (None, None),
    };
    let (Some(operations), Some(atomic)) = (operations, atomic) else {
        return Err(Error::invalid(
            r#"a batch is {"operations": [...], "atomic": true or false}, and no more"#,
        ));
    };
    Ok((operations.iter().map(item).collect::<Result<_>>()?, atomic))
}

/// An operation: what the table of arguments calls bytes is base64 in JSON. What the table does not know is for the
/// server to refuse, so that each operation has its own error.
fn item(item: &Json) -> Result<Map<'_>> {
    let fields = item.as_object().ok_or_else(|| Error::invalid("an operation is a map"))?;
    let name = fields.get("op").and_then(Json::as_str).unwrap_or_default();
    let known = OperationId::from_name(name).map_or(&[][..], arguments);
    let mut map = Map::new();
    for (name, value) in fields {
        let kind = known.iter().find(|field| field.name == name).map(|field| field.kind);
        map = map.with(name.as_str(), to_value(name, kind, value)?);
    }
    Ok(map)
}

fn to_value<'a>(name: &str, kind: Option<FieldKind>, value: &'a Json) -> Result<Value<'a>> {
    let refused = |what: &str| Error::invalid(format!("`{}` {what}", canis_proto::quote(name)));
    Ok(match value {
        Json::Null => Value::Null,
        Json::Bool(value) => Value::from(*value),
        Json::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => Value::from(number),
            (_, Some(number)) => Value::from(number),
            _ => return Err(refused("is no integer")),
        },
        Json::String(text) if matches!(kind, Some(FieldKind::Bytes)) => {
            Value::from(Base64::decode_vec(text).map_err(|_| refused("is not base64"))?)
        }
        Json::String(text) => Value::from(text.as_str()),
        Json::Array(items) => {
            Value::Array(items.iter().map(|item| to_value(name, None, item)).collect::<Result<_>>()?)
        }
        Json::Object(_) => return Err(refused("holds a map, and no operation takes one")),
    })
}

fn outcome(result: &Result<Map<'static>>) -> Json {
    match result {
        Ok(answer) => json!({"result": map_json(answer)}),
        Err(error) => json!({"error": {"code": error.code.name(), "message": error.message}}),
    }
}

fn map_json(map: &Map<'_>) -> Json {
    Json::Object(map.iter().map(|(name, value)| (name.to_owned(), to_json(value))).collect())
}

fn to_json(value: &Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Integer(number) => u64::try_from(*number).map_or_else(|_| json!(*number as i64), |n| json!(n)),
        Value::Bytes(bytes) => json!(Base64::encode_string(bytes)),
        Value::Text(text) => json!(text),
        Value::Array(items) => items.iter().map(to_json).collect(),
        Value::Map(map) => map_json(map),
    }
}
