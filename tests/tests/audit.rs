//! The audit log of a real server: what was answered has its line, whatever happens to the process and its disk.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use canis_tests::{Finished, Server, Site};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

fn lines(server: &Server, more: &[&str]) -> Vec<Value> {
    let shown = server.canis(&[&["audit", "search"], more].concat(), b"").ok().text();
    shown.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn verify(server: &Server) -> Finished {
    server.canis(&["audit", "verify"], b"")
}

/// The keys that have a line of their making.
fn made(server: &Server) -> BTreeSet<String> {
    let lines = lines(server, &["--op", "key.create", "--result", "ok"]);
    lines.iter().map(|line| line["on"].as_str().unwrap().trim_start_matches("kms/keys/").to_owned()).collect()
}

/// R87, R65: a key that is there has its line, also where the server was killed between the two; the log is whole.
#[test]
fn no_change_loses_its_line_to_kill_9() {
    let site = Site::with_keyfile();
    for round in 0..4 {
        let server = Arc::new(site.start().unsealed());
        let (tell, told) = std::sync::mpsc::channel();
        let workers: Vec<_> = (0..3)
            .map(|who| {
                let (server, tell) = (Arc::clone(&server), tell.clone());
                std::thread::spawn(move || {
                    for n in 0.. {
                        let name = format!("r{round}-w{who}-{n}");
                        if server.canis(&["key", "create", &name, "--type", "ed25519"], b"").code != 0 {
                            break;
                        }
                        tell.send(()).unwrap();
                    }
                })
            })
            .collect();
        drop(tell);
        told.recv().expect("no key was made");
        std::thread::sleep(Duration::from_millis(150 + 70 * round));
        canis_tests::run(std::process::Command::new("kill").args(["-KILL", &server.pid().to_string()]), b"")
            .ok();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
    }
    let server = site.start().unsealed();
    let listed = server.canis(&["key", "list", "--json"], b"").ok().text();
    let there: Value = serde_json::from_str(&listed).unwrap();
    let there: BTreeSet<String> = there["keys"]
        .as_array()
        .or(there.as_array())
        .unwrap()
        .iter()
        .map(|key| key["name"].as_str().unwrap().to_owned())
        .collect();
    assert!(!there.is_empty());
    let told = made(&server);
    assert_eq!(there.difference(&told).collect::<Vec<_>>(), Vec::<&String>::new());
    let verified = verify(&server);
    assert_eq!(verified.code, 0, "{}", verified.text());
}

/// R87, R88: who did what from where, also who was not let in; and a running server tells what was done to its log.
#[test]
fn a_server_tells_what_was_asked() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    server.canis(&["key", "create", "a", "--type", "aes256-gcm"], b"").ok();
    let sealed = server.canis(&["encrypt", "a"], b"a secret plaintext").ok().text();
    server.canis(&["decrypt", "a"], sealed.as_bytes()).ok();
    assert_ne!(server.canis(&["key", "show", "nowhere"], b"").code, 0);
    let found = lines(&server, &["--key", "a"]);
    let ops: Vec<&str> = found.iter().map(|line| line["op"].as_str().unwrap()).collect();
    assert_eq!(ops, ["key.create", "encrypt", "decrypt"]);
    assert!(found[0]["change"].is_u64(), "also the first change carries its line: {}", found[0]);
    let encrypt = &found[1];
    assert_eq!(
        (encrypt["door"].as_str(), encrypt["from"].as_str(), encrypt["by"].as_str(), encrypt["in"].as_u64()),
        (Some("canisp"), Some("127.0.0.1"), Some("token"), Some(18))
    );
    assert_eq!(lines(&server, &["--result", "refused"])[0]["result"], "key_not_found");
    let stranger = server.canis(&["--token-file", "/dev/null", "key", "list"], b"");
    assert_ne!(stranger.code, 0);
    assert_eq!(verify(&server).code, 0);
    // Somebody removes what was written so far; the server goes on in another file and says what is missing.
    std::thread::sleep(Duration::from_millis(1500));
    let file = only_file(&site.data());
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains("a secret plaintext") && !text.contains(&site.token));
    fs::remove_file(&file).unwrap();
    server.canis(&["key", "show", "a"], b"").ok();
    let verified = verify(&server);
    assert_eq!(verified.code, 1);
    assert!(verified.text().contains("is missing before this one"), "{}", verified.text());
}

