//! docs/canisp.cddl describes every payload of CANISP (RFC 8610). Its rules are written from the code's own tables, so
//! they cannot differ from it (R77).
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use canis_core::wire;
use canis_proto::OperationId;
use canis_proto::operation::{Row, TABLE};
use canis_proto::schema::{self, Choice, Described, ERROR, Field, FieldKind, Shape, Words};
use std::collections::BTreeMap;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/canisp.cddl");

const HEAD: &str = r#"; CANISP/1, the payloads of its frames (RFC 8610). docs/canisp.md says what they mean.
;
; This file is written from the tables of the code: CANIS_WRITE_CDDL=1 cargo test -p canis-server --test cddl
;
; Every payload is in the deterministic encoding of docs/canisp.md, section 3. In requests no other fields are allowed. In
; answers, errors and HELLO a newer peer may send further fields, which must be ignored; they are left out here.
;
; A header of 12 bytes stands before each: 0xCA, 1, the type, 0, the request id (4 bytes), the payload's length (4 bytes).
; DATA (1 to 65536 bytes of a stream), END and CANCEL (nothing), CREDIT (a number of 4 bytes), PING and PONG (at most 64
; bytes) are no CBOR.

payload = client-hello / server-hello / request / open / answer / error

; HELLO, section 4
client-hello = {
    "client": tstr,
    ? "token": tstr / null,
    ? "application": application / null,
}
application = bstr .size 32
server-hello = {
    "server": tstr,
    "max_payload": uint,
    "max_in_flight": uint,
    ? "max_streams": uint / null,
    ? "resumed": bool / null,
}

; What a REQUEST may say besides its operation, section 5; a change may say more, section 7
terms = (
    ? "deadline": uint / null,
)
change-terms = (
    ? "idempotency_key": idempotency-key / null,
    ? "deadline": uint / null,
)
idempotency-key = bstr .size (1..64)

; What an OPEN may say besides its operation, section 6
flow = (
    ? "credit": uint / null,
    ? "deadline": uint / null,
)

; Any map: an operation of a batch, which is `op` and its arguments, and its result
any-map = { * tstr => any }
"#;

/// The rules that others name, by their names.
#[derive(Default)]
struct Rules(BTreeMap<String, String>);

impl Rules {
    fn kind(&mut self, kind: &FieldKind) -> String {
        match kind {
            FieldKind::Bool => "bool".to_owned(),
            FieldKind::Integer | FieldKind::Usage => "uint".to_owned(),
            FieldKind::Signed => "int".to_owned(),
            FieldKind::Text => "tstr".to_owned(),
            FieldKind::Bytes => "bstr".to_owned(),
            FieldKind::AnyMap => "any-map".to_owned(),
            FieldKind::Numbered => "[uint, bstr]".to_owned(),
            FieldKind::Word(words) => self.words(words),
            FieldKind::Map(shape) => self.shape(shape),
            FieldKind::Choice(choice) => self.choice(choice),
            FieldKind::Encoded(shape) => format!("bstr .cbor {}", self.shape(shape)),
            FieldKind::Array(item) => format!("[* {}]", self.kind(item)),
        }
    }

    fn words(&mut self, words: &Words) -> String {
        let all: Vec<_> = (words.all)().into_iter().map(|word| format!("\"{word}\"")).collect();
        self.rule(words.name, all.join(" / "))
    }

    fn shape(&mut self, shape: &Shape) -> String {
        let map = self.map("", shape.fields, shape.rest);
        if shape.name.is_empty() { map } else { self.rule(shape.name, map) }
    }

    fn choice(&mut self, choice: &Choice) -> String {
        let kinds: Vec<_> = choice
            .kinds
            .iter()
            .map(|(kind, fields)| self.map(&format!("    \"is\": \"{kind}\",\n"), fields, None))
            .collect();
        self.rule(choice.name, kinds.join(" / "))
    }

    fn map(&mut self, first: &str, fields: &[Field], rest: Option<&Shape>) -> String {
        let mut lines = first.to_owned();
        for field in fields.iter().chain(rest.map_or(&[][..], |rest| rest.fields)) {
            let kind = self.kind(&field.kind);
            lines += &match field.required {
                true => format!("    \"{}\": {kind},\n", field.name),
                false => format!("    ? \"{}\": {kind} / null,\n", field.name),
            };
        }
        if lines.is_empty() { "{}".to_owned() } else { format!("{{\n{lines}}}") }
    }

