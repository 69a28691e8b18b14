//! `scripts/install-module`: what it installs is found, and the lines that it prints work as they stand.

use crate::home::{Home, PIN, embedded_only, library, said, succeed};
use crate::p11kit::Guest;
use std::path::Path;
use std::process::Command;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scripts/install-module");
/// What it registers the module by.
const REGISTERED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../dist/canis.module");

/// The script in the guest's directory, run by the guest.
fn install(guest: &Guest, arguments: &[&str]) -> String {
    let [scripts, dist] = ["scripts", "dist"].map(|folder| guest.home.path(folder));
    [&scripts, &dist].into_iter().for_each(|folder| std::fs::create_dir_all(folder).unwrap());
    std::fs::copy(SCRIPT, scripts.join("install-module")).unwrap();
    std::fs::copy(REGISTERED, dist.join("canis.module")).unwrap();
    guest.give();
    let mut script = guest.command(scripts.join("install-module").to_str().unwrap());
    succeed(script.arg("--library").arg(guest.home.path("module.so")).args(arguments))
}

/// A line of the script's advice, as a command for the shell with the words in capitals replaced.
fn advice<'a>(printed: &'a str, program: &str, fill: &[(&str, &str)]) -> String {
    let line: &'a str = printed.lines().find(|line| line.starts_with(program)).unwrap();
    let command = line.split_once(':').unwrap().1.trim().to_owned();
    fill.iter().fold(command, |command, (word, value)| command.replace(word, value))
}

/// R93: installed by a user, the module is found by p11-kit, OpenSSL and NSS; uninstalled, it is not.
#[test]
fn a_user_installs_the_module() {
    if embedded_only(
        "about a user's own settings, which p11-kit does not read as root, while the socket is for the server's user",
    ) {
        return;
    }
    let guest = Guest::new();
    let printed = install(&guest, &["--user"]);
    let listed = || succeed(guest.command("p11-kit").arg("list-modules"));
    assert!(listed().contains("library-manufacturer: CANIS"));

    let key = format!("ec;pin-value={PIN}");
    let openssl = advice(&printed, "OpenSSL", &[("LABEL", &key), ("NAME", "me")]) + " -out request";
    succeed(guest.command("sh").args(["-c", &openssl]));
    let verified =
        succeed(guest.home.command("openssl").args(["req", "-verify", "-noout", "-in", "request"]));
    assert!(verified.contains("verify OK"), "{verified}");
    let keygen = advice(&printed, "ssh", &[("ssh -I", "ssh-keygen -D"), (" HOST", "")]);
    assert!(succeed(guest.command("sh").args(["-c", &keygen])).contains("ecdsa-sha2-nistp256"));
    std::fs::create_dir(guest.home.path("profile")).unwrap();
    guest.give();
    succeed(guest.command("certutil").args(["-N", "-d", "sql:profile", "--empty-password"]));
    let firefox = advice(&printed, "Firefox", &[("PROFILE", "profile")]) + " -force";
    let added = said(&guest.command("sh").args(["-c", &firefox]).output().unwrap());
    assert!(added.contains("Module \"CANIS\" added"), "{added}");

    install(&guest, &["--user", "--uninstall"]);
    assert!(!listed().contains("CANIS") && !guest.home.path(".local/lib/libcanis_pkcs11.so").exists());
}

#[test]
fn the_module_is_installed_below_a_prefix() {
    let home = Home::new();
    let script = |arguments: &[&str]| {
        let mut script: Command = home.command(SCRIPT);
        script.arg("--library").arg(library()).args(["--prefix", "there"]).args(arguments);
        script
    };
    succeed(&mut script(&[]));
    let (file, module) =
        (home.path("there/lib/libcanis_pkcs11.so"), home.path("there/etc/pkcs11/modules/canis.module"));
    let registered = std::fs::read_to_string(&module).unwrap();
    assert!(registered.contains(&format!("\nmodule: {}\n", file.display())), "{registered}");
    succeed(home.command("pkcs11-tool").arg("--module").arg(&file).arg("-L"));
    // Twice is as good as once.
    succeed(&mut script(&[]));
    succeed(&mut script(&["--uninstall"]));
    assert!(!file.exists() && !module.exists());
    assert_eq!(script(&["--sideways"]).status().unwrap().code(), Some(2));
    let missing = home.command(SCRIPT).args(["--library", "nothing", "--prefix", "there"]).output().unwrap();
    assert!(!missing.status.success() && said(&missing).contains("cargo build"));
    assert!(!Path::new("there").exists());
}
