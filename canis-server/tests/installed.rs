//! `scripts/install-server`: what a host or a package gets, and that it is whole.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;

use harness::program;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Runs the script on the programs that were built beside this test.
fn install(more: &[&str], destination: Option<&Path>) -> Output {
    let mut script = Command::new(repository().join("scripts/install-server"));
    script.arg("--from").arg(program("canis").parent().unwrap()).args(more).env_remove("DESTDIR");
    script.envs(destination.map(|path| ("DESTDIR", path))).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Every file below `folder`, sorted, as paths within it.
fn files(folder: &Path) -> Vec<String> {
    let found = Command::new("find").arg(folder).args(["-type", "f", "-printf", "%P\n"]).output().unwrap();
    let mut found: Vec<_> = String::from_utf8(found.stdout).unwrap().lines().map(str::to_owned).collect();
    found.sort_unstable();
    found
}

/// A package for /usr: programs that run, a unit that leads to them, pages and completions that parse; and all of it goes again.
#[test]
fn a_package() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let done = install(&["--prefix", "/usr"], Some(root));
    assert!(done.status.success(), "{}", said(&done));
    let there = files(root);
    for file in [
        "usr/bin/age-plugin-canis",
        "usr/bin/canis",
        "usr/bin/canis-server",
        "usr/lib/libcanis_pkcs11.so",
        "usr/lib/systemd/system/canis-server.service",
        "usr/lib/sysusers.d/canis.conf",
        "usr/lib/tmpfiles.d/canis.conf",
        "usr/share/p11-kit/modules/canis.module",
        "usr/share/man/man1/canis.1",
        "usr/share/man/man1/canis-key-create.1",
        "usr/share/man/man8/canis-server.8",
        "usr/share/bash-completion/completions/canis.bash",
        "usr/share/bash-completion/completions/canis-server.bash",
        "usr/share/zsh/site-functions/_canis",
        "usr/share/fish/vendor_completions.d/canis-server.fish",
    ] {
        assert!(there.iter().any(|path| path == file), "{file} is missing: {there:#?}");
    }
    assert!(!there.iter().any(|path| path.contains("generate") || path.ends_with(".new")), "{there:#?}");
    let version = Command::new(root.join("usr/bin/canis")).arg("--version").output().unwrap();
    assert!(said(&version).starts_with("canis "));
    for page in there.iter().filter(|path| path.contains("/man/")) {
        let lint = Command::new("groff")
            .args(["-k", "-man", "-Tutf8", "-ww", "-z"])
            .arg(root.join(page))
            .output()
            .unwrap();
        assert!(lint.status.success() && lint.stderr.is_empty(), "{page}: {}", said(&lint));
    }
    for script in there.iter().filter(|path| path.ends_with(".bash")) {
        assert!(
            Command::new("bash").arg("-n").arg(root.join(script)).status().unwrap().success(),
            "{script}"
        );
    }
    let gone = install(&["--prefix", "/usr", "--uninstall"], Some(root));
    assert!(gone.status.success() && files(root).is_empty(), "{:#?}", files(root));
}

/// Below another prefix everything leads there.
#[test]
fn another_prefix() {
    let folder = tempfile::tempdir().unwrap();
    let done = install(&["--prefix", "/opt/canis"], Some(folder.path()));
    assert!(done.status.success(), "{}", said(&done));
    let read = |path: &str| fs::read_to_string(folder.path().join(path)).unwrap();
    let unit = read("opt/canis/lib/systemd/system/canis-server.service");
    assert!(
        unit.contains("ExecStart=/opt/canis/bin/canis-server ") && !unit.contains("/usr/bin/canis-server")
    );
    assert!(read("etc/pkcs11/modules/canis.module").contains("module: /opt/canis/lib/libcanis_pkcs11.so\n"));
}

/// Who may not, or has not built it, is told so before anything is changed.
#[test]
fn what_is_missing_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let empty = folder.path().display().to_string();
    let unbuilt = install(&["--from", &empty], Some(folder.path()));
    assert!(
        !unbuilt.status.success() && said(&unbuilt).contains("cargo build --release"),
        "{}",
        said(&unbuilt)
    );
    assert_eq!(files(folder.path()), [""; 0]);
    let mut script = Command::new("setpriv");
    script.args([
        "--reuid=4711",
        "--regid=4711",
        "--clear-groups",
        "bash",
        "-s",
        "--",
        "--prefix",
        "/nowhere",
    ]);
    let text = fs::File::open(repository().join("scripts/install-server")).unwrap();
    let refused = script.env_remove("DESTDIR").current_dir("/").stdin(text).output().unwrap();
    assert!(!refused.status.success() && said(&refused).contains("needs root"), "{}", said(&refused));
}

/// What the unit takes from its host: flags, and no credential that has to be there.
#[test]
fn the_unit_starts_without_a_credential() {
    let unit = fs::read_to_string(repository().join("dist/canis-server.service")).unwrap();
    let set: Vec<_> = unit.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(set.contains(&"EnvironmentFile=-/etc/default/canis-server"));
    assert!(
        set.iter()
            .filter(|line| line.starts_with("Exec"))
            .filter(|line| line.contains("$CANIS_FLAGS"))
            .count()
            == 2
    );
    assert!(!set.iter().any(|line| line.starts_with("LoadCredential")));
}

/// Nothing of the history, of keys or of what was built goes into an image; all of the sources do.
#[test]
fn what_images_are_built_from() {
    let ignored = fs::read_to_string(repository().join(".dockerignore")).unwrap();
    for line in ["target", ".git", "**/*.dat"] {
        assert!(ignored.lines().any(|one| one == line), "{line}");
    }
    let image = fs::read_to_string(repository().join("dist/Dockerfile")).unwrap();
    for word in [
        "libcanis_pkcs11.so",
        "age-plugin-canis",
        "HEALTHCHECK",
        "EXPOSE 7443 8443",
        "--tls-name",
        "--entrypoint canis",
    ] {
        assert!(image.contains(word), "{word}");
    }
}