fn only_file(data: &Path) -> std::path::PathBuf {
    let files: Vec<_> =
        fs::read_dir(data.join("audit")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1);
    files[0].clone()
}

/// R87: while the log cannot be written nothing is done, and `status` says why; then it goes on.
#[test]
fn without_a_log_nothing_is_done() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    server.canis(&["key", "create", "a", "--type", "aes256-gcm"], b"").ok();
    let folder = site.data().join("audit");
    let aside = site.data().join("aside");
    fs::rename(&folder, &aside).unwrap();
    fs::write(&folder, b"").unwrap();
    fs::remove_dir_all(&aside).unwrap();
    let refused = server.canis(&["key", "show", "a"], b"");
    assert_ne!(refused.code, 0);
    assert!(refused.stderr.contains("audit_unavailable"), "{}", refused.stderr);
    let status: Value = serde_json::from_str(&server.canis(&["status", "--json"], b"").ok().text()).unwrap();
    assert!(status["audit"].as_str().unwrap().contains("audit"), "{status}");
    fs::remove_file(&folder).unwrap();
    let end = std::time::Instant::now() + Duration::from_secs(20);
    while server.canis(&["key", "show", "a"], b"").code != 0 {
        assert!(std::time::Instant::now() < end, "it does not go on");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(verify(&server).code, 1, "what was removed is missing");
}

/// R87: what is done on a data directory without a server is written, too, and the next server finds it whole.
#[test]
fn the_program_writes_its_own() {
    let site = Site::with_keyfile();
    let data = site.data().display().to_string();
    let keyfile = site.file("root.key").display().to_string();
    let here = |args: &[&str]| {
        let mut command = site.command("canis");
        canis_tests::run(command.args(args).args(["--data", &data, "--keyfile", &keyfile]), b"")
    };
    here(&["audit", "verify"]).ok();
    let server = site.start().unsealed();
    // It is of no tenant, and so for the host's own eyes.
    let unsealed = ["--op", "store.unseal"];
    assert_eq!(lines(&server, &unsealed).len(), 0);
    let files = fs::read_dir(site.data().join("audit")).unwrap();
    let text: String = files.map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
    assert_eq!(text.matches("\"op\":\"store.unseal\"").count(), 2);
    assert_eq!(verify(&server).code, 0);
    server.stop();
    let verified = here(&["audit", "verify"]);
    assert_eq!(verified.code, 0, "{}", verified.text());
    assert!(verified.text().contains("whole: "));
}

/// R87: a line names the rule that let its operation through, or did not.
#[test]
fn lines_name_the_rule() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    server.canis(&["key", "create", "invoices", "--type", "aes256-gcm"], b"").ok();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).display().to_string();
    let (policy, token) = (file("billing.hcl"), file("token"));
    fs::write(&policy, "path \"kms/keys/invoices\" {\n  capabilities = [\"encrypt\"]\n}\n").unwrap();
    server.canis(&["policy", "put", "billing", &policy], b"").ok();
    let made = server.canis(&["token", "create", "--policy", "billing", "--json"], b"").ok().text();
    let made: Value = serde_json::from_str(&made).unwrap();
    fs::write(&token, made["token"].as_str().unwrap()).unwrap();
    server.canis(&["--token-file", &token, "encrypt", "invoices"], b"7").ok();
    assert_ne!(server.canis(&["--token-file", &token, "key", "rotate", "invoices"], b"").code, 0);
    let found = lines(&server, &["--key", "invoices"]);
    let told: Vec<_> =
        found.iter().map(|line| (line["op"].as_str().unwrap(), line["rule"].as_str())).collect();
    assert_eq!(
        told,
        [("key.create", None), ("encrypt", Some("billing:1")), ("key.rotate", Some("billing:1"))]
    );
    assert_eq!(found[2]["result"], "permission_denied");
}
