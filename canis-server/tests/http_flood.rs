//! Clients of HTTP that mean harm, while a neighbour of another tenant goes on working: what the server holds stays bounded,
//! and the neighbour is served all the while (R81).
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod web;

use canis_client::{Client, Config};
use canis_proto::credential::CreateCredential;
use canis_proto::{Capabilities, Capability};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use web::Site;
use web::peer::Peer;

/// The longest that the neighbour may ever wait for an answer, on a machine that does much else besides.
const PATIENCE: Duration = Duration::from_secs(15);

/// Another tenant's label.
const NEIGHBOUR: &str = "neighbour";

/// A server, and a client of another tenant than the attacker's that works on it without a pause.
struct Siege {
    site: Site,
    before: u64,
    over: Arc<AtomicBool>,
    neighbour: JoinHandle<(u32, Duration)>,
}

impl Siege {
    fn begin() -> Self {
        let site = Site::new();
        let token = neighbours_token(&site);
        let mut peer = Peer::of(&site);
        let body = r#"{"data": "d29yaw==", "hash": "sha256"}"#;
        let request = format!(
            "POST /v1/kms/hash HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let neighbour = std::thread::spawn(move || {
            let (mut done, mut longest) = (0, Duration::ZERO);
            loop {
                let began = Instant::now();
                peer.send(request.as_bytes()).unwrap();
                let answer = peer.until("}");
                assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("digest"), "{answer}");
                (done, longest) = (done + 1, longest.max(began.elapsed()));
                if ends.load(Ordering::Relaxed) {
                    return (done, longest);
                }
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let before = site.server.resident();
        Siege { site, before, over, neighbour }
    }

    /// The server has held no more than so many MiB at any time, has not panicked, and the neighbour was served.
    fn end(self, mebibytes: u64) {
        let grown = self.site.server.peak().saturating_sub(self.before) >> 10;
        assert!(grown <= mebibytes, "the server grew by {grown} MiB, not by {mebibytes} at most");
        self.over.store(true, Ordering::Relaxed);
        let (done, longest) = self.neighbour.join().expect("the neighbour is served");
        println!("grown by {grown} MiB; the neighbour was answered {done} times, after {longest:?} at most");
        assert!(done > 0 && longest < PATIENCE, "{done} answers, {longest:?}");
        assert!(!self.site.server.log().contains("panicked"), "{}", self.site.server.log());
        assert_eq!(self.site.curl("GET", "/v1/sys/health", &[]).status, 200);
    }
}

/// Makes the neighbour's tenant, and a token of it.
fn neighbours_token(site: &Site) -> String {
    let made = site.ask("POST", "/v1/tenants/neighbour", "{}");
    assert_eq!(made.status, 201, "{}", String::from_utf8_lossy(&made.body));
    let here = format!("unix:{}", site.deployment.data().display());
    let mut local = Client::connect(&Config::new(here, Vec::new(), "none")).unwrap();
    let request = CreateCredential {
        tenant: NEIGHBOUR.into(),
        ..CreateCredential::new(Capabilities::NONE.with(Capability::Read))
    };
    local.call(&request).unwrap().token.clone().unwrap()
}

/// Hundreds of connections of strangers that finished their handshake and say nothing, or a word of a request.
#[test]
fn connections_that_say_little() {
    let siege = Siege::begin();
    let mut idle: Vec<_> = (0..300).map(|_| Peer::of(&siege.site)).collect();
    for peer in &mut idle {
        peer.send(b"POST /v1/kms/ha").unwrap();
    }
    siege.end(60);
}

/// Heads that never end: of many lines, of long ones; what is too much is refused, and what is not holds its length.
#[test]
fn heads_that_never_end() {
    let siege = Siege::begin();
    let mut open = Vec::new();
    for round in 0..200 {
        let mut peer = Peer::of(&siege.site);
        peer.send(b"GET / HTTP/1.1\r\n").unwrap();
        let line = match round % 2 {
            0 => format!("x: {}\r\n", "y".repeat(60_000)),
            _ => (0..90).map(|n| format!("x{n}: y\r\n")).collect(),
        };
        peer.send(line.as_bytes()).unwrap();
        open.push(peer);
    }
    for line in [format!("x: {}", "y".repeat(200_000)), "x: y\r\n".repeat(2000)] {
        let mut peer = Peer::of(&siege.site);
        let _ = peer.send(format!("GET / HTTP/1.1\r\n{line}\r\n\r\n").as_bytes());
        let answer = String::from_utf8_lossy(&peer.rest()).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
    siege.end(80);
}

/// Bodies that begin and do not go on, by all of one tenant's connections: half of the room stays for others.
#[test]
fn bodies_that_stand_still() {
    let siege = Siege::begin();
    let json = format!(
        "POST /v1/kms/hash HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Length: 20000000\r\n\r\n",
        siege.site.deployment.token
    );
    let mut open = Vec::new();
    for round in 0..150 {
        let mut peer = Peer::of(&siege.site);
        match round % 2 {
            0 => {
                peer.send(json.as_bytes()).unwrap();
                peer.send(&[b' '; 4096]).unwrap();
            }
            _ => {
                // A stream; there are places for 64 of a tenant, and others wait.
                peer.begin(&siege.site, "/v1/kms/hash?hash=sha256", &["Transfer-Encoding: chunked"]);
                peer.chunk(&[7; 4096]).unwrap();
            }
        }
        open.push(peer);
    }
    siege.end(80);
}

/// HTTP/2: a frame with its header of nine bytes (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = (payload.len() as u32).to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn over_http2(site: &Site) -> Peer {
    let mut peer = Peer::offering(site, &[b"h2"]);
    peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").unwrap();
    peer.send(&frame(SETTINGS, 0, 0, &[])).unwrap();
    peer
}

/// Requests that are taken back as soon as they are made (CVE-2023-44487), and a head that goes on for ever in CONTINUATION
/// frames (CVE-2024-27316): such a connection is ended.
#[test]
fn floods_over_http2() {
    let siege = Siege::begin();
    // `:method: GET`, `:scheme: https`, `:path: /` by RFC 7541, appendix A.
    let head = [0x82, 0x87, 0x84];
    let mut resets = over_http2(&siege.site);
    let ended = (1..2_000_000u32).step_by(2).any(|stream| {
        let one = frame(HEADERS, END_STREAM | END_HEADERS, stream, &head);
        let taken_back = frame(RST_STREAM, 0, stream, &8u32.to_be_bytes());
        resets.send(&[one, taken_back].concat()).is_err()
    });
    assert!(ended, "a million requests were made and taken back");
    let mut heads = over_http2(&siege.site);
    let mut ended = heads.send(&frame(HEADERS, END_STREAM, 1, &head)).is_err();
    for _ in 0..4000 {
        // A literal without indexing, `x: yyy…`.
        let line = [&[0, 1, b'x', 127, 0xa1, 0x7d][..], &vec![b'y'; 16_160]].concat();
        if ended {
            break;
        }
        ended = heads.send(&frame(CONTINUATION, 0, 1, &line)).is_err();
    }
    assert!(ended, "64 MiB of one head were taken");
    let _ = heads.0.read(&mut [0; 64]);
    siege.end(60);
}
