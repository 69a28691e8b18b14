//! An HSM as root of trust: SoftHSM2, through the real programs.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;

use canis_proto::KeyType;
use canis_proto::message::{CreateKey, Decrypt, Encrypt, Status};
use harness::Deployment;
use std::fs;
use std::time::Duration;

/// R90: init with a token, restart, unseal; without the token the server starts sealed and says why; when the token
/// returns it recovers by itself.
#[test]
fn a_token_goes_and_returns() {
    let deployment = Deployment::with_hsm();
    let server = deployment.start();
    let mut client = deployment.client(&server);
    let create = CreateKey::new("k", KeyType::Aes256);
    client.call(&create).unwrap();
    let encrypt =
        Encrypt { name: "k".into(), plaintext: b"42"[..].into(), context: b""[..].into(), version: 0 };
    let ciphertext = client.call(&encrypt).unwrap().ciphertext;
    assert_eq!(server.stop().code(), Some(0));

    let (tokens, away) = (deployment.folder.path().join("tokens"), deployment.folder.path().join("away"));
    fs::rename(&tokens, &away).unwrap();
    fs::create_dir(&tokens).unwrap();
    let server = deployment.start_with(&[]);
    let line = server.line();
    assert!(line.starts_with("sealed: ") && line.contains("`canis`"), "{line}");
    let mut client = deployment.client(&server);
    let status = client.call(&Status).unwrap();
    assert!(status.sealed && status.reason.contains("`canis`"), "{}", status.reason);
    fs::remove_dir(&tokens).unwrap();
    fs::rename(&away, &tokens).unwrap();
    while server.line() != "unsealed" {}
    let decrypt = Decrypt { name: "k".into(), ciphertext: ciphertext.into(), context: b""[..].into() };
    assert_eq!(client.call(&decrypt).unwrap().plaintext, b"42");
    assert_eq!(server.stop().code(), Some(0));
}

/// A wrong PIN is tried once, not until the token locks it.
#[test]
fn a_wrong_pin_is_tried_once() {
    let deployment = Deployment::with_hsm();
    let wrong = deployment.folder.path().join("wrong-pin");
    harness::write_private(&wrong, "000000");
    let server = deployment.start_with(&["--pin-file", wrong.to_str().unwrap()]);
    let line = server.line();
    assert!(line.starts_with("sealed: "), "{line}");
    std::thread::sleep(Duration::from_secs(3));
    assert_eq!(server.log().matches("sealed reason").count(), 1, "{}", server.log());
    assert!(!server.log().contains("000000"));
    drop(server);
    deployment.start();
}
