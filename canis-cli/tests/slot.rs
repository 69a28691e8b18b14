//! `canis slot …` as an administrator uses it: what it makes, the real module shows to `pkcs11-tool`.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Site, binary, module, run};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SO_PIN: &str = "so-pin-8765";
const PIN: &str = "user-pin-1234";

/// A directory with a store that needs no root, and files with the PINs.
struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        let desk = Desk { folder: tempfile::tempdir().unwrap() };
        for (name, text) in [("so", SO_PIN), ("pin", PIN), ("wrong", "not the pin"), ("other", "other-pin")] {
            desk.write(name, text.as_bytes());
        }
        desk
    }

    /// With a token labelled `desk`.
    fn with_token() -> Self {
        let desk = Desk::new();
        desk.slot("init --label desk --so-pin-file so --pin-file pin").ok();
        desk
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        use std::os::unix::fs::PermissionsExt;
        fs::write(self.file(name), bytes).unwrap();
        fs::set_permissions(self.file(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// `canis slot …` on the directory, without a terminal to ask on.
    fn slot(&self, arguments: &str) -> Finished {
        let mut canis = Command::new("setsid");
        canis.arg("-w").arg(binary("canis")).arg("slot").args(arguments.split_whitespace());
        run(canis.arg("--data").arg(self.file("data")).current_dir(self.folder.path()), b"")
    }

    fn refused(&self, arguments: &str, code: &str) -> String {
        let refused = self.slot(arguments);
        assert!(refused.code == 3 && refused.stderr.contains(code), "{arguments}: {refused:?}");
        assert!(refused.stdout.is_empty(), "{refused:?}");
        refused.stderr
    }

    fn slots(&self) -> Vec<Value> {
        let shown = self.slot("list --json").ok();
        let json: Value = serde_json::from_slice(&shown.stdout).unwrap();
        json["slots"].as_array().unwrap().clone()
    }

    /// `pkcs11-tool` on the module.
    fn tool(&self, arguments: &[&str]) -> Finished {
        tool(&self.file("data"), self.folder.path(), arguments)
    }

    fn as_user(&self, arguments: &[&str]) -> Finished {
        self.tool(&[&["--token-label", "desk", "--login", "--pin", PIN], arguments].concat())
    }

    fn shell(&self, script: &str) {
        run(Command::new("sh").args(["-euc", script]).current_dir(self.folder.path()), b"").ok();
    }

    fn objects(&self) -> String {
        self.as_user(&["--list-objects"]).ok().text()
    }
}

fn tool(data: &Path, folder: &Path, arguments: &[&str]) -> Finished {
    let mut tool = Command::new("pkcs11-tool");
    tool.env("CANIS_DATA", data).env("HOME", folder).env_remove("CANIS_PKCS11_CONF").current_dir(folder);
    run(tool.arg("--module").arg(module()).args(arguments), b"")
}

/// A token is made where nothing was; the module's own tokens and the command's are the same kind of thing.
#[test]
fn tokens_are_made_and_unlocked() {
    let desk = Desk::new();
    assert_eq!(desk.slot("init --label desk --so-pin-file so --pin-file pin").ok().text(), "0\n");
    assert!(desk.as_user(&["--list-objects"]).ok().stderr.is_empty());
    desk.tool(&["--init-token", "--slot", "1", "--label", "by the module", "--so-pin", SO_PIN]).ok();
    // Without a user PIN the token waits for its security officer.
    assert_eq!(desk.slot("init --label third --so-pin-file so").ok().text(), "2\n");
    let shown = desk.tool(&["--list-token-slots"]).ok().text();
    for label in ["desk", "by the module", "third"] {
        assert!(shown.contains(&format!(": {label}\n")), "{shown}");
    }
    let slots = desk.slots();
    assert_eq!((slots.len(), &slots[2]["user_pin"]["set"]), (3, &Value::Bool(false)));
    desk.slot("unlock --token third --so-pin-file so --pin-file other").ok();
    desk.tool(&["--token-label", "third", "--login", "--pin", "other-pin", "--list-objects"]).ok();
    desk.refused("init --label desk --so-pin-file so", "tenant_exists");
    desk.write("short", b"123");
    desk.write("latin", b"caf\xe9");
    for pin in ["short", "latin"] {
        desk.refused(&format!("init --label x --so-pin-file so --pin-file {pin}"), "pin_invalid");
        desk.refused(&format!("unlock --token third --so-pin-file so --pin-file {pin}"), "pin_invalid");
    }
    assert_eq!(desk.slots().len(), 3, "nothing half-made");
}

/// A terminal of its own for `canis`: every question gets the next answer once it stands there; prints what was shown.
const TERMINAL: &str = "
import os, pty, sys
answers, command = sys.argv[1].split(','), sys.argv[2:]
child, terminal = pty.fork()
if child == 0:
    os.execv(command[0], command)
shown = b''
while True:
    try:
        piece = os.read(terminal, 1024)
    except OSError:
        break
    if not piece:
        break
    shown += piece
    if shown.endswith(b': ') and answers:
        os.write(terminal, answers.pop(0).encode() + b'\\n')
sys.stdout.buffer.write(shown)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
";

/// PINs that are typed are not shown; a new one is typed twice, and a slip changes nothing.
#[test]
fn pins_are_typed_unseen() {
    let desk = Desk::with_token();
    let unlock = |answers: &str| {
        let mut python = Command::new("timeout");
        python.args(["60", "python3", "-c", TERMINAL, answers]).arg(binary("canis"));
        run(python.args(["slot", "unlock", "--token", "desk", "--data"]).arg(desk.file("data")), b"")
    };
    let slip = unlock(&format!("{SO_PIN},typed-pin,typed-bin"));
    assert!(slip.code == 3 && slip.text().contains("differ"), "{slip:?}");
    // The old PIN still opens it.
    desk.objects();
    let shown = unlock(&format!("{SO_PIN},typed-pin,typed-pin")).ok().text();
    assert!(shown.contains("once more: "), "{shown}");
    assert!(!shown.contains(SO_PIN) && !shown.contains("typed"), "{shown}");
    desk.tool(&["--token-label", "desk", "--login", "--pin", "typed-pin", "--list-objects"]).ok();
}

/// A PIN that wrong ones have used up works again when the security officer has set it. His own wrong tries count.
#[test]
fn a_locked_pin_is_unlocked() {
    let desk = Desk::with_token();
    let left = |role: &str| desk.slots()[0][role]["tries_left"].as_u64().unwrap();
    desk.refused("unlock --token desk --so-pin-file wrong --pin-file other", "pin_incorrect");
    assert_eq!((left("so_pin"), left("user_pin")), (9, 10));
    for wrong in 1..=5 {
        desk.tool(&["--token-label", "desk", "--login", "--pin", "guess", "--list-objects"]);
        assert_eq!(left("user_pin"), 10 - wrong);
    }
    let early = desk.refused("export --token desk --pin-file pin --label x", "pin_delayed");
    assert!(early.contains("next try"), "{early}");
    desk.slot("unlock --token desk --so-pin-file so --pin-file other").ok();
    assert_eq!((left("so_pin"), left("user_pin")), (10, 10));
    desk.refused("export --token desk --pin-file pin --label x", "pin_incorrect");
    desk.tool(&["--token-label", "desk", "--login", "--pin", "other-pin", "--list-objects"]).ok();
}

/// Every form of a private key that openssl and ssh-keygen write becomes a pair that signs by the module.
#[test]
fn private_keys_come_in() {
    let desk = Desk::with_token();
    desk.write("phrase", b"locked away");
    desk.shell(
        "openssl genrsa -traditional -out pkcs1.pem 2048
         openssl ecparam -name prime256v1 -genkey -noout -out sec1.pem
         openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-384 -out pkcs8.pem
         openssl pkey -in pkcs8.pem -outform DER -out pkcs8.der
         openssl pkcs8 -topk8 -in sec1.pem -passout file:phrase -out locked.pem
         ssh-keygen -q -t ecdsa -b 521 -N '' -f openssh
         echo hello > message",
    );
    let files = ["pkcs1.pem", "sec1.pem", "pkcs8.pem", "pkcs8.der", "locked.pem", "openssh"];
    for (number, file) in files.into_iter().enumerate() {
        let id = format!("a{number}");
        let made = desk
            .slot(&format!(
                "import --token desk --pin-file pin {file} --label {file} --id {id} --key-passphrase-file phrase"
            ))
            .ok();
        assert_eq!(made.text(), "private key\npublic key\n");
        let mechanism = if file == "pkcs1.pem" { "SHA256-RSA-PKCS" } else { "ECDSA-SHA256" };
        let sign = ["--sign", "--mechanism", mechanism, "--signature-format", "openssl", "--id", &id];
        let files = ["--input-file", "message", "--output-file", "signature"];
        desk.as_user(&[&sign[..], &files].concat()).ok();
        desk.slot(&format!("export --token desk --id {id} --out public.pem")).ok();
        desk.shell("openssl dgst -sha256 -verify public.pem -signature signature message");
        if file != "openssh" {
            desk.shell(&format!("openssl pkey -in {file} -passin file:phrase -pubout | cmp - public.pem"));
        }
    }
    let objects = desk.objects();
    assert_eq!(objects.matches("Private Key Object").count(), 6, "{objects}");
    assert_eq!(objects.matches("Access:     sensitive\n").count(), 6, "they stay inside: {objects}");
    // The same id twice is refused, and so is a passphrase that is not the key's.
    let again = "import --token desk --pin-file pin sec1.pem --label again --id a1";
    assert!(desk.refused(again, "key_exists").contains("private key"));
    let closed =
        "import --token desk --pin-file pin locked.pem --label l --id bb --key-passphrase-file wrong";
    desk.refused(closed, "decryption_failed");
    assert!(
        desk.refused("import --token desk --pin-file pin locked.pem --label l --id bb", "terminal")
            .contains("--key-passphrase-file")
    );
    assert_eq!(desk.objects(), objects);
}

/// A certificate comes with its key or after it, and goes out as it came; so does a public key.
#[test]
fn certificates_and_public_keys() {
    let desk = Desk::with_token();
    desk.shell(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout k.pem -subj /CN=web -set_serial 77 -days 2 -out c.pem
         openssl x509 -in c.pem -outform DER -out c.der
         openssl genpkey -quiet -algorithm ed25519 -out e.pem; openssl pkey -in e.pem -pubout -out e.pub",
    );
    let import = |rest: &str| format!("import --token desk --pin-file pin {rest}");
    let foreign = desk.refused(&import("e.pem --certificate c.pem --label web --id 01"), "another key's");
    assert!(foreign.contains("nothing was changed"), "{foreign}");
    desk.refused(&import("--certificate k.pem --label web --id 01"), "0 certificates");
    desk.slot(&import("k.pem --certificate c.pem --label web --id 01")).ok();
    desk.slot(&import("--certificate c.der --label alone --id 02")).ok();
    desk.slot(&import("e.pub --label peer --id 03")).ok();
    let objects = desk.objects();
    assert!(objects.contains("subject:    DN: CN=web") && objects.contains("serial:     4D"), "{objects}");
    for id in ["01", "02"] {
        desk.as_user(&["--read-object", "--type", "cert", "--id", id, "--output-file", "back.der"]).ok();
        assert_eq!(fs::read(desk.file("back.der")).unwrap(), fs::read(desk.file("c.der")).unwrap());
    }
    // Without a login, as these are public: the key before the certificate, unless it is asked for.
    let out = |arguments: &str| desk.slot(&format!("export --token desk {arguments}")).ok().stdout;
    let read = |name: &str| fs::read(desk.file(name)).unwrap();
    desk.shell("openssl pkey -in k.pem -pubout -outform DER -out k.pub.der");
    assert_eq!(out("--label web --format der"), read("k.pub.der"));
    assert_eq!(out("--id 01 --type certificate"), read("c.pem"));
    assert_eq!(out("--label alone --format der"), read("c.der"));
    assert_eq!(out("--label peer"), read("e.pub"));
    desk.refused("export --token desk --id 02 --type public-key", "object_not_found");
    desk.refused("export --token desk --label absent", "object_not_found");
}

/// Raw bytes become AES keys and generic secrets, which then never come out.
#[test]
fn secret_keys_come_in_and_stay() {
    let desk = Desk::with_token();
    desk.write("aes", &[7; 32]);
    desk.write("half", &[7; 31]);
    let import = |rest: &str| format!("import --token desk --pin-file pin {rest}");
    desk.slot(&import("aes --secret aes --label data --id 0a")).ok();
    desk.slot(&import("half --secret generic --label mac --id 0b")).ok();
    desk.refused(&import("half --secret aes --label bad --id 0c"), "not 31");
    let objects = desk.objects();
    assert!(objects.contains("AES length 32") && objects.contains("label:      mac"), "{objects}");
    // The right key: openssl encrypts the same.
    desk.write("block", &[1; 16]);
    let encrypt = ["--encrypt", "--mechanism", "AES-ECB", "--id", "0a"];
    desk.as_user(&[&encrypt[..], &["--input-file", "block", "--output-file", "sealed"]].concat()).ok();
    let key = "07".repeat(32);
    desk.shell(&format!("openssl enc -aes-256-ecb -nopad -K {key} -in block | cmp - sealed"));
    let kept = desk.refused("export --token desk --pin-file pin --label data", "key_not_exportable");
    assert!(kept.contains("canis key export") && !kept.contains(&key), "{kept}");
}

/// R50: keys that are no good are refused with their reason before a PIN is tried, and nothing is kept.
#[test]
fn weak_keys_are_refused() {
    let desk = Desk::with_token();
    let weak: Value = serde_json::from_str(include_str!("weak_keys.json")).unwrap();
    let weak = weak.as_array().unwrap();
    assert!(weak.len() >= 12);
    let import = "import --token desk --pin-file pin weak --label weak --id 01";
    for entry in weak {
        desk.write("weak", entry["jwk"].to_string().as_bytes());
        desk.refused(import, entry["refusal"].as_str().unwrap());
    }
    desk.shell("openssl genrsa -out weak 1024");
    desk.refused(import, "invalid_key_type");
    assert!(!desk.objects().contains("weak"));
}

/// A wrong PIN brings nothing in, and counts.
#[test]
fn a_wrong_pin_counts_and_brings_nothing_in() {
    let desk = Desk::with_token();
    desk.write("aes", &[7; 16]);
    let import = "import --token desk --pin-file wrong aes --secret aes --label k --id 01";
    assert!(desk.refused(import, "pin_incorrect").contains("9 tries"));
    assert_eq!(desk.slots()[0]["user_pin"]["tries_left"], 9);
    assert!(!desk.objects().contains("label:      k"));
    desk.refused("import --token absent --pin-file pin aes --secret aes --label k --id 01", "desk");
    // No PIN is an argument, whatever one tries; without a file and a terminal it says what it lacks.
    for argument in ["--pin", "--so-pin", "--key-passphrase"] {
        for command in [
            "init --label x",
            "unlock --token desk",
            "import --token desk aes --label k --id 01",
            "export --token desk --label k",
            "delete --token desk",
            "set-pin --token desk",
        ] {
            let wrong = desk.slot(&format!("{command} {argument} {PIN}"));
            assert!(wrong.code == 2 && wrong.stdout.is_empty(), "{command} {argument}: {wrong:?}");
        }
    }
    let asked = desk.refused("import --token desk aes --secret aes --label k --id 01", "no terminal");
    assert!(asked.contains("--pin-file"), "{asked}");
    assert!(desk.refused("unlock --token desk", "no terminal").contains("--so-pin-file"));
}

/// Deleting takes the security officer's PIN and a word that it is meant; then the slot is empty again.
#[test]
fn deleting_needs_the_officer_and_a_yes() {
    let desk = Desk::with_token();
    desk.write("aes", &[7; 16]);
    desk.slot("import --token desk --pin-file pin aes --secret aes --label precious-k --id 01").ok();
    desk.shell("openssl genpkey -quiet -algorithm ed25519 -out e.pem");
    desk.slot("import --token desk --pin-file pin e.pem --label pair --id 02").ok();
    let asked = desk.refused("delete --token desk --so-pin-file so", "operation_not_allowed");
    assert!(asked.contains("2 keys") && asked.contains("3 objects") && asked.contains("--yes"), "{asked}");
    desk.refused("delete --token desk --so-pin-file wrong --yes", "pin_incorrect");
    desk.refused("delete --token desk --so-pin-file pin --yes", "pin_incorrect");
    assert!(desk.refused("delete --token desk --yes", "no terminal").contains("--so-pin-file"));
    assert!(desk.objects().contains("precious-k"));
    assert_eq!(desk.slots()[0]["so_pin"]["tries_left"], 8);
    desk.slot("delete --token desk --so-pin-file so --yes").ok();
    assert!(desk.slots().is_empty());
    let shown = desk.tool(&["--list-slots"]).ok().text();
    assert!(shown.contains("uninitialized") && !shown.contains("desk"), "{shown}");
    for name in ["canis.dat", "canis.dat-wal"] {
        let bytes = fs::read(desk.file("data").join(name)).unwrap_or_default();
        assert!(!bytes.windows(10).any(|window| window == b"precious-k"), "{name} still names the key");
    }
    assert_eq!(desk.slot("init --label desk --so-pin-file so --pin-file pin").ok().text(), "0\n");
    assert!(!desk.objects().contains("precious-k"));
}

/// Under a root: the owner deletes PKCS#11's tokens without their PIN, but not the server's, nor a token with a key that
/// must not be destroyed.
#[test]
fn a_rooted_store() {
    let site = Site::with_keyfile();
    for (name, text) in [("so", SO_PIN), ("pin", PIN)] {
        fs::write(site.file(name), text).unwrap();
    }
    fs::write(site.file("aes"), [7; 16]).unwrap();
    let slot = |arguments: &str| {
        let mut canis = site.command("canis");
        canis.arg("slot").args(arguments.split_whitespace()).current_dir(site.file(""));
        run(canis.arg("--data").arg(site.data()), b"")
    };
    slot("set-pin --token default --pin-file pin").ok();
    slot("import --token default --pin-file pin aes --secret aes --label shared --id 01").ok();
    slot("init --label mine --so-pin-file so --pin-file pin").ok();
    slot("import --token mine --pin-file pin aes --secret aes --label k --id 01").ok();
    let list = ["--token-label", "mine", "--login", "--pin", PIN, "--list-objects"];
    assert!(tool(&site.data(), &site.file(""), &list).ok().text().contains("AES length 16"));
    // What came in for the server's tenant is a key of the server's, with its limits.
    let server = site.start().unsealed();
    assert!(server.canis(&["key", "show", "shared"], b"").ok().text().contains("aes128-gcm"));
    server.stop();
    let refused = slot("delete --token default --yes");
    assert!(refused.code == 3 && refused.stderr.contains("belongs to the server"), "{refused:?}");
    assert!(slot("delete --token mine").stderr.contains("1 key,"));
    let store = rusqlite::Connection::open(site.data().join("canis.dat")).unwrap();
    let lock = |allowed: u8| {
        let sql = "UPDATE kms_keys SET deletion_allowed = ?1 WHERE name = 'k'";
        assert_eq!(store.execute(sql, [allowed]).unwrap(), 1);
    };
    lock(0);
    let kept = slot("delete --token mine --yes");
    assert!(
        kept.code == 3 && kept.stderr.contains("key `k` on this token must not be destroyed"),
        "{kept:?}"
    );
    lock(1);
    slot("delete --token mine --yes").ok();
    assert_eq!(slot("list").ok().text().matches("mine").count(), 0);
}
