//! Programs written for Vault, as they come from their makers, with CANIS in its place: OpenBao's command line, an OpenBao
//! server that seals itself, sops, hvac, Tink.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod web;

use harness::{client_of_python, failure, stdout};
use serde_json::{Value as Json, json};
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};
use web::Site;

/// A program with the environment that Vault's programs take.
fn told(site: &Site, program: &Path) -> Command {
    let mut command = Command::new(program);
    let home = site.deployment.folder.path();
    command.env("HOME", home).current_dir(home);
    for (name, value) in
        [("ADDR", format!("https://{}", site.address)), ("TOKEN", site.deployment.token.clone())]
    {
        command.env(format!("VAULT_{name}"), &value).env(format!("BAO_{name}"), value);
    }
    command.env("VAULT_CACERT", site.deployment.ca()).env("BAO_CACERT", site.deployment.ca());
    command
}

fn bao(site: &Site, args: &[&str]) -> Output {
    told(site, &client_of_python("bao")).args(args).output().unwrap()
}

/// What the command line prints as JSON.
fn bao_json(site: &Site, args: &[&str]) -> Json {
    let output = told(site, &client_of_python("bao")).env("BAO_FORMAT", "json").args(args).output().unwrap();
    serde_json::from_str(&stdout(&output)).unwrap()
}

/// OpenBao's command line makes, lists, uses, configures and deletes keys, and keeps its own token.
#[test]
fn the_command_line_of_openbao() {
    let site = Site::new();
    assert!(stdout(&bao(&site, &["status"])).contains("Sealed          false"));
    let made = bao_json(&site, &["write", "-f", "transit/keys/payments"]);
    assert_eq!((&made["data"]["type"], &made["data"]["latest_version"]), (&json!("aes256-gcm96"), &json!(1)));
    assert_eq!(bao_json(&site, &["list", "transit/keys"]), json!(["payments"]));
    let sealed = bao_json(&site, &["write", "transit/encrypt/payments", "plaintext=aGVsbG8="]);
    let sealed = sealed["data"]["ciphertext"].as_str().unwrap();
    assert!(sealed.starts_with("vault:v1:") && sealed.split(':').count() == 3, "{sealed}");
    bao_json(&site, &["write", "-f", "transit/keys/payments/rotate"]);
    let opened = bao(
        &site,
        &["write", "-field=plaintext", "transit/decrypt/payments", &format!("ciphertext={sealed}")],
    );
    assert_eq!(stdout(&opened), "aGVsbG8=");
    let refused = failure(&bao(&site, &["delete", "transit/keys/payments"]), 2);
    assert!(refused.contains("deletion_allowed"), "{refused}");
    bao_json(&site, &["write", "transit/keys/payments/config", "deletion_allowed=true"]);
    stdout(&bao(&site, &["delete", "transit/keys/payments"]));
    let gone = failure(&bao(&site, &["read", "transit/keys/payments"]), 2);
    assert!(gone.contains("No value found"), "{gone}");
    assert!(stdout(&bao(&site, &["secrets", "list"])).contains("transit/"));
    stdout(&bao(&site, &["login", &site.deployment.token]));
    let token = bao_json(&site, &["token", "create", "-ttl=2h", "-display-name=short"]);
    assert_eq!(token["auth"]["lease_duration"], 7200);
    stdout(&bao(&site, &["token", "revoke", "-accessor", token["auth"]["accessor"].as_str().unwrap()]));
}

/// a key that its owner has wrapped by OpenBao's command line comes in, and its next version after it.
#[test]
fn a_key_is_brought_by_openbao() {
    let site = Site::new();
    fs::write(site.deployment.folder.path().join("key"), "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")
        .unwrap();
    stdout(&bao(
        &site,
        &["transit", "import", "transit/keys/brought", "@key", "type=aes256-gcm96", "exportable=true"],
    ));
    stdout(&bao(&site, &["transit", "import-version", "transit/keys/brought", "@key"]));
    let taken = bao_json(&site, &["read", "transit/export/encryption-key/brought/1"]);
    assert_eq!(taken["data"]["keys"]["1"], "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    assert_eq!(bao_json(&site, &["read", "transit/keys/brought"])["data"]["latest_version"], 2);
}

/// sops encrypts and decrypts a file of YAML.
#[test]
fn sops() {
    let site = Site::new();
    stdout(&bao(&site, &["write", "-f", "transit/keys/sops"]));
    let folder = site.deployment.folder.path();
    fs::write(folder.join("plain.yaml"), "password: hunter2\n").unwrap();
    let uri = format!("https://{}/v1/transit/keys/sops", site.address);
    let sops = |args: &[&str]| told(&site, &client_of_python("sops")).args(args).output().unwrap();
    let sealed = stdout(&sops(&["encrypt", "--hc-vault-transit", &uri, "plain.yaml"]));
    assert!(sealed.contains("enc: vault:v1:") && !sealed.contains("hunter2"), "{sealed}");
    fs::write(folder.join("sealed.yaml"), &sealed).unwrap();
    assert_eq!(stdout(&sops(&["decrypt", "sealed.yaml"])), "password: hunter2\n");
    site.ask("POST", "/v1/kms/keys/sops/disable", "").with(200);
    site.ask("PATCH", "/v1/kms/keys/sops", r#"{"deletion_allowed": true}"#).with(200);
    site.ask("DELETE", "/v1/kms/keys/sops", "").with(200);
    assert!(!sops(&["decrypt", "sealed.yaml"]).status.success());
}

fn python(site: &Site, script: &str) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vault").join(script);
    stdout(&told(site, &client_of_python("python")).arg(script).output().unwrap());
}

/// hvac's methods for transit and its tokens.
#[test]
fn hvac() {
    python(&Site::new(), "hvac_transit.py");
}

/// Tink's integration for Vault.
#[test]
fn tink() {
    python(&Site::new(), "tink_envelope.py");
}

/// An OpenBao server with its own store, sealed by a key of CANIS; ended when dropped.
struct Sealed<'a> {
    site: &'a Site,
    token: String,
    child: Option<Child>,
}

