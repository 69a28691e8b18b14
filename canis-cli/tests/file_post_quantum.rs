//! Files for age's post-quantum recipients, between CANIS and another implementation of the format.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::{Shared, failure, program, shared, stdout};
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Any 32 bytes are a private key.
const SEED: &str = "5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed5eed";

fn content() -> Vec<u8> {
    (0..200_000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Python's cryptography, which has OpenSSL's ML-KEM.
fn python(verb: &str, input: &[u8]) -> Vec<u8> {
    let python = program("canis").ancestors().nth(2).unwrap().join("python/bin/python");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/file_post_quantum.py");
    let mut command = Command::new(python);
    command.args(["-B", script, verb, SEED]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().expect("Python; run scripts/setup");
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    good(output)
}

fn good(output: Output) -> Vec<u8> {
    stdout(&Output { stdout: Vec::new(), ..output.clone() });
    output.stdout
}

/// `canis` where no server is named.
fn offline(args: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(program("canis"));
    command.args(args).env_clear().stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (mut stdin, input) = (child.stdin.take().unwrap(), input.to_vec());
    let feeder = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}

/// R82: what CANIS encrypts for a post-quantum recipient the other implementation decrypts, and the other way round, without a server;
/// cut and altered files come out of neither. A key made here is one.
#[test]
fn files_cross_to_another_implementation_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let identity = folder.path().join("identity");
    fs::write(&identity, python("identity", b"")).unwrap();
    let recipient = String::from_utf8(python("recipient", b"")).unwrap();
    let sealed = good(offline(&["file", "encrypt", "--recipient", &recipient], &content()));
    assert!(python("decrypt", &sealed) == content());
    let armored = good(offline(&["file", "encrypt", "--armor", "--recipient", &recipient], &content()));
    assert!(good(offline(&["file", "decrypt", "-i", text(&identity)], &armored)) == content());
    let sealed = python("encrypt", &content());
    assert!(good(offline(&["file", "decrypt", "-i", text(&identity)], &sealed)) == content());
    // A bit of the ML-KEM part, of the X25519 part, of the wrapped key, of the MAC.
    let line = sealed.iter().position(|byte| *byte == b'\n').unwrap() + 1 + "-> mlkem768x25519 ".len();
    for at in [line + 40, line + 1460, line + 1500, line + 1560] {
        let mut altered = sealed.clone();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        failure(&offline(&["file", "decrypt", "-i", text(&identity)], &altered), 3);
    }

    let own = folder.path().join("own");
    let recipient = stdout(&offline(&["file", "keygen", text(&own)], b""));
    assert!(recipient.starts_with("age1pq1") && recipient.trim().len() == 1959);
    assert_eq!(fs::metadata(&own).unwrap().permissions().mode() & 0o777, 0o600);
    let before = fs::read(&own).unwrap();
    failure(&offline(&["file", "keygen", text(&own)], b""), 3);
    assert!(fs::read(&own).unwrap() == before, "an identity was written over another");
    let sealed = good(offline(&["file", "encrypt", "--recipient", recipient.trim()], b"own"));
    assert_eq!(good(offline(&["file", "decrypt", "-i", text(&own)], &sealed)), b"own");
    failure(&offline(&["file", "decrypt", "-i", text(&identity)], &sealed), 3);
    let whose = folder.path().join("recipients");
    fs::write(&whose, format!("# ours\n{recipient}")).unwrap();
    let sealed = good(offline(&["file", "encrypt", "--recipients-file", text(&whose)], b"by file"));
    assert_eq!(good(offline(&["file", "decrypt", "-i", text(&own)], &sealed)), b"by file");
    for wrong in ["age1pq1qqqq", "age1pq1", &recipient.trim()[..1000]] {
        failure(&offline(&["file", "encrypt", "--recipient", wrong], b""), 3);
    }
}

fn keys(shared: &Shared) {
    for (name, kind) in [("apart/aes", "aes256-gcm"), ("apart/rsa", "rsa-2048"), ("apart/x", "x25519")] {
        stdout(&shared.canis(&["key", "create", name, "--type", kind]));
    }
}

/// Beside a recipient that a quantum computer would open no post-quantum one stands, neither at once nor by a rewrap; an AES key of
/// the server may.
#[test]
fn weaker_recipients_stay_out() {
    let (shared, folder) = (shared(), tempfile::tempdir().unwrap());
    keys(&shared);
    let identity = folder.path().join("identity");
    let hybrid = stdout(&offline(&["file", "keygen", text(&identity)], b""));
    let hybrid = hybrid.trim();
    let (plain, sealed) = (folder.path().join("plain"), folder.path().join("sealed"));
    fs::write(&plain, content()).unwrap();
    let encrypt = |who: &[&str]| {
        let _ = fs::remove_file(&sealed);
        shared.canis(&[&["file", "encrypt"], who, &[text(&plain), text(&sealed)]].concat())
    };
    let classic = stdout(&shared.canis(&["file", "recipient", "--plain", "apart/x"]));
    for weaker in [&["--key", "apart/rsa"][..], &["--key", "apart/x"], &["--recipient", classic.trim()]] {
        let refused = failure(&encrypt(&[weaker, &["--recipient", hybrid]].concat()), 3);
        assert!(refused.contains("quantum") && !sealed.exists(), "{weaker:?}: {refused}");
        stdout(&encrypt(&[weaker, &["--key", "apart/aes"]].concat()));
        let before = fs::read(&sealed).unwrap();
        let rewrap = shared.canis(&["file", "rewrap", "--recipient", hybrid, text(&sealed)]);
        let refused = failure(&rewrap, 3);
        assert!(refused.contains("quantum"), "{weaker:?}: {refused}");
        assert!(fs::read(&sealed).unwrap() == before);
    }
    stdout(&encrypt(&["--key", "apart/aes", "--recipient", hybrid]));
    for by in [&["--key", "apart/aes"][..], &["-i", text(&identity)]] {
        let opened = shared.canis(&[&["file", "decrypt", text(&sealed), "-"], by].concat());
        assert!(good(opened) == content(), "{by:?}");
    }
    // For the day on which there is no server: added later, opened without it.
    stdout(&encrypt(&["--key", "apart/aes"]));
    stdout(&shared.canis(&["file", "rewrap", "--recipient", hybrid, text(&sealed)]));
    assert!(good(offline(&["file", "decrypt", "-i", text(&identity), text(&sealed), "-"], b"")) == content());
    // A server does not keep the identity, and says where it opens its files.
    let refused = failure(&shared.canis(&["import", "age", text(&identity), "--name", "apart/moved-in"]), 3);
    assert!(refused.contains("canis file decrypt -i"), "{refused}");
}
