//! HMAC.

use super::binding::{HmacKey, HmacRun, Refused};
use crate::crypto::{Hash, MAX_DIGEST, Mac, MacKey, MacRun};
use aws_lc_rs::hmac::{Context, HMAC_SHA256, Key};
use canis_proto::{Error, Result};

/// HMAC with every hash.
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
    fn hmac(&self, hash: Hash, key: &[u8]) -> Result<Box<dyn MacKey>> {
        Ok(Box::new(HmacKey::new(hash, key).map_err(failed)?))
    }
}

impl MacKey for HmacKey {
    fn tag_len(&self) -> usize {
        HmacKey::tag_len(self)
    }

    fn tag(&self, parts: &[&[u8]], out: &mut [u8; MAX_DIGEST]) -> Result<usize> {
        HmacKey::tag(self, parts, out).map_err(failed)
    }

    fn start(&self) -> Result<Box<dyn MacRun>> {
        Ok(Box::new(HmacKey::start(self).map_err(failed)?))
    }
}

impl MacRun for HmacRun {
    fn update(&mut self, input: &[u8]) -> Result<()> {
        HmacRun::update(self, input).map_err(failed)
    }

    fn finish(&mut self, out: &mut [u8; MAX_DIGEST]) -> Result<usize> {
        HmacRun::finish(self, out).map_err(failed)
    }
}

fn failed(_: Refused) -> Error {
    Error::internal("HMAC gave no tag")
}
