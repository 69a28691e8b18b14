//! HMAC, by the `hmac` crate.

use super::digest::by_hash;
use crate::crypto::{Hash, MAX_DIGEST, Mac, MacKey, MacRun};
use canis_proto::{Error, Result};
use hmac::{KeyInit, Mac as _, SimpleHmac};
use sha2::digest::block_api::BlockSizeUser;
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// HMAC with every hash.
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
    fn hmac(&self, hash: Hash, key: &[u8]) -> Result<Box<dyn MacKey>> {
        fn ready<D>(key: &[u8]) -> Result<Box<dyn MacKey>>
        where
            D: Digest + BlockSizeUser + Clone + Send + Sync + 'static,
        {
            let mac =
                SimpleHmac::<D>::new_from_slice(key).map_err(|_| Error::internal("HMAC refused its key"))?;
            Ok(Box::new(Ready(mac)))
        }
        by_hash!(hash, D => ready::<D>(key))
    }
}

/// The state with the inner pad taken in; a run is a copy of it. The crate's generic form serves SHA-3 too.
struct Ready<M>(M);

impl<M: hmac::Mac + Clone + Send + Sync + 'static> MacKey for Ready<M> {
    fn tag_len(&self) -> usize {
        M::output_size()
    }

    fn start(&self) -> Result<Box<dyn MacRun>> {
        Ok(Box::new(Running(Some(self.0.clone()))))
    }
}

struct Running<M>(Option<M>);

impl<M: hmac::Mac + Send> MacRun for Running<M> {
    fn update(&mut self, input: &[u8]) -> Result<()> {
        self.0.as_mut().ok_or_else(over)?.update(input);
        Ok(())
    }

    fn finish(&mut self, out: &mut [u8; MAX_DIGEST]) -> Result<usize> {
        let tag = self.0.take().ok_or_else(over)?.finalize().into_bytes();
        out[..tag.len()].copy_from_slice(&tag);
        Ok(tag.len())
    }
}

fn over() -> Error {
    Error::internal("a MAC that is finished was used again")
}
