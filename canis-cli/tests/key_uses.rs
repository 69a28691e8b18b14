//! What keys are used for besides encrypting and signing, through the real `canis` program; judged by openssl.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use base64ct::{Base64, Encoding};
use harness::{Shared, failure, shared, stdout};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::Command;

fn create(shared: &Shared, name: &str, more: &[&str]) {
    stdout(&shared.canis(&[&["key", "create", name, "--type"], more].concat()));
}

fn json(shared: &Shared, args: &[&str], input: &[u8]) -> Value {
    serde_json::from_str(&stdout(&shared.canis_with_stdin(&[args, &["--json"]].concat(), input))).unwrap()
}

fn openssl(args: &[&str]) -> Vec<u8> {
    let output = Command::new("openssl").args(args).output().unwrap();
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// R21, R36: an older version encrypts and signs only where min_encryption_version lets it.
#[test]
fn older_versions() {
    let shared = shared();
    create(&shared, "uses/old", &["ecdsa-p256"]);
    create(&shared, "uses/old-box", &["aes256-gcm"]);
    for name in ["uses/old", "uses/old-box"] {
        for _ in 0..2 {
            stdout(&shared.canis(&["key", "rotate", name]));
        }
        let operation = if name == "uses/old" { "sign" } else { "encrypt" };
        let ask = |version: &str| shared.canis_with_stdin(&[operation, name, "--key-version", version], b"x");
        assert!(failure(&ask("1"), 3).contains("version_not_allowed"));
        assert!(failure(&ask("4"), 3).contains("version_not_found"));
        assert!(stdout(&ask("3")).starts_with(&format!("canis:v1:{name}:3:")));
        stdout(&shared.canis(&["key", "update", name, "--min-encryption-version", "2"]));
        assert!(stdout(&ask("2")).starts_with(&format!("canis:v1:{name}:2:")));
        assert!(failure(&ask("1"), 3).contains("version_not_allowed"));
        assert!(
            stdout(&shared.canis_with_stdin(&[operation, name], b"x"))
                .starts_with(&format!("canis:v1:{name}:3:"))
        );
    }
    // R35: what is too old does not verify either.
    let signature = stdout(&shared.canis_with_stdin(&["sign", "uses/old", "--key-version", "2"], b"x"));
    let verify = || shared.canis_with_stdin(&["verify", "uses/old", "--signature", signature.trim()], b"x");
    assert_eq!(stdout(&verify()), "valid\n");
    stdout(&shared.canis(&[
        "key",
        "update",
        "uses/old",
        "--min-decryption-version",
        "3",
        "--min-encryption-version",
        "0",
    ]));
    assert!(failure(&verify(), 3).contains("version_not_allowed"));
}

/// One value, and a file of many lines: all under the current version afterwards, whole or not at all.
#[test]
fn rewrap() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ciphertexts");
    create(&shared, "uses/wrap", &["aes256-gcm"]);
    let encrypt = |context: &str| {
        stdout(&shared.canis_with_stdin(&["encrypt", "uses/wrap", "--context", context], b"plain"))
    };
    let (first, other) = (encrypt("c"), encrypt("d"));
    stdout(&shared.canis(&["key", "rotate", "uses/wrap"]));
    let one = stdout(&shared.canis_with_stdin(&["rewrap", "uses/wrap", "--context", "c"], first.as_bytes()));
    assert!(one.starts_with("canis:v1:uses/wrap:2:"), "{one}");
    let decrypt =
        |text: &str| shared.canis_with_stdin(&["decrypt", "uses/wrap", "--context", "c"], text.as_bytes());
    assert_eq!(stdout(&decrypt(&one)), "plain");
    // Many lines, an empty one among them, into the file itself.
    let mut lines = vec![first.trim().to_owned(); 2500];
    lines[1700].clear();
    fs::write(&file, lines.join("\n")).unwrap();
    let args = ["rewrap", "uses/wrap", "--context", "c", "--in", text(&file), "--out", text(&file)];
    assert_eq!(json(&shared, &args, b"")["rewrapped"], 2499);
    let written = fs::read_to_string(&file).unwrap();
    assert_eq!(written.lines().count(), 2500);
    for (at, line) in written.lines().enumerate() {
        assert_eq!(line.starts_with("canis:v1:uses/wrap:2:"), at != 1700, "line {at}: {line}");
    }
    assert_eq!(stdout(&decrypt(written.lines().last().unwrap())), "plain");
    // One wrong line: it is named, and the file stays as it is.
    let mut lines: Vec<&str> = written.lines().collect();
    lines[2100] = other.trim();
    fs::write(&file, lines.join("\n")).unwrap();
    let refused = failure(&shared.canis(&args), 3);
    assert!(refused.contains("line 2101") && refused.contains("decryption_failed"), "{refused}");
    assert_eq!(fs::read_to_string(&file).unwrap(), lines.join("\n"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file stays");
    // Decrypting alone is not enough for a key that must not encrypt.
    stdout(&shared.canis(&["key", "disable", "uses/wrap"]));
    let disabled = shared.canis_with_stdin(&["rewrap", "uses/wrap", "--context", "c"], first.as_bytes());
    assert!(failure(&disabled, 3).contains("operation_not_allowed") && disabled.stdout.is_empty());
}

/// On a terminal a bar shows how far it is; elsewhere there is none.
#[test]
fn a_bar_on_the_terminal() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ciphertexts");
    create(&shared, "uses/bar", &["aes256-gcm"]);
    let one = stdout(&shared.canis_with_stdin(&["encrypt", "uses/bar"], b"x"));
    fs::write(&file, one.repeat(10)).unwrap();
    let canis = shared.deployment.canis(&shared.server);
    let command = format!(
        "{} rewrap uses/bar --in {f} --out {f}",
        canis.get_program().to_str().unwrap(),
        f = text(&file)
    );
    let mut script = Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).envs(canis.get_envs().filter_map(|(k, v)| Some((k, v?))));
    let shown = stdout(&script.stdin(std::process::Stdio::null()).output().unwrap());
    assert!(shown.contains("[##############################] 100 %"), "{shown:?}");
    let quiet = shared.canis(&["rewrap", "uses/bar", "--in", text(&file), "--out", text(&file)]);
    assert!(quiet.status.success() && quiet.stderr.is_empty());
}

