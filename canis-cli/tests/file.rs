//! `canis file`: files encrypted in the format age v1 with keys of a server, and what becomes of damaged ones.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::{Shared, failure, memory, program, shared, stdout};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

/// In no way periodic.
fn content(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A key of this type that opens files.
fn key(shared: &Shared, name: &str, kind: &str) {
    let usage = if kind.starts_with("ecdsa") { &["--usage", "derive"][..] } else { &[] };
    stdout(&shared.canis(&[&["key", "create", name, "--type", kind], usage].concat()));
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Folder(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn with(&self, name: &str, content: &[u8]) -> PathBuf {
        fs::write(self.path(name), content).unwrap();
        self.path(name)
    }

    /// What lies there, hidden or not.
    fn names(&self) -> Vec<String> {
        let names =
            fs::read_dir(self.0.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }
}

/// `canis` without a server, token or certificate.
fn offline(args: &[&str]) -> Output {
    let mut command = Command::new(program("canis"));
    command
        .env_remove("CANIS_ADDR")
        .env_remove("CANIS_CACERT")
        .env_remove("CANIS_TOKEN")
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// R82, R83, R85: keys of every kind that can, around every edge of the chunks, by files and by pipes; what is written holds
/// nothing of what was read, and has its mode.
#[test]
fn files_come_back() {
    let (shared, folder) = (shared(), Folder::new());
    for kind in ["aes256-gcm", "aes128-gcm", "rsa-2048", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "x25519"] {
        let name = format!("back/{kind}");
        key(&shared, &name, kind);
        let (sealed, opened) = (folder.path("sealed"), folder.path("opened"));
        for len in [0, 1, 65_535, 65_536, 65_537, 131_072, 3_000_000] {
            let content = content(len);
            let plain = folder.with("plain", &content);
            fs::set_permissions(&plain, fs::Permissions::from_mode(0o640)).unwrap();
            stdout(&shared.canis(&["file", "encrypt", "--key", &name, text(&plain), text(&sealed)]));
            let ciphertext = fs::read(&sealed).unwrap();
            assert!(ciphertext.starts_with(b"age-encryption.org/v1\n-> canis back/"));
            let piece = &content[..content.len().min(32)];
            assert!(piece.len() < 32 || !ciphertext.windows(32).any(|window| window == piece));
            stdout(&shared.canis(&["file", "decrypt", text(&sealed), text(&opened)]));
            assert!(fs::read(&opened).unwrap() == content, "{kind}, {len} bytes");
            for path in [&sealed, &opened] {
                assert_eq!(fs::metadata(path).unwrap().mode() & 0o777, 0o640);
            }
            let piped = shared.canis_with_stdin(&["file", "encrypt", "--key", &name], &content);
            let opened = shared.canis_with_stdin(&["file", "decrypt"], &piped.stdout);
            assert!(opened.status.success() && opened.stdout == content, "{kind}, {len} bytes, by pipes");
            assert!(piped.stderr.is_empty() && opened.stderr.is_empty(), "quiet in a pipe");
        }
    }
    assert_eq!(folder.names(), ["opened", "plain", "sealed"]);
}

/// R82: a public key is enough to encrypt, with no server in reach: in PEM, or as a recipient.
#[test]
fn public_keys_need_no_server() {
    let (shared, folder) = (shared(), Folder::new());
    let plain = folder.with("plain", &content(100_000));
    for kind in ["rsa-2048", "ecdsa-p256", "x25519"] {
        let name = format!("offline-{kind}");
        key(&shared, &name, kind);
        stdout(&shared.canis(&["key", "rotate", &name]));
        let pem = folder.with("pem", stdout(&shared.canis(&["key", "public", &name])).as_bytes());
        let recipient = stdout(&shared.canis(&["file", "recipient", &name]));
        let flag = format!("{name}@2={}", text(&pem));
        for who in [["--public-key", &flag], ["--recipient", recipient.trim()]] {
            let sealed = folder.path("sealed");
            stdout(&offline(&[&["file", "encrypt"], &who[..], &[text(&plain), text(&sealed)]].concat()));
            let opened = shared.canis(&["file", "decrypt", text(&sealed)]);
            assert!(opened.stdout == content(100_000), "{kind}");
            let info = stdout(&offline(&["file", "info", text(&sealed)]));
            assert!(info.contains(&format!("key {name}, version 2: no server was asked")), "{info}");
        }
    }
    let pem = folder.path("pem");
    for (flag, why) in [
        (format!("k={}", text(&pem)), "NAME@VERSION=FILE"),
        (format!("k@0={}", text(&pem)), "from 1"),
        (format!("k@x={}", text(&pem)), "no version"),
        (format!("k@1={}", text(&plain)), "cannot read the public key"),
    ] {
        let error =
            failure(&offline(&["file", "encrypt", "--public-key", &flag, text(&plain), "/dev/null"]), 3);
        assert!(error.contains(why), "{error}");
    }
    // What no server would open again is not encrypted.
    stdout(&shared.canis(&["key", "create", "signs", "--type", "ecdsa-p256"]));
    let error = failure(&shared.canis(&["file", "encrypt", "--key", "signs", text(&plain), "/dev/null"]), 3);
    assert!(error.contains("would open no file"), "{error}");
    failure(&offline(&["file", "encrypt", text(&plain), "/dev/null"]), 2);
}

/// R84: a file that was cut, grown, changed in any part, put together of two, or is another key's leaves nothing at its place,
/// and what stood there stands there still.
#[test]
fn what_was_changed_is_refused() {
    let (shared, folder) = (shared(), Folder::new());
    key(&shared, "whole", "aes256-gcm");
    key(&shared, "another", "aes256-gcm");
    let (plain, other) = (folder.with("plain", &content(200_000)), folder.with("other", &content(200_000)));
    let (sealed, second) = (folder.path("sealed"), folder.path("second"));
    stdout(&shared.canis(&["file", "encrypt", "--key", "whole", text(&plain), text(&sealed)]));
    stdout(&shared.canis(&["file", "encrypt", "--key", "whole", text(&other), text(&second)]));
    let (good, second) = (fs::read(&sealed).unwrap(), fs::read(&second).unwrap());
    let body = good.windows(4).position(|w| w == b"--- ").unwrap() + 48;
    assert_eq!(body % 256, 0, "the header has room");
    let chunk = |number: usize| body + 16 + number * 65_552..body + 16 + (number + 1) * 65_552;
    let changed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        assert!(bytes != good);
        bytes
    };
    let mut broken = vec![
        (
            "swapped",
            changed(&|b| {
                let first = b[chunk(0)].to_vec();
                b.copy_within(chunk(1), chunk(0).start);
                b[chunk(1)].copy_from_slice(&first);
            }),
        ),
        ("spliced", changed(&|b| b[chunk(1)].copy_from_slice(&second[chunk(1)]))),
        ("another's body", changed(&|b| b[body..].copy_from_slice(&second[body..]))),
        ("a chunk less", changed(&|b| drop(b.drain(chunk(1))))),
        ("grown", changed(&|b| b.push(0))),
        ("another key", changed(&|b| b[28..36].copy_from_slice(b"another "))),
        ("another version", changed(&|b| b[34..35].copy_from_slice(b"2"))),
    ];
    for at in [0, 22, 40, 130, body - 10, body, body + 20, good.len() / 2, good.len() - 1] {
        broken.push(("a bit", changed(&|b| b[at] ^= 1)));
    }
    for len in [0, 10, body, body + 15, body + 16, chunk(0).end, chunk(1).end + 5, good.len() - 1] {
        broken.push(("cut", changed(&|b| b.truncate(len))));
    }
    let there = folder.with("there", b"from before");
    for (what, bytes) in broken {
        let path = folder.with("broken", &bytes);
        for out in [folder.path("opened"), there.clone()] {
            failure(&shared.canis(&["file", "decrypt", text(&path), text(&out)]), 3);
        }
        failure(&shared.canis(&["file", "decrypt", "--verify", text(&path)]), 3);
        let piped = shared.canis_with_stdin(&["file", "decrypt"], &bytes);
        assert!(content(200_000).starts_with(&piped.stdout), "{what}: only what was verified comes out");
        failure(&piped, 3);
        assert_eq!(folder.names(), ["broken", "other", "plain", "sealed", "second", "there"], "{what}");
    }
    assert_eq!(fs::read(&there).unwrap(), b"from before");
    stdout(&shared.canis(&["file", "decrypt", "--verify", text(&sealed)]));
    // The right file by the wrong key, or by one that is not there.
    for (key, why) in [("another", "key_not_found"), ("absent", "key_not_found")] {
        let error =
            failure(&shared.canis(&["file", "decrypt", "--key", key, text(&sealed), text(&there)]), 3);
        assert!(error.contains(why), "{error}");
    }
}

/// R84: whatever ends the program, there is nothing at the place of its output, nor beside it.
#[test]
fn interrupted_is_as_if_never_begun() {
    let (shared, folder) = (shared(), Folder::new());
    key(&shared, "interrupted", "aes256-gcm");
    let plain = folder.with("plain", &content(60_000_000));
    let sealed = folder.path("sealed");
    let encrypt = ["file", "encrypt", "--key", "interrupted", text(&plain), text(&sealed)];
    for (signal, wait) in [("-KILL", 150), ("-INT", 250), ("-TERM", 200), ("-KILL", 300)] {
        let mut child = shared.deployment.canis(&shared.server).args(encrypt).spawn().unwrap();
        std::thread::sleep(Duration::from_millis(wait));
        Command::new("kill").args([signal, &child.id().to_string()]).output().unwrap();
        if !child.wait().unwrap().success() {
            assert_eq!(folder.names(), ["plain"]);
        }
        let _ = fs::remove_file(&sealed);
    }
    // Fed slowly it is surely in the midst of it.
    let mut command = shared.deployment.canis(&shared.server);
    command.args(["file", "encrypt", "--key", "interrupted", "-", text(&sealed)]);
    let mut child = command.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.as_mut().unwrap().write_all(&content(5_000_000)).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(folder.names(), ["plain"]);
}

/// R85: however much comes through a pipe, the memory that it takes stays the same.
#[test]
fn constant_memory() {
    let shared = shared();
    key(&shared, "endless", "aes256-gcm");
    let mut peaks = Vec::new();
    for mebibytes in [8, 160] {
        let mut command = shared.deployment.canis(&shared.server);
        command.args(["file", "encrypt", "--key", "endless"]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut sink = child.stdout.take().unwrap();
        let drain = std::thread::spawn(move || std::io::copy(&mut sink, &mut std::io::sink()).unwrap());
        let mut stdin = child.stdin.take().unwrap();
        let piece = content(1 << 20);
        for _ in 0..mebibytes {
            stdin.write_all(&piece).unwrap();
        }
        peaks.push(memory(child.id(), "VmHWM:"));
        drop(stdin);
        assert!(drain.join().unwrap() > mebibytes << 20);
        assert!(child.wait().unwrap().success());
    }
    assert!(peaks[1] < peaks[0] + 8192, "{peaks:?} KiB");
}
