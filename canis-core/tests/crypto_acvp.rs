//! R43: NIST's vectors of ML-KEM, ML-DSA and SLH-DSA on every provider. Wycheproof has no SLH-DSA, and of the others what mistakes
//! look like; these are what laboratories validate by.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::ml_dsa::Mu;
use canis_core::crypto::private_parts::PrivateParts;
use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{Hash, PrivateKey, Provider, PublicKey, RUST, SignScheme, providers, slh_dsa};
use canis_proto::{ErrorCode, KeyType};
use canis_slh_dsa::Set;
use crypto_material::hex;
use serde_json::Value;

/// The file of an algorithm, as it is in `tests/vectors/acvp`.
macro_rules! cases {
    ($name:literal) => {
        serde_json::from_str::<Vec<Value>>(include_str!(concat!("../../tests/vectors/acvp/", $name, ".json")))
            .unwrap()
            .into_iter()
            .map(Case)
    };
}

struct Case(Value);

impl Case {
    fn is(&self, file: &str) -> bool {
        self.0["file"].as_str().unwrap().starts_with(file)
    }

    fn kind(&self) -> KeyType {
        self.0["set"].as_str().unwrap().parse().unwrap()
    }

    fn maybe(&self, name: &str) -> Option<Vec<u8>> {
        self.0[name].as_str().map(hex)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        self.maybe(name).unwrap_or_else(|| panic!("{self} has no {name}"))
    }

    fn passes(&self) -> bool {
        self.0["passed"].as_bool().unwrap()
    }

    /// The digest that is signed in place of the message, if one is.
    fn digest(&self) -> Option<(Hash, Vec<u8>)> {
        let name = self.0["hash"].as_str()?;
        let hash = match name {
            "sha224" => Hash::Sha224,
            "sha256" => Hash::Sha256,
            "sha384" => Hash::Sha384,
            "sha512" => Hash::Sha512,
            "sha3-224" => Hash::Sha3_224,
            "sha3-256" => Hash::Sha3_256,
            "sha3-384" => Hash::Sha3_384,
            "sha3-512" => Hash::Sha3_512,
            other => panic!("{other}"),
        };
        Some((hash, digest(hash, &self.bytes("message"))))
    }

    /// Whether a value is the one whose SHA-256 the case has.
    #[track_caller]
    fn expects(&self, name: &str, value: &[u8]) {
        assert_eq!(digest(Hash::Sha256, value), self.bytes(name), "{self}");
    }

    fn private(&self, provider: &Provider, seed: Option<&str>, whole: Option<&str>) -> Box<dyn PrivateKey> {
        let part = |name| self.bytes(name).into();
        let (seed, expanded) = (seed.map(part), whole.map(part));
        let parts = PrivateParts::PostQuantum { kind: self.kind(), seed, expanded };
        let (kind, pkcs8) = parts.into_material().unwrap();
        provider.keys.private(kind, pkcs8.expose()).unwrap()
    }

    fn public(&self, provider: &Provider, name: &str) -> canis_proto::Result<Box<dyn PublicKey>> {
        let spki = PublicParts::PostQuantum { kind: self.kind(), key: self.bytes(name) }.to_spki()?;
        provider.keys.public(self.kind(), &spki)
    }
}

impl std::fmt::Display for Case {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.0["file"], self.0["test"], self.0["set"])
    }
}

fn digest(hash: Hash, message: &[u8]) -> Vec<u8> {
    let mut out = [0; 64];
    let len = RUST.digest.hash(hash, message, &mut out);
    out[..len].to_vec()
}

fn public_bytes(key: &dyn PrivateKey) -> Vec<u8> {
    match PublicParts::from_spki(key.public_spki()).unwrap().1 {
        PublicParts::PostQuantum { key, .. } => key,
        other => panic!("{other:?}"),
    }
}

fn set_of(kind: KeyType) -> Set {
    match kind {
        KeyType::SlhDsaSha2128s => Set::Sha2128s,
        KeyType::SlhDsaSha2128f => Set::Sha2128f,
        KeyType::SlhDsaSha2192s => Set::Sha2192s,
        KeyType::SlhDsaSha2192f => Set::Sha2192f,
        KeyType::SlhDsaSha2256s => Set::Sha2256s,
        _ => Set::Sha2256f,
    }
}

/// M' of a case of SLH-DSA.
fn message_of(case: &Case) -> Vec<u8> {
    let context = case.bytes("context");
    match case.digest() {
        None => slh_dsa::pure(&context, &case.bytes("message")).unwrap(),
        Some((hash, digest)) => slh_dsa::prehashed(&context, hash, &digest).unwrap(),
    }
}

#[test]
fn slh_dsa_keys() {
    let mut run = 0;
    for case in cases!("slh-dsa").filter(|case| case.is("SLH-DSA-keyGen")) {
        let made = set_of(case.kind()).key_of_seeds(&case.bytes("seeds")).unwrap();
        assert_eq!(*made, case.bytes("sk"), "{case}");
        for provider in providers() {
            let private = case.private(provider, None, Some("sk"));
            assert_eq!(public_bytes(&*private), case.bytes("pk"), "{case}");
        }
        run += 1;
    }
    assert_eq!(run, 18);
}

