//! A primary that is lost, and its standby that takes over: servers find it by the URL that names both.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_client::{Config, Shared};
use canis_proto::message::{CreateKey, Decrypt, Encrypt, RotateKey, ShowKey};
use canis_proto::{ErrorCode, KeyType, Result};
use canis_tests::{Postgres, Site};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// It takes seconds; a busy machine may take longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// R65: nothing that was acknowledged is lost, keys in memory go on meanwhile, changes are refused and then made at the new
/// primary, and no server is started anew.
#[test]
fn a_standby_takes_over() {
    let mut primary = Postgres::start();
    let standby = Postgres::standby_of(&primary);
    let (first, second) = (primary.folder().display(), standby.folder().display());
    let url =
        format!("postgres://canis@/postgres?host={first}&host={second}&target_session_attrs=read-write");
    let site = Site::in_database_at(&url, &["grace = 600"]);
    let other = site.beside();
    let servers = [site.start().unsealed(), other.start().unsealed()];
    let clients = servers.each_ref().map(|server| {
        let config = Config::new(server.addr(), std::fs::read(server.ca()).unwrap(), "ca.pem");
        Shared::new(&Config { token: Some(Zeroizing::new(site.token.clone())), ..config }).unwrap()
    });
    let [one, two] = &clients;
    one.call(&CreateKey::new("k", KeyType::Aes256)).unwrap();
    let rotate = |client: &Shared| {
        client.call(&RotateKey { name: "k".into(), preview: false }).map(|done| done.version)
    };
    let encrypt = |client: &Shared| -> Result<String> {
        client.call(&Encrypt::new("k", &b"text"[..])).map(|sealed| sealed.ciphertext)
    };
    let mut acknowledged = rotate(one).unwrap();
    let sealed = encrypt(one).unwrap();
    let end = Instant::now() + PATIENCE;
    // The other server has it at hand, too, before nobody can be asked.
    while encrypt(two).is_ok_and(|sealed| !sealed.starts_with(&format!("canis:v1:k:{acknowledged}:"))) {
        assert!(Instant::now() < end, "the other server does not hear of it");
    }
    primary.stop(true);
    for client in &clients {
        encrypt(client).unwrap();
        assert_eq!(rotate(client).unwrap_err().code, ErrorCode::StoreUnavailable);
    }
    standby.promote();
    let begun = Instant::now();
    for client in &clients {
        let version = loop {
            match rotate(client) {
                Ok(version) => break version,
                Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        assert!(version > acknowledged, "version {acknowledged} was acknowledged, and {version} made anew");
        acknowledged = version;
    }
    println!("changes go on {:?} after the promotion", begun.elapsed());
    for client in &clients {
        let request = Decrypt::new("k", &*sealed);
        assert_eq!(client.call(&request).unwrap().plaintext, b"text");
    }
    let shown = two.call(&ShowKey { name: "k".into(), before_version: 0 }).unwrap();
    assert_eq!(shown.current_version, acknowledged);
}
