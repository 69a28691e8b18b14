//! Starting, sealing, draining, dying.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod raw;

use canis_client::Client;
use canis_proto::frame::FrameType;
use canis_proto::message::{CreateKey, Decrypt, Encrypt, ShowKey, Status, decode_error};
use canis_proto::{ErrorCode, KeyType};
use harness::{Deployment, Shared, failure};
use raw::Raw;
use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

fn create<'a>(name: &'a str, kind: KeyType) -> CreateKey<'a> {
    CreateKey::new(name, kind)
}

fn encrypt(client: &mut Client, name: &str, plaintext: &[u8]) -> String {
    let request =
        Encrypt { name: name.into(), plaintext: plaintext.into(), context: b""[..].into(), version: 0 };
    client.call(&request).unwrap().ciphertext
}

fn decrypt(client: &mut Client, name: &str, ciphertext: &str) -> Vec<u8> {
    let request = Decrypt { name: name.into(), ciphertext: ciphertext.into(), context: b""[..].into() };
    client.call(&request).unwrap().plaintext
}

/// SIGTERM: everybody hears GOAWAY, what is in flight is answered, the exit is 0 and soon. In flight is a row of small
/// RSA keys: as many as are needed for some to be made after the signal, and all of them before the time for draining is
/// over.
#[test]
fn sigterm_drains() {
    let shown = [3, 6, 12, 24].into_iter().any(drains_a_row);
    assert!(shown, "all was answered before the signal came: this test shows nothing");
}

/// Stops a server that is making so many keys; `false` if all were made before.
fn drains_a_row(row: u32) -> bool {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start();
    let shared = Shared { deployment, server };
    let mut idle = Raw::greeted(&shared);
    let mut busy = Raw::greeted(&shared);
    for id in 1..=row {
        busy.request(id, &CreateKey::new(format!("slow-{id}"), KeyType::Rsa2048));
    }
    // A PONG shows that the requests before it have been read; answers may come before it.
    busy.frame(FrameType::Ping, 100, b"");
    let mut answered = 0;
    while busy.read().unwrap().0.kind != FrameType::Pong {
        answered += 1;
    }
    shared.server.signal("TERM");
    let began = Instant::now();
    let (header, payload) = idle.read().unwrap();
    assert_eq!((header.kind, decode_error(&payload).code), (FrameType::GoAway, ErrorCode::Unavailable));
    assert_eq!(idle.read().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    let mut after = None;
    while answered < row || after.is_none() {
        let (header, payload) = busy.read().unwrap();
        match header.kind {
            FrameType::GoAway => after = Some(row - answered),
            FrameType::Response => answered += 1,
            other => panic!("{other:?}: {}", decode_error(&payload)),
        }
    }
    assert_eq!(busy.read().unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    let Shared { deployment, mut server } = shared;
    assert_eq!(server.wait().code(), Some(0), "{}", server.log());
    assert!(began.elapsed() < Duration::from_secs(60));
    let error = Client::connect(&deployment.config(&server)).map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Unavailable);
    assert!(error.message.contains("is canis-server running?"), "{error}");
    // What was answered was done.
    let server = deployment.start();
    for id in 1..=row {
        let show = ShowKey { name: format!("slow-{id}").into(), before_version: 0 };
        assert_eq!(deployment.client(&server).call(&show).unwrap().kind, KeyType::Rsa2048);
    }
    server.signal("INT");
    let mut server = server;
    assert_eq!(server.wait().code(), Some(0), "SIGINT drains as well");
    after > Some(0)
}

/// One server per data directory: the second says so and ends with 3; the first serves on.
#[test]
fn a_second_server_is_refused() {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start();
    let message = failure(&deployment.server_command("127.0.0.1:0").output().unwrap(), 3);
    assert!(message.contains("store_locked"), "{message}");
    assert!(deployment.client(&server).call(&Status).is_ok());
    assert_eq!(server.stop().code(), Some(0));
    // The lock does not outlive its holder, however it went.
    deployment.start().kill();
    assert_eq!(deployment.start().stop().code(), Some(0));
}

/// R65: kill -9 after an answer loses nothing, and a passphrase opens the store again.
#[test]
fn kill_and_restart_still_decrypts() {
    let deployment = Deployment::with_passphrase();
    let server = deployment.start();
    let mut client = deployment.client(&server);
    client.call(&create("payments", KeyType::Aes256)).unwrap();
    let ciphertext = encrypt(&mut client, "payments", b"42 EUR");
    server.kill();
    let server = deployment.start();
    let mut client = deployment.client(&server);
    assert_eq!(decrypt(&mut client, "payments", &ciphertext), b"42 EUR");
    let log = server.log();
    assert!(!log.contains("42 EUR") && !log.contains("correct horse") && !log.contains(&deployment.token));
}

/// Sealed is a state that is told: the status says why, everything else answers `sealed`; a wrong credential is not
/// tried again.
#[test]
fn a_wrong_credential_leaves_the_store_sealed() {
    let deployment = Deployment::with_keyfile();
    let wrong = deployment.folder.path().join("wrong.key");
    fs::write(&wrong, [7; 32]).unwrap();
    fs::set_permissions(&wrong, Permissions::from_mode(0o600)).unwrap();
    let server = deployment.start_with(&["--keyfile", wrong.to_str().unwrap()]);
    let line = server.line();
    assert!(line.starts_with("sealed: "), "{line}");
    let mut client = deployment.client(&server);
    let status = client.call(&Status).unwrap();
    assert!(status.sealed && line.contains(&status.reason), "{line}: {}", status.reason);
    let error = client.call(&create("k", KeyType::Aes256)).map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Sealed);
    assert!(error.message.contains(&status.reason), "{error}");
    // Nobody can be told apart yet, so a large request is refused for the same reason.
    let large = vec![0; 1 << 20];
    let request =
        Encrypt { name: "k".into(), plaintext: large.as_slice().into(), context: b""[..].into(), version: 0 };
    assert_eq!(client.call(&request).map(|_| ()).unwrap_err().code, ErrorCode::Sealed);
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(server.log().matches("sealed reason").count(), 1, "{}", server.log());
    assert_eq!(server.stop().code(), Some(0));
}

