//! PKCS#12 files that OpenSSL, Java and NSS made, and what is wrong with others.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod crypto_material;

use canis_core::crypto::providers;
use canis_core::format::pkcs12::{self, Contents, MAX_FILE};
use canis_core::format::{self, Checked};
use canis_core::secret::SecretBytes;
use canis_proto::{Error, ErrorCode, KeyFormat, KeyType, Result};
use crypto_material::openssl::Bench;
use proptest::prelude::*;
use std::sync::LazyLock;

/// With letters outside of ASCII and one outside of the first 65536, whose UTF-16 is two units.
const PASSPHRASE: &str = "pässword 🐕";

/// Reads a file with every provider.
fn read_with(bytes: &[u8], passphrase: &str) -> Result<Contents> {
    let mut ask = || Ok(SecretBytes::copied_from(passphrase.as_bytes()));
    let mut last = None;
    for provider in providers() {
        last = Some(pkcs12::read(provider, bytes, &mut ask)?);
    }
    Ok(last.unwrap())
}

fn refusal(bytes: &[u8]) -> Error {
    read_with(bytes, PASSPHRASE).err().expect("taken")
}

/// The public half of a key in a file, found good.
fn public_half(pkcs8: &SecretBytes) -> Vec<u8> {
    let given = format::decode(KeyFormat::Pkcs8, KeyType::Aes256, pkcs8.expose()).unwrap();
    match given.check(providers()[0]).unwrap() {
        Checked::Whole { spki, .. } => spki,
        Checked::Public { .. } => panic!("only half of it was read"),
    }
}

/// A bench with key.pem, its public half in pub.der, its certificate in cert.pem and cert.der, and the passphrase in pass.
fn bench(kind: KeyType) -> Bench {
    let bench = Bench::new();
    let (_, spki) = bench.genpkey(kind);
    bench.write("spki", &spki);
    bench.write("pass", PASSPHRASE.as_bytes());
    bench.openssl("req -x509 -new -key key.pem -subj /CN=me -out cert.pem -days 2");
    bench.openssl("x509 -in cert.pem -outform DER -out cert.der");
    bench
}

fn export(bench: &Bench, how: &str) -> Vec<u8> {
    let passphrase = if how.contains("-passout") { "" } else { "-passout file:pass" };
    bench.openssl(&format!("pkcs12 -export -inkey key.pem -in cert.pem -out key.p12 {passphrase} {how}"));
    bench.read("key.p12")
}

/// Every scheme that OpenSSL writes, old and new, and both its MACs of today.
#[test]
fn what_openssl_writes() {
    let bench = bench(KeyType::EcdsaP256);
    let legacy = "-legacy -provider default -provider legacy";
    for (how, name) in [
        ("", None),
        ("-name mine", Some("mine")),
        ("-name Schlüssel", Some("Schlüssel")),
        ("-macalg sha1 -iter 1", None),
        ("-macalg sha224", None),
        ("-macalg sha384", None),
        ("-macalg sha512 -keypbe AES-128-CBC -certpbe AES-192-CBC", None),
        ("-certpbe NONE", None),
        ("-keypbe NONE", None),
        ("-keypbe NONE -certpbe NONE", None),
        (legacy, None),
        (&format!("{legacy} -descert"), None),
        (&format!("{legacy} -keypbe PBE-SHA1-RC2-128 -certpbe PBE-SHA1-3DES"), None),
        (&format!("{legacy} -keypbe PBE-SHA1-RC2-40 -certpbe NONE"), None),
        ("-passout pass:", None),
        (&format!("{legacy} -passout pass:"), None),
    ] {
        let contents = read_with(&export(&bench, how), PASSPHRASE).unwrap_or_else(|e| panic!("{how}: {e}"));
        let [key] = &contents.keys[..] else { panic!("{how}: {} keys", contents.keys.len()) };
        assert_eq!(key.name.as_deref(), name);
        assert_eq!(public_half(&key.pkcs8), bench.read("spki"), "{how}");
        assert_eq!(contents.certificates, [bench.read("cert.der")], "{how}");
        assert_eq!((contents.secret_keys, contents.others), (0, 0));
    }
}

/// Every kind of key, in the way of today and in that of yesterday.
#[test]
fn every_kind_of_key() {
    for kind in
        [KeyType::Rsa2048, KeyType::EcdsaP384, KeyType::EcdsaP521, KeyType::EcdsaSecp256k1, KeyType::Ed25519]
    {
        let bench = bench(kind);
        for how in ["", "-legacy -provider default -provider legacy"] {
            let contents = read_with(&export(&bench, how), PASSPHRASE).unwrap();
            assert_eq!(public_half(&contents.keys[0].pkcs8), bench.read("spki"), "{kind}");
        }
    }
}

