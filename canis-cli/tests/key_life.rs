//! The life of a key through the real `canis` program and a real server.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use canis_core::clock::Clock;
use canis_core::datadir::DataDir;
use canis_core::root::Credential;
use canis_core::secret::SecretBytes;
use canis_core::{Core, default_provider};
use canis_proto::answer::KeyInfo;
use canis_proto::fields::Fields;
use canis_proto::message::{CreateKey, WireRequest};
use canis_proto::value::Map;
use canis_proto::{Error, ErrorCode, KeyType, Operation, OperationId};
use harness::{Deployment, Shared, failure, shared, stdout};
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

fn json(shared: &Shared, args: &[&str]) -> Value {
    serde_json::from_str(&stdout(&shared.canis(&[args, &["--json"]].concat()))).unwrap()
}

fn refused(shared: &Shared, args: &[&str], code: &str) {
    let error = failure(&shared.canis(args), 3);
    assert!(error.contains(code), "{args:?}: {error}");
}

/// `key.update` with a field that there is not.
struct Misspelt;

impl Operation for Misspelt {
    const ID: OperationId = OperationId::UpdateKey;
    type Answer = KeyInfo;
}

impl<'a> WireRequest<'a> for Misspelt {
    const FIELDS: &'static [canis_proto::schema::Field] = &[];

    fn to_map(&self) -> Map<'_> {
        Map::new().with("name", "life/p").with("deletion_alowed", true)
    }

    fn from_fields(_: &mut Fields<'a>) -> Result<Self, Error> {
        Ok(Misspelt)
    }
}

/// R9, R13, R14, R55: every property is shown; configuration changes; what is misspelt or only switched off is refused.
#[test]
fn properties() {
    let shared = shared();
    let made = json(&shared, &["key", "create", "life/p", "--type", "aes256-gcm", "--exportable"]);
    for field in [
        "name",
        "id",
        "tenant",
        "type",
        "state",
        "usage",
        "current_version",
        "oldest_version",
        "min_decryption_version",
        "min_encryption_version",
        "deletion_allowed",
        "exportable",
        "allow_plaintext_backup",
        "versions",
        "created_at",
        "updated_at",
        "deleted_at",
        "destroy_at",
        "uses",
        "last_used_at",
        "rotation",
    ] {
        assert!(made.get(field).is_some(), "{field}");
    }
    let update = |args: &[&str]| json(&shared, &[&["key", "update", "life/p"], args].concat());
    let changed =
        update(&["--deletion-allowed", "false", "--rotate-every", "30d", "--retain-versions", "10"]);
    assert_eq!(changed["deletion_allowed"], false);
    assert_eq!(changed["rotation"]["interval"], "30d");
    assert_eq!(changed["rotation"]["retain_versions"], 10);
    assert!(changed["rotation"]["next_at"].as_str().unwrap() > changed["updated_at"].as_str().unwrap());
    assert!(changed["updated_at"].as_str().unwrap() > made["updated_at"].as_str().unwrap());
    assert_eq!(update(&["--exportable", "false"])["exportable"], false);
    refused(&shared, &["key", "update", "life/p", "--exportable", "true"], "attribute_read_only");
    refused(&shared, &["key", "update", "life/p", "--min-decryption-version", "2"], "invalid_argument");
    refused(&shared, &["key", "update", "life/p", "--rotate-every", "59m"], "invalid_argument");
    for typo in [&["--rotate-every", "abc"][..], &["--rotate-every", "0s"], &["--exportible", "false"]] {
        failure(&shared.canis(&[&["key", "update", "life/p"], typo].concat()), 2);
    }
    let text = stdout(&shared.canis(&["key", "show", "life/p"]));
    assert!(text.contains("rotates") && text.contains("30d") && text.contains("rotates next at"), "{text}");
    // R14: over CANISP a field with a typo changes nothing.
    let error = shared.client().call(&Misspelt).map(|_| ()).unwrap_err();
    assert!(error.code == ErrorCode::InvalidArgument && error.message.contains("deletion_alowed"), "{error}");
    assert_eq!(json(&shared, &["key", "show", "life/p"])["deletion_allowed"], false);
}

