//! Tenants at a running server: what their operator does with them, and what they can do to each other (R11, R61): nothing.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod web;

use canis_client::{Client, Config};
use canis_proto::audit::SearchAudit;
use canis_proto::batch;
use canis_proto::credential::{CreateCredential, ListCredentials, RenewCredential, RevokeCredential};
use canis_proto::message::{
    Batch, CreateKey, Decrypt, DestroyKey, DisableKey, Encrypt, GetEntry, ImportKey, ListEntries, ListKeys,
    PutEntry, RotateKey, ShowKey, Status, WireAnswer, WireRequest,
};
use canis_proto::policy::{GetPolicy, ListPolicies, PutPolicy};
use canis_proto::slot::{DeleteSlot, InitSlot, ListSlots, SetSlotPin};
use canis_proto::tenant::{
    CreateTenant, DeleteTenant, DisableTenant, EnableTenant, LimitTenant, ListTenants, ShowTenant, TenantMade,
};
use canis_proto::{Capabilities, ErrorCode, Id, Interval, KeyFormat, KeyType, Result};
use harness::{failure, stdout};
use std::time::{Duration, Instant};
use web::Site;
use zeroize::Zeroizing;

fn code<T>(result: Result<T>) -> Option<ErrorCode> {
    result.err().map(|error| error.code)
}

fn create(name: &str) -> CreateTenant<'_> {
    CreateTenant { name: name.into(), max_keys: 0, max_requests: 0, max_payload: 0 }
}

fn config(site: &Site, token: &str) -> Config {
    let mut config = site.deployment.config(&site.server);
    config.token = Some(Zeroizing::new(token.to_owned()));
    config
}

/// A new tenant, and its administrator.
fn tenant(site: &Site, name: &str) -> (TenantMade, Client) {
    let made = site.deployment.client(&site.server).call(&create(name)).unwrap();
    let client = Client::connect(&config(site, &made.token)).unwrap();
    (made, client)
}

fn keys() -> ListKeys<'static> {
    ListKeys { prefix: "".into(), after: "".into(), limit: 0, include_deleted: false }
}

fn entry(id: &str) -> PutEntry<'_> {
    PutEntry {
        id: id.into(),
        name: "".into(),
        public_key: b"public"[..].into(),
        private_key: b"private"[..].into(),
        generate: None,
        revision: None,
    }
}

