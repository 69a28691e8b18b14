//! Keys wrapped by hybrid keys, in HPKE: docs/byok.md with another implementation, and what must not come in or go out.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

mod customer;

use customer::Bench;
use harness::{failure, program, shared};

const TEXT: &str = include_str!("../../docs/byok.md");

/// The commands of the document under this heading of a block.
fn recipe(name: &str) -> &'static str {
    let start = format!("```sh recipe {name}\n");
    let (_, rest) = TEXT.split_once(&start).unwrap_or_else(|| panic!("no recipe {name}"));
    rest.split_once("```").unwrap().0
}

/// Commands with the Python that `scripts/setup` makes.
fn with_python(commands: &str) -> String {
    let canis = program("canis");
    let python = canis.parent().unwrap().parent().unwrap().join("python/bin");
    assert!(python.exists(), "{} is not there; run scripts/setup", python.display());
    format!("PATH={}:$PATH\n{commands}", python.display())
}

/// R45, R51, R53: what Python's cryptography (OpenSSL) seals comes in, and what goes out it opens; the key is the same one.
#[test]
fn another_implementation_wraps_and_unwraps() {
    let shared = shared();
    let bench = Bench::new(&shared);
    let secret = *b"the very bytes of an AES-256 key";
    bench.write("key.bin", &secret);
    bench.ok(&with_python(recipe("hybrid secret")));
    assert_eq!(bench.read("wrapped.bin").len(), 1120 + 32 + 16);
    // What it wraps out of CANIS is `payments`, which is the same material.
    bench.ok("canis key import payments --type aes256-gcm --format raw --in key.bin --exportable");
    bench.write("key.bin", b"");
    let unwrap = recipe("hybrid unwrap");
    bench.ok(&with_python(unwrap));
    assert_eq!(bench.read("key.bin"), secret);
    bench.ok(
        "canis key export payments-hybrid --format wrapped --wrapping-public-key mine.pem --out wrapped.bin",
    );
    bench.write("key.bin", b"");
    bench.ok(&with_python(&unwrap[unwrap.find("python3").unwrap()..]));
    assert_eq!(bench.read("key.bin"), secret, "what came in by HPKE is the key");
    // A private key, too, and with the customer's pair in CANIS it comes back by name.
    bench.ok("canis key create signer --type ecdsa-p256 --exportable
         canis key export signer --format wrapped --wrapping-public-key mine.pem --out signer.bin
         canis key import custody --in mine.key --usage unwrap
         canis key import signer-again --type ecdsa-p256 --wrapped signer.bin --wrapping-key custody");
    assert_eq!(bench.ok("canis key public signer"), bench.ok("canis key public signer-again"));
}

/// Altered or cut anywhere, for another purpose or for another key, a wrapping has one answer, and nothing is kept. Both wrapping keys
/// take what is theirs.
#[test]
fn wrong_wrappings_have_one_answer() {
    let shared = shared();
    let bench = Bench::new(&shared);
    bench.ok("canis key wrapping-key --type ml-kem-768-x25519 --out hybrid.pem
         canis key wrapping-key --out rsa.pem
         canis root recipient-key --out mine.key --public-key mine.pem
         canis key create wrong/a --type aes256-gcm --exportable");
    bench.refused("canis key wrapping-key --type ml-kem-768", "invalid_key_type");
    let out = |by: &str| {
        bench.ok(&format!(
            "canis key export wrong/a --format wrapped --wrapping-public-key {by}.pem --out out.bin"
        ));
        bench.read("out.bin")
    };
    let (good, rsa, foreign) = (out("hybrid"), out("rsa"), out("mine"));
    assert_eq!(good.len(), 1120 + 32 + 16);
    assert_ne!(good, out("hybrid"), "a secret of its own each time");
    let mut answers = std::collections::BTreeSet::new();
    let mut refused = |bytes: &[u8]| {
        bench.write("bad.bin", bytes);
        answers
            .insert(failure(&bench.run("canis key import wrong/b --type aes256-gcm --wrapped bad.bin"), 3));
    };
    for at in [0, 1087, 1088, 1119, 1120, 1151, 1152, 1167] {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        refused(&bad);
    }
    for cut in [0, 1, 528, 1119, 1120, 1136, 1167] {
        refused(&good[..cut]);
    }
    refused(&[&good[..], &[0]].concat());
    refused(&[&good[..1088], &[0; 32], &good[1120..]].concat());
    refused(&foreign);
    let mut swapped = rsa.clone();
    swapped[520] ^= 1;
    refused(&swapped);
    assert_eq!(answers.len(), 1, "{answers:?}");
    assert!(answers.first().unwrap().contains("decryption_failed"));
    bench.refused("canis key show wrong/b", "key_not_found");
    for (name, bytes) in [("wrong/hybrid", &good), ("wrong/rsa", &rsa)] {
        bench.write("good.bin", bytes);
        bench.refused(
            &format!("canis key import {name} --type aes128-gcm --wrapped good.bin"),
            "16 bytes, not 32",
        );
        bench.ok(&format!("canis key import {name} --type aes256-gcm --wrapped good.bin"));
    }
}

/// A pair that wraps gives no secrets: they would open what it wrapped. The same value under another name is the same pair.
#[test]
fn a_pair_is_for_keys_or_for_secrets() {
    let shared = shared();
    let bench = Bench::new(&shared);
    bench.ok("canis root recipient-key --out mine.key --public-key mine.pem
         canis root recipient-key --out other.key --public-key other.pem
         canis key create pair/secret --type aes256-gcm --exportable
         canis key create pair/both --type ml-kem-768-x25519 --usage wrap,unwrap,encrypt,decrypt
         canis key create pair/lattice --type ml-kem-768
         canis key public pair/lattice --out lattice.pem
         canis key import pair/wraps --in mine.key --usage wrap,unwrap
         canis key import pair/opens --in mine.key");
    let export = |by: &str| format!("canis key export pair/secret --format wrapped {by} --out out.bin");
    bench.refused(&export("--wrapping-key pair/both"), "key_not_wrappable");
    bench.refused(&export("--wrapping-key pair/opens"), "operation_not_allowed");
    bench.refused(&export("--wrapping-public-key lattice.pem"), "wraps nothing");
    bench.refused(&export("--wrapping-public-key mine.key"), "this one is private");
    // Under another name the value decapsulates, until it has wrapped; then under no name, whenever it came.
    bench.ok("canis encapsulate pair/opens --out secret > ciphertext");
    let open = |name: &str| format!("canis decapsulate {name} --ciphertext \"$(cat ciphertext)\" --print");
    bench.ok(&open("pair/opens"));
    bench.ok(&export("--wrapping-key pair/wraps"));
    bench.refused(&open("pair/opens"), "has wrapped or unwrapped sensitive keys");
    bench.ok("canis key import pair/first --in other.key --usage wrap,unwrap");
    bench.ok(&export("--wrapping-key pair/first"));
    bench.ok(
        "canis key import pair/after --in other.key; canis encapsulate pair/after --out secret > ciphertext",
    );
    bench.refused(
        "canis decapsulate pair/after --ciphertext \"$(cat ciphertext)\" --print",
        "operation_not_allowed",
    );
    bench.refused("canis encapsulate pair/first --print", "operation_not_allowed");
    // A public half alone wraps and unwraps nothing; a disabled key does neither.
    bench.ok("canis key import pair/half --in other.pem --usage wrap");
    bench.ok(&export("--wrapping-key pair/half"));
    let back = "canis key import pair/back --type aes256-gcm --wrapped out.bin --wrapping-key";
    bench.refused(&format!("{back} pair/half"), "operation_not_allowed");
    bench.ok("canis key disable pair/first");
    bench.refused(&export("--wrapping-key pair/first"), "operation_not_allowed");
    bench.ok("canis key enable pair/first");
    bench.ok(&format!("{back} pair/first"));
}
