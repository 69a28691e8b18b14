//! Known answers against Python's `cryptography` and `jwcrypto`, in the environment that `scripts/setup` makes.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::{program, shared, stdout};
use std::process::Command;

/// R6, R46 to R49, R51, R53, R54, R56: every form in both directions, and both sides use the same key.
#[test]
fn keys_cross_to_python_and_back() {
    let shared = shared();
    let canis = program("canis");
    let built = canis.parent().unwrap();
    // `python/` in the directory that cargo builds in.
    let python = built.parent().unwrap().join("python/bin/python");
    assert!(python.exists(), "{} is not there; run scripts/setup", python.display());
    let mut command = Command::new(python);
    command.arg("-B").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/known_answers.py"));
    for (name, value) in shared.deployment.canis(&shared.server).get_envs() {
        command.env(name, value.unwrap_or_default());
    }
    command.env("PATH", format!("{}:{}", built.display(), std::env::var("PATH").unwrap()));
    let said = stdout(&command.output().unwrap());
    assert_eq!(said.matches(" ok\n").count(), 2 * 7 + 5, "{said}");
}
