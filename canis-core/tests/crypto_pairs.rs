//! Key pairs of every type, on every provider and crosswise: what one makes, the other takes.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

use canis_core::crypto::{Hash, Oaep, Provider, SignScheme, digest_info, providers};
use canis_core::secret::SecretBytes;
use canis_proto::{ErrorCode, Family, KeyType};
use std::sync::LazyLock;

/// One key pair of each type from each provider; RSA keys take seconds to make, so the tests share them. The longest,
/// which take minutes, have been made once: `crypto_rsa.rs`.
static PAIRS: LazyLock<Vec<Pair>> = LazyLock::new(|| {
    // Of SLH-DSA the sets that sign in milliseconds; the others are in `crypto_slh_dsa.rs`.
    let slow = |kind: KeyType| kind.family() == Family::SlhDsa && kind.name().ends_with('s');
    let made = |kind: &KeyType| kind.is_asymmetric() && kind.bits() <= 4096 && !slow(*kind);
    let kinds = KeyType::ALL.iter().copied().filter(made);
    kinds.flat_map(|kind| providers().into_iter().map(move |maker| Pair::make(maker, kind))).collect()
});

struct Pair {
    kind: KeyType,
    maker: &'static Provider,
    pkcs8: SecretBytes,
    spki: Vec<u8>,
}

impl Pair {
    fn make(maker: &'static Provider, kind: KeyType) -> Pair {
        let pkcs8 = maker.keys.generate(kind).unwrap();
        let spki = maker.keys.private(kind, pkcs8.expose()).unwrap().public_spki().to_vec();
        Pair { kind, maker, pkcs8, spki }
    }

    fn name(&self) -> String {
        format!("{} of {}", self.kind, self.maker.name)
    }
}

fn of_family(family: Family) -> impl Iterator<Item = &'static Pair> {
    PAIRS.iter().filter(move |pair| pair.kind.family() == family)
}

/// Every scheme of a family with an input that fits it.
fn schemes(family: Family) -> Vec<(SignScheme, Vec<u8>)> {
    match family {
        Family::Aes | Family::Generic | Family::Des | Family::TripleDes => vec![],
        Family::Montgomery | Family::MlKem | Family::Hybrid => vec![],
        Family::Ec => [1, 20, 32, 48, 64, 200].map(|len| (SignScheme::Ecdsa, vec![0xc3; len])).into(),
        Family::Edwards => [0, 1, 64, 1000].map(|len| (SignScheme::Ed25519, vec![0xc3; len])).into(),
        Family::MlDsa => [0, 0xff].map(|byte| (SignScheme::MlDsa, vec![byte; 64])).into(),
        Family::SlhDsa => [0, 1000].map(|len| (SignScheme::SlhDsa, vec![0xc3; len])).into(),
        Family::Rsa => {
            let mut all = vec![
                (SignScheme::RsaPkcs1, b"not even a DigestInfo".to_vec()),
                (SignScheme::RsaPkcs1, vec![]),
                (SignScheme::RsaRaw, vec![0x31; 256]),
                (SignScheme::RsaPkcs1, vec![7; 256 - 11]),
            ];
            for hash in Hash::ALL {
                let digest = vec![0x3c; hash.len()];
                all.push((
                    SignScheme::RsaPkcs1,
                    digest_info::encode(hash, &digest).unwrap().as_slice().to_vec(),
                ));
                for mgf in [hash, Hash::Sha1, Hash::Sha512] {
                    for salt in [0, hash.len()] {
                        all.push((SignScheme::RsaPss { hash, mgf, salt }, digest.clone()));
                    }
                }
            }
            all
        }
    }
}