/// R11: the same names are other keys in another tenant, and nothing that is the other's can be named.
#[test]
fn nothing_of_another_tenant_can_be_named() {
    let site = Site::new();
    let (_, mut red) = tenant(&site, "red");
    let (blue_made, mut blue) = tenant(&site, "blue");
    for client in [&mut red, &mut blue] {
        client.call(&CreateKey::new("shared/name", KeyType::Aes256)).unwrap();
    }
    blue.call(&CreateKey { exportable: true, ..CreateKey::new("blue/only", KeyType::Aes256) }).unwrap();
    blue.call(&entry("blue-entry")).unwrap();
    let text = r#"path "kms/keys/*" { capabilities = ["read"] }"#;
    blue.call(&PutPolicy { name: "blue".into(), text: text.into(), revision: None, force: false }).unwrap();
    let sealed = blue.call(&Encrypt::new("shared/name", &b"secret"[..])).unwrap().ciphertext;
    assert_eq!(
        code(red.call(&Decrypt::new("shared/name", sealed.as_str()))),
        Some(ErrorCode::DecryptionFailed)
    );
    // What is another's is answered as what is not there, word for word.
    let same = |mine: Result<()>, absent: Result<()>, (there, gone): (&str, &str)| {
        let (mine, absent) = (mine.unwrap_err(), absent.unwrap_err());
        assert_eq!(
            (mine.code, mine.message.replace(there, "X")),
            (absent.code, absent.message.replace(gone, "X"))
        );
    };
    let names = ("blue/only", "none/such");
    let asks: [fn(&mut Client, &str) -> Result<()>; 6] = [
        |client, name| client.call(&ShowKey { name: name.into(), before_version: 0 }).map(drop),
        |client, name| client.call(&Encrypt::new(name, &b"x"[..])).map(drop),
        |client, name| client.call(&RotateKey { name: name.into(), preview: false }).map(drop),
        |client, name| client.call(&DisableKey { name: name.into() }).map(drop),
        |client, name| client.call(&GetEntry { id: name.into(), private: true }).map(drop),
        |client, name| client.call(&GetPolicy { name: name.into() }).map(drop),
    ];
    for (at, ask) in asks.into_iter().enumerate() {
        let names = match at {
            4 => ("blue-entry", "none-entry"),
            5 => ("blue", "none"),
            _ => names,
        };
        same(ask(&mut red, names.0), ask(&mut red, names.1), names);
        assert!(at == 3 || code(ask(&mut blue, names.0)).is_none(), "{at}");
    }
    let names = |client: &mut Client| -> Vec<String> {
        client.call(&keys()).unwrap().keys.into_iter().map(|key| key.name).collect()
    };
    assert_eq!(names(&mut red), ["shared/name"]);
    let all = ListEntries { prefix: "".into(), after: "".into(), limit: 0 };
    assert!(red.call(&all).unwrap().entries.is_empty());
    assert!(red.call(&ListPolicies { prefix: "".into() }).unwrap().policies.is_empty());
    let own = red.call(&ListCredentials { tenant: "".into() }).unwrap().credentials;
    assert_eq!(own.len(), 1);
    let theirs = blue_made.credential.id.as_str();
    let revoked = |client: &mut Client, id: &str| client.call(&RevokeCredential { id: id.into() }).map(drop);
    let nobody = "11111111-2222-4333-8444-555555555555";
    same(revoked(&mut red, theirs), revoked(&mut red, nobody), (theirs, nobody));
    // An idempotency key of the other tenant is not known here.
    let show = ShowKey { name: "blue/only".into(), before_version: 0 };
    let batch = Batch { operations: vec![batch::item(&show)], atomic: false, preview: false };
    let answer = red.call(&batch).unwrap().results.remove(0);
    assert_eq!(code(answer), Some(ErrorCode::KeyNotFound));
    // Nor over HTTP.
    let red_token = |path: &str, token: &str| {
        site.curl("GET", path, &["--header", &format!("Authorization: Bearer {token}")]).status
    };
    assert_eq!(red_token("/v1/kms/keys/blue/only", &blue_made.token), 200);
    let made = site.deployment.client(&site.server).call(&create("green")).unwrap();
    for path in
        ["/v1/kms/keys/blue/only", "/v1/kms/keys/blue%2Fonly", "/v1/kv/blue-entry", "/v1/sys/policies/blue"]
    {
        assert_eq!(red_token(path, &made.token), 404, "{path}");
    }
    for path in ["/v1/tenants", "/v1/tenants/blue", "/v1/tenants/none", "/v1/sys/roots"] {
        assert_eq!(red_token(path, &made.token), 403, "{path}");
    }
}

