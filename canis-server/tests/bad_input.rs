//! What hostile, broken or lost peers send: each gets a clear error, and everybody else is served on (R81).
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod raw;

use canis_client::{Client, Config};
use canis_proto::frame::{self, FrameType, HEADER, Header, MAX_PAYLOAD};
use canis_proto::message::{Encrypt, ListKeys, ShowKey, Status, decode_error, encode_request};
use canis_proto::value::Map;
use canis_proto::{Error, ErrorCode};
use harness::{Deployment, Shared, read_all, shared};
use raw::Raw;
use std::io::{self, Write};
use std::net::{Shutdown, TcpStream};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
        (op("token.init", Map::new()), ErrorCode::UnknownOperation),
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

/// R81: a peer that says nothing, or stops in the middle, is let go of; others never notice.
#[test]
fn silence_times_out() {
    let shared = shared();
    let began = Instant::now();
    let silent = Raw::connect(&shared);
    let mut half_hello = Raw::connect(&shared);
    half_hello.header(FrameType::Hello, 0, 100);
    let mut half_header = Raw::connect(&shared);
    half_header.send(&[frame::MAGIC, 1, 1]);
    // A TCP connection without TLS, and one that stops inside its ClientHello.
    let idle_tcp = TcpStream::connect(&shared.server.addr).unwrap();
    let mut half_tls = TcpStream::connect(&shared.server.addr).unwrap();
    half_tls.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]).unwrap();
    still_serves(&shared);
    for raw in [silent, half_hello, half_header] {
        assert!(raw.refused(ErrorCode::ProtocolError).contains("10 s"));
    }
    for tcp in [idle_tcp, half_tls] {
        tcp.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        read_all(&tcp);
    }
    let took = began.elapsed();
    assert!(took > Duration::from_secs(9) && took < Duration::from_secs(25), "{took:?}");
    still_serves(&shared);
}

/// R81: connections that break in the middle of a record or frame.
#[test]
fn cut_connections_are_forgotten() {
    let shared = shared();
    for part in [1, HEADER - 1, HEADER + 3] {
        let bytes = frame::frame(FrameType::Request, 1, &encode_request(&ShowKey { name: "absent".into() }));
        let mut raw = Raw::greeted(&shared);
        raw.send(&bytes[..part]);
        raw.0.sock.shutdown(Shutdown::Both).unwrap();
    }
    // A TLS record that claims more than it holds, then the end.
    let mut raw = Raw::greeted(&shared);
    raw.0.sock.write_all(&[0x17, 3, 3, 0x40, 0, 1, 2, 3]).unwrap();
    raw.0.sock.shutdown(Shutdown::Write).unwrap();
    read_all(&raw.0.sock);
    // Bytes inside TLS that its keys did not make.
    let mut raw = Raw::greeted(&shared);
    raw.0.sock.write_all(&[&[0x17, 3, 3, 0, 32][..], &[7; 32]].concat()).unwrap();
    read_all(&raw.0.sock);
    still_serves(&shared);
}