/// A data key comes in plain and wrapped, or wrapped only; `decrypt` opens it with the same context.
#[test]
fn data_keys() {
    let shared = shared();
    for kind in ["aes256-gcm", "rsa-2048"] {
        let name = format!("uses/data/{kind}");
        create(&shared, &name, &[kind]);
        let made = json(&shared, &["datakey", &name, "--context", "file 1", "--length", "64"], b"");
        let plaintext = Base64::decode_vec(made["plaintext_base64"].as_str().unwrap()).unwrap();
        assert_eq!(plaintext.len(), 64);
        let ciphertext = made["ciphertext"].as_str().unwrap();
        let decrypt = |context| {
            shared.canis_with_stdin(&["decrypt", &name, "--context", context], ciphertext.as_bytes())
        };
        assert_eq!(decrypt("file 1").stdout, plaintext);
        assert!(failure(&decrypt("file 2"), 3).contains("decryption_failed"));
        let wrapped = stdout(&shared.canis(&["datakey", &name, "--wrapped-only"]));
        assert!(wrapped.starts_with(&format!("canis:v1:{name}:1:")) && wrapped.lines().count() == 1);
        assert_eq!(shared.canis_with_stdin(&["decrypt", &name], wrapped.as_bytes()).stdout.len(), 32);
    }
    for length in ["15", "65"] {
        let refused = shared.canis(&["datakey", "uses/data/rsa-2048", "--length", length]);
        assert!(failure(&refused, 3).contains("16 to 64"));
    }
}