/// A tenant's administrator has every capability, and changes nothing of the store, of other tenants, or of its own limits.
#[test]
fn administrators_of_tenants_do_not_operate_the_store() {
    let site = Site::new();
    let (made, mut red) = tenant(&site, "red");
    let (_, mut blue) = tenant(&site, "blue");
    fn refused<'a, R: WireRequest<'a>>(client: &mut Client, request: R)
    where
        R::Answer: WireAnswer,
    {
        let error = client.call(&request).err().unwrap_or_else(|| panic!("{}", R::ID.row().name));
        assert_eq!(error.code, ErrorCode::PermissionDenied, "{}: {error}", R::ID.row().name);
    }
    for name in ["red", "blue", "default", "none", made.tenant.id.as_str()] {
        refused(&mut red, ShowTenant { name: name.into() });
        refused(&mut red, DisableTenant { name: name.into() });
        refused(&mut red, EnableTenant { name: name.into() });
        refused(&mut red, DeleteTenant { name: name.into(), preview: true, force: true });
        refused(
            &mut red,
            LimitTenant { name: name.into(), max_keys: Some(0), max_requests: None, max_payload: None },
        );
    }
    refused(&mut red, create("mine"));
    refused(&mut red, ListTenants);
    refused(&mut red, InitSlot { token: "t".into(), so_pin: b"12345678"[..].into(), pin: None });
    refused(&mut red, canis_proto::root::ListRoots);
    refused(&mut red, canis_proto::root::RemoveRoot { slot: "x".into() });
    refused(&mut red, canis_proto::sealing::SealStore);
    refused(&mut red, canis_proto::audit::VerifyAudit);
    refused(&mut red, canis_proto::backup::CreateBackup { slot: "".into(), public_key: b""[..].into() });
    refused(&mut red, CreateCredential { tenant: "blue".into(), ..CreateCredential::new(Capabilities::ALL) });
    refused(&mut red, ListCredentials { tenant: "none".into() });
    // A policy that names what is the operator's gives nothing of it.
    let text = r#"path "sys/*" { capabilities = ["admin"] }"#;
    red.call(&PutPolicy { name: "all".into(), text: text.into(), revision: None, force: false }).unwrap();
    let with = CreateCredential { policies: vec!["all".into()], ..CreateCredential::new(Capabilities::NONE) };
    let bearer = red.call(&with).unwrap();
    let mut bearer = Client::connect(&config(&site, bearer.token.as_deref().unwrap())).unwrap();
    refused(&mut bearer, ListTenants);
    refused(&mut bearer, canis_proto::sealing::SealStore);
    // Slots: its own, and no other's label or PIN.
    let slots = red.call(&ListSlots).unwrap().slots;
    assert_eq!(slots.iter().map(|slot| slot.token.as_str()).collect::<Vec<_>>(), ["red"]);
    for label in ["blue", "default", "none"] {
        let error = red.call(&SetSlotPin { token: label.into(), pin: b"12345678"[..].into() }).err().unwrap();
        assert_eq!(error.code, ErrorCode::TenantNotFound);
        assert!(!error.message.replace(&format!("`{label}`"), "").contains("blue"), "{error}");
        let gone = DeleteSlot { token: label.into(), so_pin: None, preview: true };
        assert_eq!(code(red.call(&gone)), Some(ErrorCode::TenantNotFound));
    }
    red.call(&SetSlotPin { token: "red".into(), pin: b"12345678"[..].into() }).unwrap();
    // The audit log: lines of its own, whatever is asked for.
    let search = |client: &mut Client, on: &'static str| {
        let any = || "".into();
        let (who, operation, result, after) = (any(), any(), any(), any());
        let (since, until, last, limit) = (None, None, true, 1000);
        let wanted = SearchAudit { on: on.into(), who, operation, result, since, until, after, last, limit };
        client.call(&wanted).unwrap().lines
    };
    blue.call(&CreateKey::new("blue/hidden", KeyType::Aes256)).unwrap();
    let lines = search(&mut red, "");
    assert!(lines.len() > 20 && lines.iter().all(|line| line.contains(&made.tenant.id)), "{lines:?}");
    assert!(search(&mut red, "kms/keys/blue").is_empty());
    assert_eq!(search(&mut blue, "kms/keys/blue").len(), 1);
    assert!(red.call(&Status).is_ok() && blue.call(&Status).is_ok());
}