/// What is not opened is refused with its reason; whoever has no right passphrase has one answer.
#[test]
fn what_is_refused() {
    let bench = bench(KeyType::EcdsaP256);
    let good = export(&bench, "-iter 2");
    for wrong in ["", "password", &PASSPHRASE[1..], &PASSPHRASE.to_uppercase()] {
        assert_eq!(read_with(&good, wrong).err().unwrap().code, ErrorCode::DecryptionFailed, "{wrong}");
    }
    let many = "x".repeat(1025);
    assert!(read_with(&good, &many).err().unwrap().message.contains("1024 bytes"));
    let asked = pkcs12::read(providers()[0], &good, &mut || Ok(SecretBytes::copied_from(&[0xff])));
    assert!(asked.err().unwrap().message.contains("UTF-8"));
    assert!(refusal(&export(&bench, "-nomac")).message.contains("has no MAC"));
    assert!(refusal(&export(&bench, "-keypbe DES-CBC -legacy")).message.contains("not encrypted by AES"));
    let rc4 = refusal(&export(&bench, "-keypbe PBE-SHA1-RC4-128 -legacy -provider default -provider legacy"));
    assert!(rc4.message.contains("1.2.840.113549.1.12.1.1") && rc4.message.contains("openssl pkcs12"));
    assert_eq!(refusal(&vec![0x30; MAX_FILE + 1]).code, ErrorCode::TooLarge);
    // What is no key pair of CANIS is found out behind it.
    for other in [&b""[..], b"\x30\x00", b"\x30\x80", &bench.read("cert.der"), &bench.read("spki")] {
        refusal(other);
    }
}

/// Iterations of the MAC are bounded before one is done; the number is the last in the file.
#[test]
fn absurd_work_is_refused() {
    let bench = bench(KeyType::EcdsaP256);
    let good = export(&bench, "");
    assert!(good.ends_with(&[2, 2, 8, 0]) && good[..2] == [0x30, 0x82]);
    let (mut absurd, mac) = (good.clone(), good.len() - 67);
    assert_eq!(absurd[mac..][..2], [0x30, 65]);
    absurd.truncate(good.len() - 4);
    absurd.extend([2, 4, 0x7f, 0xff, 0xff, 0xff]);
    absurd[mac + 1] += 2;
    let len = u16::from_be_bytes([good[2], good[3]]) + 2;
    absurd[2..4].copy_from_slice(&len.to_be_bytes());
    assert!(refusal(&absurd).message.contains("more than 10000000 iterations"), "{}", refusal(&absurd));
    // None at all, and a number below zero.
    for iterations in [[0, 0], [0xff, 0xff]] {
        let mut other = good.clone();
        let end = other.len();
        other[end - 2..].copy_from_slice(&iterations);
        refusal(&other);
    }
}

/// Java's keystores hold several keys under their aliases, and secret keys in a form of its own.
#[test]
fn what_java_writes() {
    let bench = Bench::new();
    let keytool = |line: &str| {
        let store = "-keystore key.p12 -storetype PKCS12 -storepass changeit";
        bench.run("keytool", &format!("{line} {store}"));
    };
    keytool("-genkeypair -alias first -keyalg EC -groupname secp256r1 -dname CN=first");
    keytool("-genkeypair -alias second -keyalg RSA -keysize 2048 -dname CN=second");
    keytool("-genseckey -alias third -keyalg AES -keysize 256");
    let contents = read_with(&bench.read("key.p12"), "changeit").unwrap();
    let names: Vec<_> = contents.keys.iter().map(|key| key.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["first", "second"]);
    assert_eq!((contents.certificates.len(), contents.secret_keys, contents.others), (2, 1, 0));
    for key in &contents.keys {
        let spki = public_half(&key.pkcs8);
        let certified =
            contents.certificates.iter().filter(|der| der.windows(spki.len()).any(|part| part == spki));
        assert_eq!(certified.count(), 1);
    }
}

/// NSS, and so Firefox, writes BER with lengths that nobody knows beforehand, and octets in pieces.
#[test]
fn what_nss_writes() {
    let bench = bench(KeyType::EcdsaP256);
    bench.write("pass", b"ascii only");
    export(&bench, "-name mine");
    bench.run("certutil", "-N -d sql:. --empty-password");
    bench.run("pk12util", "-i key.p12 -d sql:. -w pass");
    bench.run("pk12util", "-o nss.p12 -n mine -d sql:. -w pass");
    let file = bench.read("nss.p12");
    assert_eq!(file[..2], [0x30, 0x80]);
    // With one provider: NSS takes 600000 iterations, and a build for tests its time.
    let contents = pkcs12::read(providers()[0], &file, &mut || Ok(SecretBytes::copied_from(b"ascii only")));
    let contents = contents.unwrap();
    assert_eq!(contents.keys[0].name.as_deref(), Some("mine"));
    assert_eq!(public_half(&contents.keys[0].pkcs8), bench.read("spki"));
    assert_eq!(contents.certificates, [bench.read("cert.der")]);
}

/// A small file: one iteration, and what it holds.
static SMALL: LazyLock<(Vec<u8>, Vec<u8>)> = LazyLock::new(|| {
    let bench = bench(KeyType::EcdsaP256);
    (export(&bench, "-iter 1 -nomaciter"), bench.read("spki"))
});

/// Cut anywhere, it is refused.
#[test]
fn truncated_files() {
    let (file, _) = &*SMALL;
    for len in 0..file.len() {
        refusal(&file[..len]);
    }
    refusal(&[&file[..], &[0]].concat());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// A byte changed anywhere: refused, or the file still says the same.
    #[test]
    fn damaged_files(at: proptest::sample::Index, to: u8) {
        let (file, spki) = &*SMALL;
        let mut damaged = file.clone();
        damaged[at.index(file.len())] = to;
        if let Ok(contents) = read_with(&damaged, PASSPHRASE) {
            prop_assert_eq!(contents.keys.len(), 1);
            prop_assert_eq!(&public_half(&contents.keys[0].pkcs8), spki);
        }
    }

    #[test]
    fn total(bytes: Vec<u8>) {
        let _ = read_with(&bytes, PASSPHRASE);
        let _ = read_with(&[&[0x30, 0x80, 2, 1, 3, 0x30, 0x80][..], &bytes].concat(), PASSPHRASE);
    }
}
