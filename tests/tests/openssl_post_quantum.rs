//! Post-quantum keys between CANIS and OpenSSL 3.5, which reads the standards for itself: every form of keys, signatures, shared
//! secrets, certificates and CMS.
#![allow(clippy::unwrap_used)] // a failed unwrap is the test's failure

use base64ct::Encoding;
use canis_proto::KeyType;
use canis_tests::{Finished, Server, Site, binary, openssl, run};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A server, and a folder in which `openssl` runs.
struct Both {
    server: Server,
    /// Where the server's data are.
    _site: Site,
    folder: tempfile::TempDir,
    openssl: PathBuf,
}

impl Both {
    fn start() -> Both {
        let openssl = openssl();
        let site = Site::with_keyfile();
        let server = site.start().unsealed();
        Both { server, _site: site, folder: tempfile::tempdir().unwrap(), openssl }
    }

    fn at(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn write(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.at(name), bytes).unwrap();
        self.at(name)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.at(name)).unwrap()
    }

    /// What `canis` prints.
    fn canis(&self, args: &[&str]) -> Vec<u8> {
        self.server.canis(args, b"").ok().stdout
    }

    /// `openssl` without anybody's configuration.
    fn try_openssl(&self, args: &str) -> Finished {
        let mut command = Command::new(&self.openssl);
        command.args(args.split_whitespace()).current_dir(self.folder.path());
        run(command.env("OPENSSL_CONF", "/dev/null"), b"")
    }

    fn openssl(&self, args: &str) -> Vec<u8> {
        self.try_openssl(args).ok().stdout
    }

    /// A key made by CANIS, and its public key for OpenSSL in `<name>.pub`.
    fn create(&self, name: &str, kind: &str) {
        let out = ["--exportable", "--allow-plaintext-backup"];
        self.canis(&[&["key", "create", name, "--type", kind], &out[..]].concat());
        self.write(&format!("{name}.pub"), &self.canis(&["key", "public", name]));
    }

    /// The same key on both sides: in CANIS by name, for OpenSSL in `<name>.pem` and `<name>.pub`.
    fn check_use(&self, name: &str, kind: KeyType) {
        match is_for_signing(kind) {
            true => self.sign_both_ways(name),
            false => self.share_both_ways(name),
        }
    }

    /// Each verifies what the other signed, with a context string and without, and refuses another context.
    fn sign_both_ways(&self, name: &str) {
        let message = self.write("message", b"to be signed");
        for context in ["", "of a test"] {
            let option = match context {
                "" => String::new(),
                _ => format!(
                    "-pkeyopt hexcontext-string:{}",
                    base16ct::lower::encode_string(context.as_bytes())
                ),
            };
            let ours = self.canis(&["sign", name, "--raw", "--in", &message, "--context", context]);
            self.write("signature", &ours);
            let verify =
                format!("pkeyutl -verify -pubin -inkey {name}.pub -rawin -in message -sigfile signature");
            self.openssl(&format!("{verify} {option}"));
            let other = self.try_openssl(&format!("{verify} -pkeyopt context-string:another"));
            assert!(other.code != 0, "{name}: a signature passes under another context");

            self.openssl(&format!(
                "pkeyutl -sign -inkey {name}.pem -rawin -in message -out signature {option}"
            ));
            let theirs = base64ct::Base64::encode_string(&self.read("signature"));
            let theirs = format!("canis:v1:{name}:1:{theirs}");
            let verify = ["verify", name, "--in", &message, "--signature", &theirs, "--context"];
            self.canis(&[&verify[..], &[context]].concat());
            let other = self.server.canis(&[&verify[..], &["another"]].concat(), b"");
            assert_eq!((other.code, other.text().as_str()), (1, "invalid\n"), "{name}");
        }
    }

    /// Each opens what the other encapsulated, and both make the same of a ciphertext that was altered.
    fn share_both_ways(&self, name: &str) {
        let (ciphertext, secret) = (self.at("ciphertext"), self.at("secret"));
        let opens = |altered: bool| {
            let args = ["decapsulate", name, "--ciphertext", &ciphertext, "--raw", "--key-version", "1"];
            self.canis(&[&args[..], &["--out", &secret]].concat());
            self.openssl(&format!("pkeyutl -decap -inkey {name}.pem -in ciphertext -secret shared"));
            assert_eq!(self.read("secret"), self.read("shared"), "{name}, altered: {altered}");
            self.read("secret")
        };
        self.openssl(&format!("pkeyutl -encap -pubin -inkey {name}.pub -out ciphertext -secret theirs"));
        assert_eq!(opens(false), self.read("theirs"), "{name}");
        let encapsulate = ["encapsulate", name, "--raw", "--ciphertext", &ciphertext, "--out"];
        self.canis(&[&encapsulate[..], &[&self.at("ours")]].concat());
        assert_eq!(opens(false), self.read("ours"), "{name}");
        let mut altered = self.read("ciphertext");
        altered[0] ^= 1;
        self.write("ciphertext", &altered);
        assert_ne!(opens(true), self.read("ours"), "{name}");
    }
}

