//! A store that is sealed under its users: PKCS#11 applications, streams, and strangers who try to open it.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod application;
mod harness;
mod raw;

use application::{Site, USER, code, to_sign};
use canis_client::{Client, Config};
use canis_core::object::FindPage;
use canis_core::object::Wanted;
use canis_proto::frame::FrameType;
use canis_proto::message::{CreateKey, Encrypt, Status, decode_error};
use canis_proto::sealing::{OperatorToken, SealStore, Unseal};
use canis_proto::stream::{EncryptStream, encode_open};
use canis_proto::{ErrorCode, KeyType, Result};
use harness::{Deployment, Server, Shared};
use raw::Raw;
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

fn unseal(kind: &'static str, secret: &[u8]) -> Unseal<'static> {
    Unseal { kind: kind.into(), secret: secret.to_vec().into(), module: "".into(), reset: false }
}

fn stranger(deployment: &Deployment, server: &Server) -> Client {
    let mut config = deployment.config(server);
    config.token = None;
    Client::connect(&config).unwrap()
}

fn local(deployment: &Deployment) -> Client {
    Client::connect(&Config::new(format!("unix:{}", deployment.data().display()), Vec::new(), "")).unwrap()
}

fn key(deployment: &Deployment) -> Vec<u8> {
    fs::read(deployment.folder.path().join("root.key")).unwrap()
}

/// R93: a host that uses the module at a server hears `sealed`; when the store is open again it logs in again, and finds
/// its tokens' objects but not those of its sessions.
#[test]
fn applications_log_in_again() {
    let site = Site::new();
    let mut host = site.user(2);
    let (kept, in_session) = (site.pair(&mut host, None, false), site.pair(&mut host, Some(1), false));
    site.sign(&mut host, to_sign(kept, None)).unwrap();
    let mut administrator = site.deployment.client(&site.server);
    assert!(administrator.call(&SealStore).unwrap().wiped);
    assert_eq!(code(site.sign(&mut host, to_sign(kept, None))), ErrorCode::Sealed);
    assert_eq!(code(site.log_in(&mut host, USER)), ErrorCode::Sealed);
    assert_eq!(code(administrator.call(&SealStore)), ErrorCode::Sealed);
    let opened = stranger(&site.deployment, &site.server).call(&unseal("keyfile", &key(&site.deployment)));
    assert!(!opened.unwrap().sealed);
    assert_eq!(site.role(&mut host), None);
    assert_eq!(code(site.sign(&mut host, to_sign(kept, None))), ErrorCode::ObjectNotFound);
    site.log_in(&mut host, USER).unwrap();
    site.sign(&mut host, to_sign(kept, None)).unwrap();
    assert_eq!(code(site.sign(&mut host, to_sign(in_session, None))), ErrorCode::ObjectNotFound);
    let found = site.at(&mut host, FindPage { wanted: Wanted::default(), after: None }).unwrap();
    assert_eq!(found.objects.len(), 2, "the kept pair");
}

/// A stream that is under way ends when the store is sealed, and its connection goes on.
#[test]
fn streams_end() {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start();
    let mut client = deployment.client(&server);
    client.call(&CreateKey::new("k", KeyType::Aes256)).map(drop).unwrap();
    let shared = Shared { deployment, server };
    let mut raw = Raw::greeted(&shared);
    let encrypt = EncryptStream { name: "k".into(), context: b""[..].into(), version: 0 };
    raw.frame(FrameType::Open, 1, &encode_open(&encrypt, 1 << 20));
    assert_eq!(raw.read().unwrap().0.kind, FrameType::Credit);
    raw.frame(FrameType::Data, 1, &[7; 1000]);
    client.call(&SealStore).map(drop).unwrap();
    let refused = loop {
        let (header, payload) = raw.read().unwrap();
        if header.kind == FrameType::Error {
            break decode_error(&payload);
        }
    };
    assert_eq!(refused.code, ErrorCode::Sealed);
    raw.frame(FrameType::Cancel, 1, b"");
    raw.request(2, &Status);
    assert_eq!(raw.read().unwrap().0.kind, FrameType::Response);
    local(&shared.deployment).call(&unseal("configured", b"")).map(drop).unwrap();
    raw.request(3, &Encrypt::new("k", &b"x"[..]));
    assert_eq!(raw.read().unwrap().0.kind, FrameType::Response);
}

/// R81: many strangers who try wrong credentials are told to wait, at little cost, and keep nobody on the host from
/// opening the store.
#[test]
fn tries_are_bounded() {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start();
    deployment.client(&server).call(&SealStore).map(drop).unwrap();
    // For so many seconds, and longer until it was refused often: how often it was tried and refused, and in how many seconds.
    let try_for = |seconds: u64, ask: &(dyn Fn(&mut Client) -> Result<()> + Sync)| {
        let (begun, tried, refused) = (Instant::now(), AtomicU64::new(0), AtomicU64::new(0));
        let passed = || begun.elapsed().as_secs();
        let work = || {
            let mut client = stranger(&deployment, &server);
            // Soon enough for the connections, which are strangers' (`limits::STRANGER`).
            while passed() < seconds || (refused.load(Ordering::SeqCst) <= 100 && passed() < 20) {
                let error = ask(&mut client).unwrap_err();
                match error.code {
                    ErrorCode::RateLimited => {
                        assert!(error.retry_after.is_some_and(|wait| (1..=5000).contains(&wait)), "{error}");
                        refused.fetch_add(1, Ordering::SeqCst);
                    }
                    ErrorCode::RootCredentialWrong | ErrorCode::InvalidArgument => {
                        tried.fetch_add(1, Ordering::SeqCst);
                    }
                    other => panic!("{other:?} {error}"),
                }
            }
        };
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(work))));
        (tried.into_inner(), refused.into_inner(), passed())
    };
    // Twenty at once and five a second.
    let cheap = |seconds: u64| 20 + 5 * (seconds + 2);
    let keyfile = |client: &mut Client| client.call(&unseal("keyfile", &[9; 32])).map(drop);
    let (tried, refused, seconds) = try_for(2, &keyfile);
    assert!((20..=cheap(seconds)).contains(&tried) && refused > 100, "{tried} tried, {refused} refused");
    let passphrase = |client: &mut Client| client.call(&unseal("passphrase", b"not the right one")).map(drop);
    let (tried, refused, seconds) = try_for(2, &passphrase);
    // Three at once, and one more every five seconds.
    assert!((1..=4 + seconds / 5).contains(&tried) && refused > 100, "{tried} tried, {refused} refused");
    let mut own = local(&deployment);
    for _ in 0..50 {
        assert_eq!(code(own.call(&unseal("keyfile", &[9; 32]))), ErrorCode::RootCredentialWrong);
    }
    assert!(!own.call(&unseal("keyfile", &key(&deployment))).unwrap().sealed);
    let ask = |client: &mut Client| {
        let kind = "keyfile".into();
        client.call(&OperatorToken { kind, secret: [9; 32][..].into(), module: "".into() }).map(drop)
    };
    let (tried, refused, seconds) = try_for(1, &ask);
    assert!(tried <= cheap(seconds) && refused > 100, "{tried} tried, {refused} refused");
}

