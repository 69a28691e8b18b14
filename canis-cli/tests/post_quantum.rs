//! Post-quantum keys through the real `canis` program.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::{Shared, failure, shared, stdout};
use std::fs;
use std::process::Output;

/// R48, R49, R51: keys in every form of RFC 9881, both ways between CANIS and OpenSSL 3.5 or later, and both sides use
/// the same key.
#[test]
fn keys_cross_to_openssl_and_back() {
    let shared = shared();
    let said = shared.python(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/post_quantum.py"));
    assert_eq!(said.matches(" ok\n").count(), 3 * 3, "{said}");
}

fn verifies(output: &Output) -> bool {
    match output.status.code() {
        Some(0) => true,
        Some(1) => false,
        _ => panic!("{}", String::from_utf8_lossy(&output.stderr)),
    }
}

fn create(shared: &Shared, name: &str, kind: &str) {
    stdout(&shared.canis(&["key", "create", name, "--type", kind]));
}

/// The versions of a key, its states and its scheme; each hash function only where it is as strong as the key.
#[test]
fn ml_dsa_keys_live_as_others_do() {
    let shared = shared();
    for (kind, hashes) in [
        ("ml-dsa-44", &["sha256", "sha384", "sha512"][..]),
        ("ml-dsa-65", &["sha384", "sha512"]),
        ("ml-dsa-87", &["sha512"]),
    ] {
        let name = format!("pq/{kind}");
        create(&shared, &name, kind);
        for hash in ["sha256", "sha384", "sha512"] {
            let scheme = format!("hash-ml-dsa-{hash}");
            let signed = shared.canis_with_stdin(&["sign", &name, "--scheme", &scheme], b"message");
            if !hashes.contains(&hash) {
                assert!(failure(&signed, 3).contains("operation_not_supported"), "{kind}, {hash}");
                continue;
            }
            let signature = stdout(&signed);
            let verify = |scheme: &str, message: &[u8]| {
                let args = ["verify", &name, "--scheme", scheme, "--signature", signature.trim()];
                verifies(&shared.canis_with_stdin(&args, message))
            };
            assert!(verify(&scheme, b"message"));
            assert!(!verify(&scheme, b"massage"));
            assert!(!verify("ml-dsa", b"message"), "a signature of one way passes for one of the other");
        }
        let first = stdout(&shared.canis_with_stdin(&["sign", &name], b"message"));
        stdout(&shared.canis(&["key", "rotate", &name]));
        let second = stdout(&shared.canis_with_stdin(&["sign", &name], b"message"));
        assert!(second.starts_with(&format!("canis:v1:{name}:2:")));
        for signature in [first.trim(), second.trim()] {
            let args = ["verify", &name, "--signature", signature];
            assert!(verifies(&shared.canis_with_stdin(&args, b"message")));
        }
        // The version stands in the text; that of another version's key does not pass for it.
        let swapped = first.trim().replacen(":1:", ":2:", 1);
        let args = ["verify", &name, "--signature", &swapped];
        assert!(!verifies(&shared.canis_with_stdin(&args, b"message")));
        stdout(&shared.canis(&["key", "disable", &name]));
        assert!(failure(&shared.canis_with_stdin(&["sign", &name], b"message"), 3).contains("disabled"));
    }
}

/// What is longer than a request is signed as a stream, and is the same signature to whoever has it whole.
#[test]
fn long_messages_and_contexts() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    // Longer than a request.
    let long = folder.path().join("long");
    fs::write(&long, vec![0x5a; 17 << 20]).unwrap();
    let long = long.to_str().unwrap();
    create(&shared, "pq/long", "ml-dsa-65");
    let signature = stdout(&shared.canis(&["sign", "pq/long", "--in", long, "--context", "files"]));
    let verify = |context: &str| {
        let args = ["verify", "pq/long", "--in", long, "--signature", signature.trim(), "--context", context];
        verifies(&shared.canis(&args))
    };
    assert!(verify("files"));
    assert!(!verify("file") && !verify(""));
    let longest = "c".repeat(255);
    stdout(&shared.canis_with_stdin(&["sign", "pq/long", "--context", &longest], b"message"));
    let longer = shared.canis_with_stdin(&["sign", "pq/long", "--context", &"c".repeat(256)], b"message");
    assert!(failure(&longer, 3).contains("at most 255 bytes, not 256"));
    // mu holds the context already.
    let twice = shared.canis_with_stdin(&["sign", "pq/long", "--prehashed", "--context", "c"], &[7; 64]);
    assert!(failure(&twice, 3).contains("in mu already"));
    let short = shared.canis_with_stdin(&["sign", "pq/long", "--prehashed"], &[7; 63]);
    assert!(failure(&short, 3).contains("64 bytes"));
    // Other schemes have no context that could be dropped unseen.
    create(&shared, "pq/classic", "ed25519");
    let refused = shared.canis_with_stdin(&["sign", "pq/classic", "--context", "c"], b"message");
    assert!(failure(&refused, 3).contains("operation_not_supported"));
    let ssh = shared.canis(&["key", "public", "pq/long", "--format", "openssh"]);
    assert!(failure(&ssh, 3).contains("OpenSSH has no keys of type ml-dsa-65"));
}

