//! Several servers on one store in PostgreSQL, each opened by a root slot of its own: new root and tenant keys of one are
//! those of all, without a restart.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Postgres, Server, Site, SoftHsm};
use std::time::{Duration, Instant};

/// What a test waits for comes long before.
const PATIENCE: Duration = Duration::from_secs(60);

/// A server that learns of a new root key seals its store within a second or so, and opens it again by itself: until then
/// anything may be refused, also after something has worked.
fn eventually(what: &str, mut ask: impl FnMut() -> Finished) -> Finished {
    let end = Instant::now() + PATIENCE;
    loop {
        let done = ask();
        if done.code == 0 {
            return done;
        }
        assert!(Instant::now() < end, "{what}: {}", done.stderr);
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn each_uses_what_the_other_makes(servers: &[Server; 2], name: &str) {
    let [a, b] = servers;
    for (from, to, name) in [(a, b, format!("{name}-a")), (b, a, format!("{name}-b"))] {
        eventually("a new key", || from.canis(&["key", "create", &name, "--type", "aes256-gcm"], b""));
        let sealed = eventually("its use", || from.canis(&["encrypt", &name], b"both")).text();
        let opened = eventually("the other's", || to.canis(&["decrypt", &name], sealed.trim().as_bytes()));
        assert_eq!(opened.text(), "both");
    }
}

/// After `root rotate-key` and `tenant rekey` at one server the other goes on by itself: it opens the store again by its own
/// slot. What was encrypted before opens at both.
#[test]
fn new_root_and_tenant_keys_are_everybodys() {
    let postgres = Postgres::start();
    let first = Site::in_database(&postgres);
    let second = first.beside();
    let servers = [first.start().unsealed(), second.start().unsealed()];
    let [a, b] = &servers;
    a.canis(&["key", "create", "old", "--type", "aes256-gcm"], b"").ok();
    let sealed = a.canis(&["encrypt", "old"], b"before").ok().text();
    let opens = |server: &Server| {
        eventually("the old key", || server.canis(&["decrypt", "old"], sealed.trim().as_bytes())).text()
    };
    let keep = format!("keyfile={}", first.file("root.key").display());
    for round in 0..2 {
        eventually("a new tenant key", || a.canis(&["tenant", "rekey", "default"], b""));
        assert_eq!((opens(b), opens(a)), ("before".into(), "before".into()));
        each_uses_what_the_other_makes(&servers, &format!("tenant{round}"));
        let at = if round == 0 { a } else { b };
        eventually("a new root key", || at.canis(&["root", "rotate-key", "--keep", &keep], b""));
        assert_eq!((opens(a), opens(b)), ("before".into(), "before".into()));
        each_uses_what_the_other_makes(&servers, &format!("root{round}"));
    }
    for (server, site) in servers.into_iter().zip([&first, &second]) {
        eventually("the log", || server.canis(&["audit", "verify"], b""));
        server.stop();
        site.canis("store verify").ok();
    }
}

/// R62: one server is opened by its HSM, the other one, which has none, by a key file; both serve the same keys, and each opens
/// again by itself after a restart.
#[test]
fn each_server_opens_by_its_own_slot() {
    let (postgres, hsm) = (Postgres::start(), SoftHsm::new("shared"));
    let first = Site::with_hsm_in_database(&hsm, &postgres);
    let a = first.start().unsealed();
    let keyfile = first.file("second.key").display().to_string();
    a.canis(&["root", "add", "keyfile", "--new-keyfile", &keyfile], b"").ok();
    let second = first.beside();
    let start = || second.start_with(&["--keyfile", &keyfile]).unsealed();
    let servers = [a, start()];
    each_uses_what_the_other_makes(&servers, "k");
    let [a, b] = servers;
    b.kill();
    let servers = [a, start()];
    each_uses_what_the_other_makes(&servers, "again");
}
