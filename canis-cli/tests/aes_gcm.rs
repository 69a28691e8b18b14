//! `canis aes-gcm`: vectors of GCM's authors, made with a key that is imported; and what is refused.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use base64ct::{Base64, Encoding};
use canis_core::default_provider;
use harness::{Shared, failure, shared, stdout};
use serde_json::Value;
use std::fs;
use std::process::Output;

/// Test cases 16 to 18 of "The Galois/Counter Mode of Operation (GCM)" by McGrew and Viega, as submitted to NIST.
const KEY: &str = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
const AAD: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
const PLAINTEXT: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf0e2449a6b525\
                         b16aedf5aa0de657ba637b39";
const CASES: [[&str; 3]; 3] = [
    [
        "cafebabefacedbaddecaf888",
        "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b08b1056828838\
         c5f61e6393ba7a0abcc9f662",
        "76fc6ece0f4e1768cddf8853bb2d551b",
    ],
    [
        "cafebabefacedbad",
        "c3762df1ca787d32ae47c13bf19844cbaf1ae14d0b976afac52ff7d79bba9de0feb582d33934a4f0954cc2363bc73f78\
         62ac430e64abe499f47c9b1f",
        "3a337dbf46a792c45e454913fe2ea8f2",
    ],
    [
        "9313225df88406e555909c5aff5269aa6a7a9538534f7da1e4c303d2a318a728c3c0c95156809539fcf0e2429a6b5254\
         16aedbf5a0de6a57a637b39b",
        "5a8def2f0c9e53f1f75d7853659e2a20eeb2b22aafde6419a058ab4f6f746bf40fc0c3b780f244452da3ebf1c5d82cde\
         a2418997200ef82e44ae7e3f",
        "a44a8266ee1c8eb0c8b5d4cf5ae9f19a",
    ],
];

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn import(shared: &Shared, name: &str, key: &[u8], more: &[&str]) {
    let args = ["key", "import", name, "--type", "aes256-gcm", "--format", "raw"];
    stdout(&shared.canis_with_stdin(&[&args, more].concat(), key));
}

fn decrypt(shared: &Shared, name: &str, input: &[u8], more: &[&str]) -> Output {
    shared.canis_with_stdin(&[&["aes-gcm", "decrypt", name], more].concat(), input)
}

/// Encrypts `plain` under `name`; gives the IV, and the ciphertext with its tag.
fn encrypt(shared: &Shared, name: &str, plain: &[u8]) -> (String, Vec<u8>) {
    let args = ["aes-gcm", "encrypt", name, "--aad", AAD, "--json"];
    let made: Value = serde_json::from_str(&stdout(&shared.canis_with_stdin(&args, plain))).unwrap();
    let sealed = Base64::decode_vec(made["ciphertext_base64"].as_str().unwrap()).unwrap();
    (made["iv"].as_str().unwrap().to_owned(), sealed)
}

/// Data made elsewhere is read, with IVs of every length, the tag apart or behind it, whole or cut to 12 bytes.
#[test]
fn published_vectors_decrypt() {
    let shared = shared();
    import(&shared, "gcm/vectors", &bytes(KEY), &[]);
    let folder = tempfile::tempdir().unwrap();
    let (aad, out) = (folder.path().join("aad"), folder.path().join("out"));
    fs::write(&aad, bytes(AAD)).unwrap();
    for [iv, ciphertext, tag] in CASES {
        let ask = |input: &[u8], more: &[&str]| {
            decrypt(&shared, "gcm/vectors", input, &[&["--iv", iv], more].concat()).stdout
        };
        let ciphertext = bytes(ciphertext);
        assert_eq!(ask(&ciphertext, &["--tag", tag, "--aad", AAD]), bytes(PLAINTEXT));
        assert_eq!(ask(&ciphertext, &["--tag", &tag[..24], "--aad", AAD]), bytes(PLAINTEXT));
        let sealed = [ciphertext, bytes(tag)].concat();
        let (aad, out) = (aad.to_str().unwrap(), out.to_str().unwrap());
        assert!(ask(&sealed, &["--aad-file", aad, "--out", out, "--key-version", "1"]).is_empty());
        assert_eq!(fs::read(out).unwrap(), bytes(PLAINTEXT));
    }
}

