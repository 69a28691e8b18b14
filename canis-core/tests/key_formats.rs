//! Keys that openssl and ssh-keygen made, in every form they write, and what is wrong with others.
#![allow(clippy::unwrap_used)] // A test that cannot go on has failed.

mod crypto_material;

use canis_core::crypto::private_parts::PrivateParts;
use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{RUST, providers};
use canis_core::format::{self, Checked, MAX_INPUT, file, jwk, pbes2, pem};
use canis_core::secret::SecretBytes;
use canis_proto::{ErrorCode, Family, KeyFormat, KeyType, Result};
use crypto_material::openssl::Bench;
use proptest::prelude::*;
use std::process::Command;
use std::sync::LazyLock;

const PASSPHRASE: &str = "a passphrase of these tests";

const PAIRS: [KeyType; 6] = [
    KeyType::Rsa2048,
    KeyType::EcdsaP256,
    KeyType::EcdsaP384,
    KeyType::EcdsaP521,
    KeyType::EcdsaSecp256k1,
    KeyType::Ed25519,
];

/// Reads a file as `canis` does and checks it with both providers.
fn read(bytes: &[u8]) -> Result<Checked> {
    let mut asked = 0;
    let mut ask = || {
        asked += 1;
        Ok(SecretBytes::copied_from(PASSPHRASE.as_bytes()))
    };
    let mut last = None;
    for provider in providers() {
        last = Some(file::read(provider, None, bytes, &mut ask)?.check(provider)?);
    }
    assert!(asked <= 2);
    Ok(last.unwrap())
}

fn refusal(bytes: &[u8]) -> String {
    read(bytes).err().expect("taken").message
}

/// The public half of a whole key of `kind`.
fn whole(bytes: &[u8], kind: KeyType) -> Vec<u8> {
    match read(bytes).unwrap() {
        Checked::Whole { kind: found, spki, .. } => {
            assert_eq!(found, kind);
            spki
        }
        Checked::Public { .. } => panic!("only half of it was read"),
    }
}

/// R48: what `openssl genpkey` and its kin write, in DER and PEM, plain and under a passphrase.
#[test]
fn openssl_keys() {
    for kind in PAIRS.into_iter().chain([KeyType::X25519]) {
        let bench = Bench::new();
        let (pkcs8, spki) = bench.genpkey(kind);
        assert_eq!(whole(&pkcs8, kind), spki);
        assert_eq!(whole(&bench.read("key.pem"), kind), spki);
        for (cipher, prf) in [
            ("aes-128-cbc", "hmacWithSHA1"),
            ("aes-192-cbc", "hmacWithSHA384"),
            ("aes-256-cbc", "hmacWithSHA512"),
        ] {
            let args = format!("pkcs8 -topk8 -in key.pem -v2 {cipher} -v2prf {prf} -passout file:pass");
            bench.write("pass", PASSPHRASE.as_bytes());
            bench.openssl(&format!("{args} -out locked.pem"));
            bench.openssl(&format!("{args} -outform DER -out locked.der"));
            assert_eq!(whole(&bench.read("locked.pem"), kind), spki);
            assert_eq!(whole(&bench.read("locked.der"), kind), spki);
        }
        if let Some(older) = match kind {
            KeyType::Rsa2048 => Some("rsa"),
            KeyType::Ed25519 | KeyType::X25519 => None,
            _ => Some("ec"),
        } {
            bench.openssl("pkey -traditional -in key.pem -out old.pem");
            bench.openssl(&format!("{older} -in key.pem -outform DER -out old.der"));
            assert!(bench.read("old.pem").starts_with(b"-----BEGIN RSA") || older == "ec");
            assert_eq!(whole(&bench.read("old.pem"), kind), spki);
            assert_eq!(whole(&bench.read("old.der"), kind), spki);
        }
        for public in [spki.clone(), pem::encode("PUBLIC KEY", &spki).as_bytes().to_vec()] {
            assert!(matches!(read(&public).unwrap(), Checked::Public { spki: found, .. } if found == spki));
        }
    }
}

