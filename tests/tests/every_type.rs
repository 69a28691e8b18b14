//! Every key type through everything that can happen to a store and to a key. The types are those that there are: who adds one need
//! not add it here, unless it is used in a way that no other is.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

mod moving;

use base64ct::{Base64, Encoding};
use canis_proto::{Family, KeyType, SignatureScheme, Usage};
use canis_tests::{Finished, Postgres, Server, Site, run};
use moving::{migrate, name_database, places};
use serde_json::{Value, json};

/// Longer RSA keys are as the shorter ones, and slow to make.
fn types() -> impl Iterator<Item = KeyType> {
    let all = KeyType::ALL.iter().copied().filter(|kind| !kind.is_legacy());
    all.filter(|kind| kind.family() != Family::Rsa || kind.bits() <= 2048)
}

/// What keys of a type are for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    Encrypt,
    Sign,
    Mac,
    Encapsulate,
    Derive,
}

impl Work {
    fn of(kind: KeyType) -> Work {
        let (usage, pair) = (kind.default_usage(), kind.is_asymmetric());
        match SignatureScheme::default_for(kind) {
            Some(_) => Work::Sign,
            None if usage.allows(Usage::SIGN) => Work::Mac,
            None if usage.allows(Usage::ENCRYPT) && pair => Work::Encapsulate,
            None if usage.allows(Usage::ENCRYPT) => Work::Encrypt,
            None if usage.allows(Usage::DERIVE) && pair => Work::Derive,
            None => panic!("{kind}: nothing is known here that keys of this type do; say how they are used"),
        }
    }

    /// What `canis` is asked to do it; to encapsulate in JSON, since it makes two things.
    fn asked(self, site: &Site, key: &str) -> String {
        let name = self.name();
        match self {
            Work::Encrypt | Work::Sign | Work::Mac => format!("{name} {key}"),
            Work::Encapsulate => format!("{name} {key} --print --json"),
            Work::Derive => format!("{name} {key} --peer {}", peer(site)),
        }
    }

    /// As audit lines call it.
    fn name(self) -> &'static str {
        match self {
            Work::Encrypt => "encrypt",
            Work::Sign => "sign",
            Work::Mac => "mac",
            Work::Encapsulate => "encapsulate",
            Work::Derive => "derive",
        }
    }
}

const MESSAGE: &[u8] = b"a message";

fn canis(server: &Server, words: &str) -> String {
    server.canis(&words.split_whitespace().collect::<Vec<_>>(), MESSAGE).ok().text().trim().to_owned()
}

/// What a version of a key made, by which it is known again.
struct Proof {
    work: Work,
    key: String,
    /// The ciphertext, signature or MAC in its text form; of `derive` the path of the peer's public key.
    made: String,
    /// The shared or derived secret.
    secret: String,
}

impl Proof {
    fn by(server: &Server, site: &Site, kind: KeyType, key: &str) -> Proof {
        let work = Work::of(kind);
        let said = canis(server, &work.asked(site, key));
        let (made, secret) = match work {
            Work::Encrypt | Work::Sign | Work::Mac => (said, String::new()),
            Work::Encapsulate => {
                let said: Value = serde_json::from_str(&said).unwrap();
                let text = |name: &str| said[name].as_str().unwrap().to_owned();
                (text("ciphertext"), text("secret_base64"))
            }
            Work::Derive => (peer(site), said),
        };
        Proof { work, key: key.to_owned(), made, secret }
    }

    /// How to open it, what on stdin, and what comes out if it holds.
    fn opening(&self) -> (String, &[u8], &[u8]) {
        let Proof { key, made, secret, .. } = self;
        match self.work {
            Work::Encrypt => (format!("decrypt {key}"), made.as_bytes(), MESSAGE),
            Work::Sign => (format!("verify {key} --signature {made}"), MESSAGE, b"valid"),
            Work::Mac => (format!("verify-mac {key} --mac {made}"), MESSAGE, b"valid"),
            Work::Encapsulate => {
                (format!("decapsulate {key} --ciphertext {made} --print"), b"", secret.as_bytes())
            }
            Work::Derive => (format!("derive {key} --peer {made}"), b"", secret.as_bytes()),
        }
    }

    fn holds(&self, server: &Server) {
        let (words, input, expected) = self.opening();
        let opened = server.canis(&words.split(' ').collect::<Vec<_>>(), input).ok();
        assert_eq!(opened.stdout.trim_ascii_end(), expected, "{}", self.key);
    }
}

/// The public key of another side, to derive with.
fn peer(site: &Site) -> String {
    site.file("peer.pem").display().to_string()
}

