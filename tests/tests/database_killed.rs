//! Three servers on one PostgreSQL, all of them killed and started again under load, with the network between them cut and
//! stalled: a checker remembers what was acknowledged and what was answered.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_client::{Config, Shared};
use canis_proto::message::{CreateKey, Decrypt, Encrypt, RotateKey, ShowKey};
use canis_proto::{Error, ErrorCode, KeyType, Result};
use canis_tests::{Gate, Passage, Postgres, Server, Site};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What a test waits for comes long before.
const PATIENCE: Duration = Duration::from_secs(90);
/// How often each kind of failure happens.
const ROUNDS: usize = 2;

/// A client that knows all three servers, another one first.
fn client(servers: &[String], first: usize, site: &Site) -> Shared {
    let ca = std::fs::read(site.data().join("ca.pem")).unwrap();
    let addr = |n: usize| servers[(first + n) % servers.len()].clone();
    let mut config = Config::new(addr(0), ca, "ca.pem");
    config.others = vec![addr(1), addr(2)];
    config.token = Some(Zeroizing::new(site.token.clone()));
    Shared::new(&config).unwrap()
}

/// Whether an error is one that a failure around the servers may cause.
fn is_of_the_failure(error: &Error) -> bool {
    matches!(error.code, ErrorCode::StoreUnavailable | ErrorCode::Unavailable | ErrorCode::Sealed)
}

/// What one worker knows of its own key: which versions it may have, and what was encrypted under it.
struct Known {
    name: String,
    /// Acknowledged.
    version: u32,
    /// Rotations of which the worker does not know whether they happened.
    unknown: u32,
    sealed: Vec<(String, Vec<u8>)>,
    created: Vec<String>,
}

#[derive(Default)]
struct Counted {
    uses: AtomicUsize,
    changes: AtomicUsize,
    refused_uses: AtomicUsize,
    refused_changes: AtomicUsize,
}

