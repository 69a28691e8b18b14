//! Every operation over HTTP, with the arguments that CANISP takes.

use crate::harness::Shared;
use base64ct::{Base64, Encoding};
use canis_proto::OperationId;
use canis_proto::value::{Map, Value};
use serde_json::{Value as Json, json};
use std::process::Command;

/// The routes of docs/http.md, which another test compares with the code: method, path, operation.
pub(crate) fn routes() -> Vec<(&'static str, &'static str, OperationId)> {
    let rows = include_str!("../../../docs/http.md").lines().filter_map(|line| {
        let cells: Vec<_> = line.split('|').map(|cell| cell.trim().trim_matches('`')).collect();
        let [_, method, path, operation, _] = cells[..] else { return None };
        Some((method, path, OperationId::from_name(operation)?))
    });
    rows.collect()
}

/// A value of CANISP as JSON has it.
pub(crate) fn to_json(name: &str, value: &Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => json!(value),
        Value::Integer(_) if name == "usage" => json!(["encrypt"]),
        Value::Integer(value) => json!(i64::try_from(*value).unwrap()),
        Value::Bytes(bytes) => json!(Base64::encode_string(bytes)),
        Value::Text(text) => json!(text),
        Value::Array(items) => items.iter().map(|item| to_json(name, item)).collect(),
        Value::Map(map) => object(map),
    }
}

pub(crate) fn object(map: &Map<'_>) -> Json {
    Json::Object(map.iter().map(|(name, value)| (name.to_owned(), to_json(name, value))).collect())
}

/// The HTTP door of a server.
pub(crate) struct Http<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) address: String,
}

impl Http<'_> {
    pub(crate) fn send(&self, token: &str, method: &str, path: &str, body: Option<&Json>) -> (u16, String) {
        let mut curl = Command::new("curl");
        curl.args([
            "--silent",
            "--path-as-is",
            "--request",
            method,
            "--write-out",
            "\n%{http_code}",
            "--cacert",
        ]);
        curl.arg(self.shared.deployment.ca());
        curl.args(["--header", &format!("Authorization: Bearer {token}")]);
        if let Some(body) = body {
            curl.args(["--header", "Content-Type: application/json", "--data-binary", &body.to_string()]);
        }
        let output = curl.arg(format!("https://{}{path}", self.address)).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (body, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), body.to_owned())
    }

    /// The same operation with the arguments of its example.
    pub(crate) fn ask(&self, token: &str, (method, path): (&str, &str), args: &Map<'_>) -> (u16, String) {
        let Json::Object(mut args) = object(args) else { panic!("no arguments") };
        let mut path = path.to_owned();
        if let Some((before, rest)) = path.clone().split_once('{') {
            let (name, after) = rest.split_once('}').unwrap();
            let value = args.remove(name).unwrap_or(json!("x"));
            let value = value.as_str().map_or_else(|| value.to_string(), |text| escaped(text.as_bytes()));
            path = format!("{before}{value}{after}");
        }
        if !matches!(method, "GET" | "DELETE") {
            return self.send(token, method, &path, Some(&Json::Object(args)));
        }
        let text = |value: &Json| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        let given = args.iter().filter(|(_, value)| !value.is_null());
        let query: Vec<_> =
            given.map(|(name, value)| format!("{name}={}", escaped(text(value).as_bytes()))).collect();
        self.send(token, method, &format!("{path}?{}", query.join("&")), None)
    }
}

/// Percent-encoded, but for what a path has.
pub(crate) fn escaped(bytes: &[u8]) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    bytes
        .iter()
        .map(|byte| if plain(*byte) { char::from(*byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}
