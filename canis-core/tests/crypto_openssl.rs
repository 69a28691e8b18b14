//! R43: the `openssl` program is the other opinion: it reads our keys, verifies our signatures and decrypts our
//! ciphertexts, and we its, on every provider.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{
    BlockMode, CipherStream, Direction, Hash, MAX_AGREED, MAX_DIGEST, Oaep, PrivateKey, Provider, PublicKey,
    SignScheme, digest_info, ecdsa_der, providers,
};
use canis_proto::{ErrorCode, Family, KeyType};
use std::path::PathBuf;
use std::process::Command;

const MESSAGE: &[u8] = b"a message that both sides know";

/// A directory of its own for one test, and `openssl` running in it.
struct Bench(tempfile::TempDir);

impl Bench {
    fn new() -> Bench {
        Bench(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.path(name), bytes).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        std::fs::read(self.path(name)).unwrap()
    }

    /// Runs `openssl` with the words of `line`; says whether it succeeded, and what it printed.
    fn try_openssl(&self, line: &str) -> (bool, String) {
        let output =
            Command::new("openssl").args(line.split_whitespace()).current_dir(&self.0).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.success(), String::from_utf8_lossy(&text).into_owned())
    }

    fn openssl(&self, line: &str) -> String {
        let (success, text) = self.try_openssl(line);
        assert!(success, "openssl {line}\n{text}");
        text
    }

    /// A key pair by `openssl genpkey` in key.der (PKCS#8) and pub.der.
    fn genpkey(&self, kind: KeyType) -> (Vec<u8>, Vec<u8>) {
        let algorithm = match kind {
            KeyType::Rsa2048 => "RSA -pkeyopt rsa_keygen_bits:2048",
            KeyType::Rsa3072 => "RSA -pkeyopt rsa_keygen_bits:3072",
            KeyType::Rsa4096 => "RSA -pkeyopt rsa_keygen_bits:4096",
            KeyType::EcdsaP256 => "EC -pkeyopt ec_paramgen_curve:P-256",
            KeyType::EcdsaP384 => "EC -pkeyopt ec_paramgen_curve:P-384",
            KeyType::EcdsaP521 => "EC -pkeyopt ec_paramgen_curve:P-521",
            KeyType::EcdsaSecp256k1 => "EC -pkeyopt ec_paramgen_curve:secp256k1",
            KeyType::X25519 => "X25519",
            _ => "ED25519",
        };
        self.genpkey_as(algorithm)
    }

    fn genpkey_as(&self, algorithm: &str) -> (Vec<u8>, Vec<u8>) {
        // `genpkey -outform DER` would write the older form of the algorithm, its PEM is PKCS#8.
        self.openssl(&format!("genpkey -algorithm {algorithm} -out key.pem"));
        self.openssl("pkcs8 -topk8 -nocrypt -in key.pem -outform DER -out key.der");
        self.openssl("pkey -inform DER -in key.der -pubout -outform DER -out pub.der");
        (self.read("key.der"), self.read("pub.der"))
    }
}

/// Every type of key pair but the longest RSA keys, which take minutes to make (`crypto_rsa.rs` has them ready).
fn pairs_made_in_time() -> impl Iterator<Item = KeyType> {
    KeyType::ALL.iter().copied().filter(|kind| kind.is_asymmetric() && kind.bits() <= 4096)
}

fn digest(provider: &Provider, hash: Hash) -> Vec<u8> {
    let mut out = [0; MAX_DIGEST];
    let len = provider.digest.hash(hash, MESSAGE, &mut out);
    out[..len].to_vec()
}

fn name(hash: Hash) -> &'static str {
    match hash {
        Hash::Sha1 => "sha1",
        Hash::Sha224 => "sha224",
        Hash::Sha256 => "sha256",
        Hash::Sha384 => "sha384",
        Hash::Sha512 => "sha512",
        Hash::Sha3_224 => "sha3-224",
        Hash::Sha3_256 => "sha3-256",
        Hash::Sha3_384 => "sha3-384",
        Hash::Sha3_512 => "sha3-512",
    }
}

