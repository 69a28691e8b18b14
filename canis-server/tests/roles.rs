//! Roles (R61): who is let in by certificate or as a user of the host, what he gets, and that a change of a role bites
//! at the next request.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod authority;
mod harness;

use authority::Authority;
use canis_client::{Client, Config};
use canis_proto::audit::SearchAudit;
use canis_proto::credential::{CreateCredential, RevokeCredential};
use canis_proto::message::{CreateKey, Encrypt, Random, ShowKey};
use canis_proto::policy::{DeletePolicy, PutPolicy};
use canis_proto::role::{DeleteRole, GetRole, ListRoles, PutRole};
use canis_proto::slot::InitSlot;
use canis_proto::{Capabilities, Capability, ErrorCode, KeyType, Result};
use harness::{Deployment, Shared, stdout};
use rcgen::{DistinguishedName, DnType, SanType};
use std::fs;
use std::process::Command;

/// A server that asks for certificates of `authority` and has a socket for everybody; its keys `shop/till` and `other`.
fn site(authority: &Authority) -> (Shared, Config) {
    let deployment = Deployment::with_keyfile();
    let (file, socket) =
        (deployment.folder.path().join("clients.pem"), deployment.folder.path().join("all.sock"));
    fs::write(&file, &authority.1).unwrap();
    let flags = ["--client-ca", file.to_str().unwrap(), "--socket", socket.to_str().unwrap()];
    let server = deployment.start_with(&flags);
    assert_eq!(server.line(), "unsealed", "{}", server.log());
    let shared = Shared { deployment, server };
    let mut admin = shared.client();
    for name in ["shop/till", "other"] {
        admin.call(&CreateKey::new(name, KeyType::Aes256)).map(drop).unwrap();
    }
    policy(&mut admin, "shop", r#"path "kms/keys/shop/*" { capabilities = ["encrypt", "read"] }"#);
    (shared, Config::new(format!("unix:{}", socket.display()), Vec::new(), ""))
}

fn local(shared: &Shared) -> Client {
    let addr = format!("unix:{}", shared.deployment.data().display());
    Client::connect(&Config::new(addr, Vec::new(), "none")).unwrap()
}

fn policy(admin: &mut Client, name: &str, text: &str) {
    admin
        .call(&PutPolicy { name: name.into(), text: text.into(), revision: None, force: false })
        .map(drop)
        .unwrap();
}

fn role<'a>(name: &'a str, text: &'a str) -> PutRole<'a> {
    PutRole { name: name.into(), text: text.into(), tenant: "".into(), revision: None }
}

fn delete(name: &str) -> DeleteRole<'_> {
    DeleteRole { name: name.into(), tenant: "".into(), revision: None }
}

fn encrypt(client: &mut Client, key: &str) -> Result<()> {
    client.call(&Encrypt::new(key, &b"x"[..])).map(drop)
}

fn refused<T>(outcome: Result<T>) -> ErrorCode {
    outcome.map(drop).unwrap_err().code
}

fn named(params: &mut rcgen::CertificateParams, uri: &str) {
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
}

fn make_second_tenant(local: &mut Client) {
    let token = InitSlot {
        token: "second".into(),
        so_pin: b"so-pin-1"[..].into(),
        pin: Some(b"user-pin"[..].into()),
    };
    local.call(&token).map(drop).unwrap();
}

