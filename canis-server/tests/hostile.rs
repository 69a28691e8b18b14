//! Clients that mean harm, against a server of their own, while a neighbour of another tenant goes on working: what the
//! server holds stays bounded, and the neighbour is served all the while (R81). docs/threat-model.md lists the attacks.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod raw;

use canis_client::Client;
use canis_proto::credential::CreateCredential;
use canis_proto::frame::{FrameType, frame};
use canis_proto::message::{
    ClientHello, HashData, Random, ShowKey, Status, Terms, encode_request, encode_request_on,
};
use canis_proto::stream::{HashStream, encode_open};
use canis_proto::{Capabilities, Capability, ErrorCode, HashName};
use canis_server::limits;
use harness::{Deployment, Shared};
use raw::Raw;
use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The longest that the neighbour may ever wait for an answer, on a machine that does much else besides.
const PATIENCE: Duration = Duration::from_secs(15);

/// Another tenant's label.
const NEIGHBOUR: &str = "next door";

/// A server, and a client of another tenant than the attacker's that works on it without a pause.
struct Siege {
    shared: Shared,
    before: u64,
    over: Arc<AtomicBool>,
    neighbour: JoinHandle<(u32, Duration)>,
}

impl Siege {
    fn begin() -> Self {
        let deployment = Deployment::with_keyfile();
        let server = deployment.start();
        let shared = Shared { deployment, server };
        let mut config = shared.deployment.config(&shared.server);
        config.token = Some(another_tenants_token(&shared));
        let mut client = Client::connect(&config).unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let ends = Arc::clone(&over);
        let neighbour = std::thread::spawn(move || {
            let (mut done, mut longest) = (0, Duration::ZERO);
            while !ends.load(Ordering::Relaxed) {
                let began = Instant::now();
                client.call(&HashData { hash: HashName::Sha256, data: b"work"[..].into() }).unwrap();
                (done, longest) = (done + 1, longest.max(began.elapsed()));
                std::thread::sleep(Duration::from_millis(5));
            }
            (done, longest)
        });
        let before = shared.server.resident();
        Siege { shared, before, over, neighbour }
    }

    /// The server has held no more than so many MiB at any time, has not panicked, and the neighbour was served.
    fn end(self, mebibytes: u64) {
        let grown = self.shared.server.peak().saturating_sub(self.before) >> 10;
        assert!(grown <= mebibytes, "the server grew by {grown} MiB, not by {mebibytes} at most");
        self.over.store(true, Ordering::Relaxed);
        let (done, longest) = self.neighbour.join().expect("the neighbour is served");
        println!("grown by {grown} MiB; the neighbour was answered {done} times, after {longest:?} at most");
        assert!(done > 0 && longest < PATIENCE, "{done} answers, {longest:?}");
        assert!(!self.shared.server.log().contains("panicked"), "{}", self.shared.server.log());
        assert!(self.shared.client().call(&Status).is_ok());
        assert_eq!(self.shared.server.stop().code(), Some(0));
    }
}

/// Makes the neighbour's tenant, and a token of it.
fn another_tenants_token(shared: &Shared) -> Zeroizing<String> {
    let pin = shared.deployment.folder.path().join("so-pin");
    std::fs::write(&pin, "8765-4321\n").unwrap();
    let made = shared.canis(&["slot", "init", "--label", NEIGHBOUR, "--so-pin-file", pin.to_str().unwrap()]);
    harness::stdout(&made);
    neighbours_token(shared)
}

/// Makes a token of the neighbour's tenant, by the server's socket.
fn neighbours_token(shared: &Shared) -> Zeroizing<String> {
    let here = format!("unix:{}", shared.deployment.data().display());
    let mut local = Client::connect(&canis_client::Config::new(here, Vec::new(), "none")).unwrap();
    let request = CreateCredential {
        tenant: NEIGHBOUR.into(),
        ..CreateCredential::new(Capabilities::NONE.with(Capability::Read))
    };
    Zeroizing::new(local.call(&request).unwrap().token.clone().unwrap())
}

