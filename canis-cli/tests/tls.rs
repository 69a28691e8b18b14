//! `canis tls renew`: another certificate of the store's own CA, and of no other.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Site, run};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{SystemTime, UNIX_EPOCH};

const DAY: u64 = 86_400;

fn openssl(site: &Site, arguments: &str) -> String {
    run(Command::new("openssl").args(arguments.split(' ')).current_dir(site.data()), b"").ok().text()
}

/// The three files, to see what was changed.
fn files(site: &Site) -> [Vec<u8>; 3] {
    ["ca.pem", "server.pem", "server.key"].map(|name| fs::read(site.data().join(name)).unwrap())
}

/// Names and time are as asked; clients trust what they trusted before; the key stays, and names stay if none are given.
#[test]
fn a_certificate_is_renewed() {
    let site = Site::with_keyfile();
    let [ca, first, key] = files(&site);
    let shown = site.canis("tls renew --tls-name kms.example --tls-name 10.0.0.9 --days 30").ok().text();
    assert!(shown.contains("localhost, 127.0.0.1, ::1, kms.example, 10.0.0.9, until"), "{shown}");
    let [same_ca, second, same_key] = files(&site);
    assert!(same_ca == ca && same_key == key && second != first);
    assert!(openssl(&site, "verify -CAfile ca.pem -verify_hostname kms.example server.pem").contains("OK"));
    assert!(openssl(&site, "verify -CAfile ca.pem -verify_ip 10.0.0.9 server.pem").contains("OK"));
    let again: serde_json::Value =
        serde_json::from_slice(&site.canis("tls renew --json").ok().stdout).unwrap();
    assert_eq!(
        again["names"],
        serde_json::json!(["localhost", "127.0.0.1", "::1", "kms.example", "10.0.0.9"])
    );
    let ends = openssl(&site, "x509 -enddate -noout -in ca.pem");
    assert_eq!(openssl(&site, "x509 -enddate -noout -in server.pem"), ends, "no longer than the CA");
    site.canis("tls renew --days 30").ok();

    let server = site.start_with(&["--metrics", "127.0.0.1:0"]).unsealed();
    server.canis(&["key", "create", "k", "--type", "ed25519"], b"").ok();
    let metrics = server.wait_for("listening for metrics on ");
    let mut stream = TcpStream::connect(metrics.rsplit(' ').next().unwrap()).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut told = String::new();
    stream.read_to_string(&mut told).unwrap();
    let name = "\ncanis_certificate_expires_timestamp_seconds ";
    let value = told.split(name).nth(1).unwrap().split_whitespace().next().unwrap();
    let left = value.parse::<f64>().unwrap() as u64
        - SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!((29 * DAY..=30 * DAY).contains(&left), "{left}");

    let running = site.canis("tls renew");
    assert!(running.code == 3 && running.stderr.contains("stop it, renew"), "{}", running.stderr);
    server.stop();
    let logged = run(Command::new("grep").arg("-rl").arg("tls.renew").arg(site.data().join("audit")), b"");
    assert_eq!(logged.code, 0, "the audit log says that the CA's key was used");
}

/// What others signed is left alone, whichever of the files are theirs, and the message says what to do.
#[test]
fn what_others_signed_is_left_alone() {
    let refused = |site: &Site| {
        let before = files(site);
        let refused: Finished = site.canis("tls renew");
        assert!(refused.code == 3 && refused.stderr.contains("have its own CA sign"), "{}", refused.stderr);
        assert_eq!(files(site), before);
    };
    let (site, other) = (Site::with_keyfile(), Site::with_keyfile());
    let own = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=Own -days 9 -keyout server.key -out server.pem";
    openssl(&site, own);
    refused(&site);
    for name in ["ca.pem", "server.pem", "server.key"] {
        fs::copy(other.data().join(name), site.data().join(name)).unwrap();
    }
    refused(&site);
    // A store that was made beside files that were there never had a CA's key.
    let without = Site::without_store();
    fs::create_dir(without.data()).unwrap();
    for name in ["ca.pem", "server.pem", "server.key"] {
        fs::copy(other.data().join(name), without.data().join(name)).unwrap();
    }
    without.canis(&format!("init --root keyfile --keyfile {}", without.file("root.key").display())).ok();
    refused(&without);
    other.canis("tls renew").ok();
    openssl(&other, "genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out server.key");
    let wrong = other.canis("tls renew");
    assert!(wrong.code == 3 && wrong.stderr.contains("is not the key of"), "{}", wrong.stderr);
}
