//! Streams on the wire: credit both ways, what breaks its rules, what ends them early, and how little they hold.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod raw;

use canis_proto::answer::Streamed;
use canis_proto::frame::{FrameType, Header, MAX_DATA, MAX_OPEN};
use canis_proto::message::{CreateKey, Status, decode_error};
use canis_proto::stream::{DecryptStream, EncryptStream, HashStream, encode_open};
use canis_proto::value::Map;
use canis_proto::{ErrorCode, HashName, KeyType};
use canis_server::limits;
use harness::{Deployment, Shared, shared};
use raw::Raw;
use std::io::{self, Read, Write};
use std::time::{Duration, Instant};

/// A key to encrypt with, made if it is not there.
fn key(shared: &Shared) -> &'static str {
    // Another test may have made it.
    let _ = shared.client().call(&CreateKey::new("streams", KeyType::Aes256)).map(|_| ());
    "streams"
}

fn encryption(name: &str) -> EncryptStream<'_> {
    EncryptStream { name: name.into(), context: b""[..].into(), version: 0 }
}

fn hash() -> HashStream {
    HashStream { hash: HashName::Sha256 }
}

impl Raw {
    /// Opens a stream that hashes, and takes its first credit.
    fn open_hash(&mut self, id: u32) {
        self.frame(FrameType::Open, id, &encode_open(&hash(), 0));
        assert_eq!(self.credit(id), limits::STREAM_WINDOW);
    }

    /// The CREDIT that must come now.
    fn credit(&mut self, id: u32) -> u32 {
        let (header, payload) = self.read().unwrap();
        assert_eq!((header.kind, header.request), (FrameType::Credit, id), "{}", decode_error(&payload));
        u32::from_be_bytes(payload.try_into().unwrap())
    }

    fn lives(&mut self) {
        self.request(999, &Status);
        let (header, payload) = self.read().unwrap();
        assert_eq!((header.kind, header.request), (FrameType::Response, 999), "{}", decode_error(&payload));
    }
}

/// A message that would not fit into one frame goes through and comes back; digests agree, too.
#[test]
fn long_messages_come_back() {
    let shared = shared();
    let name = key(&shared);
    let message: Vec<u8> = (0..20u32 << 20).map(|i| (i ^ (i >> 11)) as u8).collect();
    let mut client = shared.client();
    let mut sealed = Vec::new();
    let Streamed { bytes } = client.stream(&encryption(name), &mut message.as_slice(), &mut sealed).unwrap();
    assert_eq!(bytes, sealed.len() as u64);
    let end = sealed.iter().position(|b| *b == b'\n').unwrap();
    let (header, body) = (std::str::from_utf8(&sealed[..end]).unwrap(), &sealed[end + 1..]);
    let request = DecryptStream { name: name.into(), header: header.into(), context: b""[..].into() };
    let mut opened = Vec::new();
    let answer = client.stream(&request, &mut &body[..], &mut opened).map(|answer| answer.bytes);
    assert_eq!(answer.unwrap(), opened.len() as u64);
    assert!(opened == message);
    // A body that was cut fails at its end, and the connection lives on.
    let cut = client.stream(&request, &mut &body[..body.len() - 20], &mut io::sink()).map(|_| ());
    assert_eq!(cut.unwrap_err().code, ErrorCode::DecryptionFailed);
    // So does one that is wrong in its middle, while its rest is still on its way.
    let mut damaged = body.to_vec();
    damaged[1 << 20] ^= 1;
    let wrong = client.stream(&request, &mut damaged.as_slice(), &mut io::sink()).map(|_| ());
    assert_eq!(wrong.unwrap_err().code, ErrorCode::DecryptionFailed);
    client.ping().unwrap();
}