/// Values that are not as they must be: each is answered by `protocol_error`, and the connection lives on.
#[test]
fn values_that_are_not_minimal() {
    let siege = Siege::begin();
    let mut raw = Raw::greeted(&siege.shared);
    let asked = encode_request(&Status);
    let of = |bytes: &[u8]| [&asked[..4], bytes].concat();
    let cases: [(&str, Vec<u8>); 14] = [
        ("a length in two bytes that fits one", of(&[0x78, 6, b's', b't', b'a', b't', b'u', b's'])),
        ("a map without an end", [&[0xbf][..], &asked[1..], &[0xff]].concat()),
        ("a text in pieces", of(&[0x7f, 0x66, b's', b't', b'a', b't', b'u', b's', 0xff])),
        ("keys in the wrong order", b"\xa2\x64args\xa0\x62op\x66status".to_vec()),
        ("a key that is no text", vec![0xa1, 1, 2]),
        ("a tag", [&[0xc1][..], &asked].concat()),
        ("a float", of(&[0xf9, 0, 0])),
        ("undefined", of(&[0xf7])),
        ("text that is no UTF-8", of(&[0x62, 0xc3, 0x28])),
        ("bytes behind the end", [&asked[..], &[0]].concat()),
        ("a length of 2^64 - 1", of(&[0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])),
        ("an array of 2^32 things", of(&[0x9b, 0, 0, 0, 1, 0, 0, 0, 0])),
        ("a map that claims more than comes", vec![0xb9, 0xff, 0xff]),
        ("arrays in arrays", of(&[0x81; 30_000])),
    ];
    for (id, (what, payload)) in (1..).zip(cases) {
        raw.frame(FrameType::Request, id, &payload);
        let error = raw.error(id);
        assert_eq!(error.code, ErrorCode::ProtocolError, "{what}: {error}");
    }
    // As many values as a payload may hold are read, one more is not.
    raw.frame(FrameType::Request, 99, &[&of(&[0x9a, 0, 1, 0, 1])[..], &[0; 65_537]].concat());
    assert_eq!(raw.error(99).code, ErrorCode::ProtocolError);
    siege.end(40);
}

/// The connection is cut behind every single byte of a session that uses every kind of frame; nothing of it stays.
#[test]
fn a_session_cut_at_every_byte() {
    let siege = Siege::begin();
    let shared = &siege.shared;
    let token = Some(shared.deployment.token.as_str().into());
    let hello = ClientHello { client: "cut".into(), token, ..ClientHello::default() }.encode();
    let show = ShowKey { name: "absent".into(), before_version: 0 };
    let soon = Terms { deadline: Some(1000), ..Terms::default() };
    let session = [
        frame(FrameType::Hello, 0, &hello),
        frame(FrameType::Request, 1, &encode_request(&Status)),
        frame(FrameType::Request, 2, &encode_request_on(&show, soon)),
        frame(FrameType::Open, 3, &encode_open(&HashStream { hash: HashName::Sha256 }, 100)),
        frame(FrameType::Ping, 4, b"there?"),
        frame(FrameType::Credit, 3, &7u32.to_be_bytes()),
        frame(FrameType::Cancel, 3, b""),
        frame(FrameType::GoAway, 0, b""),
    ]
    .concat();
    for cut in 0..session.len() {
        let mut raw = Raw::connect(shared);
        raw.send(&session[..cut]);
        raw.0.sock.shutdown(Shutdown::Both).unwrap();
    }
    let began = Instant::now();
    let ended = || shared.server.log().matches("disconnected").count();
    while ended() < session.len() {
        assert!(began.elapsed() < Duration::from_secs(60), "{} of {} ended", ended(), session.len());
        std::thread::sleep(Duration::from_millis(50));
    }
    siege.end(60);
}

/// A hundred clients ask for much and read nothing: what waits for them is bounded for their tenant, not only for each.
#[test]
fn answers_that_nobody_reads() {
    const CROWD: u32 = 100;
    let siege = Siege::begin();
    let ask = encode_request(&Random { length: 60_000 });
    let deaf: Vec<_> = (0..CROWD)
        .map(|_| {
            let mut raw = Raw::greeted(&siege.shared);
            raw.0.sock.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
            // Further ones wait in the kernel: the server stops to read.
            let _ = (1..=200).try_for_each(|id| raw.0.write_all(&frame(FrameType::Request, id, &ask)));
            raw
        })
        .collect();
    std::thread::sleep(Duration::from_secs(2));
    // Unbounded they would be 64 answers of 60,000 bytes each: 366 MiB. The rest is what TLS and requests take.
    let bound = u64::from(limits::TENANT_SMALL_BYTES >> 20) + 80;
    drop(deaf);
    siege.end(bound);
}

