//! Files longer than a request through the `canis` program: whole or not at all, in constant memory.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::{Shared, failure, memory, shared, stdout};
use serde_json::Value;
use std::fs;
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

/// Many chunks, in no way periodic.
fn long() -> Vec<u8> {
    (0..3u32 << 20).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn create(shared: &Shared, name: &str, kind: &str) {
    stdout(&shared.canis(&["key", "create", name, "--type", kind]));
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// A long file comes back through files and through pipes; a short one too, if a stream is asked for.
#[test]
fn files_come_back() {
    let shared = shared();
    create(&shared, "files", "aes256-gcm");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    for (name, content, flags) in [
        ("long", long().repeat(5), &[][..]),
        ("short", b"short".to_vec(), &["--stream"]),
        ("empty", vec![], &["--stream"]),
    ] {
        let (plain, sealed, opened) = (path(name), path("sealed"), path("opened"));
        fs::write(&plain, &content).unwrap();
        let encrypt = ["encrypt", "files", "--context", "c", "--in", text(&plain), "--out", text(&sealed)];
        let said = stdout(&shared.canis(&[&encrypt, flags, &["--json"]].concat()));
        let said: Value = serde_json::from_str(&said).unwrap();
        let ciphertext = fs::read(&sealed).unwrap();
        assert_eq!(said["bytes"].as_u64().unwrap(), ciphertext.len() as u64);
        assert!(ciphertext.starts_with(b"canis:s1:files:1:"));
        let decrypt = ["decrypt", "files", "--context", "c", "--in", text(&sealed), "--out", text(&opened)];
        stdout(&shared.canis(&decrypt));
        assert!(fs::read(&opened).unwrap() == content, "{name}");
        let piped = shared.canis_with_stdin(&[&["encrypt", "files"], flags].concat(), &content);
        assert!(piped.status.success() && piped.stdout.starts_with(b"canis:s1:files:1:"));
        let opened = shared.canis_with_stdin(&["decrypt", "files"], &piped.stdout);
        assert!(opened.status.success() && opened.stdout == content, "{name} by pipes");
    }
    let error = failure(&shared.canis(&["encrypt", "files", "--in", text(&path("long")), "--json"]), 3);
    assert!(error.contains("--out"), "{error}");
}

/// What was cut, changed or is for another context leaves no file behind, and none is replaced.
#[test]
fn damaged_files_never_appear() {
    let shared = shared();
    create(&shared, "damaged", "aes256-gcm");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("plain"), long()).unwrap();
    stdout(&shared.canis(&[
        "encrypt",
        "damaged",
        "--stream",
        "--in",
        text(&path("plain")),
        "--out",
        text(&path("sealed")),
    ]));
    let whole = fs::read(path("sealed")).unwrap();
    let mut flipped = whole.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    let longer = [&whole[..], b"x"].concat();
    let first_line = whole.iter().position(|b| *b == b'\n').unwrap() + 1;
    fs::write(path("old"), b"what was there").unwrap();
    for (what, bytes) in [
        ("cut at the end", &whole[..last]),
        ("cut at a chunk", &whole[..first_line + 65_552]),
        ("cut in the first line", &whole[..60]),
        ("changed at the end", &flipped),
        ("longer", &longer),
    ] {
        fs::write(path("sealed"), bytes).unwrap();
        for out in ["new", "old"] {
            let error = failure(
                &shared.canis(&[
                    "decrypt",
                    "damaged",
                    "--in",
                    text(&path("sealed")),
                    "--out",
                    text(&path(out)),
                ]),
                3,
            );
            assert!(error.contains("decryption_failed") || error.contains("cannot read"), "{what}: {error}");
        }
        // A pipe gets what was right so far; the exit code says that it is not the whole.
        failure(&shared.canis_with_stdin(&["decrypt", "damaged"], bytes), 3);
    }
    fs::write(path("sealed"), &whole).unwrap();
    let sealed = path("sealed");
    let error = failure(&shared.canis(&["decrypt", "damaged", "--context", "x", "--in", text(&sealed)]), 3);
    assert!(error.contains("decryption_failed"), "{error}");
    assert!(!path("new").exists());
    assert_eq!(fs::read(path("old")).unwrap(), b"what was there");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "no temporary file stays");
}

/// Digests, MACs and signatures over long files, judged by other programs where they can.
#[test]
fn long_files_are_hashed_and_signed() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    // Longer than any request.
    let content = long().repeat(6);
    fs::write(path("long"), &content).unwrap();
    fs::write(path("other"), &content[1..]).unwrap();
    let (file, another) = (path("long"), path("other"));
    let input = ["--in", text(&file)];
    let run = |args: &[&str]| stdout(&shared.canis(args));

    let digest = run(&[&["hash"], &input[..]].concat());
    let judged = Command::new("sha256sum").arg(path("long")).output().unwrap();
    assert_eq!(stdout(&judged).split(' ').next().unwrap(), digest.trim_end());

    create(&shared, "tag", "generic");
    let mac = run(&[&["mac", "tag"], &input[..]].concat());
    assert_eq!(run(&[&["verify-mac", "tag", "--mac", mac.trim_end()], &input[..]].concat()), "valid\n");
    failure(&shared.canis(&["verify-mac", "tag", "--mac", mac.trim_end(), "--in", text(&another)]), 1);

    create(&shared, "signer", "ecdsa-p256");
    let (signature, public) = (path("sig"), path("public.pem"));
    run(&[&["sign", "signer", "--raw", "--out", text(&signature)], &input[..]].concat());
    run(&["key", "public", "signer", "--out", text(&public)]);
    let judged = Command::new("openssl")
        .args([
            "dgst",
            "-sha256",
            "-verify",
            text(&public),
            "-signature",
            text(&signature),
            text(&path("long")),
        ])
        .output()
        .unwrap();
    assert_eq!(stdout(&judged), "Verified OK\n");
    let made = run(&[&["sign", "signer"], &input[..]].concat());
    assert_eq!(run(&[&["verify", "signer", "--signature", made.trim_end()], &input[..]].concat()), "valid\n");
    create(&shared, "edwards", "ed25519");
    let error = failure(&shared.canis(&[&["sign", "edwards"], &input[..]].concat()), 3);
    assert!(error.contains("operation_not_supported"), "{error}");
}

/// The program holds a few mebibytes, however long its input is.
#[test]
fn the_program_holds_little_memory() {
    let shared = shared();
    create(&shared, "endless", "aes256-gcm");
    let peak = |length: usize| {
        let mut child = shared
            .deployment
            .canis(&shared.server)
            .args(["encrypt", "endless"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut out = child.stdout.take().unwrap();
        let drain =
            std::thread::spawn(move || std::io::copy(&mut out.by_ref(), &mut std::io::sink()).unwrap());
        let mut stdin = child.stdin.take().unwrap();
        let piece = vec![7; 1 << 20];
        (0..length).for_each(|_| stdin.write_all(&piece).unwrap());
        // It still waits for the rest: what it holds is what it holds in the middle.
        let peak = memory(child.id(), "VmHWM:");
        drop(stdin);
        assert!(child.wait().unwrap().success());
        assert!(drain.join().unwrap() > (length as u64) << 20);
        peak
    };
    let (short, long) = (peak(20), peak(100));
    assert!(long < short + (4 << 10), "{short} KiB for 20 MiB, {long} KiB for 100 MiB");
}