/// Digests made elsewhere are signed as the message would be; JWS's form is r and s one after the other.
#[test]
fn prehashed_and_jws() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let [message, digest, public, sig] = ["message", "digest", "public", "sig"].map(path);
    fs::write(&message, b"to be signed").unwrap();
    fs::write(&digest, openssl(&["dgst", "-sha256", "-binary", text(&message)])).unwrap();
    for (kind, scheme) in [("ecdsa-p256", "ecdsa-sha256"), ("rsa-2048", "rsa-pkcs1-sha256")] {
        let name = format!("uses/pre/{kind}");
        create(&shared, &name, &[kind]);
        stdout(&shared.canis(&["key", "public", &name, "--out", text(&public)]));
        let sign = [
            "sign",
            &name,
            "--scheme",
            scheme,
            "--prehashed",
            "--raw",
            "--in",
            text(&digest),
            "--out",
            text(&sig),
        ];
        stdout(&shared.canis(&sign));
        openssl(&["dgst", "-sha256", "-verify", text(&public), "-signature", text(&sig), text(&message)]);
        // Signed over the digest, verified over the message, and the reverse.
        let signature =
            stdout(&shared.canis(&["sign", &name, "--scheme", scheme, "--prehashed", "--in", text(&digest)]));
        let verify = |more: &[&str]| {
            shared.canis(
                &[&["verify", &name, "--scheme", scheme, "--signature", signature.trim()], more].concat(),
            )
        };
        assert_eq!(stdout(&verify(&["--in", text(&message)])), "valid\n");
        assert_eq!(stdout(&verify(&["--prehashed", "--in", text(&digest)])), "valid\n");
        let long = verify(&["--prehashed", "--in", text(&message)]);
        assert!(failure(&long, 3).contains("32 bytes"));
    }
    create(&shared, "uses/pre/ed", &["ed25519"]);
    let refused = shared.canis(&["sign", "uses/pre/ed", "--prehashed", "--in", text(&digest)]);
    assert!(failure(&refused, 3).contains("operation_not_supported"));
    let name = "uses/pre/ecdsa-p256";
    let sign = ["sign", name, "--form", "jws", "--in", text(&message)];
    let signature = stdout(&shared.canis(&sign));
    let bare = Base64::decode_vec(signature.trim().rsplit(':').next().unwrap()).unwrap();
    assert_eq!(bare.len(), 64);
    let verify = |form: &str| {
        let args = ["verify", name, "--signature", signature.trim(), "--form", form, "--in", text(&message)];
        shared.canis(&args).status.code()
    };
    assert_eq!((verify("jws"), verify("der")), (Some(0), Some(1)));
}

