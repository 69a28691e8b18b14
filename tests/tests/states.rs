//! States and versions of keys at every door: the program, which speaks CANISP, and PKCS#11 through pkcs11-tool.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Server, Site, module, python, run};
use std::path::Path;
use std::process::Command;

const PIN: &str = "pin-of-the-user";

/// CKR_ACTION_PROHIBITED, which pkcs11-tool has no name for.
const PROHIBITED: &str = "(0x1b)";
const STATES: [&str; 4] = ["created", "active", "disabled", "destroyed"];

/// Every type but the longest RSA keys, which are as the others: whether it encrypts, signs and makes MACs, and what
/// `derive` says to a new key that is active.
const KINDS: [(&str, bool, bool, bool, Option<&str>); 16] = [
    // type, encrypts, signs, makes MACs, derives
    ("aes128-gcm", true, false, false, NEVER),
    ("aes192-gcm", true, false, false, NEVER),
    ("aes256-gcm", true, false, false, NEVER),
    ("rsa-2048", true, true, false, NEVER),
    ("rsa-3072", true, true, false, NEVER),
    ("rsa-4096", true, true, false, NEVER),
    ("ecdsa-p256", false, true, false, NOT_UNASKED),
    ("ecdsa-p384", false, true, false, NOT_UNASKED),
    ("ecdsa-p521", false, true, false, NOT_UNASKED),
    ("ecdsa-secp256k1", false, true, false, NOT_UNASKED),
    ("ed25519", false, true, false, NEVER),
    ("ml-dsa-44", false, true, false, NEVER),
    ("ml-kem-768", false, false, false, NEVER),
    ("slh-dsa-sha2-128f", false, true, false, NEVER),
    ("x25519", false, false, false, None),
    ("generic", false, false, true, NOT_UNASKED),
];
const NEVER: Option<&str> = Some("operation_not_supported");
/// It derives if that was asked for when it was made.
const NOT_UNASKED: Option<&str> = Some("operation_not_allowed");

/// What a key in each state still does: nothing before it is activated, only what belongs to the past once disabled.
fn state_allows(state: &str, operation: &str) -> bool {
    match state {
        "active" => true,
        "disabled" => matches!(operation, "decrypt" | "verify" | "verify-mac" | "decapsulate"),
        _ => false,
    }
}

fn canis(server: &Server, args: &[&str]) -> String {
    server.canis(args, b"message").ok().text().trim().to_owned()
}

/// Brings a key from active, or from created, to its state.
fn bring(server: &Server, name: &str, state: &str) {
    match state {
        "disabled" => drop(canis(server, &["key", "disable", name])),
        "destroyed" => {
            canis(server, &["key", "disable", name]);
            canis(server, &["key", "destroy", name]);
        }
        _ => {}
    }
}

/// R8, R16, R18–R20: the full table state × operation × type over CANISP, with the error that each refusal is.
#[test]
fn every_state_operation_and_type_over_canisp() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    canis(&server, &["key", "create", "peer", "--type", "x25519"]);
    let (peer, secret) = (site.file("peer.pem"), site.file("secret"));
    canis(&server, &["key", "public", "peer", "--out", text(&peer)]);
    for (kind, encrypts, signs, macs, derives) in KINDS {
        for state in STATES {
            let name = format!("{kind}/{state}");
            let activate = format!("--activate={}", state != "created");
            canis(&server, &["key", "create", &name, "--type", kind, &activate]);
            // Made while the key was active; a created one never was.
            let made = |can: bool, operation: &str| match can && state != "created" {
                true => canis(&server, &[operation, &name]),
                false => format!("canis:v1:{name}:1:AAAA"),
            };
            let (ciphertext, signature, mac) =
                (made(encrypts, "encrypt"), made(signs, "sign"), made(macs, "mac"));
            let shares = kind.starts_with("ml-kem-");
            let encapsulated = match shares && state != "created" {
                true => canis(&server, &["encapsulate", &name, "--out", text(&secret)]),
                false => format!("canis:v1:{name}:1:AAAA"),
            };
            bring(&server, &name, state);
            let mut derive = vec!["derive", &name];
            if kind != "generic" {
                derive.extend(["--peer", text(&peer)]);
            }
            let decapsulate = ["decapsulate", &name, "--ciphertext", &encapsulated, "--print"];
            let asked: [(&str, bool, Finished); 11] = [
                ("encrypt", encrypts, server.canis(&["encrypt", &name], b"message")),
                ("decrypt", encrypts, server.canis(&["decrypt", &name], ciphertext.as_bytes())),
                ("rewrap", encrypts, server.canis(&["rewrap", &name], ciphertext.as_bytes())),
                ("datakey", encrypts, server.canis(&["datakey", &name], b"")),
                ("sign", signs, server.canis(&["sign", &name], b"message")),
                ("verify", signs, server.canis(&["verify", &name, "--signature", &signature], b"message")),
                ("mac", macs, server.canis(&["mac", &name], b"message")),
                ("derive", derives.is_none(), server.canis(&derive, b"")),
                ("verify-mac", macs, server.canis(&["verify-mac", &name, "--mac", &mac], b"message")),
                ("encapsulate", shares, server.canis(&["encapsulate", &name, "--print"], b"")),
                ("decapsulate", shares, server.canis(&decapsulate, b"")),
            ];
            for (operation, can, done) in asked {
                let code = match (state, can, state_allows(state, operation)) {
                    ("destroyed", ..) => Some("key_destroyed"),
                    (_, false, _) if operation == "derive" => derives,
                    (_, false, _) => Some("operation_not_supported"),
                    (_, _, false) => Some("operation_not_allowed"),
                    _ => None,
                };
                match code {
                    Some(code) => {
                        assert!(done.code == 3 && done.stderr.contains(code), "{name} {operation}: {done:?}");
                        assert!(done.stdout.is_empty(), "{name} {operation}");
                    }
                    None => drop(done.ok()),
                }
            }
            let rotated = server.canis(&["key", "rotate", &name], b"");
            assert_eq!(rotated.code == 0, state == "active", "{name} rotate: {rotated:?}");
        }
    }
    server.stop();
}

