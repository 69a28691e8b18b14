//! Connections that are lost, and servers that come back: the same, another one, or none.

use crate::host::{Host, again, configure, log, make_key, site};
use crate::proxy::Proxy;
use std::net::TcpListener;

const USER_NOT_LOGGED_IN: u64 = 0x101;
const DEVICE_REMOVED: u64 = 0x32;

/// R93: the cable is cut at every place of a signature, request and answer, and of the connection that is made anew after
/// it; the host never notices, not even that its session object could have been gone.
#[test]
fn a_cable_is_cut_at_every_place_of_a_signature() {
    let site = site();
    let server = site.start().unsealed();
    let proxy = Proxy::to(server.addr());
    let configuration = configure(&site, &[&proxy.addr], "");
    make_key(&site, &configuration, "key");
    let mut host = Host::at_work(&site, &configuration);
    assert_eq!(host.does("make"), 0);
    let mut places = 0;
    for place in (0..700).step_by(9) {
        let before = proxy.cuts();
        proxy.cut_after(place);
        while proxy.cuts() == before {
            assert_eq!(host.does("sign"), 0, "cut after {place} bytes: {}", log(&site));
            places += 1;
        }
        assert_eq!(host.does("sign"), 0, "after the cut at {place}: {}", log(&site));
    }
    assert!(places >= 78, "{places}");
    assert_eq!(host.does("data"), 1, "the server knew the host all the time");
    assert_eq!(host.does("end"), 0);
}

/// The same while a connection is made: TLS, HELLO, and the first requests of a host.
#[test]
fn a_cable_is_cut_at_every_place_of_a_beginning() {
    let site = site();
    let server = site.start().unsealed();
    let proxy = Proxy::to(server.addr());
    let configuration = configure(&site, &[&proxy.addr], "");
    make_key(&site, &configuration, "key");
    for place in (0..4000).step_by(230) {
        let mut host = Host::start(&site, &configuration);
        proxy.cut_after(place);
        assert_eq!(host.does("open"), 0, "cut after {place} bytes: {}", log(&site));
        proxy.cut_after(i64::MAX);
        for (step, gave) in [("login", 0), ("key", 1), ("sign", 0)] {
            assert_eq!(host.does(step), gave, "{step}, cut after {place} bytes: {}", log(&site));
        }
    }
}

/// R93: eight threads sign while the cable is cut again and again.
#[test]
fn a_cable_is_cut_under_eight_threads() {
    let site = site();
    let server = site.start().unsealed();
    let proxy = Proxy::to(server.addr());
    let configuration = configure(&site, &[&proxy.addr], "");
    make_key(&site, &configuration, "key");
    let mut host = Host::at_work(&site, &configuration);
    host.begin("threads");
    for _ in 0..10 {
        std::thread::sleep(std::time::Duration::from_millis(30));
        proxy.cut_after(300);
    }
    assert_eq!(host.gave(), 0, "{}", log(&site));
    assert!(proxy.cuts() > 1);
}

/// A server that was started anew has forgotten the host. Without `keep_pin` it is told that nobody is logged in; after
/// C_Login the same session and the same handle sign, and what lived in the session is gone.
#[test]
fn a_new_server_wants_a_new_login() {
    let site = site();
    let server = site.start().unsealed();
    let addr = server.addr().to_owned();
    let configuration = configure(&site, &[&addr], "");
    make_key(&site, &configuration, "key");
    let mut host = Host::at_work(&site, &configuration);
    assert_eq!((host.does("make"), host.does("data")), (0, 1));
    server.stop();
    let _server = again(&site, &addr);
    assert_eq!((host.does("sign"), host.does("sign")), (USER_NOT_LOGGED_IN, USER_NOT_LOGGED_IN));
    assert_eq!((host.does("login"), host.does("sign"), host.does("data")), (0, 0, 0));
}

/// R93: with `keep_pin` the host does not notice. The server is killed, and the next one is at another address, which the
/// configuration names, too.
#[test]
fn another_server_takes_over() {
    let site = site();
    let server = site.start().unsealed();
    let second = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let configuration = configure(&site, &[server.addr(), &second], "keep_pin = true");
    make_key(&site, &configuration, "key");
    let mut host = Host::at_work(&site, &configuration);
    server.kill();
    host.begin("sign");
    let _server = again(&site, &second);
    assert_eq!(host.gave(), 0, "{}", log(&site));
    assert_eq!((host.does("sign"), host.does("fork"), host.does("sign")), (0, 0, 0), "{}", log(&site));
}

/// While no server answers the host is told that the device was removed, in the time that the configuration gives; when
/// one is there again it works on.
#[test]
fn no_server_is_a_device_that_was_removed() {
    let site = site();
    let server = site.start().unsealed();
    let addr = server.addr().to_owned();
    let configuration = configure(&site, &[&addr], "keep_pin = true\nretry_for = 1");
    make_key(&site, &configuration, "key");
    let mut host = Host::at_work(&site, &configuration);
    server.kill();
    let begin = std::time::Instant::now();
    assert_eq!(host.does("sign"), DEVICE_REMOVED, "{}", log(&site));
    assert!(begin.elapsed() < std::time::Duration::from_secs(60));
    assert_eq!(host.does("make"), DEVICE_REMOVED, "{}", log(&site));
    let _server = again(&site, &addr);
    assert_eq!((host.does("sign"), host.does("make")), (0, 0), "{}", log(&site));
}

/// A fork in the middle of work: the child is another host, and neither disturbs the other.
#[test]
fn a_host_forks() {
    let site = site();
    let server = site.start().unsealed();
    let configuration = configure(&site, &[server.addr()], "");
    make_key(&site, &configuration, "key");
    let mut host = Host::at_work(&site, &configuration);
    assert_eq!(host.does("make"), 0);
    for _ in 0..3 {
        assert_eq!((host.does("fork"), host.does("sign"), host.does("data")), (0, 0, 1), "{}", log(&site));
    }
}