/// The post-quantum types, as they are called.
fn post_quantum() -> Vec<KeyType> {
    let known = |kind: &&KeyType| {
        ["ml-dsa-", "ml-kem-", "slh-dsa-"].iter().any(|start| kind.name().starts_with(start))
    };
    // What joins ML-KEM with a curve has no form that OpenSSL reads as a key.
    let joined = |kind: &&KeyType| !kind.name().ends_with("-x25519");
    KeyType::ALL.iter().filter(known).filter(joined).copied().collect()
}

fn is_for_signing(kind: KeyType) -> bool {
    !kind.name().starts_with("ml-kem-")
}

/// The forms of private keys that OpenSSL writes for a type, and whether they hold the seed (RFC 9881 and 9935, section 6).
fn forms(kind: KeyType) -> &'static [(&'static str, bool)] {
    match kind.name().starts_with("slh-dsa-") {
        // RFC 9909: one form.
        true => &[("", false)],
        false => &[("seed-only", true), ("seed-priv", true), ("priv-only", false)],
    }
}

/// R48, R49, R51: what CANIS exports OpenSSL reads as the same key, and each uses it as the other does.
#[test]
fn keys_of_canis() {
    let both = Both::start();
    for kind in post_quantum() {
        let name = kind.name();
        both.create(name, name);
        both.write(&format!("{name}.pem"), &both.canis(&["key", "export", name, "--format", "pkcs8"]));
        let public = both.openssl(&format!("pkey -in {name}.pem -pubout"));
        assert_eq!(public, both.read(&format!("{name}.pub")), "{name}");
        // What OpenSSL reads of the public key alone is all of it.
        assert_eq!(both.openssl(&format!("pkey -pubin -in {name}.pub -pubout")), public, "{name}");
        both.check_use(name, kind);
    }
}

/// R48, R49, R51: a private key of OpenSSL comes in by each of its forms, in DER and PEM, and goes out again in a form that OpenSSL reads.
#[test]
fn keys_of_openssl() {
    let both = Both::start();
    for kind in post_quantum() {
        let (algorithm, family) = (kind.name().to_uppercase(), &kind.name()[..6]);
        for (form, seeded) in forms(kind) {
            let name = &format!("{kind}-{form}");
            let option = match *form {
                "" => String::new(),
                _ => format!("-provparam {family}.output_formats={form}"),
            };
            both.openssl(&format!("genpkey -algorithm {algorithm} {option} -out {name}.pem"));
            both.openssl(&format!("pkey -in {name}.pem {option} -outform DER -out {name}.der"));
            both.openssl(&format!("pkey -in {name}.pem -pubout -out {name}.pub"));
            let out = ["--exportable", "--allow-plaintext-backup"];
            both.canis(
                &[&["key", "import", name, "--in", &both.at(&format!("{name}.pem"))], &out[..]].concat(),
            );
            let public = both.canis(&["key", "public", name]);
            assert_eq!(public, both.read(&format!("{name}.pub")), "{name}");
            both.check_use(name, kind);
            let by_der = &format!("{name}-der");
            both.canis(&["key", "import", by_der, "--in", &both.at(&format!("{name}.der"))]);
            assert_eq!(both.canis(&["key", "public", by_der]), public, "{name}");

            both.write("again.pem", &both.canis(&["key", "export", name, "--format", "pkcs8"]));
            assert_eq!(both.openssl("pkey -in again.pem -pubout"), public, "{name}");
            if family == "slh-ds" {
                continue;
            }
            let shown = String::from_utf8(both.openssl("pkey -in again.pem -text")).unwrap();
            assert_eq!(shown.contains("seed:"), *seeded, "{name}: a seed is kept, and none can be made");
        }
    }
}

/// A certificate of OpenSSL's, in `<out>.pem`, of the public key in `of`.pub, signed by CANIS's `by`. OpenSSL signs it with a key of the
/// same type that is thrown away: its signature, which always has the same length, stands at the end.
fn certificate(both: &Both, kind: KeyType, by: &str, command: &str, out: &str) {
    both.openssl(&format!("{command} -outform DER -out draft"));
    both.openssl("asn1parse -inform DER -in draft -strparse 4 -noout -out signed");
    let signature = both.canis(&["sign", by, "--raw", "--in", &both.at("signed")]);
    let mut whole = both.read("draft");
    let end = whole.len() - signature.len();
    whole[end..].copy_from_slice(&signature);
    both.write("whole", &whole);
    both.openssl(&format!("x509 -inform DER -in whole -out {out}.pem"));
    let shown = String::from_utf8(both.openssl(&format!("x509 -in {out}.pem -noout -text"))).unwrap();
    assert!(shown.contains(&format!("Signature Algorithm: {}", kind.name().to_uppercase())), "{shown}");
}

const CA: &str = "basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, digitalSignature\n\
                  subjectKeyIdentifier = hash\nauthorityKeyIdentifier = none\n";

