//! Whoever asks for every operation of the table, as the examples of the documents do.
#![allow(dead_code)] // Each test file uses its own part of it.

pub(crate) mod http;

use crate::harness::{Deployment, Shared};
use crate::raw::Raw;
use canis_client::Client;
use canis_proto::credential::CreateCredential;
use canis_proto::frame::{FrameType, HEADER};
use canis_proto::message::{ClientHello, decode_error, decode_request};
use canis_proto::policy::PutPolicy;
use canis_proto::value::{Map, Value};
use canis_proto::{Capabilities, Capability, Error, ErrorCode, Id, OperationId};
use std::collections::BTreeMap;

/// A server with a second door, HTTP, and where that is.
pub(crate) fn site() -> (Shared, String) {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start_with(&["--http", "127.0.0.1:0"]);
    let http = server.line().strip_prefix("listening for HTTP on ").unwrap().to_owned();
    assert_eq!(server.line(), "unsealed", "{}", server.log());
    (Shared { deployment, server }, http)
}

/// A bearer's token, whose policy has this text.
pub(crate) fn bearing(admin: &mut Client, name: &str, text: &str) -> String {
    admin.call(&PutPolicy { name: name.into(), text: text.into(), revision: None, force: false }).unwrap();
    let policies = vec![name.into()];
    let made =
        admin.call(&CreateCredential { policies, ..CreateCredential::new(Capabilities::NONE) }).unwrap();
    made.token.clone().unwrap()
}

/// The requests of docs/canisp.md and docs/canisp-pkcs11.md by operation: one at least for each, as another test sees to.
pub(crate) fn examples() -> BTreeMap<u16, (OperationId, Vec<u8>)> {
    let vectors = include_str!("../../../tests/vectors/canisp.json");
    let vectors: Vec<serde_json::Value> = serde_json::from_str(vectors).unwrap();
    let mut examples = BTreeMap::new();
    for vector in vectors {
        let Some(name) = vector["what"].as_str().unwrap().strip_prefix("request ") else { continue };
        let hex = vector["frame"].as_str().unwrap();
        let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
        let frame: Vec<u8> = (0..hex.len()).step_by(2).map(byte).collect();
        let id = OperationId::from_name(name).unwrap();
        examples.entry(id as u16).or_insert_with(|| (id, frame[HEADER..].to_vec()));
    }
    examples
}

/// A connection of a PKCS#11 application, and its requests as maps.
pub(crate) struct Asker(Raw, u32);

impl Asker {
    pub(crate) fn new(shared: &Shared, token: &str) -> Self {
        let mut raw = Raw::connect(shared);
        let application = Some(vec![7; 32].into());
        let hello = ClientHello { client: "doors".into(), token: Some(token.into()), application };
        raw.frame(FrameType::Hello, 0, &hello.encode());
        assert_eq!(raw.read().unwrap().0.kind, FrameType::Hello);
        Asker(raw, 0)
    }

    pub(crate) fn ask(&mut self, operation: OperationId, args: Map<'_>) -> Result<Vec<u8>, Error> {
        self.1 += 1;
        let payload = Map::new().with("op", operation.row().name).with("args", args).encode();
        self.0.frame(FrameType::Request, self.1, &payload);
        let (header, payload) = self.0.read().unwrap();
        if header.kind == FrameType::Response { Ok(payload) } else { Err(decode_error(&payload)) }
    }

    /// The same as the only item of a batch.
    pub(crate) fn ask_in_batch(&mut self, operation: OperationId, args: &Map<'_>) -> Option<Error> {
        let mut item = Map::new().with("op", operation.row().name);
        for (name, value) in args.iter() {
            item = item.with(name.to_owned(), value.clone());
        }
        let args = Map::new().with("operations", vec![Value::Map(item)]);
        let answer = self.ask(OperationId::Batch, args).unwrap();
        let answer = String::from_utf8_lossy(&answer).into_owned();
        answer.contains("permission_denied").then(|| Error::new(ErrorCode::PermissionDenied, answer))
    }
}

/// The text of a policy that grants everything but this.
pub(crate) fn everything_but(missing: Capability) -> String {
    let all: Vec<_> = Capability::ALL.into_iter().filter(|one| *one != missing).collect();
    let names: Vec<_> = all.iter().map(|one| format!("\"{one}\"")).collect();
    format!("path \"*\" {{ capabilities = [{}] }}", names.join(", "))
}

/// The arguments of an operation's example, about this token where it is about one.
pub(crate) fn arguments(payload: &[u8], token: Id) -> Map<'static> {
    let args = || decode_request(payload).unwrap().args.into_owned();
    let mut own = args();
    match own.take("token") {
        Some(Value::Bytes(_)) => own.with("token", token.as_bytes().to_vec()),
        _ => args(),
    }
}