/// `pkcs11-tool` on the site's store, logged in.
fn tool(site: &Site, args: &[&str]) -> Finished {
    let mut command = site.foreign("pkcs11-tool");
    let module = module().display().to_string();
    command.args(["--module", &module, "--token-label", "default", "--login", "--pin", PIN]).args(args);
    run(&mut command, b"")
}

fn set_pin(site: &Site) {
    let pin_file = site.file("pin");
    std::fs::write(&pin_file, PIN).unwrap();
    let mut command = site.command("canis");
    command.args(["slot", "set-pin", "--token", "default", "--pin-file"]).arg(&pin_file);
    run(command.arg("--data").arg(site.data()), b"").ok();
}

/// The CKA_ID of the first object with this label; pkcs11-tool chooses keys by it.
fn id_of(listed: &str, label: &str) -> Option<String> {
    let after = listed.split(&format!("label:      {label}\n")).nth(1)?;
    let line = after.lines().find_map(|line| line.trim_start().strip_prefix("ID:"));
    line.map(|id| id.trim().to_owned())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Each variant of `states.py`: type and usage, the default one if empty.
const VARIANTS: [(&str, &str, &str); 17] = [
    ("aes128", "aes128-gcm", ""),
    ("aes192", "aes192-gcm", ""),
    ("aes256", "aes256-gcm", ""),
    ("aes-wrap", "aes256-gcm", "wrap,unwrap"),
    ("rsa2048", "rsa-2048", ""),
    ("rsa3072", "rsa-3072", ""),
    ("rsa4096", "rsa-4096", ""),
    ("rsa-wrap", "rsa-3072", "wrap,unwrap"),
    ("p256", "ecdsa-p256", ""),
    ("p384", "ecdsa-p384", ""),
    ("p521", "ecdsa-p521", ""),
    ("k256", "ecdsa-secp256k1", ""),
    ("ec-derive", "ecdsa-p256", "derive"),
    ("ed25519", "ed25519", ""),
    ("x25519", "x25519", ""),
    ("generic", "generic", ""),
    ("generic-derive", "generic", "derive"),
];

/// Runs `states.py` on the site's store.
fn script(site: &Site, state: &str) -> Finished {
    let mut script = site.foreign(python());
    script.arg("-B").arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/states.py"));
    script.arg(module()).args([PIN, state]).arg(site.file("kept")).env("CANIS_DATA", site.data());
    run(&mut script, b"").ok()
}

/// R8, R16, R18, R19: the full table state × operation × type × family of mechanisms through PKCS#11. Created is seen and
/// does nothing, disabled decrypts and verifies, destroyed is absent.
#[test]
fn every_state_operation_and_type_through_pkcs11() {
    let site = Site::with_keyfile();
    set_pin(&site);
    let server = site.start().unsealed();
    canis(&server, &["key", "create", "target", "--type", "aes256-gcm", "--exportable"]);
    for (variant, kind, usage) in VARIANTS {
        for state in STATES {
            let activate = format!("--activate={}", state != "created");
            let name = format!("{variant}-{state}");
            let mut create = vec!["key", "create", &name, "--type", kind, &activate];
            if !usage.is_empty() {
                create.extend(["--usage", usage]);
            }
            canis(&server, &create);
        }
    }
    server.stop();
    script(&site, "make");
    let server = site.start().unsealed();
    for (variant, ..) in VARIANTS {
        STATES.iter().for_each(|state| bring(&server, &format!("{variant}-{state}"), state));
    }
    server.stop();
    let mut tried = 0;
    for state in STATES {
        let told: serde_json::Value = serde_json::from_str(&script(&site, state).text()).unwrap();
        for (variant, ..) in VARIANTS {
            if state == "destroyed" {
                assert_eq!(told[variant], "absent", "{variant}");
                continue;
            }
            for (what, answer) in told[variant].as_object().unwrap() {
                let operation = what.split(' ').next().unwrap();
                let expected =
                    if state_allows(state, operation) { "ok" } else { "CKR_KEY_FUNCTION_NOT_PERMITTED" };
                assert_eq!(answer, expected, "{state} {variant} {what}");
                tried += 1;
            }
        }
    }
    // 3 states × (36 ciphers of AES, 6 of RSA, 24 + 16 + 2 signatures, 4 MACs, 6 wrappings, 3 derivations).
    assert_eq!(tried, 3 * (36 + 6 + 24 + 16 + 2 + 4 + 6 + 3));
}

/// R24: a rotation shows the new version under the key's label with a CKA_ID of its own; the older one is `name@1`, and
/// signs only within min_encryption_version. Destroying objects begins with the older ones.
#[test]
fn versions_through_pkcs11() {
    let site = Site::with_keyfile();
    set_pin(&site);
    let server = site.start().unsealed();
    canis(&server, &["key", "create", "web", "--type", "ecdsa-p256"]);
    canis(&server, &["key", "rotate", "web"]);
    let message = site.file("message");
    std::fs::write(&message, b"message").unwrap();
    for version in ["1", "2"] {
        let public = site.file(&format!("public-{version}"));
        canis(&server, &["key", "public", "web", "--key-version", version, "--out", text(&public)]);
    }
    server.stop();
    let listed = tool(&site, &["--list-objects"]).ok().text();
    let ids: std::collections::BTreeSet<_> =
        listed.lines().filter(|line| line.trim_start().starts_with("ID:")).collect();
    assert_eq!(ids.len(), 2, "{listed}");
    assert_eq!(
        (listed.matches("label:      web\n").count(), listed.matches("label:      web@1\n").count()),
        (2, 2),
        "{listed}"
    );
    let signature = site.file("signature");
    let id = |label: &str| id_of(&listed, label).unwrap();
    let sign = |label: &str| {
        let id = id(label);
        let args = ["--sign", "-m", "ECDSA-SHA256", "--signature-format", "openssl", "--id", &id];
        tool(
            &site,
            &[&args[..], &["--input-file", text(&message), "--output-file", text(&signature)]].concat(),
        )
    };
    let verified = |version: &str| {
        let public = site.file(&format!("public-{version}"));
        let mut dgst = Command::new("openssl");
        dgst.args([
            "dgst",
            "-sha256",
            "-verify",
            text(&public),
            "-signature",
            text(&signature),
            text(&message),
        ]);
        run(&mut dgst, b"").code == 0
    };
    sign("web").ok();
    assert!(verified("2") && !verified("1"));
    assert_ne!(sign("web@1").code, 0, "only the current version signs");
    let server = site.start().unsealed();
    canis(&server, &["key", "update", "web", "--min-encryption-version", "1"]);
    server.stop();
    sign("web@1").ok();
    assert!(verified("1"));
    // The current version has an older one behind it, on which data may hang.
    let delete = |label: &str| tool(&site, &["--delete-object", "--type", "privkey", "--id", &id(label)]);
    let refused = delete("web");
    assert!(refused.code != 0 && refused.stderr.contains(PROHIBITED), "{refused:?}");
    delete("web@1").ok();
    let server = site.start().unsealed();
    let signed = canis(&server, &["sign", "web"]);
    assert!(signed.starts_with("canis:v1:web:2:"));
    let gone = server.canis(&["sign", "web", "--key-version", "1"], b"x");
    assert!(gone.stderr.contains("version_retired"), "{gone:?}");
    canis(&server, &["key", "update", "web", "--deletion-allowed", "false"]);
    server.stop();
    assert!(delete("web").stderr.contains(PROHIBITED));
    let server = site.start().unsealed();
    canis(&server, &["key", "update", "web", "--deletion-allowed", "true"]);
    server.stop();
    delete("web").ok();
    let server = site.start().unsealed();
    assert!(server.canis(&["sign", "web"], b"x").stderr.contains("key_destroyed"));
    server.stop();
}
