//! Servers whose database is away: keys in memory go on for as long as is configured, changes are refused, and all goes on
//! by itself when it is back.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_client::{Config, Shared};
use canis_proto::message::{CreateKey, Decrypt, DisableKey, Encrypt, RotateKey, ShowKey, Sign};
use canis_proto::{ErrorCode, KeyType, Result};
use canis_tests::{Gate, Passage, Postgres, Server, Site};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What a test waits for comes long before.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the database is away in a test.
const OUTAGE: Duration = Duration::from_secs(3);

fn client(server: &Server, site: &Site) -> Shared {
    let ca = std::fs::read(server.ca()).unwrap();
    let token = Some(Zeroizing::new(site.token.clone()));
    Shared::new(&Config { token, ..Config::new(server.addr(), ca, "ca.pem") }).unwrap()
}

fn create(client: &Shared, name: &str, kind: KeyType) {
    client.call(&CreateKey::new(name, kind)).unwrap();
}

fn encrypt(client: &Shared, name: &str) -> Result<String> {
    client.call(&Encrypt::new(name, &b"text"[..])).map(|sealed| sealed.ciphertext)
}

fn rotate(client: &Shared, name: &str) -> Result<u32> {
    client.call(&RotateKey { name: name.into(), preview: false }).map(|rotated| rotated.version)
}

