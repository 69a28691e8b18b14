//! Policies of a store, and the credentials that bear them, at a running server (R59–R61).
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;

use canis_client::Client;
use canis_proto::credential::{CreateCredential, CredentialMade, RenewCredential, RevokeCredential};
use canis_proto::message::{CreateKey, Decrypt, Encrypt, ListKeys, Sign, Verify};
use canis_proto::policy::{DeletePolicy, ExplainPolicy, GetPolicy, PolicyInfo, PutPolicy};
use canis_proto::stream::SignStream;
use canis_proto::{Capabilities, Capability, ErrorCode, Interval, KeyType, Result};
use harness::{Shared, failure, shared, stdout};
use zeroize::Zeroizing;

fn put<'a>(name: &'a str, text: &'a str) -> PutPolicy<'a> {
    PutPolicy { name: name.into(), text: text.into(), revision: None, force: false }
}

fn bearing<'a>(policies: &[&'a str]) -> CreateCredential<'a> {
    let policies = policies.iter().map(|name| (*name).into()).collect();
    CreateCredential { policies, ..CreateCredential::new(Capabilities::NONE) }
}

fn client_with(shared: &Shared, made: &CredentialMade) -> Result<Client> {
    let mut config = shared.deployment.config(&shared.server);
    config.token = made.token.clone().map(Zeroizing::new);
    Client::connect(&config)
}

fn bearer(shared: &Shared, policies: &[&str]) -> Client {
    let made = shared.client().call(&bearing(policies)).unwrap();
    client_with(shared, &made).unwrap()
}

fn code<T>(result: Result<T>) -> Option<ErrorCode> {
    result.err().map(|error| error.code)
}

fn encrypt(client: &mut Client, name: &str) -> Option<ErrorCode> {
    code(client.call(&Encrypt::new(name, &b"x"[..])))
}

const DENIED: Option<ErrorCode> = Some(ErrorCode::PermissionDenied);

/// R60, R69: a token has the rights of its policies. What is changed in one holds from the next request on, on connections that
/// are open, too; a policy that is gone grants nothing and forbids everything.
#[test]
fn a_policy_bites_on_open_connections() {
    let shared = shared();
    let mut admin = shared.client();
    for name in ["bite/a", "bite/b"] {
        admin.call(&CreateKey::new(name, KeyType::Aes256)).unwrap();
    }
    let only_a = r#"path "kms/keys/bite/a" { capabilities = ["encrypt"] }"#;
    let written: PolicyInfo = admin.call(&put("bite", only_a)).unwrap();
    assert_eq!((written.revision, written.rules), (1, 1));
    let mut open = bearer(&shared, &["bite"]);
    assert_eq!((encrypt(&mut open, "bite/a"), encrypt(&mut open, "bite/b")), (None, DENIED));
    let denied = open.call(&Encrypt::new("bite/b", &b"x"[..])).map(drop).unwrap_err();
    assert_eq!(denied.message, "you lack the capability `encrypt` on kms/keys/bite/b");
    let absent = open.call(&Encrypt::new("bite/c", &b"x"[..])).map(drop).unwrap_err();
    assert_eq!(absent.message, denied.message.replace("bite/b", "bite/c"), "absent and foreign look alike");

    let only_b = only_a.replace("bite/a", "bite/b");
    admin.call(&put("bite", &only_b)).unwrap();
    assert_eq!((encrypt(&mut open, "bite/a"), encrypt(&mut open, "bite/b")), (DENIED, None));
    let deletion = |force| DeletePolicy { name: "bite".into(), revision: None, force };
    assert_eq!(code(admin.call(&deletion(false))), Some(ErrorCode::OperationNotAllowed), "it is named");
    admin.call(&deletion(true)).unwrap();
    assert_eq!(encrypt(&mut open, "bite/b"), DENIED);
    admin.call(&put("bite", &only_b)).unwrap();
    assert_eq!(encrypt(&mut open, "bite/b"), None);
}

