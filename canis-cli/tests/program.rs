//! `canis init`, and how the program behaves as a program.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::{Deployment, failure, program, shared, stdout};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

fn init(data: &Path, args: &[&str]) -> Output {
    Command::new(program("canis")).arg("init").arg("--data").arg(data).args(args).output().unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn entries(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What `init` makes, who may read it, and that its last three lines are what a shell needs next.
#[test]
fn init_makes_a_whole_directory() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("my data");
    let key = folder.path().join("root.key");
    let output = init(
        &data,
        &[
            "--root",
            "keyfile",
            "--keyfile",
            key.to_str().unwrap(),
            "--tls-name",
            "kms.example",
            "--tls-name",
            "10.1.2.3",
        ],
    );
    let text = stdout(&output);
    assert_eq!((mode(&data), mode(&data.join("server.key")), mode(&key)), (0o700, 0o600, 0o600));
    assert_eq!(fs::read(&key).unwrap().len(), 32);
    assert!(
        String::from_utf8_lossy(&output.stderr).contains("root.key"),
        "it says that it made the key file"
    );
    let exports: Vec<_> = text.lines().filter(|l| l.starts_with("export ")).collect();
    assert_eq!(exports.len(), 3, "{text}");
    // A shell reads them back, the blank in the path included.
    let script = format!("{}\nprintf %s \"$CANIS_CACERT\"", exports.join("\n"));
    let shell = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert_eq!(Path::new(&stdout(&shell)), data.join("ca.pem").canonicalize().unwrap());
    let token = exports[2].strip_prefix("export CANIS_TOKEN=").unwrap();
    assert_eq!(text.matches(token).count(), 2);
    for name in entries(&data) {
        let bytes = fs::read(data.join(&name)).unwrap();
        let holds = bytes.windows(token.len()).any(|w| w == token.as_bytes());
        assert!(!holds, "{name} holds the token");
        let ca_key = String::from_utf8_lossy(&bytes).matches("PRIVATE KEY").count();
        assert_eq!(ca_key > 0, name == "server.key", "{name}");
    }
    let shown = Command::new("openssl")
        .args(["x509", "-noout", "-text", "-in"])
        .arg(data.join("server.pem"))
        .output()
        .unwrap();
    let shown = stdout(&shown);
    for what in
        ["DNS:localhost", "DNS:kms.example", "IP Address:10.1.2.3", "IP Address:127.0.0.1", "TLS Web Server"]
    {
        assert!(shown.contains(what), "{what}: {shown}");
    }
    let verified = Command::new("openssl")
        .args(["verify", "-purpose", "sslserver", "-CAfile"])
        .args([data.join("ca.pem"), data.join("server.pem")])
        .output()
        .unwrap();
    stdout(&verified);
    // A second time nothing is touched.
    let before: Vec<_> = entries(&data).iter().map(|n| fs::read(data.join(n)).unwrap()).collect();
    let again = init(&data, &["--root", "keyfile", "--keyfile", key.to_str().unwrap()]);
    assert!(failure(&again, 3).contains("store_exists"));
    let after: Vec<_> = entries(&data).iter().map(|n| fs::read(data.join(n)).unwrap()).collect();
    assert!(before == after);
}

/// An `init` that fails leaves nothing behind, and nothing that was there is touched.
#[test]
fn init_fails_without_traces() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let (empty, short, pin) = (file("empty", b"\n"), file("short", b"1234567"), file("pin", b"1234\n"));
    let absent = folder.path().join("absent").display().to_string();
    let data = folder.path().join("data");
    let cases: [&[&str]; 6] = [
        &["--root", "passphrase", "--passphrase-file", &absent],
        &["--root", "passphrase", "--passphrase-file", &empty],
        &["--root", "keyfile", "--keyfile", &short],
        &["--root", "keyfile", "--keyfile", &format!("{absent}/key")],
        &["--root", "hsm", "--module", &absent, "--token-label", "x", "--pin-file", &pin],
        &["--root", "keyfile", "--keyfile", &absent, "--tls-name", "not a name!\u{e9}"],
    ];
    for args in cases {
        let output = init(&data, args);
        failure(&output, 3);
        assert!(!data.exists() && !Path::new(&absent).exists(), "{args:?} leaves traces");
    }
    fs::create_dir(&data).unwrap();
    fs::write(data.join("server.pem"), "mine").unwrap();
    let half = init(&data, &["--root", "keyfile", "--keyfile", &absent]);
    assert!(failure(&half, 3).contains("server.key"));
    assert_eq!(entries(&data), ["server.pem"]);
    assert_eq!(fs::read_to_string(data.join("server.pem")).unwrap(), "mine");
    for wrong in
        [&["--root", "hsm"][..], &["--root", "keyfile", "--pin-file", &pin], &["--root", "sesame"], &[]]
    {
        failure(&init(&data, wrong), 2);
    }
}