impl Known {
    fn round(&mut self, canis: &Shared, number: u32, counted: &Counted) {
        let plaintext = format!("{} {number}", self.name).into_bytes();
        counted.uses.fetch_add(2, Ordering::Relaxed);
        let used = canis.call(&Encrypt::new(&*self.name, &plaintext[..])).and_then(|sealed| {
            let sealed = sealed.ciphertext.to_string();
            let opened = canis.call(&Decrypt::new(&*self.name, &*sealed));
            if number.is_multiple_of(7) {
                self.sealed.push((sealed, plaintext.clone()));
            }
            opened
        });
        match used {
            Ok(opened) => assert_eq!(opened.plaintext[..], plaintext, "a wrong answer"),
            Err(error) => {
                assert!(is_of_the_failure(&error), "{error}");
                counted.refused_uses.fetch_add(1, Ordering::Relaxed);
            }
        }
        if number.is_multiple_of(3) {
            counted.changes.fetch_add(1, Ordering::Relaxed);
            match canis.call(&RotateKey { name: (&*self.name).into(), preview: false }) {
                Ok(rotated) => {
                    let possible = self.version + 1..=self.version + 1 + self.unknown;
                    assert!(possible.contains(&rotated.version), "{} of {possible:?}", rotated.version);
                    (self.version, self.unknown) = (rotated.version, 0);
                }
                Err(error) => {
                    assert!(is_of_the_failure(&error), "{error}");
                    self.unknown += 1;
                    counted.refused_changes.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        if number.is_multiple_of(5) {
            counted.changes.fetch_add(1, Ordering::Relaxed);
            let name = format!("{}/{number}", self.name);
            match canis.call(&CreateKey::new(&*name, KeyType::Aes256)) {
                Ok(_) => self.created.push(name),
                Err(error) => {
                    assert!(is_of_the_failure(&error), "{error}");
                    counted.refused_changes.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    /// Everything that was acknowledged is there.
    fn check(&self, canis: &Shared) {
        let version = |name: &str| {
            eventually(|| canis.call(&ShowKey { name: name.into(), before_version: 0 })).current_version
        };
        let now = version(&self.name);
        let possible = self.version..=self.version + self.unknown;
        assert!(possible.contains(&now), "{}: {now} of {possible:?}", self.name);
        self.created.iter().for_each(|name| assert_eq!(version(name), 1));
        for (sealed, plaintext) in &self.sealed {
            let opened = eventually(|| canis.call(&Decrypt::new(&*self.name, &**sealed)));
            assert_eq!(opened.plaintext[..], plaintext[..]);
        }
    }
}

fn eventually<T>(mut ask: impl FnMut() -> Result<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(is_of_the_failure(&error) && Instant::now() < end, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Stops who looks at it, also when the test fails.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// R65: no acknowledged change is lost, no rotation happens twice, no answer is wrong, whatever is killed; and everything
/// goes on by itself afterwards.
#[test]
fn everything_is_killed_under_load() {
    let mut postgres = Postgres::start();
    let gate = Gate::before(&postgres);
    let first = Site::in_database_at(&gate.url(), &["grace = 600"]);
    let sites = [first.beside(), first.beside(), first];
    let mut servers: Vec<Option<Server>> = sites.iter().map(|site| Some(site.start().unsealed())).collect();
    let addrs: Vec<String> = servers.iter().flatten().map(|server| server.addr().to_owned()).collect();
    let counted = Counted::default();
    let stop = AtomicBool::new(false);
    let mut recoveries = Vec::new();
    let known: Vec<Known> = std::thread::scope(|scope| {
        let stops = Stop(&stop);
        let workers: Vec<_> = (0..6)
            .map(|n| {
                let (canis, name) = (client(&addrs, n, &sites[0]), format!("w{n}"));
                eventually(|| canis.call(&CreateKey::new(&*name, KeyType::Aes256)));
                let mut known =
                    Known { name, version: 1, unknown: 0, sealed: Vec::new(), created: Vec::new() };
                let (stop, counted) = (&stop, &counted);
                scope.spawn(move || {
                    for number in 1.. {
                        if stop.load(Ordering::SeqCst) {
                            break;
                        }
                        known.round(&canis, number, counted);
                    }
                    known
                })
            })
            .collect();
        let probe = client(&addrs, 0, &sites[0]);
        eventually(|| probe.call(&CreateKey::new("probe", KeyType::Aes256)));
        let mut recovered = |what: &'static str| {
            let begun = Instant::now();
            eventually(|| probe.call(&RotateKey { name: "probe".into(), preview: false }));
            recoveries.push((what, begun.elapsed()));
            std::thread::sleep(Duration::from_millis(300));
        };
        for round in 0..ROUNDS {
            for n in 0..servers.len() {
                servers[n].take().unwrap().kill();
                recovered("a server is killed");
                servers[n] = Some(sites[n].start_at(&addrs[n]).unsealed());
            }
            gate.cut();
            recovered("connections are cut");
            gate.set(Passage::LosesCommit { then_shut: round % 2 == 1 });
            let end = Instant::now() + PATIENCE;
            while gate.lost() <= round {
                assert!(Instant::now() < end, "nothing was committed");
                std::thread::sleep(Duration::from_millis(5));
            }
            gate.set(Passage::Open);
            recovered("a COMMIT's answer is lost");
            gate.set(Passage::Stalled);
            std::thread::sleep(Duration::from_millis(2500));
            gate.set(Passage::Open);
            recovered("the database stands still for 2.5 s");
            postgres.stop(true);
            std::thread::sleep(Duration::from_millis(500));
            postgres.go_on();
            recovered("PostgreSQL is killed and started");
        }
        drop(stops);
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    for (n, known) in known.iter().enumerate() {
        known.check(&client(&addrs, n, &sites[0]));
    }
    let rotated: u32 = known.iter().map(|known| known.version - 1).sum();
    let created: usize = known.iter().map(|known| known.created.len()).sum();
    assert!(rotated > 10 && created > 10, "{rotated} rotations and {created} keys");
    let of = |count: &AtomicUsize| count.load(Ordering::Relaxed);
    println!(
        "uses {} (refused {}), changes {} (refused {})",
        of(&counted.uses),
        of(&counted.refused_uses),
        of(&counted.changes),
        of(&counted.refused_changes)
    );
    recoveries.iter().for_each(|(what, took)| println!("{what}: changes are made again after {took:?}"));
    for (server, site) in servers.into_iter().flatten().zip(&sites) {
        server.canis(&["audit", "verify"], b"").ok();
        server.stop();
        site.canis("store verify").ok();
    }
}