/// Whatever does not fit has one answer, and nothing of the plaintext comes with it.
#[test]
fn tampering_has_one_answer() {
    let shared = shared();
    import(&shared, "gcm/tampered", &bytes(KEY), &[]);
    let [iv, ciphertext, tag] = CASES[0];
    let flipped = |hex: &str| format!("{}{}", if hex.starts_with('0') { '1' } else { '0' }, &hex[1..]);
    let refused = |iv: &str, aad: &str, ciphertext: &str, tag: &str| {
        let more = ["--iv", iv, "--aad", aad, "--tag", tag];
        let output = decrypt(&shared, "gcm/tampered", &bytes(ciphertext), &more);
        assert!(output.stdout.is_empty());
        failure(&output, 3)
    };
    let answers = [
        refused(&flipped(iv), AAD, ciphertext, tag),
        refused(&iv[2..], AAD, ciphertext, tag),
        refused(iv, &flipped(AAD), ciphertext, tag),
        refused(iv, "", ciphertext, tag),
        refused(iv, AAD, &flipped(ciphertext), tag),
        refused(iv, AAD, &ciphertext[2..], tag),
        refused(iv, AAD, "", tag),
        refused(iv, AAD, ciphertext, &flipped(tag)),
        refused(iv, AAD, ciphertext, &flipped(&tag[..24])),
    ];
    assert!(answers[0].contains("decryption_failed"));
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    // What no data can have is told apart: it says nothing of the key.
    assert!(refused(iv, AAD, ciphertext, &tag[..22]).contains("12 to 16 bytes"));
    assert!(refused(iv, AAD, ciphertext, &format!("{tag}00")).contains("12 to 16 bytes"));
    assert!(refused("", AAD, ciphertext, tag).contains("IV"));
    let short = decrypt(&shared, "gcm/tampered", b"fifteen bytes..", &["--iv", iv]);
    assert!(failure(&short, 3).contains("--tag"));
}

/// What is made here is read elsewhere, and here again; no IV comes twice.
#[test]
fn made_here_and_read_elsewhere() {
    let shared = shared();
    import(&shared, "gcm/out", &bytes(KEY), &[]);
    let (iv, sealed) = encrypt(&shared, "gcm/out", b"to be read elsewhere");
    let (ciphertext, tag) = sealed.split_last_chunk::<16>().unwrap();
    let mut plaintext = vec![0; ciphertext.len()];
    let nonce = bytes(&iv).try_into().unwrap();
    let elsewhere = default_provider().cipher.aes_gcm(&bytes(KEY)).unwrap();
    elsewhere.open(&nonce, &bytes(AAD), ciphertext, tag, &mut plaintext).unwrap();
    assert_eq!(plaintext, b"to be read elsewhere");
    let again = decrypt(&shared, "gcm/out", &sealed, &["--iv", &iv, "--aad", AAD]);
    assert_eq!(stdout(&again), "to be read elsewhere");
    assert_ne!(encrypt(&shared, "gcm/out", b"").0, iv);
}

