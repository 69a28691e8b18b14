//! HMAC.

use crate::crypto::Mac;
use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};

/// HMAC-SHA-256.
pub(super) struct Hmac;

impl Mac for Hmac {
    fn hmac_sha256(&self, key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
        let mut context = Context::with_key(&Key::new(HMAC_SHA256, key));
        for part in parts {
            context.update(part);
        }
        let mut out = [0; 32];
        out.copy_from_slice(context.sign().as_ref());
        out
    }
}
