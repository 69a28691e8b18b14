//! Several servers on one store in PostgreSQL: what one of them changes, all of them keep to within a second.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Postgres, Server, Site};
use std::time::{Duration, Instant};

/// How late a server may learn what another one has changed: a second (docs/operations.md), and more on a machine that does
/// much else besides.
const BOUND: Duration = Duration::from_secs(5);

struct Pair {
    postgres: Postgres,
    sites: [Site; 2],
    servers: [Server; 2],
}

fn pair() -> Pair {
    let postgres = Postgres::start();
    let first = Site::in_database(&postgres);
    let second = first.beside();
    let servers = [first.start().unsealed(), second.start().unsealed()];
    Pair { postgres, sites: [first, second], servers }
}

fn ok(done: Finished) -> String {
    done.ok().text()
}

/// How long `ask` goes on succeeding after `change`, asked without a pause.
fn refused_after(change: impl FnOnce(), mut ask: impl FnMut() -> Finished) -> Finished {
    ask().ok();
    change();
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        let done = ask();
        if done.code != 0 {
            return done;
        }
        assert!(asked - begun < BOUND, "it was still allowed {:?} later", asked - begun);
    }
}

/// R62: a key of one server is the other's; what one encrypts the other decrypts; and there is no canis.dat.
#[test]
fn servers_share_keys() {
    let pair = pair();
    let [a, b] = &pair.servers;
    ok(a.canis(&["key", "create", "k", "--type", "aes256-gcm"], b""));
    let sealed = ok(a.canis(&["encrypt", "k"], b"both"));
    assert_eq!(ok(b.canis(&["decrypt", "k"], sealed.trim().as_bytes())), "both");
    ok(b.canis(&["key", "rotate", "k"], b""));
    let begun = Instant::now();
    loop {
        let asked = Instant::now();
        if ok(a.canis(&["encrypt", "k"], b"both")).starts_with("canis:v1:k:2:") {
            break;
        }
        assert!(asked - begun < BOUND, "the rotation was not noticed");
    }
    assert!(pair.sites.iter().all(|site| !site.data().join("canis.dat").exists()));
    assert_eq!(pair.postgres.shows("SELECT name, current_version FROM kms_keys"), "k|2\n");
}

/// A disabled key and a revoked token are refused by every server within the bound, also when nobody is told.
#[test]
fn what_is_taken_away_is_gone_everywhere() {
    let pair = pair();
    let [a, b] = &pair.servers;
    ok(a.canis(&["key", "create", "k", "--type", "aes256-gcm"], b""));
    let disabled = refused_after(
        || drop(ok(a.canis(&["key", "disable", "k"], b""))),
        || b.canis(&["encrypt", "k"], b"x"),
    );
    assert!(disabled.stderr.contains("disabled"), "{}", disabled.stderr);
    // NOTIFY gets lost: whoever listens is cut off.
    ok(a.canis(&["key", "enable", "k"], b""));
    std::thread::sleep(BOUND);
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query = 'LISTEN canis'";
    drop(pair.postgres.shows(cut));
    let disabled = refused_after(
        || {
            ok(a.canis(&["key", "disable", "k"], b""));
            drop(pair.postgres.shows(cut));
        },
        || b.canis(&["encrypt", "k"], b"x"),
    );
    assert!(disabled.stderr.contains("disabled"), "{}", disabled.stderr);
}

