//! Changes with an idempotency key happen once: sent again, sent twice at the same time, and with kill -9 between the
//! commit and the answer.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_client::{Client, Config};
use canis_proto::frame::{self, FrameType, HEADER, Header};
use canis_proto::message::{
    Batch, ClientHello, CreateKey, DeleteEntry, PutEntry, RotateKey, ShowKey, WireRequest, decode_error,
    encode_request_once,
};
use canis_proto::{ErrorCode, KeyType, batch};
use canis_tests::{Server, Site};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// A connection after HELLO that sends frames and reads them when the test wants it.
struct Peer(StreamOwned<ClientConnection, TcpStream>);

impl Peer {
    fn of(server: &Server, token: &str) -> Self {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(server.ca()).unwrap()).unwrap();
        let mut config = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![frame::ALPN.to_vec()];
        let tls = ClientConnection::new(Arc::new(config), "localhost".try_into().unwrap()).unwrap();
        let tcp = TcpStream::connect(server.addr()).unwrap();
        let mut peer = Peer(StreamOwned::new(tls, tcp));
        let hello =
            ClientHello { client: "test".into(), token: Some(token.into()), ..ClientHello::default() };
        peer.send(FrameType::Hello, 0, &hello.encode());
        peer.answer();
        peer
    }

    fn send(&mut self, kind: FrameType, request: u32, payload: &[u8]) {
        self.0.write_all(&frame::frame(kind, request, payload)).unwrap();
        self.0.flush().unwrap();
    }

    fn answer(&mut self) -> (FrameType, Vec<u8>) {
        let mut header = [0; HEADER];
        self.0.read_exact(&mut header).unwrap();
        let header = Header::decode(&header, frame::MAX_PAYLOAD).unwrap();
        let mut payload = vec![0; header.length as usize];
        self.0.read_exact(&mut payload).unwrap();
        (header.kind, payload)
    }

    /// Asks and waits; the answer's bytes, or the error's code.
    fn ask<'a>(&mut self, request: &impl WireRequest<'a>, key: &[u8]) -> Result<Vec<u8>, ErrorCode> {
        self.send(FrameType::Request, 1, &encode_request_once(request, key));
        match self.answer() {
            (FrameType::Response, answer) => Ok(answer),
            (_, error) => Err(decode_error(&error).code),
        }
    }
}

fn client(server: &Server, site: &Site) -> Client {
    let ca = std::fs::read(server.ca()).unwrap();
    let mut config = Config::new(server.addr(), ca, "ca.pem");
    config.token = Some(Zeroizing::new(site.token.clone()));
    Client::connect(&config).unwrap()
}

fn version(server: &Server, site: &Site, name: &str) -> u32 {
    let shown = client(server, site).call(&ShowKey { name: name.into(), before_version: 0 });
    shown.map_or(0, |key| key.current_version)
}

fn rotate(name: &str) -> RotateKey<'_> {
    RotateKey { name: name.into(), preview: false }
}

/// The same again is answered with the same; anything else under the key is refused; what failed leaves nothing.
#[test]
fn sent_again() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let mut peer = Peer::of(&server, &site.token);
    let create = CreateKey::new("k", KeyType::EcdsaP256);
    let made = peer.ask(&create, b"one").unwrap();
    assert_eq!(peer.ask(&create, b"one").unwrap(), made);
    assert_eq!(peer.ask(&create, b"two"), Err(ErrorCode::KeyExists));
    let other = CreateKey::new("other", KeyType::EcdsaP256);
    assert_eq!(peer.ask(&other, b"one"), Err(ErrorCode::IdempotencyConflict));
    assert_eq!(peer.ask(&rotate("k"), b"one"), Err(ErrorCode::IdempotencyConflict));
    assert_eq!((version(&server, &site, "k"), version(&server, &site, "other")), (1, 0));
    // What failed may be tried again under its key.
    assert_eq!(peer.ask(&rotate("other"), b"three"), Err(ErrorCode::KeyNotFound));
    peer.ask(&other, b"four").unwrap();
    peer.ask(&rotate("other"), b"three").unwrap();
    peer.ask(&rotate("other"), b"three").unwrap();
    assert_eq!(version(&server, &site, "other"), 2);

    // Entries and atomic batches too.
    let put = PutEntry {
        id: "e".into(),
        name: "".into(),
        public_key: (&b"x"[..]).into(),
        private_key: (&b""[..]).into(),
        generate: None,
        revision: None,
    };
    let put_once = peer.ask(&put, b"five").unwrap();
    let delete = DeleteEntry { id: "e".into(), revision: None };
    let gone = peer.ask(&delete, b"six").unwrap();
    assert_eq!((peer.ask(&put, b"five").unwrap(), peer.ask(&delete, b"six").unwrap()), (put_once, gone));
    let turn = rotate("k");
    let twice =
        Batch { operations: vec![batch::item(&turn), batch::item(&turn)], atomic: true, preview: false };
    assert_eq!(peer.ask(&twice, b"seven").unwrap(), peer.ask(&twice, b"seven").unwrap());
    assert_eq!(version(&server, &site, "k"), 3);

    // After a restart the receipts are there; `store verify` opens them.
    server.stop();
    let verify =
        canis_tests::run(site.command("canis").args(["store", "verify", "--data"]).arg(site.data()), b"");
    assert_eq!(verify.code, 0, "{}", verify.stderr);
    let server = site.start().unsealed();
    assert_eq!(Peer::of(&server, &site.token).ask(&create, b"one").unwrap(), made);
}

