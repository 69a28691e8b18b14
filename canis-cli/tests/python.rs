//! Known answers against Python's `cryptography` and `jwcrypto`, in the environment that `scripts/setup` makes.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::shared;

/// R6, R46–R49, R51, R53, R54, R56: every form in both directions, and both sides use the same key.
#[test]
fn keys_cross_to_python_and_back() {
    let shared = shared();
    let said = shared.python(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/known_answers.py"));
    assert_eq!(said.matches(" ok\n").count(), 2 * 7 + 5, "{said}");
}
