//! RSA beyond signatures and OAEP, on every provider and crosswise: PKCS#1 v1.5 encryption with implicit rejection, raw
//! blocks, recovery of what was signed, and the longest moduli.
#![allow(clippy::unwrap_used)] // a failing unwrap is a failing test

mod crypto_material;

use canis_core::crypto::public_parts::PublicParts;
use canis_core::crypto::{
    Hash, MAX_DIGEST, Oaep, PrivateKey, Provider, PublicKey, SignScheme, digest_info, providers,
};
use canis_proto::{ErrorCode, KeyType};
use crypto_material::{hex, key, pem};

const RSA_2048: &str = include_str!("crypto_material/rsa_2048.pem");
const RSA_6144: &str = include_str!("crypto_material/rsa_6144.pem");
const RSA_8192: &str = include_str!("crypto_material/rsa_8192.pem");

type Halves = (Box<dyn PrivateKey>, Box<dyn PublicKey>);

fn halves(provider: &Provider, kind: KeyType, pkcs8: &[u8]) -> Halves {
    let private = provider.keys.private(kind, pkcs8).unwrap();
    let public = provider.keys.public(kind, private.public_spki()).unwrap();
    (private, public)
}

fn across() -> impl Iterator<Item = (&'static Provider, &'static Provider)> {
    providers().into_iter().flat_map(|from| providers().into_iter().map(move |to| (from, to)))
}

/// What one provider encrypts with PKCS#1 v1.5, the other decrypts, at every length.
#[test]
fn pkcs1_encryption_crosses() {
    let (pkcs8, _) = key(KeyType::Rsa2048);
    for (from, to) in across() {
        let (_, public) = halves(from, KeyType::Rsa2048, pkcs8);
        let (private, _) = halves(to, KeyType::Rsa2048, pkcs8);
        for len in [0, 1, 16, 32, 48, 244, 245] {
            let plaintext = vec![0xa7; len];
            let ciphertext = public.encrypt_pkcs1(&plaintext).unwrap();
            assert_ne!(ciphertext, public.encrypt_pkcs1(&plaintext).unwrap(), "random padding");
            let mut out = [0; 256];
            let got = private.decrypt_pkcs1(&ciphertext, &mut out).unwrap();
            assert_eq!(out[..got], plaintext, "{} → {}", from.name, to.name);
            assert_eq!(
                private.decrypt_pkcs1(&ciphertext, &mut out[..255]).unwrap_err().code,
                ErrorCode::InvalidArgument
            );
        }
        assert_eq!(public.encrypt_pkcs1(&[0; 246]).unwrap_err().code, ErrorCode::InvalidArgument);
    }
}

/// A ciphertext that everybody can see is none is refused; wrong padding never is.
#[test]
fn only_public_faults_are_refused() {
    let (pkcs8, spki) = key(KeyType::Rsa2048);
    let PublicParts::Rsa { modulus, .. } = PublicParts::from_spki(spki).unwrap().1 else { unreachable!() };
    for provider in providers() {
        let (private, public) = halves(provider, KeyType::Rsa2048, pkcs8);
        let mut out = [0; 256];
        for bad in [&[][..], &[1; 255], &[1; 257], &[0xff; 256], &[0; 256], &modulus] {
            for error in [
                private.decrypt_pkcs1(bad, &mut out).unwrap_err(),
                private.decrypt_raw(bad, &mut out).unwrap_err(),
            ] {
                assert_eq!(error.code, ErrorCode::DecryptionFailed, "{}", provider.name);
            }
        }
        let blocks: [fn(&mut [u8; 256]); 7] = [
            |block| block[0] = 1,       // not 0 first
            |block| block[1] = 1,       // the type of signatures
            |block| block[1] = 0,       // no type
            |block| block[2] = 0,       // no padding
            |block| block[9] = 0,       // seven bytes of it
            |block| block[2..].fill(7), // no end
            |block| block[2..].fill(0), // nothing
        ];
        for spoil in blocks {
            let mut block = [7; 256];
            (block[0], block[1], block[200]) = (0, 2, 0);
            spoil(&mut block);
            let ciphertext = public.encrypt_raw(&block).unwrap();
            let len = private.decrypt_pkcs1(&ciphertext, &mut out).unwrap();
            assert!(len <= 245);
            // The message that stands for it has a random length; a short one may be the block's end by chance.
            assert!(len < 16 || out[..len] != block[256 - len..], "another message, {}", provider.name);
        }
        // Eight bytes of padding are enough.
        let mut block = [7; 256];
        (block[0], block[1], block[10]) = (0, 2, 0);
        let len = private.decrypt_pkcs1(&public.encrypt_raw(&block).unwrap(), &mut out).unwrap();
        assert_eq!((len, out[..len].iter().all(|&b| b == 7)), (245, true), "{}", provider.name);
    }
}

/// R43: the message that stands for wrong padding is the same on both providers and on OpenSSL.
#[test]
fn implicit_rejection_is_deterministic() {
    let mut seen = 0;
    for provider in providers() {
        let keys = [
            ("rsa_2048", halves(provider, KeyType::Rsa2048, &pem(RSA_2048)).0, 256),
            ("rsa_6144", halves(provider, KeyType::Rsa6144, &pem(RSA_6144)).0, 768),
        ];
        let lines = include_str!("crypto_material/rsa_implicit_rejection.txt").lines();
        for line in lines.filter(|line| !line.starts_with('#')) {
            let [name, fill, message] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
            let (_, private, len) = keys.iter().find(|(key, ..)| *key == name).unwrap();
            let mut out = vec![0; *len];
            let ciphertext = vec![hex(fill)[0]; *len];
            for _ in 0..2 {
                let got = private.decrypt_pkcs1(&ciphertext, &mut out).unwrap();
                assert_eq!(out[..got], hex(message), "{name} {fill} on {}", provider.name);
            }
            seen += 1;
        }
    }
    assert_eq!(seen, 16 * providers().len());
}

