//! The connection that threads share, against a real server: who reads, who is late, what a lost connection does.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_client::{Config, Pool, Shared};
use canis_proto::message::{CreateKey, Decrypt, Encrypt, RotateKey, ShowKey, Sign, Status};
use canis_proto::slot::InitSlot;
use canis_proto::{ErrorCode, KeyType};
use canis_tests::{Server, Site};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

fn config(site: &Site, server: &Server) -> Config {
    let ca = std::fs::read(server.ca()).unwrap();
    let token = Some(Zeroizing::new(site.token.clone()));
    Config { token, ..Config::new(server.addr(), ca, "ca.pem") }
}

/// A way to the server that a test can cut or hold.
struct Way {
    addr: String,
    held: Arc<AtomicBool>,
    swallowed: Arc<AtomicUsize>,
    ends: Arc<std::sync::Mutex<Vec<TcpStream>>>,
}

impl Way {
    fn to(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let held = Arc::new(AtomicBool::new(false));
        let addr = format!("127.0.0.1:{port}");
        let way = Way { addr, held, swallowed: Arc::default(), ends: Arc::default() };
        let (there, held, ends) = (server.addr().to_owned(), Arc::clone(&way.held), Arc::clone(&way.ends));
        let swallowed = Arc::clone(&way.swallowed);
        std::thread::spawn(move || {
            for near in listener.incoming() {
                let (near, far) = (near.unwrap(), TcpStream::connect(&there).unwrap());
                ends.lock().unwrap().extend([near.try_clone().unwrap(), far.try_clone().unwrap()]);
                let back = (far.try_clone().unwrap(), near.try_clone().unwrap());
                for (from, to) in [(near, far), back] {
                    let (held, swallowed) = (Arc::clone(&held), Arc::clone(&swallowed));
                    std::thread::spawn(move || pass(from, to, &held, &swallowed));
                }
            }
        });
        way
    }

    fn hold(&self, on: bool) {
        self.held.store(on, Ordering::SeqCst);
    }

    /// Waits until bytes were lost on it.
    fn wait_until_it_swallows(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        while self.swallowed.load(Ordering::SeqCst) == 0 {
            assert!(Instant::now() < end, "nothing is sent");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn cut(&self) {
        let ends = std::mem::take(&mut *self.ends.lock().unwrap());
        ends.iter().for_each(|end| drop(end.shutdown(std::net::Shutdown::Both)));
    }
}

/// Bytes of a way that is held are lost, as on a network that has gone.
fn pass(mut from: TcpStream, mut to: TcpStream, held: &AtomicBool, swallowed: &AtomicUsize) {
    let mut bytes = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut bytes) {
        if held.load(Ordering::SeqCst) {
            swallowed.fetch_add(count, Ordering::SeqCst);
        } else if to.write_all(&bytes[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

/// Threads share one connection; slow and quick requests, small and large ones; each answer finds its asker.
#[test]
fn answers_find_their_threads() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let mut local = config(&site, &server);
    local.addr = format!("unix:{}", site.data().display());
    for config in [config(&site, &server), local] {
        let canis = Shared::new(&config).unwrap();
        for (name, kind) in [("aes", KeyType::Aes256), ("rsa", KeyType::Rsa2048)] {
            if canis.call(&ShowKey { name: name.into(), before_version: 0 }).is_err() {
                canis.call(&CreateKey::new(name, kind)).unwrap();
            }
        }
        let work = |number: usize| {
            for round in 0..20usize {
                if round % 7 == 0 {
                    canis.call(&Sign::new("rsa", vec![1])).unwrap();
                }
                let length = if round == 9 { 300_000 } else { number * 700 + round };
                let plaintext = vec![number.to_le_bytes()[0]; length];
                let sealed = canis.call(&Encrypt::new("aes", plaintext.clone())).unwrap();
                let opened = canis.call(&Decrypt::new("aes", sealed.ciphertext)).unwrap();
                assert!(opened.plaintext == plaintext, "{number} got another's answer");
            }
        };
        std::thread::scope(|scope| {
            (0..12).for_each(|number| drop(scope.spawn(move || work(number))));
        });
        assert_eq!(canis.standing().connections, 1);
    }
    server.stop();
}

/// More threads than the server takes requests of a connection: they wait for places, nobody is forgotten.
#[test]
fn a_crowd_waits_for_places() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let canis = Shared::new(&config(&site, &server)).unwrap();
    canis.call(&CreateKey::new("rsa", KeyType::Rsa2048)).unwrap();
    let signed = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..150 {
            scope.spawn(|| {
                (0..3).for_each(|_| drop(canis.call(&Sign::new("rsa", vec![1])).unwrap()));
                signed.fetch_add(1, Ordering::Relaxed);
            });
        }
    });
    assert_eq!((signed.into_inner(), canis.standing().connections), (150, 1));
    server.stop();
}

/// Who is late hears so, and the connection goes on; an error belongs to its request alone.
#[test]
fn late_and_refused_requests_do_no_harm() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let canis = Shared::new(&config(&site, &server)).unwrap();
    canis.call(&Status).unwrap();
    for round in 0..3 {
        let name = format!("slow{round}");
        let slow = CreateKey::new(&*name, KeyType::Rsa8192);
        let late = canis.call_within(Duration::from_millis(30), &slow).err().unwrap();
        assert_eq!(late.code, ErrorCode::DeadlineExceeded);
        assert!(late.message.contains("within 30 ms"), "{late}");
        canis.call(&Status).unwrap();
    }
    let missing = ShowKey { name: "none".into(), before_version: 0 };
    assert_eq!(canis.call(&missing).err().unwrap().code, ErrorCode::KeyNotFound);
    let large = canis.call(&Encrypt::new("none", vec![0; 17 << 20])).err().unwrap();
    assert_eq!(large.code, ErrorCode::TooLarge);
    assert_eq!(canis.standing().connections, 1);
}

