//! docs/canisp.md and docs/canisp-pkcs11.md are normative, so they must be true: its hex blocks decode and its tables are the code's (R77).
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod again;
mod harness;

use again::{answer_again, open_again, request_again, split};
use canis_core::crypto::chunks::{Opener, Sealer};
use canis_core::crypto::providers;
use canis_proto::frame::{FrameType, MAX_DATA, MAX_HELLO, MAX_OPEN, MAX_PAYLOAD, frame};
use canis_proto::message::{ClientHello, ServerHello, decode_error, encode_error};
use canis_proto::operation::TABLE;
use canis_proto::stream::STREAMED;
use canis_proto::value::{Map, Value};
use canis_proto::{ErrorCode, HashName, KeyFormat, KeyType, OperationId, PublicObject, SignatureScheme};
use canis_server::limits;
use std::collections::BTreeSet;

const TEXT: &str = concat!(include_str!("../../docs/canisp.md"), include_str!("../../docs/canisp-pkcs11.md"));

/// The hex blocks: what each claims to be, and its bytes.
fn blocks() -> Vec<(String, Vec<u8>)> {
    let mut blocks = Vec::new();
    let mut lines = TEXT.lines();
    while let Some(line) = lines.next() {
        let Some(what) = line.strip_prefix("```hex ") else { continue };
        let digits: String =
            lines.by_ref().take_while(|l| *l != "```").flat_map(str::split_whitespace).collect();
        let byte = |at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        blocks.push((what.to_owned(), (0..digits.len()).step_by(2).map(byte).collect()));
    }
    blocks
}

/// Every block is what it claims to be, and the code writes the very same bytes.
#[test]
fn hex_blocks_decode() {
    let mut seen = BTreeSet::new();
    for (what, bytes) in blocks() {
        if what.starts_with("s1") {
            continue;
        }
        if what.starts_with("refused ") {
            let refused = Map::decode(&bytes).map(|_| ()).unwrap_err();
            assert_eq!(refused.code, ErrorCode::ProtocolError, "{what}");
            continue;
        }
        let (header, payload) = split(&bytes);
        let (kind, operation) = what.split_once(' ').unwrap_or((&what, ""));
        let (expected, again) = match kind {
            "client-hello" => (FrameType::Hello, ClientHello::decode(payload).unwrap().encode()),
            "server-hello" => (FrameType::Hello, ServerHello::decode(payload).unwrap().encode()),
            "request" => {
                let (id, again) = request_again(payload);
                assert_eq!(id.row().name, operation);
                (FrameType::Request, again)
            }
            "response" => {
                (FrameType::Response, answer_again(OperationId::from_name(operation).unwrap(), payload))
            }
            "error" => (FrameType::Error, encode_error(&decode_error(payload))),
            "goaway" => (FrameType::GoAway, encode_error(&decode_error(payload))),
            "open" => (FrameType::Open, open_again(operation, payload)),
            "data" => (FrameType::Data, payload.to_vec()),
            "end" => (FrameType::End, Vec::new()),
            "credit" => (FrameType::Credit, payload.to_vec()),
            "cancel" => (FrameType::Cancel, Vec::new()),
            "ping" => (FrameType::Ping, payload.to_vec()),
            "pong" => (FrameType::Pong, payload.to_vec()),
            other => panic!("a block claims to be {other}"),
        };
        assert_eq!(header.kind, expected, "{what}");
        assert_eq!(frame(header.kind, header.request, &again), bytes, "{what}");
        seen.insert(what);
    }
    for row in TABLE.iter().filter(|row| row.wire) {
        for kind in ["request", "response"] {
            assert!(seen.contains(&format!("{kind} {}", row.name)), "no example of {kind} {}", row.name);
        }
    }
    for id in STREAMED {
        let name = id.row().name;
        assert!(seen.contains(&format!("open {name}")), "no example of open {name}");
        assert!(TEXT.contains(&format!("\n| `{name}` | ")), "no row of {name} among the streams");
    }
    for what in ["data", "end", "credit", "cancel"] {
        assert!(seen.contains(what), "no example of {what}");
    }
}

