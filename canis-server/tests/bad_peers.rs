//! Peers that do not get as far as a request: without TLS 1.3, without a token, without an end (R61, R78, R81). Each
//! gets a clear error, and everybody else is served on.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod raw;

use canis_client::{Client, Config};
use canis_proto::frame::{self, FrameType, HEADER};
use canis_proto::message::{HashData, ListKeys, ShowKey, Status, encode_request};
use canis_proto::{ErrorCode, HashName};
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

/// R61, R81: a stranger keeps no place for long, however lively it is.
#[test]
fn strangers_are_let_go_of() {
    let shared = shared();
    let mut stranger = Raw::greeted_as(&shared, None);
    let began = Instant::now();
    let goaway = loop {
        stranger.frame(FrameType::Ping, 1, b"still here");
        let (header, payload) = stranger.read().unwrap();
        if header.kind == FrameType::GoAway {
            break canis_proto::message::decode_error(&payload);
        }
        assert!(began.elapsed() < Duration::from_secs(60), "a stranger is served for ever");
        std::thread::sleep(Duration::from_millis(500));
    };
    assert_eq!(goaway.code, ErrorCode::Unauthenticated);
    assert!(began.elapsed() > Duration::from_secs(20));
    still_serves(&shared);
}

/// R81: connections that break in the middle of a record or frame.
#[test]
fn cut_connections_are_forgotten() {
    let shared = shared();
    for part in [1, HEADER - 1, HEADER + 3] {
        let bytes = frame::frame(
            FrameType::Request,
            1,
            &encode_request(&ShowKey { name: "absent".into(), before_version: 0 }),
        );
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
    let asked =
        stranger.call(&ListKeys { prefix: "".into(), after: "".into(), limit: 0, include_deleted: false });
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

/// R81: a hundred slow peers at once, and the next one is served without waiting.
#[test]
fn slow_peers_do_not_stand_in_the_way() {
    let shared = shared();
    let began = Instant::now();
    let slow: io::Result<Vec<_>> = (0..100).map(|_| TcpStream::connect(&shared.server.addr)).collect();
    let mut slow = slow.unwrap();
    slow.iter_mut().for_each(|tcp| tcp.write_all(&[0x16]).unwrap());
    still_serves(&shared);
    // The slow ones are let go of after 10 s (`limits::HANDSHAKE`).
    assert!(began.elapsed() < Duration::from_secs(9), "{:?}", began.elapsed());
}

/// R81: who announces large requests and sends nothing takes the place for large ones from others for seconds only.
#[test]
fn large_requests_that_never_come_are_given_up() {
    let shared = shared();
    let mut idle: Vec<_> = (0..16).map(|_| Raw::greeted(&shared)).collect();
    idle.iter_mut().for_each(|raw| raw.header(FrameType::Request, 1, frame::MAX_PAYLOAD));
    std::thread::sleep(Duration::from_millis(300));
    let began = Instant::now();
    let data = vec![7; 1 << 20];
    shared.client().call(&HashData { hash: HashName::Sha256, data: (&data[..]).into() }).unwrap();
    // A few rounds of 5 s, however busy the machine is; a payload that need not flow would have 60 s for itself.
    assert!(began.elapsed() < Duration::from_secs(45), "{:?}", began.elapsed());
    assert!(idle.remove(0).refused(ErrorCode::ProtocolError).contains("KiB a second"));
    still_serves(&shared);
}

/// More connections than the server has file descriptors for: they wait, and are served when others end.
#[test]
fn a_crowd_waits_in_the_backlog() {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start_limited_to(60);
    let mut crowd: Vec<_> = (0..100).map(|_| TcpStream::connect(&server.addr).unwrap()).collect();
    let began = Instant::now();
    while !server.log().contains("cannot accept a connection") {
        assert!(began.elapsed() < Duration::from_secs(30), "the crowd was too small for this test");
        std::thread::sleep(Duration::from_millis(20));
    }
    crowd.clear();
    assert!(!deployment.client(&server).call(&Status).unwrap().sealed);
    assert_eq!(server.stop().code(), Some(0));
}
