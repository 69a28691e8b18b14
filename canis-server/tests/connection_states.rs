//! The states of a connection are those of docs/canisp.md, section 10: each of its cells is tried on a real server.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod raw;

use canis_proto::frame::{FrameType, Header};
use canis_proto::message::{ClientHello, CreateKey, Random, decode_error, encode_request};
use canis_proto::stream::{HashStream, encode_open};
use canis_proto::{ErrorCode, HashName, KeyType};
use harness::{Shared, shared};
use raw::Raw;

const TEXT: &str = include_str!("../../docs/canisp.md");

/// The request or stream that the table is about.
const ID: u32 = 7;

/// The rows: what the client sends, and what comes of it in each state.
fn table() -> (Vec<&'static str>, Vec<Vec<&'static str>>) {
    fn cells(line: &'static str) -> Vec<&'static str> {
        line.trim_matches('|').split('|').map(str::trim).collect()
    }
    let mut lines = TEXT.lines().skip_while(|line| !line.starts_with("| the client sends |"));
    let states = cells(lines.next().unwrap());
    let rows = lines.skip(1).take_while(|line| line.starts_with('|')).map(cells).collect();
    (states, rows)
}

/// A connection in this state.
fn in_state(shared: &Shared, state: &str, name: &str) -> Raw {
    if state == "before HELLO" {
        return Raw::connect(shared);
    }
    let mut raw = Raw::greeted(shared);
    match state {
        "idle" => {}
        // A key that takes its time.
        "request 7" => raw.request(ID, &CreateKey::new(name, KeyType::Rsa3072)),
        "stream 7" => {
            raw.frame(FrameType::Open, ID, &encode_open(&HashStream { hash: HashName::Sha256 }, 0));
            assert_eq!(raw.read().unwrap().0.kind, FrameType::Credit);
        }
        other => panic!("no state is called {other}"),
    }
    raw
}

fn send(raw: &mut Raw, what: &str) {
    let hello = ClientHello { client: "raw".into(), ..ClientHello::default() }.encode();
    let open = encode_open(&HashStream { hash: HashName::Sha256 }, 0);
    match what {
        "HELLO" => raw.frame(FrameType::Hello, 0, &hello),
        "REQUEST 7" => raw.frame(FrameType::Request, ID, &encode_request(&Random { length: 1 })),
        "OPEN 7" => raw.frame(FrameType::Open, ID, &open),
        "DATA 7" => raw.frame(FrameType::Data, ID, b"x"),
        "END 7" => raw.frame(FrameType::End, ID, b""),
        "CREDIT 7" => raw.frame(FrameType::Credit, ID, &[0, 0, 0, 1]),
        "CANCEL 7" => raw.frame(FrameType::Cancel, ID, b""),
        "PING" => raw.frame(FrameType::Ping, 9, b"there?"),
        "GOAWAY" => raw.frame(FrameType::GoAway, 0, b""),
        "RESPONSE 7" => raw.frame(FrameType::Response, ID, b""),
        "ERROR 7" => raw.frame(FrameType::Error, ID, b""),
        "PONG" => raw.frame(FrameType::Pong, 9, b""),
        other => panic!("the table sends {other}"),
    }
}

/// Everything that the server sends until it closes or answers a PING.
fn until_quiet(raw: &mut Raw) -> Vec<(Header, Vec<u8>)> {
    let mut came = Vec::new();
    while let Ok(frame) = raw.read() {
        let quiet = frame.0.kind == FrameType::Pong && frame.0.request == 99;
        came.push(frame);
        if quiet {
            break;
        }
    }
    came
}

/// What came in one word, as the table has it; the request that was in flight before does not count.
fn outcome(what: &str, came: &[(Header, Vec<u8>)]) -> String {
    let refused = |(header, payload): &(Header, Vec<u8>)| {
        header.kind == FrameType::Error
            && header.request == 0
            && decode_error(payload).code == ErrorCode::ProtocolError
    };
    if came.last().is_some_and(refused) {
        return "close".to_owned();
    }
    if came.last().is_none_or(|(header, _)| header.request != 99) {
        return "end".to_owned();
    }
    let own = if what == "PING" {
        9
    } else if what == "HELLO" {
        0
    } else {
        ID
    };
    match came.iter().find(|(header, _)| header.request == own) {
        None => "nothing".to_owned(),
        Some((Header { kind: FrameType::Error, .. }, payload)) => {
            format!("ERROR `{}`", decode_error(payload).code.name())
        }
        Some((header, _)) => format!("{:?}", header.kind).to_uppercase(),
    }
}

/// R77, R81: whatever a client sends in whatever state, the server does what the document says.
#[test]
fn each_cell_is_true() {
    let shared = shared();
    let (states, rows) = table();
    assert_eq!((states.len(), rows.len()), (5, 12));
    for row in rows {
        let what = row[0];
        for (state, expected) in states[1..].iter().zip(&row[1..]) {
            let name = format!("states/{what}/{state}").replace(' ', "-");
            let mut raw = in_state(&shared, state, &name);
            send(&mut raw, what);
            // Where the server closes it may not read this any more.
            let ping = canis_proto::frame::frame(FrameType::Ping, 99, b"");
            let _ =
                std::io::Write::write_all(&mut raw.0, &ping).and_then(|()| std::io::Write::flush(&mut raw.0));
            let came = outcome(what, &until_quiet(&mut raw));
            assert!(expected.split(" or ").any(|one| one == came), "{what}, {state}: {came}, not {expected}");
        }
    }
}
