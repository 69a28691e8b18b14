//! Capability by operation by door (R58, R60): who has what an operation takes, and nothing else, is not told that he
//! lacks it; over HTTP and by the program as over CANISP; and no spelling of a path is another answer at another door.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod asker;
mod harness;
mod raw;

use asker::http::{Http, escaped, routes};
use asker::{Asker, arguments, bearing, everything_but, examples, site};
use canis_client::Client;
use canis_proto::message::{Batch, CreateKey, Encrypt};
use canis_proto::operation::{Row, TABLE};
use canis_proto::value::Map;
use canis_proto::{Capability, ErrorCode, Id, KeyType, OperationId, batch};
use harness::failure;
use serde_json::{Value as Json, json};
use zeroize::Zeroizing;

fn nothing_but(capability: Capability) -> String {
    format!("path \"*\" {{ capabilities = [\"{capability}\"] }}")
}

/// What the table has for callers with a capability; what seals the store comes last.
fn rows() -> Vec<(Row, Capability)> {
    let mut rows: Vec<_> = TABLE.iter().filter(|row| row.wire).map(|row| (*row, row.capability)).collect();
    rows.sort_by_key(|(row, _)| row.id == OperationId::SealStore);
    rows.into_iter().filter_map(|(row, needed)| Some((row, needed?))).collect()
}

fn lacking(needed: Capability) -> String {
    format!("you lack the capability `{needed}` on ")
}

/// R58, R60: over CANISP and in a batch. What else an operation may take is another capability.
#[test]
fn every_operation_is_allowed_by_its_capability() {
    let (shared, _) = site();
    let mut admin = shared.client();
    let tenant = admin.call(&CreateKey::new("a", KeyType::Aes256)).unwrap().tenant.clone();
    let tenant = Id::parse(&tenant).unwrap();
    let examples = examples();
    let bearers: Vec<_> = Capability::ALL
        .into_iter()
        .map(|one| (one, bearing(&mut admin, &format!("only-{one}"), &nothing_but(one))))
        .collect();
    for (row, needed) in rows() {
        let (_, token) = bearers.iter().find(|(one, _)| *one == needed).unwrap();
        // Some operations end applications; each has its own connection.
        let mut asker = Asker::new(&shared, token);
        let args = arguments(&examples[&(row.id as u16)].1, tenant);
        if row.id != OperationId::SealStore
            && let Some(refused) = asker.ask_in_batch(row.id, &args)
        {
            assert!(!refused.message.contains(&lacking(needed)), "{} in a batch: {refused}", row.name);
        }
        if let Err(refused) = asker.ask(row.id, args) {
            assert!(!refused.message.contains(&lacking(needed)), "{}: {refused}", row.name);
            assert_ne!(refused.code, ErrorCode::Unauthenticated, "{}: {refused}", row.name);
        }
    }
    let status = admin.call(&canis_proto::message::Status).unwrap();
    assert!(status.sealed, "who had `admin` alone has sealed the store");
}

/// Every route: denied without its operation's capability, in the words of CANISP, and allowed by it alone.
#[test]
fn every_route_is_denied_and_allowed_as_its_operation_is() {
    let (shared, address) = site();
    let http = Http { shared: &shared, address };
    let mut admin = shared.client();
    let (examples, routes) = (examples(), routes());
    assert!(routes.len() > 50, "{}", routes.len());
    for (row, needed) in rows() {
        let of_row: Vec<_> = routes.iter().filter(|(_, _, id)| *id == row.id).collect();
        if of_row.is_empty() {
            // What is asked by applications of PKCS#11 only.
            assert!(
                row.name.starts_with("object.") || row.name.starts_with("token."),
                "{} has no route",
                row.name
            );
            continue;
        }
        let number = row.id as u16;
        let without = bearing(&mut admin, &format!("without-{number}"), &everything_but(needed));
        let with = bearing(&mut admin, &format!("with-{number}"), &nothing_but(needed));
        let args = decoded(&examples[&number].1);
        for (method, path, _) in of_row {
            let what = format!("{method} {path}");
            let (status, told) = http.ask(&without, (method, path), &args);
            assert_eq!(status, 403, "{what}: {told}");
            let told: Json = serde_json::from_str(&told).unwrap();
            assert_eq!(told["code"], "permission_denied", "{what}: {told}");
            assert!(told["detail"].as_str().unwrap().starts_with(&lacking(needed)), "{what}: {told}");
            let (status, told) = http.ask(&with, (method, path), &args);
            assert!(status != 401 && !told.contains(&lacking(needed)), "{what}: {status} {told}");
        }
    }
}

fn decoded(payload: &[u8]) -> Map<'static> {
    canis_proto::message::decode_request(payload).unwrap().args.into_owned()
}

