//! `canis bench` on our module, on SoftHSM2 and on our server: what it prints, never how fast anything is.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

use canis_tests::{SoftHsm, module, run};
use serde_json::Value;
use std::process::Command;

/// As little as can be measured.
const QUICK: [&str; 6] = ["--rounds", "1", "--slice", "1", "--threads", "1,2"];

fn bench(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canis"));
    command.args(["bench", "pkcs11"]).arg("--module").arg(module()).args(args).args(QUICK);
    command
}

fn report(command: &mut Command) -> Value {
    serde_json::from_slice(&run(command, b"").ok().stdout).unwrap()
}

fn rows<'a>(report: &'a Value, operation: &str) -> Vec<&'a Value> {
    report["rows"].as_array().unwrap().iter().filter(|row| row["operation"] == operation).collect()
}

#[test]
fn two_modules_side_by_side() {
    let only = "p256-sign,aes-gcm-1k,random-32,find-by-label,create-object";
    let made =
        ["--setup", "--vs", SoftHsm::MODULE, "--objects", "3,5", "--starts", "1", "--only", only, "--json"];
    let report = report(&mut bench(&made));
    assert!(report["names"][0].as_str().unwrap().contains("CANIS"), "{report}");
    assert_eq!(report["names"].as_array().unwrap().len(), 2);
    for (operation, expected) in [
        // Session and token keys on the first tokens, token keys on the second; one and two threads.
        ("p256-sign", 6),
        ("aes-gcm-1k", 6),
        ("random-32", 4),
        ("find-by-label", 4),
        ("create-object", 4),
    ] {
        let rows = rows(&report, operation);
        assert_eq!(rows.len(), expected, "{operation}");
        for row in rows {
            assert!(row["a"].as_f64().unwrap() > 0.0 && row["b"].as_f64().unwrap() > 0.0, "{row}");
            assert!(row["ratio"]["min"].as_f64().unwrap() <= row["ratio"]["max"].as_f64().unwrap(), "{row}");
            assert_eq!(row["a_gain"].is_null(), row["threads"] == 1, "{row}");
            assert!(row["note"].is_null(), "{row}");
        }
    }
    let starts = report["starts"].as_array().unwrap();
    assert_eq!(starts.iter().map(|start| start["objects"].as_u64().unwrap()).collect::<Vec<_>>(), [3, 5]);
    assert!(starts.iter().all(|start| start["a"]["login"].as_f64().unwrap() > 0.0));
    assert!(starts.iter().all(|start| start["ratio_without_login"]["median"].is_f64()));
}

/// A token that the tool did not make gets objects of the session only, and what is not measured is not left out.
#[test]
fn a_token_of_others() {
    let hsm = SoftHsm::new("measured");
    let pin = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(pin.path(), SoftHsm::PIN).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_canis"));
    command.args(["bench", "pkcs11", "--module", SoftHsm::MODULE, "--label", "measured", "--pin-file"]);
    command.arg(pin.path()).args(["--only", "p256-sign,sha256-1k,create-object"]).args(QUICK);
    command.env("SOFTHSM2_CONF", hsm.config());
    let shown = run(&mut command, b"").ok().text();
    assert!(shown.contains("session keys") && shown.contains("without keys"), "{shown}");
    assert!(!shown.contains("token keys") && !shown.contains("cold start"), "{shown}");
    assert!(shown.contains("create a token object: A: only on a token of --setup"), "{shown}");
    let report = report(command.arg("--json"));
    assert!(rows(&report, "p256-sign").iter().all(|row| row["b"].is_null() && row["ratio"].is_null()));
    assert!(rows(&report, "create-object").iter().all(|row| row["a"].is_null() && row["note"].is_string()));
    let mut list = Command::new("pkcs11-tool");
    list.args(["--module", SoftHsm::MODULE, "--login", "--pin", SoftHsm::PIN, "--list-objects"]);
    assert_eq!(run(list.env("SOFTHSM2_CONF", hsm.config()), b"").ok().text(), "", "nothing stays behind");
}