/// R61: a certificate is let in by its names, by those of all its blocks that are about it, and by nothing that only looks
/// like them.
#[test]
fn certificates_come_in_by_their_names() {
    let (authority, stranger) = (Authority::new("clients"), Authority::new("others"));
    let (shared, _) = site(&authority);
    let mut admin = shared.client();
    let till = |params: &mut rcgen::CertificateParams| named(params, "spiffe://shop.example/till/7");
    let (config, certificate) = authority.client(&shared, till);
    assert_eq!(refused(Client::connect(&config)), ErrorCode::Unauthenticated);
    let text = r#"policies = ["shop"]
        certificate { uri = "spiffe://shop.example/till/*" }"#;
    admin.call(&role("till", text)).map(drop).unwrap();
    let mut client = Client::connect(&config).unwrap();
    encrypt(&mut client, "shop/till").unwrap();
    assert_eq!(refused(encrypt(&mut client, "other")), ErrorCode::PermissionDenied);
    // A token beside it counts more, as ever.
    let mut both = config.clone();
    both.token = shared.deployment.config(&shared.server).token;
    encrypt(&mut Client::connect(&both).unwrap(), "other").unwrap();
    // Nobody else: another CA, another name, a name in another place.
    for (authority, uri) in [
        (&stranger, "spiffe://shop.example/till/7"),
        (&authority, "spiffe://shop.example/tills"),
        (&authority, "SPIFFE://shop.example/till/7"),
        (&authority, "x:spiffe://shop.example/till/7"),
    ] {
        let (config, _) = authority.client(&shared, |params| named(params, uri));
        assert!(Client::connect(&config).is_err(), "{uri}");
    }
    let (config, _) = authority.client(&shared, |params| {
        params.distinguished_name.push(DnType::CommonName, "spiffe://shop.example/till/7");
    });
    assert!(Client::connect(&config).is_err());
    // By the subject as RFC 4514 has it, whose separators a value cannot have; by issuer; by fingerprint.
    let sha256 = fingerprint(certificate.der());
    for (text, fits) in [
        ("certificate { sha256 = \"SHA\" }", true),
        ("certificate {\n sha256 = \"SHA\"\n issuer = \"CN=clients,*\"\n}", false),
        ("certificate {\n sha256 = \"SHA\"\n issuer = \"CN=clients\"\n}", true),
        ("certificate { subject = \"*O=Shop*\" }", false),
    ] {
        let text = format!("policies = [\"shop\"]\n{}", text.replace("SHA", &sha256));
        admin.call(&role("till", &text)).map(drop).unwrap();
        let mut config = authority.client(&shared, till).0;
        config.certificate = both.certificate.clone();
        assert_eq!(Client::connect(&config).is_ok(), fits, "{text}");
    }
    let text = "policies = [\"shop\"]\ncertificate { subject = \"CN=till,O=Shop\" }";
    admin.call(&role("till", text)).map(drop).unwrap();
    for (parts, fits) in [
        (&[(DnType::OrganizationName, "Shop"), (DnType::CommonName, "till")][..], true),
        (&[(DnType::CommonName, "till,O=Shop")][..], false),
        (&[(DnType::OrganizationName, "Shop"), (DnType::CommonName, "Till")][..], false),
        (&[(DnType::CommonName, "till"), (DnType::OrganizationName, "Shop")][..], false),
    ] {
        let (config, _) = authority.client(&shared, |params| {
            params.distinguished_name = DistinguishedName::new();
            parts.iter().for_each(|(kind, value)| params.distinguished_name.push(kind.clone(), *value));
        });
        let mut config = config;
        config.retry_for = std::time::Duration::ZERO;
        let outcome = Client::connect(&config);
        assert_eq!(outcome.is_ok(), fits, "{parts:?}: {:?}", outcome.err());
    }
}

