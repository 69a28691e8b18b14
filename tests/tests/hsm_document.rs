//! docs/hsm.md: its commands work as they stand there.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{binary, run};
use std::process::Command;

const TEXT: &str = include_str!("../../docs/hsm.md");

/// R90: who follows the document step by step has a store that opens by SoftHSM2.
#[test]
fn the_steps_work_as_written() {
    let blocks: Vec<&str> =
        TEXT.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 4);
    let dir = tempfile::tempdir().unwrap();
    let programs = binary("canis").parent().unwrap().display().to_string();
    let mut shell = Command::new("bash");
    shell.args(["-eu", "-c", &blocks.concat()]).current_dir(dir.path());
    shell.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap())).env_remove("SOFTHSM2_CONF");
    let shown = run(&mut shell, b"").ok();
    let text = shown.text();
    assert!(text.contains("CANIS would choose aes-gcm."), "{text}");
    assert!(text.contains("pkcs11:token=my-token;object=canis-root, aes-gcm"), "{text}");
    assert!(text.contains("opens "), "{text}");
    assert!(!shown.stderr.contains("warning"), "{}", shown.stderr);
}
