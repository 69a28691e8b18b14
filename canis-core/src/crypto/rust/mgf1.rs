//! MGF1 (RFC 8017, appendix B.2.1), for PSS and OAEP.

use super::RUST;
use crate::crypto::{Hash, MAX_DIGEST};
use zeroize::Zeroizing;

/// XORs MGF1 of `seed` over `target`.
pub(super) fn mask(mgf: Hash, seed: &[u8], target: &mut [u8]) {
    let mut out = Zeroizing::new([0; MAX_DIGEST]);
    for (counter, chunk) in (0u32..).zip(target.chunks_mut(mgf.len())) {
        let mut hasher = RUST.digest.start(mgf);
        hasher.update(seed);
        hasher.update(&counter.to_be_bytes());
        hasher.finish(&mut out);
        chunk.iter_mut().zip(*out).for_each(|(byte, mask)| *byte ^= mask);
    }
}