/// The body of the streamed ciphertext in the text is what its key makes of its plaintext, and opens again.
#[test]
fn the_streamed_ciphertext_opens() {
    let block = |name: &str| blocks().into_iter().find(|(what, _)| what == name).unwrap().1;
    let key: [u8; 32] = block("s1 key").try_into().unwrap();
    let (plaintext, body) = (block("s1 plaintext"), block("s1 body"));
    for provider in providers() {
        let (mut sealed, mut opened) = (Vec::new(), Vec::new());
        let mut sealer = Sealer::new(provider, &key).unwrap();
        sealer.update(&plaintext, &mut sealed).unwrap();
        sealer.finish(&mut sealed).unwrap();
        assert_eq!(sealed, body, "{}", provider.name);
        let mut opener = Opener::new(provider, &key).unwrap();
        opener.update(&body, &mut opened).unwrap();
        opener.finish(&mut opened).unwrap();
        assert_eq!(opened, plaintext);
    }
}

/// tests/vectors/canisp.json holds the same frames for clients in other languages, in the same order.
#[test]
fn vectors_are_the_documents() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/canisp.json");
    let hex = |bytes: Vec<u8>| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let line = |(what, bytes)| format!(r#"  {{"what": "{what}", "frame": "{}"}}"#, hex(bytes));
    let expected = format!("[\n{}\n]\n", blocks().into_iter().map(line).collect::<Vec<_>>().join(",\n"));
    if std::env::var_os("CANIS_WRITE_VECTORS").is_some() {
        std::fs::write(path, &expected).unwrap();
    }
    let kept = std::fs::read_to_string(path).unwrap();
    assert!(kept == expected, "write it anew: CANIS_WRITE_VECTORS=1 cargo test --test documentation vectors");
}

/// The server of the examples announces what the real one does.
#[test]
fn hello_announces_the_limits() {
    let (_, bytes) = blocks().into_iter().find(|(what, _)| what == "server-hello").unwrap();
    let hello = ServerHello::decode(split(&bytes).1).unwrap();
    assert_eq!((hello.max_payload, hello.max_in_flight), (MAX_PAYLOAD, limits::IN_FLIGHT));
    assert_eq!(hello.max_streams, limits::STREAMS);
}