/// The schemes of a key type, each with our input and openssl's options for the same.
fn schemes(provider: &Provider, kind: KeyType) -> Vec<(SignScheme, Vec<u8>, String)> {
    let mut all = Vec::new();
    match kind.family() {
        Family::Edwards => all.push((SignScheme::Ed25519, MESSAGE.to_vec(), "-rawin -in message".to_owned())),
        Family::Aes | Family::Generic | Family::Montgomery => {}
        Family::Ec | Family::Rsa => {
            for hash in Hash::ALL {
                let digest = digest(provider, hash);
                let options = format!("-in {0}.digest -pkeyopt digest:{0}", name(hash));
                if kind.family() == Family::Ec {
                    all.push((SignScheme::Ecdsa, digest, options));
                    continue;
                }
                let info = digest_info::encode(hash, &digest).unwrap().as_slice().to_vec();
                all.push((SignScheme::RsaPkcs1, info, options.clone()));
                for (mgf, salt) in [(hash, hash.len()), (Hash::Sha1, 0), (Hash::Sha512, 17)] {
                    let pss = format!(
                        "{options} -pkeyopt rsa_padding_mode:pss -pkeyopt rsa_pss_saltlen:{salt} \
                         -pkeyopt rsa_mgf1_md:{}",
                        name(mgf)
                    );
                    all.push((SignScheme::RsaPss { hash, mgf, salt }, digest.clone(), pss));
                }
            }
        }
    }
    all
}

/// openssl knows ECDSA signatures as DER only.
fn for_openssl(scheme: SignScheme, raw: &[u8]) -> Vec<u8> {
    if scheme == SignScheme::Ecdsa { ecdsa_der::to_der(raw).unwrap() } else { raw.to_vec() }
}

fn from_openssl(scheme: SignScheme, bytes: Vec<u8>, private: &dyn PrivateKey) -> Vec<u8> {
    if scheme == SignScheme::Ecdsa {
        ecdsa_der::from_der(&bytes, private.signature_len() / 2).unwrap()
    } else {
        bytes
    }
}

/// Signs with each side and verifies with the other; key.der and pub.der are in the bench.
fn sign_across(
    bench: &Bench,
    provider: &Provider,
    kind: KeyType,
    private: &dyn PrivateKey,
    public: &dyn PublicKey,
) {
    bench.write("message", MESSAGE);
    for hash in Hash::ALL {
        bench.write(&format!("{}.digest", name(hash)), &digest(provider, hash));
    }
    for (scheme, input, options) in schemes(provider, kind) {
        let what = format!("{kind}, {}, {scheme:?}", provider.name);
        let mut out = vec![0; private.signature_len()];
        private.sign(scheme, &input, &mut out).unwrap();
        bench.write("signature", &for_openssl(scheme, &out));
        let verify =
            format!("pkeyutl -verify -pubin -keyform DER -inkey pub.der -sigfile signature {options}");
        assert!(bench.openssl(&verify).contains("Verified Successfully"), "{what}");

        bench.openssl(&format!("pkeyutl -sign -keyform DER -inkey key.der -out theirs {options}"));
        let theirs = from_openssl(scheme, bench.read("theirs"), private);
        assert_eq!(public.verify(scheme, &input, &theirs), Ok(true), "{what}");

        let last = out.len() - 1;
        out[last] ^= 1;
        bench.write("signature", &for_openssl(scheme, &out));
        assert!(!bench.try_openssl(&verify).0, "{what}: a wrong signature");
    }
}

/// R2–R6: keys made by `openssl genpkey` are read by every provider, and signatures cross both ways.
#[test]
fn their_keys() {
    for kind in pairs_made_in_time() {
        let bench = Bench::new();
        let (pkcs8, spki) = bench.genpkey(kind);
        for provider in providers() {
            let private = provider.keys.private(kind, &pkcs8).unwrap();
            assert_eq!(private.public_spki(), spki, "{kind} of {}: byte for byte theirs", provider.name);
            let public = provider.keys.public(kind, &spki).unwrap();
            sign_across(&bench, provider, kind, &*private, &*public);
        }
    }
}