/// Each limit holds by both doors, for all credentials of the tenant together, and for nobody else.
#[test]
fn limits_hold() {
    let site = Site::new();
    let mut admin = site.deployment.client(&site.server);
    let limits = CreateTenant { max_keys: 2, max_payload: 1000, ..create("small") };
    let made = admin.call(&limits).unwrap();
    let mut small = Client::connect(&config(&site, &made.token)).unwrap();
    let key = |name: &'static str| CreateKey::new(name, KeyType::Aes256);
    small.call(&key("a")).unwrap();
    // Many at once: one of them is the second key.
    let racers: Vec<_> = (0..8)
        .map(|number| {
            let config = config(&site, &made.token);
            std::thread::spawn(move || {
                let mut client = Client::connect(&config).unwrap();
                let name = format!("race/{number}");
                code(client.call(&CreateKey::new(name.as_str(), KeyType::Aes256)))
            })
        })
        .collect();
    let came: Vec<_> = racers.into_iter().map(|racer| racer.join().unwrap()).collect();
    assert_eq!(came.iter().filter(|came| came.is_none()).count(), 1, "{came:?}");
    assert_eq!(came.iter().filter(|came| **came == Some(ErrorCode::LimitReached)).count(), 7, "{came:?}");
    let import = ImportKey {
        name: "imported".into(),
        kind: KeyType::Aes256,
        format: KeyFormat::Raw,
        material: [7; 32][..].into(),
        wrapped: false,
        wrapping_key: "".into(),
        next_version: false,
        usage: None,
        exportable: false,
        allow_plaintext_backup: false,
    };
    assert_eq!(code(small.call(&import)), Some(ErrorCode::LimitReached));
    let (one, two) = (key("b"), key("c"));
    let both = Batch { operations: vec![batch::item(&one), batch::item(&two)], atomic: true, preview: false };
    assert_eq!(code(small.call(&both)), Some(ErrorCode::LimitReached));
    // A destroyed key makes room.
    small.call(&DisableKey { name: "a".into() }).unwrap();
    small.call(&DestroyKey { name: "a".into(), delay: Interval::default() }).unwrap();
    small.call(&key("b")).unwrap();
    assert_eq!(admin.call(&ShowTenant { name: "small".into() }).unwrap().keys, Some(2));
    assert!(small.call(&Encrypt::new("b", vec![1; 1000])).is_ok());
    assert_eq!(code(small.call(&Encrypt::new("b", vec![1; 1001]))), Some(ErrorCode::TooLarge));
    let stream = canis_proto::stream::EncryptStream { name: "b".into(), context: b""[..].into(), version: 0 };
    let mut long = std::io::Read::take(std::io::repeat(7), 1 << 20);
    assert!(small.stream(&stream, &mut long, &mut std::io::sink()).is_err());
    // Changed, they hold from the next request on, on the connection that is open.
    let change =
        LimitTenant { name: "small".into(), max_keys: Some(0), max_requests: Some(5), max_payload: Some(10) };
    let told = admin.call(&change).unwrap();
    assert_eq!((told.max_keys, told.max_requests, told.max_payload), (None, Some(5), Some(10)));
    assert_eq!(code(small.call(&Encrypt::new("b", vec![1; 11]))), Some(ErrorCode::TooLarge));
    small.call(&key("d")).unwrap();
    let second = CreateCredential::new(Capabilities::ALL);
    let until = Instant::now() + Duration::from_secs(20);
    let second = loop {
        match small.call(&second) {
            Ok(made) => break made,
            Err(error) => assert!(error.code == ErrorCode::RateLimited && Instant::now() < until, "{error}"),
        }
        std::thread::sleep(Duration::from_millis(100));
    };
    let mut other = Client::connect(&config(&site, second.token.as_deref().unwrap())).unwrap();
    let came: Vec<_> = (0..40).map(|_| (code(small.call(&keys())), code(other.call(&keys())))).collect();
    let limited = came.iter().filter(|came| came.0 == Some(ErrorCode::RateLimited)).count()
        + came.iter().filter(|came| came.1 == Some(ErrorCode::RateLimited)).count();
    assert!(limited > 20, "{came:?}");
    let bearer = format!("Authorization: Bearer {}", made.token);
    let statuses: Vec<_> =
        (0..30).map(|_| site.curl("GET", "/v1/kms/keys", &["--header", &bearer]).status).collect();
    assert!(statuses.contains(&200), "{statuses:?}");
    assert!((0..40).all(|_| admin.call(&keys()).is_ok()), "another tenant's pace is its own");
}