/// R90: a root that is absent at the start is waited for; the connection that was open meanwhile is then served.
#[test]
fn an_absent_root_is_waited_for() {
    let deployment = Deployment::with_keyfile();
    let key = deployment.folder.path().join("root.key");
    let away = deployment.folder.path().join("away.key");
    fs::rename(&key, &away).unwrap();
    let server = deployment.start_with(&[]);
    let line = server.line();
    assert!(line.starts_with("sealed: ") && line.contains("root.key"), "{line}");
    let mut client = deployment.client(&server);
    assert!(client.call(&Status).unwrap().sealed);
    fs::rename(&away, &key).unwrap();
    while server.line() != "unsealed" {}
    assert!(!client.call(&Status).unwrap().sealed);
    client.call(&create("late", KeyType::Ed25519)).unwrap();
}

/// R61: a token shown while the store was sealed is checked as soon as it can be.
#[test]
fn a_wrong_token_is_found_after_unsealing() {
    let deployment = Deployment::with_keyfile();
    let key = deployment.folder.path().join("root.key");
    let away = deployment.folder.path().join("away.key");
    fs::rename(&key, &away).unwrap();
    let server = deployment.start_with(&[]);
    server.line();
    let mut config = deployment.config(&server);
    config.token = Some(zeroize::Zeroizing::new("wrong".to_owned()));
    let mut client = Client::connect(&config).unwrap();
    fs::rename(&away, &key).unwrap();
    while server.line() != "unsealed" {}
    let error = client.call(&ShowKey { name: "k".into(), before_version: 0 }).map(|_| ()).unwrap_err();
    assert_eq!(error.code, ErrorCode::Unauthenticated);
}

/// What keeps a server from starting is named, with the file.
#[test]
fn starts_that_fail_say_why() {
    let deployment = Deployment::with_keyfile();
    let started = |what: &str| {
        let message = failure(&deployment.server_command("127.0.0.1:0").output().unwrap(), 3);
        assert!(message.contains(what), "{message}");
    };
    fs::rename(deployment.data().join("server.pem"), deployment.data().join("gone")).unwrap();
    started("server.pem");
    fs::write(deployment.data().join("server.pem"), "no certificate").unwrap();
    started("server.pem");
    fs::rename(deployment.data().join("gone"), deployment.data().join("server.pem")).unwrap();
    // An address for documentation (RFC 5737), so no machine's own.
    let elsewhere = deployment.server_command("192.0.2.1:7443").output().unwrap();
    assert!(failure(&elsewhere, 3).contains("192.0.2.1:7443"));
    fs::remove_file(deployment.data().join("canis.dat")).unwrap();
    started("canis init");
}

/// Log lines are JSON when asked for, and name operation and code.
#[test]
fn json_log() {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start_with(&["--log-format", "json"]);
    assert_eq!(server.line(), "unsealed");
    let asked = deployment.client(&server).call(&ShowKey { name: "absent".into(), before_version: 0 });
    assert_eq!(asked.map(|_| ()).unwrap_err().code, ErrorCode::KeyNotFound);
    let log = server.log();
    let lines: Vec<serde_json::Value> = log.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let refused = lines.iter().find(|l| l["fields"]["message"] == "request refused").unwrap();
    assert_eq!(
        (&refused["fields"]["operation"], &refused["fields"]["code"]),
        (&"key.show".into(), &"key_not_found".into())
    );
}
