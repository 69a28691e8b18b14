//! Every operation of the table leaves its line, whole, by every door; and no secret that was given or made stands in any.
//! What applications of PKCS#11 ask for is looked at by the module's own tests, through the library.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod asker;
mod audited;
mod harness;
mod raw;

use asker::http::{Http, object, routes};
use asker::{Asker, bearing, site};
use audited::everything::Others;
use audited::{Answered, Door, Script};
use canis_client::{Client, Config};
use canis_proto::credential::{CreateCredential, ShowCredential};
use canis_proto::message::{CreateKey, DestroyKey, DisableKey};
use canis_proto::operation::TABLE;
use canis_proto::policy::PutPolicy;
use canis_proto::schema::described;
use canis_proto::value::{Map, Value};
use canis_proto::{Capabilities, Capability, Error, Interval, KeyType, OperationId};
use canis_tests::AuditLog;
use harness::Shared;
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// The text of a policy that grants everything.
fn everything() -> String {
    let names: Vec<_> = Capability::ALL.into_iter().map(|one| format!("\"{one}\"")).collect();
    format!("path \"*\" {{ capabilities = [{}] }}", names.join(", "))
}

fn by_canisp(asker: &mut Asker, operation: OperationId, args: &Map<'static>) -> Answered {
    let answer = asker.ask(operation, args.clone()).map_err(|refused| refused.to_string())?;
    Ok(object(&Map::decode(&answer).unwrap()))
}

fn by_batch(asker: &mut Asker, operation: OperationId, args: &Map<'static>) -> Answered {
    let item = args.clone().with("op", operation.row().name);
    let batch = Map::new().with("operations", vec![Value::Map(item)]);
    let answer = by_canisp(asker, OperationId::Batch, &batch)?;
    let result = &answer["results"][0];
    if result["error"].is_null() { Ok(result["result"].clone()) } else { Err(result["error"].to_string()) }
}

fn by_http(http: &Http<'_>, token: &str, operation: OperationId, args: &Map<'static>) -> Answered {
    let (method, path, _) = routes()
        .into_iter()
        .find(|(_, path, id)| {
            // One's own credential has a path of its own.
            let own = path.contains("own-credential") && args.iter().any(|(name, _)| name == "id");
            *id == operation && !own
        })
        .unwrap();
    let (status, told) = http.ask(token, (method, path), args);
    if (200..300).contains(&status) { Ok(serde_json::from_str(&told).unwrap()) } else { Err(told) }
}

/// Somebody whom this host's administrator let ask for the destruction of keys, and nothing else.
fn stranger(shared: &Shared) -> Client {
    let address = format!("unix:{}", shared.deployment.data().display());
    let mut host = Client::connect(&Config::new(address, Vec::new(), "")).unwrap();
    let may = Capabilities::NONE.with(Capability::Create).with(Capability::Delete);
    let mut config = shared.deployment.config(&shared.server);
    config.token =
        Some(Zeroizing::new(host.call(&CreateCredential::new(may)).unwrap().token.clone().unwrap()));
    Client::connect(&config).unwrap()
}

fn request_of(refused: &Error) -> String {
    let (_, rest) = refused.message.split_once("request ").unwrap_or_else(|| panic!("{refused}"));
    rest.split(' ').next().unwrap().to_owned()
}

fn waiting(client: &mut Client, name: &str) -> String {
    client.call(&CreateKey::new(name, KeyType::Ed25519)).unwrap();
    client.call(&DisableKey { name: name.into() }).unwrap();
    let refused =
        client.call(&DestroyKey { name: name.into(), delay: Interval::NEVER }).map(drop).unwrap_err();
    request_of(&refused)
}

/// R87: over CANISP, in batches and over HTTP.
#[test]
fn every_operation_leaves_its_line_by_every_door() {
    let (shared, address) = site();
    let mut admin = shared.client();
    let guard = (1..=3).map(|at| {
        format!(
            "path \"kms/keys/{}-guarded-*\" {{\n  capabilities = [\"delete\"]\n  approvals = 1\n}}\n",
            ["", "canisp", "batch", "http"][at]
        )
    });
    let guard = PutPolicy {
        name: "guard".into(),
        text: guard.collect::<String>().into(),
        revision: None,
        force: false,
    };
    admin.call(&guard).unwrap();
    let token = bearing(&mut admin, "all", &everything());
    let mut config = shared.deployment.config(&shared.server);
    config.token = Some(Zeroizing::new(token.clone()));
    let who = Client::connect(&config).unwrap().call(&ShowCredential { id: "".into() }).unwrap().id.clone();
    let tenant = admin.call(&CreateKey::new("first", KeyType::Ed25519)).unwrap().tenant.clone();
    let mut log = AuditLog::of(&shared.deployment.data());
    let root = std::fs::read(shared.deployment.folder.path().join("root.key")).unwrap();
    log.hide("the caller's token", token.as_bytes());
    log.hide("the first token", shared.deployment.token.as_bytes());
    log.hide("the root's credential", &root);
    let mut other = stranger(&shared);
    let mut others = Others { wait_for: Box::new(move |name| waiting(&mut other, name)), root };
    let http = Http { shared: &shared, address };
    for prefix in ["canisp", "batch", "http"] {
        let mut asker = Asker::new(&shared, &token);
        let ask: Box<Door<'_>> = match prefix {
            "canisp" => Box::new(|operation, args| by_canisp(&mut asker, operation, args)),
            "batch" => Box::new(|operation, args| by_batch(&mut asker, operation, args)),
            _ => Box::new(|operation, args| by_http(&http, &token, operation, args)),
        };
        let door = if prefix == "http" { "http" } else { "canisp" };
        let (who, tenant) = (who.clone(), tenant.clone());
        let batched = prefix == "batch";
        let mut script =
            Script { prefix, door, batched, ask, log: &mut log, who, tenant, seen: BTreeSet::new() };
        script.asks_for_everything(&mut others);
        let seen = script.seen;
        for row in TABLE.iter().filter(|row| row.wire && described(row.id).is_some()) {
            // A batch in a batch is none; and a store that a batch has sealed is another test's.
            let apart = matches!(row.id, OperationId::Batch | OperationId::SealStore | OperationId::Unseal);
            assert!(seen.contains(row.name) || (batched && apart), "{} was not asked at {prefix}", row.name);
        }
    }
    log.hides_all();
}
