//! `/v1/openapi.json`: this door described for programs (OpenAPI 3.1), from the tables that it works by.

use super::body;
use super::path::placeholder;
use super::problem;
use super::routes::{ROUTES, Route};
use canis_proto::schema::{Choice, Field, FieldKind, Shape, described};
use canis_proto::{ErrorCode, OperationId, Usage};
use serde_json::{Map as Object, Value as Json, json};

/// Base64 with padding, RFC 4648, section 4.
const BASE64: &str = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$";

/// The document.
pub(crate) fn document() -> Json {
    let mut schemas = Schemas::default();
    let mut paths = Object::new();
    for route in ROUTES {
        let item = paths.entry(route.path).or_insert_with(|| json!({}));
        item[route.method.to_ascii_lowercase()] = operation(&mut schemas, route);
    }
    for (path, what) in
        [("/v1/sys/health", "Whether keys can be used"), ("/v1/openapi.json", "This document")]
    {
        let answers =
            json!({"200": json_answer("Done", &json!({"type": "object"})), "503": problem_answer()});
        paths.insert(path.to_owned(), json!({"get": {
            "operationId": operation_id("GET", path), "summary": what, "security": [], "responses": answers}}));
    }
    let set =
        json!({"type": "object", "properties": {"keys": {"type": "array", "items": {"type": "object"}}}});
    paths.insert("/v1/jwks/{name}".to_owned(), json!({"get": {
        "operationId": "jwks", "summary": "The public keys of a key's versions (RFC 7517)",
        "parameters": [in_path("name")],
        "responses": {"200": json_answer("The set", &set), "4XX": problem_answer(), "5XX": problem_answer()}}}));
    let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| code.name()).collect();
    schemas.0.insert(
        "Problem".to_owned(),
        json!({
        "type": "object", "required": ["type", "title", "status", "detail", "code"],
        "properties": {"type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"},
            "detail": {"type": "string"}, "code": {"type": "string", "enum": codes}}}),
    );
    json!({
        "openapi": "3.1.0",
        "info": {"title": "CANIS", "version": env!("CARGO_PKG_VERSION"), "license": {"name": "MIT OR Apache-2.0"},
            "description": "Names of keys may hold slashes in paths. Bytes are base64 (RFC 4648, section 4). Times are \
                microseconds since 1970-01-01 UTC. Errors are problems (RFC 9457) with a stable `code`."},
        "security": [{"bearer": []}, {"certificate": []}],
        "paths": paths,
        "components": {"schemas": schemas.0, "securitySchemes": {
            "bearer": {"type": "http", "scheme": "bearer"}, "certificate": {"type": "mutualTLS"}}},
    })
}

/// The schemas that others name.
#[derive(Default)]
struct Schemas(Object<String, Json>);

impl Schemas {
    fn kind(&mut self, kind: &FieldKind) -> Json {
        match kind {
            FieldKind::Bool => json!({"type": "boolean"}),
            FieldKind::Integer => json!({"type": "integer", "minimum": 0}),
            FieldKind::Signed => json!({"type": "integer"}),
            FieldKind::Text => json!({"type": "string"}),
            FieldKind::Bytes | FieldKind::Encoded(_) => {
                json!({"type": "string", "contentEncoding": "base64", "pattern": BASE64})
            }
            FieldKind::Usage => {
                let words: Vec<_> = Usage::ALL.names().collect();
                json!({"type": "array", "items": {"type": "string", "enum": words}})
            }
            FieldKind::Word(words) => {
                self.named(words.name, |_| json!({"type": "string", "enum": (words.all)()}))
            }
            FieldKind::AnyMap => json!({"type": "object"}),
            FieldKind::Map(shape) => self.shape(shape),
            FieldKind::Choice(choice) => self.choice(choice),
            FieldKind::Array(item) => json!({"type": "array", "items": self.kind(item)}),
            FieldKind::Numbered => json!({"type": "array"}),
        }
    }

    fn shape(&mut self, shape: &Shape) -> Json {
        // Within answers an error is its code and its message.
        if shape.name == "Error" {
            return json!({"type": "object", "properties": {"code": {"type": "string"}, "message": {"type": "string"}}});
        }
        let fields: Vec<_> =
            shape.fields.iter().chain(shape.rest.map_or(&[][..], |rest| rest.fields)).collect();
        match shape.name {
            "" => self.object(&fields),
            name => self.named(name, |all| all.object(&fields)),
        }
    }

