//! A store with something of each kind in it, and moving it.
#![allow(dead_code)] // each test file uses its own part

use canis_tests::{Finished, Postgres, Server, Site, module, run};
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// What was put into a store.
pub(crate) struct Kept {
    old: Vec<u8>,
    new: Vec<u8>,
}

/// A file of a site's that only its owner reads; its path.
pub(crate) fn private_file(site: &Site, name: &str, bytes: &[u8]) -> String {
    let path = site.file(name);
    std::fs::write(&path, bytes).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.display().to_string()
}

/// Fills a stopped store with something of each kind.
pub(crate) fn filled(site: &Site) -> Kept {
    let (so, pin) = (private_file(site, "so", b"so-pin-8765"), private_file(site, "pin", b"user-pin-1234"));
    let policy =
        private_file(site, "policy.hcl", b"path \"kms/keys/a\" {\n  capabilities = [\"encrypt\"]\n}\n");
    let role = private_file(site, "role.hcl", b"policies = [\"narrow\"]\n\npin {}\n");
    let server = site.start().unsealed();
    let canis = |words: &str| server.canis(&words.split_whitespace().collect::<Vec<_>>(), b"").ok();
    canis("key create a --type aes256-gcm");
    let old = server.canis(&["encrypt", "a"], b"old").ok().stdout;
    canis("key rotate a");
    let new = server.canis(&["encrypt", "a"], b"new").ok().stdout;
    canis("key create signer --type ecdsa-p256");
    canis("key create gone --type ed25519");
    canis("key disable gone");
    canis("key destroy gone");
    canis("kv put entry --name Alice");
    canis(&format!("policy put narrow {policy}"));
    canis(&format!("role put hosts {role}"));
    canis("tenant create shop");
    canis(&format!("slot init --label desk --so-pin-file {so} --pin-file {pin}"));
    server.stop();
    at_desk(site, "--keypairgen --key-type EC:prime256v1 --label of-the-desk");
    // What its value was used for is written down of a key that has a choice.
    at_desk(site, "--keygen --key-type AES:32 --label both --id 01 --usage-wrap --usage-decrypt");
    let (text, sealed) = (private_file(site, "text", b"a text"), site.file("sealed").display().to_string());
    let iv = "00".repeat(16);
    at_desk(site, &format!("--encrypt -m AES-CBC-PAD --id 01 --iv {iv} -i {text} -o {sealed}"));
    Kept { old, new }
}

/// What `pkcs11-tool` shows at the token that its PINs guard; the module works on the site's `canis.dat` itself.
pub(crate) fn at_desk(site: &Site, words: &str) -> String {
    let mut tool = Command::new("pkcs11-tool");
    tool.env("CANIS_DATA", site.data()).env("HOME", site.file("")).env_remove("CANIS_PKCS11_CONF");
    tool.arg("--module").arg(module());
    tool.args(["--token-label", "desk", "--login", "--pin", "user-pin-1234"]);
    run(tool.args(words.split(' ')), b"").ok().text()
}

impl Kept {
    /// Of a store that was kept: what its keys have encrypted.
    pub(crate) fn of(old: Vec<u8>, new: Vec<u8>) -> Self {
        Kept { old, new }
    }

    pub(crate) fn ciphertexts(&self) -> [&[u8]; 2] {
        [&self.old, &self.new]
    }

    /// It is all there, and works.
    pub(crate) fn is_there(&self, server: &Server) {
        assert_eq!(server.canis(&["decrypt", "a"], &self.old).ok().stdout, b"old");
        assert_eq!(server.canis(&["decrypt", "a"], &self.new).ok().stdout, b"new");
        let gone = server.canis(&["key", "show", "gone"], b"");
        assert!(gone.stderr.contains("key_"), "{}", gone.stderr);
        for (words, shown) in [
            ("kv get entry", "Alice"),
            ("policy get narrow", "kms/keys/a"),
            ("role list", "hosts"),
            ("tenant list", "shop"),
            ("slot list", "desk"),
        ] {
            let words: Vec<&str> = words.split(' ').collect();
            let text = server.canis(&words, b"").ok().text();
            assert!(text.contains(shown), "{words:?}: {text}");
        }
    }
}

/// The store's file, and a database.
pub(crate) fn places(site: &Site, postgres: &Postgres) -> (String, String) {
    (site.data().join("canis.dat").display().to_string(), postgres.url())
}

/// Not run yet.
pub(crate) fn moving(site: &Site, from: &str, to: &str) -> Command {
    let mut command = site.command("canis");
    command.args(["store", "migrate", "--json", "--from", from, "--to", to]);
    command
}

pub(crate) fn migrate(site: &Site, from: &str, to: &str) -> Finished {
    run(&mut moving(site, from, to), b"")
}

/// What was asked was refused, because the store is at `other` now.
pub(crate) fn refused(done: &Finished, other: &str) {
    assert_ne!(done.code, 0, "{}", done.text());
    assert!(done.stderr.contains("store_moved") && done.stderr.contains(other), "{}", done.stderr);
}

/// Names the database in canis.toml, or the file.
pub(crate) fn name_database(site: &Site, url: Option<&str>) {
    let path = site.data().join("canis.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let without = text.split("\n[store]").next().unwrap().to_owned();
    let store = url.map_or(String::new(), |url| format!("\n[store]\nurl = \"{url}\"\n"));
    std::fs::write(&path, without + &store).unwrap();
}

/// Another host, whose store is in the database.
pub(crate) fn in_database(site: &Site, url: &str) -> Site {
    let host = site.beside();
    name_database(&host, Some(url));
    host
}
