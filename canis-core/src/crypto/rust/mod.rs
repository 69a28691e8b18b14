//! The complete provider, built on RustCrypto: no C, and the checker of the other one.

mod cipher;
mod cmac;
mod digest;
mod ec;
mod ed25519;
mod gcm;
mod hybrid;
mod kdf;
mod keywrap;
mod mac;
mod mgf1;
mod ml_dsa;
mod ml_kem;
mod oaep;
mod pss;
mod random;
mod rsa;
mod schedule;
mod slh_dsa;
mod x25519;

use super::Provider;
use super::key_pairs::KeyPairs;

pub(super) use slh_dsa::{SLH_DSA, of_seeds as slh_dsa_of_seeds};

#[cfg(feature = "aws-lc")]
pub(super) use ed25519::valid_point as valid_edwards_point;

/// The RustCrypto provider. Its RSA private-key operations are blinded but not constant-time (RUSTSEC-2023-0071):
/// not for keys whose operations an attacker on the network can time.
pub static RUST: Provider = Provider {
    name: "rust",
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
        slh_dsa: slh_dsa::SLH_DSA,
        hybrid: hybrid::HYBRID,
    },
};