/// Input that cannot be read and output that cannot be written end the stream, not the connection.
#[test]
fn failures_of_the_client_leave_the_connection_alone() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("the tape is torn"))
        }
    }
    impl Write for Broken {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("the disk is full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let shared = shared();
    let name = key(&shared);
    let mut client = shared.client();
    for _ in 0..=limits::STREAMS {
        let torn = client.stream(&hash(), &mut (&[7; 100_000][..]).chain(Broken), &mut io::sink());
        assert!(torn.map(|_| ()).unwrap_err().message.contains("torn"));
        let full = client.stream(&encryption(name), &mut io::repeat(7).take(10 << 20), &mut Broken);
        assert!(full.map(|_| ()).unwrap_err().message.contains("full"));
    }
    client.ping().unwrap();
}

/// The server sends no byte that it has no credit for.
#[test]
fn the_server_keeps_to_its_credit() {
    let shared = shared();
    let name = key(&shared);
    let mut raw = Raw::greeted(&shared);
    raw.frame(FrameType::Open, 1, &encode_open(&encryption(name), 0));
    raw.credit(1);
    raw.frame(FrameType::Data, 1, &[7; 1000]);
    raw.frame(FrameType::End, 1, b"");
    raw.lives();
    let mut got = Vec::new();
    for part in [1u32, 10, 50] {
        raw.frame(FrameType::Credit, 1, &part.to_be_bytes());
        let (header, payload) = raw.read().unwrap();
        assert_eq!((header.kind, header.request, header.length), (FrameType::Data, 1, part));
        got.extend_from_slice(&payload);
        raw.lives();
    }
    raw.frame(FrameType::Credit, 1, &100_000u32.to_be_bytes());
    let answer = loop {
        let (header, payload) = raw.read().unwrap();
        match header.kind {
            FrameType::Data => got.extend_from_slice(&payload),
            kind => break (kind, payload),
        }
    };
    assert_eq!(answer, (FrameType::Response, Map::new().with("bytes", got.len() as u64).encode()));
    assert!(got.starts_with(b"canis:s1:streams:1:"));
    // Late frames for what has been answered crossed the answer; they mean nothing.
    raw.frame(FrameType::Credit, 1, &9u32.to_be_bytes());
    raw.frame(FrameType::Cancel, 1, b"");
    raw.lives();
}

/// R81: what breaks the rules of streams ends the connection with a `protocol_error`.
#[test]
fn broken_rules_end_the_connection() {
    let shared = shared();
    type Breach = fn(&mut Raw);
    let breaches: [(&str, Breach); 15] = [
        ("DATA where nothing is", |raw| raw.frame(FrameType::Data, 9, b"x")),
        ("END where nothing is", |raw| raw.frame(FrameType::End, 9, b"")),
        ("more than the credit", |raw| {
            // Credit for what has been taken may have come back meanwhile.
            for _ in 0..=2 * limits::STREAM_WINDOW / MAX_DATA {
                raw.frame(FrameType::Data, 2, &[0; MAX_DATA as usize]);
            }
        }),
        ("DATA behind the end", |raw| {
            raw.frame(FrameType::Data, 1, b"x");
            raw.frame(FrameType::End, 1, b"");
            raw.frame(FrameType::Data, 1, b"x");
        }),
        ("two ends", |raw| {
            raw.frame(FrameType::End, 2, b"");
            raw.frame(FrameType::End, 2, b"");
        }),
        ("a stream's id for a request", |raw| raw.request(1, &Status)),
        ("a stream's id for a stream", |raw| raw.frame(FrameType::Open, 1, &encode_open(&hash(), 0))),
        ("the connection's id", |raw| raw.frame(FrameType::Open, 0, &encode_open(&hash(), 0))),
        ("DATA of nothing", |raw| raw.frame(FrameType::Data, 1, b"")),
        ("DATA of too much", |raw| raw.header(FrameType::Data, 1, MAX_DATA + 1)),
        ("END of something", |raw| raw.frame(FrameType::End, 1, b"x")),
        ("CREDIT of three bytes", |raw| raw.frame(FrameType::Credit, 1, b"\0\0\x01")),
        ("more CREDIT than there are numbers", |raw| {
            raw.frame(FrameType::Credit, 1, &u32::MAX.to_be_bytes());
            raw.frame(FrameType::Credit, 1, &1u32.to_be_bytes());
        }),
        ("a large OPEN", |raw| raw.header(FrameType::Open, 3, MAX_OPEN + 1)),
        ("too many streams", |raw| {
            for id in 3..=limits::STREAMS + 1 {
                raw.frame(FrameType::Open, id, &encode_open(&hash(), 0));
            }
        }),
    ];
    for (what, breach) in breaches {
        let mut raw = Raw::greeted(&shared);
        raw.open_hash(1);
        // This one waits for credit that never comes, so that it is still there when its second END arrives.
        raw.frame(FrameType::Open, 2, &encode_open(&encryption(key(&shared)), 0));
        raw.credit(2);
        breach(&mut raw);
        let error = loop {
            let (header, payload) = raw.read().unwrap();
            match (header.kind, header.request) {
                (FrameType::Error, 0) => break decode_error(&payload),
                (FrameType::Error | FrameType::Credit | FrameType::Response, _) => {}
                other => panic!("{what}: {other:?}"),
            }
        };
        assert_eq!(error.code, ErrorCode::ProtocolError, "{what}: {error}");
    }
    assert!(!shared.client().call(&Status).unwrap().sealed);
}

/// A stream that cannot be is refused by its own error, and its id is free when the client has ended it, too.
#[test]
fn refused_streams_leave_the_connection_alone() {
    let shared = shared();
    let mut raw = Raw::greeted(&shared);
    let op = |name: &'static str, args: Map<'static>| Map::new().with("op", name).with("args", args).encode();
    let cases = [
        (b"\xff".to_vec(), ErrorCode::ProtocolError),
        (op("fly", Map::new()), ErrorCode::UnknownOperation),
        (op("key.show", Map::new().with("name", "x")), ErrorCode::OperationNotSupported),
        (op("encrypt", Map::new()), ErrorCode::InvalidArgument),
        (op("encrypt", Map::new().with("name", "x").with("plaintext", &b""[..])), ErrorCode::InvalidArgument),
        (encode_open(&encryption("absent"), 0), ErrorCode::KeyNotFound),
    ];
    for (payload, code) in cases {
        for how in [FrameType::End, FrameType::Cancel] {
            raw.frame(FrameType::Open, 7, &payload);
            let error = raw.error(7);
            assert_eq!(error.code, code, "{error}");
            raw.frame(how, 7, b"");
        }
    }
    // The end may come before the refusal is known.
    raw.frame(FrameType::Open, 7, &encode_open(&encryption("absent"), 0));
    raw.frame(FrameType::End, 7, b"");
    assert_eq!(raw.error(7).code, ErrorCode::KeyNotFound);
    raw.lives();
    // A stranger's is refused alike.
    let mut raw = Raw::greeted_as(&shared, None);
    raw.frame(FrameType::Open, 7, &encode_open(&hash(), 0));
    assert_eq!(raw.error(7).code, ErrorCode::Unauthenticated);
    raw.frame(FrameType::End, 7, b"");
    raw.frame(FrameType::Open, 7, &[0; 10_000]);
    assert_eq!(raw.error(7).code, ErrorCode::Unauthenticated);
}

/// What is cancelled is answered once, by `cancelled`, and leaves the connection alone; so does a deadline.
#[test]
fn streams_are_taken_back() {
    let shared = shared();
    let mut raw = Raw::greeted(&shared);
    for _ in 0..2 * limits::STREAMS {
        raw.open_hash(5);
        raw.frame(FrameType::Data, 5, &[7; 10_000]);
        raw.frame(FrameType::Cancel, 5, b"");
        assert_eq!(raw.error(5).code, ErrorCode::Cancelled);
    }
    let began = Instant::now();
    let open =
        Map::new().with("op", "hash").with("args", Map::new()).with("credit", 0u32).with("deadline", 2000u32);
    raw.frame(FrameType::Open, 5, &open.encode());
    raw.credit(5);
    raw.frame(FrameType::Data, 5, &[7; 10_000]);
    assert_eq!(raw.error(5).code, ErrorCode::DeadlineExceeded);
    assert!(began.elapsed() >= Duration::from_secs(2));
    // What was on its way when it failed is read away, up to its end.
    raw.frame(FrameType::Data, 5, &[7; 10_000]);
    raw.frame(FrameType::End, 5, b"");
    raw.open_hash(5);
    raw.lives();
}

/// Every stream of a connection takes its turn beside the others, and beside requests.
#[test]
fn streams_run_side_by_side() {
    let shared = shared();
    let mut raw = Raw::greeted(&shared);
    for id in 1..=limits::STREAMS {
        raw.open_hash(id);
    }
    for _ in 0..100 {
        for id in 1..=limits::STREAMS {
            raw.frame(FrameType::Data, id, &[id as u8; 5]);
        }
    }
    raw.lives();
    for id in 1..=limits::STREAMS {
        raw.frame(FrameType::End, id, b"");
        let (header, payload) = raw.read().unwrap();
        assert_eq!((header.kind, header.request), (FrameType::Response, id));
        let whole =
            canis_proto::message::HashData { data: vec![id as u8; 500].into(), hash: HashName::Sha256 };
        let digest = shared.client().call(&whole).map(|answer| answer.digest).unwrap();
        assert_eq!(payload, Map::new().with("digest", digest.as_slice()).encode());
    }
}

/// R81: connections that break in the middle of streams give back what they held: others get their turn.
#[test]
fn cut_streams_are_forgotten() {
    let shared = shared();
    let name = key(&shared);
    for round in 0..2 * limits::ALL_STREAMS as u32 / limits::STREAMS {
        let mut raw = Raw::greeted(&shared);
        for id in 1..=limits::STREAMS {
            raw.frame(FrameType::Open, id, &encode_open(&encryption(name), 0));
            raw.credit(id);
        }
        raw.frame(FrameType::Data, 1, &[7; 60_000]);
        match round % 3 {
            0 => raw.header(FrameType::Data, 1, 500),
            1 => raw.frame(FrameType::End, 1, b""),
            _ => raw.0.conn.send_close_notify(),
        }
        // The connection is cut either way.
        let _ = raw.0.flush();
    }
    let digest = shared.client().stream(&hash(), &mut io::repeat(7).take(1 << 20), &mut io::sink());
    assert_eq!(digest.unwrap().digest.len(), 32);
}

/// A stream that is open when the server stops is told so.
#[test]
fn draining_ends_streams() {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start();
    let shared = Shared { deployment, server };
    let mut raw = Raw::greeted(&shared);
    raw.open_hash(1);
    shared.server.signal("TERM");
    let (header, _) = raw.read().unwrap();
    assert_eq!(header.kind, FrameType::GoAway);
    assert_eq!(raw.error(1).code, ErrorCode::Unavailable);
    assert_eq!(raw.read().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
}

/// 128 MiB through a server whose memory grows by a few; and half a mebibyte in frames of one byte.
#[test]
fn streams_hold_little_memory() {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start();
    let shared = Shared { deployment, server };
    let name = key(&shared);
    let before = shared.server.peak();
    let (reader, mut writer) = io::pipe().unwrap();
    let mut reader = io::BufReader::new(reader);
    let length = 128 << 20;
    let opened = std::thread::scope(|scope| {
        scope.spawn(|| {
            let input = &mut io::repeat(7).take(length);
            shared.client().stream(&encryption(name), input, &mut writer).map(|_| ()).unwrap();
            drop(writer);
        });
        let mut header = String::new();
        io::BufRead::read_line(&mut reader, &mut header).unwrap();
        let request = DecryptStream { name: name.into(), header: header.into(), context: b""[..].into() };
        let answer = shared.client().stream(&request, &mut reader, &mut io::sink());
        answer.map(|answer| answer.bytes).unwrap()
    });
    assert_eq!(opened, length);
    let mut raw = Raw::greeted(&shared);
    raw.open_hash(1);
    let one = canis_proto::frame::frame(FrameType::Data, 1, b"x");
    raw.send(&one.repeat(limits::STREAM_WINDOW as usize));
    raw.frame(FrameType::Cancel, 1, b"");
    while let (Header { kind: FrameType::Credit, .. }, _) = raw.read().unwrap() {}
    let grown = shared.server.peak() - before;
    assert!(grown < 24 << 10, "{grown} KiB");
}
