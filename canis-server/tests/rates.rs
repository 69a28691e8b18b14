//! Who asks for too much, or is wrong too often, is told when to ask again; others notice nothing.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod raw;

use canis_client::{Client, Config};
use canis_proto::batch::item;
use canis_proto::credential::CreateCredential;
use canis_proto::frame::FrameType;
use canis_proto::message::{Batch, CreateKey, Encrypt, Status};
use canis_proto::stream::HashStream;
use canis_proto::{Capabilities, Error, ErrorCode, HashName, KeyType};
use canis_server::limits;
use harness::{Deployment, Shared};
use raw::Raw;
use std::io;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const RATE: u32 = 50;

/// A bearer of his own at the server, as often as he connects.
fn bearer(deployment: &Deployment, config: &Config) -> impl Fn() -> Client + Sync + use<> {
    let address = format!("unix:{}", deployment.data().display());
    let mut host = Client::connect(&Config::new(address, Vec::new(), "")).unwrap();
    let made = host.call(&CreateCredential::new(Capabilities::ALL));
    let mut config = config.clone();
    config.token = made.unwrap().token.clone().map(Zeroizing::new);
    move || Client::connect(&config).unwrap()
}

fn limited(error: &Error) {
    assert_eq!(error.code, ErrorCode::RateLimited, "{error}");
    assert!(error.retry_after.is_some_and(|wait| wait > 0), "{error}");
}

/// One identity floods over many connections, by requests, batches and streams: it gets what its pace allows, and is told
/// when there is more. Another one asks at its own pace and is never refused.
#[test]
fn a_flood_is_the_floods_own() {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start_with(&["--requests-per-second", &RATE.to_string()]);
    assert_eq!(server.line(), "unsealed");
    deployment.client(&server).call(&CreateKey::new("k", KeyType::Aes256)).map(drop).unwrap();
    let (flood, calm) =
        (bearer(&deployment, &deployment.config(&server)), bearer(&deployment, &deployment.config(&server)));
    let (began, span) = (Instant::now(), Duration::from_secs(4));
    let done = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..6)
            .map(|number| {
                let flood = &flood;
                scope.spawn(move || {
                    let (mut client, mut done) = (flood(), 0);
                    while began.elapsed() < span {
                        let encrypt = Encrypt::new("k", &b"x"[..]);
                        let (asked, result) = match number {
                            0..4 => (1, client.call(&encrypt).map(drop)),
                            4 => {
                                let operations = vec![item(&encrypt), item(&encrypt), item(&encrypt)];
                                (
                                    3,
                                    client
                                        .call(&Batch { operations, atomic: false, preview: false })
                                        .map(drop),
                                )
                            }
                            _ => {
                                let hash = HashStream { hash: HashName::Sha256 };
                                (1, client.stream(&hash, &mut io::empty(), &mut io::sink()).map(drop))
                            }
                        };
                        match result {
                            Ok(()) => done += asked,
                            Err(error) => limited(&error),
                        }
                    }
                    done
                })
            })
            .collect();
        let mut client = calm();
        while began.elapsed() < span {
            client.call(&Encrypt::new("k", &b"x"[..])).map(drop).unwrap();
            std::thread::sleep(Duration::from_millis(40));
        }
        threads.into_iter().map(|thread| thread.join().unwrap()).sum::<u32>()
    });
    let allowed = RATE * (span.as_secs() as u32 + 1);
    assert!((allowed - 2 * RATE..=allowed + 2 * RATE).contains(&done), "{done} of {allowed}");
    // Connecting anew brings nothing; waiting as long as one is told does.
    let mut client = flood();
    let encrypt = Encrypt::new("k", &b"x"[..]);
    let operations = vec![item(&encrypt); 4 * RATE as usize];
    let batch = Batch { operations, atomic: false, preview: false };
    // However slowly the flood ended: a batch is let in while there is room for one, and takes what is to come.
    while let Err(error) = client.call(&batch).map(drop) {
        limited(&error);
        std::thread::sleep(Duration::from_millis(error.retry_after.unwrap().into()));
    }
    let refused = client.call(&encrypt).map(drop).unwrap_err();
    limited(&refused);
    std::thread::sleep(Duration::from_millis(refused.retry_after.unwrap().into()));
    client.call(&encrypt).map(drop).unwrap();
}

/// Wrong tokens from one address lock it out for a growing time, whatever it shows meanwhile; another address, and the
/// server's own host, get in.
#[test]
fn wrong_tokens_lock_their_address_out() {
    let deployment = Deployment::with_keyfile();
    let mut command = deployment.server_command("[::]:0");
    command.env_remove("CANIS_LOG");
    let mut server = deployment.spawn(command);
    assert_eq!(server.line(), "unsealed");
    let port = server.addr.rsplit(':').next().unwrap().to_owned();
    server.addr = format!("127.0.0.1:{port}");
    let mut shared = Shared { deployment, server };
    let said = |shared: &Shared, token: &str| {
        let mut raw = Raw::connect(shared);
        raw.hello(Some(token));
        match raw.read().unwrap() {
            (header, _) if header.kind == FrameType::Hello => {
                raw.request(1, &Status);
                assert_eq!(raw.read().unwrap().0.kind, FrameType::Response);
                Ok(())
            }
            (_, payload) => Err(canis_proto::message::decode_error(&payload)),
        }
    };
    let token = shared.deployment.token.clone();
    for _ in 0..limits::WRONG_FREE {
        said(&shared, &token).unwrap();
        assert_eq!(said(&shared, "canis_wrong").unwrap_err().code, ErrorCode::Unauthenticated);
    }
    // Where a slow machine has let the lock-out pass already, one more is wrong, which costs twice as long.
    let locked_out = |shared: &Shared| {
        let mut longest = 1000;
        loop {
            match said(shared, &token) {
                Err(refused) => break (refused, longest),
                Ok(()) => (longest *= 2, drop(said(shared, "canis_wrong"))),
            };
        }
    };
    let (refused, longest) = locked_out(&shared);
    limited(&refused);
    let first = refused.retry_after.unwrap();
    assert!(first <= longest, "{first} of {longest}");
    shared.server.addr = format!("[::1]:{port}");
    said(&shared, &token).unwrap();
    let socket = format!("unix:{}", shared.deployment.data().display());
    Client::connect(&Config::new(socket, Vec::new(), "")).unwrap();
    shared.server.addr = format!("127.0.0.1:{port}");
    std::thread::sleep(Duration::from_millis(first.into()));
    said(&shared, &token).unwrap();
    assert_eq!(said(&shared, "canis_wrong").unwrap_err().code, ErrorCode::Unauthenticated);
    // Longer than before, at the latest when the machine lets more of it be seen.
    let later = (0..4).find_map(|_| {
        let wait = locked_out(&shared).0.retry_after.unwrap();
        let longer = wait > first;
        if !longer {
            std::thread::sleep(Duration::from_millis(wait.into()));
        }
        longer.then_some(wait)
    });
    assert!(later.is_some(), "never longer than {first} ms");
}
