//! HTTP/JSON at a real server, asked by curl.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod web;

use base64ct::{Base64, Encoding};
use canis_client::Client;
use canis_proto::credential::CreateCredential;
use canis_proto::message::ShowKey;
use canis_proto::{Capabilities, Capability};
use serde_json::json;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};
use web::Site;

fn base64(bytes: &[u8]) -> String {
    Base64::encode_string(bytes)
}

/// R80: a key's life by the paths of the API reference, and the same key at CANISP.
#[test]
fn the_life_of_a_key() {
    let site = Site::new();
    let key = "/v1/kms/keys/production/tls";
    let made = site.ask("POST", key, r#"{"kind": "aes256-gcm", "usage": ["encrypt", "decrypt"]}"#).with(201);
    assert_eq!((&made["name"], &made["state"]), (&json!("production/tls"), &json!("active")));
    assert_eq!(made["usage"], json!(["encrypt", "decrypt"]));
    let shown = site
        .deployment
        .client(&site.server)
        .call(&ShowKey { name: "production/tls".into(), before_version: 0 })
        .unwrap();
    assert_eq!(made["id"], shown.id);
    assert_eq!(site.ask("GET", key, "").with(200)["id"], made["id"]);
    let listed = site.ask("GET", "/v1/kms/keys?prefix=production%2F&limit=10", "").with(200);
    assert_eq!(listed["keys"][0]["name"], "production/tls");
    assert_eq!(site.ask("PATCH", key, r#"{"interval": "30d"}"#).with(200)["interval"], "30d");
    assert_eq!(site.ask("POST", &format!("{key}/rotate"), "").with(200)["version"], 2);
    assert_eq!(site.ask("POST", &format!("{key}/disable"), "").with(200)["state"], "disabled");
    let refused = site.ask("POST", "/v1/kms/encrypt/production/tls", r#"{"plaintext": "aGk="}"#).problem();
    assert_eq!(refused, (409, "operation_not_allowed".into()));
    assert_eq!(site.ask("POST", &format!("{key}/enable"), "").with(200)["state"], "active");
    site.ask("POST", &format!("{key}/disable"), "").with(200);
    let planned = site.ask("POST", &format!("{key}/destroy"), r#"{"delay": "7d"}"#).with(200);
    assert!(planned["destroy_at"].is_i64(), "{planned}");
    assert!(site.ask("POST", &format!("{key}/restore"), "").with(200)["destroy_at"].is_null());
    assert_eq!(site.ask("DELETE", key, "").with(200)["state"], "destroyed");
    assert_eq!(site.ask("GET", key, "").problem(), (410, "key_destroyed".into()));
}

/// R80, R56: uses of keys, each way back; public keys as JWKs.
#[test]
fn uses_of_keys() {
    let site = Site::new();
    site.ask("POST", "/v1/kms/keys/aes", r#"{"kind": "aes256-gcm"}"#).with(201);
    site.ask("POST", "/v1/kms/keys/ec", r#"{"kind": "ecdsa-p256"}"#).with(201);
    let plaintext = base64(b"the secret");
    let encrypt = json!({"plaintext": plaintext, "context": base64(b"row 7")}).to_string();
    let sealed = site.ask("POST", "/v1/kms/encrypt/aes", &encrypt).with(200);
    let ciphertext = sealed["ciphertext"].as_str().unwrap();
    assert!(ciphertext.starts_with("canis:v1:aes:1:"), "{ciphertext}");
    let decrypt = json!({"ciphertext": ciphertext, "context": base64(b"row 7")}).to_string();
    assert_eq!(site.ask("POST", "/v1/kms/decrypt/aes", &decrypt).with(200)["plaintext"], plaintext);
    let other = json!({"ciphertext": ciphertext}).to_string();
    assert_eq!(site.ask("POST", "/v1/kms/decrypt/aes", &other).problem(), (400, "decryption_failed".into()));
    let rewrap = json!({"ciphertexts": [ciphertext, "canis:v1:aes:9:AA=="], "context": base64(b"row 7")});
    let items = site.ask("POST", "/v1/kms/rewrap/aes", &rewrap.to_string()).with(200)["items"].clone();
    assert!(items[0]["ciphertext"].is_string() && items[1]["error"]["code"].is_string(), "{items}");
    let datakey = site.ask("POST", "/v1/kms/datakey/aes", r#"{"length": 16, "plaintext": true}"#).with(200);
    assert_eq!(Base64::decode_vec(datakey["plaintext"].as_str().unwrap()).unwrap().len(), 16);
    let sign = json!({"message": plaintext}).to_string();
    let signature = site.ask("POST", "/v1/kms/sign/ec", &sign).with(200)["signature"].clone();
    let verify = |message: &[u8]| json!({"message": base64(message), "signature": signature}).to_string();
    assert_eq!(site.ask("POST", "/v1/kms/verify/ec", &verify(b"the secret")).with(200)["valid"], true);
    assert_eq!(site.ask("POST", "/v1/kms/verify/ec", &verify(b"another")).with(200)["valid"], false);
    let set = site.ask("GET", "/v1/jwks/ec", "").with(200);
    assert_eq!((&set["keys"][0]["crv"], &set["keys"][0]["kid"]), (&json!("P-256"), &json!("ec:1")));
    let random = site.ask("POST", "/v1/kms/random", r#"{"length": 24}"#).with(200);
    assert_eq!(Base64::decode_vec(random["bytes"].as_str().unwrap()).unwrap().len(), 24);
    let hash = site.ask("POST", "/v1/kms/hash", r#"{"data": "YWJj", "hash": "sha256"}"#).with(200);
    let digest = Base64::decode_vec(hash["digest"].as_str().unwrap()).unwrap();
    assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf]);
}

/// Secrets shared over HTTP, one key at both paths; a secret is no answer that anybody may keep.
#[test]
fn encapsulation() {
    let site = Site::new();
    site.ask("POST", "/v1/kms/keys/a/kem", r#"{"kind": "ml-kem-768"}"#).with(201);
    let made = site.ask("POST", "/v1/kms/encapsulate/a/kem", "{}").with(200);
    let ask = json!({"ciphertext": made["ciphertext"]}).to_string();
    let given = site.ask("POST", "/v1/kms/decapsulate/a/kem", &ask).with(200);
    assert_eq!(given, json!({"secret": made["secret"]}));
    assert_eq!(Base64::decode_vec(made["secret"].as_str().unwrap()).unwrap().len(), 32);
    let cut = made["ciphertext"].as_str().unwrap();
    let ask = json!({"ciphertext": &cut[..cut.len() - 4]}).to_string();
    let refused = site.ask("POST", "/v1/kms/decapsulate/a/kem", &ask).problem();
    assert_eq!(refused, (400, "invalid_argument".into()));
    let refused = site.ask("POST", "/v1/kms/encrypt/a/kem", r#"{"plaintext": "aGk="}"#).problem();
    assert_eq!(refused, (400, "operation_not_supported".into()));
}

/// R70, R71: a batch with the body of the user's document; what fails stops nothing else.
#[test]
fn a_batch() {
    let site = Site::new();
    site.ask("POST", "/v1/kms/keys/key1", r#"{"kind": "aes256-gcm"}"#).with(201);
    let body = r#"{"operations":[{"op":"encrypt","key":"key1","plaintext":"aGVsbG8="},
        {"op":"encrypt","key":"absent","plaintext":"aGVsbG8="}, {"op":"no-such","key":"key1"},
        {"op":"key.show","key":"key1"}]}"#;
    let results = site.ask("POST", "/v1/kms/batch", body).with(200)["results"].clone();
    assert!(
        results[0]["result"]["ciphertext"].as_str().unwrap().starts_with("canis:v1:key1:1:"),
        "{results}"
    );
    assert_eq!(results[1]["error"]["code"], "key_not_found");
    assert_eq!(results[2]["error"]["code"], "unknown_operation");
    assert!(results[3]["result"]["usage"].as_array().unwrap().contains(&json!("encrypt")), "{results}");
}

/// R73, R74: entries of the key-value store, by identifiers that hold anything.
#[test]
fn the_key_value_store() {
    let site = Site::new();
    let (path, public) = ("/v1/kv/users%2F%C3%A9%3F/7", base64(b"public half"));
    let put = json!({"name": "pair", "public_key": public, "private_key": base64(b"private half")});
    assert_eq!(site.ask("PUT", path, &put.to_string()).with(200)["id"], "users/é?/7");
    let got = site.ask("GET", &format!("{path}?private=true"), "").with(200);
    assert_eq!((&got["public_key"], &got["private_key"]), (&json!(public), &json!(base64(b"private half"))));
    let listed = site.ask("GET", "/v1/kv?prefix=users/", "").with(200);
    assert_eq!(listed["entries"][0]["id"], "users/é?/7");
    assert_eq!(site.ask("DELETE", &format!("{path}?revision=9"), "").problem(), (409, "conflict".into()));
    site.ask("DELETE", path, "").with(200);
    assert_eq!(site.ask("GET", path, "").problem(), (404, "entry_not_found".into()));
}

/// Data as they are, without base64.
#[test]
fn octets() {
    let site = Site::new();
    site.ask("POST", "/v1/kms/keys/aes", r#"{"kind": "aes256-gcm"}"#).with(201);
    let data: Vec<u8> = (0..3_000_000u32).map(|n| (n * 31) as u8).collect();
    let file = site.deployment.folder.path().join("data.bin");
    fs::write(&file, &data).unwrap();
    let raw = [
        "--header",
        "Content-Type: application/octet-stream",
        "--header",
        "Accept: application/octet-stream",
    ];
    let send =
        |path: &str, file: &str| site.ask_with("POST", path, &[&raw[..], &["--data-binary", file]].concat());
    let context = "?context=cm93";
    let sealed = send(&format!("/v1/kms/encrypt/aes{context}"), &format!("@{}", file.display()));
    assert_eq!((sealed.status, sealed.body.starts_with(b"canis:v1:aes:1:")), (200, true), "{}", sealed.head);
    fs::write(&file, &sealed.body).unwrap();
    let opened = send(&format!("/v1/kms/decrypt/aes{context}"), &format!("@{}", file.display()));
    assert!(opened.status == 200 && opened.body == data, "{}", opened.head);
    assert_eq!(send("/v1/kms/decrypt/aes", &format!("@{}", file.display())).problem().1, "decryption_failed");
    assert_eq!(send("/v1/kms/keys/new", "x").problem(), (415, "unsupported_format".into()));
}

/// R61: who is nobody, or may not, is told so by the status that clients know.
#[test]
fn who_asks() {
    let site = Site::new();
    site.ask("POST", "/v1/kms/keys/aes", r#"{"kind": "aes256-gcm"}"#).with(201);
    let nobody = site.curl("GET", "/v1/kms/keys/aes", &[]);
    assert_eq!(nobody.problem(), (401, "unauthenticated".into()));
    assert!(nobody.head.contains("www-authenticate: bearer"), "{}", nobody.head);
    for wrong in
        ["Authorization: Bearer canis_nonsense", "Authorization: Basic YTpi", "Authorization: Bearer "]
    {
        let refused = site.curl("GET", "/v1/kms/keys/aes", &["--header", wrong]);
        assert_eq!(refused.problem(), (401, "unauthenticated".into()), "{wrong}");
    }
    let reader = CreateCredential::new(Capabilities::NONE.with(Capability::Read));
    let mut administrator: Client = site.deployment.client(&site.server);
    let token = administrator.call(&reader).unwrap().token.clone().unwrap();
    let bearer = format!("Authorization: Bearer {}", &*token);
    site.curl("GET", "/v1/kms/keys/aes", &["--header", &bearer]).with(200);
    let body = ["--header", &bearer, "--data", r#"{"plaintext": "aGk="}"#];
    let denied = site.curl("POST", "/v1/kms/encrypt/aes", &body);
    assert_eq!(denied.problem(), (403, "permission_denied".into()));
    assert!(
        denied.json()["detail"].as_str().unwrap().contains("`encrypt` on kms/keys/aes"),
        "{}",
        denied.json()
    );
    assert_eq!(site.curl("GET", "/v1/sys/health", &[]).with(200)["sealed"], false);
    assert_eq!(site.curl("GET", "/v1/sys/status", &[]).with(200)["sealed"], false);
}

/// R59: names are names, however a path spells them, and a request says one thing only.
#[test]
fn tricks() {
    let site = Site::new();
    site.ask("POST", "/v1/kms/keys/a", r#"{"kind": "aes256-gcm"}"#).with(201);
    for name in ["x/../a", "a/", "/a", "A%2F..%2Fa", "%2e%2e/a", "a//b", "%C3%A1", "a%00", "a%252F"] {
        let (status, code) = site.ask("GET", &format!("/v1/kms/keys/{name}"), "").problem();
        assert!(matches!(&*code, "invalid_name" | "key_not_found"), "{name}: {status} {code}");
    }
    assert_eq!(site.ask("GET", "/v1/kms/keys/%61", "").with(200)["name"], "a", "one escape is the letter");
    let twice = site.ask("POST", "/v1/kms/encrypt/a", r#"{"name": "b", "plaintext": "aGk="}"#);
    assert_eq!(twice.problem(), (400, "invalid_argument".into()));
    for body in [
        r#"{"plaintext": "aGk=", "plaintext": "aG8="}"#,
        r#"{"plaintext": "aGk"}"#,
        "[]",
        "{",
        r#"{"plaintext": 7}"#,
        r#"{"plaintext": "aGk=", "surprise": 1}"#,
        r#"{"plaintext": "aGk=", "version": 1.0}"#,
    ] {
        assert_eq!(
            site.ask("POST", "/v1/kms/encrypt/a", body).problem(),
            (400, "invalid_argument".into()),
            "{body}"
        );
    }
    let query = site.ask("POST", "/v1/kms/encrypt/a?plaintext=aGk%3D", "");
    assert_eq!(query.problem(), (400, "invalid_argument".into()));
    let not_taken = site.ask("PUT", "/v1/kms/encrypt/a", "");
    assert_eq!(not_taken.status, 405);
    assert!(not_taken.head.contains("allow: post"), "{}", not_taken.head);
    assert_eq!(site.ask_with("HEAD", "/v1/kms/encrypt/a", &["--head"]).status, 405);
    assert_eq!(site.ask("GET", "/v1/nowhere", "").problem(), (404, "unknown_operation".into()));
    assert_eq!(site.ask("GET", "/v1/kms/keys?limit=-1", "").problem(), (400, "invalid_argument".into()));
}

/// A change that is sent again under its key happens once; another one under the same key is refused.
#[test]
fn changes_happen_once() {
    let site = Site::new();
    let send = |path: &str, body: &str| {
        site.ask_with("POST", path, &["--header", "Idempotency-Key: 4711", "--data", body])
    };
    let first = send("/v1/kms/keys/once", r#"{"kind": "aes256-gcm"}"#).with(201);
    assert_eq!(send("/v1/kms/keys/once", r#"{"kind": "aes256-gcm"}"#).with(201), first);
    let other = send("/v1/kms/keys/other", r#"{"kind": "aes256-gcm"}"#);
    assert_eq!(other.problem(), (422, "idempotency_conflict".into()));
    assert_eq!(site.ask("POST", "/v1/kms/keys/once", r#"{"kind": "aes256-gcm"}"#).problem().0, 409);
}

/// R75: a change of what somebody else has changed meanwhile is refused.
#[test]
fn only_if_unchanged() {
    let site = Site::new();
    site.ask("POST", "/v1/kms/keys/aes", r#"{"kind": "aes256-gcm"}"#).with(201);
    let shown = site.ask("GET", "/v1/kms/keys/aes", "");
    let tag = shown.head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned();
    assert_eq!(tag, format!("\"{}\"", shown.json()["revision"]));
    let change = |tag: &str| {
        let tag = format!("If-Match: {tag}");
        site.ask_with("PATCH", "/v1/kms/keys/aes", &["--header", &tag, "--data", r#"{"interval": "9d"}"#])
    };
    assert!(change(&tag).with(200)["revision"].as_u64() > shown.json()["revision"].as_u64());
    assert_eq!(change(&tag).problem(), (412, "conflict".into()));
    assert_eq!(change("W/\"1\"").problem(), (400, "invalid_argument".into()));
    assert_eq!(site.ask_with("GET", "/v1/kms/keys/aes", &["--header", "If-Match: \"1\""]).problem().0, 400);
}

/// R81: more than there is room for is refused before it is read, and who sends slowly keeps nobody waiting.
#[test]
fn bounds() {
    let site = Site::new();
    let file = site.deployment.folder.path().join("large");
    fs::write(&file, vec![b' '; 24 << 20]).unwrap();
    let large = site.ask_with("POST", "/v1/kms/random", &["--data-binary", &format!("@{}", file.display())]);
    assert_eq!(large.problem(), (413, "too_large".into()));
    let chunked = ["--header", "Transfer-Encoding: chunked", "--http1.1", "--data-binary"];
    let unannounced =
        site.ask_with("POST", "/v1/kms/random", &[&chunked[..], &[&format!("@{}", file.display())]].concat());
    assert_eq!(unannounced.problem(), (413, "too_large".into()));
    let idle: Vec<_> = (0..200).map(|_| TcpStream::connect(&site.address).unwrap()).collect();
    let began = Instant::now();
    assert_eq!(site.curl("GET", "/v1/sys/health", &[]).status, 200);
    assert!(began.elapsed() < Duration::from_secs(20));
    drop(idle);
    let mut plain = TcpStream::connect(&site.address).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    let mut answer = String::new();
    let _ = plain.read_to_string(&mut answer);
    assert!(answer.contains("400 Bad Request"), "{answer}");
}

/// While the store is sealed, health and status say so, and everything else answers `sealed`.
#[test]
fn sealed() {
    let site = Site::sealed(&[]);
    assert_eq!(site.curl("GET", "/v1/sys/health", &[]).with(503)["sealed"], true);
    assert_eq!(site.curl("GET", "/v1/sys/status", &[]).with(200)["sealed"], true);
    assert_eq!(site.ask("GET", "/v1/kms/keys", "").problem(), (503, "sealed".into()));
}

/// The document names what there is, and a browser of it can trust that: HTTP/1.1 and HTTP/2 alike.
#[test]
fn describes_itself() {
    let site = Site::new();
    for version in ["--http1.1", "--http2"] {
        let came = site.curl("GET", "/v1/openapi.json", &[version]);
        let document = came.with(200);
        assert_eq!(document["openapi"], "3.1.0");
        assert!(document["paths"]["/v1/kms/encrypt/{name}"]["post"].is_object());
        assert_eq!(came.head.starts_with("http/2"), version == "--http2", "{}", came.head);
    }
    let out = Command::new("curl").arg("--version").output().unwrap();
    assert!(out.status.success());
}

/// Each answer names its request; the log's lines name it too, with the trace that the caller sent, and nothing else of it.
#[test]
fn requests_are_told_apart() {
    let site = Site::with(&["--log-format", "json"]);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let sent = format!("traceparent: 00-{trace}-00f067aa0ba902b7-01");
    let forged = "traceparent: 00-forged-line-01";
    let id = |came: &web::Came| {
        came.head.lines().find_map(|line| line.strip_prefix("x-request-id: ")).unwrap().trim().to_owned()
    };
    let traced = id(&site.ask_with("GET", "/v1/kms/keys/absent", &["--header", &sent]));
    let other = id(&site.ask_with("GET", "/v1/kms/keys/absent", &["--header", forged]));
    assert_ne!(traced, other);
    assert_eq!(id(&site.curl("GET", "/v1/sys/health", &["--header", "x-request-id: mine"])).len(), 16);
    let log = site.server.log();
    let about = |id: &str| {
        let line = log.lines().find(|line| line.contains(id)).unwrap_or_else(|| panic!("{log}"));
        serde_json::from_str::<serde_json::Value>(line).unwrap()
    };
    let line = about(&traced);
    assert_eq!((&line["span"]["trace"], &line["fields"]["code"]), (&json!(trace), &json!("key_not_found")));
    assert!(about(&other)["span"]["trace"].is_null());
    assert!(!log.contains("forged") && !log.contains("mine"), "{log}");
    site.ask("POST", "/v1/kms/keys/aes", r#"{"kind": "aes256-gcm"}"#).with(201);
    let batch = r#"{"operations": [{"op": "key.show", "key": "aes"}]}"#;
    let batch = id(&site.ask_with("POST", "/v1/kms/batch", &["--header", &sent, "--data", batch]));
    let octets = [
        "--header",
        "Content-Type: application/octet-stream",
        "--header",
        "Accept: application/octet-stream",
    ];
    let chunked = ["--http1.1", "--header", "Transfer-Encoding: chunked", "--data-binary", "some data"];
    let stream = id(&site.ask_with("POST", "/v1/kms/encrypt/aes", &[&octets[..], &chunked].concat()));
    let lines = audited(&site);
    let of = |id: &str, field: &str| -> Vec<_> {
        let mine = lines.iter().filter(|line| line["request"] == id && line["op"] != "authenticate");
        mine.map(|line| line[field].clone()).collect()
    };
    assert_eq!((of(&traced, "op"), of(&traced, "trace")), (vec![json!("key.show")], vec![json!(trace)]));
    assert_eq!(of(&traced, "result"), ["key_not_found"]);
    assert!(of(&other, "trace")[0].is_null());
    assert_eq!(of(&batch, "op"), ["key.show", "batch"]);
    assert_eq!(of(&stream, "stream"), ["begun", "ended"]);
    assert!(lines.iter().filter(|line| line["door"] == "own").all(|line| line["request"].is_null()));
}

/// The lines of the audit log so far.
fn audited(site: &Site) -> Vec<serde_json::Value> {
    let mut files: Vec<_> = fs::read_dir(site.deployment.data().join("audit"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    files.retain(|file| file.extension().is_some_and(|it| it == "jsonl"));
    files.sort();
    let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