/// R65: a server that is killed and started again under threads: changes happen once, reads go on.
#[test]
fn threads_go_on_after_a_restart() {
    let site = Site::with_keyfile();
    let mut server = site.start().unsealed();
    let addr = server.addr().to_owned();
    let canis =
        Shared::new(&Config { retry_for: Duration::from_secs(60), ..config(&site, &server) }).unwrap();
    canis.call(&CreateKey::new("k", KeyType::Aes256)).unwrap();
    // The server outlives the threads: who encrypts waits for the audit log, and may be done last.
    let _server = std::thread::scope(|scope| {
        let rotating = scope.spawn(|| {
            let rotate = RotateKey { name: "k".into(), preview: false };
            (0..60).map(|_| canis.call(&rotate).unwrap().version).collect::<Vec<_>>()
        });
        for _ in 0..3 {
            scope.spawn(|| (0..200).for_each(|_| drop(canis.call(&Encrypt::new("k", vec![1])).unwrap())));
        }
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(150));
            server.kill();
            server = site.start_at(&addr).unsealed();
        }
        assert_eq!(rotating.join().unwrap(), (2..62).collect::<Vec<_>>());
        server
    });
    assert!(canis.standing().connections > 1);
}

/// A connection that is cut under eight threads: all are told or answered, and the next call connects anew. What must
/// not be asked twice is not.
#[test]
fn a_cut_fails_what_is_in_flight() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let way = Way::to(&server);
    let patient = Config { addr: way.addr.clone(), ..config(&site, &server) };
    let patient = Shared::new(&Config { server_name: Some("127.0.0.1".into()), ..patient }).unwrap();
    patient.call(&CreateKey::new("k", KeyType::Rsa2048)).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| (0..60).for_each(|_| drop(patient.call(&Sign::new("k", vec![1])).unwrap())));
        }
        for _ in 0..4 {
            std::thread::sleep(Duration::from_millis(40));
            way.cut();
        }
    });
    let before = patient.standing();
    way.cut();
    std::thread::sleep(Duration::from_millis(1200));
    // The connection was quiet, so it is looked at first, and a request that must not be asked twice is not lost with it.
    let init = InitSlot { token: "web".into(), so_pin: (&b"8765-4321"[..]).into(), pin: None };
    patient.call(&init).unwrap();
    assert_eq!(patient.standing().connections, before.connections + 1);

    way.hold(true);
    let asking = std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let init = InitSlot { token: "two".into(), so_pin: (&b"8765-4321"[..]).into(), pin: None };
            patient.call(&init)
        });
        way.wait_until_it_swallows();
        way.cut();
        way.hold(false);
        asking.join().unwrap()
    });
    assert_eq!(asking.err().unwrap().code, ErrorCode::Unavailable);
    patient.call(&Status).unwrap();
    server.stop();
}

