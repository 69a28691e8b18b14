//! Approvals at every door: what others have to approve is refused alike, done by the same call at any of them, once.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod application;
mod harness;
mod web;

use application::{code, content};
use canis_client::{Client, Config};
use canis_core::object::{Class, DestroyObject, ExportObject, GenerateObjects};
use canis_proto::approval::{ApproveRequest, ListApprovals};
use canis_proto::batch::item;
use canis_proto::credential::CreateCredential;
use canis_proto::message::{Batch, CreateKey, DestroyKey, DisableKey, ExportKey, ShowKey};
use canis_proto::policy::PutPolicy;
use canis_proto::{Capabilities, Capability, Error, ErrorCode, Interval, KeyFormat, KeyState, KeyType};
use harness::{Deployment, Server, failure};
use serde_json::json;
use std::process::Output;
use zeroize::Zeroizing;

const GUARD: &str = "path \"kms/keys/*\" {\n  capabilities = [\"export\", \"delete\"]\n  approvals = 1\n}\n";

fn guarded(admin: &mut Client) {
    let request = PutPolicy { name: "guard".into(), text: GUARD.into(), revision: None, force: false };
    admin.call(&request).unwrap();
}

/// Somebody who may approve and no more, made by this host's administrator: whoever asks below bears the first token.
fn friend(deployment: &Deployment, server: &Server) -> Client {
    let address = format!("unix:{}", deployment.data().display());
    let mut host = Client::connect(&Config::new(address, Vec::new(), "")).unwrap();
    let may = CreateCredential::new(Capabilities::NONE.with(Capability::Approve));
    let mut config = deployment.config(server);
    config.token = Some(Zeroizing::new(host.call(&may).unwrap().token.clone().unwrap()));
    Client::connect(&config).unwrap()
}

/// The request that a refusal names.
fn named(refusal: &str) -> String {
    let (_, rest) = refusal.split_once("request ").unwrap_or_else(|| panic!("{refusal}"));
    rest.split(' ').next().unwrap().to_owned()
}

fn destruction(name: &str) -> DestroyKey<'_> {
    DestroyKey { name: name.into(), delay: Interval::NEVER }
}

/// A door: asks for the destruction of the key, and gives what was refused.
type Door = fn(&web::Site, &str) -> Result<(), String>;

fn by_canisp(site: &web::Site, name: &str) -> Result<(), String> {
    let done = site.deployment.client(&site.server).call(&destruction(name));
    done.map(drop).map_err(|error: Error| error.to_string())
}

fn by_http(site: &web::Site, name: &str) -> Result<(), String> {
    let came = site.ask("DELETE", &format!("/v1/kms/keys/{name}"), "");
    if came.status == 200 {
        return Ok(());
    }
    assert_eq!(came.problem(), (403, "approval_required".to_owned()));
    Err(format!("{} (approval_required)", came.json()["detail"].as_str().unwrap()))
}

fn batch(site: &web::Site, name: &str, atomic: bool, preview: bool) -> Result<(), Error> {
    let destruction = destruction(name);
    let operations = vec![item(&destruction)];
    let mut client = site.deployment.client(&site.server);
    let answer = client.call(&Batch { operations, atomic, preview })?;
    answer.results.into_iter().next().unwrap().map(drop)
}

fn by_batch(site: &web::Site, name: &str) -> Result<(), String> {
    batch(site, name, false, false).map_err(|error| error.to_string())
}

fn by_atomic_batch(site: &web::Site, name: &str) -> Result<(), String> {
    batch(site, name, true, false).map_err(|error| error.to_string())
}

fn by_program(site: &web::Site, name: &str) -> Result<(), String> {
    let mut canis = site.deployment.canis(&site.server);
    let output: Output = canis.args(["key", "destroy", name]).output().unwrap();
    if output.status.success() { Ok(()) } else { Err(failure(&output, 3)) }
}

