//! `canis batch` with the body that the key engine's paper gives.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

use base64ct::{Base64, Encoding};
use harness::{failure, shared, stdout};
use serde_json::{Value, json};

/// R70: the paper's example, with base64 where it has dots; answers in order, exit 1 because one failed.
#[test]
fn the_papers_example() {
    let shared = shared();
    stdout(&shared.canis(&["key", "create", "key1", "--type", "aes256-gcm"]));
    let sealed = stdout(&shared.canis_with_stdin(&["encrypt", "key1"], b"three"));
    let body = json!({
        "operations": [
            { "op": "encrypt", "key": "key1", "plaintext": Base64::encode_string(b"one") },
            { "op": "encrypt", "key": "key1", "plaintext": Base64::encode_string(b"two") },
            { "op": "decrypt", "key": "key1", "ciphertext": sealed.trim() }
        ]
    });
    let answered = stdout(&shared.canis_with_stdin(&["batch"], body.to_string().as_bytes()));
    let answer: Value = serde_json::from_str(&answered).unwrap();
    assert_eq!(answer["results"][2]["result"]["plaintext"], Base64::encode_string(b"three"));
    for (at, plaintext) in [(0, b"one"), (1, b"two")] {
        let sealed = answer["results"][at]["result"]["ciphertext"].as_str().unwrap();
        assert_eq!(shared.canis_with_stdin(&["decrypt", "key1"], sealed.as_bytes()).stdout, plaintext);
    }

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("batch.json");
    let body = r#"[{"op":"key.create","name":"b/1","kind":"ed25519"},{"op":"key.rotate","name":"b/absent"}]"#;
    std::fs::write(&file, body).unwrap();
    let file = file.to_str().unwrap();
    assert!(
        failure(&shared.canis(&["batch", "--in", file, "--atomic"]), 3).contains("operation 1 (key.rotate)")
    );
    assert!(failure(&shared.canis(&["key", "show", "b/1"]), 3).contains("key_not_found"));
    let some = shared.canis(&["batch", "--in", file]);
    assert_eq!(some.status.code(), Some(1));
    let answer: Value = serde_json::from_slice(&some.stdout).unwrap();
    assert_eq!(answer["results"][0]["result"]["name"], "b/1");
    assert_eq!(answer["results"][1]["error"]["code"], "key_not_found");

    for wrong in
        ["{", "[1]", r#"{"operations":[],"atmoic":true}"#, r#"[{"op":"encrypt","plaintext":"?"}]"#, "7"]
    {
        assert!(
            failure(&shared.canis_with_stdin(&["batch"], wrong.as_bytes()), 3).contains("invalid_argument")
        );
    }
}
