//! Frames and requests that break the rules: each gets a clear error, and everybody else is served on (R81).
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod raw;

use canis_proto::frame::{FrameType, Header, MAX_PAYLOAD, frame};
use canis_proto::message::{CreateKey, Encrypt, ListKeys, ShowKey, Status, decode_error, encode_request};
use canis_proto::value::Map;
use canis_proto::{Error, ErrorCode, KeyType};
use harness::{Shared, shared};
use raw::Raw;
use std::io::Write;
use std::time::Duration;

/// The server still answers others.
fn still_serves(shared: &Shared) {
    assert!(!shared.client().call(&Status).unwrap().sealed);
}

/// R81: bytes that are no frame.
#[test]
fn garbage_is_refused_at_once() {
    let shared = shared();
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"\0", b"\xff\xff\xff\xff"] {
        let mut raw = Raw::connect(&shared);
        raw.send(bytes);
        let message = raw.refused(ErrorCode::ProtocolError);
        assert!(message.contains("0xCA"), "{message}");
    }
    for (at, value) in [(1, 9), (2, 0), (2, 8), (2, 200), (3, 1)] {
        let mut header = Header { kind: FrameType::Request, request: 1, length: 0 }.encode();
        header[at] = value;
        let mut raw = Raw::greeted(&shared);
        raw.send(&header);
        raw.refused(ErrorCode::ProtocolError);
    }
    still_serves(&shared);
}

/// R81: an oversized frame is refused by its header, and the refusal arrives although the peer keeps sending.
#[test]
fn oversized_frames_are_refused_by_their_header() {
    let shared = shared();
    let mut raw = Raw::greeted(&shared);
    raw.header(FrameType::Request, 1, MAX_PAYLOAD + 1);
    let message = raw.refused(ErrorCode::TooLarge);
    assert!(message.contains(&MAX_PAYLOAD.to_string()), "{message}");

    let mut raw = Raw::greeted(&shared);
    raw.header(FrameType::Request, 1, 64 << 20);
    let chunk = vec![0; 1 << 20];
    for _ in 0..64 {
        if raw.0.write_all(&chunk).is_err() {
            break;
        }
    }
    assert_eq!(raw.error(0).code, ErrorCode::TooLarge);

    let mut raw = Raw::connect(&shared);
    raw.header(FrameType::Hello, 0, 1 << 20);
    raw.refused(ErrorCode::TooLarge);
    still_serves(&shared);
}

/// R81: frames at the wrong time or with the wrong id.
#[test]
fn frames_out_of_order_are_refused() {
    let shared = shared();
    let mut raw = Raw::connect(&shared);
    raw.request(1, &Status);
    assert!(raw.refused(ErrorCode::ProtocolError).contains("HELLO"));

    let mut raw = Raw::greeted(&shared);
    raw.request(0, &Status);
    raw.refused(ErrorCode::ProtocolError);

    // An id that is in use: key generation takes its time, and holds the first answer back.
    let mut raw = Raw::greeted(&shared);
    for _ in 0..2 {
        raw.request(5, &CreateKey::new("twice", KeyType::Rsa4096));
    }
    let (header, _) = raw.read().unwrap();
    assert_eq!((header.kind, header.request), (FrameType::Response, 5));
    raw.refused(ErrorCode::ProtocolError);

    for kind in [FrameType::Hello, FrameType::Response, FrameType::Error, FrameType::Pong] {
        let mut raw = Raw::greeted(&shared);
        raw.frame(kind, 1, b"");
        raw.refused(ErrorCode::ProtocolError);
    }
    for hello in [&b"junk"[..], &Map::new().encode(), &Map::new().with("client", 5u32).encode()] {
        let mut raw = Raw::connect(&shared);
        raw.frame(FrameType::Hello, 0, hello);
        let error = raw.error(0);
        assert!([ErrorCode::ProtocolError, ErrorCode::InvalidArgument].contains(&error.code), "{error}");
    }
    still_serves(&shared);
}

/// R7, R81: a request that cannot be right is answered with its own error; its connection lives on.
#[test]
fn bad_requests_leave_the_connection_alone() {
    let shared = shared();
    let mut raw = Raw::greeted(&shared);
    let op = |name: &'static str, args: Map<'static>| Map::new().with("op", name).with("args", args).encode();
    let deep = [vec![0xa1, 0x62, b'o', b'p'], vec![0x81; 100]].concat();
    let doubled = [&[0xa2][..], b"\x62op\x66status", b"\x62op\x66status"].concat();
    let cases = [
        (b"".to_vec(), ErrorCode::ProtocolError),
        (b"\xff".to_vec(), ErrorCode::ProtocolError),
        (deep, ErrorCode::ProtocolError),
        (doubled, ErrorCode::ProtocolError),
        (Map::new().encode(), ErrorCode::InvalidArgument),
        (op("fly", Map::new()), ErrorCode::UnknownOperation),
        (op("token.delete", Map::new()), ErrorCode::UnknownOperation),
        (op("key.show", Map::new()), ErrorCode::InvalidArgument),
        (op("key.show", Map::new().with("name", 5u32)), ErrorCode::InvalidArgument),
        (op("key.show", Map::new().with("name", "absent")), ErrorCode::KeyNotFound),
        (op("key.show", Map::new().with("name", "x").with("nmae", "x")), ErrorCode::InvalidArgument),
        (op("key.create", Map::new().with("name", "x").with("kind", "foo")), ErrorCode::InvalidKeyType),
        (op("key.create", Map::new().with("name", "a:b").with("kind", "ed25519")), ErrorCode::InvalidName),
        (op("key.create", Map::new().with("name", "a/..").with("kind", "ed25519")), ErrorCode::InvalidName),
        (Map::new().with("op", "status").with("x", 1u32).encode(), ErrorCode::InvalidArgument),
    ];
    for (id, (payload, code)) in (1..).zip(cases) {
        raw.frame(FrameType::Request, id, &payload);
        let error = raw.error(id);
        assert_eq!(error.code, code, "case {id}: {error}");
    }
    raw.request(100, &Status);
    let (header, _) = raw.read().unwrap();
    assert_eq!((header.kind, header.request), (FrameType::Response, 100));
}

