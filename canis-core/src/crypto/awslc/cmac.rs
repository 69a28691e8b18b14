//! AES-CMAC (NIST SP 800-38B).

use crate::crypto::{BLOCK, MAX_DIGEST, MacKey, MacRun};
use aws_lc_rs::cmac::{AES_128, AES_192, AES_256, Context, Key};
use canis_proto::{Error, Result};

/// A key with its subkeys.
#[derive(Clone)]
pub(super) struct Cmac(Key);

impl Cmac {
    /// A key of 16, 24 or 32 bytes.
    pub(super) fn new(key: &[u8]) -> Result<Self> {
        let algorithm = match key.len() {
            16 => AES_128,
            24 => AES_192,
            _ => AES_256,
        };
        Key::new(algorithm, key).map(Cmac).map_err(|_| Error::internal("CMAC refused its key"))
    }
}

impl MacKey for Cmac {
    fn tag_len(&self) -> usize {
        BLOCK
    }

    fn start(&self) -> Result<Box<dyn MacRun>> {
        Ok(Box::new(Run(Some(Context::with_key(&self.0)))))
    }
}

struct Run(Option<Context>);

impl MacRun for Run {
    fn update(&mut self, input: &[u8]) -> Result<()> {
        self.0.as_mut().and_then(|run| run.update(input).ok()).ok_or_else(failed)
    }

    fn finish(&mut self, out: &mut [u8; MAX_DIGEST]) -> Result<usize> {
        let tag = self.0.take().and_then(|run| run.sign().ok()).ok_or_else(failed)?;
        out[..tag.as_ref().len()].copy_from_slice(tag.as_ref());
        Ok(tag.as_ref().len())
    }
}

fn failed() -> Error {
    Error::internal("CMAC gave no tag")
}