/// Disabled, nothing is answered any more, on connections that are open, by new ones, by HTTP; enabled, all is as it was.
#[test]
fn disabled_tenants_wait() {
    let site = Site::new();
    let mut admin = site.deployment.client(&site.server);
    let (made, mut red) = tenant(&site, "red");
    red.call(&CreateKey::new("box", KeyType::Aes256)).unwrap();
    let sealed = red.call(&Encrypt::new("box", &b"kept"[..])).unwrap().ciphertext;
    let bearer = format!("Authorization: Bearer {}", made.token);
    let http = || site.curl("GET", "/v1/kms/keys/box", &["--header", &bearer]);
    assert_eq!(http().status, 200);
    assert!(admin.call(&DisableTenant { name: "red".into() }).unwrap().disabled_at.is_some());
    assert_eq!(code(red.call(&Decrypt::new("box", sealed.as_str()))), Some(ErrorCode::TenantDisabled));
    assert_eq!(code(red.call(&CreateCredential::new(Capabilities::NONE))), Some(ErrorCode::TenantDisabled));
    let mut anew = Client::connect(&config(&site, &made.token)).unwrap();
    assert_eq!(code(anew.call(&keys())), Some(ErrorCode::TenantDisabled));
    assert_eq!(code(anew.call(&RenewCredential { id: "".into() })), Some(ErrorCode::Unauthenticated));
    assert_eq!(http().problem(), (403, "tenant_disabled".to_owned()));
    // A wrong secret of a disabled tenant's token tells nothing about the tenant.
    let mut wrong = made.token.clone();
    wrong.replace_range(40..42, if &wrong[40..42] == "aa" { "bb" } else { "aa" });
    assert_eq!(code(Client::connect(&config(&site, &wrong))), Some(ErrorCode::Unauthenticated));
    assert!(admin.call(&keys()).is_ok());
    let stays = Some(ErrorCode::OperationNotAllowed);
    assert_eq!(code(admin.call(&DisableTenant { name: "default".into() })), stays);
    let gone = DeleteTenant { name: "default".into(), preview: false, force: true };
    assert_eq!(code(admin.call(&gone)), stays);
    assert!(admin.call(&EnableTenant { name: "red".into() }).unwrap().disabled_at.is_none());
    assert_eq!(red.call(&Decrypt::new("box", sealed.as_str())).unwrap().plaintext, b"kept");
    assert_eq!(http().status, 200);
}

