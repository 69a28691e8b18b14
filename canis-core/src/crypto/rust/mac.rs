//! HMAC, by the `hmac` crate.

use crate::crypto::Mac;
use hmac::{KeyInit, Mac as _};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// HMAC-SHA-256.
pub(super) struct Hmac;

/// SHA-256's block, in bytes.
const BLOCK: usize = 64;

impl Mac for Hmac {
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        // RFC 2104, section 2: a key longer than a block counts as its digest, a shorter one is padded with zeros.
        // Done here because the crate's constructor for exactly one block is the one that cannot fail.
        let mut block = Zeroizing::new([0; BLOCK]);
        match block.get_mut(..key.len()) {
            Some(start) => start.copy_from_slice(key),
            None => block[..32].copy_from_slice(&Sha256::digest(key)),
        }
        let mut mac = hmac::Hmac::<Sha256>::new((&*block).into());
        for part in parts {
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}