/// No door leads round it, each names the one request that waits, and what is asked at one door is done at the next.
#[test]
fn no_door_leads_round_it() {
    let site = web::Site::new();
    let (mut admin, mut friend) =
        (site.deployment.client(&site.server), friend(&site.deployment, &site.server));
    guarded(&mut admin);
    let doors: [(&str, Door); 5] = [
        ("canisp", by_canisp),
        ("http", by_http),
        ("batch", by_batch),
        ("atomic", by_atomic_batch),
        ("program", by_program),
    ];
    for (at, (name, door)) in doors.iter().enumerate() {
        admin.call(&CreateKey::new(*name, KeyType::Ed25519)).unwrap();
        admin.call(&DisableKey { name: (*name).into() }).unwrap();
        let refused = door(&site, name).unwrap_err();
        assert!(refused.contains("approval_required"), "{name}: {refused}");
        let id = named(&refused);
        let (next_name, next) = doors[(at + 1) % doors.len()];
        assert_eq!(named(&next(&site, name).unwrap_err()), id, "{name} and {next_name}");
        let state = admin.call(&ShowKey { name: (*name).into(), before_version: 0 }).unwrap().state;
        assert_eq!(state, KeyState::Disabled, "{name}");
        assert_eq!(friend.call(&ApproveRequest { id: id.as_str().into() }).unwrap().state, "approved");
        next(&site, name).unwrap_or_else(|refused| panic!("{name} by {next_name}: {refused}"));
        let state = admin.call(&ShowKey { name: (*name).into(), before_version: 0 }).map(|key| key.state);
        let gone = state.map_err(|refused| refused.code);
        assert!(matches!(gone, Ok(KeyState::Destroyed) | Err(ErrorCode::KeyDestroyed)), "{name}: {gone:?}");
    }
    assert!(friend.call(&ListApprovals { on: "".into(), waiting: true }).unwrap().requests.is_empty());
    let lines = std::fs::read_dir(site.deployment.data().join("audit")).unwrap();
    let log: String =
        lines.map(|file| std::fs::read_to_string(file.unwrap().path()).unwrap_or_default()).collect();
    for (part, least) in [("\"result\":\"approval_required\"", 5), ("\"op\":\"approval.approve\"", 5)] {
        let found =
            log.lines().filter(|line| line.contains(part) && line.contains("\"approval\":\"")).count();
        assert!(found >= least, "{part}: {found}\n{log}");
    }
    let done = |line: &&str| {
        line.contains("\"op\":\"key.destroy\"")
            && line.contains("\"result\":\"ok\"")
            && line.contains("\"approval\":\"")
    };
    assert_eq!(log.lines().filter(done).count(), 5, "{log}");
}

/// A preview asks nobody, and what is part of an atomic batch is refused with all of it.
#[test]
fn batches_wait_whole() {
    let site = web::Site::new();
    let (mut admin, mut friend) =
        (site.deployment.client(&site.server), friend(&site.deployment, &site.server));
    guarded(&mut admin);
    admin.call(&CreateKey::new("kept", KeyType::Ed25519)).unwrap();
    admin.call(&DisableKey { name: "kept".into() }).unwrap();
    assert_eq!(batch(&site, "kept", true, true).unwrap_err().code, ErrorCode::ApprovalRequired);
    let all = ListApprovals { on: "".into(), waiting: false };
    assert!(friend.call(&all).unwrap().requests.is_empty(), "nobody meant it");
    let make = CreateKey::new("made", KeyType::Ed25519);
    let destruction = destruction("kept");
    let operations = || vec![item(&make), item(&destruction), item(&destruction)];
    let together = Batch { operations: operations(), atomic: true, preview: false };
    let refused = admin.call(&together).map(drop).unwrap_err();
    assert_eq!(refused.code, ErrorCode::ApprovalRequired);
    let none = admin.call(&ShowKey { name: "made".into(), before_version: 0 }).map(drop).unwrap_err();
    assert_eq!(none.code, ErrorCode::KeyNotFound);
    friend.call(&ApproveRequest { id: named(&refused.message).into() }).unwrap();
    // It is approved once, and asked for twice.
    let twice = admin.call(&together).map(drop).unwrap_err();
    assert!(
        [ErrorCode::ApprovalRequired, ErrorCode::KeyDestroyed, ErrorCode::KeyNotFound].contains(&twice.code)
    );
    let once = Batch { operations: operations()[..2].to_vec(), atomic: true, preview: false };
    admin.call(&once).unwrap();
}

