//! What a capture of connections shows: TLS 1.3 with a key agreement that an attacker who keeps it for a quantum computer does
//! not undo (X25519MLKEM768).
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Site, binary};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::thread::{scope, spawn};

/// X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem, section 4.3).
const X25519_MLKEM768: u16 = 0x11ec;
/// RFC 8446, section 4.2: `supported_versions` and `key_share`.
const SUPPORTED_VERSIONS: u16 = 43;
const KEY_SHARE: u16 = 51;
const TLS_1_3: u16 = 0x0304;

/// Both directions of the one connection that was captured.
#[derive(Default)]
struct Capture {
    sent: Vec<u8>,
    received: Vec<u8>,
}

/// Passes one connection on to `server`, and keeps what went through.
fn capture(server: &str) -> (String, impl FnOnce() -> Capture) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let kept = Arc::<Mutex<Capture>>::default();
    let (keeper, server) = (Arc::clone(&kept), server.to_owned());
    let passing = spawn(move || {
        let near = listener.accept().unwrap().0;
        let far = TcpStream::connect(server).unwrap();
        scope(|scope| {
            scope.spawn(|| pass(&near, &far, |bytes| keeper.lock().unwrap().sent.extend_from_slice(bytes)));
            pass(&far, &near, |bytes| keeper.lock().unwrap().received.extend_from_slice(bytes));
        });
    });
    (addr, move || {
        passing.join().unwrap();
        std::mem::take(&mut *kept.lock().unwrap())
    })
}

fn pass(mut from: &TcpStream, mut to: &TcpStream, keep: impl Fn(&[u8])) {
    let mut buffer = [0; 16384];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        keep(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn number(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

/// An extension of the ServerHello that a server's bytes begin with (RFC 8446, sections 4.1.3 and 5.1).
fn of_server_hello(received: &[u8], wanted: u16) -> Vec<u8> {
    let (record, hello) = received.split_at(5);
    assert_eq!((record[0], hello[0]), (22, 2), "a handshake record with a ServerHello");
    let session_id = 4 + 2 + 32;
    let extensions = session_id + 1 + usize::from(hello[session_id]) + 2 + 1;
    let end = extensions + 2 + usize::from(number(hello, extensions));
    let mut at = extensions + 2;
    while at < end {
        let body = at + 4..at + 4 + usize::from(number(hello, at + 2));
        if number(hello, at) == wanted {
            return hello[body].to_vec();
        }
        at = body.end;
    }
    panic!("no extension {wanted}")
}

/// R78: client and server agree on a key by X25519 and ML-KEM-768 together, and nothing of what they say can be read.
#[test]
fn what_a_capture_shows() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    server.canis(&["key", "create", "seen", "--type", "aes256-gcm"], b"").ok();
    let (addr, captured) = capture(server.addr());
    let mut command = Command::new(binary("canis"));
    command.args(["key", "show", "seen"]).env("CANIS_ADDR", &addr);
    let output = command.env("CANIS_CACERT", server.ca()).env("CANIS_TOKEN", &site.token).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let Capture { sent, received } = captured();
    assert_eq!(number(&of_server_hello(&received, SUPPORTED_VERSIONS), 0), TLS_1_3);
    assert_eq!(number(&of_server_hello(&received, KEY_SHARE), 0), X25519_MLKEM768);
    for secret in ["seen", site.token.as_str(), "key.show"] {
        for bytes in [&sent, &received] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret}");
        }
    }
}