/// The program, by commands of each capability.
#[test]
fn the_program_is_denied_and_allowed_as_its_operations_are() {
    let (shared, _) = site();
    let mut admin = shared.client();
    for (name, kind) in [("aes", KeyType::Aes256), ("pair", KeyType::EcdsaP256), ("old", KeyType::Aes256)] {
        admin.call(&CreateKey::new(name, kind)).map(drop).unwrap();
    }
    use Capability as C;
    for (needed, args) in [
        (C::List, "key list"),
        (C::List, "kv list"),
        (C::Read, "key show aes"),
        (C::Read, "key public pair"),
        (C::Read, "random 16"),
        (C::Encrypt, "encrypt aes"),
        (C::Decrypt, "decrypt aes"),
        (C::Sign, "sign pair"),
        (C::Verify, "verify pair --signature canis:v1:pair:1:AAAA"),
        (C::Rotate, "key rotate aes"),
        (C::Update, "key update aes --min-decryption-version 1"),
        (C::Delete, "key disable old"),
        (C::Create, "key create new --type aes256-gcm"),
        (C::Export, "key export aes --format raw"),
        (C::Admin, "token list"),
        (C::Admin, "policy list"),
        (C::Admin, "role list"),
        (C::Admin, "root list"),
        (C::Admin, "audit search"),
    ] {
        let command = |token: &str| {
            let mut canis = shared.deployment.canis(&shared.server);
            canis.env("CANIS_TOKEN", token).args(args.split(' ')).output().unwrap()
        };
        let name = args.replace([' ', ':'], "-").chars().take(60).collect::<String>();
        let without = command(&bearing(&mut admin, &format!("without-{name}"), &everything_but(needed)));
        assert!(failure(&without, 3).contains(&lacking(needed)), "{args}: {without:?}");
        let with = command(&bearing(&mut admin, &format!("with-{name}"), &nothing_but(needed)));
        let said = String::from_utf8_lossy(&with.stderr).into_owned();
        // 2 would be a command that there is not.
        assert!(!said.contains("you lack the capability") && with.status.code() != Some(2), "{args}: {said}");
    }
}

/// R59, R60: one key that may be used and one that may not; whatever is written in its place is an error at each door, and
/// never the other one's.
#[test]
fn no_spelling_is_another_answer_at_another_door() {
    let (shared, address) = site();
    let http = Http { shared: &shared, address };
    let mut admin = shared.client();
    for name in ["open/key", "shut/key"] {
        admin.call(&CreateKey::new(name, KeyType::Aes256)).map(drop).unwrap();
    }
    let text = r#"path "kms/keys/open/*" { capabilities = ["encrypt"] }
        path "kms/keys/*" { capabilities = ["read"] }"#;
    let token = bearing(&mut admin, "open", text);
    let mut config = shared.deployment.config(&shared.server);
    config.token = Some(Zeroizing::new(token.clone()));
    let mut client = Client::connect(&config).unwrap();
    let body = json!({"plaintext": "eA=="});
    let mut works = |spelling: &str| {
        let asked = Encrypt::new(spelling, &b"x"[..]);
        let alone = client.call(&asked).is_ok();
        let operations = vec![batch::item(&asked)];
        let together = client.call(&Batch { operations, atomic: false, preview: false });
        let together = together.is_ok_and(|answer| answer.results.iter().all(Result::is_ok));
        let program = if spelling.contains('\0') {
            false
        } else {
            let mut canis = shared.deployment.canis(&shared.server);
            canis
                .env("CANIS_TOKEN", &token)
                .args(["encrypt", "--", spelling])
                .output()
                .unwrap()
                .status
                .success()
        };
        // As it is, and with each byte escaped that a path does not have: the name is taken from it once.
        let (escaped, _) = http.send(
            &token,
            "POST",
            &format!("/v1/kms/encrypt/{}", escaped(spelling.as_bytes())),
            Some(&body),
        );
        let plain = spelling.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#' && byte != b'?');
        let as_it_is = plain
            && !spelling.contains('%')
            && http.send(&token, "POST", &format!("/v1/kms/encrypt/{spelling}"), Some(&body)).0 == 200;
        [alone, together, program, escaped == 200, as_it_is]
    };
    assert_eq!(works("open/key"), [true; 5]);
    for trick in [
        "shut/key",
        "open/../shut/key",
        "open/./key",
        "open//key",
        "open/key/",
        "/open/key",
        "./open/key",
        "open/..",
        "open/*",
        "open/%2e%2e/shut/key",
        "open%2fkey",
        "%6fpen/key",
        "OPEN/key",
        "open/Key",
        "open/key\0",
        "open/key ",
        "open/\u{43a}ey",
        "open/ke\u{443}",
        "open/k\u{65}\u{301}y",
        "\u{ff4f}pen/key",
        "open\u{2215}key",
        "open/key\u{200b}",
        "~open/key",
        "kv:open/key",
        "kms/keys/open/key",
        "open\\key",
        "open/key;x",
    ] {
        assert_eq!(works(trick), [false; 5], "{trick:?}");
    }
    // In HTTP's own clothes: what is decoded once is the name, and denied by it.
    for path in [
        "open/../shut/key",
        "open/%2e%2e/shut/key",
        "%73hut/key",
        "shut%2Fkey",
        "shut%252Fkey",
        "shut/key?name=open/key",
    ] {
        let (status, told) = http.send(&token, "POST", &format!("/v1/kms/encrypt/{path}"), Some(&body));
        assert!(matches!(status, 400 | 403 | 404), "{path}: {status} {told}");
    }
}
