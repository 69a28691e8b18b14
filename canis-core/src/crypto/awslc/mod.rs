//! The default provider, built on AWS-LC: what it does better than RustCrypto. The rest is taken from there.
//!
//! `binding` is the one folder that calls the C library itself; the others go through `aws-lc-rs`.

mod aes;
mod binding;
mod cipher;
mod cmac;
mod digest;
mod ec;
mod ed25519;
mod hybrid;
mod kdf;
mod mac;
mod ml_dsa;
mod ml_kem;
mod random;
mod rsa;
mod x25519;

use super::Provider;
use super::key_pairs::KeyPairs;
use super::rust::SLH_DSA;

/// The AWS-LC provider.
pub static AWS_LC: Provider = Provider {
    name: "aws-lc",
    random: &random::SystemRandom,
    cipher: &cipher::Aes,
    digest: &digest::Sha,
    mac: &mac::Hmac,
    kdf: &kdf::Derivation,
    keys: &KeyPairs {
        rsa: rsa::RSA,
        ec: ec::EC,
        edwards: ed25519::EDWARDS,
        montgomery: x25519::MONTGOMERY,
        ml_dsa: ml_dsa::ML_DSA,
        ml_kem: ml_kem::ML_KEM,
        slh_dsa: SLH_DSA,
        hybrid: hybrid::HYBRID,
    },
};
