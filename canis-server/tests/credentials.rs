//! Bearer tokens that are made and taken away at a running server (R61).
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;

use canis_client::Client;
use canis_proto::credential::{
    CreateCredential, CredentialMade, ListCredentials, MAX_CREDENTIAL_NAME, RevokeCredential,
};
use canis_proto::message::{CreateKey, Encrypt, HashData, ListKeys, Status};
use canis_proto::{Capabilities, Capability, ErrorCode, HashName, Interval, KeyType, Result};
use harness::{Shared, failure, shared, stdout};
use zeroize::Zeroizing;

fn wanted(capabilities: Capabilities) -> CreateCredential<'static> {
    CreateCredential { name: "a test's".into(), ..CreateCredential::new(capabilities) }
}

fn only(capability: Capability) -> Capabilities {
    Capabilities::NONE.with(capability)
}

fn client_with(shared: &Shared, made: &CredentialMade) -> Result<Client> {
    let mut config = shared.deployment.config(&shared.server);
    config.token = made.token.clone().map(Zeroizing::new);
    Client::connect(&config)
}

fn list(client: &mut Client) -> Result<usize> {
    let all = ListKeys { prefix: "".into(), after: "".into(), limit: 0, include_deleted: false };
    client.call(&all).map(|list| list.keys.len())
}

fn code<T>(result: Result<T>) -> Option<ErrorCode> {
    result.err().map(|error| error.code)
}

/// A token does what it was made for and nothing else; its secret is told once; revoked, it is refused at once, on the
/// connection that is open as on a new one.
#[test]
fn a_token_from_its_making_to_its_end() {
    let shared = shared();
    let mut admin = shared.client();
    admin.call(&CreateKey::new("credentials/box", KeyType::Aes256)).unwrap();
    let made = admin.call(&wanted(only(Capability::List))).unwrap();
    let id = made.credential.id.clone();
    assert_eq!((made.credential.kind.as_str(), made.credential.name.as_str()), ("token", "a test's"));
    let mut bearer = client_with(&shared, &made).unwrap();
    assert!(list(&mut bearer).unwrap() > 0);
    let encrypted = bearer.call(&Encrypt::new("credentials/box", &b"x"[..]));
    assert_eq!(code(encrypted), Some(ErrorCode::PermissionDenied));
    assert_eq!(code(bearer.call(&wanted(Capabilities::NONE))), Some(ErrorCode::PermissionDenied));
    let listed = |admin: &mut Client| -> Vec<String> {
        let list = admin.call(&ListCredentials { tenant: "".into() }).unwrap();
        list.credentials.iter().map(|credential| credential.id.clone()).collect()
    };
    assert!(listed(&mut admin).contains(&id));
    assert_eq!(admin.call(&RevokeCredential { id: id.as_str().into() }).unwrap().id, id);
    assert_eq!(code(list(&mut bearer)), Some(ErrorCode::Unauthenticated));
    assert_eq!(code(client_with(&shared, &made)), Some(ErrorCode::Unauthenticated));
    assert!(!listed(&mut admin).contains(&id));
    assert_eq!(
        code(admin.call(&RevokeCredential { id: id.as_str().into() })),
        Some(ErrorCode::ObjectNotFound)
    );
    assert!(list(&mut admin).is_ok(), "other credentials are as they were");
    let log = shared.server.log();
    assert!(!log.contains(made.token.as_deref().unwrap()), "a token in the log");
}

