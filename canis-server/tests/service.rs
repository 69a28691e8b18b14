//! What hosts do with the server: its unit under systemd's own tools, its image, what it tells a service manager, its look at the
//! configuration.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;

use harness::{Deployment, program};
use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

fn dist(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../dist").join(name)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// systemd takes the unit as it is, and finds it closed; what the server protects its memory by, and tells users apart by,
/// stays open.
#[test]
fn the_unit() {
    let text = fs::read_to_string(dist("canis-server.service")).unwrap();
    let filters: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("SystemCallFilter=")).collect();
    assert_eq!(filters.last(), Some(&"memfd_secret"), "later lines could take it away again");
    assert!(text.lines().any(|line| line == "PrivateUsers=no"));
    if Command::new("systemd-analyze").arg("--version").output().is_err() {
        eprintln!("skipped: systemd-analyze is not installed");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let unit = folder.path().join("canis-server.service");
    let server = program("canis-server").display().to_string();
    fs::write(&unit, text.replace("/usr/bin/canis-server", &server)).unwrap();
    let pages = Command::new(program("canis-server")).arg("generate").arg(folder.path()).output().unwrap();
    assert!(pages.status.success(), "{}", said(&pages));
    let mut verify = Command::new("systemd-analyze");
    let verified =
        verify.arg("verify").arg(&unit).env("MANPATH", folder.path().join("man")).output().unwrap();
    assert!(verified.status.success(), "{}", said(&verified));
    assert!(!said(&verified).contains("canis-server.service:"), "{}", said(&verified));
    let security = ["security", "--offline=true", "--threshold=20", "--no-pager"];
    let security = Command::new("systemd-analyze").args(security).arg(&unit).output().unwrap();
    assert!(security.status.success(), "{}", said(&security));
}

/// systemd makes the user and the folders that the unit needs, in a root of its own; the server's folder is for that user alone.
#[test]
fn the_user_and_the_folders() {
    if Command::new("systemd-sysusers").arg("--version").output().is_err() {
        eprintln!("skipped: systemd-sysusers is not installed");
        return;
    }
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("etc")).unwrap();
    let at = format!("--root={}", root.path().display());
    let run = |program: &str, file: &str, more: &[&str]| {
        let output = Command::new(program).arg(&at).args(more).arg(dist(file)).output().unwrap();
        assert!(output.status.success(), "{program}: {}", said(&output));
        said(&output)
    };
    run("systemd-sysusers", "canis.sysusers", &[]);
    let users = fs::read_to_string(root.path().join("etc/passwd")).unwrap();
    let user = users.lines().find(|line| line.starts_with("canis:")).unwrap();
    assert!(user.ends_with("nologin") && !user.contains(":0:"), "{user}");
    let unit = fs::read_to_string(dist("canis-server.service")).unwrap();
    assert!(unit.contains("User=canis\n") && unit.contains("Group=canis\n"));
    let folders = fs::read_to_string(dist("canis.tmpfiles")).unwrap();
    for line in folders.lines().filter(|line| line.starts_with('d')) {
        let [_, path, mode, user, ..] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        assert!(matches!((mode, user), ("0700" | "0750" | "0755", "canis" | "root")), "{path}: {line}");
    }
    // Only root may give folders away.
    if Command::new("id").arg("-u").output().unwrap().stdout == b"0\n" {
        run("systemd-tmpfiles", "canis.tmpfiles", &["--create"]);
        let line = folders.lines().find(|line| line.starts_with('d')).unwrap();
        let path = line.split_whitespace().nth(1).unwrap().trim_start_matches('/');
        assert!(root.path().join(path).is_dir(), "{path}");
    }
}

/// The image's file has no finding of the linter.
#[test]
fn the_image() {
    let lint = Command::new(harness::client_of_python("hadolint")).arg(dist("Dockerfile")).output().unwrap();
    assert!(lint.status.success(), "{}", said(&lint));
    let text = fs::read_to_string(dist("Dockerfile")).unwrap();
    assert!(text.lines().any(|line| line.starts_with("USER ") && !line.contains("root")));
}

