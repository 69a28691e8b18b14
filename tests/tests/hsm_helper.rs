//! The HSM's library runs in a process of its own: what it does there harms neither the server nor its memory.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Server, Shim, Site, SoftHsm, run};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);

/// A site whose HSM is reached through a library that misbehaves when told to.
fn site() -> (SoftHsm, Shim, Site) {
    let hsm = SoftHsm::new("canis-hsm");
    let shim = Shim::before(SoftHsm::MODULE);
    let site = Site::with_hsm_through(&hsm, &shim.module());
    (hsm, shim, site)
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < end, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The processes whose parent is `pid`.
fn children(pid: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let of = |task: fs::DirEntry| fs::read_to_string(task.path().join("children")).unwrap_or_default();
    let all: Vec<String> = tasks.map(|task| of(task.unwrap())).collect();
    all.iter().flat_map(|line| line.split_whitespace()).map(|pid| pid.parse().unwrap()).collect()
}

fn status(server: &Server) -> String {
    server.canis(&["status", "--json"], b"").ok().text()
}

/// R90: a library that crashes, at whatever it is asked, leaves a server that lives, says why, and opens as soon as it can.
#[test]
fn a_library_that_crashes_takes_nothing_along() {
    let (_hsm, shim, site) = site();
    for (rule, how) in [("C_Decrypt abort", "signal 6"), ("C_Initialize segv", "signal 11")] {
        shim.rule(rule);
        let server = site.start();
        let reason = server.wait_for("sealed: ");
        assert!(reason.contains("shim.so crashed") && reason.contains(how), "{reason}");
        assert!(status(&server).contains("crashed its helper process"), "{}", status(&server));
        shim.rule("");
        server.wait_for("unsealed");
        server.canis(&["random", "8"], b"").ok();
        server.stop();
    }
}

/// R90: a library that hangs is given up after the deadline of canis.toml; the server answers meanwhile, and leaves no
/// process behind.
#[test]
fn a_library_that_hangs_is_killed() {
    let (_hsm, shim, site) = site();
    let config = site.data().join("canis.toml");
    let text = fs::read_to_string(&config).unwrap().replace("[root]\n", "[root]\ndeadline = 2\n");
    fs::write(&config, text).unwrap();
    shim.rule("C_Login hang");
    let server = site.start();
    status(&server);
    let reason = server.wait_for("sealed: ");
    assert!(reason.contains("did not answer within 2 s"), "{reason}");
    wait_until("the helper is gone", || children(server.pid()).is_empty());
    shim.rule("");
    server.wait_for("unsealed");
    server.stop();
}

/// What is no PKCS#11 module is named, and the server goes on.
#[test]
fn what_is_no_module_is_refused() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let config = fs::read_to_string(site.data().join("canis.toml")).unwrap();
    let text = site.file("text.so");
    fs::write(&text, "not a library").unwrap();
    let libc = fs::read_to_string("/proc/self/maps").unwrap();
    let libc =
        libc.lines().find(|line| line.ends_with("libc.so.6")).unwrap().split_whitespace().last().unwrap();
    for module in ["/bin/true", libc, text.to_str().unwrap(), "/nonexistent.so"] {
        fs::write(site.data().join("canis.toml"), config.replace(SoftHsm::MODULE, module)).unwrap();
        let server = site.start();
        let reason = server.wait_for("sealed: ");
        assert!(reason.contains(&format!("cannot load the PKCS#11 module {module}")), "{reason}");
        status(&server);
        server.stop();
    }
}

/// R90: an open server is not harmed by a library that a request names, and keys are served all the while.
#[test]
fn a_request_about_a_bad_library_harms_nobody() {
    let (_hsm, shim, site) = site();
    let server = site.start().unsealed();
    server.canis(&["key", "create", "k", "--type", "aes256-gcm"], b"").ok();
    let address = format!("unix:{}", site.data().display());
    let pin = site.data().parent().unwrap().join("hsm.pin");
    let test = || {
        let mut canis = site.command("canis");
        canis.args(["root", "test", "hsm", "--addr", &address, "--module"]).arg(shim.module());
        run(canis.arg("--hsm-pin-file").arg(&pin), b"")
    };
    test().ok();
    shim.rule("C_Decrypt abort");
    let refused = test();
    assert!(refused.code == 3 && refused.stderr.contains("root_unavailable"), "{}", refused.stderr);
    let sealed = server.canis(&["encrypt", "k"], b"still here").ok();
    server.canis(&["decrypt", "k"], &sealed.stdout).ok();
    shim.rule("");
    test().ok();
    server.stop();
}

/// R90: the vendor's library is never in the server's memory.
#[test]
fn the_library_is_not_in_the_server() {
    let (_hsm, _shim, site) = site();
    let server = site.start().unsealed();
    let maps = fs::read_to_string(format!("/proc/{}/maps", server.pid())).unwrap();
    assert!(
        maps.contains("canis-server") && !maps.contains("shim.so") && !maps.contains("softhsm"),
        "{maps}"
    );
    server.stop();
}

