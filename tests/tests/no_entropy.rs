//! Without entropy nothing is made: no store, no key, no signature, no random number.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Site, binary, module, run};
use std::process::Command;

#[test]
fn nothing_is_made_without_entropy() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    server.canis(&["key", "create", "k", "--type", "ecdsa-p256"], b"").ok();
    server.stop();

    let starve = site.file("starve");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/no_entropy/starve.c");
    run(Command::new("cc").arg("-o").arg(&starve).arg(source), b"").ok();
    let starved = |program: &std::path::Path, args: &[&str]| {
        let mut command = site.foreign("timeout");
        command.arg("60").arg(&starve).arg(program).args(args);
        run(&mut command, b"")
    };

    let (data, keyfile) = (site.file("other"), site.file("other.key"));
    let (data_arg, keyfile_arg) = (data.display().to_string(), keyfile.display().to_string());
    let init = ["init", "--data", &data_arg, "--root", "keyfile", "--keyfile", &keyfile_arg];
    let refused = starved(&binary("canis"), &init);
    assert_eq!(refused.code, 3, "{}", refused.stderr);
    assert!(refused.stderr.contains("no random bytes"), "{}", refused.stderr);
    assert!(!data.exists() && !keyfile.exists());

    let store = site.data().display().to_string();
    let pin = site.file("so.pin");
    std::fs::write(&pin, "officer-of-t").unwrap();
    // Who comes first says it: CANIS, or the standard library, which needs keys for its hash maps.
    let pin = pin.display().to_string();
    let slot = ["slot", "init", "--data", &store, "--label", "t", "--so-pin-file", &pin];
    let refused = starved(&binary("canis"), &slot);
    assert!(refused.code != 0 && refused.stderr.contains("random"), "{}", refused.stderr);

    let library = module().display().to_string();
    let tool = std::path::Path::new("/usr/bin/pkcs11-tool");
    let drawn = starved(tool, &["--module", &library, "--generate-random", "32"]);
    assert_ne!(drawn.code, 0);
    assert!(drawn.stdout.is_empty(), "numbers from nowhere: {:?}", drawn.stdout);
    // The same call with entropy gives numbers, so that it was this what was missing.
    let mut fed = site.foreign(tool);
    assert_eq!(run(fed.args(["--module", &library, "--generate-random", "32"]), b"").ok().stdout.len(), 32);

    let served = starved(&binary("canis-server"), &["--data", &store, "--listen", "127.0.0.1:0"]);
    assert_ne!(served.code, 0, "a server that cannot draw a nonce listens");
    assert_ne!(served.code, 124, "a server that cannot draw a nonce listens");
}
