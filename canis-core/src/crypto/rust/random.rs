//! The operating system's generator, asked every time: nothing to keep, nothing to lose in a fork.

use crate::crypto::Random;
use canis_proto::{Error, Result};

/// getrandom(2) and its kin.
pub(super) struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, out: &mut [u8]) -> Result<()> {
        getrandom::fill(out).map_err(|_| Error::internal("the operating system gives no random bytes"))
    }
}