/// R78: plaintext on the TLS port is answered in words and closed.
#[test]
fn plaintext_is_refused() {
    let shared = shared();
    let mut tcp = TcpStream::connect(&shared.server.addr).unwrap();
    tcp.write_all(b"GET /v1/kms/keys HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let answer = String::from_utf8(read_all(&tcp)).unwrap();
    assert!(answer.starts_with("HTTP/1.0 400") && answer.contains("TLS 1.3"), "{answer}");
    // CANISP without TLS is no better.
    let mut tcp = TcpStream::connect(&shared.server.addr).unwrap();
    tcp.write_all(&frame::frame(FrameType::Hello, 0, b"")).unwrap();
    let answer = read_all(&tcp);
    assert!(answer.first() != Some(&frame::MAGIC), "it answered in CANISP");
    still_serves(&shared);
}

/// R78: TLS 1.3 only, judged by openssl.
#[test]
fn older_tls_is_refused() {
    let shared = shared();
    let try_version = |version: &str| {
        let output = Command::new("openssl")
            .args(["s_client", "-connect", &shared.server.addr, version, "-alpn", "canisp/1", "-CAfile"])
            .arg(shared.deployment.ca())
            .args(["-verify_return_error", "-brief"])
            .stdin(Stdio::null())
            .output()
            .unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (works, text) = try_version("-tls1_3");
    assert!(works && text.contains("TLSv1.3") && text.contains("Verification: OK"), "{text}");
    let (works, text) = try_version("-tls1_2");
    assert!(!works && text.contains("protocol version"), "{text}");
}

/// R78: ALPN `canisp/1` is a must.
#[test]
fn alpn_is_required() {
    let shared = shared();
    let raw = Raw::connect_offering(&shared, &[]).unwrap();
    assert!(raw.refused(ErrorCode::ProtocolError).contains("canisp/1"));
    // Without a common protocol there is no handshake, or no byte after it.
    let met = Raw::connect_offering(&shared, &[b"http/1.1"]).and_then(|mut raw| raw.read().map(drop));
    assert!(met.is_err());
}

/// R61: a wrong token ends the connection; without one, only the status is told.
#[test]
fn tokens_are_checked() {
    let shared = shared();
    let connect = |token: Option<&str>| {
        let mut config = shared.deployment.config(&shared.server);
        config.token = token.map(|t| zeroize::Zeroizing::new(t.to_owned()));
        Client::connect(&config)
    };
    let mut flipped = shared.deployment.token.clone().into_bytes();
    let last = flipped.last_mut().unwrap();
    *last = if *last == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    for wrong in ["", "x", &flipped, &"t".repeat(3000), "no\0token"] {
        let error = connect(Some(wrong)).map(|_| ()).unwrap_err();
        assert_eq!(error.code, ErrorCode::Unauthenticated, "{error}");
    }
    let mut stranger = connect(None).unwrap();
    assert!(!stranger.call(&Status).unwrap().sealed);
    let asked = stranger.call(&ListKeys { prefix: "".into(), after: "".into(), limit: 0 });
    assert_eq!(asked.map(|_| ()).unwrap_err().code, ErrorCode::Unauthenticated);
    assert!(stranger.call(&Status).is_ok(), "the connection lives on");
    let log = shared.server.log();
    assert!(!log.contains(&shared.deployment.token) && !log.contains(&flipped), "a token in the log");
}

/// R78: a client that trusts another CA goes no further.
#[test]
fn a_foreign_ca_is_refused_by_the_client() {
    let shared = shared();
    let other = Deployment::with_keyfile();
    let config = Config::new(&shared.server.addr, std::fs::read(other.ca()).unwrap(), "other/ca.pem");
    let error = Client::connect(&config).map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Unauthenticated);
    assert!(error.message.contains("not signed by the CA in other/ca.pem"), "{error}");
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
    let payload = frame::frame(FrameType::Request, 1, &vec![0; 4 << 20]);
    let mut sent = 0;
    let flooded = (0..64).try_for_each(|_| raw.0.write_all(&payload).map(|()| sent += payload.len()));
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
        raw.request(id, &ShowKey { name: format!("absent-{id}").into() });
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
    let request =
        Encrypt { name: "k".into(), plaintext: plaintext.as_slice().into(), context: b""[..].into() };
    let error: Error = client.call(&request).map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::TooLarge);
    assert!(error.message.contains(&MAX_PAYLOAD.to_string()), "{error}");
    client.ping().unwrap();
}

/// R81: a hundred slow peers at once, and the next one is served without waiting.
#[test]
fn slow_peers_do_not_stand_in_the_way() {
    let shared = shared();
    let slow: io::Result<Vec<_>> = (0..100).map(|_| TcpStream::connect(&shared.server.addr)).collect();
    let mut slow = slow.unwrap();
    slow.iter_mut().for_each(|tcp| tcp.write_all(&[0x16]).unwrap());
    let began = Instant::now();
    still_serves(&shared);
    assert!(began.elapsed() < Duration::from_secs(5));
}
