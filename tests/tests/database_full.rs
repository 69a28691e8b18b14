//! A database whose disk is full: changes are refused, keys in memory are used on, and all goes on when there is room again.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_client::{Config, Shared};
use canis_proto::message::{CreateKey, Decrypt, Encrypt, RotateKey, Status};
use canis_proto::{Error, ErrorCode, KeyType, Result};
use canis_tests::{Postgres, Server, Site};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What a test waits for comes long before.
const PATIENCE: Duration = Duration::from_secs(60);
/// How large the disk is: the store's tables, and little more.
const SIZE: &str = "4m";
/// In the environment of the process that the test runs in: where the disk is.
const DISK: &str = "CANIS_SMALL_DISK";

/// Runs `test` in a process and a mount namespace of its own, with a small disk; not where nobody may mount one.
fn on_small_disk(name: &str, test: impl FnOnce(&Path)) {
    if let Some(mount) = std::env::var_os(DISK) {
        return test(&PathBuf::from(mount));
    }
    let dir = tempfile::tempdir().unwrap();
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        let root =
            std::fs::metadata("/proc/self").map(|of| std::os::unix::fs::MetadataExt::uid(&of)).unwrap() == 0;
        // PostgreSQL refuses to be root, so that who is not root stays who one is.
        if !root {
            command.args(["--map-current-user", "--keep-caps"]);
        }
        command.args(["--mount", "sh", "-c", script]).arg(std::env::current_exe().unwrap()).arg(name);
        command.env(DISK, dir.path());
        canis_tests::run(&mut command, b"")
    };
    let mount = format!("mount -t tmpfs -o size={SIZE},mode=0777 tmpfs \"${DISK}\"");
    let tried = unshare(&mount);
    if tried.code != 0 {
        eprintln!("skipped: a small disk cannot be mounted here: {}", tried.stderr.trim());
        return;
    }
    let done = unshare(&format!("{mount} && exec \"$0\" --exact \"$1\" --nocapture")).ok();
    assert!(done.text().contains("1 passed"), "{}", done.text());
}

fn client(server: &Server, site: &Site) -> Shared {
    let ca = std::fs::read(server.ca()).unwrap();
    let token = Some(Zeroizing::new(site.token.clone()));
    Shared::new(&Config { token, ..Config::new(server.addr(), ca, "ca.pem") }).unwrap()
}

fn rotate(client: &Shared, name: &str) -> Result<u32> {
    client.call(&RotateKey { name: name.into(), preview: false }).map(|done| done.version)
}

fn eventually<T>(what: &str, mut ask: impl FnMut() -> Result<T>) -> T {
    let end = Instant::now() + PATIENCE;
    loop {
        match ask() {
            Ok(answer) => return answer,
            Err(error) => assert!(Instant::now() < end, "{what}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A store whose tables are on the small disk, all else of the database elsewhere.
fn in_small_database(disk: &Path) -> (Postgres, Site) {
    let postgres = Postgres::start();
    let place = disk.join("tables");
    std::fs::create_dir(&place).unwrap();
    postgres.give(&place);
    drop(postgres.shows(&format!("CREATE TABLESPACE small LOCATION '{}'", place.display())));
    drop(postgres.shows("ALTER ROLE canis SET default_tablespace = small"));
    let site = Site::in_database(&postgres);
    (postgres, site)
}

/// Takes all that is left of the disk.
fn fill(disk: &Path) -> PathBuf {
    let filler = disk.join("filler");
    let full = std::fs::write(&filler, vec![1; 8 << 20]).unwrap_err();
    assert_eq!(full.raw_os_error(), Some(28), "the disk takes more than it has: {full}");
    filler
}

/// R65: with no room in the database two servers refuse changes with `store_full`, lose none that they acknowledged, use keys on and
/// tell their state; with room again both go on by themselves.
#[test]
fn a_full_database() {
    on_small_disk("a_full_database", |disk| {
        let (postgres, first) = in_small_database(disk);
        let second = first.beside();
        let servers = [first.start().unsealed(), second.start().unsealed()];
        let clients = [client(&servers[0], &first), client(&servers[1], &second)];
        clients[0].call(&CreateKey::new("cached", KeyType::Aes256)).unwrap();
        let kept = clients[0].call(&Encrypt::new("cached", &b"text"[..])).unwrap().ciphertext;
        for client in &clients {
            eventually("the key", || client.call(&Decrypt::new("cached", kept.clone())));
        }
        let filler = fill(disk);
        let mut acknowledged = Vec::new();
        let mut refused = 0;
        // Pages that there are may have room for some changes still.
        for n in 0.. {
            let (client, name) = (&clients[n % 2], format!("k{n}"));
            match client.call(&CreateKey::new(name.as_str(), KeyType::Aes256)) {
                Ok(_) => acknowledged.push(name),
                Err(Error { code: ErrorCode::StoreFull, message, .. }) => {
                    assert!(message.contains("nothing was written") && message.contains("room"), "{message}");
                    refused += 1;
                }
                Err(error) => panic!("{error}"),
            }
            for client in &clients {
                client.call(&Decrypt::new("cached", kept.clone())).unwrap();
                assert!(!client.call(&Status).unwrap().sealed);
            }
            assert!(n < 5000, "the disk was never full");
            if refused > 6 {
                break;
            }
        }
        println!("{} keys were made on the full disk, {refused} refused", acknowledged.len());
        std::fs::remove_file(filler).unwrap();
        for client in &clients {
            eventually("a change", || rotate(client, "cached"));
        }
        for name in &acknowledged {
            for client in &clients {
                let sealed = eventually(name, || client.call(&Encrypt::new(name, &b"text"[..])));
                client.call(&Decrypt::new(name, sealed.ciphertext)).unwrap();
            }
        }
        drop(clients);
        servers.into_iter().for_each(|server| drop(server.stop()));
        first.canis("store verify").ok();
        first.canis("audit verify").ok();
        drop(postgres);
    });
}
