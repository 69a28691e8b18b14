//! The paths of Vault's transit engine, asked by curl: what they promise, and what somebody might try on them.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod web;

use serde_json::{Value as Json, json};
use web::{Came, Site};

fn vault(site: &Site, method: &str, path: &str, body: &str) -> Came {
    let token = format!("X-Vault-Token: {}", site.deployment.token);
    let mut arguments = vec!["--header", &token];
    if !body.is_empty() {
        arguments.extend(["--data-binary", body]);
    }
    site.curl(method, path, &arguments)
}

/// The errors as Vault gives them, and their status.
fn refused(came: &Came) -> (u16, String) {
    assert!(came.head.contains("application/json"), "{}", came.head);
    (came.status, came.json()["errors"][0].as_str().unwrap().to_owned())
}

fn encrypted(site: &Site, key: &str, body: &Json) -> String {
    let made = vault(site, "POST", &format!("/v1/transit/encrypt/{key}"), &body.to_string()).with(200);
    made["data"]["ciphertext"].as_str().unwrap().to_owned()
}

/// The same key by both notations: what one made the other opens, and neither form passes for the other.
#[test]
fn one_key_two_notations() {
    let site = Site::new();
    let made = vault(&site, "PUT", "/v1/transit/keys/a/b", "").with(200);
    assert_eq!((&made["data"]["name"], &made["data"]["deletion_allowed"]), (&json!("a/b"), &json!(false)));
    let sealed = encrypted(&site, "a/b", &json!({"plaintext": "aGVsbG8=", "associated_data": "cm93"}));
    let base64 = sealed.strip_prefix("vault:v1:").unwrap();
    let body = json!({"ciphertext": format!("canis:v1:a/b:1:{base64}"), "context": "cm93"}).to_string();
    assert_eq!(site.ask("POST", "/v1/kms/decrypt/a/b", &body).with(200)["plaintext"], "aGVsbG8=");
    let own = site.ask("POST", "/v1/kms/encrypt/a/b", r#"{"plaintext": "aGk="}"#).with(200);
    let own = own["ciphertext"].as_str().unwrap();
    let (_, base64) = own.rsplit_once(':').unwrap();
    let body = |ciphertext: &str| json!({"ciphertext": ciphertext}).to_string();
    let opened =
        vault(&site, "POST", "/v1/transit/decrypt/a/b", &body(&format!("vault:v1:{base64}"))).with(200);
    assert_eq!(opened["data"]["plaintext"], "aGk=");
    assert_eq!(refused(&vault(&site, "POST", "/v1/transit/decrypt/a/b", &body(own))).0, 400);
    assert_eq!(site.ask("POST", "/v1/kms/decrypt/a/b", &body(&sealed)).problem().0, 400);
}

/// `context` and `associated_data` are bound, each as what it is.
#[test]
fn what_a_ciphertext_is_bound_to() {
    let site = Site::new();
    vault(&site, "POST", "/v1/transit/keys/k", "").with(200);
    let bound =
        |context: &str, data: &str| json!({"plaintext": "aGk=", "context": context, "associated_data": data});
    let open = |ciphertext: &str, context: &str, data: &str| {
        let body = json!({"ciphertext": ciphertext, "context": context, "associated_data": data});
        vault(&site, "POST", "/v1/transit/decrypt/k", &body.to_string()).status
    };
    let sealed = encrypted(&site, "k", &bound("YWI=", "Yw=="));
    assert_eq!(open(&sealed, "YWI=", "Yw=="), 200);
    for (context, data) in
        [("", ""), ("YWI=", ""), ("", "Yw=="), ("Yw==", "YWI="), ("YQ==", "YmM="), ("YWJj", "")]
    {
        assert_eq!(open(&sealed, context, data), 400, "{context} {data}");
    }
    let plain = encrypted(&site, "k", &json!({"plaintext": ""}));
    assert_eq!((open(&plain, "", ""), open(&plain, "YQ==", "")), (200, 400));
}

/// What is not there is refused where somebody could rely on it, and what is unknown is named.
#[test]
fn what_is_lacking_is_said() {
    let site = Site::new();
    for body in [
        r#"{"derived": true}"#,
        r#"{"convergent_encryption": "true", "derived": "true"}"#,
        r#"{"type": "chacha20-poly1305"}"#,
        r#"{"type": "aes256-gcm96", "type": "ed25519"}"#,
        r#"{"auto_rotate_period": "soon"}"#,
    ] {
        assert_eq!(refused(&vault(&site, "POST", "/v1/transit/keys/k", body)).0, 400, "{body}");
    }
    assert_eq!(vault(&site, "LIST", "/v1/transit/keys", "").with(404), json!({"errors": []}));
    let made = vault(&site, "POST", "/v1/transit/keys/k", r#"{"surprise": 1}"#).with(200);
    assert!(made["warnings"][0].as_str().unwrap().contains("surprise"), "{made}");
    let nonce = r#"{"plaintext": "aGk=", "nonce": "AAAAAAAAAAAAAAAA"}"#;
    assert!(refused(&vault(&site, "POST", "/v1/transit/encrypt/k", nonce)).1.contains("nonce"));
    assert_eq!(refused(&vault(&site, "POST", "/v1/transit/encrypt/k", "{}")).0, 400);
    assert_eq!(refused(&vault(&site, "POST", "/v1/transit/encrypt/new", r#"{"plaintext": "aGk="}"#)).0, 400);
    assert_eq!(vault(&site, "GET", "/v1/transit/keys/new", "").status, 404);
    assert_eq!(refused(&vault(&site, "POST", "/v1/transit/backup/k", "")).0, 404);
    assert_eq!(refused(&vault(&site, "PATCH", "/v1/transit/keys/k", "")).0, 405);
    let token = format!("X-Vault-Token: {}", site.deployment.token);
    for header in ["X-Vault-Namespace: team", "X-Vault-Wrap-TTL: 60s"] {
        let came = site.curl("GET", "/v1/transit/keys/k", &["--header", &token, "--header", header]);
        assert_eq!(refused(&came).0, 400, "{header}");
    }
}

/// Lists by either method, slashes twice, numbers as numbers.
#[test]
fn as_programs_ask() {
    let site = Site::new();
    for name in ["a", "b", "c"] {
        vault(&site, "POST", &format!("/v1/transit/keys/{name}"), r#"{"type": "ecdsa-p384"}"#).with(200);
    }
    for (method, path) in [
        ("LIST", "/v1/transit/keys"),
        ("GET", "/v1/transit/keys?list=true"),
        ("GET", "//v1//transit//keys/?list=true"),
    ] {
        assert_eq!(
            vault(&site, method, path, "").with(200)["data"]["keys"],
            json!(["a", "b", "c"]),
            "{method} {path}"
        );
    }
    let page = vault(&site, "GET", "/v1/transit/keys?list=true&after=a&limit=1", "").with(200);
    assert_eq!(page["data"]["keys"], json!(["b"]));
    let read = vault(&site, "GET", "/v1/transit/keys/a", "").with(200);
    assert_eq!(
        (&read["data"]["latest_version"], &read["data"]["keys"]["1"]["name"]),
        (&json!(1), &json!("P-384"))
    );
    let sign =
        |path: &str, body: &str| vault(&site, "POST", &format!("/v1/transit/sign/{path}"), body).with(200);
    let jws = sign("a/sha2-384", r#"{"input": "aGk=", "marshaling_algorithm": "jws"}"#);
    let jws = jws["data"]["signature"].as_str().unwrap();
    assert_eq!((jws.split(':').count(), jws.contains(['+', '/', '='])), (3, false), "{jws}");
    let verify = |hash: &str| {
        let body =
            json!({"input": "aGk=", "signature": jws, "marshaling_algorithm": "jws", "hash_algorithm": hash});
        vault(&site, "POST", "/v1/transit/verify/a", &body.to_string()).with(200)["data"]["valid"].clone()
    };
    assert_eq!((verify("sha2-384"), verify("sha2-512")), (json!(true), json!(false)));
    vault(&site, "POST", "/v1/transit/keys/r", r#"{"type": "rsa-2048"}"#).with(200);
    let pkcs1 = r#"{"signature_algorithm": "pkcs1v15", "batch_input": [{"input": "aGk="}, {"input": "?"}]}"#;
    let came = vault(&site, "POST", "/v1/transit/sign/r", pkcs1).with(400);
    let results = &came["data"]["batch_results"];
    assert!(results[0]["signature"].is_string() && results[1]["error"].is_string(), "{came}");
}

/// A batch says of each item what became of it, and by its status that not all went well.
#[test]
fn batches() {
    let site = Site::new();
    vault(&site, "POST", "/v1/transit/keys/k", "").with(200);
    let good = encrypted(&site, "k", &json!({"plaintext": "aGk="}));
    let open = |more: &str| {
        let items = format!(
            r#"[{{"ciphertext": "{good}", "reference": "x"}}, {{"ciphertext": "vault:v1:AAAA"}}, {{}}]"#
        );
        vault(&site, "POST", "/v1/transit/decrypt/k", &format!(r#"{{{more}"batch_input": {items}}}"#))
    };
    let came = open("").with(400);
    let results = came["data"]["batch_results"].as_array().unwrap().clone();
    assert_eq!(results[0], json!({"plaintext": "aGk=", "reference": "x"}));
    assert!(results[1]["error"].is_string() && results[2]["error"].is_string(), "{came}");
    open(r#""partial_failure_response_code": 207, "#).with(207);
    for code in [99, 100, 204, 304, 600] {
        let code = format!(r#""partial_failure_response_code": {code}, "#);
        assert_eq!(refused(&open(&code)).0, 400, "{code}");
    }
    let many: Vec<_> = (0..1001).map(|_| json!({"plaintext": "aGk="})).collect();
    let body = json!({"batch_input": many}).to_string();
    let file = site.deployment.folder.path().join("many");
    std::fs::write(&file, body).unwrap();
    let came = vault(&site, "POST", "/v1/transit/encrypt/k", &format!("@{}", file.display())).with(200);
    assert_eq!(came["data"]["batch_results"].as_array().unwrap().len(), 1001);
}

/// Nobody gets in by the other header, and policies hold as at the other doors.
#[test]
fn who_asks() {
    let site = Site::new();
    vault(&site, "POST", "/v1/transit/keys/k", "").with(200);
    for header in ["X-Vault-Token: ", "X-Vault-Token: canis_nonsense", "Accept: */*"] {
        for path in ["/v1/transit/keys/k", "/v1/sys/mounts", "/v1/auth/token/lookup-self"] {
            assert_eq!(refused(&site.curl("GET", path, &["--header", header])).0, 403, "{header} {path}");
        }
    }
    let good = format!("X-Vault-Token: {}", site.deployment.token);
    let other = ["--header", &good, "--header", "Authorization: Bearer canis_other"];
    assert_eq!(refused(&site.curl("GET", "/v1/transit/keys/k", &other)).0, 403, "two tokens");
    assert_eq!(
        site.curl("GET", "/v1/kms/keys/k", &["--header", &good]).status,
        401,
        "a header of Vault's surface only"
    );
    let policy = r#"{"text": "path \"kms/keys/k\" { capabilities = [\"encrypt\"] }"}"#;
    site.ask("PUT", "/v1/sys/policies/writer", policy).with(200);
    let made =
        vault(&site, "POST", "/v1/auth/token/create", r#"{"policies": ["writer"], "ttl": "1h"}"#).with(200);
    let token = format!("X-Vault-Token: {}", made["auth"]["client_token"].as_str().unwrap());
    let ask = |method: &str, path: &str, body: &str| {
        site.curl(method, path, &["--header", &token, "--data-binary", body])
    };
    ask("POST", "/v1/transit/encrypt/k", r#"{"plaintext": "aGk="}"#).with(200);
    for (method, path, body) in [
        ("POST", "/v1/transit/decrypt/k", r#"{"ciphertext": "vault:v1:AAAA"}"#),
        ("POST", "/v1/transit/encrypt/other", r#"{"plaintext": "aGk="}"#),
        ("POST", "/v1/transit/keys/k/rotate", ""),
        ("DELETE", "/v1/transit/keys/k", ""),
        ("GET", "/v1/transit/keys/k", ""),
        ("POST", "/v1/auth/token/create", r#"{"policies": ["admin"]}"#),
        ("POST", "/v1/auth/token/revoke-accessor", r#"{"accessor": "0e1d2c3b-4a59-4687-8695-a4b3c2d1e0f1"}"#),
    ] {
        assert_eq!(refused(&ask(method, path, body)).0, 403, "{method} {path}");
    }
    let own = ask("GET", "/v1/auth/token/lookup-self", "").with(200);
    assert_eq!(
        (&own["data"]["policies"], &own["data"]["accessor"]),
        (&json!(["writer"]), &made["auth"]["accessor"])
    );
}

/// Health for load balancers, with the statuses that they ask for.
#[test]
fn health() {
    let site = Site::new();
    let health = |query: &str| site.curl("GET", &format!("/v1/sys/health{query}"), &[]).status;
    assert_eq!((health(""), health("?activecode=204"), health("?sealedcode=204")), (200, 204, 200));
    assert_eq!((health("?activecode=x"), health("?activecode=100")), (400, 400));
    assert_eq!(site.curl("HEAD", "/v1/sys/health", &["--head"]).status, 200);
    assert_eq!(site.curl("GET", "/v1/sys/seal-status", &[]).with(200)["sealed"], false);
    site.ask("POST", "/v1/sys/seal", "").with(200);
    assert_eq!((health(""), health("?sealedcode=299")), (503, 299));
    assert_eq!(site.curl("GET", "/v1/sys/seal-status", &[]).with(200)["sealed"], true);
    assert_eq!(refused(&vault(&site, "GET", "/v1/transit/keys/k", "")).0, 503);
}