/// Whoever started it as a service is told when it serves, reads its certificate again, lives and ends.
#[test]
fn a_service_manager_is_told() {
    let deployment = Deployment::with_keyfile();
    let path = deployment.folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let next = || {
        let mut bytes = [0; 256];
        let len = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..len]).into_owned()
    };
    let until = |wanted: &str| while !next().starts_with(wanted) {};
    let mut command = deployment.server_command("127.0.0.1:0");
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "300000");
    let server = deployment.spawn(command);
    until("READY=1");
    (0..3).for_each(|_| until("WATCHDOG=1"));
    server.signal("HUP");
    until("RELOADING=1");
    until("READY=1");
    server.signal("TERM");
    until("STOPPING=1");
}

/// Everything that is wrong is told at once, each with what to do; what is right has exit 0, and changes nothing.
#[test]
fn the_configuration_is_looked_at() {
    let deployment = Deployment::with_keyfile();
    let check = |more: &[&str]| {
        let mut command = deployment.server_command("127.0.0.1:0");
        command.arg("--check-config").args(more).output().unwrap()
    };
    let before = fs::read(deployment.data().join("canis.dat")).unwrap();
    let good = check(&[]);
    assert_eq!((good.status.code(), said(&good).trim()), (Some(0), "nothing is wrong"));
    let server = deployment.start();
    assert_eq!(check(&[]).status.code(), Some(0), "beside a running server");
    assert!(server.stop().success());
    let data = deployment.data();
    let write = |name: &str, text: &str| fs::write(data.join(name), text).unwrap();
    write(
        "canis.toml",
        "metrisc = \"127.0.0.1:1\"\n[root]\nkind = \"keyfile\"\nfiel = \"/nowhere\"\n[[jwt]]\nissuer = \"i\"\njwks = \"/nowhere.jwks\"\n",
    );
    write("server.pem", "no certificate\n");
    let mut torn = before.clone();
    torn[68..72].copy_from_slice(&[0; 4]);
    fs::write(data.join("canis.dat"), &torn).unwrap();
    let bad = check(&[
        "--http",
        "127.0.0.1:7",
        "--metrics",
        "0.0.0.0:7",
        "--client-ca",
        "/nowhere.pem",
        "--keyfile",
        "/nowhere.key",
    ]);
    assert_eq!(bad.status.code(), Some(3));
    let told = said(&bad);
    for part in [
        "`metrisc`; did you mean `metrics`?",
        "`fiel` in [root]; did you mean `file`?",
        "is no store of CANIS",
        "would tell the network",
        "/nowhere.pem",
        "/nowhere.key",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(told.lines().count() >= 6, "{told}");
    assert_eq!(fs::read(data.join("canis.dat")).unwrap(), torn);
    fs::write(data.join("canis.dat"), &before[..50]).unwrap();
    assert!(said(&check(&[])).contains("is cut short"));
    let nowhere = Command::new(program("canis-server"))
        .args(["--data", "/nowhere", "--check-config"])
        .output()
        .unwrap();
    assert_eq!(nowhere.status.code(), Some(3));
    assert!(said(&nowhere).contains("`canis init --data /nowhere` makes a store"));
}

/// A server that is started says by itself what was meant.
#[test]
fn a_slip_keeps_the_server_from_starting() {
    let deployment = Deployment::with_keyfile();
    fs::write(deployment.data().join("canis.toml"), "requests_per_secnd = 7\n").unwrap();
    let output = deployment.server_command("127.0.0.1:0").output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(said(&output).contains("did you mean `requests_per_second`?"), "{}", said(&output));
}

/// docs/configuration.md has every key and every flag, and no other.
#[test]
fn every_key_and_flag_is_documented() {
    use canis_core::config_keys::CONFIG_KEYS;
    use clap::CommandFactory;
    use std::collections::BTreeSet;
    let keys = CONFIG_KEYS.iter().flat_map(|(table, keys)| {
        let name =
            move |key: &&str| if table.is_empty() { (*key).to_owned() } else { format!("{table}.{key}") };
        keys.iter().map(name)
    });
    let tables: BTreeSet<_> = CONFIG_KEYS.iter().map(|(table, _)| (*table).to_owned()).collect();
    let flags = canis_server::args::Options::command();
    let flags = flags.get_arguments().filter_map(|flag| Some(format!("--{}", flag.get_long()?)));
    let expected: BTreeSet<_> = keys
        .filter(|key| !tables.contains(key))
        .chain(flags)
        .filter(|flag| flag != "--help" && flag != "--version")
        .collect();
    let page = include_str!("../../docs/configuration.md");
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    let documented: BTreeSet<_> = rows.map(|(name, _)| name.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(documented, expected);
}