/// R2–R6: every scheme of every key type verifies on both providers, whoever signed, and nothing else does.
#[test]
fn signatures_cross() {
    for pair in PAIRS.iter() {
        for signer in providers() {
            let private = signer.keys.private(pair.kind, pair.pkcs8.expose()).unwrap();
            assert_eq!(private.public_spki(), pair.spki, "{}", pair.name());
            // Every hash with the shortest keys; a few with those that are slow.
            let every = if pair.kind.bits() > 2048 { 5 } else { 1 };
            for (scheme, input) in schemes(pair.kind.family()).into_iter().step_by(every) {
                let mut out = vec![0; private.signature_len() + 3];
                let len = private.sign(scheme, &input, &mut out).unwrap();
                assert_eq!(len, private.signature_len());
                for verifier in providers() {
                    let public = verifier.keys.public(pair.kind, &pair.spki).unwrap();
                    let what = format!("{}: {} → {}, {scheme:?}", pair.name(), signer.name, verifier.name);
                    assert_eq!(public.verify(scheme, &input, &out[..len]), Ok(true), "{what}");
                    assert_eq!(public.verify(scheme, &input, &out[..len - 1]), Ok(false), "{what}");
                    assert_eq!(public.verify(scheme, &input, &out[..len + 1]), Ok(false), "{what}");
                    assert_eq!(public.verify(scheme, &input, &[]), Ok(false), "{what}");
                    let mut bad = out[..len].to_vec();
                    bad[len / 2] ^= 4;
                    assert_eq!(public.verify(scheme, &input, &bad), Ok(false), "{what}");
                    if let Some(first) = input.first() {
                        let mut other = input.clone();
                        other[0] = first ^ 1;
                        assert_eq!(public.verify(scheme, &other, &out[..len]), Ok(false), "{what}");
                    }
                }
            }
        }
    }
}

/// R2, R3: OAEP with every hash, MGF1 hash and a label, encrypted by one provider and decrypted by the other.
#[test]
fn oaep_crosses() {
    for pair in of_family(Family::Rsa) {
        for (from, to) in
            providers().into_iter().flat_map(|from| providers().into_iter().map(move |to| (from, to)))
        {
            let public = from.keys.public(pair.kind, &pair.spki).unwrap();
            let private = to.keys.private(pair.kind, pair.pkcs8.expose()).unwrap();
            let mut out = vec![0; private.signature_len()];
            let hashes: &[Hash] =
                if pair.kind == KeyType::Rsa2048 { &Hash::ALL } else { &[Hash::Sha256, Hash::Sha3_512] };
            for hash in hashes.iter().copied() {
                for mgf in [hash, Hash::Sha1, Hash::Sha3_512] {
                    for label in [&b""[..], b"a label"] {
                        let scheme = Oaep { hash, mgf, label };
                        let most = pair.kind.bits() / 8 - 2 * hash.len() - 2;
                        for len in [0, 1, 32, most] {
                            let plaintext = vec![0x77; len];
                            let ciphertext = public.encrypt_oaep(scheme, &plaintext).unwrap();
                            let got = private.decrypt_oaep(scheme, &ciphertext, &mut out).unwrap();
                            assert_eq!(&out[..got], plaintext, "{}: {scheme:?}", pair.name());
                        }
                        let error = public.encrypt_oaep(scheme, &vec![0; most + 1]).unwrap_err();
                        assert_eq!(error.code, ErrorCode::InvalidArgument);
                    }
                    // Once per pair of hashes: what is wrong is wrong in one way.
                    if pair.kind == KeyType::Rsa2048 {
                        let scheme = Oaep { hash, mgf, label: b"a label" };
                        let ciphertext = public.encrypt_oaep(scheme, b"text").unwrap();
                        let mut flipped = ciphertext.clone();
                        flipped[100] ^= 1;
                        let other = if hash == Hash::Sha1 { Hash::Sha256 } else { Hash::Sha1 };
                        for (scheme, ciphertext) in [
                            (Oaep { label: b"", ..scheme }, &ciphertext[..]),
                            (Oaep { label: b"another", ..scheme }, &ciphertext),
                            (Oaep { hash: other, ..scheme }, &ciphertext),
                            (scheme, &flipped),
                            (scheme, &ciphertext[1..]),
                            (scheme, &[ciphertext.as_slice(), &[0]].concat()),
                            (scheme, &[]),
                            (scheme, &[0xff; 256]),
                        ] {
                            let error = private.decrypt_oaep(scheme, ciphertext, &mut out).unwrap_err();
                            assert_eq!(error.code, ErrorCode::DecryptionFailed);
                        }
                    }
                }
            }
        }
    }
}