/// R91: many seal and unseal while others work: whatever is answered is right or `sealed`, and in the end it opens.
#[test]
fn sealed_in_the_middle_of_work() {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start();
    deployment.client(&server).call(&CreateKey::new("k", KeyType::Aes256)).map(drop).unwrap();
    let end = Instant::now() + Duration::from_secs(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = deployment.client(&server);
                while Instant::now() < end {
                    match client.call(&Encrypt::new("k", &b"x"[..])) {
                        Ok(answer) => assert!(answer.ciphertext.starts_with("canis:v1:k:1:")),
                        Err(error) => assert_eq!(error.code, ErrorCode::Sealed, "{error}"),
                    }
                }
            });
        }
        scope.spawn(|| {
            let (mut administrator, mut own) = (deployment.client(&server), local(&deployment));
            while Instant::now() < end {
                if let Ok(sealed) = administrator.call(&SealStore) {
                    assert!(sealed.wiped);
                }
                assert!(!own.call(&unseal("configured", b"")).unwrap().sealed);
            }
        });
    });
    deployment.client(&server).call(&Encrypt::new("k", &b"x"[..])).map(drop).unwrap();
}

/// A server whose limits let it lock no memory serves, and says what to change.
#[test]
fn memory_that_cannot_be_locked_is_named() {
    let deployment = Deployment::with_keyfile();
    let command = deployment.server_command("127.0.0.1:0");
    let mut limited = Command::new("setpriv");
    // Root may lock what it likes; here it is not to.
    limited.args([
        "--bounding-set=-ipc_lock",
        "--inh-caps=-ipc_lock",
        "sh",
        "-c",
        "ulimit -l 0; exec \"$0\" \"$@\"",
    ]);
    limited.arg(command.get_program()).args(command.get_args());
    let server = deployment.spawn(limited);
    assert_eq!(server.line(), "unsealed");
    let log = server.log();
    assert!(log.contains("LimitMEMLOCK=64M") && log.contains("limit=\"0\""), "{log}");
    // Nor is there memory that root cannot read; that is said once.
    let mut administrator = deployment.client(&server);
    administrator.call(&SealStore).map(drop).unwrap();
    assert!(!local(&deployment).call(&unseal("configured", b"")).unwrap().sealed);
    assert_eq!(server.log().matches("SystemCallFilter=memfd_secret").count(), 1, "{}", server.log());
    deployment.client(&server).call(&CreateKey::new("k", KeyType::Aes256)).map(drop).unwrap();
    server.stop();
    let server = deployment.start();
    assert!(!server.log().contains("MEMLOCK"), "{}", server.log());
}
