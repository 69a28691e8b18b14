//! Several cores on one store in PostgreSQL, as servers have it, against a clock that the test moves.
#![cfg(feature = "postgres")]
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod store;

use canis_core::backup::RestoreBackup;
use canis_core::datadir::{DataDir, StoreConfig};
use canis_core::root::{Credential, NewRoot};
use canis_core::secret::SecretBytes;
use canis_core::{Caller, Core, Once, default_provider, setup};
use canis_proto::backup::{CreateBackup, ReadBackup};
use canis_proto::credential::CreateCredential;
use canis_proto::fields::Fields;
use canis_proto::message::{
    CreateKey, DestroyKey, DisableKey, Encrypt, ListKeys, RotateKey, ShowKey, WireRequest,
};
use canis_proto::rekey::RekeyTenant;
use canis_proto::root::{AddRoot, RemoveRoot, RotateRootKey};
use canis_proto::{Capabilities, ErrorCode, Interval, KeyType, OperationId};
use canis_tests::Postgres;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use store::{KEYFILE, TestClock, kept};
use zeroize::Zeroizing;

const HOUR: i64 = 3600;

/// What every writer waits for.
const WRITERS_LOCK: &str = "SELECT pg_advisory_xact_lock(1128353353, 1)";

/// How late a server may learn what another one has changed: a second, and more on a machine that does much else besides.
const BOUND: Duration = Duration::from_secs(5);

struct Host {
    core: Core,
    caller: Caller,
    _dir: tempfile::TempDir,
}

struct Shared {
    hosts: Vec<Host>,
    clock: Arc<TestClock>,
    token: String,
    postgres: Postgres,
}

/// So many hosts with one store.
fn shared(hosts: usize) -> Shared {
    shared_on(Postgres::start(), hosts)
}

fn shared_on(postgres: Postgres, hosts: usize) -> Shared {
    let clock = Arc::new(TestClock::at(1_790_000_000));
    let config = StoreConfig { url: postgres.url(), ..StoreConfig::default() };
    let root = NewRoot::Keyfile { key: SecretBytes::copied_from(&KEYFILE) };
    let created =
        setup::create_in(&config, root, &[], default_provider(), Arc::<TestClock>::clone(&clock)).unwrap();
    let token = String::from_utf8(created.token.expose().to_vec()).unwrap();
    let mut shared = Shared { hosts: Vec::new(), clock, token, postgres };
    shared.hosts = (0..hosts).map(|_| shared.another_host()).collect();
    shared
}

impl Shared {
    fn another_host(&self) -> Host {
        let dir = tempfile::tempdir().unwrap();
        let config = StoreConfig { url: self.postgres.url(), ..StoreConfig::default() };
        let store = DataDir::new(dir.path()).open_store_at_hand(Some(&config)).unwrap();
        let core = Core::open(store, default_provider(), Arc::<TestClock>::clone(&self.clock)).unwrap();
        core.unseal(&Credential::Keyfile(SecretBytes::copied_from(&KEYFILE))).unwrap();
        let caller = core.authenticate(&self.token).unwrap();
        Host { core, caller, _dir: dir }
    }