/// Keys that were made here, keys of other types, states, usages and versions: as encrypt and decrypt have them.
#[test]
fn keys_that_may_not() {
    let shared = shared();
    let ask = |name: &str, operation: &str, more: &[&str]| {
        shared.canis_with_stdin(&[&["aes-gcm", operation, name], more].concat(), &[0; 32])
    };
    let iv = ["--iv", CASES[0][0]];
    for (name, kind, code) in [
        ("gcm/here", "aes256-gcm", "operation_not_allowed"),
        ("gcm/rsa", "rsa-2048", "operation_not_supported"),
    ] {
        stdout(&shared.canis(&["key", "create", name, "--type", kind]));
        for refused in [ask(name, "encrypt", &[]), ask(name, "decrypt", &iv)] {
            let error = failure(&refused, 3);
            assert!(error.contains(code) && error.contains("imported"), "{error}");
        }
    }
    assert!(failure(&ask("gcm/here", "encrypt", &[]), 3).contains("use encrypt and decrypt instead"));

    import(&shared, "gcm/one-way", &[1; 32], &["--usage", "decrypt"]);
    assert!(failure(&ask("gcm/one-way", "encrypt", &[]), 3).contains("operation_not_allowed"));

    import(&shared, "gcm/life", &[2; 32], &[]);
    let (old_iv, old) = encrypt(&shared, "gcm/life", b"first");
    stdout(&shared.canis_with_stdin(
        &["key", "import", "gcm/life", "--type", "aes256-gcm", "--format", "raw", "--next-version"],
        &[3; 32],
    ));
    let first = ["--iv", &old_iv, "--aad", AAD, "--key-version", "1"];
    assert_eq!(stdout(&decrypt(&shared, "gcm/life", &old, &first)), "first");
    assert!(failure(&decrypt(&shared, "gcm/life", &old, &first[..4]), 3).contains("decryption_failed"));
    assert!(failure(&ask("gcm/life", "encrypt", &first[4..]), 3).contains("version_not_allowed"));
    assert!(
        failure(&ask("gcm/life", "decrypt", &[iv[0], iv[1], "--key-version", "3"]), 3)
            .contains("version_not_found")
    );
    let (iv, new) = encrypt(&shared, "gcm/life", b"second");
    stdout(&shared.canis(&["key", "update", "gcm/life", "--min-decryption-version", "2"]));
    assert!(failure(&decrypt(&shared, "gcm/life", &old, &first), 3).contains("version_not_allowed"));

    stdout(&shared.canis(&["key", "disable", "gcm/life"]));
    assert!(failure(&ask("gcm/life", "encrypt", &[]), 3).contains("operation_not_allowed"));
    let more = ["--iv", &iv, "--aad", AAD];
    assert_eq!(stdout(&decrypt(&shared, "gcm/life", &new, &more)), "second");
    stdout(&shared.canis(&["key", "destroy", "gcm/life"]));
    assert!(failure(&decrypt(&shared, "gcm/life", &new, &more), 3).contains("key_destroyed"));
}

/// ADR 0007: a value that has wrapped a key decrypts nothing, under whatever name; and the reverse.
#[test]
fn a_key_is_for_keys_or_for_data() {
    let shared = shared();
    let export = |wrapper: &str| {
        let args = ["key", "export", "gcm/target", "--format", "wrapped", "--wrapping-key", wrapper];
        shared.canis(&args)
    };
    stdout(&shared.canis(&["key", "create", "gcm/target", "--type", "aes256-gcm", "--exportable"]));
    import(&shared, "gcm/wrapper", &[4; 32], &["--usage", "wrap,encrypt"]);
    import(&shared, "gcm/twin", &[4; 32], &[]);
    assert!(export("gcm/wrapper").status.success());
    for name in ["gcm/wrapper", "gcm/twin"] {
        let refused = shared.canis_with_stdin(&["aes-gcm", "encrypt", name], b"x");
        assert!(failure(&refused, 3).contains("has wrapped"), "{name}");
    }
    let refused = decrypt(&shared, "gcm/twin", &[0; 40], &["--iv", CASES[0][0]]);
    assert!(failure(&refused, 3).contains("has wrapped"));

    import(&shared, "gcm/data", &[5; 32], &[]);
    import(&shared, "gcm/late", &[5; 32], &["--usage", "wrap"]);
    encrypt(&shared, "gcm/data", b"x");
    assert!(failure(&export("gcm/late"), 3).contains("key_not_wrappable"));
}