/// What `openssl ecparam -genkey` writes: parameters before the key, and a compressed point in it.
#[test]
fn openssl_oddities() {
    let bench = Bench::new();
    bench.openssl("ecparam -name prime256v1 -genkey -conv_form compressed -out key.pem");
    assert!(bench.read("key.pem").starts_with(b"-----BEGIN EC PARAMETERS"));
    bench.openssl("pkey -in key.pem -ec_conv_form uncompressed -pubout -outform DER -out pub.der");
    assert_eq!(whole(&bench.read("key.pem"), KeyType::EcdsaP256), bench.read("pub.der"));
    // scrypt, and the encryption of before PKCS#8, are named with their remedy.
    bench.write("pass", PASSPHRASE.as_bytes());
    bench.openssl("pkcs8 -topk8 -scrypt -in key.pem -passout file:pass -out scrypt.pem");
    assert!(refusal(&bench.read("scrypt.pem")).contains("scrypt"));
    bench.openssl("ec -aes256 -in key.pem -passout file:pass -out old.pem");
    assert!(refusal(&bench.read("old.pem")).contains("before PKCS#8"));
    bench.openssl("genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out pss.pem");
    assert!(refusal(&bench.read("pss.pem")).contains("1.2.840.113549.1.1.10"));
    bench.openssl("genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:1024 -out short.pem");
    assert!(refusal(&bench.read("short.pem")).contains("1024 bits"));
    bench.openssl(
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3 -out e3.pem",
    );
    assert!(refusal(&bench.read("e3.pem")).contains("exponent"));
    bench.openssl(
        "genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_primes:3 -out three.pem",
    );
    read(&bench.read("three.pem")).err().unwrap();
}

fn ssh_keygen(kind: &[&str], passphrase: &str, cipher: &str) -> (Vec<u8>, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("id");
    let mut keygen = Command::new("ssh-keygen");
    keygen.args(["-q", "-C", "a comment", "-N", passphrase, "-Z", cipher, "-a", "4", "-t"]).args(kind);
    assert!(keygen.arg("-f").arg(&path).status().unwrap().success());
    (std::fs::read(&path).unwrap(), std::fs::read_to_string(path.with_extension("pub")).unwrap())
}

/// OpenSSH's own files, plain and under a passphrase, and the public lines beside them.
#[test]
fn openssh_keys() {
    let kinds: [(&[&str], KeyType); 5] = [
        (&["rsa", "-b", "2048"], KeyType::Rsa2048),
        (&["ecdsa", "-b", "256"], KeyType::EcdsaP256),
        (&["ecdsa", "-b", "384"], KeyType::EcdsaP384),
        (&["ecdsa", "-b", "521"], KeyType::EcdsaP521),
        (&["ed25519"], KeyType::Ed25519),
    ];
    for (args, kind) in kinds {
        for (passphrase, cipher) in [
            ("", "aes256-ctr"),
            (PASSPHRASE, "aes256-ctr"),
            (PASSPHRASE, "aes128-ctr"),
            (PASSPHRASE, "aes256-cbc"),
        ] {
            let (private, line) = ssh_keygen(args, passphrase, cipher);
            let spki = whole(&private, kind);
            assert!(
                matches!(read(line.as_bytes()).unwrap(), Checked::Public { spki: found, .. } if found == spki)
            );
            let again = format::public::to_openssh(&spki, "a comment").unwrap();
            assert_eq!(again, line.trim_end());
        }
    }
    let (gcm, _) = ssh_keygen(&["ed25519"], PASSPHRASE, "aes256-gcm@openssh.com");
    assert!(refusal(&gcm).contains("ssh-keygen -p"));
    let (other, _) = ssh_keygen(&["ed25519"], "another passphrase", "aes256-ctr");
    assert_eq!(read(&other).err().unwrap().code, ErrorCode::DecryptionFailed);
}

/// Every type of key as JWK out and in again, with the same public half.
#[test]
fn jwk_round_trip() {
    for (kind, material, spki) in crypto_material::KEYS.iter() {
        let parts = PrivateParts::of_material(*kind, material.expose()).unwrap();
        let public = PublicParts::from_spki(spki).unwrap().1;
        let text = jwk::encode(&parts, Some(&public), "a/key:1");
        if matches!(kind.family(), Family::MlKem | Family::SlhDsa | Family::Hybrid) {
            // No RFC says what theirs looks like.
            assert_eq!(text.unwrap_err().code, ErrorCode::OperationNotSupported);
            continue;
        }
        let text = text.unwrap();
        assert_eq!(&whole(text.as_bytes(), *kind), spki);
        let public_text = format::public::to_jwk(spki, "a/key:1").unwrap();
        let half = read(public_text.as_bytes()).unwrap();
        assert!(matches!(half, Checked::Public { spki: found, .. } if found == *spki));
    }
    for (kind, len) in [(KeyType::Aes128, 16), (KeyType::Aes192, 24), (KeyType::Aes256, 32)] {
        let value = SecretBytes::copied_from(&vec![7; len]);
        let text = jwk::encode(&PrivateParts::Secret { kind, value }, None, "k").unwrap();
        let Checked::Whole { kind: found, material, .. } = read(text.as_bytes()).unwrap() else { panic!() };
        assert!(found == kind && material.equals(&vec![7; len]));
    }
}

