//! ML-KEM keys (FIPS 203) through the real `canis` program.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::{Shared, failure, shared, stdout};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// R48, R51: keys in every form of RFC 9935, both ways between CANIS and OpenSSL 3.5 or later, and both sides come to
/// the same secrets.
#[test]
fn keys_and_secrets_cross_to_openssl_and_back() {
    let shared = shared();
    let said = shared.python(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/key_encapsulation.py"));
    assert_eq!(said.matches(" ok\n").count(), 2 * 3, "{said}");
}

fn create(shared: &Shared, name: &str, more: &[&str]) {
    stdout(&shared.canis(&[&["key", "create", name], more].concat()));
}

/// What `canis encapsulate --print` printed: ciphertext and secret.
fn encapsulate(shared: &Shared, args: &[&str]) -> (String, String) {
    let said = stdout(&shared.canis(&[&["encapsulate", "--print", "--json"], args].concat()));
    let said: serde_json::Value = serde_json::from_str(&said).unwrap();
    let text = |name: &str| said[name].as_str().unwrap().to_owned();
    (text("ciphertext"), text("secret_base64"))
}

fn decapsulate(shared: &Shared, name: &str, ciphertext: &str) -> String {
    stdout(&shared.canis(&["decapsulate", name, "--ciphertext", ciphertext, "--print"])).trim_end().to_owned()
}

/// Versions and states: the current version encapsulates, what an older one made still opens; a disabled key opens only.
#[test]
fn ml_kem_keys_live_as_others_do() {
    let shared = shared();
    for kind in ["ml-kem-512", "ml-kem-768", "ml-kem-1024"] {
        let name = format!("kem/{kind}");
        create(&shared, &name, &["--type", kind]);
        let (first, secret) = encapsulate(&shared, &[&name]);
        assert!(first.starts_with(&format!("canis:v1:{name}:1:")));
        assert_eq!(decapsulate(&shared, &name, &first), secret);
        stdout(&shared.canis(&["key", "rotate", &name]));
        let (second, newer) = encapsulate(&shared, &[&name]);
        assert!(second.starts_with(&format!("canis:v1:{name}:2:")));
        assert_eq!(decapsulate(&shared, &name, &first), secret);
        assert_eq!(decapsulate(&shared, &name, &second), newer);
        // Another version is another key: another secret, and no error that would tell.
        let swapped = first.replacen(":1:", ":2:", 1);
        let wrong = decapsulate(&shared, &name, &swapped);
        assert!(wrong != secret && wrong.len() == secret.len());
        assert_eq!(decapsulate(&shared, &name, &swapped), wrong, "the same each time");
        let old = shared.canis(&["encapsulate", &name, "--print", "--key-version", "1"]);
        assert!(failure(&old, 3).contains("version_not_allowed"));
        stdout(&shared.canis(&["key", "update", &name, "--min-encryption-version", "1"]));
        assert!(encapsulate(&shared, &[&name, "--key-version", "1"]).0.contains(":1:"));
        stdout(&shared.canis(&["key", "disable", &name]));
        let refused = failure(&shared.canis(&["encapsulate", &name, "--print"]), 3);
        assert!(refused.contains("operation_not_allowed") && refused.contains("disabled"));
        assert_eq!(decapsulate(&shared, &name, &first), secret);
        stdout(&shared.canis(&["key", "enable", &name]));
        let newer = ["--min-encryption-version", "2", "--min-decryption-version", "2"];
        stdout(&shared.canis(&[&["key", "update", &name], &newer[..]].concat()));
        let too_old = shared.canis(&["decapsulate", &name, "--ciphertext", &first, "--print"]);
        assert!(failure(&too_old, 3).contains("version_not_allowed"));
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// The secret goes where it was told to, and nowhere else: into a file of its owner's alone, or onto stdout if asked for.
#[test]
fn secrets_go_nowhere_unasked() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (ours, theirs, ciphertext) = (path("ours"), path("theirs"), path("ciphertext"));
    create(&shared, "kem/files", &["--type", "ml-kem-768"]);
    for verb in
        [&["encapsulate", "kem/files"][..], &["decapsulate", "kem/files", "--ciphertext", "canis:v1:x"]]
    {
        assert!(failure(&shared.canis(verb), 2).contains("--out"), "neither --out nor --print");
        let both = [verb, &["--out", &ours, "--print"]].concat();
        assert!(failure(&shared.canis(&both), 2).contains("--print"));
    }
    assert!(!Path::new(&ours).exists());
    // An umask that lets everybody read does not let them read this.
    let said = stdout(&shared.canis(&["encapsulate", "kem/files", "--out", &ours]));
    assert!(said.starts_with("canis:v1:kem/files:1:") && said.lines().count() == 1);
    assert_eq!((fs::read(&ours).unwrap().len(), mode(Path::new(&ours))), (32, 0o600));
    let quiet =
        stdout(&shared.canis(&["decapsulate", "kem/files", "--ciphertext", said.trim(), "--out", &theirs]));
    assert_eq!(quiet, "");
    assert_eq!((fs::read(&theirs).unwrap(), mode(Path::new(&theirs))), (fs::read(&ours).unwrap(), 0o600));
    // A bare ciphertext, as other programs write it, and which version it is for.
    let raw = ["encapsulate", "kem/files", "--out", &ours, "--ciphertext", &ciphertext, "--raw"];
    assert_eq!(stdout(&shared.canis(&raw)), "");
    assert_eq!(fs::read(&ciphertext).unwrap().len(), 1088);
    let open = ["decapsulate", "kem/files", "--ciphertext", &ciphertext, "--out", &theirs];
    assert!(failure(&shared.canis(&open), 3).contains("--raw"));
    assert!(failure(&shared.canis(&[&open[..], &["--raw"]].concat()), 2).contains("--key-version"));
    stdout(&shared.canis(&[&open[..], &["--raw", "--key-version", "1"]].concat()));
    assert_eq!(fs::read(&theirs).unwrap(), fs::read(&ours).unwrap());
    fs::write(&ciphertext, [7; 1087]).unwrap();
    let short = shared.canis(&[&open[..], &["--raw", "--key-version", "1"]].concat());
    assert!(failure(&short, 3).contains("1088 bytes, not 1087"));
}

/// Neither door takes the other's keys, and a ciphertext for another key is refused by the name in it.
#[test]
fn keys_keep_to_what_they_are_for() {
    let shared = shared();
    create(&shared, "kem/own", &["--type", "ml-kem-512"]);
    create(&shared, "kem/other", &["--type", "ml-kem-512"]);
    create(&shared, "kem/aes", &["--type", "aes256-gcm"]);
    create(&shared, "kem/open", &["--type", "ml-kem-512", "--usage", "decrypt"]);
    let unsupported = |args: &[&str], input: &[u8]| {
        let said = failure(&shared.canis_with_stdin(args, input), 3);
        assert!(said.contains("operation_not_supported"), "{args:?}: {said}");
        said
    };
    assert!(unsupported(&["encrypt", "kem/own"], b"x").contains("encapsulate"));
    assert!(unsupported(&["decrypt", "kem/own"], b"canis:v1:kem/own:1:AAAA").contains("decapsulate"));
    unsupported(&["datakey", "kem/own"], b"");
    unsupported(&["rewrap", "kem/own"], b"canis:v1:kem/own:1:AAAA");
    unsupported(&["encrypt", "kem/own", "--stream"], b"x");
    unsupported(&["sign", "kem/own"], b"x");
    unsupported(&["derive", "kem/own"], b"");
    unsupported(&["encapsulate", "kem/aes", "--print"], b"");
    unsupported(&["decapsulate", "kem/aes", "--ciphertext", "canis:v1:kem/aes:1:AAAA", "--print"], b"");
    let (ciphertext, _) = encapsulate(&shared, &["kem/own"]);
    let elsewhere = shared.canis(&["decapsulate", "kem/other", "--ciphertext", &ciphertext, "--print"]);
    assert!(failure(&elsewhere, 3).contains("made by key `kem/own`"));
    let not_for_that = shared.canis(&["encapsulate", "kem/open", "--print"]);
    assert!(failure(&not_for_that, 3).contains("operation_not_allowed"));
    unsupported(&["key", "public", "kem/own", "--format", "openssh"], b"");
    unsupported(&["key", "public", "kem/own", "--format", "jwk"], b"");
    for usage in ["sign", "derive", "wrap", "unwrap"] {
        let made = shared.canis(&["key", "create", "kem/none", "--type", "ml-kem-512", "--usage", usage]);
        assert!(failure(&made, 3).contains("invalid_argument"), "{usage}");
    }
}