/// A network that swallows everything: calls end in time, and the connection is given up soon.
#[test]
fn silence_is_noticed() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let way = Way::to(&server);
    let config = Config {
        addr: way.addr.clone(),
        server_name: Some("127.0.0.1".into()),
        connect_timeout: Duration::from_secs(2),
        retry_for: Duration::ZERO,
        ..config(&site, &server)
    };
    let canis = Shared::new(&config).unwrap();
    // On a busy machine a handshake may take longer than that time.
    let until_answered = || {
        let since = Instant::now();
        while let Err(error) = canis.call(&Status) {
            assert!(since.elapsed() < Duration::from_secs(60), "{error}");
        }
    };
    until_answered();
    way.hold(true);
    let since = Instant::now();
    let mut error = canis.call_within(Duration::from_millis(100), &Status).err().unwrap();
    assert_eq!(error.code, ErrorCode::DeadlineExceeded);
    // Until it is given up and another one is tried, which finds the same silence.
    while error.code == ErrorCode::DeadlineExceeded {
        assert!(since.elapsed() < Duration::from_secs(60));
        error = canis.call_within(Duration::from_millis(100), &Status).err().unwrap();
    }
    assert_eq!(error.code, ErrorCode::Unavailable, "{error}");
    assert_eq!(canis.standing().connections, 1);
    way.hold(false);
    until_answered();
    assert_eq!(canis.standing().connections, 2);
    server.stop();
}

/// Servers that are not there are passed over; nothing at all there is told within the time of retries.
#[test]
fn other_addresses_are_tried() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        format!("127.0.0.1:{}", listener.local_addr().unwrap().port())
    };
    let mut config = config(&site, &server);
    config.others = vec![config.addr.clone()];
    config.addr = closed.clone();
    let canis = Shared::new(&config).unwrap();
    canis.call(&Status).unwrap();
    canis.disconnect();
    canis.call(&Status).unwrap();
    assert_eq!(canis.standing().connections, 2);

    let since = Instant::now();
    let nobody = Config { others: vec![closed], retry_for: Duration::from_millis(300), ..config };
    let refused = Shared::new(&nobody).unwrap().call(&Status).err().unwrap();
    assert!(refused.message.contains("is canis-server running?"), "{refused}");
    assert!(since.elapsed() >= Duration::from_millis(200));
    server.stop();
}

/// What `welcome` refuses is no connection; it is asked on every new one, before anything else.
#[test]
fn each_connection_is_welcomed() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let welcomed = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&welcomed);
    let canis = Shared::new(&config(&site, &server)).unwrap().with_welcome(move |line| {
        line.call(&Status)?;
        match count.fetch_add(1, Ordering::SeqCst) {
            1 => Err(canis_proto::Error::invalid("not this one")),
            _ => Ok(()),
        }
    });
    canis.call(&Status).unwrap();
    canis.disconnect();
    assert_eq!(canis.call(&Status).err().unwrap().message, "not this one");
    canis.call(&Status).unwrap();
    assert_eq!((welcomed.load(Ordering::SeqCst), canis.standing().connections), (3, 2));
    server.stop();
}

/// A pool makes connections as they are needed, and no more than it may.
#[test]
fn a_pool_is_bounded() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let canis = Pool::new(&config(&site, &server), 3).unwrap();
    canis.call(&CreateKey::new("rsa", KeyType::Rsa2048)).unwrap();
    (0..5).for_each(|_| drop(canis.call(&Status).unwrap()));
    assert_eq!(canis.standing().connections, 1);
    std::thread::scope(|scope| {
        for _ in 0..12 {
            scope.spawn(|| (0..10).for_each(|_| drop(canis.call(&Sign::new("rsa", vec![1])).unwrap())));
        }
    });
    assert_eq!(canis.standing().connections, 3);
    server.stop();
}