/// Each server has a chain of its own in the audit log, and leaves the others' alone: neither at its start nor in
/// `audit verify` is a server that is at work, or stopped, on another host taken for one that lost its files.
#[test]
fn each_host_has_its_own_audit_log() {
    let pair = pair();
    let [a, b] = pair.servers;
    ok(a.canis(&["key", "create", "of-a", "--type", "aes256-gcm"], b""));
    ok(b.canis(&["key", "create", "of-b", "--type", "aes256-gcm"], b""));
    for server in [&a, &b] {
        let found = ok(server.canis(&["audit", "verify"], b""));
        assert!(found.contains("other hosts"), "{found}");
    }
    // One is killed and comes back: it looks after what it left itself.
    a.kill();
    let again = pair.sites[0].start().unsealed();
    ok(again.canis(&["key", "create", "later", "--type", "aes256-gcm"], b""));
    for server in [&again, &b] {
        ok(server.canis(&["audit", "verify"], b""));
    }
    ok(b.canis(&["key", "create", "goes-on", "--type", "aes256-gcm"], b""));
    ok(b.canis(&["audit", "verify"], b""));
    // Its files are missed on their own host, and there only. It is stopped first: the store does not know yet what a
    // server that is killed wrote in its last second.
    let audit = pair.sites[1].data().join("audit");
    b.stop();
    std::fs::remove_dir_all(&audit).unwrap();
    let back = pair.sites[1].start().unsealed();
    assert_ne!(back.canis(&["audit", "verify"], b"").code, 0, "files were taken away");
    ok(again.canis(&["audit", "verify"], b""));
}

/// How long `ask` goes on answering as before, once `change` was made: measured from when that was acknowledged.
fn noticed_after(change: impl FnOnce(), mut is_new: impl FnMut() -> bool) -> Duration {
    assert!(!is_new(), "it was so before");
    change();
    let begun = Instant::now();
    loop {
        let asked = begun.elapsed();
        if is_new() {
            return asked;
        }
        assert!(asked < BOUND, "it was not noticed after {asked:?}");
    }
}

/// R69: where nobody is told of changes, since the database lets nobody listen, a disabled key, a changed policy, a revoked token
/// and a rotated key are so at the other server within the bound, by asking alone.
#[test]
fn asking_alone_is_enough() {
    let pair = pair();
    let [a, b] = &pair.servers;
    // Whoever listens is cut off, for the whole of the test.
    let over = std::sync::atomic::AtomicBool::new(false);
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE query = 'LISTEN canis'";
    std::thread::scope(|scope| {
        let stop = Over(&over);
        scope.spawn(|| {
            while !over.load(std::sync::atomic::Ordering::SeqCst) {
                drop(pair.postgres.shows(cut));
            }
        });
        ok(a.canis(&["key", "create", "k", "--type", "aes256-gcm"], b""));
        let policy = pair.sites[0].file("users.hcl");
        let allow = |capabilities: &str| {
            std::fs::write(&policy, format!("path \"kms/keys/*\" {{ capabilities = [{capabilities}] }}\n"))
                .unwrap();
            ok(a.canis(&["policy", "put", "users", &policy.display().to_string()], b""));
        };
        allow("\"encrypt\", \"read\"");
        let made = ok(a.canis(&["token", "create", "--policy", "users", "--json"], b""));
        let made: serde_json::Value = serde_json::from_str(&made).unwrap();
        let (token, id) = (made["token"].as_str().unwrap(), made["id"].as_str().unwrap());
        let as_user = || b.canis_as(token, &["encrypt", "k"], b"x");
        std::thread::sleep(BOUND);
        let rotated = noticed_after(
            || drop(ok(a.canis(&["key", "rotate", "k"], b""))),
            || as_user().ok().text().starts_with("canis:v1:k:2:"),
        );
        std::thread::sleep(BOUND);
        let denied = noticed_after(|| allow("\"read\""), || as_user().stderr.contains("permission_denied"));
        allow("\"encrypt\", \"read\"");
        std::thread::sleep(BOUND);
        let disabled = noticed_after(
            || drop(ok(a.canis(&["key", "disable", "k"], b""))),
            || as_user().stderr.contains("disabled"),
        );
        ok(a.canis(&["key", "enable", "k"], b""));
        std::thread::sleep(BOUND);
        let revoked = noticed_after(
            || drop(ok(a.canis(&["token", "revoke", id], b""))),
            || as_user().stderr.contains("unauthenticated"),
        );
        println!(
            "a rotated key {rotated:?}, a policy {denied:?}, a disabled key {disabled:?}, a revoked token {revoked:?}"
        );
        drop(stop);
    });
}

/// Ends what goes on beside a test, also when that fails.
struct Over<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::SeqCst);
    }
}
