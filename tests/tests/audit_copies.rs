//! Copies of the audit log: to a syslog, to stdout; and readers that are gone or do not read.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Server, Site, binary, run};
use serde_json::Value;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// The lines of the log itself.
fn lines(site: &Site) -> Vec<String> {
    let files = fs::read_dir(site.data().join("audit")).unwrap().map(|entry| entry.unwrap().path());
    let texts: Vec<_> = files.map(|file| fs::read_to_string(file).unwrap()).collect();
    assert_eq!(texts.len(), 1);
    texts[0].lines().map(str::to_owned).collect()
}

fn copies_of(server: &Server) -> String {
    let status: Value = serde_json::from_str(&server.canis(&["status", "--json"], b"").ok().text()).unwrap();
    status["audit_copies"].as_str().unwrap().to_owned()
}

/// Reads datagrams until a line has come that says this; without what a syslog is told of them.
fn read_until(syslog: &UnixDatagram, said: &str) -> Vec<String> {
    let (mut read, mut buffer) = (Vec::new(), vec![0; 65536]);
    loop {
        let len = syslog.recv(&mut buffer).unwrap();
        let text = std::str::from_utf8(&buffer[..len]).unwrap();
        // Facility 10, security; severity 6, informational.
        assert!(text.starts_with("<86>") && text.contains(" canis-server["), "{text}");
        let (_, line) = text.split_once("]: ").unwrap();
        read.push(line.trim_end().to_owned());
        if line.contains(said) {
            return read;
        }
    }
}

fn bind(path: &str) -> UnixDatagram {
    let syslog = UnixDatagram::bind(path).unwrap();
    syslog.set_read_timeout(Some(PATIENCE)).unwrap();
    syslog
}

/// R88: a syslog gets every line as it stands in the log, also those that were written while it was away; nobody waits for it.
#[test]
fn a_syslog_gets_every_line() {
    let site = Site::with_keyfile();
    let path = site.file("syslog").display().to_string();
    let syslog = bind(&path);
    let server = site.start_with(&["--audit-copy", &format!("syslog:{path}")]).unsealed();
    server.canis(&["key", "create", "a", "--type", "ed25519"], b"").ok();
    assert_eq!(copies_of(&server), "");
    let mut read = read_until(&syslog, "\"op\":\"status\"");
    assert!(read.iter().any(|line| line.contains("kms/keys/a")));

    drop(syslog);
    fs::remove_file(&path).unwrap();
    server.canis(&["key", "create", "b", "--type", "ed25519"], b"").ok();
    let end = Instant::now() + PATIENCE;
    while !copies_of(&server).contains(&path) {
        assert!(Instant::now() < end, "nobody says that the syslog is away");
    }
    let syslog = bind(&path);
    server.canis(&["key", "create", "c", "--type", "ed25519"], b"").ok();
    read.extend(read_until(&syslog, "kms/keys/c"));
    assert_eq!(read, lines(&site)[..read.len()]);
    assert_eq!(copies_of(&server), "");
    server.stop();
}

/// R88: the same on stdout, between what the server says there; all of it is there when the server has stopped.
#[test]
fn stdout_gets_every_line() {
    let site = Site::with_keyfile();
    let server = site.start_with(&["--audit-copy", "stdout"]).unsealed();
    server.canis(&["key", "create", "a", "--type", "ed25519"], b"").ok();
    let said = server.stop();
    let copied: Vec<_> = said.lines().filter(|line| line.starts_with('{')).collect();
    assert_eq!(copied, lines(&site));
    assert!(copied.iter().any(|line| line.contains("kms/keys/a")));
}

/// Who starts the server and does not read its stdout does not stop it.
#[test]
fn a_reader_that_does_not_read_is_not_waited_for() {
    let site = Site::with_keyfile();
    let mut command = site.command("canis-server");
    command.arg("--data").arg(site.data()).args(["--listen", "127.0.0.1:0", "--audit-copy", "stdout"]);
    let mut server =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdout = BufReader::with_capacity(64, server.stdout.take().unwrap()).lines().map(Result::unwrap);
    let addr = stdout.find_map(|line| Some(line.strip_prefix("listening on ")?.to_owned())).unwrap();
    stdout.find(|line| line == "unsealed").unwrap();
    let canis = |args: &[&str]| {
        let mut canis = Command::new(binary("canis"));
        canis.env("CANIS_ADDR", &addr).env("CANIS_CACERT", site.data().join("ca.pem"));
        run(canis.env("CANIS_TOKEN", &site.token).args(args), b"")
    };
    // Each leaves two lines of some 500 bytes; a pipe holds 64 KiB.
    for n in 0..150 {
        canis(&["key", "create", &format!("k{n}"), "--type", "aes256-gcm"]).ok();
    }
    run(Command::new("kill").args(["-TERM", &server.id().to_string()]), b"").ok();
    assert!(server.wait().unwrap().success());
}

/// A target that nobody understands is refused by name.
#[test]
fn a_copy_to_nowhere_is_refused() {
    let site = Site::with_keyfile();
    let mut command = site.command("canis-server");
    command.arg("--data").arg(site.data()).args(["--audit-copy", "syslog:relative"]);
    let refused = run(&mut command, b"");
    assert_eq!(refused.code, 2);
    assert!(refused.stderr.contains("syslog:/PATH"), "{}", refused.stderr);
}