/// Operations, capabilities, error codes, types, schemes and limits stand in the text as in the code.
#[test]
fn tables_are_the_codes() {
    let says = |what: String| assert!(TEXT.contains(&what), "docs/canisp.md does not say `{what}`");
    for row in TABLE.iter().filter(|row| row.wire) {
        match row.capability {
            Some(capability) => says(format!("| `{}` | `{capability}` |", row.name)),
            None => says(format!("| `{}` | nothing |", row.name)),
        }
    }
    for code in ErrorCode::ALL {
        says(format!("| {} | `{}` |", code.number(), code.name()));
    }
    KeyFormat::ALL.iter().for_each(|format| says(format!("`{format}`")));
    SignatureScheme::ALL.iter().for_each(|scheme| says(format!("`{scheme}`")));
    KeyType::ALL.iter().for_each(|kind| says(format!("`{kind}`")));
    HashName::ALL.iter().for_each(|hash| says(format!("`{hash}`")));
    PublicObject::ALL.iter().for_each(|what| says(format!("`{what}`")));
    says(format!("has at most {} applications", limits::APPLICATIONS));
    says(format!("all together have at most {}", limits::ALL_APPLICATIONS));
    says(format!("An application ends {} s after", limits::APPLICATION_LINGER.as_secs()));
    says(format!("objects of one application take at most {} bytes", limits::SESSION_OBJECTS));
    says(format!("those of a credential {}", limits::CREDENTIAL_SESSION_OBJECTS));
    says(format!("those of all {}", limits::ALL_SESSION_OBJECTS));
    says(format!("| payload | {MAX_PAYLOAD} bytes |"));
    says(format!("| requests in flight, a connection | {} |", limits::IN_FLIGHT));
    says(format!("| request bytes in flight, a connection | {} |", limits::IN_FLIGHT_BYTES));
    says(format!(
        "| bytes of requests above {} bytes, all connections; a tenant | {}; {} |",
        limits::LARGE,
        limits::LARGE_BYTES,
        limits::TENANT_LARGE_BYTES
    ));
    says(format!(
        "| bytes of other requests, all connections; a tenant | {}; {} |",
        limits::SMALL_BYTES,
        limits::TENANT_SMALL_BYTES
    ));
    says(format!("| what a request counts at least | {} bytes |", limits::LEAST));
    says(format!("| HELLO payload | {MAX_HELLO} bytes |"));
    says(format!("| OPEN payload; DATA payload | {MAX_OPEN} bytes; {MAX_DATA} bytes |"));
    says(format!(
        "| streams, a connection; a tenant; all connections | {}; {}; {} |",
        limits::STREAMS,
        limits::TENANT_STREAMS,
        limits::ALL_STREAMS
    ));
    says(format!("| a stream's bytes on their way, each direction | {} |", limits::STREAM_WINDOW));
    says(format!("| a stream that waits for its client | {} s |", limits::STREAM_IDLE.as_secs()));
    says(format!("| PING payload | {} bytes |", limits::PING));
    says(format!("| connections | {} |", limits::CONNECTIONS));
    says(format!("| TLS handshake | {} s |", limits::HANDSHAKE.as_secs()));
    says(format!("| HELLO | {} s after the handshake |", limits::HELLO.as_secs()));
    says(format!("| header; payload | {} s each", limits::FRAME.as_secs()));
    says(format!(
        "| payload above {} bytes | {} s, and 1 s more for each {} bytes that have come |",
        limits::LARGE,
        limits::LARGE_START.as_secs(),
        limits::LARGE_RATE
    ));
    says(format!("| a peer that does not read an answer | {} s |", limits::WRITE.as_secs()));
    says(format!("| operations of a batch | {} |", canis_proto::batch::MAX_BATCH));
    says(format!("| a batch | {} s |", limits::BATCH.as_secs()));
    says(format!("| idle, nothing in flight | {} s |", limits::IDLE.as_secs()));
    says(format!(
        "| connection without a token that is known to be right | {} s |",
        limits::STRANGER.as_secs()
    ));
    says(format!("the first {} cost nothing", limits::WRONG_FREE));
    says(format!("for {} s, each further one", limits::WRONG_FIRST.as_secs()));
    says(format!("{} s at\nmost; HELLO", limits::WRONG_LONGEST.as_secs()));
    says(format!("After {} s without another", limits::WRONG_FORGOTTEN.as_secs()));
    says(format!("| draining after SIGTERM | {} s |", limits::DRAIN.as_secs()));
}

/// What may be sent again without a key stands in the text as in the code.
#[test]
fn repeatable_operations_are_the_codes() {
    let paragraph =
        TEXT.split("\n\n").find(|text| text.starts_with("What reads or computes may be asked again"));
    let said: BTreeSet<&str> =
        paragraph.unwrap().split('`').skip(1).step_by(2).filter(|one| *one != "batch").collect();
    let pkcs11 = |name: &str| name.starts_with("token.") || name.starts_with("object.");
    let rows = TABLE.iter().filter(|row| row.wire && row.id.repeats() && !pkcs11(row.name));
    assert_eq!(said, rows.map(|row| row.name).collect());
}

/// R77: strings, integers, maps and arrays of maps cross in one value, and back.
#[test]
fn values_of_every_kind_cross() {
    let inner =
        Map::new().with("n", -5i64).with("deep", vec![Value::from(Map::new().with("b", &b"\0\xff"[..]))]);
    let value = Value::from(
        Map::new()
            .with("text", "grüße")
            .with("number", u64::MAX)
            .with("yes", true)
            .with("none", Value::Null)
            .with("maps", vec![Value::from(inner.clone()), Value::from(inner)]),
    );
    let bytes = value.encode();
    assert!(Value::decode(&bytes).unwrap() == value);
}

/// R79: a client in another language, written from the text alone, in less than 200 lines.
#[test]
fn a_stranger_speaks_canisp() {
    let shared = harness::shared();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stranger.py");
    assert!(std::fs::read_to_string(script).unwrap().lines().count() < 200);
    let output = std::process::Command::new("python3")
        .arg(script)
        .env("CANIS_ADDR", &shared.server.addr)
        .env("CANIS_CACERT", shared.deployment.ca())
        .env("CANIS_TOKEN", &shared.deployment.token)
        .output()
        .unwrap();
    assert_eq!(harness::stdout(&output), "ok\n");
}