fn fingerprint(bytes: &[u8]) -> String {
    let mut out = [0; canis_core::crypto::MAX_DIGEST];
    let len = canis_core::default_provider().digest.hash(canis_core::crypto::Hash::Sha256, bytes, &mut out);
    out[..len].iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// R61, R69: what is changed of a role holds from the next request on, on a connection that is open; and nobody becomes
/// somebody else on one.
#[test]
fn a_changed_role_bites_on_open_connections() {
    let authority = Authority::new("clients");
    let (shared, _) = site(&authority);
    let mut admin = shared.client();
    let (config, _) = authority.client(&shared, |params| named(params, "urn:till"));
    let text = "policies = [\"shop\"]\ncertificate { uri = \"urn:till\" }";
    admin.call(&role("till", text)).map(drop).unwrap();
    let mut client = Client::connect(&config).unwrap();
    encrypt(&mut client, "shop/till").unwrap();
    let wider = "policies = [\"shop\"]\ncapabilities = [\"encrypt\"]\ncertificate { uri = \"urn:till\" }";
    admin.call(&role("till", wider)).map(drop).unwrap();
    encrypt(&mut client, "other").unwrap();
    admin.call(&role("till", text)).map(drop).unwrap();
    assert_eq!(refused(encrypt(&mut client, "other")), ErrorCode::PermissionDenied);
    admin.call(&delete("till")).map(drop).unwrap();
    assert_eq!(refused(encrypt(&mut client, "shop/till")), ErrorCode::Unauthenticated);
    admin.call(&role("till", text)).map(drop).unwrap();
    encrypt(&mut client, "shop/till").unwrap();
    // A policy that a role names is not deleted unasked; when it is, it forbids everything.
    let gone = |force| DeletePolicy { name: "shop".into(), revision: None, force };
    assert_eq!(refused(admin.call(&gone(false))), ErrorCode::OperationNotAllowed);
    admin.call(&gone(true)).map(drop).unwrap();
    assert_eq!(refused(encrypt(&mut client, "shop/till")), ErrorCode::PermissionDenied);
    // The same name in another tenant is another caller, who has to connect again; in two at once it is nobody.
    let mut local = local(&shared);
    make_second_tenant(&mut local);
    let there = PutRole {
        tenant: "second".into(),
        ..role("till", "capabilities = [\"read\"]\ncertificate { uri = \"urn:till\" }")
    };
    local.call(&there).map(drop).unwrap();
    assert_eq!(refused(encrypt(&mut client, "shop/till")), ErrorCode::Unauthenticated);
    assert!(Client::connect(&config).map(drop).unwrap_err().message.contains("several tenants"));
    admin.call(&delete("till")).map(drop).unwrap();
    // Who it is there now has to say so anew: asked twice it is no more.
    for _ in 0..2 {
        assert_eq!(refused(client.call(&Random { length: 8 })), ErrorCode::Unauthenticated);
    }
    let mut second = Client::connect(&config).unwrap();
    second.call(&Random { length: 8 }).map(drop).unwrap();
    assert_eq!(refused(encrypt(&mut second, "shop/till")), ErrorCode::PermissionDenied);
}

/// R61: a user of the host comes in by the socket for everybody, as what a role makes of him and no more, root or not.
#[test]
fn users_of_the_host_come_in_by_a_role() {
    let authority = Authority::new("clients");
    let (shared, all) = site(&authority);
    let mut admin = shared.client();
    let uid = rustix::process::geteuid().as_raw();
    let why = Client::connect(&all).map(drop).unwrap_err();
    assert!(why.code == ErrorCode::Unauthenticated && why.message.contains("no role"), "{why}");
    let text = format!(
        "policies = [\"shop\"]\nunix {{\n  uid = {uid}\n  gid = [{}]\n}}",
        rustix::process::getegid().as_raw()
    );
    admin.call(&role("host", &text)).map(drop).unwrap();
    let mut client = Client::connect(&all).unwrap();
    encrypt(&mut client, "shop/till").unwrap();
    assert_eq!(refused(encrypt(&mut client, "other")), ErrorCode::PermissionDenied);
    // He is no administrator by this door: not of tokens, nor of what an unknown one may ask there.
    assert_eq!(
        refused(client.call(&ListRoles { prefix: "".into(), tenant: "".into() })),
        ErrorCode::PermissionDenied
    );
    // The program comes in the same way; the log says by which role, and as whom.
    let mut canis = Command::new(harness::program("canis"));
    canis.env_remove("CANIS_TOKEN").env_remove("CANIS_CACERT").arg("--addr").arg(&all.addr);
    assert!(stdout(&canis.args(["key", "show", "shop/till"]).output().unwrap()).contains("shop/till"));
    let search = SearchAudit { on: "kms/keys/shop/till".into(), ..everything() };
    let lines = admin.call(&search).unwrap().lines.clone();
    let line: serde_json::Value = lines
        .iter()
        .map(|line| serde_json::from_str(line).unwrap())
        .rfind(|line: &serde_json::Value| line["op"] == "key.show")
        .unwrap();
    assert_eq!((&line["by"], &line["roles"]), (&"peer".into(), &"host".into()), "{line}");
    assert!(line["subject"].as_str().is_some_and(|who| !who.is_empty()) && line["user"] == uid, "{line}");
    // Another user, or another group, is not he.
    for other in [
        format!("uid = {}", uid + 1),
        format!("uid = {uid}\n gid = 4294967294"),
        "user = \"no-such-user\"".into(),
    ] {
        let text = format!("policies = [\"shop\"]\nunix {{\n {other}\n}}");
        admin.call(&role("host", &text)).map(drop).unwrap();
        assert_eq!(refused(encrypt(&mut client, "shop/till")), ErrorCode::Unauthenticated, "{other}");
        assert!(Client::connect(&all).is_err(), "{other}");
    }
    // A token is good there as anywhere.
    let mut bearer = all.clone();
    bearer.token = shared.deployment.config(&shared.server).token;
    encrypt(&mut Client::connect(&bearer).unwrap(), "other").unwrap();
}

fn everything() -> SearchAudit<'static> {
    SearchAudit {
        on: "".into(),
        who: "".into(),
        operation: "".into(),
        result: "".into(),
        since: None,
        until: None,
        after: "".into(),
        last: true,
        limit: 0,
    }
}