/// R2–R6: keys made by every provider pass `openssl pkey -check` and sign there; R3: the modulus has its size.
#[test]
fn our_keys() {
    for kind in pairs_made_in_time() {
        for provider in providers() {
            let bench = Bench::new();
            let pkcs8 = provider.keys.generate(kind).unwrap();
            let private = provider.keys.private(kind, pkcs8.expose()).unwrap();
            bench.write("key.der", pkcs8.expose());
            bench.write("pub.der", private.public_spki());
            if !matches!(kind.family(), Family::Edwards | Family::Montgomery) {
                assert!(bench.openssl("pkey -inform DER -in key.der -check -noout").contains("Key is valid"));
            }
            let text = bench.openssl("pkey -pubin -inform DER -in pub.der -noout -text");
            let expected = match kind.family() {
                Family::Edwards => "ED25519 Public-Key".to_owned(),
                Family::Montgomery => "X25519 Public-Key".to_owned(),
                _ => format!("Public-Key: ({} bit)", kind.bits()),
            };
            assert!(text.contains(&expected), "{kind} of {}: {text}", provider.name);
            if kind.family() == Family::Rsa {
                assert!(text.contains("Exponent: 65537"));
            }
            bench.openssl("pkey -inform DER -in key.der -pubout -outform DER -out theirs.der");
            assert_eq!(bench.read("theirs.der"), private.public_spki());
            let public = provider.keys.public(kind, private.public_spki()).unwrap();
            sign_across(&bench, provider, kind, &*private, &*public);
        }
    }
}

/// R2: OAEP both ways with every hash, another hash for MGF1, and a label.
#[test]
fn oaep() {
    let bench = Bench::new();
    let (pkcs8, spki) = bench.genpkey(KeyType::Rsa2048);
    bench.write("message", MESSAGE);
    for provider in providers() {
        let private = provider.keys.private(KeyType::Rsa2048, &pkcs8).unwrap();
        let public = provider.keys.public(KeyType::Rsa2048, &spki).unwrap();
        for hash in Hash::ALL {
            for (mgf, label) in [(hash, &b""[..]), (Hash::Sha1, b""), (Hash::Sha256, b"a label")] {
                let scheme = Oaep { hash, mgf, label };
                let mut options = format!(
                    "-pkeyopt rsa_padding_mode:oaep -pkeyopt rsa_oaep_md:{} -pkeyopt rsa_mgf1_md:{}",
                    name(hash),
                    name(mgf)
                );
                if !label.is_empty() {
                    options += " -pkeyopt rsa_oaep_label:61206c6162656c";
                }
                bench.write("ours", &public.encrypt_oaep(scheme, MESSAGE).unwrap());
                bench.openssl(&format!(
                    "pkeyutl -decrypt -keyform DER -inkey key.der -in ours -out clear {options}"
                ));
                assert_eq!(bench.read("clear"), MESSAGE, "{}: {scheme:?}", provider.name);

                let encrypt = "pkeyutl -encrypt -pubin -keyform DER -inkey pub.der -in message -out theirs";
                bench.openssl(&format!("{encrypt} {options}"));
                let mut out = [0; 256];
                let len = private.decrypt_oaep(scheme, &bench.read("theirs"), &mut out).unwrap();
                assert_eq!(&out[..len], MESSAGE, "{}: {scheme:?}", provider.name);
            }
        }
    }
}

