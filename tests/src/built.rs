//! Where the workspace's own programs are.

use std::path::{Path, PathBuf};

/// A program of the workspace, built with the profile of the running test.
///
/// # Panics
/// If it was not built: `cargo build --workspace` does.
#[must_use]
pub fn binary(name: &str) -> PathBuf {
    beside_tests(name)
}

/// The PKCS#11 module.
///
/// # Panics
/// If it was not built: `cargo build --workspace` does.
#[must_use]
pub fn module() -> PathBuf {
    beside_tests("libcanis_pkcs11.so")
}

/// The Python with clients of PKCS#11 that `scripts/setup` makes in the directory that cargo builds in.
///
/// # Panics
/// If it is not there.
#[must_use]
pub fn python() -> PathBuf {
    beside("../python/bin/python", "scripts/setup")
}

/// Tests run in `target/<profile>/deps`; what they start lies one directory up.
fn beside_tests(name: &str) -> PathBuf {
    beside(name, "cargo build --workspace")
}

/// The directory of the profile.
fn profile() -> PathBuf {
    let test = std::env::current_exe().unwrap_or_else(|e| panic!("a test without a path: {e}"));
    test.parent().and_then(Path::parent).unwrap_or_else(|| panic!("a test outside target/")).to_owned()
}

/// The directory that cargo builds in.
pub(crate) fn target() -> PathBuf {
    profile().parent().unwrap_or_else(|| panic!("a profile outside target/")).to_owned()
}

fn beside(name: &str, maker: &str) -> PathBuf {
    let path = profile().join(name);
    assert!(path.exists(), "{} is not there; run `{maker}`", path.display());
    path
}
