//! python-pkcs11 and PyKCS11 from PyPI, in the environment that `scripts/setup` makes.

use crate::home::{Home, PIN, library, succeed};
use crate::service::bounded;
use std::path::PathBuf;

/// The interpreter with both packages: `python/` in the directory that cargo builds in.
fn interpreter() -> PathBuf {
    let program = std::env::current_exe().unwrap();
    let python = program.ancestors().nth(3).unwrap().join("python/bin/python");
    assert!(python.exists(), "{} is not there; run scripts/setup", python.display());
    python
}

/// Runs a script of this directory on a token; every check in it must succeed.
fn checked(script: &str, checks: usize) {
    let home = Home::with_token("python");
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/programs/python").join(script);
    let mut python = bounded(&home, interpreter().to_str().unwrap());
    python.env("PKCS11_MODULE", library()).env("TOKEN", "python").env("PIN", PIN).arg("-B").arg(path);
    let said = succeed(&mut python);
    assert_eq!(said.matches(" ok\n").count(), checks, "{said}");
}

/// R93: keys of every kind, checked against Python's `cryptography` and `hashlib`.
#[test]
fn python_pkcs11_uses_the_module() {
    checked("python_pkcs11.py", 8);
}

/// R93
#[test]
fn pykcs11_uses_the_module() {
    checked("pykcs11.py", 6);
}
