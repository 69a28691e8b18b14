//! `/metrics` at a real server, read by the parsers of Prometheus' own client.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod web;

use canis_proto::Capabilities;
use canis_proto::credential::CreateCredential;
use canis_proto::message::{Encrypt, ShowKey};
use canis_proto::policy::PutPolicy;
use canis_proto::tenant::CreateTenant;
use canis_server::metrics::{Family, Kind};
use serde_json::Value as Json;
use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;
use web::{Came, Site};

const OPEN: &str = "Accept: application/openmetrics-text; version=1.0.0";

/// What was told, as parsed; both forms say the same.
struct Told(Vec<Json>);

impl Told {
    fn read(form: &str, text: &[u8]) -> Self {
        let mut parser = Command::new(harness::client_of_python("python"))
            .args([concat!(env!("CARGO_MANIFEST_DIR"), "/tests/openmetrics.py"), form])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        parser.stdin.take().unwrap().write_all(text).unwrap();
        let output = parser.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(text));
        Told(serde_json::from_slice(&output.stdout).unwrap())
    }

    fn of(came: &Came) -> Self {
        let form = if came.head.contains("application/openmetrics-text") { "open" } else { "plain" };
        assert_eq!(came.status, 200, "{}", String::from_utf8_lossy(&came.body));
        Told::read(form, &came.body)
    }

    /// The sum of the samples of this name that have these labels.
    fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let samples = self.0.iter().flat_map(|family| family["samples"].as_array().unwrap());
        let fits = |sample: &&Json| {
            sample["name"] == name && labels.iter().all(|(label, is)| sample["labels"][*label] == *is)
        };
        samples.filter(fits).map(|sample| sample["value"].as_f64().unwrap()).sum()
    }

    fn families(&self) -> BTreeSet<&str> {
        self.0.iter().map(|family| family["name"].as_str().unwrap()).collect()
    }
}

fn plain(site: &Site, arguments: &[&str]) -> Came {
    site.curl_at(&format!("http://{}", site.metrics()), "GET", "/metrics", arguments)
}

/// docs/metrics.md lists every metric that there is, and no other.
#[test]
fn every_metric_is_documented() {
    let page = include_str!("../../docs/metrics.md");
    let documented: Vec<_> = page.lines().filter(|line| line.starts_with("| `")).collect();
    for (family, row) in Family::ALL.iter().zip(&documented) {
        let kind = format!("{:?}", family.kind).to_lowercase();
        let labels: Vec<_> = family.labels.iter().map(|label| format!("`{label}`")).collect();
        let expected =
            format!("| `{}` | {kind} | {} | {} |", family.queried(), labels.join(", "), family.help);
        assert_eq!(*row, expected);
    }
    assert_eq!(documented.len(), Family::ALL.len());
}

