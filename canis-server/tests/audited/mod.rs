//! Operations that are asked for one after the other, and the lines that each must leave.

pub(crate) mod everything;

use crate::asker::http::to_json;
use base64ct::{Base64, Encoding};
use canis_proto::OperationId;
use canis_proto::schema::{FieldKind, described};
use canis_proto::value::{Map, Value};
use canis_tests::AuditLog;
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// Longer than a line takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a door answers.
pub(crate) type Answered = Result<Json, String>;

/// Asks for an operation.
pub(crate) type Door<'a> = dyn FnMut(OperationId, &Map<'static>) -> Answered + 'a;

/// Asks for operations at one door, and looks at their lines.
pub(crate) struct Script<'a> {
    /// What this door's keys and all else are called first.
    pub(crate) prefix: &'static str,
    /// As lines call the door.
    pub(crate) door: &'static str,
    /// Whether each operation comes in a batch, which has a line, too.
    pub(crate) batched: bool,
    pub(crate) ask: Box<Door<'a>>,
    pub(crate) log: &'a mut AuditLog,
    /// The id of the caller's token, and of its tenant.
    pub(crate) who: String,
    pub(crate) tenant: String,
    pub(crate) seen: BTreeSet<&'static str>,
}

/// Arguments and fields of answers that hold data, as the log counts it.
const BROUGHT: [&str; 11] = [
    "plaintext",
    "ciphertext",
    "ciphertexts",
    "tag",
    "message",
    "data",
    "material",
    "certificate",
    "text",
    "peer",
    "private_key",
];
const GIVEN: [&str; 17] = [
    "secret",
    "plaintext",
    "ciphertext",
    "tag",
    "signature",
    "mac",
    "key",
    "bytes",
    "digest",
    "spki",
    "material",
    "private_key",
    "data",
    "der",
    "text",
    "lines",
    "items",
];

/// What is asked while the store is sealed, or by a root's credential, is nobody's of the tenant.
fn is_of_nobody(operation: OperationId) -> bool {
    matches!(operation, OperationId::Unseal | OperationId::OperatorToken)
}

/// What uses or writes a version of a key, and says which.
fn has_version(operation: OperationId) -> bool {
    use OperationId as O;
    matches!(
        operation,
        O::CreateKey
            | O::ImportKey
            | O::ExportKey
            | O::RotateKey
            | O::Encrypt
            | O::Decrypt
            | O::Rewrap
            | O::MakeDataKey
            | O::Sign
            | O::Verify
            | O::Mac
            | O::VerifyMac
            | O::Derive
            | O::EncryptAesGcm
            | O::DecryptAesGcm
            | O::Encapsulate
            | O::Decapsulate
    )
}