/// Certificates of the user's own are used as they are.
#[test]
fn init_keeps_given_certificates() {
    let given = Deployment::with_keyfile();
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    for name in ["ca.pem", "server.pem", "server.key"] {
        fs::copy(given.data().join(name), data.join(name)).unwrap();
    }
    stdout(&init(&data, &["--root", "keyfile", "--keyfile", folder.path().join("k").to_str().unwrap()]));
    for name in ["ca.pem", "server.pem", "server.key"] {
        assert_eq!(fs::read(given.data().join(name)).unwrap(), fs::read(data.join(name)).unwrap(), "{name}");
    }
}

/// What a killed run left half-made does not pass for something that somebody put there; other files stay.
#[test]
fn init_after_a_killed_one() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    for name in ["ca.pem", "server.pem", "server.key", "canis.toml", "mine.txt"] {
        fs::write(data.join(name), b"").unwrap();
    }
    fs::write(
        data.join("init.unfinished"),
        "ca.pem\nserver.pem\nserver.key\ncanis.toml\nmine.txt\n../data/mine.txt\n",
    )
    .unwrap();
    stdout(&init(&data, &["--root", "keyfile", "--keyfile", folder.path().join("k").to_str().unwrap()]));
    for name in ["ca.pem", "server.pem", "server.key", "canis.toml"] {
        assert!(!fs::read(data.join(name)).unwrap().is_empty(), "{name} is the half-made one");
    }
    assert!(data.join("mine.txt").exists() && !data.join("init.unfinished").exists());
}

/// The status, as text and as JSON, with and without a token.
#[test]
fn status() {
    let shared = shared();
    assert!(stdout(&shared.canis(&["status"])).contains("sealed    false"));
    let value: serde_json::Value =
        serde_json::from_str(&stdout(&shared.canis(&["status", "--json"]))).unwrap();
    assert_eq!((&value["sealed"], &value["reason"]), (&false.into(), &"".into()));
    let stranger = shared.deployment.canis(&shared.server).env_remove("CANIS_TOKEN").arg("status").output();
    stdout(&stranger.unwrap());
}

/// R61: every way to show a token, and what is said about a missing or wrong one.
#[test]
fn tokens() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    fs::write(&file, format!("{}\n", shared.deployment.token)).unwrap();
    let canis = || shared.deployment.canis(&shared.server);
    let from_file =
        canis().env_remove("CANIS_TOKEN").args(["key", "list", "--token-file"]).arg(&file).output();
    stdout(&from_file.unwrap());
    let wrong = canis().env("CANIS_TOKEN", "wrong").args(["key", "list"]).output().unwrap();
    assert!(failure(&wrong, 3).contains("unauthenticated"));
    let none = canis().env_remove("CANIS_TOKEN").args(["key", "list", "--json"]).output().unwrap();
    let error: serde_json::Value = serde_json::from_str(&failure(&none, 3)).unwrap();
    assert_eq!(error["error"]["code"], "unauthenticated");
    // `--help` shows where the token comes from, never the token.
    let help = canis().args(["status", "--help"]).output().unwrap();
    assert!(!stdout(&help).contains(&shared.deployment.token));
}