/// The program makes a tenant, limits it, and deletes it when that is said twice; PKCS#11 tokens are tenants as well. The
/// proof is in the audit log, and the file holds nothing of the tenant's key any more.
#[test]
fn a_tenant_from_its_making_to_its_end() {
    let site = Site::new();
    let canis = |args: &[&str]| site.deployment.canis(&site.server).args(args).output().unwrap();
    let made: serde_json::Value =
        serde_json::from_str(&stdout(&canis(&["tenant", "create", "shop", "--max-keys", "5", "--json"])))
            .unwrap();
    let (id, token) = (made["tenant"]["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert_eq!(made["tenant"]["max_keys"], 5);
    let mut shop = Client::connect(&config(&site, token)).unwrap();
    shop.call(&CreateKey { deletion_allowed: false, ..CreateKey::new("kept", KeyType::Aes256) }).unwrap();
    shop.call(&entry("row")).unwrap();
    assert!(failure(&canis(&["tenant", "create", "shop"]), 3).contains("tenant_exists"));
    assert!(failure(&canis(&["tenant", "create", "default"]), 3).contains("tenant_exists"));
    for wrong in ["a/b", "..", "a b", "é", ""] {
        assert!(failure(&canis(&["tenant", "create", wrong]), 3).contains("invalid_name"), "{wrong}");
    }
    let so = site.deployment.folder.path().join("so");
    std::fs::write(&so, "87654321\n").unwrap();
    stdout(&canis(&["slot", "init", "--label", "p11", "--so-pin-file", so.to_str().unwrap()]));
    let list = stdout(&canis(&["tenant", "list"]));
    assert!(
        list.contains("\tshop\n") && list.contains("pin\tp11\n") && list.contains("operator\tdefault\n"),
        "{list}"
    );
    assert!(stdout(&canis(&["tenant", "limits", "shop", "--max-requests", "100"])).contains("100"));
    assert!(stdout(&canis(&["tenant", "show", id])).contains("shop"));
    // What the store holds of its key: the sealed column of its row.
    let file = || {
        let data = site.deployment.data();
        let read = |name: &str| std::fs::read(data.join(name)).unwrap_or_default();
        [read("canis.dat"), read("canis.dat-wal")].concat()
    };
    let at = |bytes: &[u8], wanted: &[u8]| bytes.windows(wanted.len()).position(|window| window == wanted);
    let id_bytes = Id::parse(id).unwrap().0;
    assert!(at(&file(), &id_bytes).is_some() && at(&file(), b"shop").is_some());
    assert!(failure(&canis(&["tenant", "delete", "shop", "--yes"]), 3).contains("must not be destroyed"));
    let preview = failure(&canis(&["tenant", "delete", "shop", "--force"]), 3);
    assert!(
        preview.contains("1 key") && preview.contains("1 entry") && preview.contains("--yes"),
        "{preview}"
    );
    let gone = stdout(&canis(&["tenant", "delete", "shop", "--force", "--yes", "--json"]));
    let gone: serde_json::Value = serde_json::from_str(&gone).unwrap();
    assert_eq!((gone["keys"].as_u64(), gone["id"].as_str()), (Some(1), Some(id)));
    assert_eq!(code(shop.call(&keys())), Some(ErrorCode::Unauthenticated));
    assert_eq!(code(Client::connect(&config(&site, token))), Some(ErrorCode::Unauthenticated));
    assert!(at(&file(), b"shop").is_none(), "the name of its row is in the file still");
    assert!(failure(&canis(&["tenant", "show", "shop"]), 3).contains("tenant_not_found"));
    assert!(!stdout(&canis(&["tenant", "list"])).contains("shop"));
    let lines = stdout(&canis(&["audit", "search", "--op", "tenant.delete"]));
    let proof = lines.lines().find(|line| line.contains("destroyed_tenant")).unwrap();
    let digest = gone["sealed_sha256"].as_str().unwrap();
    for part in [id, digest, r#""destroyed_keys":1"#, "sys/tenants/shop", r#""result":"ok""#] {
        assert!(proof.contains(part), "{part} is not in {proof}");
    }
    // The other door to what PKCS#11 programs made.
    stdout(&canis(&["tenant", "delete", "p11", "--yes"]));
    assert!(!stdout(&canis(&["slot", "list"])).contains("p11"));
    // A new one of the same name is another one.
    let again = stdout(&canis(&["tenant", "create", "shop", "--json"]));
    let again: serde_json::Value = serde_json::from_str(&again).unwrap();
    assert_ne!(again["tenant"]["id"].as_str(), Some(id));
    let mut shop = Client::connect(&config(&site, again["token"].as_str().unwrap())).unwrap();
    let missing = ShowKey { name: "kept".into(), before_version: 0 };
    assert_eq!(code(shop.call(&missing)), Some(ErrorCode::KeyNotFound));
}