/// RFC 7517, appendix A.2's first key, and what an attacker might make of it. Each is refused with a reason, R50.
#[test]
fn jwks_that_are_refused() {
    const D: &str = "870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3eAE";
    const X: &str = "MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4";
    const Y: &str = "4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM";
    let ec =
        |more: &str, y: &str| format!(r#"{{"kty":"EC","crv":"P-256","x":"{X}","y":"{y}","d":"{D}"{more}}}"#);
    whole(ec("", Y).as_bytes(), KeyType::EcdsaP256);
    whole(ec(r#","kid":"1","use":"enc","x5c":[[[{}]]]"#, Y).as_bytes(), KeyType::EcdsaP256);
    whole(ec(r#","alg":"ES256""#, Y).as_bytes(), KeyType::EcdsaP256);
    let off_curve = Y.replace('4', "5");
    let e1 = r#"{"kty":"RSA","e":"AQ","n":"#.to_owned() + &format!(r#""{}Q"}}"#, "q".repeat(342 - 1));
    let huge = format!(r#"{{"kty":"RSA","e":"AQAB","n":"{}"}}"#, "q".repeat(60_000));
    let zeros = format!(r#"{{"kty":"RSA","e":"AQAB","n":"AAAA{}Q"}}"#, "q".repeat(341));
    for (text, why) in [
        (ec(&format!(r#","d":"{D}""#), Y), "stands twice"),
        (ec(r#","kty":"RSA""#, Y), "stands twice"),
        (ec(r#","alg":"ES384""#, Y), "alg"),
        (ec(r#","alg":"RS256""#, Y), "alg"),
        (ec(r#","alg":"none""#, Y), "alg"),
        (ec("", &off_curve), ""),
        (ec("", &Y[..40]), "as long as the field"),
        (ec("", X), "another key's"),
        (ec("", Y).replace("P-256", "P-384"), "as long as the field"),
        (ec("", Y).replace("P-256", "P-257"), "crv"),
        (ec("", Y).replace(D, "__________________________________________8"), "refused"),
        (ec("", Y).replace(D, &"A".repeat(43)), "refused"),
        (ec("", Y).replace(D, &format!("{D}=")), "near line 1"),
        (ec("", Y).replace(D, r"870MB6gfuTJ4HtUnUvYMyJpr5eUZNP4Bk43bVdj3e\u0041E"), "near line 1"),
        (ec("", Y).replace("\"EC\"", "\"DSA\""), "kty"),
        (ec("", Y) + "{}", "near line 1"),
        (r#"{"kty":"oct"}"#.to_owned(), "`k`"),
        (r#"{"kty":"oct","k":"AAAA"}"#.to_owned(), "3 bytes"),
        (r#"{"kty":"oct","k":7}"#.to_owned(), "near line 1"),
        ("[".repeat(10_000), "no form"),
        (format!(r#"{{"x5c":{}"#, "[".repeat(10_000)), "near line 1"),
        (e1, "exponent"),
        (huge, "bits"),
        (zeros, "begins with a zero"),
    ] {
        let message = refusal(text.as_bytes());
        // Some of them only together with the others' checks: whatever the reason, none of the secret is in it.
        assert!(message.contains(why), "{why}: {message}");
        assert!(!message.contains(&D[..8]), "{message}");
    }
}

/// A wrong passphrase is told as one, also where the padding comes out right by chance: once in 256 times.
#[test]
fn wrong_passphrases() {
    let bench = Bench::new();
    bench.write("pass", PASSPHRASE.as_bytes());
    bench.openssl("genpkey -algorithm ED25519 -out key.pem");
    bench.openssl("pkcs8 -topk8 -iter 1 -in key.pem -passout file:pass -outform DER -out locked.der");
    let locked = bench.read("locked.der");
    for number in 0..3000 {
        let error = pbes2::open(&RUST, &locked, format!("wrong {number}").as_bytes()).err().unwrap();
        assert_eq!(error.code, ErrorCode::DecryptionFailed, "wrong {number}: {error}");
    }
}

/// PBES2 of our own making opens with openssl; absurd parameters do not keep anybody busy.
#[test]
fn pbes2_out_and_bounds() {
    let bench = Bench::new();
    let (pkcs8, _) = bench.genpkey(KeyType::EcdsaP256);
    bench.write("pass", PASSPHRASE.as_bytes());
    let provider = providers()[0];
    let sealed = pbes2::seal(provider, &pkcs8, PASSPHRASE.as_bytes()).unwrap();
    bench.write("sealed.der", &sealed);
    bench.openssl("pkcs8 -inform DER -in sealed.der -passin file:pass -outform DER -out opened.der");
    bench.openssl("pkcs8 -topk8 -nocrypt -inform DER -in opened.der -outform DER -out again.der");
    assert_eq!(bench.read("again.der"), pkcs8);
    assert!(pbes2::open(provider, &sealed, PASSPHRASE.as_bytes()).unwrap().equals(&pkcs8));
    assert_eq!(pbes2::open(provider, &sealed, b"wrong").err().unwrap().code, ErrorCode::DecryptionFailed);
    // 600000 is 0x0927c0; two thousand million instead would keep somebody busy for hours.
    let at = sealed.windows(5).position(|w| w == [2, 3, 0x09, 0x27, 0xc0]).unwrap();
    let mut slow = sealed.clone();
    slow.splice(at + 1..at + 5, [4, 0x7f, 0xff, 0xff, 0xff]);
    // One byte more in each of the lengths around it.
    assert!(pbes2::open(provider, &lengthened(slow), b"x").err().unwrap().message.contains("iterations"));
}

/// DER whose first five lengths, those around the number of iterations, are one larger.
fn lengthened(mut der: Vec<u8>) -> Vec<u8> {
    let mut at = 0;
    for _ in 0..5 {
        // A sequence's header, and an object identifier behind it if there is one.
        let size = match der[at + 1] {
            0x81 => 3,
            0x82 => 4,
            _ => 2,
        };
        der[at + size - 1] += 1;
        at += size;
        if der[at] == 6 {
            at += 2 + usize::from(der[at + 1]);
        }
    }
    der
}

/// R47: raw keys have exactly their length; whatever is larger than any key is not looked at.
#[test]
fn lengths() {
    let decode = |kind, len| format::decode(KeyFormat::Raw, kind, &vec![1; len]).map(drop);
    for (kind, len) in [(KeyType::Aes256, 32), (KeyType::Aes128, 16), (KeyType::Ed25519, 32)] {
        decode(kind, len).unwrap();
        assert!(decode(kind, len - 1).is_err() && decode(kind, len + 1).is_err() && decode(kind, 0).is_err());
    }
    assert!(decode(KeyType::EcdsaP256, 32).unwrap_err().message.contains("PKCS#8"));
    let bomb = pem::encode("PRIVATE KEY", &vec![0; MAX_INPUT]);
    assert_eq!(read(bomb.as_bytes()).err().unwrap().code, ErrorCode::TooLarge);
    assert!(refusal(b"").contains("no form") && refusal(&[0; 32]).contains("no form"));
}

/// One good key in each form, made once.
static SAMPLES: LazyLock<Vec<(KeyFormat, Vec<u8>)>> = LazyLock::new(|| {
    let bench = Bench::new();
    let mut samples = Vec::new();
    let rsa = bench.genpkey(KeyType::Rsa2048);
    bench.openssl("rsa -in key.pem -outform DER -out old.der -traditional");
    samples.push((KeyFormat::Pkcs1, bench.read("old.der")));
    let ec = bench.genpkey(KeyType::EcdsaP256);
    bench.openssl("ec -in key.pem -outform DER -out old.der");
    samples.push((KeyFormat::Sec1, bench.read("old.der")));
    for (pkcs8, spki) in [rsa, ec, bench.genpkey(KeyType::Ed25519)] {
        samples.push((KeyFormat::Jwk, format::public::to_jwk(&spki, "k").unwrap().into_bytes()));
        samples.push((KeyFormat::Spki, spki));
        samples.push((KeyFormat::Pkcs8, pkcs8));
    }
    for kind in ["rsa", "ecdsa", "ed25519"] {
        let (private, _) = ssh_keygen(&[kind], "", "aes256-ctr");
        let block = &pem::decode(&private).unwrap()[0];
        samples.push((KeyFormat::OpenSsh, block.der.expose().to_vec()));
    }
    samples
});

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// Invariant 10: no bytes make a decoder panic; and no form is read with bytes behind its end.
    #[test]
    fn decoders_are_total(bytes: Vec<u8>, which in 0..KeyFormat::ALL.len()) {
        drop(format::decode(KeyFormat::ALL[which], KeyType::EcdsaP256, &bytes));
        drop(file::read(&RUST, None, &bytes, &mut || Err(canis_proto::Error::invalid("none"))));
    }

    /// A good key with some bytes changed, cut off or added: refused or read, never a panic.
    #[test]
    fn damaged_keys(
        which: prop::sample::Index,
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
        tail in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let (format, good) = &SAMPLES[which.index(SAMPLES.len())];
        prop_assert!(format::decode(*format, KeyType::EcdsaP256, good).is_ok(), "{}", format);
        let mut bytes = good.clone();
        for (at, value) in edits {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.map_or(bytes.len(), |cut| cut.index(good.len())));
        bytes.extend_from_slice(&tail);
        drop(format::decode(*format, KeyType::EcdsaP256, &bytes));
        drop(file::read(&RUST, None, &bytes, &mut || Err(canis_proto::Error::invalid("none"))));
        if bytes.len() > good.len() && bytes.starts_with(good) && !bytes[good.len()..].trim_ascii().is_empty() {
            prop_assert!(format::decode(*format, KeyType::EcdsaP256, &bytes).is_err(), "{} with a tail", format);
        }
    }
}
