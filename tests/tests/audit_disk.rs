//! The audit log and a disk that is full, that fails, or that loses its power with the process.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Server, Site, run};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until a use of the key is refused for the log's sake, and `status` says why.
fn wait_until_refused(server: &Server, why: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let refused = server.canis(&["encrypt", "a"], b"text");
        if refused.stderr.contains("audit_unavailable") {
            break;
        }
        assert!(Instant::now() < end, "it goes on without a log: {}", refused.stderr);
    }
    let status: Value = serde_json::from_str(&server.canis(&["status", "--json"], b"").ok().text()).unwrap();
    assert!(status["audit"].as_str().unwrap().contains(why), "{status}");
}

fn wait_until_served(server: &Server) {
    let end = Instant::now() + PATIENCE;
    while server.canis(&["encrypt", "a"], b"text").code != 0 {
        assert!(Instant::now() < end, "it does not go on");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// R87: a disk that cannot keep what it is given: nothing is done while it is so, whenever lines are to be on it.
#[test]
fn a_disk_that_fails() {
    for sync in ["soon", "always"] {
        let site = Site::with_keyfile();
        let library = site.file("broken_disk.so").display().to_string();
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/audit_disk/broken_disk.c");
        run(Command::new("cc").args(["-shared", "-fPIC", "-o", &library, source, "-ldl"]), b"").ok();
        let broken = site.file("broken");
        let preload = format!("LD_PRELOAD={library}");
        let named = format!("BROKEN_DISK={}", broken.display());
        let server = site.start_by(&["env", &preload, &named], &["--audit-sync", sync]).unsealed();
        server.canis(&["key", "create", "a", "--type", "aes256-gcm"], b"").ok();
        fs::write(&broken, b"").unwrap();
        wait_until_refused(&server, "Input/output error");
        fs::remove_file(&broken).unwrap();
        wait_until_served(&server);
        let verified = server.canis(&["audit", "verify"], b"");
        assert_eq!(verified.code, 0, "{sync}: {}", verified.text());
        server.stop();
    }
}

fn fill(folder: &Path) -> PathBuf {
    let filler = folder.join("filler");
    let written = fs::write(&filler, vec![1; 1 << 20]).unwrap_err();
    assert_eq!(written.raw_os_error(), Some(28), "{written}");
    filler
}

/// R87: a full disk: nothing is done until there is room again; what was written before is whole.
#[test]
fn a_full_disk() {
    let site = Site::with_keyfile();
    let folder = site.data().join("audit");
    fs::create_dir_all(&folder).unwrap();
    let script = format!("mount -t tmpfs -o size=256k tmpfs '{}' && exec \"$0\" \"$@\"", folder.display());
    let by = ["unshare", "--map-root-user", "--mount", "sh", "-c", &script];
    let server = site.start_by(&by, &[]).unsealed();
    server.canis(&["key", "create", "a", "--type", "aes256-gcm"], b"").ok();
    // The folder as the server sees it.
    let seen = PathBuf::from(format!("/proc/{}/root{}", server.pid(), folder.display()));
    let filler = fill(&seen);
    wait_until_refused(&server, "No space left");
    fs::remove_file(filler).unwrap();
    wait_until_served(&server);
    let verified = server.canis(&["audit", "verify"], b"");
    assert_eq!(verified.code, 0, "{}", verified.text());
    server.stop();
}

/// R87: also a use that was answered has its line, whatever happens to the process.
#[test]
fn no_use_loses_its_line_to_kill_9() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    server.canis(&["key", "create", "a", "--type", "aes256-gcm"], b"").ok();
    for _ in 0..20 {
        server.canis(&["encrypt", "a"], b"text").ok();
    }
    server.kill();
    let server = site.start().unsealed();
    let found = server.canis(&["audit", "search", "--op", "encrypt", "--result", "ok"], b"").ok();
    assert_eq!(found.text().lines().count(), 20);
    let verified = server.canis(&["audit", "verify"], b"");
    assert_eq!(verified.code, 0, "{}", verified.text());
    server.stop();
}
