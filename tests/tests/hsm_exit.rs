//! An HSM's library leaves nothing in the server that could make its end a crash.

use canis_tests::{Site, SoftHsm, run};
use std::process::Command;

/// SoftHSM2's OpenSSL keeps state for each thread that calls it, and frees it when the thread ends and when the process
/// ends: at the same time, that is a double free.
#[test]
fn the_thread_that_asked_the_hsm_ends_before_the_server() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let library = site.file("slow_end.so");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hsm_exit/slow_end.c");
    run(Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]), b"").ok();

    let log = site.start_with(&library).unsealed().stop();
    assert!(log.contains("libcrypto's state of a thread is released\n"), "{log}");
}