/// What keeps the client from the server is named with the remedy.
#[test]
fn connections_that_fail_say_why() {
    let shared = shared();
    let canis = || shared.deployment.canis(&shared.server);
    let refused = canis().env("CANIS_ADDR", "127.0.0.1:1").arg("status").output().unwrap();
    assert!(failure(&refused, 3).contains("is canis-server running?"));
    let other = Deployment::with_keyfile();
    let foreign = canis().arg("status").arg("--cacert").arg(other.ca()).output().unwrap();
    assert!(failure(&foreign, 3).contains("not signed by the CA in"));
    let missing = canis().env_remove("CANIS_CACERT").arg("status").output().unwrap();
    assert!(failure(&missing, 2).contains("CANIS_CACERT"));
    let absent = canis().args(["status", "--cacert", "/nowhere/ca.pem"]).output().unwrap();
    assert!(failure(&absent, 3).contains("/nowhere/ca.pem"));
    let junk =
        canis().arg("status").arg("--cacert").arg(shared.deployment.data().join("canis.toml")).output();
    assert!(failure(&junk.unwrap(), 3).contains("BEGIN CERTIFICATE"));
    // 127.0.0.2 reaches the same server only if it listens there; the name check comes before anything is said.
    let by_name = canis()
        .env("CANIS_ADDR", shared.server.addr.replace("127.0.0.1", "localhost"))
        .arg("status")
        .output();
    stdout(&by_name.unwrap());
}

/// Wrong usage ends with 2, help with 0.
#[test]
fn usage() {
    let canis = |args: &[&str]| Command::new(program("canis")).args(args).output().unwrap();
    for wrong in [
        &["fly"][..],
        &["key"],
        &["key", "create", "x"],
        &["verify", "x"],
        &["encrypt"],
        &["status", "--token", "x"],
    ] {
        failure(&canis(wrong), 2);
    }
    stdout(&canis(&["--help"]));
    stdout(&canis(&["--version"]));
}

/// Tenants are listed as tokens, and a user PIN can be set by whoever has the root's credential.
#[test]
fn slots_and_pins() {
    let deployment = Deployment::with_keyfile();
    let data = deployment.data();
    let pin = deployment.folder.path().join("user-pin");
    let slot = |args: &[&str]| {
        Command::new(program("canis")).arg("slot").args(args).arg("--data").arg(&data).output().unwrap()
    };
    let listed =
        || -> serde_json::Value { serde_json::from_str(&stdout(&slot(&["list", "--json"]))).unwrap() };
    let before = listed();
    assert_eq!(
        (&before["slots"][0]["label"], &before["slots"][0]["user_pin"]["set"]),
        (&"default".into(), &false.into())
    );
    assert!(stdout(&slot(&["list"])).contains("not set"));
    let set = |label: &str, text: &str| {
        fs::write(&pin, text).unwrap();
        slot(&["set-pin", "--token", label, "--pin-file", pin.to_str().unwrap()])
    };
    assert!(failure(&set("default", "1\n"), 3).contains("pin_invalid"));
    assert!(failure(&set("absent", "123456\n"), 3).contains("default"));
    stdout(&set("default", "123456\n"));
    assert_eq!(listed()["slots"][0]["user_pin"]["set"], true);
    let wrong = deployment.folder.path().join("wrong.key");
    fs::write(&wrong, [7; 32]).unwrap();
    fs::set_permissions(&wrong, fs::Permissions::from_mode(0o600)).unwrap();
    let refused = slot(&["list", "--keyfile", wrong.to_str().unwrap()]);
    assert!(failure(&refused, 3).contains("root_credential_wrong"));
}