impl Sealed<'_> {
    fn folder(&self) -> &Path {
        self.site.deployment.folder.path()
    }

    fn start(&mut self) {
        let store = self.folder().join("bao");
        fs::create_dir_all(&store).unwrap();
        let config = format!(
            r#"storage "raft" {{
                path = "{store}"
                node_id = "one"
                performance_multiplier = 1
            }}
            # What it would tell others; there are none.
            cluster_addr = "http://127.0.0.1:1"
            api_addr = "http://127.0.0.1:2"
            listener "unix" {{ address = "{folder}/bao.sock" }}
            listener "tcp" {{
                address = "127.0.0.1:0"
                cluster_address = "127.0.0.1:0"
                tls_disable = true
            }}
            seal "transit" {{
                address = "https://{address}"
                token = "{token}"
                key_name = "unseal"
                mount_path = "transit/"
                tls_ca_cert = "{ca}"
            }}"#,
            store = store.display(),
            folder = self.folder().display(),
            address = self.site.address,
            token = self.token,
            ca = self.site.deployment.ca().display()
        );
        let file = self.folder().join("bao.hcl");
        fs::write(&file, config).unwrap();
        let mut server = Command::new(client_of_python("bao"));
        server.args(["server", "-config"]).arg(file).env("HOME", self.folder()).stdout(Stdio::piped());
        let mut child = server.stderr(Stdio::inherit()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        assert!(lines.any(|line| line.contains("server started")), "it did not start");
        std::thread::spawn(move || lines.for_each(drop));
        self.child = Some(child);
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn ask(&self, args: &[&str], token: &str) -> Output {
        let address = format!("unix://{}/bao.sock", self.folder().display());
        let mut command = Command::new(client_of_python("bao"));
        command.args(args).env("HOME", self.folder()).env("BAO_ADDR", address).env("BAO_TOKEN", token);
        command.output().unwrap()
    }

    /// Waits until it is open and at work.
    fn opened(&self) -> bool {
        let until = Instant::now() + Duration::from_secs(120);
        while Instant::now() < until {
            let status = self.ask(&["status"], "");
            if status.status.success() && String::from_utf8_lossy(&status.stdout).contains("active") {
                return true;
            }
            std::thread::sleep(Duration::from_millis(200));
        }
        false
    }
}

impl Drop for Sealed<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

/// an OpenBao server whose seal is a key of CANIS initialises itself, and opens by itself after it was killed; with
/// a token that may use that one key and nothing else. Without CANIS it stays closed.
#[test]
fn a_server_of_openbao_is_sealed() {
    let site = Site::new();
    stdout(&bao(&site, &["write", "-f", "transit/keys/unseal"]));
    let policy = r#"{"text": "path \"kms/keys/unseal\" { capabilities = [\"encrypt\", \"decrypt\"] }"}"#;
    site.ask("PUT", "/v1/sys/policies/unseal", policy).with(200);
    let token = bao_json(&site, &["token", "create", "-policy=unseal", "-ttl=1h"]);
    let token = token["auth"]["client_token"].as_str().unwrap().to_owned();
    let mut sealed = Sealed { site: &site, token, child: None };
    sealed.start();
    let made = stdout(&sealed.ask(&["operator", "init", "-format=json"], ""));
    let root = serde_json::from_str::<Json>(&made).unwrap()["root_token"].as_str().unwrap().to_owned();
    assert!(sealed.opened(), "it did not open after it was made");
    stdout(&sealed.ask(&["secrets", "enable", "-version=1", "kv"], &root));
    stdout(&sealed.ask(&["kv", "put", "-mount=kv", "a", "b=c"], &root));
    sealed.stop();
    sealed.start();
    assert!(sealed.opened(), "it did not open after it was killed");
    assert_eq!(stdout(&sealed.ask(&["kv", "get", "-mount=kv", "-field=b", "a"], &root)), "c");
}
