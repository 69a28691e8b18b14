//! What stands in the documents to be typed is typed: against a real server, in a folder of its own.
//!
//! Every fenced block of every document has a row below. What is changed of a block before it runs, addresses and folders
//! that the reader has other ones of, stands there, too.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod harness;
mod web;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use web::Site;
use web::documents::{Block, Check, blocks};

/// Which blocks a document has, by what stands behind their fences, and what makes sure that they are true.
const PLACES: &[(&str, &str, usize, Check)] = &[
    ("README.md", "console", 7, Check::Here),
    ("CONTRIBUTING.md", "sh", 1, Check::Shown("building and testing themselves")),
    ("ARCHITECTURE.md", "text", 1, Check::Shown("a map of folders")),
    ("docs/adr/0003-typed-operations.md", "rust", 1, Check::Shown("what was decided, as a sketch")),
    ("docs/approvals.md", "hcl", 2, Check::Here),
    ("docs/approvals.md", "text", 2, Check::By("canis-server/tests/approvals.rs", "no_door_leads_round_it")),
    ("docs/audit.md", "sh", 1, Check::Here),
    ("docs/byok.md", "sh", 5, Check::By("canis-cli/tests/byok.rs", "the_document_runs_as_it_stands")),
    // Those of hybrid keys by `hybrid_wrapping.rs` beside it.
    ("docs/byok.md", "sh recipe", 8, Check::By("canis-cli/tests/byok.rs", "the_document_runs_as_it_stands")),
    ("docs/byok.md", "text", 1, Check::By("tests/tests/softhsm_import.rs", "a_token_moves_in")),
    (
        "docs/canisp-pkcs11.md",
        "hex",
        0,
        Check::By("canis-server/tests/documentation.rs", "hex_blocks_decode"),
    ),
    ("docs/canisp.md", "hex", 0, Check::By("canis-server/tests/documentation.rs", "hex_blocks_decode")),
    ("docs/canisp.md", "text", 1, Check::Shown("a picture of the header")),
    ("docs/configuration.md", "sh", 1, Check::Here),
    ("docs/files.md", "sh", 3, Check::Here),
    ("docs/files.md", "rust,ignore", 1, Check::Shown("an outline; the clients' examples run")),
    (
        "docs/files.md",
        "python",
        1,
        Check::By("canis-client/python/tests/test_files.py", "canis_files.create"),
    ),
    ("docs/hsm.md", "sh", 4, Check::By("tests/tests/hsm_document.rs", "the_steps_work_as_written")),
    ("docs/hsm.md", "toml", 1, Check::Here),
    ("docs/http.md", "sh", 2, Check::Here),
    ("docs/identities.md", "hcl", 1, Check::Here),
    (
        "docs/installation.md",
        "sh",
        2,
        Check::Shown("changes the host; installed.rs and canis-cli/tests/tls.rs do it elsewhere"),
    ),
    ("docs/installation.md", "ini", 1, Check::Shown("a drop-in of the host's")),
    ("docs/metrics.md", "sh", 1, Check::Here),
    ("docs/metrics.md", "yaml", 1, Check::Shown("for Prometheus, of which only the client is at hand")),
    ("docs/operations.md", "sh", 2, Check::By("tests/tests/store_migrate.rs", "there_and_back")),
    ("docs/performance.md", "sh", 2, Check::Shown("measurements, which take minutes")),
    ("docs/pkcs11.md", "sh", 2, Check::Here),
    ("docs/pkcs11.md", "toml", 1, Check::Here),
    ("docs/policy.md", "hcl", 2, Check::Here),
    ("docs/policy.md", "text", 1, Check::Shown("what is printed")),
    ("docs/post-quantum.md", "sh", 5, Check::By("tests/tests/openssl_post_quantum.rs", "the_document")),
    ("docs/storage.md", "text", 1, Check::Shown("a picture of the keys")),
    ("docs/vault.md", "sh", 1, Check::Here),
    ("docs/vault.md", "sh recipe", 2, Check::Here),
];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
}

fn documents() -> Vec<PathBuf> {
    let markdown = |folder: &str| {
        let entries = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.extension().is_some_and(|it| it == "md")).collect::<Vec<_>>()
    };
    ["", "docs", "docs/adr"].map(markdown).concat()
}