/// R81: a stranger's large requests are read away, not into memory, and answered.
#[test]
fn strangers_take_no_memory() {
    let shared = shared();
    let before = shared.server.resident();
    let payload = vec![0; 15 << 20];
    let mut strangers: Vec<_> = (0..8).map(|_| Raw::greeted_as(&shared, None)).collect();
    for raw in &mut strangers {
        // All but the last byte: as long as it is missing, the server would have to hold the rest.
        raw.header(FrameType::Request, 1, payload.len() as u32);
        raw.send(&payload[1..]);
    }
    let grown = shared.server.resident().saturating_sub(before);
    assert!(grown < 40 << 10, "{grown} KiB");
    for raw in &mut strangers {
        raw.send(b"x");
        assert_eq!(raw.error(1).code, ErrorCode::Unauthenticated);
    }
}

/// R81: a known client that sends and never reads is slowed down, not collected.
#[test]
fn a_flood_is_slowed_down() {
    let shared = shared();
    let before = shared.server.resident();
    let mut raw = Raw::greeted(&shared);
    raw.0.sock.set_write_timeout(Some(Duration::from_secs(2))).unwrap();
    let payload = vec![0; 4 << 20];
    let mut sent = 0;
    let flooded = (1..=64).try_for_each(|id| {
        raw.0.write_all(&frame(FrameType::Request, id, &payload)).map(|()| sent += payload.len())
    });
    still_serves(&shared);
    let grown = shared.server.resident().saturating_sub(before);
    // 32 MiB of requests, what the kernel and TLS hold, and room for the allocator.
    assert!(grown < 96 << 10, "{grown} KiB after {sent} bytes, {flooded:?}");
}

/// More requests than the server works on at a time are all answered, each by its id.
#[test]
fn many_requests_at_once() {
    let shared = shared();
    let mut raw = Raw::greeted(&shared);
    const MANY: u32 = 500;
    for id in 1..=MANY {
        raw.request(id, &ShowKey { name: format!("absent-{id}").into(), before_version: 0 });
    }
    raw.frame(FrameType::Ping, 7, b"still there?");
    let mut seen = std::collections::HashSet::new();
    let mut pong = false;
    while seen.len() < MANY as usize || !pong {
        let (header, payload) = raw.read().unwrap();
        match header.kind {
            FrameType::Error => {
                assert_eq!(decode_error(&payload).code, ErrorCode::KeyNotFound);
                assert!(seen.insert(header.request), "{} was answered twice", header.request);
            }
            FrameType::Pong => pong = header.request == 7 && payload == b"still there?",
            other => panic!("{other:?}"),
        }
    }
}

/// A PING is bounded, too.
#[test]
fn large_pings_are_refused() {
    let shared = shared();
    let mut raw = Raw::greeted(&shared);
    raw.header(FrameType::Ping, 1, 65);
    raw.refused(ErrorCode::ProtocolError);
}

/// The client refuses what the server would, before it sends anything.
#[test]
fn the_client_knows_the_limit() {
    let shared = shared();
    let mut client = shared.client();
    let plaintext = vec![0; 64 << 20];
    let request = Encrypt {
        name: "k".into(),
        plaintext: plaintext.as_slice().into(),
        context: b""[..].into(),
        version: 0,
    };
    let error: Error = client.call(&request).map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::TooLarge);
    assert!(error.message.contains(&MAX_PAYLOAD.to_string()), "{error}");
    client.ping().unwrap();
}

/// R81: ten thousand damaged requests, each answered on the same connection; no thread of the server panics.
#[test]
fn damaged_requests_are_answered() {
    let shared = shared();
    let mut raw = Raw::greeted(&shared);
    let name = "absent";
    let seeds = [
        encode_request(&Status),
        encode_request(&ShowKey { name: name.into(), before_version: 0 }),
        encode_request(&ListKeys { prefix: name.into(), after: "".into(), limit: 3, include_deleted: false }),
        encode_request(&Encrypt {
            name: name.into(),
            plaintext: [7; 40][..].into(),
            context: b"c"[..].into(),
            version: 0,
        }),
    ];
    // A fixed sequence (Knuth's MMIX generator), so that a failure can be repeated.
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    for id in 1..=10_000 {
        let mut payload = seeds[random(seeds.len())].clone();
        for _ in 0..=random(3) {
            let at = random(payload.len());
            match random(4) {
                0 => payload[at] = random(256) as u8,
                1 => payload[at] ^= 1 << random(8),
                2 => payload.truncate(at.max(1)),
                _ => payload.insert(at, random(256) as u8),
            }
        }
        raw.frame(FrameType::Request, id, &payload);
        let (header, payload) = raw.read().unwrap();
        assert_eq!(header.request, id);
        if header.kind == FrameType::Error {
            let error = decode_error(&payload);
            assert_ne!(error.code, ErrorCode::Internal, "{error}");
        }
    }
    assert!(!shared.server.log().contains("panicked"));
}
