//! `canis root …` at its two doors: a store of this machine and a running server say and do the same.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Server, Site, SoftHsm, binary, run};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// What is asked, how it ends, and a word that its answer holds.
const SCRIPT: &[(&str, i32, &str)] = &[
    ("list", 0, "keyfile"),
    ("list --json", 0, "\"slots\":[{"),
    ("remove keyfile", 3, "is the last that opens"),
    ("add passphrase --new-passphrase-file short", 3, "at least 8"),
    ("add passphrase --new-passphrase-file one", 0, "Argon2id, 256 MiB, 3 passes"),
    ("test --passphrase-file one", 0, "opens "),
    ("test --passphrase-file two", 3, "root_credential_wrong"),
    ("test keyfile --passphrase-file one", 3, "invalid_argument"),
    ("rotate passphrase --new-passphrase-file two", 0, "made before"),
    ("test --passphrase-file one", 3, "root_credential_wrong"),
    ("test passphrase --passphrase-file two --json", 0, "\"kind\":\"passphrase\""),
    ("rotate keyfile --new-keyfile other.key --slot passphrase", 3, "is of kind passphrase"),
    ("add keyfile --new-keyfile short", 3, "not 32"),
    ("add keyfile --new-keyfile made.key", 0, "made the key file"),
    ("test --keyfile made.key", 0, "keyfile"),
    ("rotate keyfile --new-keyfile other.key", 3, "several root slots"),
    ("add shares --shares 3 --threshold 4 --out-dir dealt", 3, "4 of 3 shares cannot be"),
    ("add shares --shares 3 --threshold 2 --out-dir dealt", 0, "2 of 3 shares"),
    ("add shares --shares 3 --threshold 2 --out-dir dealt", 3, "share-1.txt"),
    ("test --share-file dealt/share-3.txt", 3, "2 shares are needed and 1 are there (3)"),
    ("test --share-file dealt/share-3.txt --share-file dealt/share-1.txt", 0, "shares"),
    ("add recipient --public-key private.pem", 3, "holds a private key"),
    ("add recipient --public-key public.pem", 0, "X25519 "),
    ("test --recipient-key private.pem --json", 0, "\"opens\":false"),
    ("remove nothing", 3, "there is no root slot `nothing`"),
    ("remove passphrase", 0, "made before"),
    ("remove shares --json", 0, "\"left\":3"),
    ("add shares --shares 5 --threshold 3", 0, "canis-share:v1:"),
    ("list", 0, "3 of 5 shares"),
    ("rotate-key --keep recipient", 3, "these root slots would go"),
    ("rotate-key --keep recipient --drop-others", 3, "opens the store here"),
    ("test --recipient-key hybrid.pem", 3, "root_credential_wrong"),
    ("add recipient --public-key hybrid.pem", 3, "holds a private key"),
    ("add recipient --public-key hybrid.pub", 0, "ml-kem-768-x25519, SHA-256 "),
    ("test --recipient-key hybrid.pem --json", 0, "\"opens\":false"),
    ("test --recipient-key private.pem --json", 0, "\"opens\":false"),
    ("rotate recipient --public-key hybrid.pub", 3, "several root slots"),
    ("rotate-key --keep shares=file --keep nothing", 3, "names no root slot"),
    ("add passphrase --new-passphrase-file one", 0, ""),
    ("rotate-key --keep passphrase --drop-others", 3, "needs the file"),
    ("rotate-key --keep passphrase=two --drop-others", 3, "root_credential_wrong"),
    ("rotate-key --keep passphrase=one --keep shares --drop-others --out-dir again", 0, "2 slots go"),
    ("test --passphrase-file one", 0, "opens "),
    ("test --keyfile made.key", 3, "no keyfile root"),
    (
        "test --share-file again/share-5.txt --share-file again/share-1.txt --share-file again/share-2.txt",
        0,
        "",
    ),
    ("test --recipient-key private.pem", 0, "X25519"),
    ("test --recipient-key hybrid.pem", 0, "ml-kem-768-x25519"),
    ("list --json", 0, "3 of 5 shares"),
];

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Desk { folder: tempfile::tempdir().unwrap() };
        for (name, bytes) in [
            ("one", &b"the first passphrase"[..]),
            ("two", b"the second passphrase\n"),
            ("short", b"short"),
            ("other.key", &[7; 32]),
            ("pin", SoftHsm::PIN.as_bytes()),
            ("wrong", b"wrong-pin"),
        ] {
            fs::write(desk.path(name), bytes).unwrap();
            fs::set_permissions(desk.path(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        fs::create_dir(desk.path("dealt")).unwrap();
        fs::create_dir(desk.path("again")).unwrap();
        let script = "umask 077; openssl genpkey -algorithm X25519 -out private.pem
                      openssl pkey -in private.pem -pubout -out public.pem";
        run(Command::new("sh").args(["-euc", script]).current_dir(desk.folder.path()), b"").ok();
        desk.root("recipient-key --out hybrid.pem --public-key hybrid.pub", |_| ()).ok();
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `canis root …` without a terminal to ask on, in an environment that `prepare` makes.
    fn root(&self, arguments: &str, prepare: impl FnOnce(&mut Command)) -> Finished {
        let mut canis = Command::new("setsid");
        canis.arg("-w").arg(binary("canis")).arg("root").args(arguments.split_whitespace());
        prepare(canis.current_dir(self.folder.path()));
        run(&mut canis, b"")
    }

    fn play(&self, prepare: impl Fn(&mut Command)) {
        for (arguments, code, word) in SCRIPT {
            let finished = self.root(arguments, &prepare);
            let said = format!("{}{}", finished.text(), finished.stderr);
            assert!(finished.code == *code && said.contains(word), "{arguments}: {} {said}", finished.code);
            for secret in ["the first passphrase", "the second passphrase"] {
                assert!(!said.contains(secret), "{arguments} shows a passphrase");
            }
        }
        let mode = fs::metadata(self.path("dealt/share-2.txt")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

/// Adds what leads to the server.
fn at(server: &Server, site: &Site) -> impl Fn(&mut Command) {
    let (addr, ca, token) = (server.addr().to_owned(), server.ca().to_owned(), site.token.clone());
    move |command| {
        command.env("CANIS_ADDR", &addr).env("CANIS_CACERT", &ca).env("CANIS_TOKEN", &token);
    }
}

/// R91: every kind of slot is added, tried, renewed and removed in a store of this machine and through a server alike.
#[test]
fn both_doors_do_the_same() {
    let site = Site::with_keyfile();
    Desk::new().play(|command| {
        command.arg("--data").arg(site.data());
    });
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    Desk::new().play(at(&server, &site));
    // The directory leads to the server that holds it.
    let listed = Desk::new().root("list --json", |command| {
        at(&server, &site)(command);
        command.arg("--data").arg(site.data());
    });
    let slots: Value = serde_json::from_slice(&listed.ok().stdout).unwrap();
    assert_eq!((slots["slots"].as_array().unwrap().len(), &slots["root_key"]), (4, &Value::from(2)));
    server.stop();
}

/// R91, R92: a store whose first root is lost opens by shares or by the recipient's key, and a new root is added to it.
#[test]
fn a_lost_root_is_replaced() {
    let site = Site::with_keyfile();
    let desk = Desk::new();
    let data = site.data();
    let local = |arguments: &str| desk.root(&format!("{arguments} --data {}", data.display()), |_| ());
    local("add shares --shares 3 --threshold 2 --out-dir dealt").ok();
    local("add recipient --public-key public.pem").ok();
    fs::remove_file(site.file("root.key")).unwrap();
    let lost = local("add passphrase --new-passphrase-file one");
    assert!(lost.code == 3 && lost.stderr.contains("root_unavailable"), "{}", lost.stderr);
    let shares = "--share-file dealt/share-1.txt --share-file dealt/share-3.txt";
    local(&format!("remove keyfile {shares}")).ok();
    local("add passphrase --new-passphrase-file one --recipient-key private.pem").ok();
    local("add recipient --public-key hybrid.pub --passphrase-file one").ok();
    local("rotate passphrase --new-passphrase-file two --recipient-key hybrid.pem").ok();
    local("rotate passphrase --new-passphrase-file one --recipient-key hybrid.pem").ok();
    let passphrase = desk.path("one");
    fs::write(data.join("canis.toml"), format!("[root]\nkind = \"passphrase\"\nfile = {passphrase:?}\n"))
        .unwrap();
    site.start().unsealed().stop();
}

/// A recipient's hybrid key is for its owner alone, is not written over, may be under a passphrase, and is what the store's other
/// keys of this type are.
#[test]
fn a_hybrid_recipients_key_is_made_here() {
    let (site, desk) = (Site::with_keyfile(), Desk::new());
    let data = site.data();
    let mode = |name: &str| fs::metadata(desk.path(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("hybrid.pem"), 0o600);
    desk.root("recipient-key --out hybrid.pem", |_| ()).said("hybrid.pem");
    let shown = desk.root("recipient-key --out locked.pem --passphrase-file one", |_| ()).ok();
    assert!(
        fs::read_to_string(desk.path("locked.pem"))
            .unwrap()
            .starts_with("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    );
    fs::write(desk.path("locked.pub"), shown.stdout).unwrap();
    let local = |arguments: &str| desk.root(&format!("{arguments} --data {}", data.display()), |_| ());
    local("add recipient --public-key locked.pub").ok();
    local("test --recipient-key hybrid.pem").said("root_credential_wrong");
    local("test --recipient-key locked.pem").said("passphrase");
    let server = site.start().unsealed();
    let (private, public) = (desk.path("hybrid.pem"), desk.path("hybrid.pub"));
    server.canis(&["key", "import", "safe", "--in", private.to_str().unwrap()], b"").ok();
    assert_eq!(server.canis(&["key", "public", "safe"], b"").ok().stdout, fs::read(public).unwrap());
    server.stop();
}

/// R90, R92: an HSM is added to a running server on its own host, by nobody else; a wrong PIN adds nothing.
#[test]
fn an_hsm_is_added_on_the_host_only() {
    let hsm = SoftHsm::new("beside");
    let site = Site::with_hsm(&hsm);
    let server = site.start().unsealed();
    let desk = Desk::new();
    let add = |pin: &str| {
        format!(
            "add hsm --new-module {} --token-label beside --key-label second --new-pin-file {pin}",
            SoftHsm::MODULE
        )
    };
    let refused = desk.root(&add("pin"), at(&server, &site));
    assert!(refused.code == 3 && refused.stderr.contains("permission_denied"), "{}", refused.stderr);
    let socket = |command: &mut Command| {
        command.env("CANIS_ADDR", format!("unix:{}", site.data().display()));
    };
    let wrong = desk.root(&add("wrong"), socket);
    assert!(wrong.code == 3 && wrong.stderr.contains("tried once"), "{}", wrong.stderr);
    let added = desk.root(&add("pin"), socket).ok();
    assert!(added.stderr.contains("token=beside;object=second, aes-gcm"), "{}", added.stderr);
    let test = format!("test --hsm-pin-file pin --module {}", SoftHsm::MODULE);
    desk.root(&test, socket).ok();
    desk.root("remove hsm", socket).said("several root slots");
    server.stop();
}

/// R91: who renews or removes the slot that canis.toml leads to hears that the server would not open any more.
#[test]
fn a_stale_configuration_is_named() {
    let (site, desk) = (Site::with_keyfile(), Desk::new());
    let data = site.data();
    let local = |arguments: &str| desk.root(&format!("{arguments} --data {}", data.display()), |_| ());
    let warned = |finished: Finished| finished.ok().stderr.contains("stays sealed");
    assert!(!warned(local("add passphrase --new-passphrase-file one")));
    assert!(!warned(local("rotate passphrase --new-passphrase-file two")));
    let server = site.start().unsealed();
    assert!(!warned(desk.root("remove passphrase", at(&server, &site))));
    let socket = |command: &mut Command| {
        command.env("CANIS_ADDR", format!("unix:{}", data.display()));
    };
    assert!(!warned(desk.root("add keyfile --new-keyfile other.key", socket)));
    let slots = desk.root("list --json", socket).ok();
    let slots: Value = serde_json::from_slice(&slots.stdout).unwrap();
    let first = slots["slots"][0]["slot"].as_str().unwrap();
    assert!(warned(desk.root(&format!("remove {first}"), socket)));
    server.stop();
    assert!(warned(local("rotate keyfile --new-keyfile made.key --keyfile other.key")));
    site.start().wait_for("sealed: the key file is not the one");
}

/// A key file that others can read opens nothing until its owner has mended that; a credential of systemd's is read from
/// where systemd says.
#[test]
fn key_files_are_their_owners() {
    let site = Site::with_keyfile();
    let (keyfile, desk) = (site.file("root.key"), Desk::new());
    let mode = |mode| fs::set_permissions(&keyfile, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o640);
    let refused = desk.root("test", |command| {
        command.arg("--keyfile").arg(&keyfile).arg("--data").arg(site.data());
    });
    refused.said("chmod 600");
    let server = site.start();
    server.wait_for(&format!("sealed: {} can be read by others", keyfile.display()));
    mode(0o600);
    server.wait_for("unsealed");
    server.stop();

    let credentials = site.file("credentials");
    fs::create_dir(&credentials).unwrap();
    fs::copy(&keyfile, credentials.join("canis.root")).unwrap();
    fs::remove_file(&keyfile).unwrap();
    let config = |name: &str| {
        let text = format!("[root]\nkind = \"keyfile\"\nfile = \"credential:{name}\"\n");
        fs::write(site.data().join("canis.toml"), text).unwrap();
    };
    let listing = |directory: Option<&PathBuf>| {
        let mut canis = Command::new(binary("canis"));
        canis.args(["slot", "list", "--data"]).arg(site.data()).env_remove("CREDENTIALS_DIRECTORY");
        run(canis.envs(directory.map(|path| ("CREDENTIALS_DIRECTORY", path))), b"")
    };
    config("canis.root");
    listing(Some(&credentials)).ok();
    listing(None).said("LoadCredential=");
    for name in ["other", "../canis.root", "", ".."] {
        config(name);
        listing(Some(&credentials)).said("root_unavailable");
    }
}

trait Said {
    fn said(&self, word: &str);
}

impl Said for Finished {
    fn said(&self, word: &str) {
        assert!(self.code == 3 && self.stderr.contains(word), "{} {}", self.code, self.stderr);
    }
}
