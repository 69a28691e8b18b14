//! AWS-LC's generator (CTR_DRBG, SP 800-90A), seeded by the kernel and reseeded after a fork.

use crate::crypto::Random;
use canis_proto::{Error, Result};

/// RAND_bytes.
pub(super) struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, out: &mut [u8]) -> Result<()> {
        aws_lc_rs::rand::fill(out).map_err(|_| Error::internal("the operating system gives no random bytes"))
    }
}
