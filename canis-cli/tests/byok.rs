//! docs/byok.md, run as it stands; and what must not come in or go out.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

mod customer;

use customer::Bench;
use harness::{failure, program, shared};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

const TEXT: &str = include_str!("../../docs/byok.md");

/// The commands of the document under this heading of a block, such as `sh recipe secret`.
fn recipe(name: &str) -> String {
    let start = format!("```sh recipe {name}\n");
    let (_, rest) = TEXT.split_once(&start).unwrap_or_else(|| panic!("no recipe {name}"));
    rest.split_once("```").unwrap().0.to_owned()
}

/// The plain blocks, in order.
fn blocks() -> Vec<&'static str> {
    TEXT.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect()
}

/// R45, R46, R51, R53: the document from its first command to its last. A ciphertext made with the key outside decrypts.
#[test]
fn the_document_runs_as_it_stands() {
    let shared = shared();
    let bench = Bench::new(&shared);
    let secret = [7; 32];
    bench.write("key.bin", &secret);
    bench.write("pass", b"a passphrase\n");
    bench.ok("openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem
         openssl req -x509 -new -key key.pem -subj /CN=me -out cert.pem -days 2
         openssl pkcs12 -export -inkey key.pem -in cert.pem -out key.p12 -passout file:pass
         openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:4096 -out mine.key
         openssl pkey -in mine.key -pubout -out mine.pem
         age-keygen -o identity.txt; age-keygen -y identity.txt > recipient; age -R recipient -o locked.age identity.txt
         mkdir .ssh; ssh-keygen -q -t ed25519 -N '' -f .ssh/id_ed25519");
    let [wrapping, import, plain, export, named] = blocks()[..] else { panic!("{}", blocks().len()) };
    bench.ok(wrapping);
    let shown = bench.ok("openssl pkey -pubin -in wrapping.pem -noout -text");
    assert!(shown.contains("4096 bit"), "R45: {shown}");
    bench.ok(&recipe("secret"));
    bench.ok(import);
    bench.ok(plain);
    bench.ok(&recipe("pkcs12"));
    bench.ok(&recipe("age"));
    bench.ok(&recipe("locked age"));
    bench.ok(export);
    bench.write("key.bin", b"");
    bench.ok(&recipe("unwrap"));
    assert_eq!(bench.read("key.bin"), secret, "R53: openssl opens what was wrapped for it");
    bench.ok(named);
    // All three are one key: each decrypts only what it encrypted itself, but the material is the same.
    let one = bench.ok("canis key show payments --json");
    assert!(one.contains(r#""exportable":true"#) && one.contains(r#""allow_plaintext_backup":false"#));
    // The private recipe, then the first one again for what it made.
    bench.ok(&recipe("private"));
    bench.ok(&recipe("secret"));
    bench.ok("canis key import signer --type ecdsa-p256 --wrapped wrapped.bin");
    bench.ok("echo hello > message; canis sign signer --raw --in message --out signature");
    bench.ok("openssl dgst -sha256 -prverify key.pem -signature signature message");
    let ssh = bench.ok("canis key public login/me --format openssh");
    let original = String::from_utf8(bench.read(".ssh/id_ed25519.pub")).unwrap();
    assert_eq!(ssh.split(' ').nth(1), original.split(' ').nth(1));
    assert_eq!(bench.ok("canis key public backup"), bench.ok("canis key public backup-again"));
    assert_eq!(bench.ok("openssl x509 -in chain.pem"), bench.ok("openssl x509 -in cert.pem"));
    let from_pkcs12 = bench.ok("canis key public from-pkcs12");
    assert_eq!(from_pkcs12, bench.ok("openssl pkey -in key.pem -pubout"));
}

/// A wrapping that was altered anywhere has one answer, and nothing is kept.
#[test]
fn altered_wrappings_have_one_answer() {
    let shared = shared();
    let bench = Bench::new(&shared);
    bench.write("key.bin", &[9; 32]);
    bench.ok("canis key wrapping-key --out wrapping.pem");
    bench.ok(&recipe("secret"));
    let good = bench.read("wrapped.bin");
    assert_eq!(good.len(), 512 + 40);
    let mut answers = std::collections::BTreeSet::new();
    let mut refused = |bytes: &[u8]| {
        bench.write("bad.bin", bytes);
        let output = bench.run("canis key import altered --type aes256-gcm --wrapped bad.bin");
        answers.insert(failure(&output, 3));
    };
    for at in [0, 1, 255, 511, 512, 519, 520, 551] {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        refused(&bad);
    }
    for cut in [0, 1, 511, 512, 528, 551] {
        refused(&good[..cut]);
    }
    refused(&[&good[..], &[0; 8]].concat());
    refused(&[&[0xff; 512][..], &good[512..]].concat());
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers.first().unwrap().contains("decryption_failed"));
    bench.refused("canis key show altered", "key_not_found");
    // As it was made it comes in; as another type it does not.
    bench.refused("canis key import altered --type aes128-gcm --wrapped wrapped.bin", "16 bytes, not 32");
    bench.refused("canis key import altered --type ecdsa-p256 --wrapped wrapped.bin", "not PKCS#8");
    bench.ok("canis key import altered --type aes256-gcm --wrapped wrapped.bin");
}

/// R54: the matrix of both flags against every way out.
#[test]
fn the_matrix_of_export() {
    let shared = shared();
    let bench = Bench::new(&shared);
    bench.ok("openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:3072 -out mine.key
         openssl pkey -in mine.key -pubout -out mine.pem
         canis key create matrix/wrapper --type aes256-gcm --usage wrap,unwrap");
    let flags = [("", 0), ("--exportable", 1), ("--exportable --allow-plaintext-backup", 2)];
    for (flags, level) in flags {
        for (kind, plain) in
            [("aes256-gcm", "raw"), ("rsa-2048", "pkcs8"), ("ecdsa-p384", "pkcs8"), ("ed25519", "raw")]
        {
            let name = format!("matrix/{kind}-{level}");
            bench.ok(&format!("canis key create {name} --type {kind} {flags}"));
            for (way, needed) in [
                ("--format jwk".to_owned(), 2),
                (format!("--format {plain}"), 2),
                ("--format wrapped --wrapping-public-key mine.pem".to_owned(), 1),
                ("--format wrapped --wrapping-key matrix/wrapper".to_owned(), 1),
            ] {
                let command = format!("canis key export {name} {way}");
                match level {
                    _ if level >= needed => assert!(bench.run(&command).status.success(), "{command}"),
                    0 => bench.refused(&command, "key_not_exportable"),
                    _ => bench.refused(&command, "key_sensitive"),
                }
            }
        }
    }
    // R55: what is off stays off.
    bench.refused("canis key update matrix/ed25519-1 --allow-plaintext-backup true", "attribute_read_only");
    bench.ok("canis key update matrix/ed25519-2 --exportable false");
    bench.refused("canis key export matrix/ed25519-2 --format raw", "key_not_exportable");
    // A capability is needed for it; a disabled key does not leave.
    bench.ok("canis key disable matrix/ed25519-1");
    bench.refused(
        "canis key export matrix/ed25519-1 --format wrapped --wrapping-public-key mine.pem",
        "operation_not_allowed",
    );
}

/// Every form that leaves is the key: openssl opens it, and it comes in again.
#[test]
fn exported_keys_open_elsewhere() {
    let shared = shared();
    let bench = Bench::new(&shared);
    bench.write("pass", b"a passphrase\n");
    for kind in ["rsa-2048", "ecdsa-p256", "ecdsa-p384", "ecdsa-p521", "ecdsa-secp256k1", "ed25519"] {
        let name = format!("out/{kind}");
        bench.ok(&format!("canis key create {name} --type {kind} --exportable --allow-plaintext-backup"));
        let public = bench.ok(&format!("canis key public {name}"));
        bench.ok(&format!("canis key export {name} --format pkcs8 --out plain.pem"));
        let mode = fs::metadata(bench.path("plain.pem")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(bench.ok("openssl pkey -in plain.pem -pubout"), public);
        bench.ok(&format!("canis key export {name} --format pkcs8 --passphrase-file pass --out locked.pem"));
        assert!(bench.read("locked.pem").starts_with(b"-----BEGIN ENCRYPTED PRIVATE KEY"));
        assert_eq!(bench.ok("openssl pkey -in locked.pem -passin file:pass -pubout"), public);
        bench.ok(&format!("canis key export {name} --format jwk --out key.jwk"));
        for (file, flags) in [("plain.pem", ""), ("locked.pem", "--passphrase-file pass"), ("key.jwk", "")] {
            let again = format!("in/{kind}/{file}");
            bench.ok(&format!("chmod 600 pass; canis key import {again} --in {file} {flags}"));
            assert_eq!(bench.ok(&format!("canis key public {again}")), public, "{again}");
        }
    }
    // Without a passphrase file and without a terminal it says what it lacks.
    let output = Command::new("setsid")
        .args(["-w", program("canis").to_str().unwrap(), "key", "import", "in/locked", "--in", "locked.pem"])
        .current_dir(&bench.folder)
        .output()
        .unwrap();
    assert!(failure(&output, 3).contains("--passphrase-file"));
}

/// R50: keys that are no good are refused with their reason, and nothing is kept.
#[test]
fn bad_keys_are_refused_and_not_kept() {
    let shared = shared();
    let bench = Bench::new(&shared);
    let weak: Vec<(String, serde_json::Value, String)> = {
        let text = include_str!("weak_keys.json");
        let list: serde_json::Value = serde_json::from_str(text).unwrap();
        let member = |entry: &serde_json::Value, name: &str| entry[name].as_str().unwrap().to_owned();
        list.as_array()
            .unwrap()
            .iter()
            .map(|entry| (member(entry, "what"), entry["jwk"].clone(), member(entry, "refusal")))
            .collect()
    };
    assert!(weak.len() >= 12);
    for (what, jwk, why) in weak {
        bench.write("weak.jwk", jwk.to_string().as_bytes());
        // By the program, and by the server, which a client need not help.
        bench.refused("canis key import weak --in weak.jwk", &why);
        let kind = match (jwk["kty"].as_str().unwrap(), jwk["crv"].as_str()) {
            ("RSA", _) => canis_proto::KeyType::Rsa2048,
            ("EC", _) => canis_proto::KeyType::EcdsaP256,
            ("OKP", _) => canis_proto::KeyType::Ed25519,
            _ => canis_proto::KeyType::Aes256,
        };
        let text = jwk.to_string();
        let request = canis_proto::message::ImportKey {
            name: "weak".into(),
            kind,
            format: canis_proto::KeyFormat::Jwk,
            material: text.as_bytes().into(),
            wrapped: false,
            wrapping_key: "".into(),
            next_version: false,
            usage: None,
            exportable: false,
            allow_plaintext_backup: false,
        };
        let error = shared.client().call(&request).err().unwrap();
        assert!(error.message.contains(&why), "{what}: {error}");
    }
    bench.refused("canis key show weak", "key_not_found");
    bench.write("half.bin", &[1; 31]);
    bench.refused("canis key import weak --type aes256-gcm --format raw --in half.bin", "32 bytes, not 31");
    bench.ok("openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem");
    bench.refused(
        "canis key import weak --type ecdsa-p384 --in key.pem",
        "is of type ecdsa-p256, not ecdsa-p384",
    );
    bench.refused("canis key show weak", "key_not_found");
}

/// Versions from outside follow only what came from outside, whole after whole, of one type.
#[test]
fn versions_from_outside() {
    let shared = shared();
    let bench = Bench::new(&shared);
    bench.ok(
        "for n in 1 2; do openssl genpkey -quiet -algorithm ed25519 -out k$n.pem; openssl pkey -in k$n.pem -pubout -out p$n.pem; done
         openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.pem
         canis key import versions/a --in k1.pem
         echo hello > message; canis sign versions/a --in message --out first
         canis key import versions/a --in k2.pem --next-version",
    );
    assert_eq!(bench.ok("canis key public versions/a"), bench.ok("cat p2.pem"));
    assert_eq!(bench.ok("canis key public versions/a --key-version 1"), bench.ok("cat p1.pem"));
    assert_eq!(bench.ok("canis verify versions/a --in message --signature first"), "valid\n");
    bench.refused("canis key import versions/a --in k1.pem", "key_exists");
    bench.refused("canis key import versions/a --in ec.pem --next-version", "invalid_key_type");
    bench.refused("canis key import versions/a --in p1.pem --next-version", "operation_not_allowed");
    bench.refused("canis key import versions/a --in k1.pem --next-version --exportable", "properties");
    bench.refused("canis key import versions/none --in k1.pem --next-version", "key_not_found");
    bench.ok("canis key create versions/own --type ed25519");
    bench.refused("canis key import versions/own --in k1.pem --next-version", "was made here");
    // A public half alone verifies what its owner signs, cannot sign, rotate or leave, and gets public versions.
    bench.ok("canis key import versions/half --in p1.pem");
    let signature = bench.ok("cat first").replace("versions/a", "versions/half");
    bench.write("renamed", signature.as_bytes());
    assert_eq!(bench.ok("canis verify versions/half --in message --signature renamed"), "valid\n");
    bench.refused("canis sign versions/half --in message", "operation_not_allowed");
    bench.refused("canis key rotate versions/half", "public half");
    bench.refused("canis key update versions/half --rotate-every 30d", "public half");
    bench.refused("canis key export versions/half --format pkcs8", "public half");
    bench.refused("canis key import versions/half --in k2.pem --next-version", "operation_not_allowed");
    bench.ok("canis key import versions/half --in p2.pem --next-version");
    bench.ok("canis key disable versions/half; canis key destroy versions/half");
}

/// Ways around `exportable` and `allow_plaintext_backup`, each tried.
#[test]
fn ways_around() {
    let shared = shared();
    let bench = Bench::new(&shared);
    bench.ok("openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out short.key
         openssl pkey -in short.key -pubout -out short.pem
         canis key create around/data --type aes256-gcm
         canis key create around/weak --type aes128-gcm --usage wrap,unwrap
         canis key create around/keys --type aes256-gcm --usage wrap,unwrap
         canis key create around/both --type aes256-gcm --usage wrap,unwrap,encrypt,decrypt
         canis key create around/rsa --type rsa-3072 --usage wrap,unwrap
         canis key create around/secret --type aes256-gcm --exportable
         canis key wrapping-key --out wrapping.pem");
    let export = |by: &str| format!("canis key export around/secret --format wrapped {by}");
    // A key that decrypts must not wrap; one that wraps does not decrypt.
    bench.refused(&export("--wrapping-key around/data"), "operation_not_allowed");
    bench.refused(&export("--wrapping-key around/both"), "key_not_wrappable");
    bench.refused(&export("--wrapping-key around/weak"), "wrapping_key_too_weak");
    bench.refused(&export("--wrapping-public-key short.pem"), "wrapping_key_too_weak");
    // One rule with PKCS#11: as strong, or RSA of 3072 bits; of a generic secret its length counts.
    bench.ok("canis key create around/long --type generic --length 32 --exportable
         canis key create around/short --type generic --length 16 --exportable
         canis key create around/pair --type rsa-2048 --exportable
         canis key create around/open --type generic --length 32 --exportable --allow-plaintext-backup");
    let leaves = |what: &str, by: &str| format!("canis key export around/{what} --format wrapped {by}");
    for (what, by, fits) in [
        ("long", "--wrapping-key around/weak", false),
        ("short", "--wrapping-key around/weak", true),
        ("open", "--wrapping-key around/weak", true),
        ("pair", "--wrapping-key around/weak", true),
        ("pair", "--wrapping-public-key short.pem", true),
        ("short", "--wrapping-public-key short.pem", false),
        ("long", "--wrapping-key around/rsa", true),
    ] {
        if fits {
            bench.ok(&format!("{} --out left.bin", leaves(what, by)));
        } else {
            bench.refused(&leaves(what, by), "wrapping_key_too_weak");
        }
    }
    bench.ok("canis key disable around/open; canis key destroy around/open");
    bench.refused("echo x | canis encrypt around/keys", "operation_not_allowed");
    for by in ["around/keys", "around/rsa"] {
        bench.ok(&format!("{} --out by.bin", export(&format!("--wrapping-key {by}"))));
        let back =
            format!("canis key import {by}/back --type aes256-gcm --wrapped by.bin --wrapping-key {by}");
        bench.refused(&format!("{back} --exportable --allow-plaintext-backup"), "key_sensitive");
        bench.ok(&format!("{back} --exportable"));
        bench.refused(&format!("canis key export {by}/back --format raw"), "key_sensitive");
    }
    // Out under the tenant's own wrapping key and in again does not give more rights either.
    bench.ok(&format!("{} --out wrapped.bin", export("--wrapping-public-key wrapping.pem")));
    let back = "canis key import around/back --type aes256-gcm --wrapped wrapped.bin";
    bench.refused(&format!("{back} --exportable --allow-plaintext-backup"), "key_sensitive");
    bench.ok(back);
    bench.refused("canis key export around/back --format raw", "key_not_exportable");
    // Nor does importing it as the version of a key that may leave in plain.
    bench.write("other.bin", &[5; 32]);
    bench.ok("canis key import around/open --type aes256-gcm --format raw --in other.bin --exportable --allow-plaintext-backup");
    bench.refused(
        "canis key import around/open --type aes256-gcm --wrapped wrapped.bin --next-version",
        "key_sensitive",
    );
    bench.refused(
        "canis key import around/open --type aes256-gcm --wrapped by.bin --wrapping-key around/rsa --next-version",
        "key_sensitive",
    );
    // The wrapping key has no name to use it by.
    for name in ["wrapping-key", "~wrapping-key"] {
        bench.refused(&format!("canis key export {name} --format pkcs8"), "key_not_found");
    }
    assert!(!bench.ok("canis key list --include-deleted").contains("wrapping"));
}

/// Secrets do not land on a terminal by accident.
#[test]
fn exports_do_not_land_on_a_terminal() {
    let shared = shared();
    let bench = Bench::new(&shared);
    bench.ok("canis key create tty/key --type aes256-gcm --exportable --allow-plaintext-backup");
    // `script` gives a terminal.
    let shown = bench.run("script -qec 'canis key export tty/key --format jwk' /dev/null < /dev/null");
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(text.contains("--out") && !text.contains("\"k\""), "{text}");
    let forced =
        bench.ok("script -qec 'canis key export tty/key --format jwk --force' /dev/null < /dev/null");
    assert!(forced.contains("\"k\""));
}