fn make_peer(server: &Server, site: &Site) {
    canis(server, "key create peer --type x25519");
    canis(server, &format!("key public peer --out {}", peer(site)));
}

/// R8, R16, R27, R36, R62, R66, R67: what two versions of a key of each type made holds after the tenant's key was replaced, the store lost and
/// restored from a backup, and the store moved to a database; and each is in the audit log.
#[test]
fn through_the_life_of_a_store() {
    let (postgres, site) = (Postgres::start(), Site::with_keyfile());
    let server = site.start().unsealed();
    make_peer(&server, &site);
    let mut proofs = Vec::new();
    for kind in types() {
        canis(&server, &format!("key create life/{kind} --type {kind}"));
        let first = Proof::by(&server, &site, kind, &format!("life/{kind}"));
        canis(&server, &format!("key rotate life/{kind}"));
        let second = Proof::by(&server, &site, kind, &format!("life/{kind}"));
        // The second version of a key that only derives is another key.
        proofs.extend((first.work != Work::Derive).then_some(first).into_iter().chain([second]));
    }
    let hold = |server: &Server| proofs.iter().for_each(|proof| proof.holds(server));
    canis(&server, "tenant rekey default");
    hold(&server);
    let (file, key) =
        (site.file("backup").display().to_string(), site.file("root.key").display().to_string());
    canis(&server, &format!("backup create --to {file} --slot keyfile"));
    for proof in &proofs {
        let lines = canis(&server, &format!("audit search --key {} --json", proof.key));
        for operation in ["key.create", "key.rotate", proof.work.name()] {
            assert!(
                lines.contains(&format!("\"{operation}\"")),
                "{}: no line of {operation}: {lines}",
                proof.key
            );
        }
        assert!(
            proof.secret.is_empty() || !lines.contains(&proof.secret),
            "{}: a secret in the log",
            proof.key
        );
    }
    server.stop();

    for name in ["canis.dat", "canis.dat-wal", "canis.dat-shm"] {
        drop(std::fs::remove_file(site.data().join(name)));
    }
    let data = site.data().display().to_string();
    let restore = ["backup", "restore", &file, "--data", &data, "--keyfile", &key];
    run(site.command("canis").args(restore), b"").ok();
    let server = site.start().unsealed();
    hold(&server);
    server.stop();

    let (file, url) = places(&site, &postgres);
    migrate(&site, &file, &url).ok();
    name_database(&site, Some(&url));
    site.canis("store verify").ok();
    let server = site.start().unsealed();
    hold(&server);
    server.stop();
}

fn refused(done: &Finished, code: &str) {
    assert!(done.code == 3 && done.stderr.contains(code) && done.stdout.is_empty(), "{code}: {done:?}");
}

/// R51, R53, R54: a key of any type leaves as its two flags say and not otherwise; wrapped by an AES key it comes back as the same key, and
/// what was altered on the way does not.
#[test]
fn in_and_out() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    canis(&server, "key create transport --type aes256-gcm --usage wrap,unwrap");
    for kind in types() {
        let plain = if kind.is_asymmetric() { "pkcs8" } else { "raw" };
        let export = |name: &str, format: &str| {
            let words = format!("key export {name} --format {format}");
            server.canis(&words.split(' ').collect::<Vec<_>>(), b"")
        };
        let (stays, wrapped) = (format!("stays/{kind}"), format!("wrapped/{kind}"));
        canis(&server, &format!("key create {stays} --type {kind}"));
        canis(&server, &format!("key create {wrapped} --type {kind} --exportable"));
        canis(
            &server,
            &format!("key create plain/{kind} --type {kind} --exportable --allow-plaintext-backup"),
        );
        for format in [plain, "wrapped --wrapping-key transport"] {
            refused(&export(&stays, format), "key_not_exportable");
        }
        refused(&export(&wrapped, plain), "key_sensitive");
        assert!(!export(&format!("plain/{kind}"), plain).ok().stdout.is_empty());

        let left = site.file("left");
        std::fs::write(&left, export(&wrapped, "wrapped --wrapping-key transport").ok().stdout).unwrap();
        let import = |name: &str| {
            let words = format!(
                "key import {name} --type {kind} --wrapped {} --wrapping-key transport",
                left.display()
            );
            server.canis(&words.split(' ').collect::<Vec<_>>(), b"")
        };
        import(&format!("back/{kind}")).ok();
        match Work::of(kind) {
            Work::Encrypt => {}
            Work::Mac => {
                let mac = |name: &str| {
                    canis(&server, &format!("mac {name}")).rsplit(':').next().unwrap().to_owned()
                };
                assert_eq!(mac(&wrapped), mac(&format!("back/{kind}")));
            }
            _ => {
                let public = |name: &str| canis(&server, &format!("key public {name}"));
                assert_eq!(public(&wrapped), public(&format!("back/{kind}")));
            }
        }
        let mut altered = std::fs::read(&left).unwrap();
        let middle = altered.len() / 2;
        altered[middle] ^= 1;
        std::fs::write(&left, altered).unwrap();
        refused(&import(&format!("altered/{kind}")), "decryption_failed");
    }
    server.stop();
}