/// The server beside the ceiling, each in a process of its own; none is left.
#[test]
fn a_server_below_its_ceiling() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canis"));
    command.args(["bench", "canisp", "--server"]).arg(canis_tests::binary("canis-server"));
    command.args(["--only", "encrypt,sign-p256", "--shapes", "1x1,3x4", "--rounds", "1", "--slice", "500"]);
    let report = report(command.arg("--json"));
    let shapes = ["1x1", "3x4"].map(Value::from);
    for operation in ["encrypt", "sign-p256"] {
        let rows = rows(&report, operation);
        assert_eq!(rows.iter().map(|row| row["shape"].clone()).collect::<Vec<_>>(), shapes, "{report}");
        for row in rows {
            for who in ["ceiling", "canis"] {
                let number = |name: &str| row[who][name].as_f64().unwrap();
                assert!(number("rate") > 0.0 && number("p50") <= number("p99"), "{row}");
                assert!(number("server") > 0.0 && number("client") > 0.0, "{row}");
            }
            assert!(row["of_ceiling"]["median"].as_f64().unwrap() > 0.0, "{row}");
            assert_eq!(row["of_provider"].is_null(), operation == "encrypt", "{row}");
            assert!(row["openbao"].is_null() && row["of_openbao"].is_null(), "{row}");
        }
    }
}

/// The same over HTTP, beside OpenBao too: every operation is answered by all three.
#[test]
fn a_server_over_http_and_openbao() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canis"));
    command.args(["bench", "http", "--server"]).arg(canis_tests::binary("canis-server"));
    command.arg("--hello").arg(canis_tests::binary("examples/hello_http"));
    command.arg("--openbao").arg(canis_tests::python().with_file_name("bao"));
    command.args(["--connections", "1,3", "--rounds", "1", "--slice", "50"]);
    let report = report(command.arg("--json"));
    for operation in ["encrypt", "decrypt", "sign-p256", "sign-rsa2048", "verify-p256", "batch"] {
        let rows = rows(&report, operation);
        assert_eq!(rows.len(), 2, "{report}");
        for row in rows {
            for who in ["ceiling", "canis", "openbao"] {
                let number = |name: &str| row[who][name].as_f64().unwrap_or_else(|| panic!("{who} {row}"));
                // A slow machine may answer nothing within so short a time.
                assert!(number("rate") >= 0.0 && number("p50") <= number("p99"), "{row}");
            }
        }
    }
}

/// Post-quantum keys at both providers, and those that the module signs with beside its provider.
#[test]
fn post_quantum_keys() {
    let mut command = Command::new(env!("CARGO_BIN_EXE_canis"));
    let only = "ml-dsa-44-sign,ml-dsa-65-verify,ml-dsa-87-sign,ml-kem-512-encapsulate,ml-kem-768-decapsulate,\
                slh-dsa-sha2-128f-sign,slh-dsa-sha2-192f-verify,ml-kem-768-x25519-decapsulate";
    // The client library has no names for these, and the standard none for the last.
    let unnamed = |operation: &str| operation.starts_with("slh-dsa") || operation.contains("x25519");
    command.args(["bench", "crypto", "--module"]).arg(module()).args(["--only", only, "--json"]);
    let report = report(command.args(["--rounds", "1", "--slice", "1", "--threads", "1"]));
    for operation in only.split(',') {
        for row in rows(&report["providers"][0], operation) {
            assert!(row["a"].as_f64().unwrap() > 0.0 && row["b"].as_f64().unwrap() > 0.0, "{row}");
        }
        for row in rows(&report["module"], operation) {
            assert!(row["b"].as_f64().unwrap() > 0.0, "the provider does it: {row}");
            assert!(unnamed(operation) || row["ratio"]["median"].as_f64().unwrap() > 0.0, "{row}");
        }
        assert_eq!(rows(&report["module"], operation).len(), 1);
    }
}

#[test]
fn wrong_usage_is_told() {
    for args in [&["--setup", "--label", "x"][..], &["--label", "x"], &["--setup", "--only", "nothing"]] {
        assert_eq!(run(&mut bench(args), b"").code, 2, "{args:?}");
    }
    let lacking = ["--setup", "--vs", "/nowhere/module.so", "--objects", "0", "--only", "random-32"];
    let failed = run(&mut bench(&lacking), b"");
    assert_eq!(failed.code, 3);
    assert!(failed.stderr.contains("/nowhere/module.so"), "{}", failed.stderr);
}