/// MACs carry their version; another message, hash, key or a shorter tag is wrong.
#[test]
fn macs() {
    let shared = shared();
    create(&shared, "uses/mac", &["generic", "--length", "48"]);
    create(&shared, "uses/mac-aes", &["aes256-gcm"]);
    let mac =
        |more: &[&str]| stdout(&shared.canis_with_stdin(&[&["mac", "uses/mac"], more].concat(), b"message"));
    let first = mac(&[]);
    assert!(first.starts_with("canis:v1:uses/mac:1:") && first == mac(&[]));
    stdout(&shared.canis(&["key", "rotate", "uses/mac"]));
    let second = mac(&[]);
    assert!(second.starts_with("canis:v1:uses/mac:2:"));
    let verify = |mac: &str, message: &[u8], more: &[&str]| {
        let args = [&["verify-mac", "uses/mac", "--mac", mac.trim()], more].concat();
        let output = shared.canis_with_stdin(&args, message);
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (right, wrong) = ((Some(0), "valid\n".to_owned()), (Some(1), "invalid\n".to_owned()));
    assert_eq!(
        (verify(&first, b"message", &[]), verify(&second, b"message", &[])),
        (right.clone(), right.clone())
    );
    assert_eq!(verify(&first, b"messagE", &[]), wrong);
    assert_eq!(verify(&first, b"message", &["--hash", "sha384"]), wrong);
    assert_eq!(verify(&mac(&["--hash", "sha384"]), b"message", &["--hash", "sha384"]), right);
    let tag = Base64::decode_vec(first.trim().rsplit(':').next().unwrap()).unwrap();
    let short = format!("canis:v1:uses/mac:1:{}", Base64::encode_string(&tag[..16]));
    assert_eq!(verify(&short, b"message", &[]), wrong);
    let refused = shared.canis_with_stdin(&["mac", "uses/mac-aes"], b"message");
    assert!(failure(&refused, 3).contains("operation_not_supported"));
    let refused = shared.canis_with_stdin(&["sign", "uses/mac"], b"message");
    assert!(failure(&refused, 3).contains("operation_not_supported"));
}

/// ECDH and X25519 agree with openssl, raw and through HKDF; a generic secret derives the same bytes for the same info.
#[test]
fn derive() {
    let shared = shared();
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let (peer, peer_public, ours) = (path("peer.pem"), path("peer-public.pem"), path("ours.pem"));
    for (kind, generate) in [
        ("ecdsa-p256", &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"][..]),
        ("x25519", &["genpkey", "-algorithm", "X25519"]),
    ] {
        let name = format!("uses/derive/{kind}");
        create(&shared, &name, &[kind, "--usage", "derive"]);
        openssl(&[generate, &["-out", text(&peer)]].concat());
        openssl(&["pkey", "-in", text(&peer), "-pubout", "-out", text(&peer_public)]);
        stdout(&shared.canis(&["key", "public", &name, "--out", text(&ours)]));
        let theirs = openssl(&["pkeyutl", "-derive", "-inkey", text(&peer), "-peerkey", text(&ours)]);
        let derive = |more: &[&str]| {
            let args = [&["derive", &name, "--peer", text(&peer_public)], more].concat();
            Base64::decode_vec(json(&shared, &args, b"")["derived_base64"].as_str().unwrap()).unwrap()
        };
        assert_eq!(derive(&["--kdf", "raw"]), theirs, "{kind}");
        let hex: String = theirs.iter().map(|b| format!("{b:02x}")).collect();
        let hkdf = openssl(&[
            "kdf",
            "-binary",
            "-keylen",
            "48",
            "-kdfopt",
            "digest:SHA384",
            "-kdfopt",
            &format!("hexkey:{hex}"),
            "-kdfopt",
            "salt:pinch",
            "-kdfopt",
            "info:session",
            "HKDF",
        ]);
        assert_eq!(
            derive(&["--hash", "sha384", "--salt", "pinch", "--info", "session", "--length", "48"]),
            hkdf
        );
        // A key that is for derivation signs nothing.
        if kind == "ecdsa-p256" {
            let refused = shared.canis_with_stdin(&["sign", &name], b"x");
            assert!(failure(&refused, 3).contains("operation_not_allowed"));
        }
    }
    // The peer's key is of the other type now.
    let wrong = shared.canis(&["derive", "uses/derive/ecdsa-p256", "--peer", text(&peer_public)]);
    assert!(failure(&wrong, 3).contains("x25519"));
    let aes =
        shared.canis(&["key", "create", "uses/derive/aes", "--type", "aes256-gcm", "--usage", "derive"]);
    assert!(failure(&aes, 3).contains("encrypt, decrypt"));
    create(&shared, "uses/derive/secret", &["generic", "--usage", "derive"]);
    let derive = |more: &[&str]| stdout(&shared.canis(&[&["derive", "uses/derive/secret"], more].concat()));
    let first = derive(&["--info", "a"]);
    assert!(first == derive(&["--info", "a"]) && first != derive(&["--info", "b"]));
    stdout(&shared.canis(&["key", "rotate", "uses/derive/secret"]));
    assert!(first != derive(&["--info", "a"]) && first == derive(&["--info", "a", "--key-version", "1"]));
    let raw = shared.canis(&["derive", "uses/derive/secret", "--kdf", "raw"]);
    assert!(failure(&raw, 3).contains("does not leave"));
}

/// Random bytes differ; digests are openssl's.
#[test]
fn random_and_hash() {
    let shared = shared();
    let random = || Base64::decode_vec(stdout(&shared.canis(&["random", "32"])).trim()).unwrap();
    let (one, two) = (random(), random());
    assert!(one.len() == 32 && one != two);
    assert!(failure(&shared.canis(&["random", "65537"]), 3).contains("65536"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("data");
    fs::write(&file, b"some data").unwrap();
    for hash in ["sha256", "sha384", "sha512", "sha3-256", "sha3-384", "sha3-512"] {
        let theirs = String::from_utf8(openssl(&["dgst", &format!("-{hash}"), "-r", text(&file)])).unwrap();
        let ours = stdout(&shared.canis(&["hash", "--hash", hash, "--in", text(&file)]));
        assert_eq!(ours.trim(), theirs.split_whitespace().next().unwrap());
    }
}