/// Every block of the documents is run, by this or another test that is there, or says why not.
#[test]
fn every_block_has_its_place() {
    let mut found = BTreeMap::new();
    for path in documents() {
        let name = path.strip_prefix(root()).unwrap().to_str().unwrap().trim_start_matches('/').to_owned();
        for block in blocks(&fs::read_to_string(&path).unwrap()) {
            // Of frames in hex there may be any number: the test that is named takes them all.
            let counted = usize::from(block.kind() != "hex");
            *found.entry((name.clone(), block.kind().to_owned())).or_insert(0) += counted;
        }
    }
    found.remove(&("CHANGELOG.md".to_owned(), String::new()));
    let told: BTreeMap<_, _> = PLACES
        .iter()
        .map(|(name, kind, count, _)| (((*name).to_owned(), (*kind).to_owned()), *count))
        .collect();
    assert_eq!(found, told, "a block without a place, or a place without its block");
    for (name, kind, _, check) in PLACES {
        match check {
            Check::Here => {}
            Check::By(file, what) => {
                let text = fs::read_to_string(root().join(file)).unwrap();
                assert!(text.contains(what), "{name} {kind}: {file} lacks {what}");
            }
            Check::Shown(why) => assert!(!why.is_empty()),
        }
    }
}

/// A reader's folder and shell, at a server.
struct Reader {
    site: Site,
    folder: tempfile::TempDir,
}

