//! A full disk at every writing step: a clear error, nothing half-written, and all is well when there is room again.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod store;

use canis_core::clock::SystemClock;
use canis_core::datadir::DataDir;
use canis_core::root::NewRoot;
use canis_core::secret::SecretBytes;
use canis_core::token::{InitToken, InitUserPin, ListTokens, Login, Logout, Role};
use canis_core::{Caller, Core, VerifyStore, default_provider, setup};
use canis_proto::message::{CreateKey, ListKeys};
use canis_proto::{ErrorCode, KeyType};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use store::{KEYFILE, open};

const PAGE: usize = 4096;

/// A file system of one mebibyte, with as much of it free as a test wants.
struct SmallDisk {
    mount: PathBuf,
}

impl SmallDisk {
    /// Leaves exactly `pages` free.
    fn leave(&self, pages: usize) {
        self.make_room();
        // The filler's own size is found by writing until the disk is full, then giving back.
        let filler = self.mount.join("filler");
        let written = std::fs::write(&filler, vec![1; 2 << 20]).unwrap_err();
        assert_eq!(written.raw_os_error(), Some(28), "the disk takes more than it has: {written}");
        let len = std::fs::metadata(&filler).unwrap().len();
        let keep = len.saturating_sub((pages * PAGE) as u64);
        std::fs::File::options().write(true).open(&filler).unwrap().set_len(keep).unwrap();
    }

    fn make_room(&self) {
        drop(std::fs::remove_file(self.mount.join("filler")));
    }
}

/// Runs `test` in a mount namespace of its own, in a process of its own.
fn on_small_disk(name: &str, test: impl FnOnce(&SmallDisk)) {
    if let Some(mount) = std::env::var_os("SMALL_DISK") {
        return test(&SmallDisk { mount: mount.into() });
    }
    let dir = tempfile::tempdir().unwrap();
    let script = "mount -t tmpfs -o size=1m tmpfs \"$SMALL_DISK\" && exec \"$0\" --exact \"$1\" --nocapture";
    let mut child = Command::new("unshare");
    child
        .args(["--map-root-user", "--mount", "sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .arg(name);
    let output = canis_tests::run(child.env("SMALL_DISK", dir.path()), b"").ok();
    assert!(output.text().contains("1 passed"), "{}", output.text());
}

fn create(dir: &Path) -> canis_proto::Result<()> {
    let root = NewRoot::Keyfile { key: SecretBytes::copied_from(&KEYFILE) };
    setup::create(&DataDir::new(dir), root, &[], default_provider(), Arc::new(SystemClock)).map(|_| ())
}

/// Every step of making a store.
#[test]
fn making_a_store() {
    on_small_disk("making_a_store", |disk| {
        let dir = disk.mount.join("data");
        let mut failures = 0;
        for pages in 0.. {
            std::fs::create_dir(&dir).unwrap();
            disk.leave(pages);
            match create(&dir) {
                Ok(()) => break,
                Err(e) => {
                    assert_eq!(e.code, ErrorCode::StoreFull, "{pages} pages: {e}");
                    failures += 1;
                }
            }
            let left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|f| f.unwrap().file_name()).collect();
            assert!(left.iter().all(|f| f == "canis.dat.lock"), "{pages} pages: {left:?} stayed behind");
            disk.make_room();
            std::fs::remove_dir_all(&dir).unwrap();
        }
        assert!(failures > 10, "only {failures} steps were tried");
        disk.make_room();
        open(&dir, default_provider());
    });
}

fn keys(core: &Core, caller: &Caller) -> Vec<String> {
    let list = ListKeys { prefix: "".into(), after: "".into(), limit: 1000, include_deleted: false };
    core.call(caller, list).map(|page| page.keys.into_iter().map(|k| k.name).collect()).unwrap()
}

fn assert_whole(dir: &Path) {
    let core = open(dir, default_provider());
    let token = core.call(&Caller::anonymous(), ListTokens).unwrap()[0].id;
    let report = core.call(&core.owner(token).unwrap(), VerifyStore).unwrap();
    assert_eq!(report.refused, []);
}

/// Every step of changing it, on a core that goes on serving.
#[test]
fn changing_a_store() {
    on_small_disk("changing_a_store", |disk| {
        let dir = disk.mount.join("data");
        std::fs::create_dir(&dir).unwrap();
        create(&dir).unwrap();
        let core = open(&dir, default_provider());
        let token = core.call(&Caller::anonymous(), ListTokens).unwrap()[0].id;
        let owner = core.owner(token).unwrap();
        let pin = SecretBytes::copied_from(b"1234-5678");
        core.call(&owner, InitUserPin { pin: (&pin).into() }).unwrap();
        let application = core.application();
        let user = Caller::pkcs11(&application, token);
        let mut made = Vec::new();
        let mut refused = 0;
        for pages in 0..24 {
            disk.leave(pages);
            let name = format!("k{pages}");
            let kind = KeyType::Ed25519;
            let request = CreateKey::new(name.clone(), kind);
            let mut full = |result: canis_proto::Result<()>| match result {
                Ok(()) => true,
                Err(e) => {
                    assert_eq!(e.code, ErrorCode::StoreFull, "{pages} pages: {e}");
                    refused += 1;
                    false
                }
            };
            if full(core.call(&owner, request).map(|_| ())) {
                made.push(name);
            }
            // A login that cannot be counted is refused, not left uncounted.
            if full(core.call(&user, Login { role: Role::User, pin: (&pin).into() })) {
                core.call(&user, Logout).unwrap();
            }
            full(
                core.call(&owner, InitToken { slot: 1 + pages as u32, label: "t", so_pin: (&pin).into() })
                    .map(|_| ()),
            );
            disk.make_room();
            made.sort();
            assert_eq!(keys(&core, &owner), made);
        }
        assert!(refused > 3, "the disk was never full");
        core.call(&user, Login { role: Role::User, pin: (&pin).into() }).unwrap();
        drop(core);
        assert_whole(&dir);
    });
}
