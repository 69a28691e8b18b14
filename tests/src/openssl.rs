//! An OpenSSL that knows post-quantum keys, which Debian 12's does not: another implementation, to check ours by.

use crate::built::target;
use crate::run::run;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::Command;

/// What no test asks of it is left out, so that it is built in a minute or two.
const LEFT_OUT: &[&str] = &[
    "shared",
    "module",
    "tests",
    "docs",
    "legacy",
    "engine",
    "dso",
    "async",
    "comp",
    "quic",
    "dtls",
    "ssl3",
    "srp",
    "srtp",
    "psk",
    "ts",
    "ct",
    "cmp",
    "gost",
    "idea",
    "camellia",
    "seed",
    "aria",
    "sm2",
    "sm3",
    "sm4",
    "bf",
    "cast",
    "rc2",
    "rc4",
    "md4",
    "mdc2",
    "whirlpool",
    "rmd160",
    "ec2m",
    "blake2",
    "siv",
    "ocb",
];

/// The program `openssl` of the release whose source is the crate `openssl-src`. Who asks first builds it, in the directory that cargo
/// builds in; others wait for him.
///
/// # Panics
/// If it cannot be built: it needs a C compiler, `make` and `perl`.
#[must_use]
pub fn openssl() -> PathBuf {
    // Of the crate, then of OpenSSL: `300.5.5+3.5.5`.
    let version = openssl_src::version().rsplit('+').next().unwrap_or_default();
    let home = target().join(format!("openssl-{version}"));
    let (program, whole) = (home.join("apps/openssl"), home.join("whole"));
    fs::create_dir_all(&home).unwrap_or_else(|e| panic!("{}: {e}", home.display()));
    let lock = File::create(home.join("lock")).unwrap_or_else(|e| panic!("{}: {e}", home.display()));
    lock.lock().unwrap_or_else(|e| panic!("{}: {e}", home.display()));
    if !whole.exists() {
        let mut configure = Command::new("perl");
        configure.arg(openssl_src::source_dir().join("Configure")).arg("-O1").current_dir(&home);
        configure.args(LEFT_OUT.iter().map(|part| format!("no-{part}")));
        run(&mut configure, b"").ok();
        let jobs = format!("-j{}", std::thread::available_parallelism().map_or(1, usize::from));
        for goal in ["build_generated", "apps/openssl"] {
            // Cargo's jobs are none of make's business.
            let mut make = Command::new("make");
            make.args([&jobs, "-s", goal]).env_remove("MAKEFLAGS").env_remove("CARGO_MAKEFLAGS");
            run(make.current_dir(&home), b"").ok();
        }
        File::create(&whole).unwrap_or_else(|e| panic!("{}: {e}", whole.display()));
    }
    program
}
