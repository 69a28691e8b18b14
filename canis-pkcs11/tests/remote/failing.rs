//! Servers that are no good: of another authority, silent, or stopped in the middle; and credentials that are none.

use crate::host::{Host, configure, configure_as, log, make_key, site};
use canis_tests::run;
use std::net::TcpListener;
use std::process::Command;
use std::time::{Duration, Instant};

const FUNCTION_FAILED: u64 = 0x6;
const DEVICE_ERROR: u64 = 0x30;

/// A server whose certificate another authority signed gets neither token nor PIN.
#[test]
fn a_server_of_another_authority_is_refused() {
    let (ours, theirs) = (site(), site());
    let server = theirs.start().unsealed();
    let configuration = configure(&ours, &[server.addr()], "");
    let mut host = Host::start(&ours, &configuration);
    assert_eq!(host.does("open"), DEVICE_ERROR);
    assert!(log(&ours).contains("not signed by the CA"), "{}", log(&ours));
    assert!(!server.log().contains("hello"), "{}", server.log());
}

/// A token that the server does not know, and none at all.
#[test]
fn a_wrong_token_is_refused() {
    let site = site();
    let server = site.start().unsealed();
    let ca = site.data().join("ca.pem");
    let configuration = configure_as(&site, "wrong.toml", &[server.addr()], &ca, "");
    std::fs::write(site.file("token"), "canis_wrong").unwrap();
    assert_eq!(Host::start(&site, &configuration).does("open"), DEVICE_ERROR);
    assert!(log(&site).contains("unauthenticated"), "{}", log(&site));
    assert!(!log(&site).contains("canis_wrong"));
}

/// What takes connections and says nothing is given up in time.
#[test]
fn a_silent_server_is_given_up() {
    let site = site();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = silent.local_addr().unwrap().to_string();
    let configuration = configure(&site, &[&addr], "connect_timeout = 1\nretry_for = 1");
    let begin = Instant::now();
    assert_eq!(Host::start(&site, &configuration).does("open"), FUNCTION_FAILED, "{}", log(&site));
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
}

/// A server that stands still in the middle of work: the host gets its answer in time, and works on when it goes on.
#[test]
fn a_server_stands_still() {
    let site = site();
    let server = site.start().unsealed();
    let configuration =
        configure(&site, &[server.addr()], "connect_timeout = 5\nanswer_timeout = 8\nretry_for = 5");
    make_key(&site, &configuration, "key");
    let mut host = Host::at_work(&site, &configuration);
    let signal = |name: &str| run(Command::new("kill").args([name, &server.pid().to_string()]), b"").ok();
    signal("-STOP");
    let begin = Instant::now();
    let gave = host.does("sign");
    signal("-CONT");
    assert_eq!(gave, DEVICE_ERROR, "{}", log(&site));
    assert!(begin.elapsed() < Duration::from_secs(60), "{:?}", begin.elapsed());
    assert_eq!(host.does("sign"), 0, "{}", log(&site));
}
