//! Credentials that end while the database is away: they are over by their own word, and nobody need be asked for that.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_client::{Config, Shared};
use canis_proto::credential::CreateCredential;
use canis_proto::message::{CreateKey, Encrypt};
use canis_proto::{Capabilities, Interval, KeyType, Result};
use canis_tests::{Postgres, Site};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What goes on without the database for ten minutes does so for as long as its token is good, on an open connection too.
#[test]
fn a_token_ends_without_the_database() {
    let mut postgres = Postgres::start();
    let site = Site::in_database_at(&postgres.url(), &["grace = 600"]);
    let server = site.start().unsealed();
    let client = |token: &str| {
        let config = Config::new(server.addr(), std::fs::read(server.ca()).unwrap(), "ca.pem");
        Shared::new(&Config { token: Some(Zeroizing::new(token.to_owned())), ..config }).unwrap()
    };
    let lasting = client(&site.token);
    lasting.call(&CreateKey::new("k", KeyType::Aes256)).unwrap();
    let lifetime = Interval::from_seconds(8);
    let made = lasting.call(&CreateCredential { lifetime, ..CreateCredential::new(Capabilities::ALL) });
    let ending = client(&made.unwrap().token.clone().unwrap());
    let encrypt = |client: &Shared| -> Result<()> { client.call(&Encrypt::new("k", vec![1])).map(drop) };
    encrypt(&lasting).unwrap();
    // A machine that takes longer for this than the token lasts shows the same: it is refused.
    let _ = encrypt(&ending);
    postgres.stop(true);
    let end = Instant::now() + Duration::from_secs(40);
    while encrypt(&ending).is_ok() {
        assert!(Instant::now() < end, "a token that is over is good while the database is away");
        std::thread::sleep(Duration::from_millis(50));
    }
    encrypt(&lasting).unwrap();
}