/// R57: what a policy grants holds for keys of all types alike: who may look at them uses none, who may use them opens nothing and takes
/// nothing out, and who may open makes nothing.
#[test]
fn by_policy() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    make_peer(&server, &site);
    let token = |name: &str, capabilities: &str| {
        let path = site.file(name);
        let text = format!("path \"kms/keys/p/*\" {{\n  capabilities = [{capabilities}]\n}}\n");
        std::fs::write(&path, text).unwrap();
        canis(&server, &format!("policy put {name} {}", path.display()));
        let made = canis(&server, &format!("token create --policy {name} --json"));
        serde_json::from_str::<Value>(&made).unwrap()["token"].as_str().unwrap().to_owned()
    };
    let looks = token("looks", "\"read\"");
    let makes = token("makes", "\"encrypt\", \"sign\"");
    let opens = token("opens", "\"decrypt\", \"verify\"");
    let ask = |token: &str, words: &str, input: &[u8]| {
        server.canis_as(token, &words.split(' ').collect::<Vec<_>>(), input)
    };
    for kind in types() {
        let key = format!("p/{kind}");
        canis(&server, &format!("key create {key} --type {kind} --exportable --allow-plaintext-backup"));
        let proof = Proof::by(&server, &site, kind, &key);
        let asked = proof.work.asked(&site, &key);
        let (opening, input, expected) = proof.opening();
        // To derive is to get at what others have closed.
        let (may, other) = if proof.work == Work::Derive { (&opens, &makes) } else { (&makes, &opens) };
        ask(may, &asked, MESSAGE).ok();
        for token in [&looks, other] {
            refused(&ask(token, &asked, MESSAGE), "permission_denied");
        }
        let plain = if kind.is_asymmetric() { "pkcs8" } else { "raw" };
        refused(&ask(may, &format!("key export {key} --format {plain}"), b""), "permission_denied");
        match proof.work {
            // Who looks at a public key may verify by it without asking; what is derived is made again.
            Work::Sign | Work::Derive => {}
            _ => {
                let opened = ask(&opens, &opening, input).ok();
                assert_eq!(opened.stdout.trim_ascii_end(), expected, "{key}");
                for token in [&looks, &makes] {
                    refused(&ask(token, &opening, input), "permission_denied");
                }
            }
        }
    }
    server.stop();
}

/// R70: keys of all types are made in one batch, or none of them; and each is used in one.
#[test]
fn in_a_batch() {
    let site = Site::with_keyfile();
    let server = site.start().unsealed();
    let mut making: Vec<Value> = types()
        .map(|kind| json!({"op": "key.create", "name": format!("b/{kind}"), "kind": kind.name()}))
        .collect();
    let batch = |operations: &[Value], flags: &[&str]| {
        let body = json!({ "operations": operations }).to_string();
        server.canis(&[&["batch"], flags].concat(), body.as_bytes())
    };
    making.push(json!({"op": "key.rotate", "name": "b/absent"}));
    refused(&batch(&making, &["--atomic"]), "key_not_found");
    for kind in types() {
        refused(&server.canis(&["key", "show", &format!("b/{kind}")], b""), "key_not_found");
    }
    making.pop();
    batch(&making, &["--atomic"]).ok();
    canis(&server, "key create peer --type x25519");
    let pem = canis(&server, "key public peer");
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let message = Base64::encode_string(MESSAGE);
    let using: Vec<Value> = types()
        .map(|kind| {
            let work = Work::of(kind);
            let (op, key) = (work.name(), format!("b/{kind}"));
            match work {
                Work::Encrypt => json!({"op": op, "key": key, "plaintext": message}),
                Work::Sign | Work::Mac => json!({"op": op, "key": key, "message": message}),
                Work::Encapsulate => json!({"op": op, "key": key}),
                Work::Derive => json!({"op": op, "key": key, "peer": body}),
            }
        })
        .collect();
    let answer: Value = serde_json::from_slice(&batch(&using, &[]).ok().stdout).unwrap();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), using.len());
    for (asked, result) in using.iter().zip(results) {
        assert!(result["result"].is_object(), "{asked}: {result}");
    }
    server.stop();
}