/// Nobody gives away what he has not, or into another tenant than his own.
#[test]
fn nobody_grants_more_than_he_has() {
    let shared = shared();
    let mut admin = shared.client();
    let limited = Capabilities::NONE.with(Capability::Admin).with(Capability::List);
    let made = admin.call(&wanted(limited)).unwrap();
    let mut officer = client_with(&shared, &made).unwrap();
    assert_eq!(code(officer.call(&wanted(only(Capability::Decrypt)))), Some(ErrorCode::PermissionDenied));
    assert_eq!(code(officer.call(&wanted(Capabilities::ALL))), Some(ErrorCode::PermissionDenied));
    assert_eq!(code(officer.call(&wanted(limited))), None);
    for tenant in ["elsewhere", "~", "DEFAULT"] {
        let other = CreateCredential { tenant: tenant.into(), ..wanted(limited) };
        assert_eq!(code(officer.call(&other)), Some(ErrorCode::PermissionDenied), "{tenant}");
        let listed = officer.call(&ListCredentials { tenant: tenant.into() });
        assert_eq!(code(listed), Some(ErrorCode::PermissionDenied), "{tenant}");
    }
    let own = CreateCredential { tenant: "default".into(), ..wanted(limited) };
    assert_eq!(code(officer.call(&own)), None);
    for id in ["", "x", "00000000-0000-0000-0000-000000000000"] {
        let revoked = officer.call(&RevokeCredential { id: id.into() });
        assert_eq!(code(revoked), Some(ErrorCode::ObjectNotFound), "{id}");
    }
    let long = "n".repeat(MAX_CREDENTIAL_NAME + 1);
    let named = CreateCredential { name: long.as_str().into(), ..wanted(limited) };
    assert_eq!(code(officer.call(&named)), Some(ErrorCode::InvalidArgument));
    let junk = CreateCredential { certificate: b"no certificate"[..].into(), ..wanted(limited) };
    assert_eq!(code(officer.call(&junk)), Some(ErrorCode::InvalidArgument));
}

/// A token that is over by its own time is refused.
#[test]
fn a_token_ends() {
    let shared = shared();
    let lifetime = Interval::from_seconds(10);
    let made =
        shared.client().call(&CreateCredential { lifetime, ..wanted(only(Capability::List)) }).unwrap();
    let mut open = client_with(&shared, &made).unwrap();
    assert!(list(&mut open).is_ok());
    std::thread::sleep(std::time::Duration::from_millis(10_100));
    assert_eq!(code(list(&mut open)), Some(ErrorCode::Unauthenticated), "on an open connection, too");
    assert_eq!(code(client_with(&shared, &made)), Some(ErrorCode::Unauthenticated));
}

/// The program makes, lists and revokes; on the server's host it does so for another tenant, whose bearers then are
/// that tenant's and see nothing of the first.
#[test]
fn the_program_looks_after_credentials() {
    let shared = shared();
    let here = format!("unix:{}", shared.deployment.data().display());
    let pins = shared.deployment.folder.path().join("so-pin");
    std::fs::write(&pins, "8765-4321\n").unwrap();
    let init = [
        "slot",
        "init",
        "--label",
        "branch",
        "--so-pin-file",
        pins.to_str().unwrap(),
        "--addr",
        here.as_str(),
    ];
    stdout(&shared.canis(&init));
    let made = shared.canis(&["token", "create", "--capability", "read", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&stdout(&made)).unwrap();
    let id = made["id"].as_str().unwrap();
    let told = stdout(&shared.canis(&["token", "list"]));
    assert!(told.contains(id) && !told.contains(made["token"].as_str().unwrap()), "{told}");
    assert_eq!(stdout(&shared.canis(&["token", "revoke", id])), format!("revoked {id}\n"));
    let far = ["token", "create", "--capability", "all", "--tenant", "branch"];
    let refused = shared.canis(&far);
    assert!(failure(&refused, 3).contains("permission_denied"));
    let mut local = shared.deployment.canis(&shared.server);
    let near = local.env_remove("CANIS_TOKEN").args(far).args(["--addr", here.as_str(), "--json"]);
    let made: serde_json::Value = serde_json::from_str(&stdout(&near.output().unwrap())).unwrap();
    let mut config = shared.deployment.config(&shared.server);
    config.token = Some(Zeroizing::new(made["token"].as_str().unwrap().to_owned()));
    let mut branch = Client::connect(&config).unwrap();
    assert!(!branch.call(&Status).unwrap().sealed);
    let hash = HashData { hash: HashName::Sha256, data: b"x"[..].into() };
    assert!(branch.call(&hash).is_ok());
    shared.client().call(&CreateKey::new("credentials/mine", KeyType::Ed25519)).unwrap();
    // Its keys stand under its PIN; whatever it is told, it is not the other tenant's keys.
    assert_eq!(code(list(&mut branch)), Some(ErrorCode::TenantLocked));
    let theirs = RevokeCredential { id: "00000000-0000-0000-0000-000000000001".into() };
    assert_eq!(code(branch.call(&theirs)), Some(ErrorCode::ObjectNotFound));
    let usage = shared.canis(&["token", "create", "--capability", "fly"]);
    assert!(failure(&usage, 2).contains("none of: all, create"));
}