/// R16, R18–R20, R22, R66: created, active, disabled, destroyed, and what each of them refuses.
#[test]
fn states() {
    let shared = shared();
    let state = |args: &[&str]| json(&shared, args)["state"].as_str().unwrap().to_owned();
    let encrypt = || shared.canis_with_stdin(&["encrypt", "life/s"], b"plain");
    assert_eq!(state(&["key", "create", "life/s", "--type", "aes256-gcm", "--activate=false"]), "created");
    assert!(failure(&encrypt(), 3).contains("operation_not_allowed"));
    assert_eq!(state(&["key", "activate", "life/s"]), "active");
    let ciphertext = stdout(&encrypt());
    refused(&shared, &["key", "destroy", "life/s"], "operation_not_allowed");
    assert_eq!(state(&["key", "disable", "life/s"]), "disabled");
    assert!(failure(&encrypt(), 3).contains("operation_not_allowed"));
    let decrypt = || shared.canis_with_stdin(&["decrypt", "life/s"], ciphertext.as_bytes());
    assert_eq!(stdout(&decrypt()), "plain");
    let planned = json(&shared, &["key", "destroy", "life/s", "--in", "7d"]);
    assert!(planned["state"] == "disabled" && planned["destroy_at"].is_string());
    refused(&shared, &["key", "enable", "life/s"], "operation_not_allowed");
    assert!(json(&shared, &["key", "cancel-destroy", "life/s"])["destroy_at"].is_null());
    assert_eq!(state(&["key", "enable", "life/s"]), "active");
    stdout(&encrypt());
    state(&["key", "disable", "life/s"]);
    stdout(&shared.canis(&["key", "update", "life/s", "--deletion-allowed", "false"]));
    refused(&shared, &["key", "destroy", "life/s"], "operation_not_allowed");
    stdout(&shared.canis(&["key", "update", "life/s", "--deletion-allowed", "true"]));
    let left = json(&shared, &["key", "destroy", "life/s"]);
    assert!(left["state"] == "destroyed" && left["deleted_at"].is_string());
    for output in [encrypt(), decrypt(), shared.canis(&["key", "show", "life/s"])] {
        assert!(failure(&output, 3).contains("key_destroyed"));
    }
    let name = left["name"].as_str().unwrap();
    assert_eq!(state(&["key", "show", name]), "destroyed");
    let names = |more: &[&str]| {
        let listed = json(&shared, &[&["key", "list", "--prefix", "life/s"], more].concat());
        listed["keys"]
            .as_array()
            .unwrap()
            .iter()
            .map(|k| k["name"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(names(&[]).is_empty());
    assert_eq!(names(&["--include-deleted"]), [name]);
}

/// R24, R27, R31–R34: rotation by hand, previewed first; each ciphertext and signature finds its version.
#[test]
fn rotation() {
    let shared = shared();
    stdout(&shared.canis(&["key", "create", "life/r", "--type", "ecdsa-p256", "--retain-versions", "2"]));
    let sign = || stdout(&shared.canis_with_stdin(&["sign", "life/r"], b"message"));
    let verify = |signature: &str| {
        shared.canis_with_stdin(&["verify", "life/r", "--signature", signature.trim()], b"message")
    };
    let first = sign();
    let told = stdout(&shared.canis(&["key", "rotate", "life/r"]));
    assert_eq!(told, "the current version of life/r is 2\n");
    let second = sign();
    assert!(first.starts_with("canis:v1:life/r:1:") && second.starts_with("canis:v1:life/r:2:"));
    assert_eq!(
        (stdout(&verify(&first)), stdout(&verify(&second))),
        ("valid\n".to_owned(), "valid\n".to_owned())
    );
    // R34: another version's signature it is not.
    let swapped = second.replacen(":2:", ":1:", 1);
    assert_eq!(verify(&swapped).status.code(), Some(1));
    let preview = stdout(&shared.canis(&["key", "rotate", "life/r", "--dry-run"]));
    assert!(preview.contains("would be 3") && preview.contains("version 1 would be destroyed"), "{preview}");
    assert_eq!(stdout(&verify(&first)), "valid\n");
    assert_eq!(json(&shared, &["key", "rotate", "life/r"])["retires"], serde_json::json!([1]));
    assert!(failure(&verify(&first), 3).contains("version_retired"));
    let versions = json(&shared, &["key", "versions", "life/r"]);
    let states: Vec<_> = versions["versions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|v| (v["version"].as_u64(), v["state"].as_str()))
        .collect();
    assert_eq!(states, [(Some(2), Some("rotated")), (Some(3), Some("active"))]);
    assert!(stdout(&shared.canis(&["key", "versions", "life/r"])).contains("rotated"));
}

/// R32, R37, R39: headers out of range or of another version fail cleanly, and no plaintext comes.
#[test]
fn tampered_headers() {
    let shared = shared();
    stdout(&shared.canis(&["key", "create", "life/h", "--type", "aes256-gcm"]));
    let first = stdout(&shared.canis_with_stdin(&["encrypt", "life/h"], b"plain"));
    stdout(&shared.canis(&["key", "rotate", "life/h"]));
    for (version, code) in [
        ("2", "decryption_failed"),
        ("3", "version_not_found"),
        ("2147483647", "version_not_found"),
        ("0", "invalid_argument"),
        ("01", "invalid_argument"),
        ("-1", "invalid_argument"),
        ("+1", "invalid_argument"),
        ("4294967296", "invalid_argument"),
        ("4294967297", "invalid_argument"),
        ("", "invalid_argument"),
        ("1:1", "invalid_argument"),
    ] {
        let header = first.replacen(":1:", &format!(":{version}:"), 1);
        let output = shared.canis_with_stdin(&["decrypt", "life/h"], header.as_bytes());
        assert!(failure(&output, 3).contains(code) && output.stdout.is_empty(), "{version}");
    }
    assert_eq!(stdout(&shared.canis_with_stdin(&["decrypt", "life/h"], first.as_bytes())), "plain");
}

/// A clock some hours behind the machine's.
struct Behind(i64);

impl Clock for Behind {
    fn now_micros(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros();
        i64::try_from(now).unwrap() - self.0 * 3_600_000_000
    }
}

/// R25, R28, R23: a server that was down while rotations fell due makes up for them once, by itself; a planned
/// destruction is carried out, too, and both survive kill -9.
#[test]
fn the_server_keeps_the_schedule() {
    let deployment = Deployment::with_keyfile();
    let store = Arc::new(DataDir::new(deployment.data()).open_store().unwrap());
    let core = Core::open(store, default_provider(), Arc::new(Behind(5))).unwrap();
    let keyfile = std::fs::read(deployment.folder.path().join("root.key")).unwrap();
    core.unseal(&Credential::Keyfile(SecretBytes::copied_from(&keyfile))).unwrap();
    let caller = core.authenticate(&deployment.token).unwrap();
    let request = CreateKey { interval: "2h".parse().unwrap(), ..CreateKey::new("due", KeyType::Aes256) };
    core.call(&caller, request).map(|_| ()).unwrap();
    drop(core);
    let server = deployment.start();
    let canis = |server: &harness::Server, args: &[&str]| {
        stdout(&deployment.canis(server).args(args).output().unwrap())
    };
    let wait = |server: &harness::Server, what: &str| {
        let until = Instant::now() + Duration::from_secs(30);
        while !server.log().contains(what) {
            assert!(Instant::now() < until, "{}", server.log());
            std::thread::sleep(Duration::from_millis(50));
        }
    };
    wait(&server, "rotated by its schedule");
    canis(&server, &["key", "create", "doomed", "--type", "aes256-gcm"]);
    canis(&server, &["key", "disable", "doomed"]);
    canis(&server, &["key", "destroy", "doomed", "--in", "5s"]);
    server.kill();
    let server = deployment.start();
    wait(&server, "destroyed as planned");
    let shown: Value = serde_json::from_str(&canis(&server, &["key", "show", "due", "--json"])).unwrap();
    assert_eq!(shown["current_version"], 2, "two were missed, one makes up for them");
    let doomed = deployment.canis(&server).args(["key", "show", "doomed"]).output().unwrap();
    assert!(failure(&doomed, 3).contains("key_destroyed"));
}

/// Uses are counted by version, told at once, and survive a restart; `key versions` shows what hangs on old ones.
#[test]
fn uses_are_counted() {
    let deployment = Deployment::with_keyfile();
    let server = deployment.start();
    let canis = |server: &harness::Server, args: &[&str]| {
        let mut child = deployment.canis(server);
        stdout(&child.args(args).output().unwrap())
    };
    canis(&server, &["key", "create", "u", "--type", "aes256-gcm"]);
    let ciphertext = canis(&server, &["encrypt", "u"]);
    canis(&server, &["key", "rotate", "u"]);
    let file = deployment.folder.path().join("ciphertext");
    std::fs::write(&file, &ciphertext).unwrap();
    for _ in 0..3 {
        canis(&server, &["decrypt", "u", "--in", file.to_str().unwrap()]);
    }
    canis(&server, &["encrypt", "u"]);
    let counts = |server: &harness::Server| {
        let shown: Value = serde_json::from_str(&canis(server, &["key", "show", "u", "--json"])).unwrap();
        let of = |at: usize| shown["versions"][at]["uses"].as_u64().unwrap();
        assert!(shown["last_used_at"].as_str() >= shown["created_at"].as_str());
        (of(0), of(1), shown["uses"].as_u64().unwrap())
    };
    assert_eq!(counts(&server), (4, 1, 5));
    assert!(server.stop().success());
    let server = deployment.start();
    assert_eq!(counts(&server), (4, 1, 5));
    assert!(canis(&server, &["key", "versions", "u"]).lines().nth(1).unwrap().contains(" 4  "));
}