/// R59: nobody gives by a role what he has not, takes his own denial away, or claims callers for another tenant.
#[test]
fn nobody_gets_more_by_writing_roles() {
    let authority = Authority::new("clients");
    let (shared, _) = site(&authority);
    let mut admin = shared.client();
    policy(&mut admin, "roles", r#"path "sys/roles/*" { capabilities = ["admin"] }"#);
    policy(&mut admin, "no-other", r#"path "kms/keys/other" { capabilities = ["deny"] }"#);
    let about = "certificate { uri = \"urn:clerk\" }";
    for (name, policies) in [("clerk", "[\"roles\", \"shop\"]"), ("narrow", "[\"no-other\"]")] {
        admin.call(&role(name, &format!("policies = {policies}\n{about}"))).map(drop).unwrap();
    }
    let (config, _) = authority.client(&shared, |params| named(params, "urn:clerk"));
    let mut clerk = Client::connect(&config).unwrap();
    let mut put =
        |name: &str, text: &str| clerk.call(&role(name, text)).map(drop).map_err(|error| error.code);
    assert_eq!(put("friend", &format!("policies = [\"shop\", \"no-other\"]\n{about}")), Ok(()));
    for given in ["capabilities = [\"sign\"]", "policies = [\"no-other\"]\ncapabilities = [\"encrypt\"]"] {
        assert_eq!(put("friend", &format!("{given}\n{about}")), Err(ErrorCode::PermissionDenied), "{given}");
    }
    // His own denial, by another text, for other callers, or not at all.
    let shop = "policies = [\"shop\"]";
    assert_eq!(put("narrow", &format!("{shop}\n{about}")), Err(ErrorCode::PermissionDenied));
    let others = "policies = [\"no-other\"]\ncertificate { uri = \"urn:x\" }";
    assert_eq!(put("narrow", others), Err(ErrorCode::PermissionDenied));
    assert_eq!(refused(clerk.call(&delete("narrow"))), ErrorCode::PermissionDenied);
    assert_eq!(
        refused(clerk.call(&PutRole { tenant: "second".into(), ..role("x", shop) })),
        ErrorCode::PermissionDenied
    );
    // What bounds the tenant's PINs is taken away by who may do everything, unless another role bounds them, too.
    for name in ["bound", "beside"] {
        admin.call(&role(name, "policies = [\"shop\"]\npin {}")).map(drop).unwrap();
    }
    clerk.call(&delete("beside")).map(drop).unwrap();
    let unbound = role("bound", "policies = [\"shop\"]\ncertificate { uri = \"urn:nobody\" }");
    assert_eq!(refused(clerk.call(&unbound)), ErrorCode::PermissionDenied);
    assert_eq!(refused(clerk.call(&delete("bound"))), ErrorCode::PermissionDenied);
    admin.call(&delete("bound")).map(drop).unwrap();
    // Who may do everything in a second tenant decides over its PINs, and not over whose certificates lead there.
    let mut local = local(&shared);
    make_second_tenant(&mut local);
    let all = CreateCredential { tenant: "second".into(), ..CreateCredential::new(Capabilities::ALL) };
    let made = local.call(&all).unwrap();
    let mut config = shared.deployment.config(&shared.server);
    config.token = made.token.clone().map(zeroize::Zeroizing::new);
    let mut second = Client::connect(&config).unwrap();
    let mine = |block: &str| format!("capabilities = [\"encrypt\"]\n{block}");
    for block in [
        about,
        "unix { uid = 0 }",
        "jwt {\n issuer = \"a\"\n audience = \"b\"\n}",
        "pin {}\nunix { uid = 0 }",
    ] {
        assert_eq!(refused(second.call(&role("mine", &mine(block)))), ErrorCode::PermissionDenied, "{block}");
    }
    second.call(&role("mine", &mine("pin {}"))).map(drop).unwrap();
    // Its roles are its own.
    let names = |client: &mut Client| -> Vec<String> {
        let list = client.call(&ListRoles { prefix: "".into(), tenant: "".into() }).unwrap();
        list.roles.iter().map(|role| role.name.clone()).collect()
    };
    assert_eq!(
        (names(&mut second), names(&mut admin)),
        (vec!["mine".to_owned()], vec!["clerk".into(), "friend".into(), "narrow".into()])
    );
    assert_eq!(
        refused(second.call(&GetRole { name: "clerk".into(), tenant: "".into() })),
        ErrorCode::ObjectNotFound
    );
    local.call(&RevokeCredential { id: made.credential.id.as_str().into() }).map(drop).unwrap();
}

/// What is no role says where, and changes nothing; a revision is not overwritten unseen.
#[test]
fn what_is_no_role_is_refused_with_its_place() {
    let (shared, _) = site(&Authority::new("clients"));
    let mut admin = shared.client();
    for (text, part) in [
        ("policies = [\"shop\"]", "about nobody"),
        ("certificate { uri = \"a\" }", "gives nothing"),
        ("policies = [\"shop\"]\ncertificate {}", "line 2, column 1"),
        ("policies = [\"shop\"]\nunix { uid = \"0\" }", "a number"),
        ("policies = [\"shop\"]\nunix { uid = 4294967296 }", "a number"),
        ("policies = [\"shop\"]\njwt { issuer = \"a\" }", "`audience`"),
        ("policies = [\"shop\"]\njwt { audience = \"a\" }", "`issuer`"),
        ("policies = [\"shop\"]\ncertificate { sha256 = \"00\" }", "64 hex"),
        ("policies = [\"shop\"]\ncertificate { uri = \"\" }", "line 2"),
        ("policies = [\"shop\"]\ncertificate { name = \"a\" }", "no `name`"),
        ("policies = [\"shop\"]\npin { user = true }", "no `user`"),
        ("policies = [\"shop\"]\ncertificat { uri = \"a\" }", "no block"),
        ("policies = [\"sh op\"]\npin {}", "no name of a policy"),
        ("policies = [\"shop\"]\npin \"x\" {}", "no name of its own"),
        ("capabilities = [\"everything\"]\npin {}", "no capability"),
        ("policies = [\"shop\"", "line 1"),
    ] {
        let error = admin.call(&role("bad", text)).map(drop).unwrap_err();
        assert!(error.code == ErrorCode::InvalidArgument && error.message.contains(part), "{text}: {error}");
    }
    let error = admin.call(&role("bad", "policies = [\"gone\"]\npin {}")).map(drop).unwrap_err();
    assert_eq!(error.code, ErrorCode::ObjectNotFound);
    let long = format!("policies = [\"shop\"]\npin {{}}\n#{}", "x".repeat(64 * 1024));
    assert_eq!(refused(admin.call(&role("bad", &long))), ErrorCode::InvalidArgument);
    assert_eq!(refused(admin.call(&role("../bad", "policies = [\"shop\"]\npin {}"))), ErrorCode::InvalidName);
    let good = PutRole { revision: Some(0), ..role("good", "policies = [\"shop\"]\npin {}") };
    let made = admin.call(&good).unwrap();
    assert_eq!((made.revision, &made.binds[..]), (1, &["pin".to_owned()][..]));
    assert_eq!(refused(admin.call(&good)), ErrorCode::Conflict);
    let stale = DeleteRole { revision: Some(7), ..delete("good") };
    assert_eq!(refused(admin.call(&stale)), ErrorCode::Conflict);
    let show = ShowKey { name: "other".into(), before_version: 0 };
    let read = CreateCredential::new(Capabilities::NONE.with(Capability::Read));
    let mut config = shared.deployment.config(&shared.server);
    config.token = admin.call(&read).unwrap().token.clone().map(zeroize::Zeroizing::new);
    // A role of PINs is about PKCS#11 alone.
    Client::connect(&config).unwrap().call(&show).map(drop).unwrap();
}