    /// Waits until so many transactions wait for a lock.
    fn until_waiting(&self, transactions: usize) {
        let waiting = || self.postgres.shows("SELECT count(*) FROM pg_locks WHERE NOT granted");
        let end = Instant::now() + Duration::from_secs(60);
        while waiting() != format!("{transactions}\n") {
            assert!(Instant::now() < end, "nobody waits");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs `second` while `first`, which was to write before it, still waits to do so: what `second` has read before is not what
    /// it finds when it writes.
    fn overtaken<A: Send, B: Send>(
        &self,
        first: impl FnOnce() -> A + Send,
        second: impl FnOnce() -> B + Send,
    ) -> (A, B) {
        drop(self.postgres.shows(&format!("BEGIN; {WRITERS_LOCK}; PREPARE TRANSACTION 'held'")));
        std::thread::scope(|scope| {
            let first = scope.spawn(first);
            self.until_waiting(1);
            let second = scope.spawn(second);
            self.until_waiting(2);
            drop(self.postgres.shows("ROLLBACK PREPARED 'held'"));
            (first.join().unwrap(), second.join().unwrap())
        })
    }
}

impl Host {
    fn call<R: canis_core::Run>(&self, request: R) -> canis_proto::Result<R::Answer> {
        self.core.call(&self.caller, request)
    }

    fn version(&self, name: &str) -> u32 {
        self.call(ShowKey { name: name.into(), before_version: 0 }).unwrap().current_version
    }
}

/// R28: a rotation that is due happens once, whichever of the servers looks first, and the same of a planned
/// destruction; the accumulators fit in the end.
#[test]
fn what_is_due_happens_once() {
    let shared = shared(3);
    let [first, ..] = &shared.hosts[..] else { unreachable!() };
    for n in 0..4 {
        let mut request = CreateKey::new(format!("k{n}"), KeyType::Aes256);
        request.interval = Interval::from_seconds(2 * HOUR as u64);
        first.call(request).unwrap();
    }
    first.call(CreateKey::new("going", KeyType::Aes256)).unwrap();
    first.call(DisableKey { name: "going".into() }).unwrap();
    let delay = Interval::from_seconds(25 * HOUR as u64);
    first.call(DestroyKey { name: "going".into(), delay }).unwrap();
    let mut destroyed = Vec::new();
    for round in 2..4 {
        shared.clock.advance(13 * HOUR);
        let rotated: Vec<_> = std::thread::scope(|scope| {
            let looking: Vec<_> =
                shared.hosts.iter().map(|host| scope.spawn(|| host.core.run_due().unwrap())).collect();
            looking.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        let failed: Vec<_> = rotated.iter().flat_map(|report| &report.failed).collect();
        assert!(failed.is_empty(), "{failed:?}");
        destroyed.extend(rotated.iter().flat_map(|report| report.destroyed.clone()));
        let mut done: Vec<_> = rotated.iter().flat_map(|report| report.rotated.clone()).collect();
        done.sort();
        assert_eq!(done, (0..4).map(|n| (format!("k{n}"), round)).collect::<Vec<_>>());
    }
    assert_eq!(destroyed, ["going"]);
    let begun = Instant::now();
    while !shared.hosts.iter().all(|host| host.version("k3") == 3) {
        assert!(begun.elapsed() < BOUND, "a host has not learnt of the rotation");
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(first.core.check_rows().unwrap(), []);
}

/// R29: rotations that people ask for on several servers at once are all made, each with a number of its own.
#[test]
fn changes_of_all_servers_count() {
    let shared = shared(3);
    shared.hosts[0].call(CreateKey::new("k", KeyType::Aes256)).unwrap();
    let mut made: Vec<u32> = std::thread::scope(|scope| {
        let rotating: Vec<_> = shared
            .hosts
            .iter()
            .map(|host| {
                scope.spawn(|| {
                    let mut made = Vec::new();
                    while made.len() < 5 {
                        match host.call(RotateKey { name: "k".into(), preview: false }) {
                            Ok(done) => made.push(done.version),
                            Err(error) => assert!(
                                matches!(error.code, ErrorCode::Conflict | ErrorCode::KeyNotFound),
                                "{error}"
                            ),
                        }
                    }
                    made
                })
            })
            .collect();
        rotating.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    made.sort_unstable();
    assert_eq!(made, (2..=16).collect::<Vec<_>>());
    assert_eq!(shared.hosts[2].core.check_rows().unwrap(), []);
}

/// An idempotency key is one on all servers, however close together they are asked.
#[test]
fn once_on_all_servers() {
    let shared = shared(2);
    let create = |host: &Host, name: &'static str, by: &[u8]| {
        let once = Once { key: by, operation: OperationId::CreateKey, arguments: name.as_bytes() };
        let answer = host.core.once(&host.caller, &once, |core| {
            let made = core.call(&host.caller, CreateKey::new(name, KeyType::Ed25519))?;
            Ok(Zeroizing::new(made.id.into_bytes()))
        });
        answer.map(|answer| answer.to_vec())
    };
    for name in ["a", "b", "c", "d"] {
        let ids: Vec<_> = std::thread::scope(|scope| {
            let asked: Vec<_> = shared
                .hosts
                .iter()
                .map(|host| scope.spawn(|| create(host, name, name.as_bytes()).unwrap()))
                .collect();
            asked.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!(ids[0], ids[1], "{name} was made twice");
    }
    let other = create(&shared.hosts[1], "z", b"a").map_err(|error| error.code);
    assert_eq!(other, Err(ErrorCode::IdempotencyConflict));
}

/// What is destroyed on one server is not used by another that had it in memory, within a second.
#[test]
fn destroyed_keys_are_forgotten() {
    let shared = shared(2);
    let [a, b] = &shared.hosts[..] else { unreachable!() };
    a.call(CreateKey::new("k", KeyType::Aes256)).unwrap();
    let encrypt = || {
        b.call(Encrypt { name: "k".into(), plaintext: b"x"[..].into(), context: b""[..].into(), version: 0 })
    };
    let begun = Instant::now();
    while encrypt().is_err() {
        assert!(begun.elapsed() < BOUND, "the new key was not seen");
    }
    a.call(DisableKey { name: "k".into() }).unwrap();
    a.call(DestroyKey { name: "k".into(), delay: Interval::NEVER }).unwrap();
    let begun = Instant::now();
    while encrypt().is_ok() {
        assert!(begun.elapsed() < BOUND, "a destroyed key encrypts");
    }
}

fn rotate_root_key(host: &Host) -> canis_proto::Result<u32> {
    let keyfile = kept("keyfile", "keyfile", &KEYFILE);
    let keep = vec![keyfile.to_map()];
    host.core
        .call(&host.core.operator(), RotateRootKey { keep, drop: Vec::new() })
        .map(|answer| answer.root_key)
}

fn add_passphrase(host: &Host) {
    let passphrase = kept("", "passphrase", b"a passphrase");
    let mut fields = passphrase.to_map();
    fields.take("slot");
    let request = AddRoot::from_fields(&mut Fields::new("root.add", fields)).unwrap();
    host.core.call(&host.core.operator(), request).map(drop).unwrap();
}

fn remove_root(host: &Host, slot: &str) -> canis_proto::Result<u32> {
    host.core.call(&host.core.operator(), RemoveRoot { slot: slot.into() }).map(|answer| answer.left)
}

/// R92: what another server makes while the root key is replaced comes under the new one, too; and where it is a root slot, of
/// which nothing was said, nothing is done.
#[test]
fn a_new_root_key_leaves_nothing_behind() {
    let shared = shared_on(Postgres::with(&["max_prepared_transactions=1"]), 2);
    let [a, b] = &shared.hosts[..] else { unreachable!() };
    let ((), rotated) = shared.overtaken(|| add_passphrase(b), || rotate_root_key(a));
    let refused = rotated.unwrap_err();
    assert!(refused.code == ErrorCode::Conflict && refused.message.contains("root list"), "{refused}");
    assert_eq!(remove_root(a, "passphrase").unwrap(), 1);

    let made = || b.call(CreateCredential::new(Capabilities::ALL)).map(|made| made.token.clone().unwrap());
    let (made, rotated) = shared.overtaken(made, || rotate_root_key(a));
    assert_eq!(rotated.unwrap(), 2);
    let made = made.unwrap();
    a.core.authenticate(&made).map(drop).unwrap();
    let fresh = shared.another_host();
    fresh.core.authenticate(&made).map(drop).unwrap();
    assert_eq!(fresh.core.check_rows().unwrap(), []);
}

/// R91: two servers that each remove one of the last two root slots leave one.
#[test]
fn the_last_root_slot_stays_whoever_asks() {
    let shared = shared_on(Postgres::with(&["max_prepared_transactions=1"]), 2);
    let [a, b] = &shared.hosts[..] else { unreachable!() };
    add_passphrase(a);
    let (first, second) = shared.overtaken(|| remove_root(b, "passphrase"), || remove_root(a, "keyfile"));
    assert_eq!(first.unwrap(), 1);
    let refused = second.unwrap_err();
    assert!(refused.message.contains("is the last that opens the store"), "{refused}");
    shared.another_host();
}

/// R92: whoever reads at another server while a tenant gets a new key is not told that rows were changed by other hands.
#[test]
fn a_new_tenant_key_raises_no_alarm_elsewhere() {
    let shared = shared(2);
    let [a, b] = &shared.hosts[..] else { unreachable!() };
    for n in 0..20 {
        a.call(CreateKey::new(format!("k{n}"), KeyType::Aes256)).unwrap();
    }
    let name =
        a.core.call(&a.core.operator(), canis_proto::tenant::ListTenants).unwrap().tenants[0].name.clone();
    let (over, lists) = (AtomicBool::new(false), [AtomicUsize::new(0), AtomicUsize::new(0)]);
    let list = |done: &AtomicUsize| {
        let mut failed = None;
        while !over.load(Ordering::Acquire) {
            // Each row is read and opened anew.
            let all = ListKeys { prefix: "".into(), after: "".into(), limit: 0, include_deleted: false };
            failed = failed.or(b.call(all).err());
            done.fetch_add(1, Ordering::AcqRel);
        }
        failed
    };
    let rekey = || {
        let request = RekeyTenant { name: name.as_str().into(), so_pin: None, pin: None };
        let done = a.core.call(&a.core.operator(), request).map(drop);
        // Whatever was read before that has been opened when the next one begins.
        let before: Vec<_> = lists.iter().map(|lists| lists.load(Ordering::Acquire)).collect();
        while lists.iter().zip(&before).any(|(now, before)| now.load(Ordering::Acquire) < before + 2) {
            std::thread::yield_now();
        }
        done
    };
    let (rekeyed, failed) = std::thread::scope(|scope| {
        let list = &list;
        let listing = lists.each_ref().map(|done| scope.spawn(move || list(done)));
        let rekeyed: Vec<_> = (0..10).map(|_| rekey()).collect();
        over.store(true, Ordering::Release);
        (rekeyed, listing.map(|thread| thread.join().unwrap()))
    });
    assert_eq!(rekeyed, vec![Ok(()); 10]);
    assert_eq!(failed, [None, None]);
}

/// R92: a tenant gets a new key at one server between what a restore at another one has read and what it writes: nothing comes back
/// under the key that is gone. Asked again, the restore sees what is so now.
#[test]
fn nothing_is_restored_under_a_key_that_was_replaced() {
    let shared = shared_on(Postgres::with(&["max_prepared_transactions=1"]), 2);
    let [a, b] = &shared.hosts[..] else { unreachable!() };
    b.call(CreateKey::new("lost", KeyType::Aes256)).unwrap();
    let made = b.call(CreateBackup { slot: "keyfile".into(), public_key: (&b""[..]).into() }).unwrap();
    let file = b.call(ReadBackup { backup: made.backup.into(), offset: 0 }).unwrap().data;
    drop(shared.postgres.shows("DELETE FROM kms_key_versions; DELETE FROM objects; DELETE FROM kms_keys"));
    let tenants = a.core.call(&a.core.operator(), canis_proto::tenant::ListTenants).unwrap();
    let name = tenants.tenants[0].name.as_str();
    let rekey = || {
        let request = RekeyTenant { name: name.into(), so_pin: None, pin: None };
        a.core.call(&a.core.operator(), request).map(drop)
    };
    let restore = || {
        let request = RestoreBackup { file: &mut &file[..], resurrect: false };
        b.core.call(&b.core.operator(), request).map(|merged| merged.restored)
    };
    let (rekeyed, restored) = shared.overtaken(rekey, restore);
    rekeyed.unwrap();
    assert_eq!(restored.unwrap_err().code, ErrorCode::Conflict);
    assert_eq!(shared.postgres.shows("SELECT count(*) FROM kms_keys"), "0\n");
    assert_eq!(restore().unwrap(), 0);
}