/// OpenSSL verifies a chain and CMS (RFC 9881, RFC 9882) whose signatures keys in CANIS made, and refuses each of them once it is altered.
#[test]
fn certificates_and_cms() {
    let both = Both::start();
    both.write("ca.cnf", CA.as_bytes());
    both.write("leaf.cnf", b"authorityKeyIdentifier = none\nkeyUsage = critical, digitalSignature\n");
    both.write("message", b"a message\n");
    for kind in post_quantum().into_iter().filter(|kind| kind.name().starts_with("ml-dsa-")) {
        let (root, leaf) = (&format!("{kind}-root"), &format!("{kind}-leaf"));
        for name in [root, leaf] {
            both.create(name, kind.name());
        }
        let algorithm = kind.name().to_uppercase();
        both.openssl(&format!("genpkey -algorithm {algorithm} -out thrown-away.pem"));
        let new = "x509 -new -set_serial 7 -subj /CN=root -days 9 -key thrown-away.pem -extfile ca.cnf";
        both.openssl(&format!("{new} -out stand-in.pem"));
        certificate(&both, kind, root, &format!("{new} -force_pubkey {root}.pub"), root);
        both.openssl(&format!("verify -check_ss_sig -CAfile {root}.pem {root}.pem"));
        let new = "x509 -new -set_serial 8 -subj /CN=leaf -days 9 -extfile leaf.cnf -CAkey thrown-away.pem -CA stand-in.pem";
        both.openssl(&format!("{new} -force_pubkey thrown-away.pem -out leaf-stand-in.pem"));
        certificate(&both, kind, root, &format!("{new} -force_pubkey {leaf}.pub"), leaf);
        both.openssl(&format!("verify -CAfile {root}.pem {leaf}.pem"));
        // What OpenSSL signed with the key that was thrown away does not pass.
        assert!(both.try_openssl(&format!("verify -CAfile {root}.pem leaf-stand-in.pem")).code != 0);

        let draft = "cms -sign -binary -nodetach -nocerts -md sha512 -in message -outform DER -out draft";
        both.openssl(&format!("{draft} -signer leaf-stand-in.pem -inkey thrown-away.pem"));
        let mut cms = both.read("draft");
        both.write("signed", &signed_attributes(&cms));
        let signature = both.canis(&["sign", leaf, "--raw", "--in", &both.at("signed")]);
        let end = cms.len() - signature.len();
        cms[end..].copy_from_slice(&signature);
        both.write("cms", &cms);
        let verify =
            format!("cms -verify -binary -inform DER -certfile {leaf}.pem -CAfile {root}.pem -purpose any");
        both.openssl(&format!("{verify} -in cms -out opened"));
        assert_eq!(both.read("opened"), both.read("message"), "{kind}");
        assert!(both.try_openssl(&format!("{verify} -in draft")).code != 0, "{kind}: by the other key");
        cms[end + 9] ^= 1;
        both.write("cms", &cms);
        assert!(both.try_openssl(&format!("{verify} -in cms")).code != 0, "{kind}: an altered signature");
    }
}

/// The signed attributes as they are signed: a SET (RFC 5652, section 5.4), where the message has `[0]`.
fn signed_attributes(cms: &[u8]) -> Vec<u8> {
    // SEQUENCE { OID contentType, … }: the first attribute.
    const FIRST: &[u8] = b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x09\x03";
    let attribute = cms.windows(FIRST.len()).position(|bytes| bytes == FIRST).unwrap() - 2;
    let start =
        (attribute.saturating_sub(4)..attribute).find(|at| cms[*at] == 0xa0 && ends(cms, *at) > attribute);
    let start = start.unwrap();
    let mut signed = cms[start..ends(cms, start)].to_vec();
    signed[0] = 0x31;
    signed
}

/// Where the value that begins at `at` ends (X.690, section 8.1.3).
fn ends(der: &[u8], at: usize) -> usize {
    match usize::from(der[at + 1]) {
        short @ 0..0x80 => at + 2 + short,
        long => {
            let bytes = &der[at + 2..at + 2 + (long & 0x7f)];
            at + 2 + bytes.len() + bytes.iter().fold(0, |len, byte| len << 8 | usize::from(*byte))
        }
    }
}

/// docs/post-quantum.md: its commands work as they stand there.
#[test]
fn the_document() {
    let text = include_str!("../../docs/post-quantum.md");
    let blocks: Vec<&str> =
        text.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert_eq!(blocks.len(), 5);
    let both = Both::start();
    let folder = |program: &Path| program.parent().unwrap().display().to_string();
    let path = format!("{}:{}", folder(&both.openssl), folder(&binary("canis")));
    let mut shell = Command::new("bash");
    shell.args(["-eu", "-o", "pipefail", "-c", &blocks.concat()]).current_dir(both.folder.path());
    shell.env("PATH", format!("{path}:{}", std::env::var("PATH").unwrap())).env("OPENSSL_CONF", "/dev/null");
    let shown = run(both.server.reached_by(&mut shell), b"").ok();
    for line in ["Signature Verified Successfully", "valid\n", "ca.pem: OK", "leaf.pem: OK"] {
        assert!(shown.text().contains(line), "{line}: {}", shown.text());
    }
    assert!(shown.stderr.contains("CMS Verification successful"), "{}", shown.stderr);
}