/// Keys that openssl makes and CANIS does not take: small, with a small exponent, restricted, of other curves,
/// with written-out curves, encrypted.
#[test]
fn refused_keys() {
    let bench = Bench::new();
    let cases = [
        (KeyType::Rsa2048, "RSA -pkeyopt rsa_keygen_bits:1024"),
        (KeyType::Rsa2048, "RSA -pkeyopt rsa_keygen_bits:2047"),
        (KeyType::Rsa2048, "RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_pubexp:3"),
        (KeyType::Rsa2048, "RSA -pkeyopt rsa_keygen_bits:2048 -pkeyopt rsa_keygen_primes:3"),
        (KeyType::Rsa2048, "RSA-PSS -pkeyopt rsa_keygen_bits:2048"),
        (KeyType::EcdsaP384, "EC -pkeyopt ec_paramgen_curve:P-521"),
        (KeyType::EcdsaP256, "EC -pkeyopt ec_paramgen_curve:secp256k1"),
        (KeyType::EcdsaP256, "EC -pkeyopt ec_paramgen_curve:P-224"),
        (KeyType::EcdsaP256, "EC -pkeyopt ec_paramgen_curve:P-256 -pkeyopt ec_param_enc:explicit"),
        (KeyType::Ed25519, "X25519"),
        (KeyType::Ed25519, "ED448"),
    ];
    for (kind, algorithm) in cases {
        let (pkcs8, spki) = bench.genpkey_as(algorithm);
        for provider in providers() {
            let what = format!("{algorithm}, {}", provider.name);
            let error = provider.keys.private(kind, &pkcs8).err().expect(&what);
            assert!(
                matches!(error.code, ErrorCode::InvalidArgument | ErrorCode::InvalidKeyType),
                "{what}: {error}"
            );
            if !algorithm.contains("primes") {
                assert!(provider.keys.public(kind, &spki).is_err(), "{what}");
            }
        }
    }
    bench.genpkey(KeyType::Ed25519);
    bench.openssl("pkcs8 -topk8 -inform DER -in key.der -outform DER -out locked.der -passout pass:secret");
    for provider in providers() {
        let error = provider.keys.private(KeyType::Ed25519, &bench.read("locked.der")).err().unwrap();
        assert_eq!(error.code, ErrorCode::InvalidArgument);
    }
}

/// R4: EC keys that openssl writes without the public half, or with a compressed one, by both providers alike.
#[test]
fn ec_key_forms() {
    let bench = Bench::new();
    let (_, spki) = bench.genpkey(KeyType::EcdsaP256);
    for option in ["-no_public", "-conv_form compressed"] {
        bench.openssl(&format!("ec -inform DER -in key.der {option} -out form.pem"));
        bench.openssl("pkcs8 -topk8 -nocrypt -in form.pem -outform DER -out form.der");
        let read: Vec<_> = providers()
            .iter()
            .map(|p| {
                p.keys.private(KeyType::EcdsaP256, &bench.read("form.der")).map(|k| k.public_spki().to_vec())
            })
            .collect();
        for result in read {
            assert_eq!(result.unwrap(), spki, "{option}");
        }
    }
}

/// R3: what the public key says of itself is what openssl says of it.
#[test]
fn public_parts() {
    let bench = Bench::new();
    let (_, spki) = bench.genpkey(KeyType::Rsa4096);
    let (kind, parts) = PublicParts::from_spki(&spki).unwrap();
    let PublicParts::Rsa { modulus, .. } = parts else { panic!("not RSA: {kind}") };
    let text = bench.openssl("rsa -pubin -inform DER -in pub.der -noout -modulus");
    let hex: String = modulus.iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(text.contains(&hex) && modulus.len() == 512);
}

/// R43: AES in ECB, CBC, CBC with padding and CTR, and CMAC, as `openssl enc` and `openssl mac` have them.
#[test]
fn aes() {
    let bench = Bench::new();
    let (iv, message) = ([0x1f; 16], vec![0x5c; 4096]);
    let text = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    for provider in providers() {
        for bits in [128, 192, 256] {
            let key = vec![0x2a; bits / 8];
            let aes = provider.cipher.aes(&key).unwrap();
            let cases = [
                (BlockMode::Ecb, "ecb", "-nopad", 4096),
                (BlockMode::Cbc { iv }, "cbc", "-nopad", 4096),
                (BlockMode::CbcPad { iv }, "cbc", "", 4095),
                (BlockMode::Ctr { counter: iv, bits: 128 }, "ctr", "", 4081),
            ];
            for (mode, name, padding, len) in cases {
                bench.write("clear", &message[..len]);
                let iv = if name == "ecb" { String::new() } else { format!("-iv {}", text(&iv)) };
                let key = text(&key);
                bench.openssl(&format!(
                    "enc -aes-{bits}-{name} {padding} -K {key} {iv} -in clear -out sealed"
                ));
                let mut stream = CipherStream::new(&*aes, mode, Direction::Encrypt).unwrap();
                let mut out = vec![0; len + 16];
                let at = stream.update(&message[..len], &mut out).unwrap();
                let end = at + stream.finish(&mut out[at..]).unwrap();
                assert_eq!(out[..end], bench.read("sealed"), "{mode:?} {bits} on {}", provider.name);
            }
            bench.write("clear", &message);
            let mac = bench
                .openssl(&format!("mac -cipher AES-{bits}-CBC -macopt hexkey:{} -in clear CMAC", text(&key)));
            let mut tag = [0; MAX_DIGEST];
            let len = aes.cmac().unwrap().tag(&[&message], &mut tag).unwrap();
            assert_eq!(mac.trim().to_lowercase(), text(&tag[..len]), "CMAC {bits} on {}", provider.name);
        }
    }
}

