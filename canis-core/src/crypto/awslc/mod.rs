//! The default provider, built on AWS-LC: what it does better than RustCrypto. The rest is taken from there.
//!
//! `binding` is the one file that calls the C library itself; the others go through `aws-lc-rs`.

mod binding;
mod cipher;
mod digest;
mod ec;
mod ed25519;
mod kdf;
mod keys;
mod mac;
mod random;
mod rsa;

use super::Provider;

/// The AWS-LC provider.
pub static AWS_LC: Provider = Provider {
    name: "aws-lc",
    random: &random::SystemRandom,
    cipher: &cipher::Aes,
    digest: &digest::Sha,
    mac: &mac::Hmac,
    kdf: &kdf::Derivation,
    keys: &keys::KeyPairs,
};