/// Floods of small frames that cost the sender nothing: HELLO again, PING, CANCEL, CREDIT for nothing.
#[test]
fn floods_of_small_frames() {
    let siege = Siege::begin();
    let shared = &siege.shared;
    for (kind, payload) in
        [(FrameType::Ping, &b"x"[..]), (FrameType::Cancel, b""), (FrameType::Credit, &[0, 0, 1, 0])]
    {
        let flood = frame(kind, 7, payload).repeat(5000);
        let mut raw = Raw::greeted(shared);
        if kind == FrameType::Ping {
            // The answers to PING are not read, so that the server may stop to read, too.
            raw.0.sock.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
        }
        let sent = (0..20).try_for_each(|_| raw.0.write_all(&flood));
        assert!(sent.is_ok() || kind == FrameType::Ping, "{kind:?}: {sent:?}");
        if kind != FrameType::Ping {
            raw.request(1, &Status);
            assert_eq!(raw.read().unwrap().0.kind, FrameType::Response);
        }
    }
    // A second HELLO ends the connection; wrong ones by the hundred are each refused, after a while, and soon are not
    // looked at any more: their address is locked out.
    let mut raw = Raw::greeted(shared);
    raw.hello(None);
    raw.refused(ErrorCode::ProtocolError);
    let mut wrong: Vec<_> = (0..200)
        .map(|_| {
            let mut raw = Raw::connect(shared);
            raw.hello(Some("canis_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
            raw
        })
        .collect();
    let mut refused = [ErrorCode::Unauthenticated, ErrorCode::RateLimited].map(|code| (code, 0));
    for mut raw in wrong.drain(..) {
        let code = raw.error(0).code;
        refused.iter_mut().find(|(one, _)| *one == code).unwrap().1 += 1;
    }
    assert!(refused[0].1 > 0 && refused[1].1 > 0, "{refused:?}");
    wait_until_let_in(shared);
    siege.end(60);
}

/// Waits until this address is let in again. How long it is locked out depends on how often that has happened, and so on
/// how fast the wrong ones came.
fn wait_until_let_in(shared: &Shared) {
    let config = shared.deployment.config(&shared.server);
    while let Err(error) = Client::connect(&config) {
        assert_eq!(error.code, ErrorCode::RateLimited, "{error}");
        std::thread::sleep(Duration::from_millis(error.retry_after.unwrap().into()));
    }
}

/// Slow loris: a hundred known clients whose requests come byte by byte hold nobody up, and each is answered in the end.
#[test]
fn requests_that_come_byte_by_byte() {
    let siege = Siege::begin();
    let mut slow: Vec<_> = (0..100).map(|_| Raw::greeted(&siege.shared)).collect();
    for byte in frame(FrameType::Request, 1, &encode_request(&Status)) {
        slow.iter_mut().for_each(|raw| raw.send(&[byte]));
        std::thread::sleep(Duration::from_millis(20));
    }
    for raw in &mut slow {
        assert_eq!(raw.read().unwrap().0.kind, FrameType::Response);
    }
    siege.end(40);
}

/// Large requests by all of a tenant's clients at once, more than it may have, begun and not ended: half of the room stays
/// for others.
#[test]
fn large_requests_that_never_end() {
    let siege = Siege::begin();
    let length = 8 << 20;
    let mut greedy: Vec<_> = (0..17).map(|_| Raw::greeted(&siege.shared)).collect();
    let part = vec![0; 1 << 20];
    for raw in &mut greedy {
        raw.header(FrameType::Request, 1, length);
        raw.0.sock.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
        let _ = (0..3).try_for_each(|_| raw.0.write_all(&part));
    }
    // The neighbour's own large request finds its room at once.
    let mut config = siege.shared.deployment.config(&siege.shared.server);
    config.token = Some(neighbours_token(&siege.shared));
    let data = vec![7; 1 << 20];
    let hash = HashData { hash: HashName::Sha256, data: data.as_slice().into() };
    let mut neighbour = Client::connect(&config).unwrap();
    let began = Instant::now();
    neighbour.call(&hash).unwrap();
    assert!(began.elapsed() < limits::LARGE_START, "it waited for others' requests: {:?}", began.elapsed());
    drop(greedy);
    siege.end(u64::from(limits::TENANT_LARGE_BYTES >> 20) + 80);
}

/// Half-open peers: a thousand that vanish without a word are noticed by the kernel's word, and their place is free again.
#[test]
fn a_crowd_that_vanishes() {
    let siege = Siege::begin();
    for _ in 0..10 {
        let crowd: Vec<_> = (0..100).map(|_| Raw::greeted(&siege.shared)).collect();
        crowd.iter().for_each(|raw| raw.0.sock.shutdown(Shutdown::Both).unwrap());
    }
    let mut last = Raw::greeted(&siege.shared);
    last.frame(FrameType::Ping, 1, b"");
    assert_eq!(last.read().unwrap().0.kind, FrameType::Pong);
    last.0.sock.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
    let quiet = last.0.read(&mut [0]).map_err(|error| error.kind());
    assert!(matches!(quiet, Err(ErrorKind::WouldBlock | ErrorKind::TimedOut)), "{quiet:?}");
    siege.end(60);
}
