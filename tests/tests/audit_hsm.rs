//! The audit log signed by a key in the HSM, which OpenSSL checks without CANIS; and what stands there while the HSM is away.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_proto::Id;
use canis_proto::value::Value;
use canis_tests::{AuditLog, Finished, Server, Site, SoftHsm, run};
use serde_json::Value as Json;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

fn bytes(value: &Json) -> Vec<u8> {
    let text = value.as_str().unwrap();
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn of<'a>(lines: &'a [Json], operation: &str) -> Vec<&'a Json> {
    lines.iter().filter(|line| line["op"] == operation).collect()
}

/// Asks a little until the log has such a line.
fn until(server: &Server, log: &mut AuditLog, seen: &mut Vec<Json>, operation: &str) {
    let end = Instant::now() + Duration::from_secs(120);
    while of(seen, operation).is_empty() {
        assert!(Instant::now() < end, "no line {operation} came: {}", server.log());
        server.canis(&["key", "list"], b"").ok();
        std::thread::sleep(Duration::from_millis(200));
        seen.extend(log.news());
    }
}

/// An INTEGER of DER.
fn integer(number: &[u8]) -> Vec<u8> {
    let significant = number.iter().position(|byte| *byte != 0).unwrap_or(number.len() - 1);
    let mut number = number[significant..].to_vec();
    if number[0] > 0x7f {
        number.insert(0, 0);
    }
    [&[2, u8::try_from(number.len()).unwrap()][..], &number].concat()
}

/// Whether OpenSSL finds the signature on a file right, by what docs/audit.md says of it.
fn openssl(site: &Site, line: &Json, writer: &str, file: u64) -> bool {
    let store = run(site.command("canis").args(["root", "list", "--json", "--data"]).arg(site.data()), b"");
    let store: Json = serde_json::from_str(&store.ok().text()).unwrap();
    let id = |text: &str| Id::parse(text).unwrap().0.to_vec();
    let signed = Value::Array(vec![
        Value::from("canis/v1/audit-segment"),
        Value::from(id(store["store"].as_str().unwrap())),
        Value::from(id(writer)),
        Value::from(file),
        Value::from(bytes(&line["sha256"])),
    ]);
    let signature = bytes(&line["hsm_signature"]);
    let (r, s) = signature.split_at(32);
    let numbers = [integer(r), integer(s)].concat();
    let der = [&[0x30, u8::try_from(numbers.len()).unwrap()][..], &numbers].concat();
    let (message, public, sig) = (site.file("message"), site.file("public.der"), site.file("sig.der"));
    fs::write(&message, signed.encode()).unwrap();
    fs::write(&public, bytes(&line["hsm_public"])).unwrap();
    fs::write(&sig, der).unwrap();
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-keyform", "DER", "-verify"]).arg(&public).arg("-signature").arg(&sig);
    run(openssl.arg(&message), b"").code == 0
}

fn verify(site: &Site) -> Finished {
    run(site.command("canis").args(["audit", "verify", "--data"]).arg(site.data()), b"")
}

/// How often the HSM was asked.
fn asked(server: &Server) -> u64 {
    let line = server.wait_for("listening for metrics on ");
    let address = line.rsplit(' ').next().unwrap();
    let text =
        run(Command::new("curl").args(["--silent", &format!("http://{address}/metrics")]), b"").ok().text();
    let count = text.lines().find_map(|line| line.strip_prefix("canis_hsm_call_seconds_count "));
    count.unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

/// R88: a file that ends while the server runs is signed a moment later, the last one as it ends.
#[test]
fn the_hsm_signs_what_ends() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let mut log = AuditLog::of(&site.data());
    let server = site.start_with(&["--audit-file-age", "1s"]).unsealed();
    let mut seen = Vec::new();
    until(&server, &mut log, &mut seen, "audit.sign");
    server.stop();
    seen.extend(log.news());
    let writer = of(&seen, "audit.begin")[0]["writer"].as_str().unwrap().to_owned();
    let key = of(&seen, "audit.key");
    assert_eq!(key.len(), 1, "one key is made, and kept: {key:?}");
    let signed = of(&seen, "audit.sign");
    assert!(openssl(&site, signed[0], &writer, signed[0]["file"].as_u64().unwrap()), "{}", signed[0]);
    assert!(!openssl(&site, signed[0], &writer, 77), "a signature is bound to its file");
    let closed = of(&seen, "audit.close");
    let (last, number) = (closed.last().unwrap(), closed.len() as u64);
    assert!(openssl(&site, last, &writer, number), "{last}");
    assert_eq!(last["hsm_public"], key[0]["hsm_public"]);
    let told = verify(&site);
    assert_eq!(told.code, 0, "{}", told.text());
    assert!(told.text().contains("files that were ended are signed by the HSM"), "{}", told.text());
}

/// R88: without the HSM the store's own key signs alone; line and `audit verify` say so.
#[test]
fn without_the_hsm_the_store_signs_alone() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    site.start().unsealed().stop();
    let mut log = AuditLog::of(&site.data());
    let server = site.start().unsealed();
    server.canis(&["key", "create", "a", "--type", "aes256-gcm"], b"").ok();
    hsm.unplug();
    server.stop();
    hsm.plug();
    let news = log.news();
    let closed = of(&news, "audit.close");
    let last =
        closed.iter().find(|line| line["hsm_away"].is_string()).unwrap_or_else(|| panic!("{closed:?}"));
    assert!(last["signature"].is_string() && last["hsm_signature"].is_null(), "{last}");
    let told = verify(&site);
    assert_eq!(told.code, 0, "{}", told.text());
    assert!(
        told.text().contains("by the HSM, ") && told.text().contains("by the store's own key alone"),
        "{}",
        told.text()
    );
}

/// R95: what is asked of the server asks nothing of the HSM, whatever the log does.
#[test]
fn no_operation_asks_the_hsm() {
    let hsm = SoftHsm::new("canis-hsm");
    let site = Site::with_hsm(&hsm);
    let server = site.start_with(&["--metrics", "127.0.0.1:0"]).unsealed();
    server.canis(&["key", "create", "a", "--type", "aes256-gcm"], b"").ok();
    // The HSM takes note of the store's commits once, a moment after it was opened.
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let before = asked(&server);
        (0..20).for_each(|_| drop(server.canis(&["encrypt", "a"], b"x").ok()));
        if asked(&server) == before {
            break;
        }
        assert!(Instant::now() < end, "the HSM is asked while keys are used");
    }
    server.stop();
}