/// PKCS#1 v1.5 encryption and raw RSA both ways, and what openssl recovers from our signature.
#[test]
fn rsa_pkcs1_and_raw() {
    let bench = Bench::new();
    let (pkcs8, spki) = bench.genpkey(KeyType::Rsa2048);
    let block = [vec![0], vec![0x6b; 255]].concat();
    bench.write("message", MESSAGE);
    bench.write("block", &block);
    for provider in providers() {
        let private = provider.keys.private(KeyType::Rsa2048, &pkcs8).unwrap();
        let public = provider.keys.public(KeyType::Rsa2048, &spki).unwrap();
        let mut out = [0; 256];
        for (mode, clear, ours) in [
            ("pkcs1", MESSAGE, public.encrypt_pkcs1(MESSAGE).unwrap()),
            ("none", &block, public.encrypt_raw(&block).unwrap()),
        ] {
            let options = format!("-keyform DER -pkeyopt rsa_padding_mode:{mode}");
            bench.write("ours", &ours);
            bench.openssl(&format!("pkeyutl -decrypt -inkey key.der -in ours -out clear {options}"));
            assert_eq!(bench.read("clear"), clear, "{mode} on {}", provider.name);
            let input = if mode == "none" { "block" } else { "message" };
            bench.openssl(&format!(
                "pkeyutl -encrypt -pubin -inkey pub.der -in {input} -out theirs {options}"
            ));
            let len = if mode == "none" {
                private.decrypt_raw(&bench.read("theirs"), &mut out).unwrap()
            } else {
                private.decrypt_pkcs1(&bench.read("theirs"), &mut out).unwrap()
            };
            assert_eq!(&out[..len], clear, "{mode} on {}", provider.name);
        }
        private.sign(SignScheme::RsaPkcs1, MESSAGE, &mut out).unwrap();
        bench.write("ours", &out);
        bench.openssl("pkeyutl -verifyrecover -pubin -keyform DER -inkey pub.der -in ours -out clear");
        assert_eq!(bench.read("clear"), MESSAGE);
    }
}

/// R43: ECDH on every curve, and X25519, with openssl on the other side.
#[test]
fn agreement() {
    let kinds = KeyType::ALL.iter().copied();
    for kind in kinds.filter(|kind| matches!(kind.family(), Family::Ec | Family::Montgomery)) {
        let bench = Bench::new();
        let (_, spki) = bench.genpkey(kind);
        let peer = match PublicParts::from_spki(&spki).unwrap().1 {
            PublicParts::Ec { point, .. } => point,
            PublicParts::Montgomery { point } => point.to_vec(),
            other => panic!("{other:?}"),
        };
        for provider in providers() {
            let pkcs8 = provider.keys.generate(kind).unwrap();
            let private = provider.keys.private(kind, pkcs8.expose()).unwrap();
            bench.write("ours.der", private.public_spki());
            bench.openssl(
                "pkeyutl -derive -keyform DER -inkey key.der -peerform DER -peerkey ours.der -out theirs",
            );
            let mut out = [0; MAX_AGREED];
            let len = private.agree(&peer, &mut out).unwrap();
            assert_eq!(out[..len], bench.read("theirs"), "{kind} on {}", provider.name);
        }
    }
}
