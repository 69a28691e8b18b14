//! Known answers, computed at start: a library built wrong, a CPU that lies or memory gone bad is found before a key
//! is touched, and CANIS refuses to run.
//!
//! It runs in every process that loads the PKCS#11 module, so it does no private RSA operation, makes no RSA key and
//! leaves Argon2id and the two slow curves out: well under three milliseconds together.

mod derivation;
mod hybrid;
mod pairs;
mod post_quantum;
mod secret;

use super::Provider;
use canis_proto::{Error, Result};

type Test = fn(&'static Provider) -> Result<bool>;

/// Every test by the name that a failure shows.
const TESTS: [(&str, Test); 19] = [
    ("SHA-1, SHA-2 and SHA-3", secret::digests),
    ("HMAC-SHA-256", secret::hmac),
    ("HMAC", secret::ready_hmac),
    ("AES-256-GCM", secret::gcm),
    ("XAES-256-GCM", secret::xaes),
    ("AES-ECB, -CBC and -CTR", secret::chains),
    ("AES-CCM", secret::ccm),
    ("AES-CMAC", secret::cmac),
    ("AES Key Wrap", secret::key_wrap),
    ("HKDF-SHA-256", derivation::hkdf),
    ("PBKDF2, SP 800-108 and X9.63", derivation::others),
    ("RSA PKCS#1 v1.5", pairs::rsa),
    ("ECDSA P-256 and P-384", pairs::ecdsa),
    ("Ed25519", pairs::ed25519),
    ("X25519", pairs::x25519),
    ("ML-DSA", post_quantum::ml_dsa),
    ("ML-KEM", post_quantum::ml_kem),
    ("SLH-DSA", post_quantum::slh_dsa),
    ("MLKEM768-X25519", hybrid::hybrid),
];

/// Runs every known-answer test on `provider`.
///
/// # Errors
/// `internal`, naming the algorithm whose answer was wrong.
pub fn run(provider: &'static Provider) -> Result<()> {
    for (name, test) in TESTS {
        // A test that errs instead of answering has failed as well; its own text would only hide the name.
        if !test(provider).unwrap_or(false) {
            let provider = provider.name;
            return Err(Error::internal(format!("{name} of the provider {provider} fails its self-test")));
        }
    }
    Ok(())
}

/// Bytes from hexadecimal digits, when the program is compiled: anything else does not compile.
const fn hex<const N: usize>(text: &str) -> [u8; N] {
    let digits = text.as_bytes();
    assert!(digits.len() == 2 * N);
    let mut out = [0; N];
    let mut at = 0;
    while at < digits.len() {
        let value = match digits[at] {
            digit @ b'0'..=b'9' => digit - b'0',
            digit => 10 + (digit - b'a'),
        };
        assert!(value < 16);
        out[at / 2] = out[at / 2] << 4 | value;
        at += 1;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::{Hash, RUST, providers};

    #[test]
    fn every_provider_passes() {
        for provider in providers() {
            assert_eq!(run(provider), Ok(()), "{}", provider.name);
        }
    }

    /// A provider that computes something else is named with its algorithm.
    #[test]
    fn a_wrong_answer_is_found() {
        struct Forgetful;
        impl crate::crypto::Mac for Forgetful {
            fn hmac_sha256(&self, _: &[u8], _: &[&[u8]]) -> [u8; 32] {
                [0; 32]
            }
            fn hmac(&self, hash: Hash, key: &[u8]) -> Result<Box<dyn crate::crypto::MacKey>> {
                RUST.mac.hmac(hash, key)
            }
        }
        static WRONG: Provider = Provider { name: "wrong", mac: &Forgetful, ..crate::crypto::RUST };
        let error = run(&WRONG).map_err(|e| e.message);
        assert_eq!(error, Err("HMAC-SHA-256 of the provider wrong fails its self-test".to_owned()));
    }
}