impl Script<'_> {
    /// A name of this door's own.
    pub(crate) fn named(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Asks, which must be done, and looks at the line.
    pub(crate) fn asks(&mut self, operation: OperationId, args: Map<'static>) -> Json {
        self.log.news();
        let answer = (self.ask)(operation, &args);
        let answer =
            answer.unwrap_or_else(|refused| panic!("{} at {}: {refused}", operation.row().name, self.prefix));
        let line = self.line(operation, "ok");
        self.check_sizes(operation, &args, &answer, &line);
        let binds = |name: &str| matches!(name, "context" | "aad" | "info");
        if let Some((_, Value::Bytes(context))) = args.iter().find(|(name, _)| binds(name)) {
            self.log.hide("a context", context);
            assert_eq!(line["context"].as_str().unwrap().len(), 32, "{line}");
        }
        if has_version(operation) {
            assert!(line["key"].is_string() && line["version"].is_u64(), "{line}");
        }
        self.seen.insert(operation.row().name);
        answer
    }

    /// Asks, which must be refused by this error, and looks at the line.
    pub(crate) fn is_refused(&mut self, operation: OperationId, args: Map<'static>, code: &str) -> Json {
        self.log.news();
        let refused = (self.ask)(operation, &args).unwrap_err();
        assert!(refused.contains(code), "{refused}");
        self.line(operation, code)
    }

    /// The one new line of an operation that ended like this.
    fn line(&mut self, operation: OperationId, result: &str) -> Json {
        let (name, mut news) = (operation.row().name, self.log.news());
        // What tells how the log is doing does not wait for it.
        let begun = Instant::now();
        while operation.tells_state()
            && begun.elapsed() < PATIENCE
            && !news.iter().any(|line| line["op"] == name)
        {
            std::thread::sleep(Duration::from_millis(10));
            news.extend(self.log.news());
        }
        let of = |name: &str| news.iter().filter(|line| line["op"] == name).cloned().collect::<Vec<_>>();
        if self.batched && operation != OperationId::Batch {
            let [batch] = &of("batch")[..] else { panic!("the batch of {name} has no line: {news:?}") };
            self.check_line(batch, OperationId::Batch, "ok");
        }
        let [line] = &of(name)[..] else { panic!("{name} at {} has not one line: {news:?}", self.prefix) };
        self.check_line(line, operation, result);
        line.clone()
    }

    /// Who, when, by which door, on what, how it ended, how long it took.
    fn check_line(&self, line: &Json, operation: OperationId, result: &str) {
        assert_eq!(line["result"], result, "{line}");
        assert_eq!((&line["door"], &line["from"]), (&self.door.into(), &"127.0.0.1".into()), "{line}");
        assert!(line["seq"].as_u64().unwrap() > 0 && line["micros"].is_u64(), "{line}");
        assert!(line["on"].as_str().is_some_and(|on| !on.is_empty()), "{line}");
        assert_eq!(line["mac"].as_str().unwrap().len(), 64, "{line}");
        let time = line["time"].as_str().unwrap();
        assert!(time.len() == 27 && time.ends_with('Z') && time.starts_with("20"), "{line}");
        if is_of_nobody(operation) {
            return;
        }
        assert_eq!((&line["by"], &line["who"]), (&"token".into(), &self.who.as_str().into()), "{line}");
        assert_eq!(line["tenant"], self.tenant.as_str(), "{line}");
        // What is about many things is decided for each of them.
        let many = operation.row().capability.is_none()
            || ["kms/keys", "kms/kv"].contains(&line["on"].as_str().unwrap());
        assert!(many || line["rule"].as_str().is_some_and(|rule| rule.starts_with("all:")), "{line}");
    }

    fn check_sizes(&self, operation: OperationId, args: &Map<'_>, answer: &Json, line: &Json) {
        use OperationId as O;
        let counted =
            |name: &str| BROUGHT.contains(&name) || (operation == O::PutEntry && name == "public_key");
        let brings = !matches!(operation, O::CreateCredential | O::AddRoot | O::CreateBackup);
        let brought = args.iter().filter(|(name, _)| brings && counted(name)).map(|(_, value)| length(value));
        let brought: Vec<u64> = brought.collect();
        assert_eq!(line["in"].as_u64(), (!brought.is_empty()).then(|| brought.iter().sum()), "{line}");
        let shape = described(operation).map(|described| described.answer);
        let Some(FieldKind::Map(shape)) = shape else { return };
        let counted =
            |name: &str| GIVEN.contains(&name) || (operation == O::GetEntry && name == "public_key");
        let fields = shape.fields.iter().filter(|field| counted(field.name));
        let given: Vec<u64> =
            fields.filter_map(|field| given_length(&field.kind, &answer[field.name])).collect();
        assert_eq!(line["out"].as_u64(), (!given.is_empty()).then(|| given.iter().sum()), "{line} {answer}");
    }
}

fn length(value: &Value<'_>) -> u64 {
    match value {
        Value::Bytes(bytes) => bytes.len() as u64,
        Value::Text(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(length).sum(),
        other => panic!("{} is no data", to_json("", other)),
    }
}

/// The length of what stands in a field of this kind; `None` of what is no data.
fn given_length(kind: &FieldKind, value: &Json) -> Option<u64> {
    match (kind, value) {
        (FieldKind::Bytes, Json::String(text)) => Some(Base64::decode_vec(text).unwrap().len() as u64),
        (FieldKind::Text, Json::String(text)) => Some(text.len() as u64),
        (FieldKind::Array(kind), Json::Array(items)) => {
            Some(items.iter().filter_map(|item| given_length(kind, item)).sum())
        }
        (FieldKind::Map(_), Json::Object(map)) => map["ciphertext"].as_str().map(|text| text.len() as u64),
        _ => None,
    }
}
