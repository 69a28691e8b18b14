//! The same answer at every door (R58, R60): each operation of the table, asked by somebody who may do everything but what
//! it takes, is denied over CANISP and in a batch alike, and so by the program and over HTTP; and no spelling of a path helps.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod asker;
mod harness;
mod raw;

use asker::{Asker, arguments, bearing, everything_but, examples, site};
use canis_client::Client;
use canis_proto::message::{CreateKey, Encrypt, ShowKey};
use canis_proto::operation::TABLE;
use canis_proto::{Capability, ErrorCode, Id, KeyType, OperationId};
use harness::failure;
use std::process::Command;
use zeroize::Zeroizing;

/// R58, R60: capability by operation by door. A new operation is in it by itself.
#[test]
fn every_operation_is_denied_at_every_door() {
    let (shared, _) = site();
    let mut admin = shared.client();
    let tenant = admin.call(&CreateKey::new("a", KeyType::Aes256)).unwrap().tenant.clone();
    let tenant = Id::parse(&tenant).unwrap();
    let examples = examples();
    let mut askers: Vec<(Capability, Asker)> = Vec::new();
    for capability in Capability::ALL {
        let token = bearing(&mut admin, &format!("but-{capability}"), &everything_but(capability));
        askers.push((capability, Asker::new(&shared, &token)));
    }
    for row in TABLE.iter().filter(|row| row.wire) {
        let Some(needed) = row.capability else { continue };
        let (id, payload) = &examples[&(row.id as u16)];
        let args = arguments(payload, tenant);
        let (_, asker) = askers.iter_mut().find(|(missing, _)| *missing == needed).unwrap();
        let refused = asker.ask(*id, args.clone()).unwrap_err();
        assert_eq!(refused.code, ErrorCode::PermissionDenied, "{}: {refused}", row.name);
        let lacked = format!("you lack the capability `{needed}` on ");
        assert!(refused.message.starts_with(&lacked), "{}: {refused}", row.name);
        // In a batch `key` is another word for `name`, so that what has a key of its own is not asked there.
        if *id != OperationId::Batch && !args.iter().any(|(name, _)| name == "key") {
            let refused = asker.ask_in_batch(*id, &args).unwrap_or_else(|| panic!("{} in a batch", row.name));
            assert!(refused.message.contains(&lacked), "{}: {refused}", row.name);
        }
    }
}

/// The program and HTTP are told the same as CANISP.
#[test]
fn the_program_and_http_are_told_the_same() {
    let (shared, http) = site();
    let mut admin = shared.client();
    for name in ["open/key", "shut/key"] {
        admin.call(&CreateKey::new(name, KeyType::Aes256)).unwrap();
    }
    let text = r#"path "kms/keys/open/*" { capabilities = ["read", "rotate", "encrypt"] }"#;
    let token = bearing(&mut admin, "opener", text);
    let program = |args: &[&str]| {
        let mut canis = shared.deployment.canis(&shared.server);
        canis.env("CANIS_TOKEN", &token).args(args).output().unwrap()
    };
    let ca = shared.deployment.ca().display().to_string();
    let curl = |method: &str, path: &str| {
        let output = Command::new("curl")
            .args(["--silent", "--path-as-is", "--cacert", &ca, "--request", method, "--header"])
            .arg(format!("Authorization: Bearer {token}"))
            .args(["--header", "Content-Type: application/json", "--data", "{}"])
            .arg(format!("https://{http}{path}"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(program(&["key", "show", "open/key"]).status.success());
    assert!(curl("POST", "/v1/kms/keys/open/key/rotate").contains("\"version\""));
    let denied = "you lack the capability `rotate` on kms/keys/shut/key";
    assert!(failure(&program(&["key", "rotate", "shut/key"]), 3).contains(denied));
    let told = curl("POST", "/v1/kms/keys/shut/key/rotate");
    assert!(told.contains(denied) && told.contains("permission_denied") && told.contains("403"), "{told}");
    for trick in
        ["open/../shut/key", "open/%2e%2e/shut/key", "open%2f..%2fshut/key", "shut%2fkey", "Open/key"]
    {
        let told = curl("POST", &format!("/v1/kms/keys/{trick}/rotate"));
        assert!(!told.contains("\"version\""), "{trick}: {told}");
    }
}

/// R59: a path has one spelling. Whatever else is written leads nowhere, and past no denial.
#[test]
fn no_spelling_gets_round_a_policy() {
    let (shared, _) = site();
    let mut admin = shared.client();
    for name in ["doors/open", "doors/shut"] {
        admin.call(&CreateKey::new(name, KeyType::Aes256)).unwrap();
    }
    let text = r#"path "kms/keys/doors/*" { capabilities = ["encrypt", "read", "delete"] }
        path "kms/keys/doors/shut" { capabilities = ["deny"] }"#;
    let mut config = shared.deployment.config(&shared.server);
    config.token = Some(Zeroizing::new(bearing(&mut admin, "spelling", text)));
    let mut bearer = Client::connect(&config).unwrap();
    let mut encrypt = |name: &str| bearer.call(&Encrypt::new(name, &b"x"[..])).map(drop).map_err(|e| e.code);
    assert_eq!(encrypt("doors/open"), Ok(()));
    assert_eq!(encrypt("doors/shut"), Err(ErrorCode::PermissionDenied));
    for trick in [
        "doors/../doors/shut",
        "doors/./shut",
        "doors//shut",
        "doors/shut/",
        "/doors/shut",
        "doors/%73hut",
        "doors%2fshut",
        "doors/shut\0",
        "doors/sh\u{75}\u{301}t",
        "doors/\u{455}hut",
        "doors/SHUT",
        "~doors/shut",
        "kv:doors/shut",
        "kms/keys/doors/shut",
    ] {
        assert!(encrypt(trick).is_err(), "{trick:?}");
    }
    // What is left of a destroyed key stands where the key was.
    admin.call(&canis_proto::message::DisableKey { name: "doors/shut".into() }).unwrap();
    let now =
        canis_proto::message::DestroyKey { name: "doors/shut".into(), delay: canis_proto::Interval::NEVER };
    let gone = admin.call(&now).unwrap().name.clone();
    assert!(gone.starts_with("~doors/shut~"), "{gone}");
    let shown = |client: &mut Client| {
        client.call(&ShowKey { name: gone.as_str().into(), before_version: 0 }).map(drop).map_err(|e| e.code)
    };
    assert_eq!((shown(&mut admin), shown(&mut bearer)), (Ok(()), Err(ErrorCode::PermissionDenied)));
}