/// R59: a rule that denies beats the capabilities that a token has on everything, and who bears one cannot get rid of it.
#[test]
fn a_denial_beats_capabilities_and_holds_its_bearer() {
    let shared = shared();
    let mut admin = shared.client();
    admin.call(&CreateKey::new("vault/root", KeyType::Aes256)).unwrap();
    admin.call(&CreateKey::new("vault-side", KeyType::Aes256)).unwrap();
    let closed = r#"path "kms/keys/vault/*" { capabilities = ["deny"] }"#;
    admin.call(&put("closed", closed)).unwrap();
    let most = CreateCredential { capabilities: Capabilities::ALL, ..bearing(&["closed"]) };
    let made = admin.call(&most).unwrap();
    let mut most = client_with(&shared, &made).unwrap();
    assert_eq!((encrypt(&mut most, "vault-side"), encrypt(&mut most, "vault/root")), (None, DENIED));
    // Neither a new credential, nor a new policy, nor the old one without its denial.
    assert_eq!(code(most.call(&CreateCredential::new(Capabilities::ALL))), DENIED);
    let all = r#"path "kms/keys/*" { capabilities = ["encrypt"] }"#;
    assert_eq!(code(most.call(&put("escape", all))), DENIED);
    assert_eq!(code(most.call(&put("closed", "# open"))), DENIED);
    let forced = DeletePolicy { name: "closed".into(), revision: None, force: true };
    assert_eq!(code(most.call(&forced)), DENIED);
    // What leaves the denial as it is may be given on.
    assert_eq!(
        code(most.call(&CreateCredential { capabilities: Capabilities::ALL, ..bearing(&["closed"]) })),
        None
    );
    assert_eq!(code(most.call(&put("side", r#"path "kms/keys/side" { capabilities = ["encrypt"] }"#))), None);
}

/// Nobody writes into a policy, or binds by one, what he may not himself.
#[test]
fn nobody_grants_more_by_a_policy() {
    let shared = shared();
    let mut admin = shared.client();
    let officer = r#"path "sys/*" { capabilities = ["admin"] }
        path "kms/keys/branch/*" { capabilities = ["encrypt", "list"] }"#;
    admin.call(&put("officer", officer)).unwrap();
    admin.call(&put("everything", r#"path "*" { capabilities = ["sign"] }"#)).unwrap();
    let mut limited = bearer(&shared, &["officer"]);
    let own = r#"path "kms/keys/branch/till" { capabilities = ["encrypt"] }"#;
    assert_eq!(code(limited.call(&put("till", own))), None);
    assert_eq!(code(limited.call(&bearing(&["till"]))), None);
    for more in [
        r#"path "kms/keys/branch/till" { capabilities = ["decrypt"] }"#,
        r#"path "kms/keys/branc*" { capabilities = ["encrypt"] }"#,
        r#"path "kms/+/branch/till" { capabilities = ["encrypt"] }"#,
    ] {
        assert_eq!(code(limited.call(&put("till", more))), DENIED, "{more}");
    }
    assert_eq!(code(limited.call(&bearing(&["everything"]))), DENIED);
    assert_eq!(
        code(limited.call(&CreateCredential::new(Capabilities::NONE.with(Capability::Encrypt)))),
        DENIED
    );
    assert_eq!(code(limited.call(&bearing(&["officer"]))), None, "what he has himself");
    assert_eq!(code(limited.call(&bearing(&["not-there"]))), Some(ErrorCode::ObjectNotFound));
}

/// Two who write the same policy: the second is told. What is no policy is told with its place.
#[test]
fn writers_meet_and_mistakes_are_told() {
    let shared = shared();
    let mut admin = shared.client();
    let text = r#"path "kms/keys/meet" { capabilities = ["read"] }"#;
    let new = PutPolicy { revision: Some(0), ..put("meet", text) };
    assert_eq!(admin.call(&new).unwrap().revision, 1);
    assert_eq!(code(admin.call(&new)), Some(ErrorCode::Conflict));
    let second = PutPolicy { revision: Some(1), ..put("meet", text) };
    assert_eq!(admin.call(&second).unwrap().revision, 2);
    assert_eq!(code(admin.call(&second)), Some(ErrorCode::Conflict));
    assert_eq!(admin.call(&GetPolicy { name: "meet".into() }).unwrap().text, text);
    let stale = DeletePolicy { name: "meet".into(), revision: Some(1), force: false };
    assert_eq!(code(admin.call(&stale)), Some(ErrorCode::Conflict));
    let broken = admin.call(&put("meet", "path \"kms/keys/a\" {\n  capabilities = [\"reed\"]\n}")).map(drop);
    let broken = broken.unwrap_err();
    assert!(broken.message.contains("line 2, column 19: there is no capability `reed`"), "{broken}");
    for name in ["", "a/b", "grüße", &"n".repeat(129)] {
        assert_eq!(code(admin.call(&put(name, text))), Some(ErrorCode::InvalidName), "{name}");
    }
}

/// A list shows what its reader may list, and no page tells how much else there is.
#[test]
fn a_list_shows_what_may_be_listed() {
    let shared = shared();
    let mut admin = shared.client();
    for name in ["listed/a", "listed/b", "listed/hidden/c", "listed/z"] {
        admin.call(&CreateKey::new(name, KeyType::Aes256)).unwrap();
    }
    let text = r#"path "kms/keys/listed/*" { capabilities = ["list"] }
        path "kms/keys/listed/hidden/*" { capabilities = ["deny"] }"#;
    admin.call(&put("lister", text)).unwrap();
    let mut lister = bearer(&shared, &["lister"]);
    let mut page = |limit, after: &str| {
        let all = ListKeys { prefix: "".into(), after: after.into(), limit, include_deleted: false };
        let list = lister.call(&all).unwrap();
        (list.keys.iter().map(|key| key.name.clone()).collect::<Vec<_>>(), list.more)
    };
    assert_eq!(page(100, ""), (vec!["listed/a".into(), "listed/b".into(), "listed/z".into()], false));
    assert_eq!(page(2, ""), (vec!["listed/a".into(), "listed/b".into()], true));
    assert_eq!(page(2, "listed/b"), (vec!["listed/z".into()], false));
    let mut blind = bearer(&shared, &["bite-nothing-of-lists"][..0]);
    let all = ListKeys { prefix: "".into(), after: "".into(), limit: 1, include_deleted: false };
    assert_eq!(code(blind.call(&all)), DENIED);
}

/// A token that opens so many connections opens no more; one that is bound to a network is nothing elsewhere; one that
/// may be renewed is, before its end and not after.
#[test]
fn tokens_have_limits() {
    let shared = shared();
    let mut admin = shared.client();
    let read = CreateCredential::new(Capabilities::NONE.with(Capability::List));
    let list = |client: &mut Client| {
        let all = ListKeys { prefix: "".into(), after: "".into(), limit: 1, include_deleted: false };
        code(client.call(&all))
    };
    let twice = admin.call(&CreateCredential { uses: 2, ..read.clone() }).unwrap();
    let mut first = client_with(&shared, &twice).unwrap();
    assert_eq!((list(&mut first), list(&mut first)), (None, None), "a connection is one use, however long");
    assert!(client_with(&shared, &twice).is_ok());
    assert_eq!(code(client_with(&shared, &twice)), Some(ErrorCode::Unauthenticated));
    assert_eq!(list(&mut first), None, "what is open goes on");

    let networks =
        |network: &'static str| CreateCredential { networks: vec![network.into()], ..read.clone() };
    let here = admin.call(&networks("127.0.0.0/8")).unwrap();
    assert!(client_with(&shared, &here).is_ok());
    let elsewhere = admin.call(&networks("10.0.0.0/8")).unwrap();
    assert_eq!(code(client_with(&shared, &elsewhere)), Some(ErrorCode::Unauthenticated));
    assert_eq!(code(admin.call(&networks("10.0.0.1/8"))), Some(ErrorCode::InvalidArgument));

    let lifetime = Interval::from_seconds(3600);
    let renewable = admin.call(&CreateCredential { lifetime, renewable: true, ..read.clone() }).unwrap();
    let mut bearer = client_with(&shared, &renewable).unwrap();
    let own = bearer.call(&RenewCredential { id: "".into() }).unwrap();
    assert!(own.expires_at > renewable.credential.expires_at);
    let fixed = admin.call(&CreateCredential { lifetime, ..read.clone() }).unwrap();
    let renew = |id: &str| RenewCredential { id: id.to_owned().into() };
    assert_eq!(code(admin.call(&renew(&fixed.credential.id))), Some(ErrorCode::OperationNotAllowed));
    assert_eq!(code(bearer.call(&renew(&fixed.credential.id))), DENIED);
    assert_eq!(
        code(admin.call(&CreateCredential { renewable: true, ..read })),
        Some(ErrorCode::InvalidArgument)
    );
    admin.call(&RevokeCredential { id: own.id.into() }).unwrap();
    assert_eq!(list(&mut bearer), Some(ErrorCode::Unauthenticated));
}

/// Conditions: what is asked is what it is, at whatever length and in whatever context.
#[test]
fn conditions_hold_for_what_is_asked() {
    let shared = shared();
    let mut admin = shared.client();
    admin.call(&CreateKey::new("cond/aes", KeyType::Aes256)).unwrap();
    admin.call(&CreateKey::new("cond/sign", KeyType::Ed25519)).unwrap();
    let text = r#"path "kms/keys/cond/*" {
        capabilities     = ["encrypt", "decrypt", "sign"]
        key_types        = ["aes256-gcm"]
        max_payload      = "16"
        required_context = ["invoice:*"]
        source_networks  = ["127.0.0.1"]
    }"#;
    admin.call(&put("cond", text)).unwrap();
    let mut bearer = bearer(&shared, &["cond"]);
    let mut ask = |len: usize, context: &'static [u8]| {
        let request = Encrypt { context: context.into(), ..Encrypt::new("cond/aes", vec![7; len]) };
        bearer.call(&request).map(|made| made.ciphertext).map_err(|error| error.code)
    };
    let made = ask(16, b"invoice:1").unwrap();
    assert_eq!(ask(17, b"invoice:1"), Err(ErrorCode::PermissionDenied));
    assert_eq!(ask(16, b"order:1"), Err(ErrorCode::PermissionDenied));
    assert_eq!(ask(16, b""), Err(ErrorCode::PermissionDenied), "no context is none of these");
    let back = Decrypt { context: b"invoice:1"[..].into(), ..Decrypt::new("cond/aes", &*made) };
    assert_eq!(bearer.call(&back).unwrap().plaintext, [7; 16], "what may be made may be opened");
    let long = Encrypt { context: b"invoice:1"[..].into(), ..Encrypt::new("cond/aes", vec![7; 17]) };
    let long = admin.call(&long).unwrap().ciphertext;
    let back = Decrypt { context: b"invoice:1"[..].into(), ..Decrypt::new("cond/aes", &*long) };
    assert_eq!(code(bearer.call(&back)), DENIED);
    let (other, none) = (Sign::new("cond/sign", &b"x"[..]), Sign::new("cond/none", &b"x"[..]));
    assert_eq!((code(bearer.call(&other)), code(bearer.call(&none))), (DENIED, DENIED), "there or not");
    admin.call(&put("cond", &text.replace("127.0.0.1", "10.0.0.0/8"))).unwrap();
    let near = Encrypt { context: b"invoice:1"[..].into(), ..Encrypt::new("cond/aes", vec![7; 16]) };
    assert_eq!(code(bearer.call(&near)), DENIED);
}

/// A rule that wants a context binds the signatures that have one, in whatever way they are asked for, and leaves those
/// that have none alone.
#[test]
fn signatures_are_bound_where_they_can_be() {
    let shared = shared();
    let mut admin = shared.client();
    for (name, kind) in [("bound/pq", KeyType::MlDsa44), ("bound/ed", KeyType::Ed25519)] {
        admin.call(&CreateKey::new(name, kind)).unwrap();
    }
    let text = r#"path "kms/keys/bound/*" {
        capabilities     = ["sign", "verify"]
        required_context = ["invoice:*"]
    }"#;
    admin.call(&put("bound", text)).unwrap();
    let mut bearer = bearer(&shared, &["bound"]);
    let sign =
        |context: &'static [u8]| Sign { context: context.into(), ..Sign::new("bound/pq", &[7; 64][..]) };
    let signature = bearer.call(&sign(b"invoice:1")).unwrap().signature;
    assert_eq!(code(bearer.call(&sign(b"order:1"))), DENIED);
    assert_eq!(code(bearer.call(&sign(b""))), DENIED, "no context is none of these");
    // mu may hold any context.
    assert_eq!(code(bearer.call(&Sign { prehashed: true, ..sign(b"") })), DENIED);
    let verify = |context: &'static [u8]| {
        let request = Verify::new("bound/pq", &[7; 64][..], signature.as_str());
        Verify { context: context.into(), ..request }
    };
    assert!(bearer.call(&verify(b"invoice:1")).unwrap().valid);
    assert!(!bearer.call(&verify(b"invoice:2")).unwrap().valid);
    assert_eq!(code(bearer.call(&verify(b""))), DENIED);
    let (stream, context) = (&[7; 64][..], (&b"invoice:1"[..]).into());
    let request =
        SignStream { name: "bound/pq".into(), scheme: None, form: Default::default(), version: 0, context };
    let streamed = bearer.stream(&request, &mut &stream[..], &mut std::io::sink());
    assert_eq!(code(streamed), DENIED, "it would end as mu");
    assert!(bearer.call(&Sign::new("bound/ed", &b"x"[..])).is_ok(), "Ed25519 has no context");
    let absent = Sign::new("bound/none", &b"x"[..]);
    assert_eq!(code(bearer.call(&absent)), DENIED, "there or not");
}

/// The program writes, reads and explains policies; what locks out the last administrator asks for --force.
#[test]
fn the_program_looks_after_policies() {
    let shared = shared();
    let file = shared.deployment.folder.path().join("till.hcl");
    std::fs::write(&file, "# tills\npath \"kms/keys/tills/*\" {\n  capabilities = [\"sign\"]\n}\n").unwrap();
    let file = file.display().to_string();
    let told = stdout(&shared.canis(&["policy", "put", "till", &file]));
    assert_eq!(told, "policy till has revision 1\n");
    assert_eq!(stdout(&shared.canis(&["policy", "get", "till"])), std::fs::read_to_string(&file).unwrap());
    assert!(stdout(&shared.canis(&["policy", "list"])).contains("till\t1\t1 rules\t"));
    let made = shared.canis(&["token", "create", "--policy", "till", "--json"]);
    let made: serde_json::Value = serde_json::from_str(&stdout(&made)).unwrap();
    let id = made["id"].as_str().unwrap();
    let explain =
        |op: &str, key: &str| shared.canis(&["policy", "explain", "--who", id, "--op", op, "--key", key]);
    let allowed = explain("sign", "tills/1");
    assert_eq!(stdout(&allowed), "allowed by policy `till`, line 2: path \"kms/keys/tills/*\"\n");
    let denied = explain("key.destroy", "tills/1");
    assert!(failure(&denied, 1).is_empty());
    let why = "denied: the capability is not granted by policy `till`, line 2: path \"kms/keys/tills/*\"\n";
    assert_eq!(String::from_utf8_lossy(&denied.stdout), why);
    let elsewhere = explain("sign", "other");
    assert_eq!(String::from_utf8_lossy(&elsewhere.stdout), "denied: no rule is about this path\n");
    assert!(failure(&explain("fly", "tills/1"), 3).contains("neither a capability"));
    // The same of whoever comes in by a role.
    let role = shared.deployment.folder.path().join("tills.role");
    std::fs::write(&role, "policies = [\"till\"]\nunix {\n  uid = 4711\n}\n").unwrap();
    stdout(&shared.canis(&["role", "put", "tills", &role.display().to_string()]));
    let by_role =
        |who: &str| shared.canis(&["policy", "explain", "--who", who, "--op", "sign", "--key", "tills/1"]);
    assert_eq!(stdout(&by_role("role:tills")), stdout(&allowed));
    assert!(failure(&by_role("role:tills,none"), 3).contains("none"));
    stdout(&shared.canis(&["role", "delete", "tills"]));
    assert!(failure(&shared.canis(&["policy", "delete", "till"]), 3).contains("named by 1 credentials"));
    stdout(&shared.canis(&["token", "revoke", id]));
    assert_eq!(stdout(&shared.canis(&["policy", "delete", "till"])), "deleted policy till\n");
}

/// A policy that takes the last administrator's right to change policies asks whether that is meant.
#[test]
fn the_last_administrator_is_not_locked_out_by_mistake() {
    let deployment = harness::Deployment::with_keyfile();
    let server = deployment.start();
    let mut first = Client::connect(&deployment.config(&server)).unwrap();
    first.call(&put("admin", r#"path "*" { capabilities = ["admin", "create"] }"#)).unwrap();
    let made = first.call(&bearing(&["admin"])).unwrap();
    let bootstrap = first
        .call(&canis_proto::credential::ListCredentials { tenant: "".into() })
        .unwrap()
        .credentials
        .into_iter()
        .find(|one| one.name == "the first")
        .unwrap();
    let mut config = deployment.config(&server);
    config.token = made.token.clone().map(Zeroizing::new);
    let mut second = Client::connect(&config).unwrap();
    second.call(&RevokeCredential { id: bootstrap.id.into() }).unwrap();
    let less = r#"path "*" { capabilities = ["create"] }"#;
    let refused = second.call(&put("admin", less)).map(drop).unwrap_err();
    assert!(
        refused.code == ErrorCode::OperationNotAllowed && refused.message.contains("--force"),
        "{refused}"
    );
    second.call(&PutPolicy { force: true, ..put("admin", less) }).unwrap();
    assert_eq!(code(second.call(&put("admin", less))), DENIED);
    let explain = ExplainPolicy {
        who: "".into(),
        capability: Capability::Admin,
        path: "sys/policies/admin".into(),
        key_type: None,
        payload: None,
        context: None,
        source: "".into(),
    };
    assert!(!second.call(&explain).unwrap().allowed, "one's own rights are told");
}
