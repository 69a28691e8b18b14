//! R43: the `openssl` program is the other opinion: it reads our keys, verifies our signatures and decrypts our
//! ciphertexts, and we its, on every provider.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{
    Hash, MAX_DIGEST, Oaep, PrivateKey, Provider, PublicKey, SignScheme, digest_info, ecdsa_der, providers,
};
use canis_proto::{ErrorCode, Family, KeyType};
use crypto_material::openssl::Bench;

const MESSAGE: &[u8] = b"a message that both sides know";

/// Every type of key pair but the longest RSA keys, which take minutes to make (`crypto_rsa.rs` has them ready).
fn pairs_made_in_time() -> impl Iterator<Item = KeyType> {
    let known = |family| !matches!(family, Family::MlDsa | Family::MlKem | Family::SlhDsa | Family::Hybrid);
    let made = move |kind: &KeyType| kind.is_asymmetric() && kind.bits() <= 4096 && known(kind.family());
    KeyType::ALL.iter().copied().filter(made)
}

fn digest(provider: &Provider, hash: Hash) -> Vec<u8> {
    let mut out = [0; MAX_DIGEST];
    let len = provider.digest.hash(hash, MESSAGE, &mut out);
    out[..len].to_vec()
}

fn name(hash: Hash) -> &'static str {
    match hash {
        Hash::Md5 => "md5",
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
        Family::Aes | Family::Generic | Family::Montgomery | Family::Des | Family::TripleDes => {}
        // Debian 12's openssl has no post-quantum keys.
        Family::MlDsa | Family::MlKem | Family::SlhDsa | Family::Hybrid => {}
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
