//! Certificates that are exchanged under a running server, and sessions that are resumed.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod raw;

use canis_client::Client;
use canis_proto::ErrorCode;
use canis_proto::message::Status;
use harness::{Deployment, Server, shared};
use std::fs;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Waits until the log says it so many times.
fn wait_for(server: &Server, text: &str, times: usize) {
    let began = Instant::now();
    while server.log().matches(text).count() < times {
        assert!(began.elapsed() < Duration::from_secs(30), "{}", server.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// SIGHUP: new connections get the new certificate, open ones live on, and broken files change nothing.
#[test]
fn certificates_are_exchanged() {
    let (deployment, other) = (Deployment::with_keyfile(), Deployment::with_keyfile());
    let server = deployment.start();
    let mut open = deployment.client(&server);
    for file in ["server.pem", "server.key"] {
        fs::copy(other.data().join(file), deployment.data().join(file)).unwrap();
    }
    assert!(deployment.client(&server).call(&Status).is_ok(), "nothing changes before it is asked for");
    server.signal("HUP");
    wait_for(&server, "new connections get", 1);
    let refused = Client::connect(&deployment.config(&server)).map(|_| ()).unwrap_err();
    assert_eq!(refused.code, ErrorCode::Unauthenticated, "{refused}");
    let mut config = deployment.config(&server);
    config.ca_pem = fs::read(other.ca()).unwrap();
    assert!(Client::connect(&config).unwrap().call(&Status).is_ok());
    fs::write(deployment.data().join("server.pem"), "no certificate").unwrap();
    server.signal("HUP");
    wait_for(&server, "stays as it was", 1);
    assert!(Client::connect(&config).unwrap().call(&Status).is_ok());
    assert!(open.call(&Status).is_ok());
    assert_eq!(server.stop().code(), Some(0));
}

/// SIGHUP by the dozen, with files that are whole and files that are not, while clients come, work and go: none of them
/// notices.
#[test]
fn certificates_are_read_again_under_load() {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start();
    let (stop, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let config = deployment.config(&server);
    std::thread::scope(|scope| {
        for lasting in [true, true, false, false] {
            let (stop, answered, config) = (&stop, &answered, &config);
            scope.spawn(move || {
                let mut client = Client::connect(config).unwrap();
                while !stop.load(Ordering::Relaxed) {
                    assert!(!client.call(&Status).unwrap().sealed);
                    answered.fetch_add(1, Ordering::Relaxed);
                    if !lasting {
                        client = Client::connect(config).unwrap();
                    }
                }
            });
        }
        let file = deployment.data().join("server.pem");
        let whole = fs::read(&file).unwrap();
        for round in 1..=12 {
            let before = answered.load(Ordering::Relaxed);
            let broken = round % 3 == 0;
            fs::write(&file, if broken { b"no certificate" } else { &whole[..] }).unwrap();
            server.signal("HUP");
            let (done, times) = match broken {
                true => ("stays as it was", round / 3),
                false => ("new connections get", round - round / 3),
            };
            wait_for(&server, done, times);
            while answered.load(Ordering::Relaxed) < before + 20 {
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(server.stop().code(), Some(0));
}

/// openssl resumes a session by its ticket, on another connection, and is offered no early data.
#[test]
fn sessions_are_resumed() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let ticket = folder.path().join("ticket");
    let connect = |flag: &str| {
        let mut openssl = Command::new("openssl");
        openssl
            .args(["s_client", "-connect", &shared.server.addr, "-tls1_3", "-alpn", "canisp/1", "-CAfile"])
            .arg(shared.deployment.ca())
            .arg(flag)
            .arg(&ticket)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = openssl.spawn().unwrap();
        // The ticket comes behind the handshake; openssl writes it when it comes, and goes on as long as it is given input.
        let began = Instant::now();
        while fs::metadata(&ticket).map_or(0, |file| file.len()) == 0 {
            assert!(began.elapsed() < Duration::from_secs(30), "no ticket came");
            std::thread::sleep(Duration::from_millis(20));
        }
        drop(child.stdin.take());
        String::from_utf8_lossy(&child.wait_with_output().unwrap().stdout).into_owned()
    };
    let first = connect("-sess_out");
    assert!(first.contains("New, TLSv1.3") && first.contains("Max Early Data: 0"), "{first}");
    let again = connect("-sess_in");
    assert!(again.contains("Reused, TLSv1.3"), "{again}");
}