    /// Keeps a rule under its name as CDDL writes names.
    fn rule(&mut self, name: &str, rule: String) -> String {
        let mut dashed = String::new();
        for (at, letter) in name.char_indices() {
            if letter.is_ascii_uppercase() && at > 0 {
                dashed.push('-');
            }
            dashed.push(letter.to_ascii_lowercase());
        }
        let kept = self.0.entry(dashed.clone()).or_insert_with(|| rule.clone());
        assert_eq!(*kept, rule, "two things are called {dashed}");
        dashed
    }
}

fn described(row: &Row) -> (Described, bool) {
    let own = schema::described(row.id).map(|described| (described, false));
    own.or_else(|| wire::described(row.id)).unwrap_or_else(|| panic!("{} is not described", row.name))
}

/// The rules of an operation: its arguments, the REQUEST, the answer, and the same of its stream.
fn operation(rules: &mut Rules, row: &Row) -> String {
    let (Described { arguments, answer }, names_token) = described(row);
    let name = row.name;
    let token = if names_token { "    \"token\": bstr,\n" } else { "" };
    let args = rules.map(token, arguments, None);
    let answer = rules.kind(&answer);
    let terms = if row.id.changes() || row.id == OperationId::Batch { "change-terms" } else { "terms" };
    let given = given_of(&format!("{name}.args"), &args);
    let mut text = format!(
        "\n{name}.request = {{ \"op\": \"{name}\", {given}, {terms} }}\n{name}.args = {args}\n{name}.answer = {answer}\n"
    );
    if let Some(Described { arguments, answer }) = schema::stream(row.id) {
        let (args, answer) = (rules.map("", arguments, None), rules.kind(&answer));
        let given = given_of(&format!("{name}.stream-args"), &args);
        text += &format!(
            "{name}.open = {{ \"op\": \"{name}\", {given}, flow }}\n{name}.stream-args = {args}\n{name}.stream-answer = {answer}\n"
        );
    }
    text
}

/// Arguments of which none must be there may be left out themselves.
fn given_of(rule: &str, args: &str) -> String {
    let needed = args.lines().any(|line| line.contains(':') && !line.contains('?'));
    if needed { format!("\"args\": {rule}") } else { format!("? \"args\": {rule} / null") }
}

fn written() -> String {
    let rows: Vec<&Row> = TABLE.iter().filter(|row| row.wire).collect();
    let streams: Vec<&Row> = rows.iter().copied().filter(|row| schema::stream(row.id).is_some()).collect();
    let all = |rows: &[&Row], what: &str| {
        let names: Vec<_> = rows.iter().map(|row| format!("{}.{what}", row.name)).collect();
        names.join(" /\n    ")
    };
    let mut rules = Rules::default();
    rules.shape(&ERROR);
    let operations: String = rows.iter().map(|row| operation(&mut rules, row)).collect();
    let mut text = HEAD.to_owned();
    text += "\n; All of each kind\n";
    text += &format!("request =\n    {}\n", all(&rows, "request"));
    text += &format!("answer =\n    {} /\n    {}\n", all(&rows, "answer"), all(&streams, "stream-answer"));
    text += &format!("open =\n    {}\n", all(&streams, "open"));
    text += "\n; Operations, section 7";
    text += &operations;
    text += "\n; What they have in common\n";
    for (name, rule) in &rules.0 {
        text += &format!("\n{name} = {rule}\n");
    }
    text
}

/// The file is what the code says; every operation that CANISP carries has its rules.
#[test]
fn rules_are_the_codes() {
    let expected = written();
    if std::env::var_os("CANIS_WRITE_CDDL").is_some() {
        std::fs::write(PATH, &expected).unwrap();
    }
    let kept = std::fs::read_to_string(PATH).unwrap();
    assert!(kept == expected, "write it anew: CANIS_WRITE_CDDL=1 cargo test -p canis-server --test cddl");
    for row in TABLE.iter().filter(|row| row.wire) {
        for what in ["request", "args", "answer"] {
            assert!(kept.contains(&format!("\n{}.{what} = ", row.name)), "no {what} of {}", row.name);
        }
    }
}