    fn choice(&mut self, choice: &Choice) -> Json {
        self.named(choice.name, |all| {
            let kinds: Vec<_> = choice
                .kinds
                .iter()
                .map(|(is, fields)| {
                    let mut object = all.object(&fields.iter().collect::<Vec<_>>());
                    object["properties"]["is"] = json!({"const": is});
                    object
                })
                .collect();
            json!({"oneOf": kinds})
        })
    }

    fn object(&mut self, fields: &[&Field]) -> Json {
        let mut properties = Object::new();
        for field in fields {
            let kind = self.kind(&field.kind);
            let kind = if field.required { kind } else { json!({"anyOf": [kind, {"type": "null"}]}) };
            properties.insert(field.name.to_owned(), kind);
        }
        let required: Vec<_> = fields.iter().filter(|field| field.required).map(|field| field.name).collect();
        json!({"type": "object", "properties": properties, "required": required})
    }

    fn named(&mut self, name: &str, make: impl FnOnce(&mut Self) -> Json) -> Json {
        if !self.0.contains_key(name) {
            let made = make(self);
            self.0.insert(name.to_owned(), made);
        }
        json!({"$ref": format!("#/components/schemas/{name}")})
    }
}

fn operation(schemas: &mut Schemas, route: &Route) -> Json {
    let name = route.operation.row().name;
    let (arguments, answer) = match described(route.operation) {
        Some(described) => (described.arguments, described.answer),
        None => (&[][..], FieldKind::AnyMap),
    };
    let captured = route.path.split('/').find_map(placeholder);
    let others: Vec<&Field> = arguments.iter().filter(|field| Some(field.name) != captured).collect();
    let mut parameters: Vec<Json> = captured.map(in_path).into_iter().collect();
    let answer = match route.operation {
        OperationId::Batch => json!({"type": "object"}),
        _ => schemas.kind(&answer),
    };
    let mut described = json!({
        "operationId": operation_id(route.method, route.path),
        "summary": name,
        "responses": {
            route.success().to_string(): json_answer("Done", &answer),
            "4XX": problem_answer(),
            "5XX": problem_answer(),
        },
    });
    if route.takes_query() {
        for field in others {
            parameters.push(json!({"name": field.name, "in": "query", "required": field.required,
                "schema": schemas.kind(&field.kind)}));
        }
    } else {
        let mut content = json!({body::JSON: {"schema": additional(schemas.object(&others))}});
        if body::raw(route.operation).is_some() {
            content[body::OCTETS] = json!({"schema": {}});
        }
        let required = others.iter().any(|field| field.required);
        described["requestBody"] = json!({"required": required, "content": content});
    }
    if route.operation.row().capability.is_none() && route.operation != OperationId::Batch {
        described["security"] = json!([]);
    }
    if arguments.iter().any(|field| field.name == "revision") {
        parameters.push(json!({"name": "If-Match", "in": "header", "required": false,
            "description": "The ETag of what is to be changed; 412 if it has another one by now.",
            "schema": {"type": "string", "pattern": "^\"[0-9]{1,19}\"$"}}));
    }
    if route.operation.changes() {
        parameters.push(json!({"name": "Idempotency-Key", "in": "header", "required": false,
            "description": "A change sent again under the same key happens once.",
            "schema": {"type": "string", "minLength": 1, "maxLength": 64, "pattern": "^[!-~]+$"}}));
    }
    if !parameters.is_empty() {
        described["parameters"] = Json::Array(parameters);
    }
    described
}

/// Other arguments are refused.
fn additional(mut object: Json) -> Json {
    object["additionalProperties"] = json!(false);
    object
}

fn operation_id(method: &str, path: &str) -> String {
    let words = path.split('/').skip(2).map(|word| placeholder(word).map_or(word, |_| "one"));
    format!("{}-{}", method.to_ascii_lowercase(), words.collect::<Vec<_>>().join("-"))
}

fn in_path(name: &str) -> Json {
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "minLength": 1}})
}

fn json_answer(what: &str, schema: &Json) -> Json {
    json!({"description": what, "content": {body::JSON: {"schema": schema}}})
}

fn problem_answer() -> Json {
    json!({"description": "A problem (RFC 9457)",
        "content": {problem::MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}})
}
