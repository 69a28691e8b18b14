//! What the crypto library alone does.

use canis_core::crypto::{Hash, MAX_DIGEST, SignScheme};
use canis_core::default_provider;
use canis_proto::{Error, Family, KeyType, Result};
use std::time::{Duration, Instant};

/// Signatures a second on one processor, of 32 bytes and with the scheme that the server takes by itself.
pub(super) fn signatures(kind: KeyType, span: Duration) -> Result<f64> {
    let provider = default_provider();
    let key = provider.keys.private(kind, provider.keys.generate(kind)?.expose())?;
    let mut out = vec![0; key.signature_len()];
    let scheme = match kind.family() {
        Family::Rsa => SignScheme::RsaPss { hash: Hash::Sha256, mgf: Hash::Sha256, salt: Hash::Sha256.len() },
        Family::Ec => SignScheme::Ecdsa,
        _ => return Err(Error::internal("a key that is not measured")),
    };
    let mut digest = [0; MAX_DIGEST];
    let (begin, mut done) = (Instant::now(), 0.0);
    while begin.elapsed() < span {
        let len = provider.digest.hash(Hash::Sha256, &[7; 32], &mut digest);
        key.sign(scheme, &digest[..len], &mut out)?;
        done += 1.0;
    }
    Ok(done / begin.elapsed().as_secs_f64())
}