/// SLH-DSA keys: pure and prehashed signatures with a context, each hash only where it is as strong as the key, over versions;
/// and what the two families of post-quantum signatures do not share is said.
#[test]
fn slh_dsa_keys_live_as_others_do() {
    let shared = shared();
    for (kind, hashes) in [
        ("slh-dsa-sha2-128f", &["sha256", "sha384", "sha512"][..]),
        ("slh-dsa-sha2-192f", &["sha384", "sha512"]),
        ("slh-dsa-sha2-256f", &["sha512"]),
    ] {
        let name = format!("pq/{kind}");
        create(&shared, &name, kind);
        for hash in ["sha256", "sha384", "sha512"] {
            let scheme = format!("hash-slh-dsa-{hash}");
            let sign = ["sign", &name, "--scheme", &scheme, "--context", "c"];
            let signed = shared.canis_with_stdin(&sign, b"message");
            if !hashes.contains(&hash) {
                assert!(failure(&signed, 3).contains("operation_not_supported"), "{kind}, {hash}");
                continue;
            }
            let signature = stdout(&signed);
            let verify = |scheme: &str, context: &str, message: &[u8]| {
                let signature = ["--signature", signature.trim(), "--context", context];
                let args = [&["verify", &name, "--scheme", scheme][..], &signature].concat();
                verifies(&shared.canis_with_stdin(&args, message))
            };
            assert!(verify(&scheme, "c", b"message"));
            assert!(!verify(&scheme, "c", b"massage") && !verify(&scheme, "", b"message"));
            assert!(
                !verify("slh-dsa", "c", b"message"),
                "a signature of one way passes for one of the other"
            );
        }
        let first = stdout(&shared.canis_with_stdin(&["sign", &name], b"message"));
        stdout(&shared.canis(&["key", "rotate", &name]));
        let verify = |text: &str| {
            let args = ["verify", &name, "--signature", text];
            verifies(&shared.canis_with_stdin(&args, b"message"))
        };
        assert!(verify(first.trim()));
        assert!(!verify(&first.trim().replacen(":1:", ":2:", 1)));
    }
    let refusal = |args: &[&str]| failure(&shared.canis_with_stdin(args, &[7; 64]), 3);
    let name = "pq/slh-dsa-sha2-256f";
    assert!(refusal(&["sign", name, "--prehashed"]).contains("name the scheme of the digest"));
    assert!(refusal(&["sign", name, "--scheme", "ml-dsa"]).contains("does not sign by ml-dsa"));
    let prehashed = ["sign", name, "--prehashed", "--scheme", "hash-slh-dsa-sha512"];
    stdout(&shared.canis_with_stdin(&prehashed, &[7; 64]));
    let ssh = shared.canis(&["key", "public", name, "--format", "openssh"]);
    assert!(failure(&ssh, 3).contains("OpenSSH has no keys of type slh-dsa-sha2-256f"));
    let jwk = shared.canis(&["key", "public", name, "--format", "jwk"]);
    assert!(failure(&jwk, 3).contains("JSON Web Keys have no form for keys of type slh-dsa-sha2-256f"));
}

/// R48, R49, R51: the forms of RFC 9909 out and in again, and the bare key; the same key signs. One that is torn is refused, and so
/// is a stream, which it would have to read twice.
#[test]
fn slh_dsa_keys_come_and_go() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    for (kind, len) in [("slh-dsa-sha2-128f", 64), ("slh-dsa-sha2-192f", 96), ("slh-dsa-sha2-256f", 128)] {
        let name = format!("out/{kind}");
        let leaves = ["--exportable", "--allow-plaintext-backup"];
        stdout(&shared.canis(&[&["key", "create", &name, "--type", kind][..], &leaves].concat()));
        let (pem, raw, public) = (file("key.pem"), file("key.raw"), file("public.pem"));
        stdout(&shared.canis(&["key", "export", &name, "--format", "pkcs8", "--out", &pem]));
        stdout(&shared.canis(&["key", "export", &name, "--format", "raw", "--out", &raw]));
        stdout(&shared.canis(&["key", "public", &name, "--out", &public]));
        assert_eq!(fs::read(&raw).unwrap().len(), len);
        let jwk = shared.canis(&["key", "export", &name, "--format", "jwk"]);
        assert!(failure(&jwk, 3).contains("JSON Web Keys have no form"), "{kind}");
        for (form, from, args) in
            [("pem", &pem, &[][..]), ("raw", &raw, &["--format", "raw"]), ("half", &public, &[])]
        {
            let other = format!("in/{kind}/{form}");
            let import = ["key", "import", &other, "--type", kind, "--in", from];
            stdout(&shared.canis(&[&import[..], args].concat()));
            let theirs = stdout(&shared.canis(&["key", "public", &other]));
            assert_eq!(theirs, fs::read_to_string(&public).unwrap(), "{other}");
            let signed = shared.canis_with_stdin(&["sign", &name], b"message");
            let signed = stdout(&signed).trim().replacen(&name, &other, 1);
            let verify = ["verify", &other, "--signature", &signed];
            assert!(verifies(&shared.canis_with_stdin(&verify, b"message")), "{other}");
        }
        let mut torn = fs::read(&raw).unwrap();
        torn[len - 1] ^= 1;
        let bent = file("torn");
        fs::write(&bent, torn).unwrap();
        let import = ["key", "import", "in/torn", "--type", kind, "--in", &bent, "--format", "raw"];
        assert!(failure(&shared.canis(&import), 3).contains("pairwise consistency test"));
    }
    let long = file("long");
    fs::write(&long, vec![0x5a; 17 << 20]).unwrap();
    let name = "out/slh-dsa-sha2-128f";
    let whole = shared.canis(&["sign", name, "--in", &long]);
    assert!(failure(&whole, 3).contains("reads a message twice"));
    let scheme = ["--scheme", "hash-slh-dsa-sha512"];
    let signed = stdout(&shared.canis(&[&["sign", name, "--in", &long][..], &scheme].concat()));
    let verify = ["verify", name, "--in", &long, "--signature", signed.trim()];
    assert!(verifies(&shared.canis(&[&verify[..], &scheme].concat())));
}
