//! `canis import pkcs12` and `canis import age`: keys of other programs come in, and work.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

#[path = "../../canis-server/tests/harness/mod.rs"]
mod harness;

mod customer;

use customer::Bench;
use harness::{program, shared, stdout};

const PKCS12: &str = "openssl pkcs12 -export -inkey key.pem -in cert.pem -passout file:pass";

/// A bench with key.pem, its certificate cert.pem, and the passphrase in pass.
fn bench<'a>(shared: &'a harness::Shared, algorithm: &str) -> Bench<'a> {
    let bench = Bench::new(shared);
    bench.write("pass", b"a passphrase\n");
    bench.ok(&format!(
        "chmod 600 pass; openssl genpkey -quiet -algorithm {algorithm} -out key.pem
         openssl req -x509 -new -key key.pem -subj /CN=me -out cert.pem -days 2"
    ));
    bench
}

/// The key of a file of today and of one of yesterday signs what its certificate verifies; the certificate is not lost.
#[test]
fn pkcs12_files_of_openssl() {
    let shared = shared();
    for (kind, algorithm) in
        [("rsa", "RSA -pkeyopt rsa_keygen_bits:2048"), ("ec", "EC -pkeyopt ec_paramgen_curve:P-256")]
    {
        let bench = bench(&shared, algorithm);
        bench
            .ok(&format!("echo hello > message; {PKCS12} -out modern.p12; {PKCS12} -legacy -out legacy.p12"));
        for file in ["modern", "legacy"] {
            let name = format!("p12/{kind}/{file}");
            let import = format!("canis import pkcs12 {file}.p12 --name {name} --passphrase-file pass");
            bench.ok(&format!("{import} --certificates out.pem"));
            assert_eq!(bench.ok("openssl x509 -in out.pem"), bench.ok("openssl x509 -in cert.pem"));
            let scheme = if kind == "rsa" { "--scheme rsa-pkcs1-sha256" } else { "" };
            bench.ok(&format!("canis sign {name} --raw {scheme} --in message --out signature"));
            bench.ok("openssl x509 -in cert.pem -pubkey -noout > public.pem
                 openssl dgst -sha256 -verify public.pem -signature signature message");
            bench.refused(&import, "key_exists");
        }
        let said =
            bench.run(&format!("canis import pkcs12 modern.p12 --name p12/{kind} --passphrase-file pass"));
        let left = String::from_utf8(said.stderr).unwrap();
        assert!(said.status.success() && left.contains("left in the file: 1 certificates"), "{left}");
    }
}

/// Wrong passphrases, cut and foreign files: refused with their reason, and nothing is kept.
#[test]
fn pkcs12_files_that_are_refused() {
    let shared = shared();
    let bench = bench(&shared, "ED25519");
    bench.write("wrong", b"another passphrase\n");
    bench.ok(&format!(
        "chmod 600 wrong; {PKCS12} -out good.p12; {PKCS12} -nomac -out nomac.p12
         head -c 500 good.p12 > cut.p12"
    ));
    let import = |file: &str, pass: &str| {
        format!("canis import pkcs12 {file} --name refused --passphrase-file {pass}")
    };
    bench.refused(&import("good.p12", "wrong"), "decryption_failed");
    bench.refused(&import("cut.p12", "pass"), "no PKCS#12, or damaged");
    bench.refused(&import("nomac.p12", "pass"), "has no MAC");
    bench.refused(&import("cert.pem", "pass"), "no PKCS#12, or damaged");
    bench.refused(&import("missing.p12", "pass"), "missing.p12");
    bench.refused("canis key import refused --in good.p12", "`canis import pkcs12` reads");
    bench.refused(
        "openssl pkcs12 -export -nokeys -in cert.pem -passout file:pass -out none.p12
         canis import pkcs12 none.p12 --name refused --passphrase-file pass",
        "no private key",
    );
    bench.refused("canis key show refused", "key_not_found");
    // Weak keys are as weak in this file as in any.
    bench.ok("openssl genpkey -quiet -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out key.pem
         openssl req -x509 -new -key key.pem -subj /CN=me -out cert.pem -days 2");
    bench.ok(&format!("{PKCS12} -out weak.p12"));
    bench.refused(&import("weak.p12", "pass"), "1024 bits");
    // What may not leave does not, wherever it came from.
    bench.ok("canis import pkcs12 good.p12 --name p12/stays --passphrase-file pass");
    bench.refused("canis key export p12/stays --format pkcs8", "key_not_exportable");
}

/// A keystore of Java with several keys: the alias says which one is meant.
#[test]
fn keystores_of_java() {
    let shared = shared();
    let bench = Bench::new(&shared);
    bench.write("pass", b"changeit\n");
    bench.ok("chmod 600 pass; for alias in first second; do
         keytool -genkeypair -alias $alias -keyalg EC -groupname secp256r1 -dname CN=$alias -keystore store.p12 -storetype PKCS12 -storepass changeit
         keytool -exportcert -rfc -alias $alias -keystore store.p12 -storepass changeit > $alias.pem
         done");
    let import = "canis import pkcs12 store.p12 --passphrase-file pass";
    bench.refused(import, "`first`, `second`");
    bench.refused(&format!("{import} --alias third"), "`first`, `second`");
    bench.ok(&format!("{import} --alias second --name java/second"));
    assert_eq!(
        bench.ok("canis key public java/second"),
        bench.ok("openssl x509 -in second.pem -pubkey -noout")
    );
}

/// An identity of age's comes in and opens, with the private half in the server, what `age` encrypted for it.
#[test]
fn age_identities() {
    let shared = shared();
    let bench = Bench::new(&shared);
    bench.ok("age-keygen -o identity.txt; age-keygen -y identity.txt > recipient
         canis import age identity.txt --name age/mine
         echo hello | age -R recipient -o message.age");
    // X25519 as age does it (age-encryption.org/v1): the server agrees, Python does the rest.
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/open_age.py");
    let python = program("canis").parent().unwrap().parent().unwrap().join("python/bin/python");
    assert!(python.exists(), "{} is not there; run scripts/setup", python.display());
    let opened = bench.run(&format!("{} -B {script} age/mine message.age", python.display()));
    assert_eq!(stdout(&opened), "hello\n");
    // Through a pipe, as an identity under a passphrase comes.
    bench.ok("cat identity.txt | canis import age /dev/stdin --name age/piped");
    assert_eq!(bench.ok("canis key public age/piped"), bench.ok("canis key public age/mine"));
    let refused = |script: &str, why: &str| {
        bench.refused(&format!("{script}; canis import age file --name age/no"), why)
    };
    refused("age -R recipient -o file identity.txt", "age -d");
    refused("age -a -R recipient -o file identity.txt", "age -d");
    refused("cat identity.txt identity.txt > file", "2 identities");
    refused("head -c -9 identity.txt > file", "damaged");
    bench.refused("canis key show age/no", "key_not_found");
    bench.refused("canis key export age/mine --format jwk", "key_not_exportable");
}