/// What is told is what there is: every family, in both forms, each sample with the labels that it is to have.
#[test]
fn both_forms_hold_every_family() {
    let site = Site::with(&["--metrics", "127.0.0.1:0"]);
    site.ask("POST", "/v1/kms/keys/aes", r#"{"kind": "aes256-gcm"}"#).with(201);
    let forms: [(&[&str], _); 2] = [
        (&["--header", OPEN], "application/openmetrics-text; version=1.0.0"),
        (&[], "text/plain; version=0.0.4"),
    ];
    for (accept, media_type) in forms {
        let came = plain(&site, accept);
        assert!(came.head.contains(media_type), "{}", came.head);
        let told = Told::of(&came);
        let names: BTreeSet<_> = Family::ALL.iter().map(|family| family.name).collect();
        assert_eq!(told.families(), names);
        for family in Family::ALL {
            let found = told.0.iter().find(|told| told["name"] == family.name).unwrap();
            assert_eq!(
                (&found["help"], &found["kind"]),
                (&family.help.into(), &format!("{:?}", family.kind).to_lowercase().into())
            );
            for sample in found["samples"].as_array().unwrap() {
                let mut labels: BTreeSet<_> =
                    sample["labels"].as_object().unwrap().keys().map(String::as_str).collect();
                labels.remove("le");
                assert_eq!(labels, family.labels.iter().copied().collect(), "{sample}");
            }
            // Until somebody has looked.
            let later =
                ["canis_hsm_up", "canis_store_rows_changed", "canis_store_rows_checked_timestamp_seconds"];
            let may_be_empty = later.contains(&family.name);
            assert!(may_be_empty || !found["samples"].as_array().unwrap().is_empty(), "{}", family.name);
        }
    }
    assert!(Family::ALL.iter().any(|family| family.kind == Kind::Histogram));
}

/// Counts move as requests do, by door, operation and code, and hold no name.
#[test]
fn counts_move_as_requests_do() {
    let site = Site::with(&["--metrics", "127.0.0.1:0"]);
    site.ask("POST", "/v1/kms/keys/secret-name", r#"{"kind": "aes256-gcm"}"#).with(201);
    let mut client = site.deployment.client(&site.server);
    client.call(&Encrypt::new("secret-name", &b"x"[..])).unwrap();
    let before = Told::of(&plain(&site, &[]));
    for _ in 0..5 {
        site.ask("POST", "/v1/kms/encrypt/secret-name", r#"{"plaintext": "aGk="}"#).with(200);
    }
    for _ in 0..7 {
        client.call(&Encrypt::new("secret-name", &b"x"[..])).unwrap();
    }
    assert!(client.call(&ShowKey { name: "absent".into(), before_version: 0 }).is_err());
    site.ask("GET", "/v1/nowhere", "").problem();
    site.curl("GET", "/v1/kms/keys", &["--header", "Authorization: Bearer canis_wrong"]).problem();
    let came = plain(&site, &["--header", OPEN]);
    assert!(!String::from_utf8_lossy(&came.body).contains("secret-name"));
    let after = Told::of(&came);
    let moved = |name: &str, labels: &[(&str, &str)]| after.sum(name, labels) - before.sum(name, labels);
    let requests = |labels: &[(&str, &str)]| moved("canis_requests_total", labels);
    assert_eq!(requests(&[("operation", "encrypt"), ("door", "http"), ("code", "ok")]), 5.0);
    assert_eq!(requests(&[("operation", "encrypt"), ("door", "canisp"), ("code", "ok")]), 7.0);
    assert_eq!(requests(&[("operation", "key.show"), ("code", "key_not_found")]), 1.0);
    assert_eq!(requests(&[("operation", "encrypt")]), 12.0);
    assert_eq!(moved("canis_request_duration_seconds_count", &[("operation", "encrypt")]), 12.0);
    let all = &[("operation", "encrypt"), ("le", "+Inf")];
    assert_eq!(moved("canis_request_duration_seconds_bucket", all), 12.0);
    let seconds = moved("canis_request_duration_seconds_sum", &[("operation", "encrypt")]);
    assert!(seconds > 0.0 && seconds < 60.0, "{seconds}");
    assert_eq!(moved("canis_http_responses_total", &[("status", "404")]), 1.0);
    assert_eq!(moved("canis_http_responses_total", &[("status", "200")]), 5.0);
    assert_eq!(moved("canis_wrong_credentials_total", &[]), 1.0);
    assert!(moved("canis_cache_hits_total", &[("cache", "ready")]) >= 7.0);
    assert!(after.sum("canis_store_commits_total", &[("result", "done")]) >= 1.0);
    assert!(moved("canis_connections_accepted_total", &[("door", "http")]) >= 6.0);
    assert!(after.sum("canis_connections", &[("door", "canisp")]) >= 1.0);
    assert!(
        after.sum("canis_audit_written_timestamp_seconds", &[])
            > after.sum("process_start_time_seconds", &[]) - 1.0
    );
    assert!(after.sum("process_resident_memory_bytes", &[]) > 1e6);
    assert_eq!(after.sum("canis_sealed", &[]), 0.0);
    drop(client);
}

/// What is due is told before it happens and after.
#[test]
fn what_is_due() {
    let site = Site::with(&["--metrics", "127.0.0.1:0"]);
    site.ask("POST", "/v1/kms/keys/a", r#"{"kind": "aes256-gcm", "interval": "2h"}"#).with(201);
    site.ask("POST", "/v1/kms/keys/b", r#"{"kind": "aes256-gcm", "interval": "30d"}"#).with(201);
    site.ask("POST", "/v1/kms/keys/c", r#"{"kind": "aes256-gcm"}"#).with(201);
    site.ask("POST", "/v1/kms/keys/c/disable", "").with(200);
    site.ask("POST", "/v1/kms/keys/c/destroy", r#"{"delay": "1s"}"#).with(200);
    let told = Told::of(&plain(&site, &[]));
    assert_eq!(told.sum("canis_keys_due", &[("what", "rotation"), ("when", "soon")]), 1.0);
    assert_eq!(told.sum("canis_keys_due", &[("what", "rotation"), ("when", "now")]), 0.0);
    let until = std::time::Instant::now() + Duration::from_secs(30);
    while Told::of(&plain(&site, &[])).sum("canis_schedule_done_total", &[("what", "destruction")]) < 1.0 {
        assert!(std::time::Instant::now() < until);
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// R61: at the HTTP door only who may read `sys/metrics`; who may do that may do nothing else.
#[test]
fn who_may_read() {
    let site = Site::new();
    let mut administrator = site.deployment.client(&site.server);
    for (name, text) in [
        ("watcher", r#"path "sys/metrics" { capabilities = ["read"] }"#),
        ("other", r#"path "kms/keys/*" { capabilities = ["read"] }"#),
    ] {
        let policy = PutPolicy { name: name.into(), text: text.into(), revision: None, force: false };
        administrator.call(&policy).unwrap();
    }
    let mut bearer = |policy: &'static str| {
        let asked = CreateCredential::new(Capabilities::NONE);
        let made = administrator.call(&CreateCredential { policies: vec![policy.into()], ..asked }).unwrap();
        format!("Authorization: Bearer {}", made.token.as_deref().unwrap())
    };
    let (watcher, other) = (bearer("watcher"), bearer("other"));
    let with = |bearer: &str| site.curl("GET", "/metrics", &["--header", bearer]);
    assert_eq!(site.curl("GET", "/metrics", &[]).problem(), (401, "unauthenticated".into()));
    assert_eq!(with("Authorization: Bearer canis_wrong").problem(), (401, "unauthenticated".into()));
    assert_eq!(with(&other).problem(), (403, "permission_denied".into()));
    // They are about all tenants: whoever may do anything in another one learns nothing of the store.
    let tenant = CreateTenant { name: "acme".into(), max_keys: 0, max_requests: 0, max_payload: 0 };
    let theirs = administrator.call(&tenant).unwrap().token.clone();
    assert_eq!(with(&format!("Authorization: Bearer {theirs}")).problem(), (403, "permission_denied".into()));
    let told = Told::of(&with(&watcher));
    let denied = [("operation", "metrics.read"), ("code", "permission_denied")];
    assert_eq!(told.sum("canis_requests_total", &denied), 2.0);
    assert_eq!(site.curl("GET", "/v1/kms/keys", &["--header", &watcher]).problem().0, 403);
    assert_eq!(site.curl("POST", "/metrics", &["--header", &watcher]).status, 405);
    for path in ["/metrics/", "/metrics/x", "//metrics", "/Metrics", "/v1/metrics"] {
        assert_eq!(site.curl("GET", path, &["--header", &watcher]).problem().0, 404, "{path}");
    }
}

/// While the store is sealed nobody can be known: the HTTP door says no more than that, this machine's listener everything.
#[test]
fn sealed() {
    let site = Site::sealed(&["--metrics", "127.0.0.1:0"]);
    let told = Told::of(&site.curl("GET", "/metrics", &["--header", OPEN]));
    assert_eq!(told.families(), ["canis_build_info", "canis_sealed"].into());
    assert_eq!(told.sum("canis_sealed", &[]), 1.0);
    let told = Told::of(&plain(&site, &[]));
    assert_eq!(told.sum("canis_sealed", &[]), 1.0);
    assert_eq!(told.families().len(), Family::ALL.len());
}

/// R87: that the audit log cannot be written is told where everything else is refused.
#[test]
fn without_a_log() {
    let site = Site::with(&["--metrics", "127.0.0.1:0"]);
    assert_eq!(Told::of(&plain(&site, &[])).sum("canis_audit_failing", &[]), 0.0);
    // The folder is made with the first line, and a line is there before its answer.
    assert_eq!(site.ask("GET", "/v1/kms/keys", "").status, 200);
    let folder = site.deployment.data().join("audit");
    fs::rename(&folder, site.deployment.data().join("aside")).unwrap();
    fs::write(&folder, b"").unwrap();
    fs::remove_dir_all(site.deployment.data().join("aside")).unwrap();
    let refused = site.ask("GET", "/v1/kms/keys", "");
    assert_eq!(refused.problem(), (503, "audit_unavailable".into()));
    for came in [plain(&site, &[]), site.ask("GET", "/metrics", "")] {
        let told = Told::of(&came);
        assert_eq!(told.sum("canis_audit_failing", &[]), 1.0);
        assert!(told.sum("canis_audit_failures_total", &[]) >= 1.0);
        assert!(told.sum("canis_audit_lines_waiting", &[]) >= 1.0);
    }
}

/// The plain listener is for this machine: no address of the network, and no page that gave its own host this machine's address.
#[test]
fn for_this_machine_only() {
    let site = Site::with(&["--metrics", "127.0.0.1:0"]);
    let came = |arguments: &[&str]| plain(&site, arguments).status;
    assert_eq!(came(&["--header", "Host: evil.example"]), 421);
    assert_eq!(came(&["--header", "Host: 127.0.0.1.evil.example:80"]), 421);
    assert_eq!(came(&["--header", "Host: localhost:9743"]), 200);
    assert_eq!(came(&["--header", "Host: [::1]"]), 200);
    let at = format!("http://{}", site.metrics());
    assert_eq!(site.curl_at(&at, "GET", "/v1/kms/keys", &[]).status, 404);
    assert_eq!(site.curl_at(&at, "POST", "/metrics", &["--data", "x"]).status, 405);
    let head = site.curl_at(&at, "HEAD", "/metrics", &["--head"]);
    assert_eq!((head.status, head.head.contains("text/plain")), (200, true));
    for address in ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"] {
        let deployment = harness::Deployment::with_keyfile();
        let mut command = deployment.server_command("127.0.0.1:0");
        let output = command.args(["--metrics", address]).output().unwrap();
        assert_eq!(output.status.code(), Some(3), "{address}");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains("would tell the network"), "{said}");
    }
}

/// Who connects and says nothing keeps nobody out.
#[test]
fn silent_peers() {
    let site = Site::with(&["--metrics", "127.0.0.1:0"]);
    let silent: Vec<_> = (0..32).map(|_| std::net::TcpStream::connect(site.metrics()).unwrap()).collect();
    assert_eq!(plain(&site, &[]).status, 200);
    drop(silent);
}

/// The dashboard and the alarms ask for metrics and labels that exist, in queries that Prometheus would take.
#[test]
fn dashboard_and_alarms_use_what_there_is() {
    let mut names = serde_json::Map::new();
    for family in Family::ALL {
        let parts: &[&str] = match family.kind {
            Kind::Histogram => &["_bucket", "_count", "_sum"],
            Kind::Summary => &["_count", "_sum"],
            Kind::Counter | Kind::Gauge => &[""],
        };
        for part in parts {
            names.insert(format!("{}{part}", family.queried()), family.labels.into());
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("names.json");
    fs::write(&file, Json::Object(names).to_string()).unwrap();
    let output = Command::new(harness::client_of_python("python"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .args(["tests/watched.py", "../docs/grafana.json", "../docs/alerts.yml"])
        .arg(&file)
        .output()
        .unwrap();
    let told = harness::stdout(&output);
    let numbers: Vec<usize> = told.split_whitespace().map(|number| number.parse().unwrap()).collect();
    assert!(numbers[0] >= 30 && numbers[1] >= 25, "{told}");
}