impl Reader {
    fn new() -> Self {
        Reader { site: Site::new(), folder: tempfile::tempdir().unwrap() }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> &Self {
        fs::write(self.folder.path().join(name), bytes).unwrap();
        self
    }

    /// The blocks of this kind in a document, with the reader's own addresses and folders.
    fn blocks(&self, name: &str, kind: &str) -> Vec<String> {
        let text = fs::read_to_string(root().join(name)).unwrap();
        let own = |block: Block| {
            let commands = block.commands().replace("127.0.0.1:8443", &self.site.address);
            commands.replace("DIR", &self.site.deployment.data().display().to_string())
        };
        blocks(&text).into_iter().filter(|block| block.kind() == kind).map(own).collect()
    }

    /// Runs a block to its end, and gives what was printed.
    fn run(&self, commands: &str) -> String {
        let home = self.folder.path();
        let programs = harness::program("canis").parent().unwrap().display().to_string();
        let python = harness::client_of_python("python").parent().unwrap().display().to_string();
        let path = format!("{programs}:{python}:{}", std::env::var("PATH").unwrap());
        let mut shell = Command::new("bash");
        shell
            .args(["-euo", "pipefail", "-c", commands])
            .current_dir(home)
            .env("HOME", home)
            .env("PATH", path);
        for (name, value) in self.site.deployment.canis(&self.site.server).get_envs() {
            shell.env(name, value.unwrap_or_default());
        }
        let output = shell.output().unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{commands}\n{told}");
        String::from_utf8(output.stdout).unwrap()
    }
}

/// The way of the README, from an empty folder to a login by a key in the module.
#[test]
fn the_readme() {
    let reader = Reader::new();
    let [_building, server, keys, life, pairs, hsm, module] = &reader.blocks("README.md", "console")[..]
    else {
        panic!("the README has other blocks");
    };
    // The reader's server is left running; this one stops when it listens.
    let own = server.replace("/srv/canis", "own").replace("127.0.0.1:7443 &", "127.0.0.1:0 > lines &");
    reader
        .run(&format!("{own}\nuntil grep -q listening lines; do sleep 0.1; done; kill $!; wait $! || true"));
    reader.write("dump.sql", b"create table").write("app.tar", b"an archive");
    reader.run(keys);
    assert_eq!(reader.run("cat dump.sql"), "create table");
    reader.write("keys.yaml", b"keys:\n  - name: production/db\n    type: aes256-gcm\n");
    reader.run(&format!("canis encrypt production/db --in dump.sql --out old.sealed\n{life}"));
    reader.run("openssl genpkey -quiet -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem; openssl pkey -in key.pem -pubout -out pub.pem; echo contract > contract.pdf");
    reader.run(pairs);
    assert!(hsm.contains("canis init --data /srv/canis --root hsm"), "as docs/hsm.md, which is run: {hsm}");
    let built = harness::program("libcanis_pkcs11.so").display().to_string();
    let module = module.replace("$PWD/target/release/libcanis_pkcs11.so", &built);
    // The login itself, which needs a host that asks for it, is a test of the module's.
    let (module, login) = module.split_once("ssh -I").unwrap();
    assert_eq!(login.trim(), "$m localhost");
    reader.run(&format!("mkdir .ssh\n{module}"));
    assert!(reader.run("cat .ssh/authorized_keys").starts_with("ecdsa-sha2-nistp256 "));
}

/// What docs/http.md says to curl, with the server's own address.
#[test]
fn http() {
    let reader = Reader::new();
    let [first, streams] = &reader.blocks("docs/http.md", "sh")[..] else { panic!("other blocks") };
    assert!(reader.run(first).contains("canis:v1:production/tls:1:"));
    reader.write("some", b"thing");
    // What is written does not stand among what is read.
    let streams = streams.replace("tar c .", "tar c some");
    assert_eq!(reader.run(&streams), "some\n");
}

/// docs/vault.md, with OpenBao's own program.
#[test]
fn vault() {
    let reader = Reader::new();
    let [block] = &reader.blocks("docs/vault.md", "sh")[..] else { panic!("other blocks") };
    assert!(reader.run(block).contains("vault:v1:"));
}

/// docs/vault.md: what a server of OpenBao has encrypted under two versions of a key is encrypted anew, in both ways.
#[test]
fn moving_from_vault() {
    let reader = Reader::new();
    let moves = reader.blocks("docs/vault.md", "sh recipe");
    assert_eq!(moves.len(), 2);
    let there = r#"
        port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
        bao server -dev -dev-no-store-token -dev-root-token-id=there -dev-listen-address=127.0.0.1:$port > bao.log 2>&1 &
        trap "kill $!" EXIT
        export BAO_ADDR=http://127.0.0.1:$port BAO_TOKEN=there
        until bao secrets enable transit > enabled 2>&1; do kill -0 $!; sleep 0.1; done
        bao write -f transit/keys/payments exportable=true > made
        bao write -field=ciphertext transit/encrypt/payments plaintext="$(base64 <<< one)" > old.txt; echo >> old.txt
        bao write -f transit/keys/payments/rotate > made
        bao write -field=ciphertext transit/encrypt/payments plaintext="$(base64 <<< two)" >> old.txt; echo >> old.txt"#;
    let opened = "while read -r one; do canis decrypt payments <<< $one; done < new.txt";
    reader.run("canis key create payments --type aes256-gcm");
    let moved = |commands: &str| reader.run(&format!("{there}\n( {commands} ) > moved\n{opened}"));
    assert!(moves.iter().all(|commands| moved(commands) == "one\ntwo\n"));
    // Not even under its own key is it a ciphertext of CANIS.
    let renamed = "head -1 old.txt | sed 's|vault:v1:|canis:v1:old/payments:1:|'";
    assert!(
        reader
            .run(&format!("{renamed} | canis decrypt old/payments 2>&1 || true"))
            .contains("decryption_failed")
    );
}

/// docs/files.md: files encrypted and decrypted, by `canis file` and by age.
#[test]
fn files() {
    let reader = Reader::new();
    let [block, quantum, age] = &reader.blocks("docs/files.md", "sh")[..] else { panic!("other blocks") };
    let make = "canis key create $key --type aes256-gcm";
    for key in ["payroll", "reports", "archive"] {
        reader.run(&make.replace("$key", key));
    }
    reader.run("mkdir reports photos vault; echo one > reports/one; echo two > photos/two");
    reader.write("salaries.csv", b"name,salary\n");
    reader.run(&format!("{block}\n{age}"));
    // Identities are never written over.
    reader.run(&format!("rm recovery.identity salaries.csv.age\n{quantum}"));
}

/// docs/audit.md; what would follow the log for ever looks once.
#[test]
fn audit() {
    let reader = Reader::new();
    let [block] = &reader.blocks("docs/audit.md", "sh")[..] else { panic!("other blocks") };
    reader.run("canis key create payments --type aes256-gcm");
    reader.run(&block.replace("-n 20 -f", "-n 20"));
    assert!(reader.run("cat audit.jsonl").contains("payments"));
}

/// docs/configuration.md, docs/metrics.md, and the configuration of docs/hsm.md.
#[test]
fn operating() {
    let reader = Reader::new();
    let [check] = &reader.blocks("docs/configuration.md", "sh")[..] else { panic!("other blocks") };
    reader.run(check);
    let [watcher] = &reader.blocks("docs/metrics.md", "sh")[..] else { panic!("other blocks") };
    assert!(reader.run(watcher).contains("canis"));
    let [hsm] = &reader.blocks("docs/hsm.md", "toml")[..] else { panic!("other blocks") };
    let known = fs::read_to_string(root().join("docs/configuration.md")).unwrap();
    for line in hsm.lines().filter(|line| line.contains('=')) {
        let key = line.split('=').next().unwrap().trim();
        assert!(known.contains(&format!("root.{key}")) || known.contains(&format!("`{key}`")), "{key}");
    }
}

/// The policies of docs/policy.md and docs/approvals.md and the role of docs/identities.md are taken.
#[test]
fn policies_and_roles() {
    let reader = Reader::new();
    let [policy, auditor] = &reader.blocks("docs/policy.md", "hcl")[..] else { panic!("other blocks") };
    reader.write("billing", policy.as_bytes()).run("canis policy put billing billing");
    reader.write("auditor", auditor.as_bytes()).run("canis policy put auditor auditor");
    let auditing = |capability: &str, path: &str| {
        reader.run(&format!("canis policy test auditor --capability {capability} --path {path} || true"))
    };
    assert!(auditing("admin", "sys/audit").starts_with("allowed"));
    assert!(auditing("read", "sys/metrics").starts_with("allowed"));
    assert!(auditing("admin", "sys/credentials").starts_with("denied"));
    let [role] = &reader.blocks("docs/identities.md", "hcl")[..] else { panic!("other blocks") };
    reader.run(
        "printf 'path \"kms/keys/shop/*\" { capabilities = [\"encrypt\"] }\\n' | canis policy put shop -",
    );
    reader.write("till", role.as_bytes()).run("canis role put till till");
    let [demand, guard] = &reader.blocks("docs/approvals.md", "hcl")[..] else { panic!("other blocks") };
    reader.write("demand", demand.as_bytes()).run("canis policy put demand demand");
    reader.write("guard", guard.as_bytes()).run("canis policy put guard guard");
    // From here on nobody writes another alone.
    assert!(
        reader
            .run("canis policy put late demand 2>&1 || true")
            .contains("`policy.put` on sys/policies/late takes the approval of 2 others")
    );
}

/// docs/pkcs11.md: a token by pkcs11-tool, another by `canis slot`; and the configuration of a remote module.
#[test]
fn pkcs11() {
    let reader = Reader::new();
    let [local, slots] = &reader.blocks("docs/pkcs11.md", "sh")[..] else { panic!("other blocks") };
    let built = harness::program("libcanis_pkcs11.so").display().to_string();
    assert!(reader.run(&local.replace("/usr/local/lib/libcanis_pkcs11.so", &built)).contains("ecdsa-sha2"));
    let keyfile = reader.site.deployment.data();
    reader.run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -subj /CN=www -out cert.pem -days 2; printf 12345678 > so; printf 4711 > pin");
    // A store of the reader's own, without a server.
    let slots = slots.replace(&keyfile.display().to_string(), "slots");
    assert!(reader.run(&slots).contains("BEGIN CERTIFICATE"));
    let [remote] = &reader.blocks("docs/pkcs11.md", "toml")[..] else { panic!("other blocks") };
    let page = fs::read_to_string(root().join("docs/pkcs11.md")).unwrap();
    for line in remote.lines().filter(|line| line.contains('=')) {
        let key = line.split('=').next().unwrap().trim();
        assert!(page.matches(&format!("`{key}`")).count() > 0, "{key} is not described");
    }
}