/// A token that was lost in the middle is logged in to anew, once, with the PIN that it has accepted.
#[test]
fn a_token_that_was_lost_is_set_up_anew() {
    for code in ["32", "b3", "e0", "101", "30"] {
        let (_hsm, shim, site) = site();
        // From the first start on the token remembers the store's last commit; telling it is a login of its own. The
        // helpers have ended with the server: they write where it writes, which is read to the end.
        site.start().unsealed().stop();
        drop(shim.calls());
        shim.rule(&format!("C_Decrypt once {code}"));
        let server = site.start().unsealed();
        // At its end it has the token sign the audit log, by another login.
        let calls = shim.calls();
        server.stop();
        let count = |name: &str| calls.iter().filter(|call| *call == name).count();
        assert_eq!(
            (count("C_Initialize"), count("C_Login"), count("C_DecryptInit")),
            (2, 2, 2),
            "{code}: {calls:?}"
        );
    }
}

/// A PIN that a token refused, or about which it said nothing, is not given to it again by itself.
#[test]
fn no_pin_is_tried_twice() {
    // CKR_PIN_INCORRECT, CKR_PIN_EXPIRED, CKR_PIN_LOCKED, CKR_USER_PIN_NOT_INITIALIZED.
    for (code, why) in [("a0", "tried once"), ("a3", "expired"), ("a4", "locked"), ("102", "no user PIN")] {
        let (_hsm, shim, site) = site();
        drop(shim.calls());
        shim.rule(&format!("C_Login {code}"));
        let server = site.start();
        let reason = server.wait_for("sealed: ");
        assert!(reason.contains(why), "{reason}");
        std::thread::sleep(Duration::from_millis(1500));
        assert_eq!(shim.count("C_Login"), 1);
        server.stop();
    }
    // CKR_DEVICE_ERROR at the login itself: the helper does not try again, the server does later.
    let (_hsm, shim, site) = site();
    drop(shim.calls());
    shim.rule("C_Login once 30");
    let server = site.start();
    server.wait_for("sealed: ");
    assert_eq!(shim.count("C_Login"), 1);
    server.wait_for("unsealed");
    server.stop();
}

/// A login that could be the last one, or that cannot succeed, is not tried: CKF_USER_PIN_FINAL_TRY, CKF_USER_PIN_LOCKED.
#[test]
fn a_login_that_could_lock_the_token_is_left_to_people() {
    for (flag, why) in [("20000", "one more wrong PIN locks it"), ("40000", "its PIN is locked")] {
        let (_hsm, shim, site) = site();
        drop(shim.calls());
        shim.rule(&format!("C_GetTokenInfo flags {flag}"));
        let server = site.start();
        let reason = server.wait_for("sealed: ");
        assert!(reason.contains(why), "{reason}");
        assert_eq!(shim.count("C_Login"), 0);
        server.stop();
    }
}

/// R90: the helper's command line and environment hold no PIN, and it ends with the program that started it, also while
/// the library hangs.
#[test]
fn the_helper_shows_no_pin_and_ends_with_its_program() {
    let (_hsm, shim, site) = site();
    shim.rule("C_Login hang");
    let server = site.start();
    let helper = || children(server.pid()).first().copied();
    wait_until("the helper logs in", || shim.count("C_Login") > 0 && helper().is_some());
    let helper = PathBuf::from(format!("/proc/{}", helper().unwrap()));
    // A child is the server's own image until it has begun the helper.
    wait_until("the helper begins", || fs::read(helper.join("cmdline")).unwrap().ends_with(b"hsm-helper\0"));
    let shown =
        [fs::read(helper.join("cmdline")).unwrap(), fs::read(helper.join("environ")).unwrap()].concat();
    assert!(String::from_utf8_lossy(&shown).contains("hsm-helper"), "{}", String::from_utf8_lossy(&shown));
    assert!(!shown.windows(SoftHsm::PIN.len()).any(|bytes| bytes == SoftHsm::PIN.as_bytes()));
    server.kill();
    wait_until("the helper is gone", || !helper.exists());
}

/// R90: in a host of the PKCS#11 module neither crash nor hang of the library reaches the host; nobody's children are lost,
/// even in a host that waits for none of its own.
#[test]
fn the_module_asks_a_helper_too() {
    let (_hsm, shim, site) = site();
    let list = |before: &str| -> Child {
        let tool = format!(
            "{before} exec pkcs11-tool --module {} --list-token-slots",
            canis_tests::module().display()
        );
        let mut command = site.foreign("sh");
        command.args(["-c", &tool]).env("CANIS_PKCS11_LOG", "stderr");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let shown = |child: Child| {
        let output = child.wait_with_output().unwrap();
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    // Ignored signals stay ignored over exec: the kernel then takes children away by itself.
    for before in ["", "trap '' CHLD;"] {
        let listed = shown(list(before));
        assert!(listed.contains("default"), "{before}: {listed}");
        shim.rule("C_Decrypt abort");
        let listed = shown(list(before));
        assert!(listed.contains("crashed its helper process"), "{before}: {listed}");
        shim.rule("");
    }
}