/// One filling serves both providers, so that each signature is made once.
fn slh_dsa_signatures(kinds: &[KeyType], expected: usize) {
    let mut run = 0;
    let signing = |case: &Case| case.is("SLH-DSA-sigGen") && kinds.contains(&case.kind());
    for case in cases!("slh-dsa").filter(signing) {
        let (private, message) = (case.private(&RUST, None, Some("sk")), message_of(&case));
        let signature = match case.maybe("random") {
            None => {
                let mut out = vec![0; private.signature_len()];
                let len = private.sign_deterministic(&message, &mut out).unwrap();
                out[..len].to_vec()
            }
            random => set_of(case.kind()).sign(&case.bytes("sk"), random.as_deref(), &message).unwrap(),
        };
        case.expects("signatureSha256", &signature);
        for provider in providers() {
            let public = provider.keys.public(case.kind(), private.public_spki()).unwrap();
            assert_eq!(public.verify(SignScheme::SlhDsa, &message, &signature), Ok(true), "{case}");
        }
        run += 1;
    }
    assert_eq!(run, expected);
}

#[test]
fn slh_dsa_signatures_that_are_made_fast() {
    slh_dsa_signatures(&[KeyType::SlhDsaSha2128f, KeyType::SlhDsaSha2192f, KeyType::SlhDsaSha2256f], 12);
}

#[test]
fn slh_dsa_signatures_that_are_short() {
    slh_dsa_signatures(&[KeyType::SlhDsaSha2128s, KeyType::SlhDsaSha2192s, KeyType::SlhDsaSha2256s], 6);
}

#[test]
fn slh_dsa_verification() {
    let mut run = 0;
    for case in cases!("slh-dsa").filter(|case| case.is("SLH-DSA-sigVer")) {
        for provider in providers() {
            let public = case.public(provider, "pk").unwrap();
            let valid = public.verify(SignScheme::SlhDsa, &message_of(&case), &case.bytes("signature"));
            assert_eq!(valid, Ok(case.passes()), "{case} on {}", provider.name);
        }
        run += 1;
    }
    assert_eq!(run, 4);
}

/// mu of a case of ML-DSA, for the key with this public half.
fn mu_of(case: &Case, public: &dyn PublicKey) -> [u8; 64] {
    if let Some(mu) = case.maybe("mu") {
        return mu.try_into().unwrap();
    }
    let (hash, context) = (public.ml_dsa_hash().unwrap(), case.bytes("context"));
    match case.digest() {
        Some((of, digest)) => Mu::prehashed(hash, &context, of, &digest).unwrap(),
        None => {
            let mut mu = Mu::pure(hash, &context).unwrap();
            mu.update(&case.bytes("message"));
            mu.finish()
        }
    }
}

#[test]
fn ml_dsa() {
    let mut run = [0; 3];
    for case in cases!("ml-dsa") {
        for provider in providers() {
            if case.is("ML-DSA-keyGen") {
                let private = case.private(provider, Some("seed"), None);
                case.expects("pkSha256", &public_bytes(&*private));
                case.expects("skSha256", &private.expanded().unwrap());
                run[0] += 1;
            } else if case.is("ML-DSA-sigGen") {
                let private = case.private(provider, None, Some("sk"));
                let public = provider.keys.public(case.kind(), private.public_spki()).unwrap();
                let mut out = vec![0; private.signature_len()];
                private.sign_deterministic(&mu_of(&case, &*public), &mut out).unwrap();
                case.expects("signatureSha256", &out);
                run[1] += 1;
            } else {
                let public = case.public(provider, "pk").unwrap();
                let mu = mu_of(&case, &*public);
                let valid = public.verify(SignScheme::MlDsa, &mu, &case.bytes("signature"));
                assert_eq!(valid, Ok(case.passes()), "{case} on {}", provider.name);
                run[2] += 1;
            }
        }
    }
    assert_eq!(run, [15, 6, 6].map(|cases| cases * providers().len()));
}

#[test]
fn ml_kem() {
    let mut run = [0; 4];
    for case in cases!("ml-kem") {
        for provider in providers() {
            let what = format!("{case} on {}", provider.name);
            if case.is("ML-KEM-keyGen") {
                let private = case.private(provider, Some("seed"), None);
                case.expects("ekSha256", &public_bytes(&*private));
                case.expects("dkSha256", &private.expanded().unwrap());
                run[0] += 1;
            } else if let Some(ciphertext) = case.maybe("c") {
                let private = case.private(provider, None, Some("dk"));
                assert_eq!(private.decapsulate(&ciphertext).unwrap().expose(), case.bytes("k"), "{what}");
                run[1] += 1;
            } else if case.maybe("ek").is_some() {
                assert_eq!(case.public(provider, "ek").is_ok(), case.passes(), "{what}");
                run[2] += 1;
            } else {
                let (kind, whole) = (case.kind(), case.bytes("dk").into());
                let parts = PrivateParts::PostQuantum { kind, seed: None, expanded: Some(whole) };
                let (_, pkcs8) = parts.into_material().unwrap();
                let refused = provider.keys.private(kind, pkcs8.expose()).err().unwrap();
                assert_eq!((refused.code, case.passes()), (ErrorCode::InvalidArgument, false), "{what}");
                run[3] += 1;
            }
        }
    }
    assert_eq!(run, [15, 9, 6, 3].map(|cases| cases * providers().len()));
}
