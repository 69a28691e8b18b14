//! Each key type through the real `canis` program and a real server, judged by openssl.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use harness::{Shared, failure, shared, stdout};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const TYPES: [&str; 6] = ["aes256-gcm", "rsa-2048", "rsa-4096", "ecdsa-p256", "ecdsa-p384", "ed25519"];

fn create(shared: &Shared, name: &str, kind: &str) {
    stdout(&shared.canis(&["key", "create", name, "--type", kind]));
}

fn openssl(args: &[&str]) -> Output {
    Command::new("openssl").args(args).output().unwrap()
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Encrypts and decrypts through files and pipes, empty and binary data among it.
fn round_trip(shared: &Shared, name: &str, sizes: &[usize]) {
    for size in sizes {
        let plaintext: Vec<u8> = (0..*size).map(|i| (i % 251) as u8).collect();
        let ciphertext = stdout(&shared.canis_with_stdin(&["encrypt", name], &plaintext));
        assert!(ciphertext.starts_with(&format!("canis:v1:{name}:1:")) && ciphertext.ends_with('\n'));
        let output = shared.canis_with_stdin(&["decrypt", name], ciphertext.as_bytes());
        assert!(output.status.success() && output.stdout == plaintext, "{size} bytes");
    }
}

/// Signs a file with `--raw` and lets openssl verify it with the exported public key.
fn openssl_verifies(shared: &Shared, name: &str, scheme: Option<&str>, verify: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (message, signature, public) = (path("message"), path("signature"), path("public.pem"));
    fs::write(&message, b"to be signed").unwrap();
    stdout(&shared.canis(&["key", "public", name, "--out", text(&public)]));
    let mut sign = vec!["sign", name, "--raw", "--in", text(&message), "--out", text(&signature)];
    sign.extend(scheme.iter().flat_map(|s| ["--scheme", s]));
    stdout(&shared.canis(&sign));
    let judge = |message: &Path| {
        let files = [text(&public), text(&signature), text(message)];
        let args: Vec<&str> = verify
            .iter()
            .map(|arg| match *arg {
                "PUBLIC" => files[0],
                "SIGNATURE" => files[1],
                "MESSAGE" => files[2],
                other => other,
            })
            .collect();
        openssl(&args)
    };
    let good = judge(&message);
    assert!(good.status.success(), "{name} {scheme:?}: {}", String::from_utf8_lossy(&good.stderr));
    fs::write(&message, b"to be signeD").unwrap();
    assert!(!judge(&message).status.success(), "{name} {scheme:?}: openssl accepts another message");
}

const DGST_256: [&str; 7] = ["dgst", "-sha256", "-verify", "PUBLIC", "-signature", "SIGNATURE", "MESSAGE"];

/// The text form: `valid` and exit 0, or `invalid` and exit 1 (R42).
fn verifies(shared: &Shared, name: &str) {
    let signature = stdout(&shared.canis_with_stdin(&["sign", name], b"hello"));
    assert!(signature.starts_with(&format!("canis:v1:{name}:1:")), "{signature}");
    let verify = |message: &[u8], signature: &str| {
        let output = shared.canis_with_stdin(&["verify", name, "--signature", signature.trim()], message);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    assert_eq!(verify(b"hello", &signature), (Some(0), "valid\n".to_owned()));
    assert_eq!(verify(b"hellO", &signature), (Some(1), "invalid\n".to_owned()));
}

/// R1, R38, R41: AES-256-GCM round trip; any change of ciphertext or context gives an error and no plaintext.
#[test]
fn aes256_gcm() {
    let shared = shared();
    create(&shared, "aes", "aes256-gcm");
    round_trip(&shared, "aes", &[0, 1, 31, 4096, 1 << 20, 12 << 20]);
    let bound = stdout(&shared.canis_with_stdin(&["encrypt", "aes", "--context", "invoice 7"], b"secret"));
    let decrypt = |context: &[&str], text: &str| {
        shared.canis_with_stdin(&[&["decrypt", "aes"], context].concat(), text.as_bytes())
    };
    assert_eq!(stdout(&decrypt(&["--context", "invoice 7"], &bound)), "secret");
    for wrong in [&["--context", "invoice 8"][..], &[]] {
        let output = decrypt(wrong, &bound);
        assert!(failure(&output, 3).contains("decryption_failed") && output.stdout.is_empty());
    }
    // Any one character of the base64 part, replaced.
    let start = bound.rfind(':').unwrap() + 1;
    for at in (start..bound.trim_end().len()).step_by(7) {
        let mut changed = bound.clone().into_bytes();
        changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
        let output = decrypt(&["--context", "invoice 7"], std::str::from_utf8(&changed).unwrap());
        failure(&output, 3);
        assert!(output.stdout.is_empty(), "plaintext of a changed ciphertext");
    }
}

/// R2: RSA-2048 encrypts (OAEP) and signs; openssl verifies PSS and PKCS#1 signatures.
#[test]
fn rsa_2048() {
    let shared = shared();
    create(&shared, "rsa2048", "rsa-2048");
    round_trip(&shared, "rsa2048", &[0, 1, 190]);
    verifies(&shared, "rsa2048");
    for (hash, salt) in [("sha256", "32"), ("sha384", "48"), ("sha512", "64")] {
        let (digest, saltlen) = (format!("-{hash}"), format!("rsa_pss_saltlen:{salt}"));
        let pkcs1 = ["dgst", &digest, "-verify", "PUBLIC", "-signature", "SIGNATURE", "MESSAGE"];
        openssl_verifies(&shared, "rsa2048", Some(&format!("rsa-pkcs1-{hash}")), &pkcs1);
        let mut pss = vec!["dgst", &digest, "-sigopt", "rsa_padding_mode:pss", "-sigopt", &saltlen];
        pss.extend(&pkcs1[2..]);
        openssl_verifies(&shared, "rsa2048", Some(&format!("rsa-pss-{hash}")), &pss);
    }
    let too_long = shared.canis_with_stdin(&["encrypt", "rsa2048"], &[0; 191]);
    assert!(failure(&too_long, 3).contains("190"));
}

/// R3, R56: RSA-4096, and the exported modulus is 4096 bits.
#[test]
fn rsa_4096() {
    let shared = shared();
    create(&shared, "rsa4096", "rsa-4096");
    round_trip(&shared, "rsa4096", &[1, 446]);
    verifies(&shared, "rsa4096");
    openssl_verifies(&shared, "rsa4096", Some("rsa-pkcs1-sha256"), &DGST_256);
    let folder = tempfile::tempdir().unwrap();
    let public = folder.path().join("public.pem");
    stdout(&shared.canis(&["key", "public", "rsa4096", "--out", text(&public)]));
    let shown = stdout(&openssl(&["rsa", "-pubin", "-text", "-noout", "-in", text(&public)]));
    assert!(shown.contains("4096 bit"), "{shown}");
}

/// R4: ECDSA P-256; openssl verifies the DER signature.
#[test]
fn ecdsa_p256() {
    let shared = shared();
    create(&shared, "p256", "ecdsa-p256");
    verifies(&shared, "p256");
    openssl_verifies(&shared, "p256", None, &DGST_256);
}

/// R5: ECDSA P-384 with SHA-384.
#[test]
fn ecdsa_p384() {
    let shared = shared();
    create(&shared, "p384", "ecdsa-p384");
    verifies(&shared, "p384");
    let dgst = ["dgst", "-sha384", "-verify", "PUBLIC", "-signature", "SIGNATURE", "MESSAGE"];
    openssl_verifies(&shared, "p384", None, &dgst);
}

/// The further curves; openssl verifies them.
#[test]
fn ecdsa_p521_and_secp256k1() {
    let shared = shared();
    for (kind, hash) in [("ecdsa-p521", "-sha512"), ("ecdsa-secp256k1", "-sha256")] {
        create(&shared, kind, kind);
        verifies(&shared, kind);
        let dgst = ["dgst", hash, "-verify", "PUBLIC", "-signature", "SIGNATURE", "MESSAGE"];
        openssl_verifies(&shared, kind, None, &dgst);
    }
}

/// R6: Ed25519; openssl verifies it raw.
#[test]
fn ed25519() {
    let shared = shared();
    create(&shared, "ed25519", "ed25519");
    verifies(&shared, "ed25519");
    let raw = [
        "pkeyutl",
        "-verify",
        "-pubin",
        "-inkey",
        "PUBLIC",
        "-rawin",
        "-in",
        "MESSAGE",
        "-sigfile",
        "SIGNATURE",
    ];
    openssl_verifies(&shared, "ed25519", None, &raw);
}

/// R8: every type against every operation; what does not go is `operation_not_supported`, never a wrong answer.
#[test]
fn types_by_operations() {
    let shared = shared();
    for kind in TYPES {
        let name = format!("matrix/{kind}");
        create(&shared, &name, kind);
        let encrypts = kind.starts_with("aes") || kind.starts_with("rsa");
        let signs = !kind.starts_with("aes");
        let made_elsewhere = format!("canis:v1:{name}:1:AAAA");
        let asked = [
            ("encrypt", encrypts, shared.canis_with_stdin(&["encrypt", &name], b"x")),
            ("decrypt", encrypts, shared.canis_with_stdin(&["decrypt", &name], made_elsewhere.as_bytes())),
            ("sign", signs, shared.canis_with_stdin(&["sign", &name], b"x")),
            (
                "verify",
                signs,
                shared.canis_with_stdin(&["verify", &name, "--signature", &made_elsewhere], b"x"),
            ),
            ("key public", signs, shared.canis(&["key", "public", &name])),
        ];
        for (operation, can, output) in asked {
            let error = String::from_utf8_lossy(&output.stderr);
            assert_eq!(!error.contains("operation_not_supported"), can, "{kind} {operation}: {error}");
            match (operation, can) {
                (_, false) => drop(failure(&output, 3)),
                // Nothing that anybody encrypted.
                ("decrypt", true) => assert!(failure(&output, 3).contains("decryption_failed")),
                ("verify", true) => assert_eq!(output.status.code(), Some(1)),
                (_, true) => drop(stdout(&output)),
            }
        }
    }
    // A scheme of another family is no way around it.
    let wrong = shared.canis_with_stdin(&["sign", "matrix/ed25519", "--scheme", "ecdsa-sha256"], b"x");
    assert!(failure(&wrong, 3).contains("operation_not_supported"));
    let unknown = shared.canis_with_stdin(&["sign", "matrix/ed25519", "--scheme", "md5"], b"x");
    assert!(failure(&unknown, 3).contains("rsa-pss-sha256"), "it names the schemes there are");
}

/// R39: a ciphertext belongs to its key: neither another key nor an edited header opens it.
#[test]
fn ciphertexts_belong_to_their_key() {
    let shared = shared();
    create(&shared, "mine", "aes256-gcm");
    create(&shared, "yours", "aes256-gcm");
    let ciphertext = stdout(&shared.canis_with_stdin(&["encrypt", "mine"], b"x"));
    let refused = |name: &str, text: &str| {
        let output = shared.canis_with_stdin(&["decrypt", name], text.as_bytes());
        assert!(output.stdout.is_empty());
        failure(&output, 3)
    };
    refused("yours", &ciphertext);
    assert!(refused("yours", &ciphertext.replace(":mine:", ":yours:")).contains("decryption_failed"));
    assert!(refused("mine", &ciphertext.replace(":mine:1:", ":mine:2:")).contains("version_not_found"));
    // R38: a format of the future is named as such.
    assert!(refused("mine", &ciphertext.replace("canis:v1:", "canis:v2:")).contains("unsupported_format"));
    assert!(refused("mine", "no ciphertext").contains("invalid_argument"));
}

/// R12, R13: names, duplicates, defaults, list and show.
#[test]
fn names_and_metadata() {
    let shared = shared();
    create(&shared, "production/payments", "aes256-gcm");
    let shown = stdout(&shared.canis(&["key", "show", "production/payments", "--json"]));
    let key: serde_json::Value = serde_json::from_str(&shown).unwrap();
    for (field, value) in [
        ("name", serde_json::json!("production/payments")),
        ("type", "aes256-gcm".into()),
        ("state", "active".into()),
        ("current_version", 1.into()),
        ("min_decryption_version", 1.into()),
        ("min_encryption_version", 0.into()),
        ("deletion_allowed", true.into()),
        ("exportable", false.into()),
        ("allow_plaintext_backup", false.into()),
        ("usage", serde_json::json!(["encrypt", "decrypt"])),
    ] {
        assert_eq!(key[field], value, "{field}");
    }
    for time in [&key["created_at"], &key["updated_at"], &key["versions"][0]["created_at"]] {
        let time = time.as_str().unwrap();
        assert!(time.starts_with("20") && time.contains('T') && time.ends_with('Z'), "{time}");
    }
    let again = shared.canis(&["key", "create", "production/payments", "--type", "ed25519"]);
    assert!(failure(&again, 3).contains("key_exists"));
    for name in ["a:b", "..", "a/../b", "a b", "", "/a"] {
        let output = shared.canis(&["key", "create", name, "--type", "ed25519"]);
        assert!(failure(&output, 3).contains("invalid_name"), "{name}");
    }
    // R7: an unknown type is refused, and nothing is made.
    let unknown = shared.canis(&["key", "create", "production/odd", "--type", "foo", "--json"]);
    let error: serde_json::Value = serde_json::from_str(&failure(&unknown, 3)).unwrap();
    assert_eq!(error["error"]["code"], "invalid_key_type");
    let listed = stdout(&shared.canis(&["key", "list", "--prefix", "production/", "--json"]));
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    let names: Vec<_> = listed["keys"].as_array().unwrap().iter().map(|k| &k["name"]).collect();
    assert_eq!(names, ["production/payments"]);
    assert!(stdout(&shared.canis(&["key", "list"])).contains("production/payments"));
    assert!(failure(&shared.canis(&["key", "show", "absent"]), 3).contains("key_not_found"));
}

/// Decrypted files belong to their owner alone; a failure leaves what was there.
#[test]
fn output_files() {
    let shared = shared();
    create(&shared, "files", "aes256-gcm");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("plain"), b"the plaintext").unwrap();
    let run = |args: &[&str]| shared.canis(args);
    stdout(&run(&["encrypt", "files", "--in", text(&path("plain")), "--out", text(&path("sealed"))]));
    stdout(&run(&["decrypt", "files", "--in", text(&path("sealed")), "--out", text(&path("opened"))]));
    assert_eq!(fs::read(path("opened")).unwrap(), b"the plaintext");
    assert_eq!(fs::metadata(path("opened")).unwrap().permissions().mode() & 0o777, 0o600);
    let mut broken = fs::read(path("sealed")).unwrap();
    let middle = broken.len() - 10;
    broken[middle] = if broken[middle] == b'A' { b'B' } else { b'A' };
    fs::write(path("sealed"), broken).unwrap();
    for out in ["opened", "new"] {
        failure(&run(&["decrypt", "files", "--in", text(&path("sealed")), "--out", text(&path(out))]), 3);
    }
    assert_eq!(fs::read(path("opened")).unwrap(), b"the plaintext");
    assert!(!path("new").exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3, "no temporary file stays");
    // A signature file is read by name.
    create(&shared, "files-sign", "ed25519");
    stdout(&run(&["sign", "files-sign", "--in", text(&path("plain")), "--out", text(&path("sig"))]));
    let verified =
        run(&["verify", "files-sign", "--in", text(&path("plain")), "--signature", text(&path("sig"))]);
    assert_eq!(stdout(&verified), "valid\n");
}

/// 64 MiB for an operation without streams are refused before anything is sent, and the limit is named.
#[test]
fn large_inputs_are_refused() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let large = folder.path().join("large");
    fs::File::create(&large).unwrap().set_len(64 << 20).unwrap();
    let output = shared.canis(&["aes-gcm", "encrypt", "any", "--in", text(&large)]);
    let error = failure(&output, 3);
    assert!(error.contains("too_large") && error.contains("16781312"), "{error}");
}