/// Of many who ask at once for what was approved once, one gets it.
#[test]
fn of_many_at_once_one_gets_it() {
    let site = web::Site::new();
    let (mut admin, mut friend) =
        (site.deployment.client(&site.server), friend(&site.deployment, &site.server));
    guarded(&mut admin);
    let mut make = CreateKey::new("exported", KeyType::Ed25519);
    (make.exportable, make.allow_plaintext_backup) = (true, true);
    admin.call(&make).unwrap();
    let export = ExportKey {
        name: "exported".into(),
        version: 0,
        format: KeyFormat::Pkcs8,
        wrapping_key: "".into(),
        wrapping_public_key: (&b""[..]).into(),
    };
    let id = named(&admin.call(&export).map(drop).unwrap_err().message);
    friend.call(&ApproveRequest { id: id.into() }).unwrap();
    let all = std::sync::Barrier::new(8);
    let got: usize = std::thread::scope(|scope| {
        let ask = || {
            let mut client = site.deployment.client(&site.server);
            all.wait();
            usize::from(client.call(&export).is_ok())
        };
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(ask)).collect();
        asking.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(got, 1);
}

/// Vault's paths ask as the others do.
#[test]
fn vaults_paths_wait() {
    let site = web::Site::new();
    let (mut admin, mut friend) =
        (site.deployment.client(&site.server), friend(&site.deployment, &site.server));
    guarded(&mut admin);
    let token = format!("X-Vault-Token: {}", site.deployment.token);
    let vault = |method: &str, path: &str, body: &str| {
        site.curl(method, path, &["--header", &token, "--data-binary", body])
    };
    let made = json!({"exportable": true, "allow_plaintext_backup": true}).to_string();
    assert_eq!(vault("POST", "/v1/transit/keys/v", &made).status, 200);
    let export = || vault("GET", "/v1/transit/export/encryption-key/v/1", "");
    let refused = export();
    assert_eq!(refused.status, 403);
    let id = named(refused.json()["errors"][0].as_str().unwrap());
    friend.call(&ApproveRequest { id: id.into() }).unwrap();
    assert_eq!(export().status, 200);
    assert_eq!(export().status, 403);
}

/// Through PKCS#11 keys are not destroyed or read without approval, by whatever object shows them, nor copied away.
#[test]
fn applications_wait() {
    let site = application::Site::new();
    let mut admin = site.deployment.client(&site.server);
    guarded(&mut admin);
    let mut friend = friend(&site.deployment, &site.server);
    let mut user = site.user(3);
    let mut secret = content(Class::SecretKey, KeyType::Aes256);
    let facts = secret.key.as_mut().unwrap();
    (facts.extractable, facts.sensitive) = (true, false);
    (secret.copyable, secret.destroyable) = (true, true);
    let make = GenerateObjects {
        kind: KeyType::Aes256,
        len: 0,
        session: None,
        secret: secret.clone(),
        public: None,
    };
    let object = site.at(&mut user, make).unwrap().0;
    let export = site.at(&mut user, ExportObject { object, measure: false }).map(drop).unwrap_err();
    assert_eq!(export.code, ErrorCode::ApprovalRequired);
    let copy = canis_core::object::CopyObject { object, session: None, content: secret };
    assert_eq!(code(site.at(&mut user, copy)), ErrorCode::ApprovalRequired);
    let destroy = site.at(&mut user, DestroyObject { object }).unwrap_err();
    assert_eq!(destroy.code, ErrorCode::ApprovalRequired);
    for refused in [&export, &destroy] {
        friend.call(&ApproveRequest { id: named(&refused.message).into() }).unwrap();
    }
    site.at(&mut user, ExportObject { object, measure: false }).map(drop).unwrap();
    assert_eq!(
        code(site.at(&mut user, ExportObject { object, measure: false })),
        ErrorCode::ApprovalRequired
    );
    site.at(&mut user, DestroyObject { object }).unwrap();
}