/// Raw blocks both ways: what the private half makes, the public half undoes, and the reverse.
#[test]
fn raw_crosses() {
    let (pkcs8, spki) = key(KeyType::Rsa2048);
    let PublicParts::Rsa { modulus, .. } = PublicParts::from_spki(spki).unwrap().1 else { unreachable!() };
    let mut less_one = modulus.clone();
    less_one[255] ^= 1;
    for (from, to) in across() {
        let (ours, our_public) = halves(from, KeyType::Rsa2048, pkcs8);
        let (theirs, public) = halves(to, KeyType::Rsa2048, pkcs8);
        let mut out = [0; 256];
        for input in [&[2][..], &[0, 0, 9], &[0x3c; 200], &[0x3c; 256]] {
            let padded = [vec![0; 256 - input.len()], input.to_vec()].concat();
            assert_eq!(ours.sign(SignScheme::RsaRaw, input, &mut out).unwrap(), 256);
            assert_eq!(
                public.verify(SignScheme::RsaRaw, input, &out),
                Ok(true),
                "{} → {}",
                from.name,
                to.name
            );
            assert_eq!(public.verify(SignScheme::RsaRaw, &padded, &out), Ok(true));
            assert_eq!(public.encrypt_raw(&out).unwrap(), padded, "recovered");
            let ciphertext = our_public.encrypt_raw(input).unwrap();
            assert_eq!(theirs.decrypt_raw(&ciphertext, &mut out).unwrap(), 256);
            assert_eq!(out[..], padded);
        }
        ours.sign(SignScheme::RsaRaw, &[5; 32], &mut out).unwrap();
        for other in [&[5; 31][..], &[4; 32], &[5; 33], &[5; 257], &[]] {
            assert_eq!(public.verify(SignScheme::RsaRaw, other, &out), Ok(false));
        }
        for bad in [&[][..], &[1], &less_one] {
            let error = ours.sign(SignScheme::RsaRaw, bad, &mut out).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgument, "powers that everybody knows");
        }
        for bad in [&[0xff; 256][..], &modulus, &[1; 257], &[0; 257]] {
            let error = ours.sign(SignScheme::RsaRaw, bad, &mut out).unwrap_err();
            assert_eq!(error.code, ErrorCode::InvalidArgument);
            assert_eq!(public.encrypt_raw(bad).unwrap_err().code, ErrorCode::InvalidArgument);
        }
    }
}

/// What a PKCS#1 signature signs is recovered from a right one, and from no other.
#[test]
fn recover() {
    let (pkcs8, _) = key(KeyType::Rsa2048);
    for (from, to) in across() {
        let (private, _) = halves(from, KeyType::Rsa2048, pkcs8);
        let (_, public) = halves(to, KeyType::Rsa2048, pkcs8);
        for input in [&[][..], b"no DigestInfo", &[0; 32], &[0xff; 245]] {
            let mut out = [0; 256];
            private.sign(SignScheme::RsaPkcs1, input, &mut out).unwrap();
            let recovered = public.recover_pkcs1(&out).unwrap();
            assert_eq!(recovered.as_deref(), Some(input), "{} → {}", from.name, to.name);
            for bad in [&out[1..], &[0xff; 256], &[], &[2; 256]] {
                assert_eq!(public.recover_pkcs1(bad), Ok(None));
            }
        }
        // Padding of encryption, and too little of it.
        for (second, zero) in [(2, 20), (1, 9), (0, 20)] {
            let mut block = [0xff; 256];
            (block[0], block[1], block[zero]) = (0, second, 0);
            let mut out = [0; 256];
            private.sign(SignScheme::RsaRaw, &block, &mut out).unwrap();
            assert_eq!(public.recover_pkcs1(&out), Ok(None), "{second}, {zero} on {}", to.name);
        }
    }
}

/// R43: moduli of 6144 and 8192 bits, with every padding.
#[test]
fn long_moduli() {
    for (kind, text) in [(KeyType::Rsa6144, RSA_6144), (KeyType::Rsa8192, RSA_8192)] {
        let pkcs8 = pem(text);
        for (from, to) in across() {
            let (private, _) = halves(from, kind, &pkcs8);
            let (_, public) = halves(to, kind, &pkcs8);
            let (mut digest, mut out) = ([0; MAX_DIGEST], vec![0; kind.bytes()]);
            let len = from.digest.hash(Hash::Sha3_512, b"message", &mut digest);
            let info = digest_info::encode(Hash::Sha3_512, &digest[..len]).unwrap();
            let pss = SignScheme::RsaPss { hash: Hash::Sha3_512, mgf: Hash::Sha224, salt: 64 };
            for (scheme, input) in [(SignScheme::RsaPkcs1, info.as_slice()), (pss, &digest)] {
                private.sign(scheme, input, &mut out).unwrap();
                assert_eq!(
                    public.verify(scheme, input, &out),
                    Ok(true),
                    "{kind}: {} → {}",
                    from.name,
                    to.name
                );
            }
            if from.name == to.name {
                let oaep = Oaep { hash: Hash::Sha224, mgf: Hash::Sha3_384, label: b"label" };
                let ciphertext = public.encrypt_oaep(oaep, b"text").unwrap();
                let got = private.decrypt_oaep(oaep, &ciphertext, &mut out).unwrap();
                assert_eq!(&out[..got], b"text");
                let got = private.decrypt_pkcs1(&public.encrypt_pkcs1(b"text").unwrap(), &mut out).unwrap();
                assert_eq!(&out[..got], b"text");
            }
        }
    }
}