/// Two connections send the same at the same time: one change, one answer.
#[test]
fn sent_twice_at_once() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    client(&server, &site).call(&CreateKey::new("k", KeyType::Aes256)).unwrap();
    for round in 0u32..20 {
        let answers: Vec<_> = std::thread::scope(|scope| {
            let ask = || Peer::of(&server, &site.token).ask(&rotate("k"), &round.to_be_bytes()).unwrap();
            let askers: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
            askers.into_iter().map(|asker| asker.join().unwrap()).collect()
        });
        assert!(answers.iter().all(|answer| *answer == answers[0]));
        assert_eq!(version(&server, &site, "k"), round + 2);
    }
}

/// R65: killed after the commit and before anybody read the answer, or at any other moment: asked again, the change has
/// happened once.
#[test]
fn killed_before_the_answer() {
    let site = Site::with_keyfile();
    let mut server = site.start().unsealed();
    client(&server, &site).call(&CreateKey::new("k", KeyType::Aes256)).unwrap();
    let mut expected = 1;
    for round in 0..8u64 {
        let key = round.to_be_bytes();
        let request = encode_request_once(&rotate("k"), &key);
        let mut peer = Peer::of(&server, &site.token);
        peer.send(FrameType::Request, 1, &request);
        if round % 2 == 0 {
            // Another connection sees that it was committed; its answer is never read.
            let patience = Instant::now() + Duration::from_secs(30);
            while version(&server, &site, "k") == expected {
                assert!(Instant::now() < patience, "the rotation does not happen");
            }
        } else {
            std::thread::sleep(Duration::from_micros(700 * round));
        }
        server.kill();
        server = site.start().unsealed();
        let mut peer = Peer::of(&server, &site.token);
        let answer = peer.ask(&rotate("k"), &key).unwrap();
        expected += 1;
        assert_eq!(version(&server, &site, "k"), expected, "round {round}");
        assert_eq!(peer.ask(&rotate("k"), &key).unwrap(), answer);
    }
}

/// A client whose server is killed and started again under it goes on; each of its changes happens once.
#[test]
fn clients_go_on() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let (addr, ca) = (server.addr().to_owned(), std::fs::read(server.ca()).unwrap());
    client(&server, &site).call(&CreateKey::new("k", KeyType::Aes256)).unwrap();
    let mut config = Config::new(&addr, ca, "ca.pem");
    config.token = Some(Zeroizing::new(site.token.clone()));
    config.retry_for = Duration::from_secs(60);
    let worker = std::thread::spawn(move || {
        let mut client = Client::connect(&config).unwrap();
        (0..60).map(|_| client.call(&rotate("k")).unwrap().version).collect::<Vec<_>>()
    });
    let mut server = server;
    for _ in 0..3 {
        std::thread::sleep(Duration::from_millis(150));
        server.kill();
        server = site.start_at(&addr).unsealed();
    }
    assert_eq!(worker.join().unwrap(), (2..62).collect::<Vec<_>>());
    drop(server);
}