fn eventually<T>(what: &str, mut look: impl FnMut() -> Result<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match look() {
            Ok(seen) => return seen,
            Err(error) => assert!(Instant::now() < end, "{what}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

struct Three {
    postgres: Postgres,
    gate: Gate,
    _sites: [Site; 3],
    _servers: [Server; 3],
    clients: [Shared; 3],
}

fn three(grace: &str) -> Three {
    let postgres = Postgres::start();
    let gate = Gate::before(&postgres);
    let first = Site::in_database_at(&gate.url(), &[&format!("grace = {grace}")]);
    let sites = [first.beside(), first.beside(), first];
    let servers = sites.each_ref().map(|site| site.start().unsealed());
    let clients = [0, 1, 2].map(|n| client(&servers[n], &sites[n]));
    Three { postgres, gate, _sites: sites, _servers: servers, clients }
}

/// Stops who looks at it, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// What went on while the database was away.
#[derive(Debug)]
struct Seen {
    used: usize,
    refused: Vec<String>,
    changes_refused: usize,
    recovery: Duration,
}

/// Uses and changes go on at every server while the database goes away and comes back.
fn outage(
    three: &mut Three,
    away: impl FnOnce(&mut Postgres, &Gate),
    back: impl FnOnce(&mut Postgres, &Gate),
) -> Seen {
    let Three { postgres, gate, clients, .. } = three;
    let keys: Vec<String> = (0..8).map(|n| format!("k{n}")).collect();
    keys.iter().for_each(|name| create(&clients[0], name, KeyType::Aes256));
    create(&clients[0], "rsa", KeyType::Rsa2048);
    ["off", "busy0", "busy1", "busy2"].iter().for_each(|name| create(&clients[0], name, KeyType::Aes256));
    let use_all = |client: &Shared| -> Vec<Result<()>> {
        let signed = client.call(&Sign::new("rsa", vec![1])).map(drop);
        keys.iter().map(|name| encrypt(client, name).map(drop)).chain([signed]).collect()
    };
    for client in clients.iter() {
        eventually("uses", || {
            use_all(client).into_iter().chain([encrypt(client, "off").map(drop)]).collect::<Result<()>>()
        });
    }
    let (stop, is_away) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let stops = Stop(&stop);
        // Up to the last moment every server changes something, so that what is in memory is not of the newest.
        let busy = |n: usize| {
            let (client, stop, is_away) = (&clients[n], &stop, &is_away);
            move || {
                let (mut version, mut refused) = (1, 0);
                while !stop.load(Ordering::SeqCst) {
                    let began_away = is_away.load(Ordering::SeqCst);
                    match rotate(client, &format!("busy{n}")) {
                        Ok(made) => {
                            assert!(made > version, "version {made} was given twice");
                            version = made;
                        }
                        Err(error) => {
                            assert_eq!(error.code, ErrorCode::StoreUnavailable, "{error}");
                            let away = began_away || is_away.load(Ordering::SeqCst);
                            // What a busy machine leaves unanswered for two seconds counts as away.
                            assert!(away || error.message.contains("does not answer"), "{error}");
                            refused += usize::from(away);
                        }
                    }
                }
                (version, refused)
            }
        };
        let changing = [0, 1, 2].map(|n| scope.spawn(busy(n)));
        std::thread::sleep(Duration::from_millis(500));
        eventually("it is taken away", || clients[1].call(&DisableKey { name: "off".into() }).map(drop));
        is_away.store(true, Ordering::SeqCst);
        away(postgres, gate);
        let mut seen = Seen { used: 0, refused: Vec::new(), changes_refused: 0, recovery: Duration::ZERO };
        let end = Instant::now() + OUTAGE;
        while Instant::now() < end || (seen.used <= 100 && Instant::now() < end + PATIENCE) {
            for client in clients.iter() {
                for used in use_all(client) {
                    seen.used += 1;
                    seen.refused.extend(used.err().map(|error| error.to_string()));
                }
            }
            // What a server has taken away itself is gone there.
            let off = encrypt(&clients[1], "off").unwrap_err();
            assert!(
                matches!(off.code, ErrorCode::OperationNotAllowed | ErrorCode::StoreUnavailable),
                "{off}"
            );
        }
        back(postgres, gate);
        let begun = Instant::now();
        for (n, client) in clients.iter().enumerate() {
            eventually("changes", || rotate(client, &format!("k{n}")));
        }
        seen.recovery = begun.elapsed();
        drop(stops);
        for (n, changing) in changing.into_iter().enumerate() {
            let (version, refused) = changing.join().unwrap();
            seen.changes_refused += refused;
            let shown = clients[0].call(&ShowKey { name: format!("busy{n}").into(), before_version: 0 });
            assert!(shown.unwrap().current_version >= version, "an acknowledged rotation is gone");
        }
        // And nobody uses what was taken away.
        for client in clients.iter() {
            let off = eventually("a refusal", || match encrypt(client, "off") {
                Err(error) if error.code == ErrorCode::OperationNotAllowed => Ok(error),
                Err(error) => Err(error),
                Ok(_) => Err(canis_proto::Error::internal("it is used")),
            });
            assert_eq!(off.code, ErrorCode::OperationNotAllowed);
        }
        println!("{seen:?}");
        seen
    })
}

/// R65: the database is killed under load and stays away: every key that was used a moment ago is used on, at each
/// server, changes are refused, and all goes on without a restart.
#[test]
fn a_database_that_is_killed() {
    let mut three = three("600");
    let seen = outage(&mut three, |postgres, _| postgres.stop(true), |postgres, _| postgres.go_on());
    assert!(seen.refused.is_empty(), "{seen:?}");
    assert!(seen.changes_refused > 0 && seen.used > 100, "{seen:?}");
}

/// The same where it is not away but stands still: nobody waits for it for long.
#[test]
fn a_database_that_stands_still() {
    let mut three = three("600");
    let stall = |_: &mut Postgres, gate: &Gate| gate.set(Passage::Stalled);
    let seen = outage(&mut three, stall, |_, gate| gate.set(Passage::Open));
    assert!(seen.refused.is_empty(), "{seen:?}");
}

/// The same where connections are cut and none is made.
#[test]
fn a_network_that_is_cut() {
    let mut three = three("600");
    let cut = |_: &mut Postgres, gate: &Gate| gate.set(Passage::Shut);
    let seen = outage(&mut three, cut, |_, gate| gate.set(Passage::Open));
    assert!(seen.refused.is_empty() && seen.changes_refused > 0, "{seen:?}");
}

/// R65: what is in memory goes on for as long as is configured, and no longer.
#[test]
fn memory_goes_on_for_its_time() {
    let three = three("8");
    let [first, ..] = &three.clients;
    create(first, "k", KeyType::Aes256);
    for client in &three.clients {
        eventually("the key", || encrypt(client, "k"));
    }
    three.gate.set(Passage::Shut);
    let begun = Instant::now();
    for client in &three.clients {
        encrypt(client, "k").unwrap();
    }
    for client in &three.clients {
        while let Ok(sealed) = encrypt(client, "k") {
            assert!(begun.elapsed() < PATIENCE, "it goes on: {sealed}");
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(begun.elapsed() > Duration::from_secs(4));
        assert_eq!(encrypt(client, "k").unwrap_err().code, ErrorCode::StoreUnavailable);
    }
    three.gate.set(Passage::Open);
    for client in &three.clients {
        let sealed = eventually("the key", || encrypt(client, "k"));
        client.call(&Decrypt::new("k", sealed)).unwrap();
    }
}
