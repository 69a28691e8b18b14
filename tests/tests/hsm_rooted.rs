//! A server whose root is SoftHSM2: kill -9, restart, a token that is pulled and comes back.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Site, SoftHsm};

/// R90, R65: a file encrypted before kill -9 decrypts after a restart; without the token the server is
/// sealed and says why; when the token returns the server unseals by itself.
#[test]
fn a_file_survives_kill_9_and_needs_the_token() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let (plain, sealed, opened) = (site.file("plain"), site.file("sealed"), site.file("opened"));
    let content: Vec<u8> = (0..100_000u32).map(|n| n.to_le_bytes()[0]).collect();
    std::fs::write(&plain, &content).unwrap();
    let paths = |from: &std::path::Path, to: &std::path::Path| [from, to].map(|p| p.display().to_string());

    let server = site.start().unsealed();
    server.canis(&["key", "create", "files/a", "--type", "aes256-gcm"], b"").ok();
    let [from, to] = paths(&plain, &sealed);
    server.canis(&["encrypt", "files/a", "--in", &from, "--out", &to], b"").ok();
    server.kill();
    assert!(!std::fs::read(&sealed).unwrap().windows(64).any(|w| w == &content[..64]));

    let server = site.start().unsealed();
    let [from, to] = paths(&sealed, &opened);
    server.canis(&["decrypt", "files/a", "--in", &from, "--out", &to], b"").ok();
    assert_eq!(std::fs::read(&opened).unwrap(), content);
    server.stop();

    hsm.unplug();
    let server = site.start();
    let reason = server.wait_for("sealed: ");
    assert!(reason.contains("`canis-hsm`"), "{reason}");
    let status = server.canis(&["status", "--json"], b"").ok().text();
    assert!(status.contains("\"sealed\": true") || status.contains("\"sealed\":true"), "{status}");
    assert!(status.contains("canis-hsm"), "{status}");
    let refused = server.canis(&["decrypt", "files/a", "--in", &from], b"");
    assert_eq!(refused.code, 3);
    assert!(refused.stdout.is_empty() && refused.stderr.contains("(sealed)"), "{}", refused.stderr);

    hsm.plug();
    let server = server.unsealed();
    server.canis(&["decrypt", "files/a", "--in", &from], b"").ok();
    server.stop();
}

/// What the server logs names operations and errors, and no secret.
#[test]
fn the_log_holds_no_secret() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let server = site.start().unsealed();
    server.canis(&["key", "create", "k", "--type", "aes256-gcm"], b"").ok();
    let plaintext = "a plaintext that nobody else may read";
    let sealed = server.canis(&["encrypt", "k"], plaintext.as_bytes()).ok().text();
    server.canis(&["decrypt", "k"], sealed.as_bytes()).ok();
    assert_eq!(server.canis(&["key", "show", "no-such-key"], b"").code, 3);
    let log = server.log();
    assert!(log.contains("key_not_found"), "the denial is logged:\n{log}");
    for secret in [plaintext, SoftHsm::PIN, &site.token, &site.token[8..40], sealed.trim()] {
        assert!(!log.contains(secret), "the log holds a secret:\n{log}");
    }
    server.stop();
}
